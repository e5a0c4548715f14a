"""The real process: start and end, token, and what survives its death."""

import hashlib
import http.client
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.testbeds import eventually

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60
TODAY = "2026-01-15"
BILLS = {"consNo": "3210000000001", "ymFrom": "202501", "ymTo": "202512"}


class RunningSimulator:
    """One real process and the requests to it."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        arguments = ["--port", "0", "--database", str(directory / "marketing.sqlite3"), "--customers", "50"]
        arguments += ["--port-file", str(directory / "port"), "--today", TODAY, *options]
        self.process = subprocess.Popen(
            [sys.executable, "scripts/tools/marketing_simulator", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.ready_line = self.process.stdout.readline()
        assert self.ready_line, self.process.communicate(timeout=PATIENCE_S)[1]
        self.port = int((directory / "port").read_text())
        self.token_file = directory / "marketing.sqlite3.token"
        self.token = self.token_file.read_text().strip()

    def send(self, method: str, path: str, body: object = None, token: str | None = None) -> tuple[int, Any]:
        """One request; returns the HTTP status and the JSON answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            headers = {"X-Access-Token": self.token if token is None else token}
            content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def call(self, path: str, body: object) -> Any:
        """A marketing interface that answers HTTP 200."""
        status, answer = self.send("POST", path, body)
        assert status == 200, answer
        return answer

    def journal(self) -> Any:
        return self.send("GET", "/journal")[1]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=PATIENCE_S)


StartSimulator = Callable[..., RunningSimulator]


@pytest.fixture
def start_simulator(tmp_path: Path) -> Iterator[StartSimulator]:
    """Starts simulators on one database, one after the other; they end with the test."""
    started: list[RunningSimulator] = []

    def start(*options: str) -> RunningSimulator:
        started.append(RunningSimulator(tmp_path, *options))
        return started[-1]

    yield start
    for simulator in started:
        simulator.end()


def repair(request_id: str) -> dict[str, Any]:
    return {
        "reqId": request_id,
        "woType": "01",
        "contactName": "张三",
        "contactTel": "19900000001",
        "addr": "云河市人民路1号",
        "content": "停电",
    }


def test_starts_answers_and_ends(start_simulator: StartSimulator) -> None:
    simulator = start_simulator()
    assert str(simulator.port) in simulator.ready_line
    assert stat.S_IMODE(simulator.token_file.stat().st_mode) == 0o600
    assert simulator.send("GET", "/health", token="")[1]["status"] == "up"
    assert simulator.call("/api/bill/query", BILLS)["data"]["billCnt"] == 12
    assert simulator.send("POST", "/api/bill/query", BILLS, token="wrong")[0] == 401
    assert simulator.send("POST", "/api/bill/query", b"{")[1]["rtnCode"] == "9002"
    assert simulator.call("/api/bill/query", BILLS | {"consNo": "3219999999999"})["rtnCode"] == "1004"
    simulator.process.terminate()
    assert simulator.process.wait(timeout=PATIENCE_S) == 0


def test_a_busy_port_is_said_clearly(start_simulator: StartSimulator) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "scripts.tools.marketing_simulator", "--port", port],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_applied_work_orders_survive_kill_9(start_simulator: StartSimulator) -> None:
    simulator = start_simulator()
    numbers = [f"request-{i}" for i in range(60)]
    with ThreadPoolExecutor(8) as pool:  # side by side, so that they share transactions
        answers = list(pool.map(lambda number: simulator.call("/api/wo/create", repair(number)), numbers))
    simulator.process.kill()
    simulator.process.wait(timeout=PATIENCE_S)
    restarted = start_simulator()
    assert {line["request_id"]: line["applied"] for line in restarted.journal()} == dict.fromkeys(numbers, 1)
    for number, answer in zip(numbers, answers, strict=True):
        assert restarted.call("/api/req/status", {"reqId": number}) == answer


