"""Interfaces in doubt are probed by the bridge, over real sockets, so that status can name the cause."""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from bridgectl.status.causes import found
from intranet_bridge.marketing import Answered, MarketingRequest, NotApplied
from intranet_bridge.marketing.binding import BreakerSection
from intranet_bridge.marketing.breaker import Breaker
from intranet_bridge.marketing.health import Health
from intranet_bridge.settings import BridgeSettings
from intranet_bridge.trial.doubt import AGAIN_S, Doubts, in_thread, probed, to_probe
from protocol.reports.calls import DiagnosisReport
from scripts.tools.testbed.processes import free_port

pytestmark = pytest.mark.anyio

ASKED = MarketingRequest("id", {})
FAILED = NotApplied("connect: Connection refused", reached=False)
LOG_IN = b'<html><form action="/login"><input name="u"><input type="password" name="p"></form></html>'


def health(operation: str, system: str = "marketing", *, failing: bool = False) -> Health:
    one = Health(operation, Breaker(BreakerSection(failures=9)), None, system)
    one.heard(0, ASKED, FAILED if failing else Answered(b"{}"), 0.1)
    return one


def settings(port: int = 1, **breaker: Any) -> BridgeSettings:
    values: dict[str, Any] = {
        "link": {"brokers": ["localhost:1"], "ca": "x", "certificate": "x", "key": "x"},
        "keys": {"keyring": "x", "trusted": "x"},
        "store": {"file": "x"},
        "marketing": {"url": f"http://127.0.0.1:{port}", "timeout_s": 0.3},
        "breaker": breaker,
        "operations": {"faq": {"path": "/", "response": "{items: `[]`}"}},
    }
    return BridgeSettings.model_validate(values)


def test_a_query_in_doubt_is_tried_first_then_one_that_was_well_and_never_a_command() -> None:
    bound = {"bill-query", "arrears-query", "work-order", "outlets", "faq"}
    order = health("work-order", failing=True)
    assert to_probe([health("bill-query"), health("arrears-query", failing=True), order], bound, 0) == {
        "marketing": "arrears-query"
    }
    assert to_probe([health("bill-query"), order], bound, 0) == {"marketing": "bill-query"}
    assert to_probe([order], bound, 0) == {}
    assert to_probe([health("bill-query"), health("outlets", "public")], bound, 0) == {}
    assert to_probe([health("faq", "public", failing=True), order], bound, 0) == {"public": "faq"}


def test_what_is_paused_is_neither_in_doubt_nor_tried() -> None:
    failing, well = health("arrears-query", failing=True), health("bill-query")
    failing.breaker.suspend(0)
    assert to_probe([failing, well], {"arrears-query", "bill-query"}, 0) == {}
    well.breaker.suspend(0)
    assert to_probe([failing, well, health("work-order", failing=True)], {"arrears-query", "bill-query"}, 0) == {}


async def test_at_most_once_a_minute_and_system() -> None:
    tried: list[str] = []
    now = [0.0]

    def probe(_: BridgeSettings, operation: str) -> DiagnosisReport:
        tried.append(operation)
        return DiagnosisReport(
            system="marketing", operation=operation, at=1, took_ms=1, limit_ms=1, patience_ms=1, outcome="unknown"
        )

    doubts = Doubts(settings(), {"faq": health("faq", failing=True)}, probe, lambda: now[0])
    for at in (0.0, 1.0, AGAIN_S - 0.1):
        now[0] = at
        await doubts.look()
    assert tried == ["faq"]
    now[0] = AGAIN_S
    await doubts.look()
    assert tried == ["faq", "faq"]
    assert doubts.diagnoses["marketing"].operation == "faq"


async def test_a_probe_that_hangs_holds_up_nobody() -> None:
    gate = threading.Event()
    task = asyncio.get_running_loop().create_task(in_thread(gate.wait))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task  # which would never be over, if it waited for the thread
    gate.set()
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


@contextmanager
def serving(answer: Callable[[], tuple[int, str, bytes]]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, kind, body = answer()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def cause(port: int, patience_s: float = 5, **breaker: Any) -> str:
    return found(probed(settings(port, **breaker), "faq", patience_s))


def test_nothing_listens() -> None:
    assert cause(free_port()) == "connection refused"


def test_a_log_in_page_with_200() -> None:
    with serving(lambda: (200, "text/html", LOG_IN)) as port:
        assert cause(port) == "an HTML log-in page, not JSON"


def test_a_redirect_and_credentials_that_are_turned_away() -> None:
    with serving(lambda: (302, "text/html", b"")) as port:
        assert cause(port) == "HTTP 302: it sends us elsewhere, to a log-in mostly"
    with serving(lambda: (401, "text/html", b"")) as port:
        assert cause(port) == "HTTP 401: it turns our credentials away"


def slow() -> tuple[int, str, bytes]:
    time.sleep(0.9)
    return 200, "application/json", b"{}"


def test_slow_is_told_with_how_slow() -> None:
    with serving(slow) as port:
        assert re.fullmatch(r"slow: (0\.9|[1-4](\.\d)?) s", cause(port))
        assert cause(port, 0.5) == "slow: no answer within 0.5 s"


def test_well_and_well_but_slower_than_the_breaker_bears() -> None:
    with serving(lambda: (200, "application/json", b"{}")) as port:
        assert re.match(r"well, in [0-4]", cause(port))
    with serving(slow) as port:
        assert re.fullmatch(r"slow: (0\.9|[1-4](\.\d)?) s", cause(port, slow_s=0.2))
