"""What a push says, and what follows from it."""

from typing import Any

import pytest

from intranet_bridge.pushes.bodies import BODIES, PushKind, Unfit, push_of
from intranet_bridge.pushes.effects import OLD, effects
from protocol.notices import EXAMPLES
from protocol.operations import CATALOGUE, Kind

AT = "2026-07-01T08:00:00+08:00"
ACCOUNT = "3210000000001"
OUTAGE = {"accounts": [ACCOUNT, "3210000000002", ACCOUNT], "outage": "TD1", "begins": AT}
DATA: dict[str, Any] = {
    "archive-changed": {"account": ACCOUNT},
    "bill-issued": EXAMPLES["bill-issued"],  # type: ignore[index]
    "arrears-due": EXAMPLES["arrears-reminder"],  # type: ignore[index]
    "project-node-reached": EXAMPLES["application-node"],  # type: ignore[index]
    "work-order-closed": EXAMPLES["work-order-closed"],  # type: ignore[index]
    "outage-planned": OUTAGE,
    "payment-booked": EXAMPLES["payment-received"],  # type: ignore[index]
}


def said(kind: str = "bill-issued", id: str = "P1", **changes: Any) -> dict[str, Any]:
    return {"id": id, "kind": kind, "at": AT, "data": DATA[kind] | changes}


def test_what_each_kind_tells_and_whom() -> None:
    found = {
        kind.value: [(one.kind.value, one.account) for one in effects(push_of(said(kind))).notices] for kind in PushKind
    }
    assert found == {
        "archive-changed": [],
        "bill-issued": [("bill-issued", ACCOUNT)],
        "arrears-due": [("arrears-reminder", ACCOUNT)],
        "project-node-reached": [("application-node", ACCOUNT)],
        "work-order-closed": [("work-order-closed", ACCOUNT)],
        "outage-planned": [("outage-notice", ACCOUNT), ("outage-notice", "3210000000002")],
        "payment-booked": [("payment-received", ACCOUNT)],
    }
    assert found.keys() == BODIES.keys()


def test_answers_that_are_old_are_those_of_queries_there_are() -> None:
    queries = {name for name, operation in CATALOGUE.items() if operation.kind is Kind.QUERY}
    for kind, operations in OLD.items():
        assert operations is None or operations <= queries, kind
    assert "bill-query" in (effects(push_of(said())).operations or ())
    assert effects(push_of(said("archive-changed"))).operations is None
    closed = effects(push_of(said("work-order-closed")))
    assert closed.about == (ACCOUNT, "WO2026000001")  # work-order-progress names no account


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ([], ""),
        (said() | {"id": ""}, "id"),
        (said() | {"id": "with blank "}, "id"),
        (said() | {"kind": "bill"}, "kind"),
        (said() | {"at": "yesterday"}, "at"),
        (said() | {"more": 1}, "more"),
        (said(month="2026-13"), "data.month"),
        (said(amount_fen="13579"), "data.amount_fen"),
        (said(account="1"), "data.account"),
        (said("outage-planned", accounts=[]), "data.accounts"),
        (said("outage-planned", accounts=["3210000000001", "?"]), "data.accounts.1"),
        (said("arrears-due", months=["2026"]), "data.months.0"),
        (said(account="\ud800"), ""),
    ],
)
def test_what_is_no_push_is_told_by_its_field_and_never_by_its_value(value: Any, field: str) -> None:
    with pytest.raises(Unfit) as error:
        push_of(value)
    assert error.value.field in (field, field.partition(".")[0])
    assert "3210000000001" not in str(error.value)
    assert error.value.why


def test_the_same_content_is_the_same_however_it_is_written() -> None:
    one, other = push_of(said("outage-planned", cancelled=False)), push_of(said("outage-planned"))
    assert one.content() == other.content()
    assert one.content() != push_of(said("outage-planned", cancelled=True)).content()
