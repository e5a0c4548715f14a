"""The tables of notices, in the bridge's database. Accounts are pseudonyms, bodies are sealed (at_rest.py)."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, text

from intranet_bridge.inbox.rows import METADATA

UNCONFIRMED = "confirmed_at IS NULL"
ON_WAY = f"{UNCONFIRMED} AND sent_at IS NOT NULL"
UNSENT = f"{UNCONFIRMED} AND sent_at IS NULL"

SUBSCRIPTIONS = Table(
    "notice_subscriptions",
    METADATA,
    Column("stream", String(22), primary_key=True),  # pseudonym of the account
    Column("application", String(64), primary_key=True),
    Column("kind", String(32), primary_key=True),
    # the table of [fronts] that named the front when it last asked: another group's application of this name is another
    Column("fronts", String(64), primary_key=True, default="", server_default=text("''")),
    Column("front", String(64), nullable=False),  # whose queue its notices go to
    Column("account", LargeBinary, nullable=False),  # sealed: who asks for what is subscribed opens it
    Column("consent_version", String(40), nullable=False),
    Column("consent_at", String(40), nullable=False),
    Column("subscribed_at", BigInteger, nullable=False),
    Index("notice_subscriptions_application", "application"),
)
STREAMS = Table(
    "notice_streams",
    METADATA,
    Column("stream", String(22), primary_key=True),
    Column("application", String(64), primary_key=True),
    Column("fronts", String(64), primary_key=True, default="", server_default=text("''")),  # of the subscription
    Column("last", BigInteger, nullable=False),  # the number of the latest notice
)
PUSHES = Table(
    "notice_pushes",
    METADATA,
    Column("push", String(128), primary_key=True),
    Column("stream", String(22), primary_key=True),
    Column("published_at", BigInteger, nullable=False, index=True),
)
"""What was published already."""
NOTICES = Table(
    "notices",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("stream", String(22), nullable=False),
    Column("application", String(64), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("front", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("body", LargeBinary, nullable=False),  # empty when the front has it
    Column("published_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    Column("sends", Integer, nullable=False),
    Column("confirmed_at", BigInteger),
    # of the subscription; empty: of none, or from before there were groups: then it comes before what came after
    Column("fronts", String(64), nullable=False, default="", server_default=text("''")),
    Index(
        "notices_unconfirmed", "stream", "application", "sequence",
        sqlite_where=text(UNCONFIRMED), postgresql_where=text(UNCONFIRMED),
    ),
    # what is due is looked for each second: neither may read what the other is for
    Index("notices_on_way", "owner", "id", sqlite_where=text(ON_WAY), postgresql_where=text(ON_WAY)),
    Index("notices_unsent", "owner", "front", "id", sqlite_where=text(UNSENT), postgresql_where=text(UNSENT)),
    Index("notices_confirmed", "confirmed_at"),
)  # fmt: skip
