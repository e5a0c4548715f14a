"""Replies: the outcome as the front will read it, sealed once, and put on its reply queue."""

from collections.abc import Callable, Iterator

from protocol.envelope import Kind, Sealer
from protocol.errors import LinkError
from protocol.lifecycle import State
from protocol.link.lane import Lane
from protocol.messages import Attributes, Reply
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample

log = logger(__name__)

LONGEST_RESULT = 192 * 1024
"""Bytes of a result; a frame of the link and the broker's frame limit both leave room for it."""


class Replies:
    """Makes replies, and sends those to queries. (Those to commands go by the outbox, from their row.)"""

    def __init__(
        self, name: str, sealer: Sealer, query_lane: Lane, clock: Clock, group_of: Callable[[str], str] = lambda _: ""
    ) -> None:
        """`group_of`: the group of fronts that the configuration gives an instance; empty: none."""
        self._group_of = group_of
        self._name, self._sealer, self._lane, self._clock = name, sealer, query_lane, clock
        self.sent = 0
        self.not_sent = 0
        """Replies to queries that found the link down or full: the caller's deadline tells it so."""

    def sealed(
        self,
        request: Attributes,
        state: State,
        code: str = "",
        detail: str = "",
        result: bytes = b"",
        *,
        deadline: int = 0,
    ) -> bytes:
        """The sealed reply to a request, in the version of the request: its front reads that."""
        if len(result) > LONGEST_RESULT:
            log.error("result-too-long", request_id=request.id, operation=request.type, size=len(result))
            # What was done stays done: only a query's outcome turns into a failure.
            state, result = (State.FAILED if deadline else state), b""
            code, detail = "answer-too-long", "the marketing system's answer is longer than a message may be"
        now = self._clock()
        attributes = Attributes(
            request.id, self._name, request.type, now, "", request.traceparent, deadline, version=request.version,
            group=request.group or self._group(request),
        )  # fmt: skip
        payload = Reply(attributes, state, code, detail, result).payload()
        return self._sealer.seal(Kind.REPLY, attributes, payload, now_ms=now)

    def _group(self, request: Attributes) -> str:
        """Of a request signed with the key that fronts share, or not opened: its front has its group's keys before
        anyone uses them.
        """
        front = request.reply_to.rpartition(".")[2] or request.source.partition("/")[0]
        group = self._group_of(front)
        return group if self._sealer.knows(group) else ""

    def answer(self, request: Attributes, state: State, code: str = "", detail: str = "", result: bytes = b"") -> None:
        """Seal and send the reply to a query. It expires with the query; nobody waits for its receipt."""
        deadline = request.deadline
        envelope = self.sealed(request, state, code, detail, result, deadline=deadline)
        try:
            self._lane.post(request.reply_to, envelope, deadline)
        except LinkError:
            self.not_sent += 1
        else:
            self.sent += 1

    async def drain(self) -> None:
        """Wait for the receipts of what was sent to queries."""
        await self._lane.drain()

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        text = "Answers to queries not sent: the link was down or full"
        yield "intranet_bridge_query_replies_not_sent_total", text, {}, self.not_sent
