"""The tables of money, in the bridge's database."""

from sqlalchemy import BigInteger, Column, Date, Index, String, Table, Text, text

from intranet_bridge.inbox.rows import METADATA
from protocol.runtime.books import books_tables

BOOKS = books_tables(METADATA)

FILES = Table(
    "statement_files",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("profile", String(64), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("day", Date, nullable=False),
    Column("merchant", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("state", String(24), nullable=False),
    Column("code", String(32), nullable=False),
    Column("findings", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("paid", BigInteger, nullable=False),
    Column("refunded", BigInteger, nullable=False),
    Column("settled", BigInteger, nullable=False),
    Column("fee", BigInteger, nullable=False),
    Column("who", String(160), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("statement_files_name", "name"),
    Index("statement_files_day", "channel", "day"),
)
"""Files that came, and what was said of them. Amounts in fen, `fee` in thousandths of one."""
LINES = Table(
    "statement_lines",
    METADATA,
    Column("file", String(36), primary_key=True),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(8), nullable=False),
    Column("transaction_no", String(64), nullable=False),
    Column("order_no", String(64), nullable=False),
    Column("refund_no", String(64), nullable=False),
    Column("platform_refund_no", String(64), nullable=False),
    Column("gross", BigInteger, nullable=False),
    Column("settled", BigInteger, nullable=False),
    Column("fee", BigInteger, nullable=False),
    Column("at", String(32), nullable=False),
    Column("status", String(8), nullable=False),
    Column("account", String(64), nullable=False),
    Column("month", String(6), nullable=False),
    Column("bills", Text, nullable=False),
    Column("penalty", BigInteger),
    Column("merchant", String(64), nullable=False, server_default=text("''")),
    Index("statement_lines_transaction", "transaction_no"),
    Index("statement_lines_order", "order_no"),
)
"""Rows of files; `merchant` is empty where the file's is the row's. They count while their file does, and are there
before: a file takes effect by its state alone."""
