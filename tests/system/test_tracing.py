"""One trace over both daemons, as a collector receives it: OTLP/HTTP from a real front and a real bridge."""

import gzip
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.testbeds import ACCOUNT, client, running_testbed, work_order

PATIENCE_S = 60.0


@dataclass
class Span:
    service: str
    name: str
    kind: int
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any] = field(repr=False)
    error: bool = False


class Collector(ThreadingHTTPServer):
    """An OTLP/HTTP receiver."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[Span] = []
        self.bodies: list[bytes] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces"

    def trace(self, id: str, count: int) -> list[Span]:
        """All spans of a trace, when there are so many. Fails the test if there never are."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            found = [span for span in self.spans if span.trace == id]
            if len(found) >= count:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{len(found)} spans of {count}: {found}")


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.bodies.append(body)
        assert self.headers["Content-Type"] == "application/x-protobuf"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _values(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.server.spans += [
                    Span(
                        service, one.name, one.kind, one.trace_id.hex(), one.span_id.hex(), one.parent_span_id.hex(),
                        _values(one.attributes), one.status.code == 2,
                    )
                    for one in scope.spans
                ]  # fmt: skip
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        yield collector
        collector.shutdown()
        thread.join()


def chain(spans: list[Span]) -> dict[str, Span]:
    """By name and service; every parent is there, but the caller's."""
    ids = {span.id for span in spans}
    assert [span.name for span in spans if span.parent not in ids] == [min(spans, key=_first).name]
    return {span.name: span for span in spans}


def _first(span: Span) -> int:
    return 0 if span.name.startswith("POST ") else 1


def test_one_trace_from_the_caller_to_the_marketing_system(tmp_path: Path, collector: Collector) -> None:
    traced = {"tracing.endpoint": collector.endpoint, "tracing.ratio": 0.0}
    settings = {"dmz_front": traced, "intranet_bridge": traced | {"presence_interval_s": 0.5}}
    with running_testbed(tmp_path, settings=settings) as testbed, client(testbed) as http:
        query, command, unsampled = (uuid.uuid4().hex for _ in range(3))
        parent = "b7ad6b7169203331"
        answer = http.post(
            "/v1/arrears-query", json={"account": ACCOUNT}, headers={"traceparent": f"00-{query}-{parent}-01"}
        )
        assert answer.status_code == 200, answer.text
        order = {"traceparent": f"00-{command}-{parent}-01", "Idempotency-Key": uuid.uuid4().hex, "Prefer": "wait=10"}
        done = http.post("/v1/work-order", json=work_order(), headers=order)
        assert done.status_code == 200, done.text
        # neither a caller that says no, nor one that says nothing (ratio 0), is traced
        http.post(
            "/v1/arrears-query", json={"account": ACCOUNT}, headers={"traceparent": f"00-{unsampled}-{parent}-00"}
        )
        http.post("/v1/arrears-query", json={"account": ACCOUNT})

        for trace, name, lane, request in (
            (query, "arrears-query", "query", answer.headers["Request-Id"]),
            (command, "work-order", "command", done.headers["Request-Id"]),
        ):
            spans = chain(collector.trace(trace, 6))
            http_span = spans[f"POST /v1/{name}"]
            sent, processed = spans[f"send bridge.{lane}.main"], spans[f"process bridge.{lane}.main"]
            called = spans[f"call {name}"]
            replied, received = (spans[f"{what} bridge.reply.{lane}.front-1"] for what in ("send", "receive"))
            assert http_span.parent == parent
            assert (sent.parent, processed.parent) == (http_span.id, sent.id)
            assert (called.parent, replied.parent, received.parent) == (processed.id, processed.id, replied.id)
            assert [one.service for one in (http_span, sent, received)] == ["dmz-front"] * 3
            assert [one.service for one in (processed, called, replied)] == ["intranet-bridge"] * 3
            # SERVER, PRODUCER, CONSUMER, CLIENT (opentelemetry.proto.trace.v1)
            assert [one.kind for one in (http_span, sent, processed, called)] == [2, 4, 5, 3]
            assert http_span.attributes["http.response.status_code"] == 200
            for one, what in ((sent, "send"), (processed, "process"), (replied, "send"), (received, "receive")):
                assert one.attributes["messaging.system"] == "activemq"
                assert one.attributes["messaging.operation.type"] == what
                assert one.attributes["messaging.destination.name"] in one.name
            for one in spans.values():
                assert one.attributes["messaging.message.conversation_id"] == request
                assert not one.error
        assert {span.trace for span in collector.spans} == {query, command}
    everything = b"".join(collector.bodies)
    assert ACCOUNT.encode() not in everything
    assert "张伟".encode() not in everything
    for log in ("front", "bridge"):
        assert "Traceback" not in (tmp_path / "log" / f"{log}.log").read_text()
