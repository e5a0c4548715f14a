"""What errors of a database are taken for that no test has a server of."""

import pytest
from sqlalchemy.exc import DatabaseError, DBAPIError, IntegrityError

from intranet_bridge.marketing.sql.dialects import Oracle, Said


class _Told:
    """As python-oracledb puts it into an exception's arguments."""

    def __init__(self, full_code: str) -> None:
        self.full_code = full_code


def oracle(code: str, kind: type[DBAPIError] = DatabaseError, *, lost: bool = False) -> DBAPIError:
    return kind("INSERT ...", {}, Exception(_Told(code)), connection_invalidated=lost)


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("ORA-00001", IntegrityError, Said.DUPLICATE),
        ("ORA-01400", IntegrityError, Said.UNFIT),
        ("ORA-02291", IntegrityError, Said.UNFIT),
        ("ORA-12899", DatabaseError, Said.UNFIT),
        ("ORA-00942", DatabaseError, Said.DENIED),
        ("ORA-01031", DatabaseError, Said.DENIED),
        ("ORA-00060", DatabaseError, Said.NO),
        ("ORA-20001", DatabaseError, Said.NO),
        ("DPY-4024", DatabaseError, Said.LOST),
        ("ORA-00600", DatabaseError, Said.LOST),
    ],
)
def test_errors_of_oracle_are_told_apart_by_their_code(code: str, kind: type[DBAPIError], said: Said) -> None:
    """Of a null where a value must be the driver says IntegrityError too: nothing was handed over before."""
    error = oracle(code, kind)
    assert Oracle().said(error) is said
    assert Oracle().code(error) == code
    assert Oracle().said_at_commit(error) is Said.LOST
    assert Oracle().said(oracle(code, kind, lost=True)) is Said.LOST


def test_a_log_in_that_oracle_refuses_is_told_from_a_server_that_is_away() -> None:
    assert Oracle().denies(oracle("ORA-01017"))
    assert not Oracle().denies(oracle("DPY-6005"))
    assert Oracle().code(DatabaseError("", {}, Exception())) == ""
