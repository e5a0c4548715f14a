"""Commands that the bridge gives itself, from their recording to the taking of their outcome.

::

    caller's transaction: row `received` ─► ordering ─► worker … ─► outcome committed ─► consumer's transaction: taken

Two loops: one gives to the ordering what was recorded since it last looked, one hands over outcomes. Both are woken
when there is something, and by the sweep; both read the database, so that a crash between two steps loses nothing. A
row belongs to one bridge (its owner), whoever else has the database: that one begins with it and hands its outcome on.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from sqlalchemy import Connection

from intranet_bridge.commands.forwarding import Forwarding
from intranet_bridge.commands.internal import Consumer, InternalCommand, InternalOutcome
from intranet_bridge.inbox import local as rows
from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.inbox.local import LocalRows, Untold
from intranet_bridge.inbox.ordering import Ordering
from intranet_bridge.inbox.paging import Paging
from intranet_bridge.inbox.rows import Received
from protocol.attachments import named
from protocol.backoff import Backoff
from protocol.destinations import checked_name
from protocol.errors import EnvelopeError, Fenced
from protocol.messages import ID
from protocol.operations import CATALOGUE, AnsweredBy, Kind
from protocol.reports.settlement import OwnCommandsReport
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.retry import now_and_then, until_done
from protocol.runtime.store import Store
from protocol.runtime.store_health import illness, said
from protocol.runtime.watchdog import ended
from protocol.values import immutable

log = logger(__name__)

_PAGE = 100
"""Outcomes handed over in one transaction; commands begun with at once."""
_STOPPING_S = 5.0


@immutable
class _Consuming:
    """One consumer, as `consume` names it."""

    take: Consumer
    taken: Callable[[], None]


class LocalCommands:
    """The bridge's own `InternalCommands` (internal.py)."""

    def __init__(
        self,
        *,
        store: Store,
        inbox: Inbox,
        ordering: Ordering,
        paging: Paging,
        local: LocalRows,
        name: str,
        region: str,
        clock: Clock,
        forwarding: Forwarding | None = None,
        backoff: Backoff = Backoff(0.5, 60.0, lambda: 0.0),  # noqa: B008 - a value
    ) -> None:
        """`name`: of this bridge, whose rows these are. `forwarding`: to and from other regions' bridges.
        `backoff`: of what a consumer could not take.
        """
        self._store, self._inbox, self._rows = store, inbox, local
        self._ordering, self._paging = ordering, paging
        self._name, self._region, self._clock, self._backoff = name, region, clock, backoff
        self._consumers: dict[str, _Consuming] = {}
        self._resting: dict[str, tuple[float, int, int]] = {}
        """Id of an outcome that its consumer could not take → when it is tried again (monotonic), failures in a row,
        the first of them (epoch ms)."""
        self._begun_to = 0
        """The sequence of the last row given to the ordering."""
        self._recorded = False
        """Something was since it was last looked for; its transaction may not have ended."""
        self._begin, self._hand_over = asyncio.Event(), asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self.taken = 0
        self._forwarding = forwarding
        local.told.connect(self.hurry)
        if forwarding is not None:
            local.told.connect(self.begin)  # it may be another region's

    # --- for who gives commands -----------------------------------------------------------------------------

    def record(self, connection: Connection, commands: Sequence[InternalCommand]) -> None:
        """See InternalCommands. Raises ValueError for a command that this bridge could not carry out."""
        made = {command.id: self._received(command) for command in commands}
        self._recorded = True
        new = set(made) - rows.known(connection, sorted(made))
        if new:
            self._inbox.record_in(connection, [row for id, row in made.items() if id in new])

    def begin(self) -> None:
        """See InternalCommands."""
        self._begin.set()

    def consume(self, consumer: str, take: Consumer, taken: Callable[[], None] | None = None) -> None:
        """See InternalCommands. Raises ValueError for a second one of a name."""
        if checked_name(consumer) in self._consumers:
            raise ValueError(f"{consumer} has a consumer already")
        self._consumers[consumer] = _Consuming(take, taken or _nobody)

    # --- for the bridge -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """After the inbox, whose unfinished rows are in the ordering or unread, and after all consumers are named."""
        self._begun_to = self._inbox.found_to
        waiting = await self._store.read(partial(rows.waiting_for, owner=self._name))
        for consumer in sorted(waiting - set(self._consumers)):
            log.error("outcomes-without-consumer", consumer=consumer, meaning="kept until it is configured again")
        self._loops = [asyncio.create_task(loop()) for loop in (self._beginning, self._handing_over)]
        self.begin()
        self.hurry()

    async def close(self) -> None:
        """No more; a transaction that is under way comes to its end."""
        for loop in self._loops:
            loop.cancel()
        if self._loops:
            await asyncio.wait(self._loops, timeout=_STOPPING_S)

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py)."""
        names = "the beginning with its own commands", "the handing over of their outcomes"
        return "; ".join(filter(None, (ended(*one) for one in zip(self._loops, names, strict=False))))

    def hurry(self) -> None:
        """There may be outcomes to hand over."""
        self._hand_over.set()

    def sweep(self) -> None:
        """Look at both ends, whoever asks for it or not: at what was recorded since, and at what was adopted."""
        if self._recorded or self._forwarding is not None:
            self.begin()
        self.hurry()

    # --- beginning ------------------------------------------------------------------------------------------

    def _received(self, command: InternalCommand) -> Received:
        operation = CATALOGUE.get(command.operation)
        if operation is None or operation.kind is not Kind.COMMAND or operation.answered_by is AnsweredBy.BRIDGE:
            raise ValueError(f"{command.operation} is not a command of a marketing system")
        if not ID.fullmatch(command.id) or not isinstance(command.body, operation.request):
            raise ValueError(f"{command.operation}: the id or the body does not fit")
        if operation.attachments and named(operation, command.body):
            raise ValueError(f"{command.operation}: names files, which only a front's application has")
        region = "" if command.region == self._region else command.region
        if region and (self._forwarding is None or region not in self._forwarding.peers):
            raise ValueError(f"{region} is another bridge's region, and not one of settlement.peers")
        if command.consumer not in self._consumers:
            raise ValueError(f"nobody takes what is for {command.consumer}")
        key = operation.ordering_key(command.body) if operation.ordering_key is not None else None
        if key is None:
            key = str(getattr(command.body, operation.about)) if operation.about else command.id
        body = operation.requests.dump_json(command.body)
        reply_to = rows.LOCAL + command.consumer
        return self._rows.received(command.id, command.operation, key, body, reply_to, region=region)

    async def _beginning(self) -> None:
        while True:
            await self._begin.wait()
            self._begin.clear()
            self._recorded = False
            await until_done(self._begin_all, self._backoff, _not_begun)
            if self._forwarding is not None:
                await until_done(self._forwarding.sweep, self._backoff, _not_begun)

    async def _begin_all(self) -> None:
        while True:
            read = partial(rows.recorded_after, owner=self._name, sequence=self._begun_to, most=_PAGE)
            commands, last = await self._store.read(read)
            if not commands:
                return
            reach(Point.BRIDGE_LOCAL_RECORDED, commands[0].id)
            # One that was adopted meanwhile may be over by now. Then its row says so before it is called.
            for command in commands:
                self._paging.add(command)
            self._begun_to = last
            self._ordering.work.send()

    # --- handing over ---------------------------------------------------------------------------------------

    async def _handing_over(self) -> None:
        while True:
            due = min((at for at, _, _ in self._resting.values()), default=None)
            timeout_s = None if due is None else max(0.0, due - time.monotonic())
            try:
                async with asyncio.timeout(timeout_s):
                    await self._hand_over.wait()
            except TimeoutError:
                pass
            self._hand_over.clear()
            now = time.monotonic()
            for consumer, consuming in self._consumers.items():
                await until_done(partial(self._hand_all_to, consumer, consuming), self._backoff, _not_handed_over)
            # of those that were due, who was not taken rests again: the others are nobody's any more
            self._resting = {id: rest for id, rest in self._resting.items() if rest[0] > now}

    async def _hand_all_to(self, consumer: str, consuming: "_Consuming") -> None:
        """What there is for one consumer. Raises what the database does."""
        while True:
            now = time.monotonic()
            resting = {id for id, (until, _, _) in self._resting.items() if until > now}
            read = partial(rows.untold, owner=self._name, consumer=consumer, most=_PAGE + len(resting))
            ids = [id for id in await self._store.read(read) if id not in resting][:_PAGE]
            if not ids:
                return
            if await self._not_taken(consuming, ids) is not None:
                await self._singly(consumer, consuming, ids)

    async def _singly(self, consumer: str, consuming: "_Consuming", ids: Sequence[str]) -> None:
        """After a failure: which of them it is that cannot be taken. The others are."""
        failures, failed = 0, ""
        for id in ids:
            error = await self._not_taken(consuming, [id])
            if error is not None:
                _, times, first = self._resting.get(id, (0.0, 0, self._clock()))
                times += 1
                self._resting[id] = time.monotonic() + self._backoff.after(times), times, first
                failures, failed = max(failures, times), type(error).__name__
        if failed and now_and_then(failures):
            count = len(self._resting)
            log.error("outcomes-not-taken", consumer=consumer, count=count, failures=failures, error=failed)

    async def _not_taken(self, consuming: "_Consuming", ids: Sequence[str]) -> Exception | None:
        """What their consumer raised; None: they are taken. Raises what the database does."""
        try:
            count = await self._store.write(partial(self._take, take=consuming.take, ids=ids))
        except Exception as error:
            if isinstance(error, Fenced) or illness(error) is not None:
                raise
            return error
        reach(Point.BRIDGE_TAKEN_COMMITTED)
        for id in ids:
            self._resting.pop(id, None)
        self.taken += count
        consuming.taken()
        self.begin()  # a consumer may have recorded what comes next
        return None

    def _take(self, connection: Connection, take: Consumer, ids: Sequence[str]) -> int:
        found = rows.untold_of(connection, self._name, ids)
        if found:
            take(connection, [self._outcome(row) for row in found])
            rows.told(connection, found, self._clock())
            reach(Point.BRIDGE_TAKEN_UNCOMMITTED, found[0].id)
        return len(found)

    def _outcome(self, row: Untold) -> InternalOutcome:
        try:
            reply = self._rows.reply(row)
        except EnvelopeError as error:
            raise ValueError("the outcome of this row cannot be read") from error
        return InternalOutcome(row.id, row.operation, row.state, reply.code, reply.detail, reply.result)

    def report(self) -> OwnCommandsReport:
        """What does not go on."""
        firsts = [first for _, _, first in self._resting.values()]
        count, oldest = self._forwarding.waiting if self._forwarding is not None else (0, 0)
        return OwnCommandsReport(
            not_taken=len(firsts), not_taken_since=min(firsts, default=0), elsewhere=count, elsewhere_since=oldest
        )

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        yield "intranet_bridge_outcomes_taken_total", "Outcomes of the bridge's own commands taken", {}, self.taken
        text = "Outcomes that their consumer could not take so far"
        yield "intranet_bridge_outcomes_not_taken", text, {}, len(self._resting)


def _nobody() -> None:
    """Nobody waits for what is taken."""


def _not_begun(error: Exception, failures: int) -> None:
    if now_and_then(failures):
        log.error("own-commands-not-begun", reason=said(error), failures=failures)


def _not_handed_over(error: Exception, failures: int) -> None:
    if now_and_then(failures):
        log.error("outcomes-not-handed-over", reason=said(error), failures=failures)
