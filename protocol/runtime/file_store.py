"""Files in a daemon's database: what they are, how they stand, and their chunks, none of them in clear.

Both sides keep them alike; what differs is how a chunk is protected (`opened` undoes it): the bridge seals it with its
database's own key, the front keeps the sealed message as it came.

::

    to us     receiving ─ all here, digest right ─► whole ─► accepted          receiving, whole ─► refused
    from us   sending ─ the other side's word ─► accepted ─► archived          sending ─► refused

A final state changes by an operator's hand alone. Of what is final where nobody reads it any more the chunks go.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from enum import StrEnum
from functools import partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    String,
    Table,
    exists,
    func,
    select,
)

from protocol.chunks import CHUNK_BYTES
from protocol.file_transfer import FileManifest, Progress, Stage
from protocol.runtime.clock import Clock
from protocol.runtime.store import BATCH, Store
from protocol.runtime.store_statements import in_commit_order, insert_new
from protocol.values import immutable

AWAITED_MS = 8 * 86_400_000
"""A message lives for 7 days: a file of which nothing came for longer is begun anew by its sender, or by nobody."""
_AT_ONCE = 8
"""Chunks in memory at a time."""


class FileState(StrEnum):
    """How far a file is."""

    RECEIVING = "receiving"
    WHOLE = "whole"
    SENDING = "sending"
    ACCEPTED = "accepted"
    ARCHIVED = "archived"
    """The other side has it, and it was put away where it came from."""
    REFUSED = "refused"


class Direction(StrEnum):
    """Seen from the bridge."""

    INWARD = "in"
    OUTWARD = "out"


UNFINISHED = frozenset({FileState.RECEIVING, FileState.WHOLE, FileState.SENDING})


@immutable
class Held:
    """How many bytes files take up, when a further one is judged."""

    bytes: int = 0
    """Of all that have content here, and of all that were announced and are still awaited."""
    awaited: int = 0
    """Of those, what the front that announces the further one has announced and not sent whole."""


@immutable
class FileTables:
    """Of one database."""

    files: Table
    chunks: Table


@immutable
class FileRow:
    """A file, as its row says."""

    id: str
    direction: Direction
    front: str
    """Whose relay has to do with it."""
    peer: str
    name: str
    place_name: str
    """What it is called where it was found: perhaps with blanks."""
    profile: str
    size: int
    sha256: str
    chunks: int
    have: int
    """Chunks that are here, or that the other side has: as far as was said last."""
    state: FileState
    code: str
    attempt: int
    arrivals: int
    """How often it was begun."""
    created_at: int
    updated_at: int
    decided_at: int
    """When it became final; 0: it is not."""

    def manifest(self) -> FileManifest:
        """What is sent of it first."""
        return FileManifest.of(self.peer, self.name, self.profile, self.size, self.sha256, self.attempt)


def file_tables(metadata: MetaData) -> FileTables:
    """The tables `files` and `file_chunks`."""
    files = Table(
        "files",
        metadata,
        Column("id", String(36), primary_key=True),
        Column("direction", String(3), nullable=False),
        Column("front", String(64), nullable=False),
        Column("peer", String(64), nullable=False),
        Column("name", String(200), nullable=False),
        Column("place_name", String(400), nullable=False),
        Column("profile", String(64), nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("sha256", String(64), nullable=False),
        Column("chunks", Integer, nullable=False),
        Column("have", Integer, nullable=False),
        Column("state", String(16), nullable=False),
        Column("code", String(40), nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("arrivals", Integer, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
        Column("decided_at", BigInteger, nullable=False),
        Index("files_state", "state", "direction"),
        Index("files_decided", "decided_at"),
    )
    chunks = Table(
        "file_chunks",
        metadata,
        Column("file", String(36), primary_key=True),
        Column("number", Integer, primary_key=True),
        Column("content", LargeBinary, nullable=False),
    )
    return FileTables(files, chunks)


class Unreadable(Exception):
    """A chunk is missing, or cannot be opened any more."""


class FileStore:
    """The tables, and the way from chunks to a file."""

    def __init__(
        self, store: Store, tables: FileTables, front: str, clock: Clock, opened: Callable[[bytes, str, int], bytes]
    ) -> None:
        """`front`: of rows that are made here; the bridge gives each its own. `opened`: the bytes of a chunk, from what
        was kept, the file's id and the chunk's number; raises ValueError. It is called in another thread.
        """
        self._store, self.tables, self._front, self._clock, self._opened = store, tables, front, clock, opened
        self._f, self._c = tables.files.c, tables.chunks.c

    # --- beginning --------------------------------------------------------------------------------------------

    async def begin(
        self,
        manifest: FileManifest,
        direction: Direction,
        state: FileState,
        *,
        front: str = "",
        place_name: str = "",
        refusal: Callable[[Held], str] = lambda _held: "",
    ) -> FileRow:
        """Write a file down, or find it; returns how it stands.

        One that is there counts one more arrival. `refusal`: the code of why a new one is not taken, empty for one that
        is. A refused one begins anew when its attempt has grown.
        """
        now = self._clock()
        values: dict[str, Any] = {
            "id": manifest.file_id, "direction": direction, "front": front or self._front, "peer": manifest.peer,
            "name": manifest.name, "place_name": place_name or manifest.name, "profile": manifest.profile,
            "size": manifest.size, "sha256": manifest.sha256, "chunks": manifest.chunks, "have": 0, "state": state,
            "code": "", "attempt": manifest.attempt, "arrivals": 1, "created_at": now, "updated_at": now,
            "decided_at": 0,
        }  # fmt: skip
        f, table = self._f, self.tables.files

        def begin(connection: Connection) -> FileRow:
            found = connection.execute(select(table).where(f.id == manifest.file_id).with_for_update()).first()
            if found is None:
                code = refusal(self._held(connection, direction, values["front"]))
                refused = {"state": FileState.REFUSED, "code": code, "decided_at": now} if code else {}
                insert_new(connection, table, [values | refused])
            else:
                changes: dict[str, Any] = {"arrivals": f.arrivals + 1, "updated_at": now}
                if found.state == FileState.REFUSED and manifest.attempt > found.attempt:
                    connection.execute(self.tables.chunks.delete().where(self._c.file == manifest.file_id))
                    code = refusal(self._held(connection, direction, found.front))
                    changes |= {
                        "state": FileState.REFUSED if code else state, "code": code, "have": 0,
                        "decided_at": now if code else 0, "attempt": manifest.attempt, "profile": manifest.profile,
                    }  # fmt: skip
                connection.execute(table.update().where(f.id == manifest.file_id).values(changes))
            row = connection.execute(select(table).where(f.id == manifest.file_id)).one()
            return _row(row)

        return await self._store.write(begin)

    def _held(self, connection: Connection, direction: Direction, front: str) -> Held:
        """A refused file whose content is gone, and one of which nothing was ever here, take up nothing: whoever
        announces what is refused anyway must not leave others without room.
        """
        f, awaited = self._f, self._f.state == FileState.RECEIVING
        kept = exists().where(self._c.file == f.id)
        size = func.coalesce(func.sum(f.size), 0)
        own = awaited & (f.front == front) & (f.direction == direction)
        of_front = func.coalesce(func.sum(f.size).filter(own), 0)
        held, unsent = connection.execute(select(size, of_front).where(awaited | kept)).one()
        return Held(int(held), int(unsent))

    async def add(self, id: str, number: int, content: bytes) -> FileRow | None:
        """Keep a chunk of a file that is being received; one that is there already changes nothing. None: there is no
        such file.
        """
        f, now = self._f, self._clock()

        def add(connection: Connection) -> FileRow | None:
            row = connection.execute(select(self.tables.files).where(f.id == id).with_for_update()).first()
            if row is None:
                return None
            if row.state != FileState.RECEIVING or not 0 < number <= row.chunks:
                return _row(row)
            values = {"file": id, "number": number, "content": content}
            if not insert_new(connection, self.tables.chunks, [values]):
                return _row(row)
            have = row.have
            if number == have + 1:
                later = select(self._c.number).where(self._c.file == id, self._c.number > have)
                for one in connection.execute(later.order_by(self._c.number)).scalars():
                    if one != have + 1:
                        break
                    have = one
            changes = {"have": have, "updated_at": now}
            connection.execute(self.tables.files.update().where(f.id == id).values(changes))
            return _row(connection.execute(select(self.tables.files).where(f.id == id)).one())

        return await self._store.write(add)

    # --- reading ----------------------------------------------------------------------------------------------

    async def chunk(self, id: str, number: int) -> bytes:
        """The bytes of one chunk. Raises Unreadable."""
        wanted = select(self._c.content).where(self._c.file == id, self._c.number == number)
        found = await self._store.read(lambda connection: connection.execute(wanted).scalar())
        if found is None:
            raise Unreadable(f"chunk {number} of {id} is not there")
        return await asyncio.to_thread(self._open, bytes(found), id, number)

    async def content(self, row: FileRow) -> AsyncIterator[bytes]:
        """All bytes of a file, in order, a chunk at a time. Raises Unreadable."""
        for first in range(1, row.chunks + 1, _AT_ONCE):
            between = self._c.number.between(first, first + _AT_ONCE - 1)
            wanted = select(self._c.number, self._c.content).where(self._c.file == row.id, between)
            wanted = wanted.order_by(self._c.number)
            rows = await self._store.read(partial(_all, wanted))
            if [one.number for one in rows] != list(range(first, min(first + _AT_ONCE, row.chunks + 1))):
                raise Unreadable(f"chunks of {row.id} are missing")
            for one in rows:
                yield await asyncio.to_thread(self._open, bytes(one.content), row.id, one.number)

    async def sound(self, row: FileRow) -> bool:
        """Whether what is here is the file that its manifest tells of. Raises Unreadable."""
        digest, size = hashlib.sha256(), 0
        async for data in self.content(row):
            digest.update(data)
            size += len(data)
        return (digest.hexdigest(), size) == (row.sha256, row.size)

    def _open(self, content: bytes, id: str, number: int) -> bytes:
        try:
            return self._opened(content, id, number)
        except ValueError as error:
            raise Unreadable(f"chunk {number} of {id}: {error}") from error

    async def find(self, id: str) -> FileRow | None:
        """One."""
        wanted = select(self.tables.files).where(self._f.id == id)
        found = await self._store.read(lambda connection: connection.execute(wanted).first())
        return None if found is None else _row(found)

    async def listed(
        self,
        *,
        states: Collection[str] = (),
        direction: str = "",
        peer: str = "",
        front: str = "",
        profile: str = "",
        decided_after: tuple[int, str] | None = None,
        limit: int = 100,
    ) -> list[FileRow]:
        """Files, the oldest first; with `decided_after` (when, id) by the time of their decision, and those after it.
        Else of more than `limit` the latest.
        """
        f = self._f
        where: list[ColumnElement[bool]] = []
        if states:
            where.append(f.state.in_(sorted(states)))
        for column, value in ((f.direction, direction), (f.peer, peer), (f.front, front), (f.profile, profile)):
            if value:
                where.append(column == value)
        wanted = select(self.tables.files).where(*where).limit(limit)
        if decided_after is None:
            wanted = wanted.order_by(f.created_at.desc(), f.id.desc())
        else:
            at, id = decided_after
            wanted = wanted.where((f.decided_at > at) | ((f.decided_at == at) & (f.id > id)))
            wanted = wanted.order_by(f.decided_at, f.id)
        rows = await self._store.read(lambda connection: connection.execute(wanted).all())
        found = [_row(row) for row in rows]
        return found if decided_after is not None else found[::-1]

    # --- deciding ---------------------------------------------------------------------------------------------

    async def move(self, id: str, before: Collection[FileState], after: FileState, code: str = "") -> bool:
        """From one of some states to another; False if it is in none of them."""
        move = partial(self._move, id=id, before=before, after=after, code=code)
        return await self._store.write(move)

    def _move(
        self, connection: Connection, id: str, before: Collection[FileState], after: FileState, code: str
    ) -> bool:
        now = self._clock()
        changes: dict[str, Any] = {"state": after, "code": code, "updated_at": now}
        if after in (FileState.ACCEPTED, FileState.REFUSED):
            # Later than all before, though the clock was set back, and committed after them, though another bridge
            # decides at this moment: who reads on from the last one would pass it over
            in_commit_order(connection, "files decided")
            last = connection.execute(select(func.coalesce(func.max(self._f.decided_at), 0))).scalar_one()
            changes["decided_at"] = max(now, last + 1)
        f = self._f
        moved = self.tables.files.update().where(f.id == id, f.state.in_(sorted(before))).values(changes)
        return bool(connection.execute(moved).rowcount)

    async def heard(self, progress: Progress) -> None:
        """The other side's word about a file from us."""
        after = {Stage.ACCEPTED: FileState.ACCEPTED, Stage.REFUSED: FileState.REFUSED}.get(progress.stage)
        if after is not None:
            await self.move(progress.file_id, {FileState.SENDING}, after, progress.code)

    async def again(self, id: str, state: FileState, keep_chunks: bool) -> FileRow | None:
        """By an operator's hand: from a final state back to this one, as another attempt. None: it is not final."""
        f, now = self._f, self._clock()
        changes: dict[str, Any] = {
            "state": state, "code": "", "attempt": f.attempt + 1, "have": 0, "decided_at": 0, "updated_at": now,
        }  # fmt: skip

        def again(connection: Connection) -> FileRow | None:
            final = f.state.not_in(sorted(UNFINISHED))
            if not connection.execute(self.tables.files.update().where(f.id == id, final).values(changes)).rowcount:
                return None
            if not keep_chunks:
                connection.execute(self.tables.chunks.delete().where(self._c.file == id))
            return _row(connection.execute(select(self.tables.files).where(f.id == id)).one())

        return await self._store.write(again)

    async def drop(self, id: str) -> None:
        """Its chunks go, its row stays."""
        gone = self.tables.chunks.delete().where(self._c.file == id)
        await self._store.write(lambda connection: connection.execute(gone).rowcount)

    async def forget(self, before_ms: int) -> int:
        """Remove what was final before then, and what is awaited and did not go on for AWAITED_MS; returns how many."""
        f, stale = self._f, self._clock() - AWAITED_MS
        final = (f.decided_at > 0) & (f.decided_at < before_ms)
        left = (f.decided_at == 0) & (f.updated_at < stale) & (f.state == FileState.RECEIVING)
        gone = select(f.id).where(final | left)

        def page(connection: Connection) -> Sequence[str]:
            return connection.execute(gone.limit(BATCH)).scalars().all()

        def forget(connection: Connection, found: Sequence[str]) -> Sequence[int]:
            ids = connection.execute(gone.where(f.id.in_(found)).with_for_update()).scalars().all()
            connection.execute(self.tables.chunks.delete().where(self._c.file.in_(ids)))
            connection.execute(self.tables.files.delete().where(f.id.in_(ids)))
            return [len(ids), *[0] * (len(found) - 1)]

        return await self._store.in_batches(page, forget)

    async def counts(self) -> dict[tuple[str, str], int]:
        """Files by direction and state."""
        f = self._f
        wanted = select(f.direction, f.state, func.count()).group_by(f.direction, f.state)
        rows = await self._store.read(lambda connection: connection.execute(wanted).all())
        return {(row.direction, row.state): row[2] for row in rows}


def progress(row: FileRow, number: int) -> Progress:
    """What is said of a file that comes to us."""
    stage = {FileState.ACCEPTED: Stage.ACCEPTED, FileState.REFUSED: Stage.REFUSED}.get(row.state, Stage.RECEIVING)
    return Progress(file_id=row.id, number=number, stage=stage, code=row.code, have=row.have)


def pieces(size: int) -> Sequence[tuple[int, int]]:
    """Where the chunks of a file lie: (position, length), of number 1 and so on."""
    return [(at, min(CHUNK_BYTES, size - at)) for at in range(0, size, CHUNK_BYTES)]


def _all(wanted: Select[Any], connection: Connection) -> Sequence[Any]:
    return connection.execute(wanted).all()


def _row(found: Any) -> FileRow:
    values = dict(found._mapping)
    return FileRow(**values | {"state": FileState(values["state"]), "direction": Direction(values["direction"])})
