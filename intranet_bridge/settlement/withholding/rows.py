"""The tables of withholding, in the bridge's database. Amounts are fen; bank accounts and files are sealed."""

from sqlalchemy import BigInteger, Column, Date, Index, Integer, LargeBinary, String, Table, Text

from intranet_bridge.inbox.rows import METADATA
from intranet_bridge.settlement.bank_lines import CODED, IN_FLIGHT, LINES, OPEN

__all__ = [
    "ANSWERS",
    "BATCHES",
    "CODED",
    "CONTENT",
    "CURSOR",
    "IN_FLIGHT",
    "ISSUED",
    "LINES",
    "NUMBERS",
    "OPEN",
    "RETRIES",
]

BATCHES = Table(
    "withholding_batches",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("org", String(16), nullable=False),
    Column("unit", String(16), nullable=False),
    Column("day", Date, nullable=False),
    Column("bank", String(16), nullable=False),
    Column("in_transit", String(1), nullable=False),
    Column("state", String(16), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("findings", Text, nullable=False),
    Column("file_name", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("file", String(36), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("sealed_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger, nullable=False),
    Column("answered_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("withholding_batches_day", "org", "unit", "day", unique=True),
    Index("withholding_batches_state", "state"),
)
"""`id`: ORG-UNIT-YYYYMMDD. `version` grows with each change of the lines of a drafted one. Times: 0 is not yet."""
CONTENT = Table(
    "withholding_content",
    METADATA,
    Column("batch", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)
"""The bytes of sealed requests, in pieces."""
ANSWERS = Table(
    "withholding_answers",
    METADATA,
    Column("file", String(36), primary_key=True),
    Column("batch", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("state", String(12), nullable=False),
    Column("code", String(32), nullable=False),
    Column("findings", Text, nullable=False),
    Column("filled", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("withholding_answers_batch", "batch"),
    Index("withholding_answers_state", "state", "received_at"),
)
"""Files that came as answers. One that is `applying` is read again after a crash."""
RETRIES = Table(
    "withholding_retries",
    METADATA,
    Column("line", String(96), primary_key=True),
    Column("due", Date, nullable=False),
    Column("state", String(12), nullable=False),
    Column("next", String(96), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("withholding_retries_due", "state", "due"),
)
"""Of a refused line: when its bill is asked for again, and under which number then."""
ISSUED = Table(
    "withholding_issued",
    METADATA,
    Column("account", String(20), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("bill", String(40), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("state", String(12), nullable=False),
    Column("code", String(40), nullable=False),
    Column("line", String(96), nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("withholding_issued_state", "state", "issued_at"),
)
"""Bills that were pushed as issued while automatic payment is on: each becomes one line, or none. A month's bill may be
issued again, under another number. `bill`: empty while nobody has said its number. `line`: its own; while it is
`waiting`, the one in which a bank is asked for what was issued before for the month.
"""
NUMBERS = Table(
    "withholding_numbers",
    METADATA,
    Column("day", Date, primary_key=True),
    Column("last", BigInteger, nullable=False),
)
"""The last number that was given to a line of a day."""
CURSOR = Table(
    "withholding_cursor",
    METADATA,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
)
"""Until when the files that came were looked at; of the release before: file_cursors.py has it now."""
