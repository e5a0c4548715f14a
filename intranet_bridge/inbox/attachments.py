"""Attachments in the bridge's database: their messages as they came, sealed, until the command that names them is done.

A message is on disk before it is acknowledged. When the last one of a file is here the file is opened once and looked
at: then it is `whole`, or `bad` for ever. A command is not called before all that it names is whole. What nobody names
goes after `unclaimed_ms`, what a command named as soon as that is final; a held one keeps its own.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import field
from enum import StrEnum
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, func, select

from intranet_bridge.inbox.rows import ATTACHMENT_MESSAGES, ATTACHMENT_USES, ATTACHMENTS, INBOX
from intranet_bridge.marketing import AttachedFile
from protocol.attachments import MAX_BYTES, Chunk, Manifest, parsed_id
from protocol.envelope import Opened, Opener
from protocol.errors import EnvelopeError, NotAdmitted, OutOfRange
from protocol.lifecycle import FINAL
from protocol.media import Examination, Fault
from protocol.messages import fitted
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.store import BATCH, Store
from protocol.runtime.store_statements import insert_new
from protocol.values import immutable

log = logger(__name__)

_A, _M, _U = ATTACHMENTS.c, ATTACHMENT_MESSAGES.c, ATTACHMENT_USES.c
_REFERENCE = 200
_LEAST = 16 * 1024
"""Bytes that an attachment is taken for besides its messages: so many that are begun and never end are bounded too."""


class Stage(StrEnum):
    """How far an attachment is here."""

    RECEIVING = "receiving"
    WHOLE = "whole"
    BAD = "bad"


@immutable
class Message:
    """One message of an attachment, opened and found in order."""

    attachment: str
    number: int
    size: int
    """Bytes of the file in it."""
    length: int | None
    """Of the file, if this is its manifest."""
    envelope: bytes = field(repr=False)


@immutable
class Share:
    """Of what is kept: what one front may have of it."""

    front: str
    """As the configuration calls it."""
    most: int
    """Bytes."""
    others: frozenset[str] = frozenset()
    """The other fronts that the configuration has: what is theirs is no matter of this one's."""


@immutable
class Standing:
    """What is here of an attachment."""

    stage: Stage
    fault: Fault | None
    all_here: bool


@immutable
class Waiting:
    """Why a command cannot be called yet, or at all."""

    missing: int
    """Attachments that are not whole here."""
    fault: Fault | None
    """Of one that can never be used."""
    since: int
    """When the command was recorded, epoch ms."""


class _NotWhole(Exception):
    """Messages of it are gone: its command is final, or it was forgotten."""


