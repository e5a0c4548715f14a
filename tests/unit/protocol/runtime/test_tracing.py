"""Tracing: off costs nothing, on says what it should and no more."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import SpanKind

from protocol.errors import ConfigurationError
from protocol.link.memory import MemoryLink
from protocol.link.memory_broker import MemoryBroker
from protocol.runtime import tracing
from protocol.runtime.settings import load
from protocol.runtime.spans import Spans, TracedLane, context_of, end, sending, traceparent_of
from protocol.runtime.tracing import TracingSection, opened

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Traced:
    def __init__(self, ratio: float = 1.0) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=ParentBasedTraceIdRatio(ratio))
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.spans = Spans(provider.get_tracer("test"))

    @property
    def ended(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()


def send(traced: Traced, parent: str = PARENT) -> Any:
    return traced.spans.message("send", "/queue/bridge.query.main", parent, "01a2", "bill-query")


# --- off ---------------------------------------------------------------------------------------------------------


def test_without_an_endpoint_nothing_of_it_is_imported() -> None:
    # (FastAPI imports OpenTelemetry's API, which does nothing by itself.)
    ours = "m.startswith(('opentelemetry.sdk', 'opentelemetry.exporter')) or m.endswith(('.traced', '.spans'))"
    program = f"import dmz_front.app, intranet_bridge.app, sys; print([m for m in sys.modules if {ours}])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("[]", "['protocol.operations.spans']")  # of time
    assert opened(TracingSection(), "dmz-front", "front-1") is None


def test_without_the_extra_it_is_said_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'dmz-bridge\[otel\]'"):
        opened(TracingSection(endpoint="http://127.0.0.1:4318/v1/traces"), "dmz-front", "front-1")


@pytest.mark.parametrize(
    "text", ['endpoint = "127.0.0.1:4318"', "ratio = 1.5", 'certificate = "x.pem"', 'endpoint = "http://u:p@host/"']
)
def test_settings_that_cannot_be(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(ConfigurationError):
        load(tmp_path / "x.toml", TracingSection)


# --- on ----------------------------------------------------------------------------------------------------------


def test_a_span_is_under_the_senders_and_hands_itself_on() -> None:
    traced = Traced(ratio=0.0)
    span = send(traced)
    version, trace, id, flags = traceparent_of(span).split("-")
    assert (version, trace, flags) == ("00", PARENT.split("-")[1], "01")
    assert id != PARENT.split("-")[2]
    end(span)
    (found,) = traced.ended
    assert found.parent is not None
    assert f"{found.parent.span_id:016x}" == PARENT.split("-")[2]
    assert found.parent.is_remote
    assert (found.name, found.kind) == ("send bridge.query.main", SpanKind.PRODUCER)
    assert dict(found.attributes or {}) == {
        "messaging.system": "activemq",
        "messaging.destination.name": "bridge.query.main",
        "messaging.operation.type": "send",
        "messaging.operation.name": "send",
        "messaging.message.conversation_id": "01a2",
        "dmz_bridge.operation": "bill-query",
    }


@pytest.mark.parametrize("parent", ["", PARENT[:-1] + "0"])
def test_what_is_not_sampled_is_not_exported_and_says_so_to_the_next(parent: str) -> None:
    traced = Traced(ratio=0.0)
    span = send(traced, parent)
    assert not int(traceparent_of(span)[-2:], 16) & 1  # the second bit says that the id is random
    assert len(traceparent_of(span)) == len(PARENT)
    end(span, "no-bridge")
    assert not traced.ended


def test_without_a_parent_a_trace_begins() -> None:
    traced = Traced()
    end(send(traced, ""))
    assert traced.ended[0].parent is None
    assert context_of("nonsense") == {}


def test_an_end_comes_once() -> None:
    traced = Traced()
    span = send(traced)
    end(span, "no-bridge")
    end(span)
    (found,) = traced.ended
    assert (found.status.status_code.name, (found.attributes or {})["error.type"]) == ("ERROR", "no-bridge")


@pytest.mark.anyio
async def test_what_is_kept_ends_with_its_record() -> None:
    traced, recorded = Traced(), list[str]()

    async def record(ids: Sequence[str]) -> None:
        recorded.extend(ids)

    traced.spans.keep("a", send(traced))
    traced.spans.keep("b", send(traced))
    await traced.spans.sent(record)(["a", "unknown"])
    assert (recorded, len(traced.ended)) == (["a", "unknown"], 1)
    traced.spans.keep("b", send(traced))  # sent again: the one before is over
    assert len(traced.ended) == 2


def test_what_is_never_sent_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocol.runtime.spans._PENDING", 2)
    traced = Traced()
    for id in "abc":
        traced.spans.keep(id, send(traced))
    assert len(traced.ended) == 1


@pytest.mark.anyio
async def test_the_brokers_receipt_ends_the_sending() -> None:
    traced = Traced()
    link = MemoryLink(MemoryBroker())
    await link.start()
    await link.ready()
    lane = TracedLane(link, persistent=False)
    before = sending.set(send(traced))
    receipt = lane.post("/queue/bridge.query.main", b"sealed")
    sending.reset(before)
    other = lane.post("/queue/bridge.query.main", b"of nobody's")
    assert not traced.ended
    await asyncio.gather(receipt, other)
    await asyncio.sleep(0)
    assert len(traced.ended) == 1
    await link.close()


def test_a_collector_that_is_away_is_said_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("protocol.runtime.tracing.time.monotonic", lambda: now[0])
    quiet = tracing._OnceAMinute()
    make: Callable[[], logging.LogRecord] = lambda: logging.LogRecord(  # noqa: E731
        "x", logging.ERROR, "", 0, "away", (), (ValueError, ValueError("x"), None)
    )
    first = make()
    assert quiet.filter(first)
    assert first.exc_info is None
    assert not quiet.filter(make())
    now[0] += 61
    assert quiet.filter(make())
