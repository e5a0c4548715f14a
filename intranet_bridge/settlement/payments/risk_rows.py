"""The tables of risk, in the bridge's database. Payers, accounts and what is on lists are hashes by the store's key."""

from sqlalchemy import BigInteger, Column, Index, String, Table, Text

from intranet_bridge.inbox.rows import METADATA

PAYERS = Table(
    "risk_payers",
    METADATA,
    Column("payer", String(22), primary_key=True),
    Column("last_at", BigInteger, nullable=False),
)
"""One row a payer, so that two orders of one payer are not counted at the same time."""
DECISIONS = Table(
    "risk_decisions",
    METADATA,
    Column("subject", String(8), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("payer", String(22), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("verdict", String(8), nullable=False),
    Column("rule", String(40), nullable=False),
    Column("dry", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("risk_decisions_payer", "payer", "subject", "at"),
    Index("risk_decisions_at", "at"),
)
"""What was decided of an order or a refund, by its number: once."""
ACCOUNTS = Table(
    "risk_accounts",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("account", String(22), primary_key=True),
)
"""Of the orders' decisions: which accounts they paid for."""
LISTED = Table(
    "risk_listed",
    METADATA,
    Column("list", String(40), primary_key=True),
    Column("value", String(22), primary_key=True),
    Column("expires_at", BigInteger),  # None: until it is removed
    Column("note", Text, nullable=False),
    Column("who", String(160), nullable=False),
    Column("added_at", BigInteger, nullable=False),
    Index("risk_listed_value", "value"),
)
