"""What bridges of one database tell each other of their kept answers."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table

from intranet_bridge.inbox.rows import METADATA

CHANGES = Table(
    "hot_changes",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("owner", String(64), nullable=False),  # who says so
    Column("about", LargeBinary),  # an account and the like, sealed (at_rest.py); null: whatever it is about
    Column("operations", String(4000), nullable=False),  # JSON, a list; empty: all
    Column("settle_ms", BigInteger, nullable=False),
    Column("made_at", BigInteger, nullable=False, index=True),
)
"""What is old at the others too. Rows of the last hour."""
