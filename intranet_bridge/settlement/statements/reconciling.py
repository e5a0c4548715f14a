"""From a file that crossed to items: it is read and judged, compared with what the marketing system wrote off, and what
its items take is given as commands. A loop over rows of the database: whatever it is killed in goes on from them.

::

    files ──► arrival ──► verdict ──► run: write-offs asked, compared ──► items ──► commands ──► outcomes
                                       │ incomplete: again later           │
                                       └ brake: a person approves          └ held: people resolve

A run that is begun again finds the same items, and an item's command has one id for ever, so that nothing is applied
twice. Two bridges of one database work on different files and different channels.
"""

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Row, select

from intranet_bridge.at_rest import StoreKeyClosed
from intranet_bridge.files.service import Files, ReceivedFile
from intranet_bridge.settlement import file_cursors
from intranet_bridge.settlement.days import day_of as today_of
from intranet_bridge.settlement.rows import FILES
from intranet_bridge.settlement.statements import run_records as records
from intranet_bridge.settlement.statements.acting import Acting
from intranet_bridge.settlement.statements.asking import Incomplete, WriteOffs
from intranet_bridge.settlement.statements.comparing import Found, Scope, day_of
from intranet_bridge.settlement.statements.life import FileState
from intranet_bridge.settlement.statements.matcher import Matcher, NotCompared
from intranet_bridge.settlement.statements.matching import Class, WriteOff, fee_item
from intranet_bridge.settlement.statements.names import said
from intranet_bridge.settlement.statements.orders import lines_of
from intranet_bridge.settlement.statements.records import (
    DayUnknown,
    Statements,
    counting_days,
    earlier_transactions,
)
from intranet_bridge.settlement.statements.rows import Expected
from intranet_bridge.settlement.statements.run_records import RunState
from intranet_bridge.settlement.statements.sources import Source, by_channel
from intranet_bridge.settlement.statements.verdicts import Code, StatementRefused
from intranet_bridge.settlement.statements.worker import Question, Totals
from intranet_bridge.settlement_sections.statements import StatementsSection
from protocol.errors import BridgeError
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.logs import logger
from protocol.runtime.store import Store

log = logger(__name__)

CLAIM_MS = 120_000
"""So long what is worked on stays this bridge's; it is renewed meanwhile."""
_MOST_DAYS = 31
_ITEMS_AT_ONCE = 50
_SMALL = 4096
"""Bytes: what says that there is no statement is no longer."""
_LATER_MS = 60_000
_CLOCKS_MS = 60_000
"""So far apart the clocks of two bridges may be, and a change's time and its commit."""
_ALL_ORDERS_MS = 600_000
_MOST_ATTEMPTS = 5
"""To read a file that is not whole here any more."""


