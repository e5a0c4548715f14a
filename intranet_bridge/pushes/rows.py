"""The tables of pushes, in the bridge's database."""

from sqlalchemy import BigInteger, Column, String, Table

from intranet_bridge.inbox.rows import METADATA

PUSHED = Table(
    "pushes",
    METADATA,
    Column("id", String(128), primary_key=True),
    Column("content", String(22), nullable=False),  # keyed hash of what it says (at_rest.py)
    Column("taken_at", BigInteger, nullable=False, index=True),
)
"""Pushes that have had their effect."""
CURSORS = Table(
    "push_cursors",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("value", String(400), nullable=False),  # JSON: a number or a text
    Column("moved_at", BigInteger, nullable=False),
)
"""How far each table was read."""