class AttachmentInbox:
    """The tables of attachments, and the way from them to a file."""

    def __init__(self, store: Store, opener: Opener, clock: Clock) -> None:
        """`opener`: one of its own, for it is used in another thread."""
        self._store, self._opener, self._clock = store, opener, clock
        self._opening = asyncio.Lock()

    async def store(self, message: Message, share: Share) -> Standing:
        """Write a message down; one that is there already changes nothing. Raises OutOfRange for more than the file
        has and for another front's file, which no honest front sends; NotAdmitted for more than its front may have
        kept here: it may be sent again when there is room.
        """
        return await self._store.write(partial(self._stored, message, share))

    def _stored(self, message: Message, share: Share, connection: Connection) -> Standing:
        now, id = self._clock(), message.attachment
        new = {
            "id": id, "received": 0, "state": Stage.RECEIVING, "fault": "", "updated_at": now, "front": share.front,
            "kept": _LEAST,
        }  # fmt: skip
        insert_new(connection, ATTACHMENTS, [new])
        row = connection.execute(select(ATTACHMENTS).where(_A.id == id).with_for_update()).one()
        received, length = row.received, row.length
        if row.front in share.others:
            raise OutOfRange("an attachment of another front's")
        values = {"attachment": id, "number": message.number, "envelope": message.envelope}
        if row.state == Stage.RECEIVING and insert_new(connection, ATTACHMENT_MESSAGES, [values]):
            received += message.size
            length = message.length or length
            if received > (length or MAX_BYTES):
                raise OutOfRange("more of an attachment than it has")
            size = len(message.envelope)
            held = select(func.coalesce(func.sum(_A.kept), 0)).where(_A.front == row.front)
            if connection.execute(held).scalar_one() + size > share.most:
                raise NotAdmitted("more bytes of attachments than its front may have kept here")
            changes = {"received": received, "length": length, "updated_at": now, "kept": row.kept + size}
            connection.execute(ATTACHMENTS.update().where(_A.id == id).values(changes))
        fault = Fault(row.fault) if row.fault else None
        return Standing(Stage(row.state), fault, received == length)

    async def examine(self, id: str) -> Fault | None:
        """Look at a file that is all here, and write down what was found."""
        try:
            _, fault = await self._opened(id, look=True)
        except (_NotWhole, EnvelopeError) as error:
            log.error("attachment-unreadable", attachment=id, error=type(error).__name__)
            fault = Fault.DIGEST
        stage = Stage.BAD if fault else Stage.WHOLE
        changes: dict[str, Any] = {"state": stage, "fault": fault or "", "updated_at": self._clock()}
        if fault:
            changes["kept"] = _LEAST

        def decide(connection: Connection) -> Fault | None:
            undecided = ATTACHMENTS.update().where(_A.id == id, _A.state == Stage.RECEIVING)
            if not connection.execute(undecided.values(changes)).rowcount:
                # by another look at this moment, which has removed what this one then missed
                said = connection.execute(select(_A.fault).where(_A.id == id)).scalar()
                return fault if said is None else Fault(said) if said else None
            if fault:
                connection.execute(ATTACHMENT_MESSAGES.delete().where(_M.attachment == id))
            return fault

        fault = await self._store.write(decide)
        if fault:
            log.warning("attachment-refused", attachment=id, fault=fault)
        return fault

    async def waiting(self, request: str) -> Waiting | None:
        """Why a command has to wait for what it names; None if it need not."""
        named = select(_U.attachment, _A.state, _A.fault, INBOX.c.received_at)
        named = named.join(INBOX, INBOX.c.id == _U.request).outerjoin(ATTACHMENTS, _A.id == _U.attachment)
        statement = named.where(_U.request == request)
        rows = await self._store.read(lambda connection: connection.execute(statement).all())
        missing = [row for row in rows if row.state != Stage.WHOLE]
        if not missing:
            return None
        faults = [Fault(row.fault) for row in missing if row.fault]
        return Waiting(len(missing), faults[0] if faults else None, missing[0].received_at)

    async def files(self, request: str) -> tuple[AttachedFile, ...]:
        """What a command names, in its order, to be read when it is needed. All of it is whole."""
        named = select(_U.attachment, _A.reference, _M.envelope)
        named = named.join(ATTACHMENTS, _A.id == _U.attachment)
        named = named.join(ATTACHMENT_MESSAGES, (_M.attachment == _U.attachment) & (_M.number == 0))
        statement = named.where(_U.request == request).order_by(_U.place)
        rows = await self._store.read(lambda connection: connection.execute(statement).all())
        async with self._opening:
            manifests = [Manifest.from_payload(self._opener.authentic(row.envelope).payload) for row in rows]
        return tuple(
            AttachedFile(
                row.attachment,
                said.media_type,
                said.length,
                said.sha256,
                row.reference,
                partial(self._read, row.attachment),
                partial(self._remember, row.attachment),
            )
            for row, said in zip(rows, manifests, strict=True)
        )

    async def _read(self, id: str) -> bytes:
        return (await self._opened(id, look=False))[0]

    async def _remember(self, id: str, reference: str) -> None:
        statement = ATTACHMENTS.update().where(_A.id == id).values(reference=fitted(reference, _REFERENCE))
        await self._store.write(lambda connection: connection.execute(statement).rowcount)

    async def _opened(self, id: str, *, look: bool) -> tuple[bytes, Fault | None]:
        statement = select(_M.envelope).where(_M.attachment == id).order_by(_M.number)
        envelopes = await self._store.read(lambda connection: list(connection.execute(statement).scalars()))
        async with self._opening:  # one at a time: a file may be 20 MB
            return await asyncio.to_thread(_joined, self._opener, envelopes, look)

    async def forget(self, unclaimed_ms: int) -> int:
        """Remove what belongs to commands that are final, or gone, and what nobody named in time; returns how many."""
        needing = select(INBOX.c.id).where(INBOX.c.id == _U.request, INBOX.c.state.not_in(sorted(FINAL)))
        done = select(_U.request).where(~needing.exists()).distinct()
        named = select(_U.attachment).where(_U.attachment == _A.id)
        old = select(_A.id).where(_A.updated_at < self._clock() - unclaimed_ms, ~named.exists())
        forgotten = 0

        def let_go(connection: Connection, requests: Sequence[str]) -> Sequence[int]:
            nonlocal forgotten
            uses = select(_U.attachment).where(_U.request.in_(requests))
            gone = set(connection.execute(uses).scalars())
            deleted = connection.execute(ATTACHMENT_USES.delete().where(_U.request.in_(requests))).rowcount
            gone -= set(connection.execute(select(_U.attachment).where(_U.attachment.in_(gone))).scalars())
            forgotten += _delete(connection, sorted(gone))
            return [deleted, *[0] * (len(requests) - 1)]

        def forget(connection: Connection, ids: Sequence[str]) -> Sequence[int]:
            gone = connection.execute(old.where(_A.id.in_(ids))).scalars().all()
            return [_delete(connection, gone), *[0] * (len(ids) - 1)]

        await self._store.in_batches(lambda connection: _first(connection, done), let_go)
        return forgotten + await self._store.in_batches(lambda connection: _first(connection, old), forget)

    async def count(self) -> dict[str, int]:
        """Attachments by state."""
        statement = select(_A.state, func.count()).group_by(_A.state)
        rows = await self._store.read(lambda connection: connection.execute(statement).all())
        return {row.state: row[1] for row in rows}


