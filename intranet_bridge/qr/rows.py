"""The tables of QR codes, in the bridge's database.

What was issued is on record for good, with the account number in clear: it is the company's own register of what hangs
on its meters, inside. Sheets and pictures of batches go after `[qr] keep_days`, tickets when they are over.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table

from intranet_bridge.inbox.rows import METADATA

GENERATIONS = Table(
    "qr_generations",
    METADATA,
    Column("account", String(20), primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("since", BigInteger, nullable=False),
    Column("good_until", BigInteger),  # None: it is the present one
    Column("request", String(64), nullable=False),
)
CODES = Table(
    "qr_codes",
    METADATA,
    Column("request", String(64), primary_key=True),
    Column("account", String(20), primary_key=True),
    Column("kid", String(8), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("batch", String(64), nullable=False),
    Column("who", String(160), nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("qr_codes_account", "account", "at"),
)
TICKETS = Table(
    "qr_tickets",
    METADATA,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("account", String(20), nullable=False),
    Column("page", String(32), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("redeemed_by", String(64)),
    Index("qr_tickets_expires", "expires_at"),
)
BATCHES = Table(
    "qr_batches",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("application", String(64), nullable=False),
    Column("who", String(160), nullable=False),
    Column("state", String(16), nullable=False),
    Column("refused", String(40), nullable=False, default=""),
    Column("sheet", LargeBinary),
    Column("parts", Integer, nullable=False, default=0),
    Column("length", BigInteger, nullable=False, default=0),
    Column("sha256", String(64), nullable=False, default=""),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("worker", String(64), nullable=False, default=""),
    Column("worker_until", BigInteger, nullable=False, default=0),
    Index("qr_batches_state", "state", "created_at"),
)
BATCH_ROWS = Table(
    "qr_batch_rows",
    METADATA,
    Column("batch", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("verdict", String(20), nullable=False),
    Column("account", String(64), nullable=False),
    Column("done", Boolean, nullable=False),
    Column("png", LargeBinary),
)
BATCH_PARTS = Table(
    "qr_batch_parts",
    METADATA,
    Column("batch", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)
