"""The table of notices, in the front's database: each sealed as it came; whoever reads it reads no customer's data.

An outcome of a command whose caller named a callback is a row like them, without a place in what is asked for.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, text

from dmz_front.ledger.rows import METADATA

WAITING = "state = 'waiting'"

NOTICES = Table(
    "notices",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("application", String(64), nullable=False),
    Column("place", BigInteger),  # among the application's notices; null: an outcome
    Column("stream", String(22), nullable=False),  # pseudonym of the account; empty: in no order
    Column("sequence", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("front", String(64), nullable=False),  # who delivers it
    Column("callback", String(64), nullable=False),  # empty: nobody is called
    Column("state", String(16), nullable=False),  # waiting, delivered, dead; kept: for who asks alone
    Column("attempts", Integer, nullable=False),
    Column("since", BigInteger, nullable=False),  # from when on it is tried
    Column("next_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("fault", String(200), nullable=False),  # of the latest attempt
    Index("notices_place", "application", "place", unique=True),
    Index(
        "notices_waiting", "application", "stream", "sequence",
        sqlite_where=text(WAITING), postgresql_where=text(WAITING),
    ),
    Index("notices_state", "state", "recorded_at"),
)  # fmt: skip
PLACES = Table(
    "notice_places",
    METADATA,
    Column("application", String(64), primary_key=True),
    Column("last", BigInteger, nullable=False),
)
"""The latest place of each application. Its row is held until the commit, so that places appear in their order."""
CALLBACKS = Table(
    "request_callbacks",
    METADATA,
    Column("request", String(36), primary_key=True),
    Column("callback", String(64), nullable=False),
)
"""Which callback a command named for its outcome; gone with the final one."""
