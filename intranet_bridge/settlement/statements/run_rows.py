"""The tables of what is done with statements: files waiting to be read, runs, items, actions, and what people said."""

from sqlalchemy import BigInteger, Boolean, Column, Date, Index, Integer, String, Table, Text, text

from intranet_bridge.inbox.rows import METADATA

CURSOR = Table(
    "statement_cursor",
    METADATA,
    Column("only", Integer, primary_key=True, autoincrement=False),  # 1: there is one row
    Column("accepted_at", BigInteger, nullable=False),
    Column("file", String(64), nullable=False),
)
"""How far the files that crossed were looked through; of the release before: file_cursors.py has it now."""
SOURCES = Table(
    "statement_sources",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("since", Date, nullable=False),
)
"""Since which day statements of each kind are expected: that of its first configuration."""
ARRIVALS = Table(
    "statement_arrivals",
    METADATA,
    Column("file", String(36), primary_key=True),
    Column("source", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),
    Column("code", String(32), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("claimed_by", String(64), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Index("statement_arrivals_due", "state", "due_at"),
)
"""Files that crossed, until they are read: `waiting`, then `taken` or `failed`. While one is worked on, `due_at` is
when another bridge may take it over."""
RUNS = Table(
    "statement_runs",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("file", String(36), nullable=False),
    Column("source", String(64), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("day", Date, nullable=False),
    Column("state", String(16), nullable=False),
    Column("code", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("write_offs", BigInteger, nullable=False),
    Column("counts", Text, nullable=False),
    Column("actions", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("who", String(160), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("claimed_by", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("statement_runs_file", "file"),
    Index("statement_runs_state", "state", "due_at"),
    Index("statement_runs_day", "day"),
)
"""A file compared with the books (states: runs.py). `counts`: JSON, class → [items, fen]."""
ITEMS = Table(
    "statement_items",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("identity", String(64), nullable=False, unique=True),
    Column("run", String(36), nullable=False),
    Column("first_run", String(36), nullable=False),
    Column("source", String(64), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("day", Date, nullable=False),
    Column("class", String(24), nullable=False),
    Column("action", String(16), nullable=False),
    Column("state", String(8), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("transaction_no", String(64), nullable=False),
    Column("order_no", String(64), nullable=False),
    Column("refunds", Text, nullable=False),
    Column("whole", Boolean, nullable=False),
    Column("lines", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("field", String(32), nullable=False),
    Column("platform", Text, nullable=False),
    Column("books", Text, nullable=False),
    Column("paid_at", String(32), nullable=False),
    Column("steps", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("merchant", String(64), nullable=False, server_default=text("''")),
    Column("code", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("statement_items_run", "run", "state"),
    Index("statement_items_state", "state", "channel"),
    Index("statement_items_transaction", "transaction_no"),
)
"""What a payment, or a refund of one, came to, but for what agrees. `identity`: the same difference found again is the
same item. `platform`, `books`: JSON of the two values; `steps`: JSON, [line, account, fen] of each write-off or
reversal that it takes."""
ACTIONS = Table(
    "statement_actions",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("item", String(36), nullable=False),
    Column("key", Text, nullable=False),
    Column("operation", String(64), nullable=False),
    Column("line", Integer, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),
    Column("code", String(64), nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Index("statement_actions_item", "item"),
    Index("statement_actions_state", "state"),
)
"""A command given for an item: its id is the request's. `asked`, perhaps `held`, then `done` or `refused`."""
RESOLUTIONS = Table(
    "statement_resolutions",
    METADATA,
    Column("subject", String(36), primary_key=True),
    Column("who", String(160), primary_key=True),
    Column("note", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)
"""What a person said of an item, or of a run that waits for approval; each says so once."""
