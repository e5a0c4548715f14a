"""Asks the inbox about the predecessors `ordering` waits for, all that are due in one question."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from intranet_bridge.inbox.ordering import Ordering
from protocol.backoff import Backoff
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.retry import now_and_then, until_done
from protocol.runtime.store_health import said

log = logger(__name__)


class Predecessors:
    """The thin loop around `Ordering.unresolved` and `Ordering.resolve`; at rest there is no task and no timer."""

    def __init__(
        self,
        *,
        ordering: Ordering,
        settled: Callable[[Sequence[str]], Awaitable[Mapping[str, bool]]],
        backoff: Backoff,
        wait_for: Callable[[Sequence[str]], object] = lambda _: None,
    ) -> None:
        """`settled` asks the inbox; `backoff`: the waits after a question that failed; `wait_for` is told what of it is
        still waited for, after each question.
        """
        self._ordering, self._settled, self._backoff, self._wait_for = ordering, settled, backoff, wait_for
        ordering.work.connect(self.watch)
        self._asking: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.out_of_order = 0
        """Commands that went on because their predecessor never came."""

    def watch(self) -> None:
        """See to it that what `ordering` has unresolved, now or later, is asked."""
        due = self._ordering.unresolved_at()
        if due is None or self._asking is not None or self._closed:
            return
        loop, now = asyncio.get_running_loop(), time.monotonic()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due > now:
            self._timer = loop.call_later(due - now, self.watch)
            return
        self._asking = loop.create_task(self._ask())
        self._asking.add_done_callback(self._asked)

    def close(self) -> None:
        """Ask no more."""
        self._closed = True
        for one in (self._timer, self._asking):
            if one is not None:
                one.cancel()

    async def _ask(self) -> None:
        ids = self._ordering.unresolved(time.monotonic())
        if not ids:
            return
        # while the inbox cannot be read, nothing goes on for want of an answer
        settled = await until_done(lambda: self._settled(ids), self._backoff, _not_asked)
        if waits := [id for id in ids if not settled.get(id)]:
            self._wait_for(waits)
        for command in self._ordering.resolve(time.monotonic(), ids, settled):
            self.out_of_order += 1
            log.warning(
                "predecessor-never-came", request_id=command.id, operation=command.operation, after=command.after
            )

    def _asked(self, task: "asyncio.Task[None]") -> None:
        self._asking = None
        if not task.cancelled():
            task.result()
            self._ordering.work.send()

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        text = "Commands that went on although their predecessor never came"
        yield "intranet_bridge_commands_out_of_order_total", text, {}, self.out_of_order


def _not_asked(error: Exception, failures: int) -> None:
    if now_and_then(failures):
        log.error("predecessors-not-asked", reason=said(error), failures=failures)
