"""The front's parts as they are while requests are traced (runtime/tracing.py): imported only then.

SERVER  POST /v1/bill-query ─┬─ PRODUCER  send bridge.query.main ── … the bridge …
                             └ (far end)  CONSUMER  receive bridge.reply.query.front-1, under the bridge's send
"""

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.trace import Span, SpanKind
from pydantic import BaseModel

from dmz_front.admission.policy import trace_parent
from dmz_front.commands.submission import Commands
from dmz_front.http.exchange import EXTENSION, App, Exchange, Message, Receive, Scope, Send, fields_of, taken
from dmz_front.problems.details import Headers, HttpResponse, Problem
from dmz_front.queries.round_trip import Queries
from dmz_front.replies.router import Waiters
from protocol.link.lane import Lane
from protocol.link.port import Link
from protocol.messages import Reply
from protocol.operations import Operation
from protocol.runtime.spans import Spans, TracedLane, end, sending, traceparent_of
from protocol.runtime.tracing import Tracing


@dataclass(slots=True)
class _Watched(Exchange):
    """An exchange whose answer is told to a span."""

    span: Span = field(kw_only=True)

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """See `Exchange.answer`."""
        _told(self.span, status, headers)
        await super(_Watched, self).answer(status, headers, body)


def _told(span: Span, status: int, headers: Headers) -> None:
    span.set_attribute("http.response.status_code", status)
    for name, value in headers:
        if name == b"request-id":
            span.set_attribute("messaging.message.conversation_id", value.decode())


class TracedApi:
    """The API with a span around each operation's request; whatever else is asked for has none."""

    def __init__(self, spans: Spans, api: App, operations: Container[str]) -> None:
        self._spans, self._api, self._operations = spans, api, operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        name = scope["path"].removeprefix("/v1/") if scope["type"] == "http" and scope["method"] == "POST" else ""
        if name not in self._operations:
            await self._api(scope, receive, send)
            return
        try:
            headers = fields_of(scope)
        except Problem:  # answered as ever, with its own words
            await self._api(scope, receive, send)
            return
        route = f"/v1/{name}"
        attributes = {
            "http.request.method": "POST", "http.route": route, "url.path": route, "url.scheme": scope["scheme"],
            "dmz_bridge.operation": name,
        }  # fmt: skip
        span = self._spans.begin(f"POST {route}", SpanKind.SERVER, trace_parent(headers), attributes)

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                _told(span, message["status"], message["headers"])
            await send(message)

        try:
            await self._api(_within(scope, span), receive, told)
        except BaseException as error:
            end(span, type(error).__name__)
            raise
        end(span, _server_error(span))


def _server_error(span: Span) -> str:
    """By the conventions of HTTP, a server's span failed with 5xx alone."""
    status = dict(getattr(span, "attributes", None) or {}).get("http.response.status_code")
    return str(status) if isinstance(status, int) and status >= 500 else ""


def _within(scope: Scope, span: Span) -> Scope:
    """The scope with the span's `traceparent` in place of the caller's, so that everything after is under it."""
    traceparent = traceparent_of(span).encode()
    inner: dict[str, Any] = dict(scope)
    inner["headers"] = [
        *((name, value) for name, value in scope["headers"] if name != b"traceparent"), (b"traceparent", traceparent),
    ]  # fmt: skip
    exchange = taken(scope)
    if exchange is not None:
        watched = _Watched({**exchange.fields, b"traceparent": traceparent}, exchange.cycle, span=span)
        inner["extensions"] = {**scope["extensions"], EXTENSION: watched}
    return inner


class TracedQueries(Queries):
    """Queries whose sending is a span, until the broker's receipt."""

    spans: Spans

    async def ask(
        self, operation: Operation, application: str, body: bytes, id: str, trace: str, wait_s: float,
        wish: str = "",
    ) -> Reply:  # fmt: skip
        """See `Queries.ask`."""
        span = self.spans.message("send", self._route.destination, trace, id, operation.name)
        before = sending.set(span)
        try:
            return await super().ask(operation, application, body, id, traceparent_of(span), wait_s, wish)
        except Problem as problem:
            end(span, problem.code)
            raise
        finally:
            sending.reset(before)
            end(span)


class TracedCommands(Commands):
    """Commands whose sending is a span, until its receipt is in the ledger."""

    spans: Spans

    async def submit(
        self, operation: Operation, application: str, key: str, asked: BaseModel, body: bytes, id: str, trace: str,
        wait_s: float, callback: str = "",
    ) -> tuple[str, HttpResponse]:  # fmt: skip
        """See `Commands.submit`."""
        span = self.spans.message("send", self._route.destination, trace, id, operation.name)
        self.spans.keep(id, span)
        try:
            accepted, answer = await super().submit(
                operation, application, key, asked, body, id, traceparent_of(span), wait_s, callback
            )
        except Problem as problem:
            self.spans.settle(id, problem.code)
            raise
        if accepted != id:  # its Idempotency-Key was known: nothing is sent
            self.spans.settle(id)
        return accepted, answer


class TracedWaiters(Waiters):
    """Waiters whose replies are spans under the bridge's sending of them."""

    def __init__(self, spans: Spans, queue: str) -> None:
        super().__init__()
        self._spans, self._queue = spans, queue

    def wake(self, reply: Reply) -> bool:
        """See `Waiters.wake`."""
        told = reply.attributes
        span = self._spans.message("receive", self._queue, told.traceparent, told.id, told.type)
        woken = super().wake(reply)
        end(span)
        return woken


class Traced:
    """Makes the traced parts of one front."""

    def __init__(self, tracing: Tracing) -> None:
        self.spans, self.close = Spans(tracing.tracer), tracing.close

    def api(self, api: App, operations: Container[str]) -> App:
        """See TracedApi."""
        return TracedApi(self.spans, api, operations)

    def lane(self, link: Link, *, persistent: bool) -> Lane:
        """See TracedLane."""
        return TracedLane(link, persistent=persistent)

    def waiters(self, reply_to: str) -> Waiters:
        """See TracedWaiters."""
        return TracedWaiters(self.spans, reply_to)

    def queries(self, **given: Any) -> Queries:
        """See TracedQueries."""
        return self.spans.given(TracedQueries(**given))

    def commands(self, **given: Any) -> Commands:
        """See TracedCommands."""
        return self.spans.given(TracedCommands(**given))
