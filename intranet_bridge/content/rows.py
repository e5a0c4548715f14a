"""The tables of what is published, and the staff of the bridge's desk, in the bridge's database."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, UniqueConstraint

from intranet_bridge.inbox.rows import METADATA
from protocol.desk.staff import staff_table

DESK_STAFF = staff_table(METADATA)
ITEMS = Table(
    "content_items",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("number", String(40), nullable=False),
    Column("first_at", BigInteger),  # when it was published first
    UniqueConstraint("kind", "number", name="content_items_number"),
)
VERSIONS = Table(
    "content_versions",
    METADATA,
    Column("item", String(36), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("stage", String(16), nullable=False),
    Column("fields", Text, nullable=False),
    Column("heading", String(200), nullable=False),
    Column("authors", Text, nullable=False),
    Column("reviewer", String(160), nullable=False),
    Column("publish_at", BigInteger),
    Column("withdraw_at", BigInteger),
    Column("changes", Integer, nullable=False),  # so often it was changed: who acts says which state was seen
    Column("changed_at", BigInteger, nullable=False),
    Column("published_at", BigInteger),
    Column("withdrawn_at", BigInteger),
    Index("content_versions_stage", "stage", "changed_at"),
)
ACTS = Table(
    "content_acts",
    METADATA,
    Column("item", String(36), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # from 1, of each item
    Column("version", Integer, nullable=False),
    Column("act", String(16), nullable=False),
    Column("who", String(160), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("remark", String(400), nullable=False),
)
EDITION = Table(
    "content_edition",
    METADATA,
    Column("only", Integer, primary_key=True, autoincrement=False),  # 1: there is one row
    Column("number", BigInteger, nullable=False),  # grows with whatever is published or withdrawn
)
