"""Uploads: a file comes in parts, as its sender's network lets it, and is sealed to the bridge as it comes.

A part is cut into chunks; each is sealed and committed before more of it is read. So whatever is lost, of the part that
is cut off too, all that `offset` says is here, and is never asked for again. What is sealed this front cannot read any
more: what a file is, it says itself if it saw all of it, in order; otherwise (it was restarted, or parts came to
another front) the bridge does, when it has it.
"""

import os
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from dmz_front.ledger.attachments import Attachment as Attachment
from dmz_front.ledger.attachments import AttachmentLedger, Quota, Stage, TooMany
from dmz_front.problems.details import Problem
from dmz_front.settings import AttachmentsSection
from protocol.attachments import CHUNK_BYTES, FAULT_CODES, MIN_CHUNK_BYTES, TYPE, Chunk, Manifest, message_id
from protocol.destinations import Route
from protocol.envelope import Kind, Sealer
from protocol.keyring import Keyring
from protocol.media import Examination, MediaType
from protocol.messages import Attributes, uuid7
from protocol.runtime.applications import Application
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.store_health import said

log = logger(__name__)

LONGEST_MS = 3 * 24 * 3_600_000
"""From the beginning of an upload to its end, and from there to the command that names it, at most so long each:
what is sealed can be opened for a week."""
_EXAMINED = 256
"""Uploads whose content this front remembers the examination of."""
_HOUR_MS = 3_600_000
_SANDBOX = "sandbox "
"""Before the name of an application in what its sandbox key uploads: no command of a real key can name it, and nothing
of it is kept."""


