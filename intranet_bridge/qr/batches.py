"""Batches: a sheet becomes a ZIP of pictures, in the background, in steps each of which is on disk before the next.

::

    reading → drawing → packing → done
       └─────────────────────────► refused      the file is no sheet, or not to be trusted

reading    the sheet's rows with their verdicts (sheets.py, in a process of its own)
drawing    a few accounts at a time: checked with the marketing system if so set, drawn, written down with their record
packing    the ZIP, cut into parts that fit an answer; then the sheet and the pictures go

A bridge that is killed goes on where it was: with the next rows, or by packing again. One bridge works on a batch at a
time: it takes it for a while (`worker_until`) and says with each step that it still does, so that another one of the
same database takes it over when it is gone.
"""

import asyncio
import csv
import hashlib
import io
import tempfile
import zipfile
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field
from functools import partial
from typing import IO, Any

from sqlalchemy import Connection, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from intranet_bridge.qr.drawing import Drawing, DrawingFailed
from intranet_bridge.qr.records import begun, issued
from intranet_bridge.qr.rows import BATCH_PARTS, BATCH_ROWS, BATCHES
from intranet_bridge.qr.verdicts import MEANINGS, Doubt, Form, Row, SheetRefused, Verdict
from protocol.errors import Fenced
from protocol.operations.qr import BatchStage
from protocol.qr import PART_BYTES
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.store import Store, Work
from protocol.runtime.store_health import said
from protocol.runtime.store_statements import insert_new
from protocol.spreadsheets import safe
from protocol.values import immutable

log = logger(__name__)

_B, _R, _P = BATCHES.c, BATCH_ROWS.c, BATCH_PARTS.c
MOST_WAITING = 20
"""Batches that are not done; one more is refused."""
CHUNK = 20
"""Accounts drawn and written down together."""
_ROWS = 500
"""Rows written or read in one step."""
_PARTS = 8
CLAIM_MS = 60_000
LOOK_S = 5.0
_RETRY_S = 5.0
_TRIES = 5
"""So often one account is asked about in vain while others are answered, and it stays without a code."""
_PATIENCE_MS = 3_600_000
"""So long after it was first asked about in vain it stays without one, whatever the others are."""
_IDLE_S = 60.0
ENDED = (BatchStage.DONE, BatchStage.REFUSED)
RESULT = "result.csv"


@immutable
class Making:
    """What codes are made of, at this moment."""

    form: Form
    kid: str
    url: Callable[[str, int], str]
    """Account and generation → what stands in the code."""
    check: Callable[[str], Awaitable[Verdict | Doubt]] | None
    """Account → its verdict, or why there is none now. None: nothing is checked."""


@immutable
class Batch:
    """One batch, without its content."""

    id: str
    application: str
    who: str
    state: BatchStage
    refused: str
    parts: int
    length: int
    sha256: str
    created_at: int


@immutable
class Standing:
    """How far one is."""

    batch: Batch
    rows: int
    done: int
    verdicts: tuple[tuple[str, int], ...]


@immutable
class _Taken:
    """A row that gets its code now."""

    number: int
    account: str = field(repr=False)


_BATCH = (_B.id, _B.application, _B.who, _B.state, _B.refused, _B.parts, _B.length, _B.sha256, _B.created_at)


