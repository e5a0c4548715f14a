"""A source is looked at, and what is whole there goes to the bridge; once the bridge has it, it is archived there.

::

    look ─► whole? ─► digest (read once) ─► manifest, chunks (read again) ─► accepted ─► archived
                                                                        └──► refused: left where it is

Nothing of a file is kept here but a row: what the bridge has not got is still at the source. A file that changes
between the two readings has another digest, and the bridge refuses it; it is another file at the next look.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from dmz_front.files_section import FileSourceSection
from dmz_front.relay.looking import (
    MARKER_BYTES,
    TAIL_BYTES,
    Candidate,
    Steadiness,
    archive_name,
    ended,
    marked,
    sorted_out,
)
from dmz_front.relay.places import Place, PlaceError, Reading, Seen, each_apart
from dmz_front.relay.standing import Standing
from protocol.chunks import CHUNK_BYTES, Chunk
from protocol.file_transfer import MARKER, FileManifest
from protocol.runtime.file_sending import FileSending
from protocol.runtime.file_store import Direction, FileRow, FileState, FileStore
from protocol.runtime.logs import logger
from protocol.values import immutable

log = logger(__name__)


@immutable
class _Content:
    """What one reading of a file found."""

    sha256: str
    size: int
    tail: bytes


class Source:
    """One source of files."""

    def __init__(
        self,
        name: str,
        section: FileSourceSection,
        *,
        opened: Callable[[], AbstractAsyncContextManager[Place]],
        standing: Standing,
        files: FileStore,
        sending: FileSending,
        ready: Callable[[], bool],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`opened`: the folder, for as long as a look takes. `ready`: whether a bridge takes files. `now`: seconds."""
        self.name, self.section, self._opened, self.standing = name, section, opened, standing
        self._files, self._sending, self._ready, self._now = files, sending, ready, now
        self._steadiness = Steadiness(section.steady_s)
        self._refused: dict[tuple[str, int, float], str] = {}
        """Files that the bridge has refused, as they lie there → their id: not read again at each look."""
        self._told: set[tuple[str, str]] = set()
        self.waiting = 0
        self.archived = 0
        self._hurry, self._looking = asyncio.Event(), asyncio.Lock()

    def hurry(self) -> None:
        """Look now."""
        self._hurry.set()

    def forgive(self, id: str) -> None:
        """A refused file is to be sent again."""
        self._refused = {key: of for key, of in self._refused.items() if of != id}
        self.hurry()

    async def run(self) -> None:
        """Look for ever."""
        section = self.section
        every_s = min(section.poll_s, section.steady_s) if section.complete == "steady" else section.poll_s
        while True:
            self._hurry.clear()
            await self.look()
            try:
                async with asyncio.timeout(every_s):
                    await self._hurry.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Once. Whatever is wrong is in `standing`."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        if not await self.standing.may_try():
            return
        try:
            async with self._opened() as place:
                found = await place.list()
                await self._carry_all(place, found)
        except Exception as error:  # the next look comes anyway
            self.standing.failed(error)
        else:
            self.standing.worked()

    async def _carry_all(self, place: Place, found: list[Seen]) -> None:
        ours, others = sorted_out(found, self.section.profiles)
        for seen, why in others:
            if (seen.name, why) not in self._told:
                self._told.add((seen.name, why))
                log.warning("file-not-ours", peer=self.name, name=printable(seen.name), reason=why.value)
        there = {seen.name for seen in found}
        await self._finish(place, there)
        self._told = {told for told in self._told if told[0] in there}
        self._refused = {key: id for key, id in self._refused.items() if key[0] in there}
        steady = self._steadiness.look([one.seen for one in ours], self._now())
        self.waiting = len(ours) + len(others)
        with each_apart() as apart:
            for one in ours:
                match self.section.complete:
                    case "marker":
                        looks_whole = one.seen.name + MARKER in there
                    case "steady":
                        looks_whole = one.seen.name in steady
                    case _:
                        looks_whole = one.seen.size > 0
                with apart():
                    if looks_whole and await self._carry(place, one):
                        self.waiting -= 1

    async def _carry(self, place: Place, one: Candidate) -> bool:
        """Bring one file over; True if it is archived. Raises PlaceError."""
        seen, key = one.seen, (one.seen.name, one.seen.size, one.seen.mtime)
        if key in self._refused or not self._ready():
            return False
        content = await self._read(place, seen)
        if content is None or not await self._whole(place, seen, content):
            return False
        manifest = FileManifest.of(self.name, one.name, one.profile, content.size, content.sha256)
        row = await self._files.begin(manifest, Direction.INWARD, FileState.SENDING, place_name=seen.name)
        if row.arrivals == 1 and seen.name != one.name:
            log.warning("file-name-cleaned", file=row.id, peer=self.name, name=one.name, found=printable(seen.name))
        if row.state is FileState.REFUSED:
            self._refused[key] = row.id
            return False
        if row.state is FileState.ARCHIVED:  # it came again: the bridge knows it
            await self._files.move(row.id, {FileState.ARCHIVED}, FileState.SENDING)
            row = await self._files.find(row.id) or row
        if row.state is FileState.SENDING and not await self._sent(place, seen, row, key):
            return False
        await self._archive(place, seen, row)
        return True

    async def _sent(self, place: Place, seen: Seen, row: FileRow, key: tuple[str, int, float]) -> bool:
        async with place.reading(seen.name) as reading:
            answer = await self._sending.send(row.manifest(), lambda number: _payload(reading, number, row.size))
        await self._files.heard(answer)
        known = await self._files.find(row.id)
        if known is not None and known.state is FileState.REFUSED:
            self._refused[key] = row.id
            log.error("file-refused", file=row.id, peer=self.name, name=row.name, profile=row.profile, code=answer.code)
            return False
        log.info("file-accepted", file=row.id, peer=self.name, name=row.name, profile=row.profile, bytes=row.size)
        return True

    async def _read(self, place: Place, seen: Seen) -> _Content | None:
        """All of it, once; None if it is not what the look saw: it is being written."""
        digest, size, tail = hashlib.sha256(), 0, b""
        async with place.reading(seen.name) as reading:
            while data := await reading.read(size, CHUNK_BYTES):
                digest.update(data)
                size += len(data)
                tail = (tail + data)[-TAIL_BYTES:]
                if size > seen.size:
                    return None
        after = await place.find(seen.name)
        if size != seen.size or after is None or (after.size, after.mtime) != (seen.size, seen.mtime):
            return None
        return _Content(digest.hexdigest(), size, tail)

    async def _whole(self, place: Place, seen: Seen, content: _Content) -> bool:
        if self.section.complete == "marker":
            async with place.reading(seen.name + MARKER) as reading:
                says = await reading.read(0, MARKER_BYTES + 1)
            whole = len(says) <= MARKER_BYTES and marked(says, content.sha256, content.size)
        elif self.section.end_line is not None:
            whole = ended(content.tail, self.section.end_line)
        else:
            whole = True
        if not whole and (seen.name, "incomplete") not in self._told:
            self._told.add((seen.name, "incomplete"))
            log.info("file-incomplete", peer=self.name, name=printable(seen.name), rule=self.section.complete)
        return whole

    async def _archive(self, place: Place, seen: Seen, row: FileRow) -> None:
        folder = self.section.archive
        taken = await place.within(folder, row.name)
        kept = archive_name(row.name, row.sha256, taken)
        if taken and await place.within(folder, kept):  # the same content, archived before: it came once more
            kept = archive_name(kept, str(row.updated_at), True)
        await place.move(seen.name, folder, kept)
        await self._archived(place, row, kept)

    async def _archived(self, place: Place, row: FileRow, kept: str) -> None:
        marker = row.place_name + MARKER
        if self.section.complete == "marker" and await place.find(marker) is not None:
            await place.move(marker, self.section.archive, kept + MARKER)
        await self._files.move(row.id, {FileState.ACCEPTED}, FileState.ARCHIVED)
        self.archived += 1

    async def _finish(self, place: Place, there: set[str]) -> None:
        """What was moved to the archive and not written down as such: it is not there any more."""
        accepted = {FileState.ACCEPTED}
        for row in await self._files.listed(states=accepted, direction=Direction.INWARD, peer=self.name):
            if row.place_name not in there:
                await self._archived(place, row, archive_name(row.name, row.sha256, True))


async def _payload(reading: Reading, number: int, size: int) -> bytes:
    position = (number - 1) * CHUNK_BYTES
    length = min(CHUNK_BYTES, size - position)
    data = b""
    while len(data) < length:
        more = await reading.read(position + len(data), length - len(data))
        if not more:
            raise PlaceError("a file has become shorter while it was read")
        data += more
    return Chunk(position, data).payload()


def printable(name: str) -> str:
    """A name as it may stand in a log, whatever bytes a server gave it."""
    return name.encode("ascii", "backslashreplace").decode()[:200]