class Uploads:
    """Takes files of applications."""

    def __init__(
        self,
        *,
        ledger: AttachmentLedger,
        keyring: Keyring,
        sealer: Sealer,
        route: Route,
        wire_version: Callable[[], int],
        limits: AttachmentsSection,
        clock: Clock,
        ready: Callable[[], object] = lambda: None,
    ) -> None:
        """`route`: of commands, by whose replies the bridge answers. `ready` is called when something may be sent."""
        self._ledger, self._keyring, self._sealer, self._route = ledger, keyring, sealer, route
        self._wire_version, self.limits, self._clock, self._ready = wire_version, limits, clock, ready
        self._examinations: OrderedDict[str, Examination] = OrderedDict()
        self.ended: Counter[str] = Counter()
        """Uploads by what became of them: `complete`, `checking`, or the code of their fault."""

    async def create(self, owner: str, said: Manifest) -> Attachment:
        """A new upload, of which nothing is here yet. Raises Problem 429 or 503."""
        now, limits = self._clock(), self.limits
        new = Attachment(
            uuid7(now, os.urandom(10)),
            owner,
            said.media_type,
            said.length,
            self._fingerprint(said.sha256),
            created_at=now,
            updated_at=now,
            expires_at=now + int(limits.unfinished_hours * _HOUR_MS),
        )
        quota = Quota(limits.count, limits.bytes, limits.total_bytes)
        try:
            await self._ledger.create(new, self._sealed(new, 0, said.payload()), quota)
        except TooMany as error:
            if error.whose == "front":
                raise Problem(503, "attachments-full", retry_after_s=60) from None
            most = f"at most {limits.count} attachments, {limits.bytes} bytes, that no command names yet"
            raise Problem(429, "too-many-attachments", most, retry_after_s=60) from None
        except SQLAlchemyError:
            raise _unavailable() from None
        self._examine(new.id, Examination(said.media_type))
        return new

    async def find(self, owner: str, id: str) -> Attachment:
        """One of an owner's. Raises Problem 404, or 503."""
        try:
            found = await self._ledger.find(id, owner)
        except SQLAlchemyError:
            raise _unavailable() from None
        if found is None:
            raise Problem(404, "unknown-attachment", "it was never begun by this application, or it has expired")
        return found

    async def append(self, owner: str, id: str, offset: int, part: AsyncIterator[bytes]) -> Attachment:
        """Take a part that begins at `offset`, all or what comes of it: `part` may end with `CutOff`.

        Raises Problem 404, 409 with the right offset, 413 for a part that is longer than what is missing, 422 for what
        the file turned out to be.
        """
        known = await self.find(owner, id)
        if known.state is Stage.REJECTED:
            raise rejected(known)
        if known.state is not Stage.UPLOADING or offset != known.received:
            raise misplaced(known, offset)
        buffer = bytearray()
        try:
            async for piece in part:
                buffer += piece
                if len(buffer) > known.length - known.received:
                    raise Problem(413, "body-too-large", f"{known.length - known.received} bytes of it are missing")
                while len(buffer) >= CHUNK_BYTES + MIN_CHUNK_BYTES:  # what is left of a part is no small chunk
                    known = await self._store(known, buffer, CHUNK_BYTES)
        except CutOff:
            if len(buffer) >= MIN_CHUNK_BYTES or known.received + len(buffer) == known.length:
                await self._store_rest(known, buffer)
            raise
        if buffer:
            if len(buffer) < MIN_CHUNK_BYTES and known.received + len(buffer) < known.length:
                least = f"at least {MIN_CHUNK_BYTES} bytes, unless they are the last"
                raise Problem(422, "part-too-small", least, headers=[_offset(known)])
            known = await self._store_rest(known, buffer)
        return known

    async def _store_rest(self, known: Attachment, buffer: bytearray) -> Attachment:
        """Store the end of a part: as two chunks if it is too long for one."""
        if len(buffer) > CHUNK_BYTES:
            known = await self._store(known, buffer, len(buffer) // 2)
        return await self._store(known, buffer, len(buffer))

    async def remove(self, owner: str, id: str) -> None:
        """Forget one that no command names. Raises Problem 404, 409."""
        known = await self.find(owner, id)
        try:
            removed = await self._ledger.remove(known)
        except SQLAlchemyError:
            raise _unavailable() from None
        if not removed:
            raise Problem(422, "attachment-used", "a command names it")

    async def _store(self, known: Attachment, buffer: bytearray, size: int) -> Attachment:
        """Move the first `size` bytes of the buffer into a stored chunk."""
        data = bytes(buffer[:size])
        del buffer[:size]
        envelope = self._sealed(known, known.chunks + 1, Chunk(known.received, data).payload())
        try:
            after = await self._ledger.append(known, size, envelope, self._expiry(known, self.limits.unfinished_hours))
            if after is None:
                raise misplaced(await self.find(known.application, known.id), known.received)
            return await self._looked_at(after, known.received, data)
        except SQLAlchemyError as error:
            log.error("attachment-not-stored", attachment=known.id, reason=said(error))
            raise _unavailable() from None

    async def _looked_at(self, known: Attachment, position: int, data: bytes) -> Attachment:
        """Look at what was stored; at the end of the file, or when it is seen to be wrong, decide."""
        examination = self._examinations.get(known.id)
        if examination is None and position == 0:
            examination = Examination(MediaType(known.media_type))
            self._examine(known.id, examination)
        if examination is not None and examination.length == position:
            examination.update(data)
            if examination.fault is not None and known.received < known.length:
                return await self._decide(known, FAULT_CODES[examination.fault])
        else:
            examination = None
        if known.received < known.length:
            return known
        if examination is None:
            self._examinations.pop(known.id, None)
            self.ended[Stage.CHECKING] += 1
            if known.application.startswith(_SANDBOX):
                return await self._decide(known, "")
            expires = self._expiry(known, self.limits.unused_hours)
            known = await self._ledger.decide(known, Stage.CHECKING, "", expires)
            self._ready()
            return known
        fault = examination.finish(known.length, lambda digest: self._fingerprint(digest) == known.fingerprint)
        return await self._decide(known, FAULT_CODES[fault] if fault else "")

    async def _decide(self, known: Attachment, code: str) -> Attachment:
        self._examinations.pop(known.id, None)
        state = Stage.REJECTED if code else Stage.COMPLETE
        self.ended[code or state] += 1
        known = await self._ledger.decide(known, state, code, self._expiry(known, self.limits.unused_hours))
        if code:
            raise rejected(known)
        self._ready()
        return known

    def _examine(self, id: str, examination: Examination) -> None:
        self._examinations[id] = examination
        if len(self._examinations) > _EXAMINED:
            self._examinations.popitem(last=False)

    def _expiry(self, known: Attachment, hours: float) -> int:
        now = self._clock()
        whole = known.received == known.length
        return min(now + int(hours * _HOUR_MS), known.created_at + (2 if whole else 1) * LONGEST_MS)

    def _fingerprint(self, sha256: str) -> bytes:
        return self._keyring.fingerprint(b"attachment\n" + sha256.encode())

    def _sealed(self, attachment: Attachment, number: int, payload: bytes) -> bytes | None:
        if attachment.application.startswith(_SANDBOX):
            return None
        now = self._clock()
        attributes = Attributes(
            message_id(attachment.id, number),
            f"{self._route.front}/{attachment.application}",
            TYPE,
            now,
            reply_to=self._route.reply_to,
            version=self._wire_version(),
        )
        return self._sealer.seal(Kind.REQUEST, attributes, payload, now_ms=now)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for outcome, count in list(self.ended.items()):
            yield "dmz_front_uploads_total", "Uploads that came to an end", {"outcome": outcome}, count


def owner(application: Application) -> str:
    """By whom what an application uploads can be found: by itself, and not with another kind of key."""
    return f"{_SANDBOX}{application.name}" if application.sandbox else application.name


class CutOff(Exception):
    """The sender went away, or took too long, in the middle of a part."""


def document(known: Attachment) -> dict[str, Any]:
    """What an application is told of its attachment."""
    told: dict[str, Any] = {
        "attachment": known.id,
        "status": known.state,
        "media_type": known.media_type,
        "length": known.length,
        "offset": known.received,
        "expires_at": datetime.fromtimestamp(known.expires_at / 1000, UTC).isoformat(timespec="milliseconds"),
    }
    if known.code:
        told["failure"] = {"code": known.code, "message": _FAULTS[known.code]}
    if known.command is not None:
        del told["expires_at"]
        told["request_id"] = known.command
    return told


_FAULTS = {
    "attachment-type": "its content is not of the media type it was declared to be",
    "attachment-damaged": "it is cut off or damaged",
    "attachment-digest": "its length or SHA-256 is not what was declared",
}


def headers(known: Attachment) -> list[tuple[bytes, bytes]]:
    """Where the upload stands, as draft-ietf-httpbis-resumable-upload says it."""
    return [
        _offset(known),
        (b"upload-length", b"%d" % known.length),
        (b"upload-complete", b"?1" if known.received == known.length else b"?0"),
    ]


def rejected(known: Attachment) -> Problem:
    """Why an upload was not taken."""
    return Problem(422, known.code, f"{_FAULTS[known.code]}; begin anew")


def misplaced(known: Attachment, offset: int) -> Problem:
    """A part that does not begin where the upload stands: a repeated one, or one that comes too early."""
    said = f"the upload stands at {known.received} of {known.length} bytes, the part begins at {offset}"
    return Problem(
        409, "upload-offset", said, headers=headers(known), expected_offset=known.received, provided_offset=offset
    )


def _offset(known: Attachment) -> tuple[bytes, bytes]:
    return b"upload-offset", b"%d" % known.received


def _unavailable() -> Problem:
    return Problem(503, "store-unavailable", retry_after_s=5)