class Batches:
    """The tables, and the job that works on them."""

    def __init__(
        self,
        *,
        store: Store,
        name: str,
        making: Callable[[], Making | None],
        drawing: Callable[[], Drawing],
        allowed: Callable[[], bool],
        clock: Clock,
    ) -> None:
        """`making`: None while no codes are offered. `allowed`: whether this bridge's lease surely holds."""
        self._store, self._name, self._making, self._clock = store, name, making, clock
        self._drawing, self._allowed = drawing, allowed
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failed: dict[tuple[str, int], tuple[int, int]] = {}
        """Batch and row → how often it was asked about in vain, and since when."""
        self.made: Counter[str] = Counter()
        """Rows by verdict."""

    # --- what is asked -----------------------------------------------------------------------------------

    async def create(self, id: str, application: str, who: str, sheet: bytes) -> bool:
        """Write a batch down; the same again changes nothing. False: too many wait."""

        def create(connection: Connection) -> bool:
            if connection.execute(select(_B.id).where(_B.id == id)).first() is not None:
                return True
            waiting = select(func.count()).select_from(BATCHES).where(_B.state.not_in(ENDED))
            if connection.execute(waiting).scalar_one() >= MOST_WAITING:
                return False
            now = self._clock()
            row = {
                "id": id, "application": application, "who": who, "state": BatchStage.READING, "sheet": sheet,
                "created_at": now, "updated_at": now,
            }  # fmt: skip
            insert_new(connection, BATCHES, [row])
            return True

        taken = await self._store.write(create)
        self._work.set()
        return taken

    async def standing(self, id: str) -> Standing | None:
        """How far a batch is; None: there is none."""
        counts = select(_R.verdict, _R.done, func.count()).where(_R.batch == id).group_by(_R.verdict, _R.done)

        def look(connection: Connection) -> Standing | None:
            row = connection.execute(select(*_BATCH).where(_B.id == id)).first()
            if row is None:
                return None
            rows = done = 0
            verdicts: Counter[str] = Counter()
            for verdict, ended, count in connection.execute(counts):
                rows, done = rows + count, done + (count if ended else 0)
                verdicts[verdict] += count
            return Standing(_batch(row), rows, done, tuple(sorted(verdicts.items())))

        return await self._store.scan(look)

    async def part(self, id: str, number: int) -> bytes | None:
        """A part of the ZIP of a batch that is done."""
        done = select(_P.data).join(BATCHES, _B.id == _P.batch)
        statement = done.where(_P.batch == id, _P.number == number, _B.state == BatchStage.DONE)
        found: bytes | None = await self._store.read(lambda connection: connection.execute(statement).scalar())
        return found

    async def find(self, id: str) -> Batch | None:
        """One batch."""
        statement = select(*_BATCH).where(_B.id == id)
        row = await self._store.read(lambda connection: connection.execute(statement).first())
        return _batch(row) if row is not None else None

    # --- the job -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to work."""
        self._task = asyncio.get_running_loop().create_task(self._for_ever())

    async def close(self) -> None:
        """Stop; what was not written down is done again by the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._drawing().close()

    async def _for_ever(self) -> None:
        idle_s = 0.0
        while True:
            wait_s = LOOK_S
            try:
                self._work.clear()
                if await self._step():
                    wait_s, idle_s = 0.0, 0.0
            except (SQLAlchemyError, Fenced) as error:
                log.warning("qr-batch-waits", reason=said(error))
            except (_NotNow, DrawingFailed) as error:
                wait_s = _RETRY_S
                log.warning("qr-batch-waits", reason=str(error))
            except Exception as error:
                log.exception("qr-batch-failed", error=type(error).__name__)
                wait_s = _RETRY_S
            if not wait_s:
                await asyncio.sleep(0)
                continue
            idle_s += wait_s
            if idle_s > _IDLE_S:
                await self._drawing().close()
            try:
                async with asyncio.timeout(wait_s):
                    await self._work.wait()
            except TimeoutError:
                pass

    async def _step(self) -> bool:
        """Do the next step of the oldest batch; False: there is nothing to do."""
        making = self._making()
        if making is None or not self._allowed():
            return False
        batch = await self._claimed()
        if batch is None:
            return False
        if batch.state is BatchStage.READING:
            await self._read(batch, making)
        elif batch.state is BatchStage.DRAWING:
            await self._draw(batch, making)
        else:
            await self._pack(batch)
        return True

    async def _claimed(self) -> Batch | None:
        def claim(connection: Connection) -> Batch | None:
            now = self._clock()
            free = (_B.worker == self._name) | (_B.worker_until < now)
            oldest = select(*_BATCH).where(_B.state.not_in(ENDED), free).order_by(_B.created_at, _B.id).limit(1)
            row = connection.execute(oldest.with_for_update()).first()
            if row is None:
                return None
            taken = update(BATCHES).where(_B.id == row.id)
            connection.execute(taken.values(worker=self._name, worker_until=now + CLAIM_MS))
            return _batch(row)

        waiting = select(_B.id).where(_B.state.not_in(ENDED)).limit(1)
        if await self._store.read(lambda connection: connection.execute(waiting).first()) is None:
            return None
        return await self._store.write(claim)

    async def _read(self, batch: Batch, making: Making) -> None:
        statement = select(_B.sheet).where(_B.id == batch.id)
        sheet = await self._store.read(lambda connection: connection.execute(statement).scalar_one())
        try:
            rows = await self._drawing().rows(sheet, making.form)
        except SheetRefused as refused:
            log.info("qr-batch-refused", batch=batch.id, reason=refused.code)
            await self._move(batch, BatchStage.REFUSED, refused=refused.code, sheet=None)
            return
        for at in range(0, len(rows), _ROWS):
            values = [_row(batch.id, row) for row in rows[at : at + _ROWS]]
            await self._store.write(lambda connection, values=values: len(insert_new(connection, BATCH_ROWS, values)))  # type: ignore[misc]
        self.made.update(str(row.verdict) for row in rows if row.verdict is not Verdict.OK)
        await self._move(batch, BatchStage.DRAWING, sheet=None)

    async def _draw(self, batch: Batch, making: Making) -> None:
        due = select(_R.number, _R.account).where(_R.batch == batch.id, _R.done.is_(False)).order_by(_R.number)
        rows = await self._store.read(lambda connection: connection.execute(due.limit(CHUNK)).all())
        if not rows:
            await self._move(batch, BatchStage.PACKING)
            return
        taken, bad = await self._checked(batch.id, [_Taken(row.number, row.account) for row in rows], making)
        accounts = [row.account for row in taken]
        present = await self._store.write(
            lambda connection: begun(connection, accounts, batch.id, self._clock()) if accounts else {}
        )
        made = await self._drawing().images([making.url(account, present[account]) for account in accounts])

        def record(connection: Connection) -> int:
            now = self._clock()
            if begun(connection, accounts, batch.id, now) != present:
                return 0  # one was revoked meanwhile: once more
            issued(connection, batch.id, sorted(present.items()), making.kid, batch.id, batch.who, now)
            for number, verdict in bad.items():
                row = update(BATCH_ROWS).where(_R.batch == batch.id, _R.number == number)
                connection.execute(row.values(verdict=verdict, done=True))
            for row_, png in zip(taken, made, strict=True):
                row = update(BATCH_ROWS).where(_R.batch == batch.id, _R.number == row_.number)
                connection.execute(row.values(done=True, png=png))
            return len(taken)

        self.made[Verdict.OK] += await self._store.write(record)
        self.made.update(str(verdict) for verdict in bad.values())

    async def _checked(
        self, batch: str, rows: Sequence[_Taken], making: Making
    ) -> tuple[list[_Taken], dict[int, Verdict]]:
        """Which of them get a code, and what is wrong with the others. Raises _NotNow if nothing is known of any.

        An interface that fails for everybody costs no row its code: the batch waits. One that fails for one account, or
        gives answers about it that cannot be used, does not hold up the others for ever.
        """
        if making.check is None:
            return list(rows), {}
        good: list[_Taken] = []
        bad: dict[int, Verdict] = {}
        doubtful: list[tuple[_Taken, Doubt]] = []
        for row in rows:
            found = await making.check(row.account)
            if found is Doubt.LATER:
                break
            if isinstance(found, Doubt):
                doubtful.append((row, found))
                continue
            self._failed.pop((batch, row.number), None)
            if found is Verdict.OK:
                good.append(row)
            else:
                bad[row.number] = found
        others, now = bool(good or bad), self._clock()
        for row, doubt in doubtful:
            tries, since = self._failed.get((batch, row.number), (0, now))
            tries += others or doubt is Doubt.ANSWER
            self._failed[batch, row.number] = tries, since
            if tries >= _TRIES or now - since > _PATIENCE_MS:
                del self._failed[batch, row.number]
                bad[row.number] = Verdict.NOT_CHECKED
        if not good and not bad:
            raise _NotNow("the marketing system does not say whether the accounts exist")
        return good, bad

    async def _pack(self, batch: Batch) -> None:
        with tempfile.TemporaryFile() as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                await self._fill(batch, archive)
            length = file.tell()
            digest, parts = hashlib.sha256(), 0
            file.seek(0)
            gone = BATCH_PARTS.delete().where(_P.batch == batch.id)
            await self._store.write(self._still_packing(batch, lambda connection: connection.execute(gone)))
            while values := _parts(file, batch.id, parts):
                for value in values:
                    digest.update(value["data"])
                parts += len(values)
                insert = partial(_insert_parts, values=values)
                await self._store.write(self._still_packing(batch, insert))
        await self._move(batch, BatchStage.DONE, parts=parts, length=length, sha256=digest.hexdigest())
        pictures = update(BATCH_ROWS).where(_R.batch == batch.id).values(png=None)
        await self._store.write(lambda connection: connection.execute(pictures).rowcount)
        log.info("qr-batch-done", batch=batch.id, parts=parts)

    def _still_packing(self, batch: Batch, work: Work[object]) -> Work[int]:
        """The work, if the batch is ours yet; else it raises _NotNow. It takes longer than a bridge is waited for, so
        another may have taken the batch over, and have ended it: its parts are not to be mixed with ours.
        """
        mine = _B.id == batch.id, _B.state == BatchStage.PACKING, _B.worker == self._name

        def checked(connection: Connection) -> int:
            again = update(BATCHES).where(*mine).values(worker_until=self._clock() + CLAIM_MS)
            if not connection.execute(again).rowcount:
                raise _NotNow("another bridge works on it")
            work(connection)
            return 1

        return checked

    async def _fill(self, batch: Batch, archive: zipfile.ZipFile) -> None:
        table = io.StringIO()
        lines = csv.writer(table)
        lines.writerow(["row", "account", "result", "说明", "file"])
        last = 0
        while True:
            page = select(_R.number, _R.account, _R.verdict, _R.png).where(_R.batch == batch.id, _R.number > last)
            page = page.order_by(_R.number).limit(_ROWS)
            rows = await self._store.scan(lambda connection, page=page: connection.execute(page).all())  # type: ignore[misc]
            if not rows:
                break
            last = rows[-1].number
            for row in rows:
                name = f"{row.account}.png" if row.png is not None else ""
                lines.writerow([row.number, safe(row.account), row.verdict, MEANINGS[Verdict(row.verdict)], name])
                if row.png is not None:
                    archive.writestr(_entry(name), row.png)
            await asyncio.sleep(0)
        archive.writestr(_entry(RESULT), "\ufeff" + table.getvalue())

    async def _move(self, batch: Batch, state: BatchStage, **more: Any) -> None:
        moved = update(BATCHES).where(_B.id == batch.id, _B.state == batch.state)
        values = {"state": state, "updated_at": self._clock(), **more}
        await self._store.write(lambda connection: connection.execute(moved.values(values)).rowcount)

    async def forget(self, keep_ms: int) -> int:
        """Remove batches that ended so long ago, with all that is left of them but the record of their codes."""
        old = select(_B.id).where(_B.state.in_(ENDED), _B.updated_at < self._clock() - keep_ms).limit(10)

        def forget(connection: Connection) -> int:
            ids = list(connection.execute(old).scalars())
            for table in (BATCH_PARTS, BATCH_ROWS):
                connection.execute(table.delete().where(table.c.batch.in_(ids)))
            connection.execute(BATCHES.delete().where(_B.id.in_(ids)))
            return len(ids)

        return await self._store.write(forget)


class _NotNow(Exception):
    """It has to wait."""


def _batch(row: Any) -> Batch:
    return Batch(row.id, row.application, row.who, BatchStage(row.state), row.refused, row.parts, row.length,
                 row.sha256, row.created_at)  # fmt: skip


def _row(batch: str, row: Row) -> dict[str, Any]:
    return {
        "batch": batch, "number": row.number, "verdict": str(row.verdict), "account": row.account,
        "done": row.verdict is not Verdict.OK, "png": None,
    }  # fmt: skip


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name)  # of 1980: the same sheet gives the same ZIP


def _insert_parts(connection: Connection, values: Sequence[dict[str, Any]]) -> None:
    connection.execute(BATCH_PARTS.insert(), values)


def _parts(file: IO[bytes], batch: str, first: int) -> list[dict[str, Any]]:
    values = []
    for number in range(first, first + _PARTS):
        if not (data := file.read(PART_BYTES)):
            break
        values.append({"batch": batch, "number": number, "data": data})
    return values
