"""The bridge's parts as they are while requests are traced (runtime/tracing.py): imported only then.

    … the front … ── CONSUMER  process bridge.query.main ─┬─ CLIENT    call bill-query
                                                          └─ PRODUCER  send bridge.reply.query.front-1 ── … the front …

A command is processed once an attempt, each a span of its own; its reply's sending ends when the inbox has the receipt.
"""

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from opentelemetry.trace import Span, SpanKind

from intranet_bridge.commands.workers import CommandWorkers
from intranet_bridge.inbox.inbox import entry
from intranet_bridge.inbox.ordering import QueuedCommand
from intranet_bridge.intake.queries import QueuedQuery
from intranet_bridge.marketing import Absent, Answered, Finding, MarketingRequest, Outcome, Refused
from intranet_bridge.marketing.calls import MarketingCalls
from intranet_bridge.queries.workers import QueryWorkers
from intranet_bridge.replies import Replies
from protocol.envelope import Kind, Opened, Opener
from protocol.keyring import Keyring
from protocol.lifecycle import State
from protocol.messages import Attributes
from protocol.runtime.spans import Spans, end, traceparent_of
from protocol.runtime.tracing import Tracing

T = TypeVar("T", Outcome, Finding)


@dataclass(slots=True)
class _Attempt:
    """What is being worked on in a task, and its span once that is opened."""

    queue: str
    span: Span | None = None


_attempt: ContextVar[_Attempt | None] = ContextVar("attempt", default=None)


@contextmanager
def _attempted(queue: str) -> Iterator[None]:
    """What this task opens meanwhile came from `queue`; its span ends here."""
    attempt = _Attempt(queue)
    before = _attempt.set(attempt)
    try:
        yield
    finally:
        _attempt.reset(before)
        if attempt.span is not None:
            end(attempt.span)


class TracedOpener(Opener):
    """Begins the span of what a worker opens, and puts it in the place of the sender's."""

    spans: Spans

    def authentic(self, envelope: bytes) -> Opened:
        """See `Opener.authentic`."""
        return _begun(self.spans, super().authentic(envelope))


def _begun(spans: Spans, opened: Opened) -> Opened:
    """What this task works on, within the span of its work; unchanged without an attempt, or if its span is begun."""
    attempt = _attempt.get()
    if attempt is None or attempt.span is not None or opened.kind is not Kind.REQUEST:
        return opened
    told = opened.attributes
    attempt.span = spans.message("process", attempt.queue, told.traceparent, told.id, told.type)
    return replace(opened, attributes=replace(told, traceparent=traceparent_of(attempt.span)))


class TracedQueryWorkers(QueryWorkers):
    """Each query's work is a span, and its call of the marketing system one within it."""

    spans: Spans

    async def _work(self, member: QueuedQuery) -> None:
        with _attempted(member.message.delivery.destination):
            await super()._work(member)

    async def _ask(self, request: Attributes, asked: MarketingRequest) -> Outcome:
        span, within = called(self.spans, request.type, asked)
        return await _told(span, super()._ask(request, within))


class TracedCalls(MarketingCalls):
    """Each call for a command is a span, and each inquiry."""

    spans: Spans

    async def call(self, operation: str, asked: MarketingRequest) -> Outcome:
        """See `MarketingCalls.call`."""
        span, within = called(self.spans, operation, asked)
        return await _told(span, super().call(operation, within))

    async def inquire(self, operation: str, asked: MarketingRequest) -> Finding:
        """See `MarketingCalls.inquire`."""
        span, within = called(self.spans, operation, asked, "inquire")
        return await _told(span, super().inquire(operation, within))


class TracedCommandWorkers(CommandWorkers):
    """Each attempt at a command is a span."""

    queue: str
    spans: Spans

    async def _run(self, command: QueuedCommand) -> None:
        with _attempted(self.queue):
            await super()._run(command)

    async def _request(self, command: QueuedCommand) -> Opened:
        return _begun(self.spans, await super()._request(command))


class TracedReplies(Replies):
    """Each reply's sending is a span."""

    spans: Spans

    def sealed(
        self, request: Attributes, state: State, code: str = "", detail: str = "", result: bytes = b"", *,
        deadline: int = 0,
    ) -> bytes:  # fmt: skip
        """See `Replies.sealed`."""
        span = self.spans.message("send", request.reply_to, request.traceparent, request.id, request.type)
        span.set_attribute("dmz_bridge.outcome", state.value)
        within = replace(request, traceparent=traceparent_of(span))
        envelope = super().sealed(within, state, code, detail, result, deadline=deadline)
        if deadline:
            end(span)  # a query's: it is posted at once, and nobody waits for its receipt
        else:
            self.spans.keep(entry(request.id, state, request.reply_to, b"").id, span)
        return envelope


def called(spans: Spans, operation: str, asked: MarketingRequest, what: str = "call") -> tuple[Span, MarketingRequest]:
    """The span of a call, and the request that hands it on to the marketing system."""
    attributes = {"dmz_bridge.operation": operation, "messaging.message.conversation_id": asked.request_id}
    span = spans.begin(f"{what} {operation}", SpanKind.CLIENT, asked.traceparent, attributes)
    return span, replace(asked, traceparent=traceparent_of(span))


async def _told(span: Span, call: Awaitable[T]) -> T:
    """What a call comes to; its span ends with that. A refusal is the marketing system's answer, and no error."""
    try:
        came_to = await call
    except BaseException as error:
        end(span, type(error).__name__)
        raise
    name = type(came_to).__name__
    span.set_attribute("dmz_bridge.outcome", name)
    end(span, "" if isinstance(came_to, Answered | Refused | Absent) else name)
    return came_to


class Traced:
    """Makes the traced parts of one bridge."""

    def __init__(self, tracing: Tracing, queue: str) -> None:
        """`queue`: of commands."""
        self.spans, self.close, self._queue = Spans(tracing.tracer), tracing.close, queue

    def opener(self, keyring: Keyring, *, version_max: int) -> Opener:
        """See TracedOpener."""
        return self.spans.given(TracedOpener(keyring, version_max=version_max))

    def replies(self, *given: Any) -> Replies:
        """See TracedReplies."""
        return self.spans.given(TracedReplies(*given))

    def calls(self, *given: Any) -> MarketingCalls:
        """See TracedCalls."""
        return self.spans.given(TracedCalls(*given))

    def queries(self, **given: Any) -> QueryWorkers:
        """See TracedQueryWorkers."""
        return self.spans.given(TracedQueryWorkers(**given))

    def commands(self, **given: Any) -> CommandWorkers:
        """See TracedCommandWorkers."""
        made = self.spans.given(TracedCommandWorkers(**given))
        made.queue = self._queue
        return made
