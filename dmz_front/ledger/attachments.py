"""Attachments in the front's database: what is being uploaded, by whom, and what of it the bridge has not got yet.

::

    uploading ──length reached──► complete ──a command names it──► used ──the command is final──► gone
        │   └── this front did not see all of it ──► checking ──the bridge says so──► complete
        └────────── it is not what it was declared to be ──► rejected

What lies here of a file is sealed to the bridge, and goes when the bridge has it. Of its digest there is a keyed hash.
A row that no command names goes at `expires_at`; a rejected one too, so that its owner can learn why.
"""

from collections.abc import Collection, Sequence
from dataclasses import field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select

from dmz_front.ledger.ledger import Claim
from dmz_front.ledger.rows import ATTACHMENT_MESSAGES, ATTACHMENTS, REQUESTS
from protocol.attachments import MAX_BYTES, MAX_FILES, message_id
from protocol.lifecycle import FINAL
from protocol.media import PICTURES
from protocol.runtime.clock import Clock
from protocol.runtime.store import BATCH, Store
from protocol.values import immutable

_A, _M = ATTACHMENTS.c, ATTACHMENT_MESSAGES.c


class Stage(StrEnum):
    """Where an attachment stands."""

    UPLOADING = "uploading"
    CHECKING = "checking"
    """All of it is here; whether it is what it was declared to be, the bridge will say: this front did not see all."""
    COMPLETE = "complete"
    REJECTED = "rejected"
    """It is not what it was declared to be; `code` says why."""


@immutable
class Attachment:
    """One, as its row says."""

    id: str
    application: str
    media_type: str
    length: int
    fingerprint: bytes = field(repr=False)
    received: int = 0
    chunks: int = 0
    state: Stage = Stage.UPLOADING
    code: str = ""
    command: str | None = None
    created_at: int = 0
    updated_at: int = 0
    expires_at: int = 0


_NAMES = tuple(Attachment.__dataclass_fields__)
_COLUMNS = [_A[name] for name in _NAMES]


class TooMany(Exception):
    """`whose` ("application" or "front") has as many unused attachments as it may."""

    def __init__(self, whose: str) -> None:
        super().__init__(whose)
        self.whose = whose


class NotAttachable(Exception):
    """Why a command is not accepted with the attachments it names."""

    def __init__(self, code: str, named: Sequence[str]) -> None:
        super().__init__(code)
        self.code, self.named = code, tuple(named)


@immutable
class Quota:
    """How much may wait to be used."""

    count: int
    """Attachments of one application."""
    bytes: int
    """Of one application."""
    total_bytes: int
    """Of all."""


@immutable
class Message:
    """A sealed message of the attachments' lane."""

    id: str
    envelope: bytes = field(repr=False)


