"""The front's traced parts: what the far ends of a trace look like when things go wrong, too."""

from collections.abc import MutableMapping
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dmz_front.http.exchange import EXTENSION, Exchange, Receive, Scope, Send, fields_of, write
from dmz_front.problems.details import HttpResponse
from dmz_front.replies.router import Waiters
from dmz_front.traced import TracedApi, TracedWaiters
from protocol.lifecycle import State
from protocol.messages import Attributes, Reply
from protocol.runtime.spans import Spans
from tests.unit.dmz_front.http.test_exchange import cycle_of

pytestmark = pytest.mark.anyio
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01".encode()


class Stage:
    """The API with an application behind it that answers `status`, or raises."""

    def __init__(self, status: int = 200, error: Exception | None = None) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.spans = Spans(provider.get_tracer("test"))
        self.status, self.error = status, error
        self.seen: list[bytes] = []
        self.told: list[MutableMapping[str, Any]] = []

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(fields_of(scope).get(b"traceparent", b"") if scope["type"] == "http" else b"")
        if self.error is not None:
            raise self.error
        await send({"type": "http.response.start", "status": self.status, "headers": [(b"request-id", b"01a2")]})
        await send({"type": "http.response.body", "body": b"{}"})

    async def ask(
        self, path: str = "/v1/bill-query", method: str = "POST", headers: Any = ((b"traceparent", PARENT),)
    ) -> Any:
        scope = {"type": "http", "method": method, "path": path, "scheme": "http", "headers": list(headers)}

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": b"{}"}

        async def send(message: MutableMapping[str, Any]) -> None:
            self.told.append(message)

        await TracedApi(self.spans, self.app, {"bill-query"})(scope, receive, send)
        return self.exporter.get_finished_spans()


async def nothing(*_: Any) -> Any:
    raise AssertionError("an answer written whole asks for neither")


async def test_what_comes_after_is_under_the_requests_span() -> None:
    stage = Stage()
    (span,) = await stage.ask()
    assert span.parent is not None
    assert stage.seen == [f"00-{TRACE}-{span.context.span_id:016x}-01".encode()]
    attributes = span.attributes or {}
    assert (span.name, attributes["http.response.status_code"]) == ("POST /v1/bill-query", 200)
    assert attributes["messaging.message.conversation_id"] == "01a2"
    assert span.status.status_code.name == "UNSET"
    assert [one["type"] for one in stage.told] == ["http.response.start", "http.response.body"]


async def test_an_answer_written_whole_is_told_to_the_span_and_is_written_once() -> None:
    """As on a connection of ours, whose answers do not go through `send`."""
    stage = Stage()
    cycle, transport, _ = cycle_of()

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        stage.seen.append(fields_of(scope)[b"traceparent"])
        await write(scope, send, HttpResponse(503, b"{}"), "01a2")

    scope = {
        "type": "http", "method": "POST", "path": "/v1/bill-query", "scheme": "http",
        "headers": [(b"traceparent", PARENT)],
        "extensions": {EXTENSION: Exchange({b"traceparent": PARENT}, cycle)},
    }  # fmt: skip
    await TracedApi(stage.spans, app, {"bill-query"})(scope, nothing, nothing)
    (span,) = stage.exporter.get_finished_spans()
    attributes = span.attributes or {}
    assert attributes["http.response.status_code"] == 503
    assert attributes["messaging.message.conversation_id"] == "01a2"
    assert span.status.status_code.name == "ERROR"
    assert stage.seen == [f"00-{TRACE}-{span.context.span_id:016x}-01".encode()]
    assert (transport.written.count(b"HTTP/1.1 503"), scope["extensions"]) == (1, {})


@pytest.mark.parametrize(("status", "verdict"), [(404, "UNSET"), (429, "UNSET"), (503, "ERROR")])
async def test_a_servers_span_failed_with_5xx_alone(status: int, verdict: str) -> None:
    (span,) = await Stage(status).ask()
    assert span.status.status_code.name == verdict


async def test_an_application_that_raises_ends_the_span() -> None:
    stage = Stage(error=KeyError("a customer's name"))
    with pytest.raises(KeyError):
        await stage.ask()
    (span,) = stage.exporter.get_finished_spans()
    assert (span.status.description, span.events) == ("KeyError", ())


@pytest.mark.parametrize(
    ("path", "method"), [("/v1/bill-query", "GET"), ("/v1/requests/x", "GET"), ("/v1/nothing", "POST")]
)
async def test_whatever_else_is_asked_for_has_no_span(path: str, method: str) -> None:
    stage = Stage()
    assert await stage.ask(path, method) == ()
    assert stage.seen == [PARENT]


async def test_a_reply_is_received_whether_somebody_waits_or_not() -> None:
    stage = Stage()
    waiters = TracedWaiters(stage.spans, "/queue/bridge.reply.query.front-1")
    assert isinstance(waiters, Waiters)
    told = Attributes("01a2", "bridge-1", "bill-query", 1, traceparent=PARENT.decode())
    reply = Reply(told, State.SUCCEEDED)
    future = waiters.enter("01a2")
    assert waiters.wake(reply)
    assert await future is reply
    assert not waiters.wake(reply)
    names = [span.name for span in stage.exporter.get_finished_spans()]
    assert names == ["receive bridge.reply.query.front-1"] * 2