def test_dies_after_applying_and_knows_the_request_afterwards(start_simulator: StartSimulator) -> None:
    simulator = start_simulator()
    assert simulator.send("PUT", "/faults", {"die_after_applying": 2})[0] == 200
    simulator.call("/api/wo/create", repair("request-1"))
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        simulator.call("/api/wo/create", repair("request-2"))
    assert simulator.process.wait(timeout=PATIENCE_S) == 70
    restarted = start_simulator()
    assert restarted.send("GET", "/faults")[1]["plan"] is None
    assert restarted.call("/api/req/status", {"reqId": "request-2"})["data"]["reqId"] == "request-2"
    assert restarted.send("GET", "/journal/summary")[1]["applied"] == 2


def test_fails_before_applying_and_hangs_after_it(start_simulator: StartSimulator) -> None:
    simulator = start_simulator()
    simulator.send("PUT", "/faults", {"error_rate": 1, "times": 1, "paths": ["/api/wo/create"]})
    assert simulator.call("/api/bill/query", BILLS)["rtnCode"] == "0000"
    assert simulator.send("POST", "/api/wo/create", repair("request-1"))[0] == 500
    assert simulator.journal() == []
    simulator.send("PUT", "/faults", {"hang_after_applying": True, "times": 1})
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=0.3) as caller:
        connection = http.client.HTTPConnection("127.0.0.1", simulator.port)
        connection.sock = caller
        body = json.dumps(repair("request-2")).encode()
        connection.request("POST", "/api/wo/create", body, {"X-Access-Token": simulator.token})
        with pytest.raises(TimeoutError):
            connection.getresponse()
        eventually(lambda: [line["request_id"] for line in simulator.journal()] == ["request-2"], what="the effect")
        assert simulator.call("/api/wo/create", repair("request-3"))["rtnCode"] == "0000"
        simulator.process.terminate()  # the caller still hangs; the end does not wait for it
        assert simulator.process.wait(timeout=4) == 0


def test_a_wrong_plan_is_answered_400(start_simulator: StartSimulator) -> None:
    simulator = start_simulator("--idempotent")
    assert simulator.send("PUT", "/faults", {"latncy_ms": 5}) == (
        400,
        {"error": "unknown field: latncy_ms", "field": "latncy_ms"},
    )
    assert simulator.send("PUT", "/faults", b"[")[0] == 400
    assert simulator.send("PUT", "/faults", {"hang": True})[0] == 200
    assert simulator.send("DELETE", "/faults")[1]["plan"] is None
    first, again = (simulator.call("/api/wo/create", repair("request-1")) for _ in range(2))
    assert first == again
    assert simulator.send("GET", "/journal?request_id=request-1")[1][0]["applied"] == 1


def form(boundary: str, content: bytes, **fields: str) -> bytes:
    """A multipart body as the bridge's operators would write it with curl."""
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()]
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n')
    return "".join(parts).encode() + content + f"\r\n--{boundary}--\r\n".encode()


def test_a_file_is_kept_by_its_digest_once(start_simulator: StartSimulator) -> None:
    simulator = start_simulator()

    def upload(content: bytes, **fields: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=PATIENCE_S)
        headers = {"X-Access-Token": simulator.token, "Content-Type": "multipart/form-data; boundary=xyz"}
        connection.request("POST", "/api/file/upload", form("xyz", content, **fields), headers)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    large = b"\x89PNG\r\n\x1a\n" + os.urandom(3_000_000)
    first = upload(large, reqId="f1", fileType="png")
    assert first["data"]["fileSize"] == len(large)
    assert upload(large, reqId="f1", fileType="png") == first
    assert upload(large + b"x", reqId="f1", fileType="png")["rtnCode"] == "1071"
    assert upload(b"%PDF-1.7", reqId="f2", fileType="png")["rtnCode"] == "1070"
    assert upload(b"%PDF-1.7", reqId="f2", fileType="doc")["rtnCode"] == "1001"
    (kept,) = simulator.send("GET", "/files")[1]
    assert (kept["number"], kept["sha256"]) == (first["data"]["fileNo"], hashlib.sha256(large).hexdigest())
    report = {"reqId": "r1", "addr": "示范路3号", "content": "x", "attachIds": [kept["number"]]}
    assert simulator.call("/api/theft/report", report)["rtnCode"] == "0000"
    assert simulator.call("/api/theft/report", report | {"reqId": "r2", "attachIds": ["none"]})["rtnCode"] == "1072"
