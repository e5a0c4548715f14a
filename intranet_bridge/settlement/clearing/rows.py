"""The tables of clearing, in the bridge's database. Amounts are fen, times epoch milliseconds."""

from sqlalchemy import BigInteger, Column, Date, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from intranet_bridge.inbox.rows import METADATA

AMOUNTS = ("count", "gross", "refunds", "fee", "promotions", "funded", "discounts", "adjustments")
"""Columns of what is summed: `sheets.Amounts`."""


def _amounts() -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False) for name in AMOUNTS]


FILES = Table(
    "clearing_files",
    METADATA,
    Column("file", String(36), primary_key=True),
    Column("channel", String(32), nullable=False),
    Column("day", Date, nullable=False),
    Column("name", String(200), nullable=False),
    Column("company", String(64), nullable=False),
    Column("state", String(12), nullable=False),
    Column("line", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("clearing_files_state", "state", "day"),
    Index("clearing_files_name", "name"),
    Index("clearing_files_day", "channel", "day"),
)
"""Statements that count: `booking` (up to `line`), `booked`, `cleared` (on sheets), `withdrawn` (replaced by another).
`company`: whose rows without an order of ours are."""
SHEETS = Table(
    "clearing_sheets",
    METADATA,
    Column("id", String(128), primary_key=True),
    Column("company", String(64), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("day", Date, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("state", String(12), nullable=False),
    Column("signed", Text, nullable=False),
    *_amounts(),
    Column("carried", BigInteger, nullable=False),
    Column("arrived", BigInteger, nullable=False),
    Column("carried_into", String(128), nullable=False),
    Column("file", LargeBinary),
    Column("submitted", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    UniqueConstraint("company", "channel", "day", name="clearing_sheets_day"),
    UniqueConstraint("company", "day", "sequence", name="clearing_sheets_sequence"),
    Index("clearing_sheets_state", "state", "day"),
)
"""`signed`: JSON, who approved it. `adjustments` are without what is carried. `file`: its bytes from the approval on;
`submitted`: the file's id in the outward lane."""
PARTS = Table(
    "clearing_parts",
    METADATA,
    Column("sheet", String(128), primary_key=True),
    Column("kind", String(12), primary_key=True),
    Column("source", String(128), primary_key=True),
    Column("origin", Date, nullable=False),
    *_amounts(),
    Index("clearing_parts_source", "source"),
)
"""`source`: the statement's file, the adjustment, or the sheet that is carried."""
WAITING = Table(
    "clearing_waiting",
    METADATA,
    Column("file", String(36), primary_key=True),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    Column("order_line", Integer, primary_key=True, autoincrement=False),
    Column("company", String(64), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("day", Date, nullable=False),
    Column("why", String(12), nullable=False),
    Index("clearing_waiting_day", "company", "channel", "day"),
)
"""Rows that count for nobody yet. `why`: `undecided`, or `conflict`: the books have that payment otherwise."""
ARRIVALS = Table(
    "clearing_arrivals",
    METADATA,
    Column("sheet", String(128), primary_key=True),
    Column("row", String(128), primary_key=True),
    Column("day", Date, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("who", String(160), nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("clearing_arrivals_row", "row"),
)
ADJUSTMENTS = Table(
    "clearing_adjustments",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("company", String(64), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("against", String(12), nullable=False),
    Column("note", Text, nullable=False),
    Column("sheet", String(128), nullable=False),
    Column("said", Text, nullable=False),
    Column("into", String(128), nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("clearing_adjustments_into", "into"),
    Index("clearing_adjustments_sheet", "sheet"),
)
"""`sheet`: whose difference it closes. `said`: JSON, one name or two. `into`: the sheet that has it as a part."""
ACTS = Table(
    "clearing_acts",
    METADATA,
    Column("sheet", String(128), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("act", String(16), nullable=False),
    Column("who", String(160), nullable=False),
    Column("words", Text, nullable=False),
)
"""What was done with a sheet, and by whom."""
