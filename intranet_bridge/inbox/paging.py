"""Unfinished rows that were found, at the start or with a dead bridge: they come into memory as there is work for them.

A marketing system that was away for days leaves a million of them. All are the bridge's to work on, and few at a time::

    inbox   operation A ▓▓▓▓▓▓▓▓▓░░░░░░░░░░░░░░░░░    ▓ read: in the ordering, or done with
            operation B ▓▓▓▓                          ░ unread, in the order of their recording
            operation C ▓▓▓▓▓▓▓▓▓░░░░░

Each operation is read by itself, so that one whose marketing system is away keeps none of another back, whenever fewer
of it are ready than workers may want. What is recorded meanwhile of an operation that has unread rows has its turn
after these.

The order within a key is what it is with all of them in memory (ordering.py): a command waits for its predecessor
wherever that is, and one that is unread is read for it. A command that names none, whose predecessor is what was
recorded before it, is given that one's id when it is read.

A row is read as it was committed, and may be finished before what was read is here: what has left the ordering in the
meantime is not taken up again.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial

from intranet_bridge.inbox import unfinished
from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.inbox.ordering import OWN_KEY, Ordering, QueuedCommand
from protocol.backoff import Backoff
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.retry import now_and_then, until_done
from protocol.runtime.store import Store
from protocol.runtime.store_health import said

log = logger(__name__)

PAGE = 500
"""Rows read at once."""
READY = 1_000
"""Fewer of an operation that are ready, and more of it are read."""


class Paging:
    """Brings what is unread into the ordering; while nothing is, there is no task and nothing is read."""

    def __init__(
        self, *, store: Store, inbox: Inbox, ordering: Ordering, owner: str, most: int, backoff: Backoff
    ) -> None:
        """`most`: with so many commands in memory, those that sleep and those behind others of their key included,
        only operations are read of which there are fewer than `READY`. `backoff`: after a page that could not be read.
        """
        self._store, self._inbox, self._ordering, self._owner = store, inbox, ordering, owner
        self.most, self._backoff = most, backoff
        self._read_to: dict[str, int] = {}
        """Operation with unread rows → the sequence up to which they are read; whose turn it is comes first."""
        self._recorded: set[str] = set()
        """Operations of which rows were left unread since their last page was asked for."""
        self._anew = False
        """There are rows of any age."""
        self._reading: asyncio.Task[None] | None = None
        self._closed = False
        self.unread = self.unread_own = 0
        """Rows that are not in memory, as reckoned; and how many of them no front gave."""
        ordering.room.connect(self.look)

    def __len__(self) -> int:
        """Unfinished commands that fronts gave, in memory or not."""
        return len(self._ordering) - self._ordering.own + self.unread - self.unread_own

    async def start(self) -> None:
        """Read what workers can begin with. Raises what the database does."""
        await self._begin_anew()
        while (operation := self._next()) is not None:
            await self._read(operation)

    def adopted(self) -> None:
        """Rows of any age have become ours."""
        self._anew = True
        self.look()

    def close(self) -> None:
        """Read no more."""
        self._closed = True
        if self._reading is not None:
            self._reading.cancel()

    def add(self, command: QueuedCommand, *, new: bool = True) -> None:
        """A row is in the inbox that is not in the ordering. `new` False: it may have been there before."""
        if command.id in self._ordering:
            return
        if command.operation not in self._read_to and (command.after is not None or not (self._anew or self._read_to)):
            self._ordering.add(command)
            return
        self._read_to.setdefault(command.operation, 0)
        self._recorded.add(command.operation)
        if new:
            self._reckon(command, 1)
        self.look()

    async def settled(self, ids: Sequence[str]) -> Mapping[str, bool]:
        """What `Inbox.settled` says of predecessors; those that are unread are read, for somebody waits for them."""
        found = await self._inbox.settled(ids)
        wanted = [id for id, is_settled in found.items() if not is_settled and id not in self._ordering]
        if wanted and (self._anew or self._read_to):
            with self._ordering.departures() as gone:
                commands = await self._store.read(partial(unfinished.of, owner=self._owner, ids=wanted))
                self._take_up(commands, gone)
            self._ordering.work.send()
        return found

    def look(self) -> None:
        """Read on, if there is a need."""
        if self._closed or not (self._anew or self._next()):
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read_on())

    # --- reading --------------------------------------------------------------------------------------------

    async def _read_on(self) -> None:
        while True:
            if self._anew:
                await until_done(self._begin_anew, self._backoff, _not_read)
            elif (operation := self._next()) is not None:
                await until_done(partial(self._read, operation), self._backoff, _not_read)
                self._ordering.work.send()
            else:
                return

    async def _begin_anew(self) -> None:
        self._anew = False
        try:
            operations = await self._store.read(partial(unfinished.operations, owner=self._owner))
            every, own = await self._store.scan(partial(unfinished.count, owner=self._owner))
        except BaseException:
            self._anew = True
            raise
        self._read_to |= dict.fromkeys(operations, 0)
        self.unread = max(0, every - len(self._ordering))
        self.unread_own = max(0, own - self._ordering.own)

    def _next(self) -> str | None:
        """The operation to be read of now."""
        full = len(self._ordering) >= self.most
        for operation in self._read_to:
            if self._ordering.ready(operation) < READY and not (full and self._ordering.of(operation) >= READY):
                return operation
        return None

    async def _read(self, operation: str) -> None:
        self._recorded.discard(operation)
        after = self._read_to[operation]
        read = partial(unfinished.page, owner=self._owner, operation=operation, after=after, most=PAGE)
        with self._ordering.departures() as gone:
            commands, last = await self._store.read(read)
            self._take_up(commands, gone)
        del self._read_to[operation]
        if last is not None or operation in self._recorded:
            self._read_to[operation] = after if last is None else last  # behind the others
        elif not self._read_to:
            self.unread = self.unread_own = 0

    def _take_up(self, commands: Iterable[QueuedCommand], gone: Collection[str]) -> None:
        for command in commands:
            if command.id not in self._ordering and command.id not in gone:
                self._ordering.add(command)
                self._reckon(command, -1)

    def _reckon(self, command: QueuedCommand, more: int) -> None:
        self.unread = max(0, self.unread + more)
        if command.key.startswith(OWN_KEY):
            self.unread_own = max(0, self.unread_own + more)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        number = len(self._ordering) + self.unread
        yield "intranet_bridge_commands_unfinished", "Commands without an outcome", {}, number


def _not_read(error: Exception, failures: int) -> None:
    if now_and_then(failures):
        log.error("commands-not-read", reason=said(error), failures=failures)
