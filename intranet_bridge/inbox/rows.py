"""The bridge's tables, and what is read from and written to them (inbox.py says when)."""

from collections.abc import Iterable
from dataclasses import field

from pydantic import BaseModel
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    or_,
    text,
)

from intranet_bridge.at_rest import store_key_table
from intranet_bridge.inbox.ordering import QueuedCommand
from protocol.envelope import Opened
from protocol.lifecycle import State
from protocol.runtime.audit import audit_tables
from protocol.runtime.decisions import answered_decisions_table, decisions_table
from protocol.runtime.history import history_table
from protocol.runtime.lease import instances
from protocol.runtime.maintenance import maintenance_table
from protocol.runtime.poison import poison_table
from protocol.values import immutable

METADATA = MetaData()
INSTANCES = instances(METADATA)
POISON = poison_table(METADATA)
AUDIT = audit_tables(METADATA)
DECISIONS = decisions_table(METADATA)
HISTORY = history_table(METADATA)
MAINTENANCE = maintenance_table(METADATA)
STORE_KEY = store_key_table(METADATA)
ANSWERED_DECISIONS = answered_decisions_table(METADATA)
IDENTITY = Table(
    "identity",
    METADATA,
    Column("only", Integer, primary_key=True, autoincrement=False),  # 1: there is one row
    Column("inbox", String(36), nullable=False),
)
UNTOLD = "reply IS NOT NULL AND replied_at IS NULL"
"""Rows with an outcome that who is to know of it has not confirmed. As text, because a partial index is used only by a
query that says the same."""
UNFINISHED = "state NOT IN ('accepted', 'sent', 'held', 'succeeded', 'refused', 'failed', 'expired')"
"""What is received, calling or unknown. NOT IN, because SQLite would take IN for the index of states, and sort."""
INBOX = Table(
    "inbox",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("owner", String(64), nullable=False),
    Column("operation", String(64), nullable=False),
    Column("source", String(160), nullable=False),
    Column("subject", String(160), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("reply", LargeBinary),
    Column("reply_to", String(160), nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("code", String(64), nullable=False, default=""),
    Column("note", String(400), nullable=False, default=""),
    Column("received_at", BigInteger, nullable=False),
    Column("calling_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    Column("replied_at", BigInteger),
    Column("decided_at", BigInteger),
    Column("after", String(64)),  # its predecessor, or empty; null: wire version 1 does not say
    Column("crashes", Integer, nullable=False, server_default="0"),
    Column("inquiring_at", BigInteger),
    Column("likeness", LargeBinary(16)),  # keyed hash of what it asks for (intake/repetition.py)
    Index("inbox_state", "owner", "state", "updated_at"),
    Index("inbox_untold", "owner", "updated_at", sqlite_where=text(UNTOLD), postgresql_where=text(UNTOLD)),
    Index(
        "inbox_decided",
        "owner",
        "decided_at",
        sqlite_where=text("decided_at IS NOT NULL"),
        postgresql_where=text("decided_at IS NOT NULL"),
    ),
    Index(
        "inbox_inquiring",
        "owner",
        "inquiring_at",
        sqlite_where=text("inquiring_at IS NOT NULL"),
        postgresql_where=text("inquiring_at IS NOT NULL"),
    ),
    Index(
        "inbox_unfinished",
        "owner",
        "operation",
        "sequence",
        sqlite_where=text(UNFINISHED),
        postgresql_where=text(UNFINISHED),
    ),
    Index(
        "inbox_keys",
        "owner",
        "subject",
        "sequence",
        sqlite_where=text(UNFINISHED),
        postgresql_where=text(UNFINISHED),
    ),
)


def state_is_one_of(states: Iterable[State]) -> ColumnElement[bool]:
    """Of a row of INBOX. Not IN, which SQLAlchemy cannot execute for many rows at once (executemany)."""
    return or_(*(INBOX.c.state == state for state in states))


ATTACHMENTS = Table(
    "attachments",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("length", Integer),  # null until its manifest is here
    Column("received", Integer, nullable=False),  # bytes of its chunks
    Column("state", String(16), nullable=False),
    Column("fault", String(16), nullable=False),
    Column("reference", String(200)),  # what the marketing system calls it, once it has it
    Column("updated_at", BigInteger, nullable=False),
    Column("front", String(64), nullable=False, server_default=text("''")),  # as the bridge's configuration calls it
    Column("kept", BigInteger, nullable=False, server_default="0"),  # bytes that it takes here
    Index("attachments_updated", "updated_at"),
    Index("attachments_front", "front", "kept"),
)
ATTACHMENT_MESSAGES = Table(
    "attachment_messages",
    METADATA,
    Column("attachment", String(36), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # 0: the manifest
    Column("envelope", LargeBinary, nullable=False),
)
ATTACHMENT_USES = Table(
    "attachment_uses",
    METADATA,
    Column("request", String(64), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("attachment", String(36), nullable=False),
    Index("attachment_uses_attachment", "attachment"),
)
"""Which command names which attachments, in its order."""


@immutable
class Failed:
    """Why a command is failed (or held) before anything is done with it, and the sealed reply that says so."""

    code: str
    note: str
    reply: bytes = field(repr=False)
    state: State = State.FAILED


@immutable
class Received:
    """A command as it arrived."""

    id: str
    operation: str
    source: str
    subject: str
    reply_to: str
    deadline: int
    envelope: bytes = field(repr=False)
    after: str | None = None
    """Its predecessor, or empty; None if the front did not say."""
    state: State = State.RECEIVED
    """UNKNOWN if another inbox may have had it before: then its outcome is unknown from the beginning."""
    failed: Failed | None = None
    """It is failed, or held, from the beginning."""
    attachments: tuple[str, ...] = ()
    """Those it names."""
    likenesses: tuple[bytes, ...] = field(default=(), repr=False)
    """By which it is known again; the first is kept."""
    opened: Opened | None = field(default=None, repr=False)
    """What the envelope says, and the body that the catalogue accepts, for who works on it now."""
    body: BaseModel | None = field(default=None, repr=False)


@immutable
class Known:
    """What the inbox held of a command when it arrived once more."""

    state: State
    reply: bytes | None = field(repr=False)
    ours: bool = False
    """It waits for this bridge to begin with it."""


@immutable
class OperatorDecision:
    """A held row an operator decided."""

    id: str
    state: State
    code: str
    note: str
    reply_to: str
    envelope: bytes = field(repr=False)
    command: QueuedCommand
