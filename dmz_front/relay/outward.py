"""Files for platforms: taken from the bridge, kept sealed until they are whole, laid down at their target.

::

    manifest, chunks ─► database (sealed as they came) ─► whole ─► .NAME.tmp ─► NAME ─► NAME.ok ─► the bridge hears
                                                                                └► refused: another file has its name

A kill or a broken connection at any step leaves a file that is laid down again, or is found to be there already: a name
that is taken is an error unless size and digest are ours.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum

from dmz_front.files_section import FileTargetSection
from dmz_front.relay.places import Place, PlaceError, each_apart
from dmz_front.relay.standing import Standing
from protocol.backoff import Backoff
from protocol.chunks import CHUNK_BYTES
from protocol.envelope import Kind, Opener
from protocol.errors import EnvelopeError, LinkError, Malformed, WrongKind
from protocol.file_transfer import MARKER, TYPE, FileManifest, Progress, Stage, checked_chunk, marker, parsed_id
from protocol.frames import pack, unpack
from protocol.link.dead_letter import dead_letter
from protocol.link.port import Delivery, Link
from protocol.messages import Reply
from protocol.runtime.clock import Clock
from protocol.runtime.file_store import Direction, FileRow, FileState, FileStore, Held, Unreadable, progress
from protocol.runtime.logs import logger
from protocol.runtime.retry import now_and_then, until_done
from protocol.runtime.store_health import said

log = logger(__name__)

_AGAIN = Backoff(0.1, 5.0, lambda: 0.0)
_LONGEST_PAUSE_S = 60.0


class Laid(StrEnum):
    """What came of laying a file down."""

    DONE = "done"
    TARGET_EXISTS = "target-exists"
    """Another file has its name."""


class NotWritten(PlaceError):
    """What is there is not what was written."""


async def lay_down(
    place: Place, row: FileRow, content: Callable[[], AsyncIterator[bytes]], *, with_marker: bool
) -> Laid:
    """Lay a file down under its name. Raises PlaceError, and what `content` raises; then it is done again, whole."""
    if (laid := await _laid(place, row.name, row.sha256, row.size, content)) is not Laid.DONE or not with_marker:
        return laid
    says = marker(row.sha256, row.size)

    async def of_marker() -> AsyncIterator[bytes]:
        yield says

    return await _laid(place, row.name + MARKER, hashlib.sha256(says).hexdigest(), len(says), of_marker)


async def _laid(place: Place, name: str, sha256: str, size: int, content: Callable[[], AsyncIterator[bytes]]) -> Laid:
    temporary = f".{name}.tmp"
    if (there := await place.find(name)) is not None:
        if there.size != size or await _digest(place, name, size) != sha256:
            return Laid.TARGET_EXISTS
        await place.remove(temporary)
        return Laid.DONE  # the reply to an earlier rename was lost
    await place.write(temporary, content())
    written = await place.find(temporary)
    if written is None or written.size != size:
        raise NotWritten("what was written has another length there")
    await place.rename(temporary, name)
    return Laid.DONE


async def _digest(place: Place, name: str, size: int) -> str:
    digest, position = hashlib.sha256(), 0
    async with place.reading(name) as reading:
        while position <= size and (data := await reading.read(position, CHUNK_BYTES)):
            digest.update(data)
            position += len(data)
    return digest.hexdigest()


class Target:
    """One target of files."""

    def __init__(
        self,
        name: str,
        section: FileTargetSection,
        *,
        opened: Callable[[], AbstractAsyncContextManager[Place]],
        standing: Standing,
        files: FileStore,
        front: str,
        tell: Callable[[Progress], None],
        pause_s: float = 1.0,
    ) -> None:
        """`tell`: says to the bridge how a file stands. `pause_s`: the first wait after something failed."""
        self.name, self.section, self._opened, self.standing = name, section, opened, standing
        self._files, self._front, self._tell, self._pause_s = files, front, tell, pause_s
        self._hurry = asyncio.Event()
        self.laid = 0

    def hurry(self) -> None:
        """There is something to lay down."""
        self._hurry.set()

    async def run(self) -> None:
        """Lay down what is whole, for ever."""
        pause_s = self._pause_s
        while True:
            self._hurry.clear()
            pause_s = self._pause_s if await self.sweep() else min(2 * pause_s, _LONGEST_PAUSE_S)
            try:
                async with asyncio.timeout(pause_s):
                    await self._hurry.wait()
            except TimeoutError:
                continue

    async def sweep(self) -> bool:
        """Lay down all that is whole; False if something is wrong, which is in `standing` then."""
        try:
            waiting = await self._files.listed(
                states={FileState.WHOLE}, direction=Direction.OUTWARD, peer=self.name, front=self._front
            )
            if not waiting:
                return True
            if not await self.standing.may_try():
                return False
            with each_apart() as apart:
                async with self._opened() as place:
                    for row in waiting:
                        with apart():
                            await self._lay_down(place, row)
        except Exception as error:  # it is tried again anyway
            self.standing.failed(error)
            return False
        self.standing.worked()
        return True

    async def _lay_down(self, place: Place, row: FileRow) -> None:
        try:
            laid = await lay_down(place, row, lambda: self._files.content(row), with_marker=self.section.marker)
        except Unreadable as error:
            log.error("file-unreadable", file=row.id, reason=str(error))
            await self._end(row, FileState.REFUSED, "unreadable")
            return
        if laid is Laid.DONE:
            self.laid += 1
            log.info("file-laid-down", file=row.id, peer=self.name, name=row.name, bytes=row.size)
            await self._end(row, FileState.ACCEPTED, "")
        else:
            log.error("file-refused", file=row.id, peer=self.name, name=row.name, profile=row.profile, code=laid.value)
            await self._end(row, FileState.REFUSED, laid.value)

    async def _end(self, row: FileRow, after: FileState, code: str) -> None:
        await self._files.move(row.id, {FileState.WHOLE}, after, code)
        await self._files.drop(row.id)
        stage = Stage.ACCEPTED if after is FileState.ACCEPTED else Stage.REFUSED
        self._tell(Progress(file_id=row.id, number=0, stage=stage, code=code, have=row.chunks))


class OutwardIntake:
    """The handler of this front's queue of files."""

    def __init__(
        self,
        *,
        link: Link,
        opener: Opener,
        files: FileStore,
        targets: Callable[[], frozenset[str]],
        total_bytes: int,
        tell: Callable[[Progress], None],
        whole: Callable[[str], None],
        clock: Clock,
    ) -> None:
        """`whole` is told the target of a file that is whole now."""
        self._link, self._opener, self._files, self._targets = link, opener, files, targets
        self._total_bytes, self._tell, self._whole, self._clock = total_bytes, tell, whole, clock
        self._running: set[asyncio.Task[None]] = set()
        self._deciding = asyncio.Lock()
        self.closed = False

    def handle(self, delivery: Delivery) -> None:
        """Take a message."""
        if self.closed:
            return
        task = asyncio.get_running_loop().create_task(self._take(delivery))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Take nothing more, and finish what was begun."""
        self.closed = True
        if self._running:
            await asyncio.wait(self._running, timeout=5)

    async def _take(self, delivery: Delivery) -> None:
        try:
            envelopes = unpack(delivery.body)
        except EnvelopeError as error:
            self._set_aside(delivery, delivery.body, error)
            envelopes = []
        for envelope in envelopes:
            try:
                number, payload, id = self._judged(envelope)

                async def keep(
                    id: str = id, number: int = number, sealed: bytes = envelope, payload: bytes = payload
                ) -> Progress | EnvelopeError:
                    try:
                        return await self._kept(id, number, payload, sealed)
                    except EnvelopeError as error:
                        return error

                answer = await until_done(keep, _AGAIN, _not_stored)
                if isinstance(answer, EnvelopeError):
                    raise answer
            except EnvelopeError as error:
                self._set_aside(delivery, pack([envelope]), error)
            else:
                self._tell(answer)
        self._link.ack(delivery)

    def _judged(self, envelope: bytes) -> tuple[int, bytes, str]:
        opened = self._opener.authentic(envelope)
        if opened.kind is not Kind.REPLY or opened.attributes.type != TYPE:
            raise WrongKind("no file on the lane of files")
        id, number = parsed_id(opened.attributes.id)
        return number, Reply.from_payload(opened.attributes, opened.payload).result, id

    async def _kept(self, id: str, number: int, payload: bytes, sealed: bytes) -> Progress:
        if not number:
            manifest = FileManifest.from_payload(payload)
            if manifest.file_id != id:
                raise Malformed("the manifest of another file")
            row = await self._files.begin(
                manifest, Direction.OUTWARD, FileState.RECEIVING, refusal=lambda held: self._refusal(manifest, held)
            )
        else:
            found = await self._files.find(id)
            if found is None:
                return Progress(file_id=id, number=number, stage=Stage.UNKNOWN)
            row = found
            if row.state is FileState.RECEIVING and number <= row.chunks:
                checked_chunk(payload, row.size, number)
                row = await self._files.add(id, number, sealed) or row
        if row.state is FileState.RECEIVING and row.have == row.chunks:
            row = await self._decide(row)
        return progress(row, number)

    def _refusal(self, manifest: FileManifest, held: Held) -> str:
        if manifest.peer not in self._targets():
            return "unknown-target"
        return "no-room" if held.bytes + manifest.size > self._total_bytes else ""

    async def _decide(self, row: FileRow) -> FileRow:
        async with self._deciding:
            try:
                sound = await self._files.sound(row)
            except Unreadable as error:
                log.error("file-unreadable", file=row.id, reason=str(error))
                sound = False
            after, code = (FileState.WHOLE, "") if sound else (FileState.REFUSED, "digest")
            if await self._files.move(row.id, {FileState.RECEIVING}, after, code):
                if sound:
                    self._whole(row.peer)
                else:
                    log.error("file-refused", file=row.id, peer=row.peer, name=row.name, profile=row.profile, code=code)
                    await self._files.drop(row.id)
            return await self._files.find(row.id) or row

    def _set_aside(self, delivery: Delivery, body: bytes, error: EnvelopeError) -> None:
        log.warning("quarantined", queue=delivery.destination, reason=error.reason, request_id=error.request)
        try:
            # its receipt is not waited for: what gets lost here is sent again by the bridge, and judged again
            self._link.send(dead_letter(delivery.destination, body, error.reason))
        except LinkError:
            return


def _not_stored(error: Exception, failures: int) -> None:
    if now_and_then(failures):
        log.error("file-not-stored", reason=said(error), failures=failures)
