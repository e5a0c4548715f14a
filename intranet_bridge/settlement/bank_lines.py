"""Lines of withholding, in the bridge's database: bills that a bank is asked to charge. Payment orders look at them
too, for a bill is paid by an order or charged by a bank, never both. Amounts are fen; bank accounts are sealed.
"""

from collections.abc import Collection

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Date,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    or_,
    select,
    text,
)

from intranet_bridge.inbox.rows import METADATA

OPEN = "ended_at IS NULL"
CODED = "code <> ''"
IN_FLIGHT = "ended_at IS NULL AND bill <> ''"

LINES = Table(
    "withholding_lines",
    METADATA,
    Column("id", String(96), primary_key=True),
    Column("det_id", String(32), nullable=False),
    Column("batch", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("company", String(64), nullable=False),
    Column("account", String(20), nullable=False),
    Column("agreement", String(40), nullable=False),
    Column("pay_account", LargeBinary, nullable=False),
    Column("quantity", String(16), nullable=False),
    Column("bill", String(40), nullable=False),
    Column("month", String(7), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("penalty", BigInteger, nullable=False),
    Column("request", String(64), nullable=False),
    Column("source", String(64), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("first_day", Date, nullable=False),
    Column("checked_at", BigInteger, nullable=False),
    Column("hold", String(12), nullable=False),
    Column("code", String(40), nullable=False),
    Column("reason", String(300), nullable=False),
    Column("debited", BigInteger, nullable=False),
    Column("paid_on", Date),
    Column("bank_number", String(64), nullable=False),
    Column("payment", String(40), nullable=False),
    Column("said", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Index(
        "withholding_lines_in_flight", "company", "account", "bill", unique=True,
        sqlite_where=text(IN_FLIGHT), postgresql_where=text(IN_FLIGHT),
    ),
    Index("withholding_lines_batch", "batch", "state"),
    Index("withholding_lines_request", "request"),
    Index("withholding_lines_open", "state", sqlite_where=text(OPEN), postgresql_where=text(OPEN)),
    Index("withholding_lines_coded", "code", sqlite_where=text(CODED), postgresql_where=text(CODED)),
)  # fmt: skip
"""`id`: the `detId`; of a line that nobody asked for, its batch's id and that. `hold`: on the bill, at the marketing
system. `said`: what people said who released it, as JSON.
"""
_WAITING = "waiting"
"""Of a line whose batch is not sealed (withholding/life.py)."""
_FROZEN = ("asked", "held")
"""Of its bill, before that: what is known of the hold."""
L = LINES.c


def with_a_bank(connection: Connection, bills: Collection[tuple[str, str, str]]) -> dict[tuple[str, str, str], str]:
    """Of bills (company, account, month) those that a bank is asked to charge, or that are frozen to be sent to it,
    with their lines. It is over with the bank's answer and what follows of it, or with a person's word.
    """
    if not bills:
        return {}
    companies, accounts = ({bill[at] for bill in bills} for at in (0, 1))
    of = L.company.in_(sorted(companies)), L.account.in_(sorted(accounts)), L.month.in_(sorted({b[2] for b in bills}))
    gone = or_(L.state != _WAITING, L.hold.in_(_FROZEN))
    # its condition in the index's own words: SQLite uses the index for no other
    rows = connection.execute(select(L.company, L.account, L.month, L.id).where(*of, text(IN_FLIGHT), gone))
    found = {(row.company, row.account, row.month): row.id for row in rows}
    return {bill: found[bill] for bill in bills if bill in found}