def _first(connection: Connection, wanted: Select[Any]) -> Sequence[str]:
    return connection.execute(wanted.limit(BATCH)).scalars().all()


def _delete(connection: Connection, ids: Sequence[str]) -> int:
    connection.execute(ATTACHMENT_MESSAGES.delete().where(_M.attachment.in_(ids)))
    return connection.execute(ATTACHMENTS.delete().where(_A.id.in_(ids))).rowcount


def message_of(opened: Opened, envelope: bytes) -> Message:
    """What an authentic request of the attachments' lane is. Raises Malformed."""
    attachment, number = parsed_id(opened.attributes.id)
    if number == 0:
        return Message(attachment, 0, 0, Manifest.from_payload(opened.payload).length, envelope)
    return Message(attachment, number, len(Chunk.from_payload(opened.payload).data), None, envelope)


def _joined(opener: Opener, envelopes: Sequence[bytes], look: bool) -> tuple[bytes, Fault | None]:
    """The file, and what is wrong with it if it was to be looked at. Raises _NotWhole, EnvelopeError."""
    if not envelopes:
        raise _NotWhole
    first = opener.authentic(envelopes[0])
    if parsed_id(first.attributes.id)[1] != 0:
        raise _NotWhole
    manifest = Manifest.from_payload(first.payload)
    content = bytearray()
    for envelope in envelopes[1:]:
        chunk = Chunk.from_payload(opener.authentic(envelope).payload)
        if chunk.position != len(content):
            raise _NotWhole
        content += chunk.data
    if len(content) != manifest.length:
        raise _NotWhole
    if not look:
        return bytes(content), None
    examination = Examination(manifest.media_type)
    examination.update(bytes(content))
    return b"", examination.finish(manifest.length, lambda digest: digest == manifest.sha256)