class AttachmentLedger:
    """The tables `attachments` and `attachment_messages`."""

    def __init__(self, store: Store, front: str, clock: Clock) -> None:
        self._store, self._front, self._clock = store, front, clock

    async def create(self, new: Attachment, manifest: bytes | None, quota: Quota) -> None:
        """A new one, with its sealed manifest; without, of a sandbox, nothing is to be sent. Raises TooMany."""

        def create(connection: Connection) -> None:
            if connection.execute(select(_A.id).where(_A.id == new.id)).first():
                return  # by a commit that seemed to fail
            unused = _A.command.is_(None) & (_A.expires_at > self._clock()) & (_A.state != Stage.REJECTED)
            sums = select(func.count(), func.coalesce(func.sum(_A.length), 0)).where(unused)
            count, size = connection.execute(sums.where(_A.application == new.application)).one()
            if count >= quota.count or size + new.length > quota.bytes:
                raise TooMany("application")
            if connection.execute(sums).one()[1] + new.length > quota.total_bytes:
                raise TooMany("front")
            connection.execute(ATTACHMENTS.insert(), {name: getattr(new, name) for name in _NAMES})
            self._add(connection, new.id, 0, manifest)

        await self._store.write(create)

    async def find(self, id: str, application: str) -> Attachment | None:
        """One of an application's, unless it has expired."""
        there = select(*_COLUMNS).where(_A.id == id, _A.application == application)
        there = there.where(or_(_A.command.is_not(None), _A.expires_at > self._clock()))
        found = await self._store.read(lambda connection: connection.execute(there).first())
        return None if found is None else _attachment(found)

    async def append(
        self, known: Attachment, data_length: int, envelope: bytes | None, expires_at: int
    ) -> Attachment | None:
        """Store the next chunk behind what `known` says is there; None, and nothing done, if that is so no more."""
        now, number = self._clock(), known.chunks + 1
        changes: dict[str, Any] = {
            "received": known.received + data_length, "chunks": number, "updated_at": now, "expires_at": expires_at,
        }  # fmt: skip
        there = (_A.id == known.id) & (_A.received == known.received) & (_A.chunks == known.chunks)

        def append(connection: Connection) -> bool:
            done = select(_M.id).where(_M.id == message_id(known.id, number), _M.envelope == envelope)
            if envelope is not None and connection.execute(done).first():  # by a commit that seemed to fail
                return True
            moved = ATTACHMENTS.update().where(there, _A.state == Stage.UPLOADING)
            if not connection.execute(moved.values(changes)).rowcount:
                return False
            self._add(connection, known.id, number, envelope)
            return True

        stored = await self._store.write(append)
        return _changed(known, changes) if stored else None

    async def decide(self, known: Attachment, state: Stage, code: str, expires_at: int) -> Attachment:
        """What became of an upload: checking, complete or rejected. Of a rejected one the messages go."""
        changes: dict[str, Any] = {
            "state": state, "code": code, "updated_at": self._clock(), "expires_at": expires_at,
        }  # fmt: skip

        def decide(connection: Connection) -> None:
            connection.execute(ATTACHMENTS.update().where(_A.id == known.id).values(changes))
            if state is Stage.REJECTED:
                connection.execute(ATTACHMENT_MESSAGES.delete().where(_M.attachment == known.id))

        await self._store.write(decide)
        return _changed(known, changes)

    async def remove(self, known: Attachment) -> bool:
        """Remove one that no command names; False if one does."""

        def remove(connection: Connection) -> bool:
            unused = ATTACHMENTS.delete().where(_A.id == known.id, _A.command.is_(None))
            if connection.execute(unused).rowcount:
                connection.execute(ATTACHMENT_MESSAGES.delete().where(_M.attachment == known.id))
            # not by what was removed now: a commit that seemed to fail may have done it
            return connection.execute(select(_A.id).where(_A.id == known.id)).first() is None

        return await self._store.write(remove)

    def claim(self, command: str, application: str, ids: Sequence[str], types: Collection[str] = PICTURES) -> Claim:
        """What is done in the transaction that accepts a command (`Ledger.accept`): its attachments are its own then,
        and no other command's. `types`: what media it takes. Raises NotAttachable there.
        """
        return lambda connection: self._claim(connection, command, application, ids, types)

    def _claim(
        self, connection: Connection, command: str, application: str, ids: Sequence[str], types: Collection[str]
    ) -> None:
        mine = select(*_COLUMNS).where(_A.id.in_(ids), _A.application == application)
        rows = {row.id: _attachment(row) for row in connection.execute(mine.order_by(_A.id).with_for_update())}
        now = self._clock()
        odd: dict[str, list[str]] = {}
        for id in ids:
            code = _not_attachable(rows.get(id), command, now, types)
            if code:
                odd.setdefault(code, []).append(id)
        if odd:
            code, named = next(iter(odd.items()))
            raise NotAttachable(code, named)
        if len(ids) > MAX_FILES or sum(row.length for row in rows.values()) > MAX_BYTES:
            raise NotAttachable("attachments-too-large", ids)
        connection.execute(ATTACHMENTS.update().where(_A.id.in_(ids)).values(command=command, updated_at=now))

    # --- on their way to the bridge ------------------------------------------------------------------------

    async def due(self, in_hand: Sequence[str], limit: int) -> list[Message]:
        """The first messages of this front that may go, but those in hand."""
        statement = (
            select(_M.id, _M.envelope)
            .join(ATTACHMENTS, _A.id == _M.attachment)
            .where(_M.front == self._front, _A.state.in_([Stage.CHECKING, Stage.COMPLETE]), _M.id.not_in(in_hand))
            .order_by(_A.command.is_(None), _M.attachment, _M.number)
            .limit(limit)
        )
        rows = await self._store.read(lambda connection: connection.execute(statement).all())
        return [Message(row.id, row.envelope) for row in rows]

    async def arrived(self, ids: Sequence[str], verdicts: dict[str, str]) -> None:
        """The bridge has these messages; `verdicts`: attachment → "" for whole and sound, or the code of its fault."""

        def arrived(connection: Connection) -> None:
            connection.execute(ATTACHMENT_MESSAGES.delete().where(_M.id.in_(ids)))
            for id, code in sorted(verdicts.items()):
                waits = ATTACHMENTS.update().where(_A.id == id, _A.state == Stage.CHECKING)
                state = Stage.REJECTED if code else Stage.COMPLETE
                connection.execute(waits.values(state=state, code=code, updated_at=self._clock()))

        await self._store.write(arrived)

    def adopt(self, connection: Connection, fronts: Sequence[str]) -> int:
        """Make ours the messages of dead fronts; returns how many."""
        theirs = ATTACHMENT_MESSAGES.update().where(_M.front.in_(fronts))
        return connection.execute(theirs.values(front=self._front)).rowcount

    # --- now and then ----------------------------------------------------------------------------------------

    async def settle(self, idle_ms: int) -> int:
        """Have the bridge look at uploads that are whole, and whose front died before it said what they are."""
        now = self._clock()
        left = (_A.state == Stage.UPLOADING) & (_A.received == _A.length) & (_A.updated_at < now - idle_ms)
        statement = ATTACHMENTS.update().where(left).values(state=Stage.CHECKING, updated_at=now)
        there = await self._store.read(
            lambda connection: connection.execute(select(_A.id).where(left).limit(1)).first()
        )
        return await self._store.write(lambda connection: connection.execute(statement).rowcount) if there else 0

    async def forget(self) -> int:
        """Remove what has expired unused, and what was named by commands that are final; returns how many."""
        needing = select(REQUESTS.c.id).where(REQUESTS.c.id == _A.command, REQUESTS.c.state.not_in(sorted(FINAL)))
        done = _A.command.is_not(None) & ~needing.exists()
        gone = select(_A.id).where(or_(done, _A.command.is_(None) & (_A.expires_at <= self._clock())))

        def page(connection: Connection) -> Sequence[str]:
            return connection.execute(gone.limit(BATCH)).scalars().all()

        def forget(connection: Connection, found: Sequence[str]) -> Sequence[int]:
            # one that is locked is being claimed
            still = gone.where(_A.id.in_(found)).with_for_update(skip_locked=True)
            ids = connection.execute(still).scalars().all()
            connection.execute(ATTACHMENT_MESSAGES.delete().where(_M.attachment.in_(ids)))
            connection.execute(ATTACHMENTS.delete().where(_A.id.in_(ids)))
            return [len(ids), *[0] * (len(found) - 1)]

        return await self._store.in_batches(page, forget)

    async def counts(self) -> dict[str, int]:
        """Attachments by state."""
        statement = select(_A.state, func.count()).group_by(_A.state)
        rows = await self._store.read(lambda connection: connection.execute(statement).all())
        return {row.state: row[1] for row in rows}

    def _add(self, connection: Connection, id: str, number: int, envelope: bytes | None) -> None:
        if envelope is None:
            return
        row = {
            "id": message_id(id, number), "attachment": id, "number": number, "front": self._front,
            "envelope": envelope,
        }  # fmt: skip
        connection.execute(ATTACHMENT_MESSAGES.insert(), row)


def _not_attachable(found: Attachment | None, command: str, now: int, types: Collection[str]) -> str:
    """The code of what keeps a command from using it; empty if nothing does."""
    if found is None or (found.command is None and found.expires_at <= now):
        return "no-such-attachment"
    if found.command not in (None, command):
        return "attachment-used"
    if found.media_type not in types:
        return "attachment-not-taken"
    if found.state is Stage.REJECTED:
        return found.code
    return "" if found.state is Stage.COMPLETE else "attachment-incomplete"


def _changed(known: Attachment, changes: dict[str, Any]) -> Attachment:
    return Attachment(**{name: getattr(known, name) for name in _NAMES} | changes)


def _attachment(found: Row[Any]) -> Attachment:
    values = dict(found._mapping)
    return Attachment(**values | {"state": Stage(values["state"])})
