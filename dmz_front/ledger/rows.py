"""The front's tables, and a command as one row of them.

A row holds the request sealed for the bridge and, in its stead in the end, the reply sealed for the fronts, exactly as
they travel: whoever reads this database reads no customer's data. Who has the front's keys too could read replies, so
those that callers have had are dropped (`delivery.repeat_days`). Idempotency keys and bodies are kept as keyed hashes.
"""

from dataclasses import field
from typing import Any

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
    select,
    text,
)
from sqlalchemy import Row as SqlRow

from protocol.administration import Choice
from protocol.lifecycle import State
from protocol.runtime.audit import audit_tables
from protocol.runtime.file_store import file_tables
from protocol.runtime.history import history_table
from protocol.runtime.lease import instances
from protocol.runtime.maintenance import maintenance_table
from protocol.runtime.outbox import Entry
from protocol.runtime.poison import poison_table
from protocol.runtime.region_inbox import METADATA as SHARED_METADATA
from protocol.runtime.statistics import statistics_tables
from protocol.values import immutable

METADATA: MetaData = SHARED_METADATA
"""The front's tables live in one database with the applications' keys and the inbox's address."""

INSTANCES = instances(METADATA)
HISTORY = history_table(METADATA)

IN_ORDER = "subject <> '' AND state IN ('accepted', 'sent')"
"""Rows a later one of the same subject comes after: what is final or held keeps nobody waiting. As text, because a
partial index is used only by a query that says the same."""

KEPT = "reply IS NOT NULL"
"""Rows whose sealed reply is still here."""

OPEN = "state NOT IN ('succeeded', 'refused', 'failed', 'expired')"
"""Rows that are not final. NOT IN, because SQLite would take IN for the index of states, and sort."""

WAITING = "state NOT IN ('succeeded', 'refused', 'failed', 'expired', 'held')"
"""Rows that nobody has an outcome of."""

REQUESTS = Table(
    "requests",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("front", String(64), nullable=False),
    Column("application", String(64), nullable=False),
    Column("idempotency_key", String(64), nullable=False),
    Column("fingerprint", LargeBinary(32), nullable=False),
    Column("operation", String(64), nullable=False),
    Column("destination", String(160), nullable=False),
    Column("state", String(16), nullable=False),
    Column("code", String(64), nullable=False, default=""),
    Column("envelope", LargeBinary, nullable=False),
    Column("reply", LargeBinary),
    Column("accepted_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("sends", Integer, nullable=False, default=0),
    Column("subject", String(64), nullable=False, default="", server_default=text("''")),
    Column("position", Integer, nullable=False, default=0, server_default="0"),
    Column("answered_at", BigInteger),  # when a caller was first given the final outcome
    Index("requests_idempotency", "application", "idempotency_key", unique=True),
    Index("requests_state", "state", "sent_at"),
    Index("requests_order", "subject", "position", sqlite_where=text(IN_ORDER), postgresql_where=text(IN_ORDER)),
    Index("requests_answered", "answered_at", sqlite_where=text(KEPT), postgresql_where=text(KEPT)),
    Index(
        "requests_open",
        "front",
        "state",
        "operation",
        "sends",
        "sent_at",
        "id",
        sqlite_where=text(OPEN),
        postgresql_where=text(OPEN),
    ),
    Index("requests_waiting", "operation", "id", sqlite_where=text(WAITING), postgresql_where=text(WAITING)),
)

ATTACHMENTS = Table(
    "attachments",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("application", String(80), nullable=False),  # a sandbox's is marked
    Column("media_type", String(32), nullable=False),
    Column("length", Integer, nullable=False),
    Column("fingerprint", LargeBinary(32), nullable=False),  # keyed hash of the digest it was declared with
    Column("received", Integer, nullable=False),  # bytes
    Column("chunks", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("code", String(64), nullable=False),
    Column("command", String(36)),  # the one that names it
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("attachments_application", "application"),
    Index("attachments_command", "command"),
)
"""Files that were, or are being, uploaded."""

ATTACHMENT_MESSAGES = Table(
    "attachment_messages",
    METADATA,
    Column("id", String(48), primary_key=True),
    Column("attachment", String(36), nullable=False),
    Column("number", Integer, nullable=False),
    Column("front", String(64), nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Index("attachment_messages_attachment", "attachment", "number"),
    Index("attachment_messages_front", "front"),
)
"""What is sealed of them and not at the bridge yet."""

DECISIONS = Table(
    "decisions",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("request", String(36), nullable=False),
    Column("choice", String(16), nullable=False),
    Column("decided_by", String(64), nullable=False),
    Column("note", String(400), nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("front", String(64), nullable=False),
    Column("standing", String(16), nullable=False),  # pending, done, refused
    Column("because", String(400), nullable=False),
    Column("destination", String(160), nullable=False),
    Column("envelope", LargeBinary, nullable=False),  # empty when it is answered
    Column("sent_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    Index("decisions_request", "request"),
    Index("decisions_standing", "standing", "front"),
)
"""What operators decided at the fronts, for the bridge to carry out."""

QUOTA_USE = Table(
    "quota_use",
    METADATA,
    Column("day", String(10), primary_key=True),
    Column("front", String(64), primary_key=True),
    Column("application", String(64), primary_key=True),
    Column("operation", String(64), primary_key=True),
    Column("used", BigInteger, nullable=False),
)
"""What of the daily quotas is used, by calendar day and front."""

FILES = file_tables(METADATA)
POISON = poison_table(METADATA)
AUDIT = audit_tables(METADATA)
MAINTENANCE = maintenance_table(METADATA)
STATISTICS = statistics_tables(METADATA)


def being_ended(request: ColumnElement[str]) -> ColumnElement[bool]:
    """Of commands: a decision that ends it waits for a bridge's answer."""
    ends = DECISIONS.c.choice.in_([Choice.CANCEL.value, Choice.NOT_APPLIED.value])
    pending = DECISIONS.c.standing == "pending"
    return select(DECISIONS.c.id).where(DECISIONS.c.request == request, pending, ends).exists()


@immutable
class Row:
    """A command as the ledger holds it."""

    id: str
    front: str
    application: str
    idempotency_key: str
    """Keyed hash of the caller's Idempotency-Key."""
    fingerprint: bytes = field(repr=False)
    """Keyed hash of operation and body: the same key with another one is a mistake of the caller's."""
    operation: str = ""
    destination: str = ""
    state: State = State.ACCEPTED
    code: str = ""
    envelope: bytes = field(default=b"", repr=False)
    reply: bytes | None = field(default=None, repr=False)
    accepted_at: int = 0
    updated_at: int = 0
    expires_at: int = 0
    subject: str = ""
    """Pseudonym of the ordering key, or empty: no order."""
    position: int = 0
    """Grows along the unfinished rows of a subject."""
    answered_at: int | None = None
    """When a caller was first given the final outcome."""

    def entry(self) -> Entry:
        """What the outbox has to send for this row."""
        return entry_of(self)


def entry_of(row: Any) -> Entry:
    """The same of a row that was read."""
    # Without its expiry: what the broker drops, the bridge never sees, and nobody tells the front that it expired
    return Entry(row.id, row.destination, row.envelope)


NAMES = tuple(Row.__dataclass_fields__)
"""The columns of REQUESTS that a `Row` holds."""
COLUMNS = [REQUESTS.c[name] for name in NAMES]


def row_of(found: SqlRow[Any]) -> Row:
    """The row of a result over COLUMNS."""
    values = dict(found._mapping)
    return Row(**values | {"state": State(values["state"])})