class Reconciliation:
    """Of one bridge."""

    def __init__(
        self, *, section: StatementsSection, sources: Mapping[str, Source], store: Store, statements: Statements,
        files: Callable[[], Files | None], write_offs: WriteOffs, matcher: Matcher, acting: Acting,
        begin: Callable[[], None], allowed: Callable[[], bool], name: str, clock: Clock,
        elsewhere: Callable[[], frozenset[str]] = frozenset, close_after_days: Callable[[], int] = lambda: 3,
    ) -> None:  # fmt: skip
        """`begin`: has the commands that were recorded worked on. `elsewhere`: companies that another bridge has.
        `close_after_days`: so long after its day's end a file is closed, when nothing is left of it.
        """
        self.section, self.sources = section, sources
        self._store, self._statements, self._files, self._write_offs = store, statements, files, write_offs
        self._matcher, self._acting, self._begin, self._allowed = matcher, acting, begin, allowed
        self._name, self._clock, self._elsewhere = name, clock, elsewhere
        self._close_after_days = close_after_days
        self._in_hand = ""
        """The file that is read, or the run that is worked on."""
        self._orders_seen = self._orders_all = 0
        self._judged_by: dict[str, str] = {}
        """What is on record of that, by source."""
        self.verdicts: Counter[str] = Counter()
        """Files that were read, by state or code."""
        self.found: Counter[str] = Counter()
        """Items, by class."""

    async def look(self) -> None:
        """Do all that can be done now. Raises what the store raises."""
        if not self._allowed():
            return
        begun = self._clock()
        await self._note()
        new = False
        while self._allowed() and await self._one_arrival():
            new = True
        await self._store.write(lambda connection: records.make_runs(connection, self.sources, self._clock()))
        while self._allowed() and await self._one_run():
            pass
        await self._orders_changed(begun, new=new)
        through = today_of(begun) - timedelta(self._close_after_days() + 1)
        while self._allowed() and await self._store.write(partial(records.close_files, through=through, now=begun)) > 0:
            pass

    async def _orders_changed(self, begun: int, *, new: bool) -> None:
        """Have items that wait for their orders look at those that changed; at all of them when a statement came, which
        may be what an order waits for, when the clock was set back, and now and then.
        """
        if new or not self._orders_seen <= begun < self._orders_all + _ALL_ORDERS_MS:
            since, self._orders_all = 0, begun
        else:
            since = self._orders_seen - _CLOCKS_MS
        last = ""
        while self._allowed() and (
            last := await self._store.write(partial(self._acting.go_on, after=last, since=since))
        ):
            pass
        self._orders_seen = begun

    async def renew(self) -> None:
        """Keep what is worked on."""
        now, id = self._clock(), self._in_hand
        if id:
            await self._store.write(lambda connection: records.renew(connection, self._name, id, now + CLAIM_MS, now))

    @contextmanager
    def _working_on(self, id: str) -> Iterator[None]:
        self._in_hand = id
        try:
            yield
        finally:
            self._in_hand = ""

    async def release(self) -> None:
        """Give back what is worked on."""
        await self._store.write(lambda connection: records.release(connection, self._name, self._clock()))

    # Files

    async def _note(self) -> None:
        files = self._files()
        if files is None:
            return
        for name, source in self.sources.items():
            if self._judged_by.get(name) != source.judged_by:
                judged = partial(records.judge_by, profile=name, judged_by=source.judged_by)
                if again := await self._store.write(judged):
                    log.info("files-judged-again", reader=records.READER, profile=name, count=again)
                self._judged_by[name] = source.judged_by
            cursor = await self._store.read(partial(file_cursors.read, reader=records.READER, profile=name))
            after = cursor.to
            while page := await files.received(name, after):
                after = (page[-1].accepted_at, page[-1].id)
                rows = [self._arrival(file) for file in page]
                await self._store.write(partial(records.note, profile=name, arrivals=rows, to=after))

    @staticmethod
    def _arrival(file: ReceivedFile) -> dict[str, Any]:
        return {
            "file": file.id, "source": file.profile, "name": file.name, "sha256": file.sha256, "size": file.size,
            "state": "waiting", "code": "", "attempts": 0, "due_at": 0, "claimed_by": "",
            "received_at": file.accepted_at,
        }  # fmt: skip

    async def _one_arrival(self) -> bool:
        now = self._clock()
        row = await self._store.write(
            lambda connection: records.claim_arrival(connection, self._name, now, now + CLAIM_MS)
        )
        if row is None:
            return False
        with self._working_on(row.file):
            await self._read_arrival(row)
        return True

    async def _read_arrival(self, row: Row[Any]) -> None:
        state, code = "taken", ""
        try:
            code = await self._take(row)
        except StatementRefused as refused:
            state, code = "failed", refused.code
        except (StoreKeyClosed, Incomplete) as error:
            await self._arrival_later(row, error.code if isinstance(error, Incomplete) else "store-key")
            return
        except BridgeError as error:
            if row.attempts < _MOST_ATTEMPTS:
                await self._arrival_later(row, Code.UNREADABLE)
                return
            log.error("statement-unreadable", file=row.file, reason=str(error)[:200])
            state, code = "failed", Code.UNREADABLE
        self.verdicts[code or "accepted"] += 1
        log.info("statement-read", file=row.file, name=row.name, source=row.source, code=code or "accepted")
        reach(Point.BRIDGE_STATEMENT_READ, row.file)
        await self._store.write(lambda connection: records.arrival_ended(connection, row.file, state, code))

    async def _arrival_later(self, row: Row[Any], code: str) -> None:
        due = self._clock() + _LATER_MS
        await self._store.write(lambda connection: records.arrival_later(connection, row.file, code, due))

    async def _take(self, row: Row[Any]) -> str:
        """Read a file; returns the verdict's code, empty for one that is accepted."""
        files, source = self._files(), self.sources.get(row.source)
        if files is None or source is None:
            raise Incomplete("not-configured", "files of this kind are no statements any more")
        named = said(row.name, source.profile)
        day = named.day or today_of(row.received_at) - timedelta(1)
        with tempfile.TemporaryFile() as kept:
            digest = await _copied(files, row.file, kept)
            if digest != row.sha256:
                raise BridgeError("the file is not what was accepted")
            rows = 0
            if row.size <= _SMALL and source.profile.no_statement:
                rows = await self._write_offs.count(source.channel, day)
            again = Path(f"/proc/self/fd/{kept.fileno()}")
            taken = await self._statements.take(
                row.name, source.name, lambda: again.open("rb"), digest, Expected(day, source.merchants, rows)
            )
        return "" if taken.state is FileState.ACCEPTED else taken.code or taken.state

    # Runs

    async def _one_run(self) -> bool:
        now = self._clock()
        run = await self._store.write(lambda connection: records.claim_run(connection, self._name, now, now + CLAIM_MS))
        if run is None:
            return False
        try:
            with self._working_on(run.id):
                if run.state == RunState.MATCHING:
                    await self._match(run)
                else:
                    await self._act(run)
        except (Incomplete, NotCompared, StoreKeyClosed, DayUnknown) as error:
            code = error.code if isinstance(error, Incomplete) else "not-compared"
            if isinstance(error, StoreKeyClosed):
                code = "store-key"
            await self._run_later(run, code, str(error))
        return True

    async def _run_later(self, run: Row[Any], code: str, detail: str) -> None:
        now = self._clock()
        due = now + int(self.section.retry_minutes * 60_000)
        log.warning("statement-run-incomplete", run=run.id, code=code, reason=detail[:200])
        await self._store.write(
            lambda connection: records.run_later(connection, run.id, self._name, code, detail, due, now)
        )

    async def _match(self, run: Row[Any]) -> None:
        source = self.sources.get(run.source)
        if source is None:
            raise Incomplete("not-configured", "files of this kind are no statements any more")
        question, waiting = await self._question(run)
        found: list[Found] = []
        totals: Totals | None = None
        async for one in self._matcher.compare(question, self._asked(run, question, waiting)):
            if isinstance(one, Found):
                found.append(one)
                if len(found) >= _ITEMS_AT_ONCE:
                    await self._write_items(run, found)
                    found = []
            else:
                totals = one
        assert totals is not None
        file = await self._store.read(
            lambda connection: connection.execute(select(FILES).where(FILES.c.id == run.file)).one()
        )
        expected = source.fee(file.paid - file.refunded)
        if expected is not None and (item := fee_item(run.channel, run.day, file.fee, expected)) is not None:
            found.append(Found(item, run.day))
            totals.counts[Class.FEE_DIFFERS] = (1, item.amount)
        await self._write_items(run, found)
        why = self._brake(run, totals)
        state = await self._store.write(lambda connection: self._matched(connection, run, totals, why))
        if state is not RunState.SUPERSEDED:
            self.found.update({name: count for name, (count, _) in totals.counts.items()})
        log.info(
            "statement-run-compared", run=run.id, state=state.value, rows=run.rows, write_offs=totals.write_offs,
            actions=totals.actions,
        )  # fmt: skip

    def _matched(self, connection: Connection, run: Row[Any], totals: Totals, why: str) -> RunState:
        now = self._clock()
        state = records.matched(connection, run, self._name, totals, bool(why), why, now)
        if state is not RunState.SUPERSEDED:
            reach(Point.BRIDGE_STATEMENT_MATCHED_UNCOMMITTED, run.id)
        return state

    async def _question(self, run: Row[Any]) -> tuple[Question, Sequence[Row[Any]]]:
        kinds = by_channel(self.sources)

        def look(connection: Connection) -> tuple[Question, Sequence[Row[Any]]]:
            waiting = records.waiting(connection, run.channel)
            ours = [item for item in waiting if item._mapping["class"] in (Class.POOLED, Class.MARKETING_ONLY)]
            since = records.asked_since(connection, run, (item.day for item in ours), _MOST_DAYS)
            accepted = counting_days(connection, kinds)
            first = min([run.day, *accepted.days.get(run.channel, [])])
            known = frozenset((item.transaction_no, item.order_no, _line(item.lines)) for item in ours)
            scope = Scope(run.channel, run.day, since, first, known)
            question = Question(
                self._store.url, run.file, scope, today_of(self._clock()), accepted,
                tuple(sorted({item.order_no for item in waiting if item.order_no})),
                tuple(sorted({item.transaction_no for item in waiting if item.transaction_no})),
                frozenset(
                    one.channel for one in self.sources.values() if one.profile.one_row == "line"
                ),
                self._elsewhere(),
            )  # fmt: skip
            return question, waiting

        return await self._store.scan(look)

    async def _asked(
        self, run: Row[Any], question: Question, waiting: Sequence[Row[Any]]
    ) -> AsyncIterator[Sequence[WriteOff]]:
        """The list, and what was written off before it of payments that this statement, or what waits, is about."""
        since, last = question.scope.since, max(question.today, run.day)
        async for page in self._write_offs.between(run.channel, since, last):
            yield page
        refunds = {item.transaction_no for item in waiting if item.kind != "pay" and item.transaction_no}
        earlier = await self._store.scan(lambda connection: earlier_transactions(connection, run.file, since, refunds))
        for channel, transactions in sorted(earlier.items()):
            lines = await self._store.scan(partial(lines_of, channel=channel, transactions=transactions))
            page = await self._write_offs.of(channel, transactions, lines)
            yield [one for one in page if day_of(one.at) < since]

    async def _write_items(self, run: Row[Any], found: Sequence[Found]) -> None:
        if found:
            await self._store.write(lambda connection: records.write_items(connection, run, found, self._clock()))
            reach(Point.BRIDGE_STATEMENT_ITEMS_COMMITTED, run.id)

    def _brake(self, run: Row[Any], totals: Totals) -> str:
        """Why a person approves the run first; empty: it acts."""
        section = self.section
        most = max(section.brake_actions, run.rows // section.brake_rows)
        if totals.actions > most:
            return f"{totals.actions} actions, more than {most}"
        if totals.amount > section.brake_yuan * 100:
            return f"{totals.amount} fen, more than {section.brake_yuan * 100}"
        return f"{totals.actions} actions" if section.approve and totals.actions else ""

    async def _act(self, run: Row[Any]) -> None:
        while await self._store.write(lambda connection: self._acting.act(connection, run)):
            reach(Point.BRIDGE_STATEMENT_ACTING_COMMITTED, run.id)
            self._begin()


def _line(lines: str) -> int:
    told: list[int] = json.loads(lines)
    return told[0] if told else 0


async def _copied(files: Files, id: str, to: IO[bytes]) -> str:
    """Its bytes, in a file that nobody else can open; returns their SHA-256."""
    digest = hashlib.sha256()
    async for data in files.content(id):
        digest.update(data)
        to.write(data)
    to.flush()
    return digest.hexdigest()
