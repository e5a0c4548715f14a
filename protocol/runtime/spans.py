"""Spans of what crosses the boundary, by OpenTelemetry's conventions for messaging. Imported only when tracing.

A span's name and attributes say operation, queue and request id: no body, no account, no application's user.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Protocol, TypeVar

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from protocol.link.lane import FrameReceipt, Lane

_PENDING = 10_000
_W3C = TraceContextTextMapPropagator()

sending: ContextVar[Span | None] = ContextVar("sending", default=None)
"""The span that ends with the receipt of what is posted next in this context."""


def context_of(traceparent: str) -> Context:
    """The remote parent (W3C Trace Context); without one a trace of its own begins."""
    return _W3C.extract({"traceparent": traceparent}, context=Context())


def traceparent_of(span: Span) -> str:
    """What carries a span on, sampled or not."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def end(span: Span, error: str = "") -> None:
    """End a span, once; with an error if there was one: a code, never anybody's words."""
    if span.is_recording():
        if error:
            span.set_status(Status(StatusCode.ERROR, error))
            span.set_attribute("error.type", error)
        span.end()


class _Traced(Protocol):
    spans: "Spans"


Part = TypeVar("Part", bound=_Traced)


class Spans:
    """Begins spans, and keeps those that end elsewhere."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self._pending: OrderedDict[str, Span] = OrderedDict()

    def given(self, part: Part) -> Part:
        """A traced part, which begins its spans here."""
        part.spans = self
        return part

    def begin(self, name: str, kind: SpanKind, traceparent: str, attributes: Mapping[str, str]) -> Span:
        """A span under a remote parent."""
        return self.tracer.start_span(name, context_of(traceparent), kind, dict(attributes))

    def message(self, what: str, destination: str, traceparent: str, id: str, operation: str) -> Span:
        """A span of a message: `what` is `send`, `receive` or `process`."""
        queue = destination.removeprefix("/queue/")
        kind = SpanKind.PRODUCER if what == "send" else SpanKind.CONSUMER
        return self.begin(
            f"{what} {queue}",
            kind,
            traceparent,
            {
                "messaging.system": "activemq",
                "messaging.destination.name": queue,
                "messaging.operation.type": what,
                "messaging.operation.name": what,
                "messaging.message.conversation_id": id,
                "dmz_bridge.operation": operation,
            },
        )

    def keep(self, id: str, span: Span) -> None:
        """Until the receipt is recorded; the oldest of too many end as they are."""
        if (before := self._pending.pop(id, None)) is not None:
            end(before)
        self._pending[id] = span
        if len(self._pending) > _PENDING:
            end(self._pending.popitem(last=False)[1])

    def settle(self, id: str, error: str = "") -> None:
        """End the span that was kept for an id."""
        if (span := self._pending.pop(id, None)) is not None:
            end(span, error)

    def sent(self, record: Callable[[Sequence[str]], Awaitable[None]]) -> Callable[[Sequence[str]], Awaitable[None]]:
        """An outbox's `sent` that also ends the spans of what was sent."""

        async def recorded(ids: Sequence[str]) -> None:
            await record(ids)
            for id in ids:
                self.settle(id)

        return recorded


class TracedLane(Lane):
    """A lane whose receipts end the spans of what was posted."""

    def post(self, destination: str, envelope: bytes, expires: int = 0) -> FrameReceipt:
        """See `Lane.post`."""
        receipt = super().post(destination, envelope, expires)
        if (span := sending.get()) is not None:
            receipt.add_done_callback(lambda _: end(span))
        return receipt
