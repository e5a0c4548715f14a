"""A query: put on the queue, waited for, answered, or refused with the reason. Touches no database."""

import asyncio
import time
from collections.abc import Iterator

from dmz_front.problems.details import Problem
from dmz_front.queries.shedding import AnswerRate, expected_s
from dmz_front.replies.bridges import Bridges, Service
from dmz_front.replies.responses import PAUSE_RETRY_S, service_problem
from dmz_front.replies.router import Waiters
from dmz_front.settings import LimitsSection
from protocol.destinations import Route
from protocol.envelope import Kind, Sealer
from protocol.errors import LinkError, OutcomeUnknown, Overloaded, SendRefused
from protocol.link.lane import Lane
from protocol.messages import Attributes, Reply
from protocol.operations import Operation
from protocol.runtime.clock import Clock
from protocol.runtime.metrics import Sample

LONGEST_RETRY_S = 30.0
"""What `Retry-After` says at most to a query that was refused because of those before it."""


class Queries:
    """Asks the bridge, and waits."""

    def __init__(
        self,
        *,
        route: Route,
        lane: Lane,
        sealer: Sealer,
        waiters: Waiters,
        bridges: Bridges,
        limits: LimitsSection,
        clock: Clock,
    ) -> None:
        self._route, self._lane, self._sealer = route, lane, sealer
        self._waiters, self._bridges, self.limits, self._clock = waiters, bridges, limits, clock
        self._pace = AnswerRate()
        self.shed = 0
        """Queries refused because their deadline could not be met."""

    async def ask(
        self, operation: Operation, application: str, body: bytes, id: str, trace: str, wait_s: float,
        wish: str = "",
    ) -> Reply:  # fmt: skip
        """The bridge's reply. `wish`: `no-cache` for none that is kept. Raises Problem 502, 503 or 504."""
        service = self._bridges.service(operation.name)
        if service is not Service.UP:
            raise service_problem(service, self._bridges.maintenance_s(operation.name))
        if not self._lane.connected:
            raise Problem(503, "broker-unreachable", retry_after_s=PAUSE_RETRY_S)
        if len(self._waiters) >= self.limits.queries_in_flight:
            raise Problem(503, "overloaded", retry_after_s=1)
        self._shed(wait_s)
        now = self._clock()
        deadline = now + int(wait_s * 1000)
        attributes = Attributes(
            id,
            f"{self._route.front}/{application}",
            operation.name,
            now,
            "",
            trace,
            deadline,
            self._route.reply_to,
            wish if wish and self._bridges.wire_version > 1 else "",
            self._bridges.wire_version,
        )
        envelope = self._sealer.seal(Kind.REQUEST, attributes, body, now_ms=now)
        future = self._waiters.enter(id)
        answered = False
        timer = asyncio.get_running_loop().call_later(wait_s, _give_up, future)
        try:
            self._lane.post(self._route.destination, envelope, deadline).add_done_callback(
                lambda receipt: _not_sent(receipt, future)
            )
            reply = await future
            answered = True
            return reply
        except TimeoutError:
            if self._bridges.service(operation.name) is Service.NO_BRIDGE:
                raise Problem(502, "no-bridge", retry_after_s=PAUSE_RETRY_S) from None
            raise Problem(504, "no-answer-in-time") from None
        except Overloaded:
            raise Problem(503, "overloaded", retry_after_s=1) from None
        except SendRefused:
            raise Problem(503, "broker-refused", retry_after_s=PAUSE_RETRY_S) from None
        except LinkError:
            raise Problem(503, "broker-unreachable", retry_after_s=PAUSE_RETRY_S) from None
        finally:
            timer.cancel()
            self._waiters.leave(id)
            self._pace.left(len(self._waiters), self._bridges.capacity.slots, answered=answered)

    def _shed(self, wait_s: float) -> None:
        """Raise Problem 503 when the answer would come too late: waiting for nothing helps nobody."""
        in_flight, capacity = len(self._waiters), self._bridges.capacity
        expected = expected_s(in_flight, capacity, self._pace.rate(time.monotonic(), in_flight, capacity.slots))
        spare = wait_s * self.limits.deadline_share - expected
        if spare < 0:
            self.shed += 1
            raise Problem(503, "overloaded", retry_after_s=min(-spare, LONGEST_RETRY_S))

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        yield "dmz_front_waiting", "Callers waiting", {"kind": "query"}, len(self._waiters)
        yield "dmz_front_shed_total", "Queries refused: their deadline could not be met", {}, self.shed


def _give_up(future: "asyncio.Future[Reply]") -> None:
    if not future.done():
        future.set_exception(TimeoutError())


def _not_sent(receipt: "asyncio.Future[None]", future: "asyncio.Future[Reply]") -> None:
    # A receipt that did not come says nothing about the message: only a sure failure ends the wait.
    error = None if receipt.cancelled() else receipt.exception()
    if error is not None and not isinstance(error, OutcomeUnknown) and not future.done():
        future.set_exception(error)
