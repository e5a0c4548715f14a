"""`bridgectl status` on a whole installation: faults are planted, and its first line names each."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.layout import BIN
from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import (
    ACCOUNT,
    LOOPBACK,
    PATIENT,
    bridgectl,
    client,
    ctl,
    done_as_told,
    eventually,
    journal,
    running_testbed,
    status,
    work_order,
)  # fmt: skip

SETTINGS = {
    "dmz_front": {"delivery.presence_ttl_s": 2},
    "intranet_bridge": {
        "presence_interval_s": 0.5,
        "marketing.timeout_s": 2,
        "operations.work-order.settle_s": 1.0,
    },
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    folder = tmp_path_factory.mktemp("status")
    with small_disk(folder / "data"), running_testbed(folder, settings=SETTINGS) as testbed:
        yield testbed


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own for the databases, for who may mount one."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.fixture
def http(own: Testbed) -> Iterator[httpx.Client]:
    with client(own) as one:
        yield one


def first(testbed: Testbed) -> str:
    _, troubles = status(testbed)
    return str(troubles[0]["key"]) if troubles else ""


def alone(testbed: Testbed, key: str, code: int | None = None) -> dict[str, Any]:
    """The one trouble that is told, once it is this. Besides it, the tight presence of this testbed can lapse for a
    moment.
    """

    def found() -> dict[str, Any] | None:
        ends, troubles = status(testbed)
        wanted = [one["key"] for one in troubles] == [key] and code in (None, ends)
        return troubles[0] if wanted else None

    told: dict[str, Any] = eventually(found, what=f"{key}, alone")
    return told


def test_all_is_well_and_each_part_is_shown(own: Testbed, http: httpx.Client) -> None:
    eventually(lambda: status(own) == (0, []), what="nothing to say")
    shown = ctl(own, "status", "--width", "200")
    assert shown.returncode == 0
    for words in ("OK: nothing is wrong", "dmz-front front-1", "intranet-bridge bridge-1", "bridge.query.main"):
        assert words in shown.stdout
    assert ACCOUNT not in shown.stdout
    plugin = ctl(own, "status", "--plugin")
    assert (plugin.returncode, plugin.stdout) == (0, "DMZ-BRIDGE OK - nothing is wrong\n")
    assert http.post("/v1/arrears-query", json={"account": ACCOUNT}).status_code == 200  # top counts the last minute's
    live = ctl(own, "top", "--json", "--interval", "0.5")
    rates = json.loads(live.stdout)["rates"]
    assert (live.returncode, ACCOUNT in live.stdout) == (0, False)
    asked = {(row["operation"], row["side"]): row for row in rates["operations"]}
    assert asked["arrears-query", "front"]["count"] == asked["arrears-query", "bridge"]["count"] == 1
    assert {"bridge.query.main", "bridge.command.main"} <= {row["name"] for row in rates["queues"]}


def test_a_binding_is_tried_by_the_running_bridge(own: Testbed) -> None:
    done = ctl(own, "probe", "bill-query")
    assert (done.returncode, "succeeded" in done.stdout) == (0, True), done.stdout
    for words in ("POST /api/bill/query", "HTTP/1.1 200", "schema: it fits"):
        assert words in done.stdout
    assert ACCOUNT not in done.stdout
    assert ctl(own, "probe", "nothing-of-the-kind").returncode == 1
    internal = ctl(own, "probe", "writeoff-list")  # no front offers it, and it is looked after like all others
    assert (internal.returncode, "schema: it fits" in internal.stdout) == (0, True), internal.stdout
    before = len(journal(own))
    rendered = json.loads(ctl(own, "probe", "work-order", "--json").stdout)[0]
    assert (rendered["outcome"], len(journal(own))) == ("not-sent", before)
    assert json.loads(ctl(own, "probe", "work-order", "--really", "--json").stdout)[0]["outcome"] == "answered"
    assert len(journal(own)) == before + 1


def test_a_requests_life_is_told_and_a_querys_too(own: Testbed, http: httpx.Client) -> None:
    headers = {"Idempotency-Key": "traced", **PATIENT}
    order = http.post("/v1/work-order", json=work_order(), headers=headers).json()["request_id"]
    asked = http.post("/v1/arrears-query", json={"account": ACCOUNT}).json()["request_id"]
    logs = ["--log", str(own.logs / "front.log"), "--log", str(own.logs / "bridge.log")]
    expected = {
        ("front front-1", "accepted in the ledger"), ("bridge bridge-1", "received in the inbox"),
        ("bridge bridge-1", "called the marketing system"), ("bridge bridge-1", "command-finished"),
        ("front front-1", "ledger says succeeded"), ("log bridge", "command-finished"),
    }  # fmt: skip

    def events() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(ctl(own, "trace", order, *logs, "--json").stdout)
        return found if expected <= {(event["where"], event["what"]) for event in found} else []

    told = eventually(events, what="the order's life, whole")  # its last lines are written when it is answered
    assert [event["at"] for event in told] == sorted(event["at"] for event in told)
    text = ctl(own, "trace", order, *logs).stdout
    assert "家里没电了" not in text
    revealed = ctl(own, "trace", order, *logs, "--reveal")  # the marketing system has it, so nothing of it is kept
    assert ("家里没电了" in revealed.stdout, "the request is not kept" in revealed.stderr) == (False, True)
    both = [("bridge bridge-1", "query-answered"), ("front front-1", "request-answered")]

    def queried() -> list[tuple[str, str]]:
        return [(one["where"], one["what"]) for one in json.loads(ctl(own, "trace", asked, "--json").stdout)]

    eventually(lambda: queried() == both, what="the query's life")
    nothing = ctl(own, "trace", "019c936e-3800-7ca9-baa5-000000000000")
    assert (nothing.returncode, "nothing is known here" in nothing.stderr) == (1, True)


LOG_IN = b'<html><form method="post"><input name="user"><input type="password" name="pwd"></form></html>'


@contextlib.contextmanager
def log_in_page(port: int) -> Iterator[None]:
    """A gateway in the marketing system's place, which sends everybody a log-in page with 200."""

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(LOG_IN)))
            self.end_headers()
            self.wfile.write(LOG_IN)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()


def cause(testbed: Testbed, http: httpx.Client, words: str) -> bool:
    """Whether the first line of `status` says `words`, while customers go on asking."""
    http.post("/v1/arrears-query", json={"account": ACCOUNT})
    line = ctl(testbed, "status", "--plugin").stdout
    return line.startswith("DMZ-BRIDGE ") and "the system marketing" in line.partition(": ")[0] and words in line


def test_what_is_wrong_with_the_marketing_system_is_in_the_first_line(own: Testbed, http: httpx.Client) -> None:
    faults = f"{own.marketing_url}/faults"
    plan = {"latency_ms": 3000, "paths": ["/api/arrears"]}
    httpx.put(faults, json=plan, **LOOPBACK).raise_for_status()
    # by the customers' own requests, "no answer within 2 s", until the bridge's own probe says how slow
    eventually(lambda: cause(own, http, "slow: "), what="slowness")
    eventually(lambda: cause(own, http, "slow: 3"), 120, "how slow, by the bridge's own probe, once a minute")
    own.kill("marketing")
    eventually(lambda: cause(own, http, "connection refused"), what="the dead system")
    probed = ctl(own, "probe", "arrears-query")
    assert (probed.returncode, "surely not applied" in probed.stdout) == (1, True)
    trouble = alone(own, "system-failing", 2)
    assert trouble["level"] == "critical"
    assert "arrears-query" in trouble["hurts"]
    with log_in_page(own.ports.marketing):
        eventually(lambda: cause(own, http, "an HTML log-in page, not JSON"), what="the log-in page")
    own.start("marketing")
    # nobody asks; the bridge's own probe, once a minute, finds that it answers again
    closing = "bridgectl circuit close arrears-query"
    [trouble] = eventually(lambda: (found := status(own)[1]) and closing in found[0]["mend"] and found, 180, "the mend")
    done_as_told(own, trouble, closing)
    eventually(
        lambda: http.post("/v1/arrears-query", json={"account": ACCOUNT}).status_code == 200,
        what="a call that succeeds",
    )
    eventually(lambda: status(own) == (0, []), what="the mend")


def test_the_marketing_system_is_maintained_and_that_is_no_fault(own: Testbed, http: httpx.Client) -> None:
    done = ctl(own, "pause", "arrears-query", "work-order", "--for", "2h", "--reason", "new release")
    assert (done.returncode, "arrears-query, work-order" in done.stdout) == (0, True), done.stderr

    def told() -> bool:
        answer = http.post("/v1/arrears-query", json={"account": ACCOUNT})
        return answer.status_code == 503 and answer.json()["code"] == "maintenance"

    eventually(told, what="the front's notice")
    retry_s = int(http.post("/v1/arrears-query", json={"account": ACCOUNT}).headers["retry-after"])
    assert 7000 < retry_s <= 7200
    headers = {"Idempotency-Key": "maintained", "Prefer": "respond-async"}
    accepted = http.post("/v1/work-order", json=work_order(), headers=headers)
    assert accepted.status_code == 202
    own.kill("bridge")
    own.start("bridge")
    eventually(lambda: status(own) == (0, []), what="nothing wrong, after a restart")
    shown = ctl(own, "status", "--width", "250").stdout
    assert "paused    arrears-query, work-order since" in shown
    assert "new release" in shown
    assert not journal(own, accepted.json()["request_id"])
    assert ctl(own, "resume", "--all").returncode == 0
    place = accepted.headers["location"]
    eventually(lambda: http.get(place).json()["status"] == "succeeded", what="the command, afterwards")
    eventually(
        lambda: http.post("/v1/arrears-query", json={"account": ACCOUNT}).status_code == 200, what="queries again"
    )


def test_daemons_are_drained_and_an_operation_that_is_bound_nowhere_is_named(own: Testbed, http: httpx.Client) -> None:
    front = ctl(own, "drain", "--side", "front")
    assert (front.returncode, "safe to stop" in front.stdout) == (0, True)
    refused = http.post("/v1/arrears-query", json={"account": ACCOUNT})
    assert (refused.status_code, refused.json()["code"]) == (503, "shutting-down")
    assert ctl(own, "drain", "--undo", "--side", "front").returncode == 0
    assert http.post("/v1/arrears-query", json={"account": ACCOUNT}).status_code == 200
    bridge = ctl(own, "drain")
    assert (bridge.returncode, "safe to stop" in bridge.stdout) == (0, True)

    def drained() -> bool:
        found = {one["key"]: {under["key"] for under in one["consequences"]} for one in status(own)[1]}
        return [*found] == ["draining"] and found["draining"] >= {"bridge-leaves", "queue-not-consumed"}

    eventually(drained, what="the drain, with what follows from it under it")
    own.stop("bridge")
    bindings = own.config / "bindings" / "public.toml"
    bound = bindings.read_text()
    bindings.write_text(re.sub(r"(?ms)^\[operations\.faq\]$.*?(?=^\[|\Z)", "", bound))
    own.start("bridge")

    unserved = alone(own, "operation-unserved")
    assert "faq" in unserved["what"]
    missing = http.post("/v1/faq", json={})
    assert (missing.status_code, missing.json()["code"]) == (502, "operation-not-served")
    bindings.write_text(bound)
    done_as_told(own, unserved, "bridgectl reload bridge")
    eventually(lambda: status(own) == (0, []), what="the mend")
    assert http.post("/v1/faq", json={}).status_code == 200


def test_a_bridge_that_is_dead_and_one_that_stands_still(own: Testbed) -> None:
    own.kill("bridge")
    eventually(
        lambda: (
            [(one["key"], {under["key"] for under in one["consequences"]}) for one in status(own)[1]]
            == [("bridge-down", {"bridge-silent", "queue-not-consumed"})]
        ),
        what="the dead bridge, its consequences under it",
    )
    done_as_told(own, status(own)[1][0], "systemctl restart intranet-bridge")
    eventually(lambda: status(own) == (0, []), what="the mend")
    with stopped(own.pids["bridge"]):
        eventually(lambda: first(own) == "bridge-stuck", what="the stuck bridge")
    eventually(lambda: status(own) == (0, []), what="the mend")


def test_a_broker_that_is_down_is_one_trouble_told_in_time(own: Testbed) -> None:
    own.kill("broker")
    [trouble] = eventually(
        lambda: (found := status(own)[1]) and found[0]["key"] == "broker-unreachable" and len(found) == 1 and found,
        what="the dead broker, alone",
    )
    assert "front-1 and bridge-1" in trouble["what"]
    done_as_told(own, trouble, "systemctl restart dmz-bridge-broker")
    eventually(lambda: status(own) == (0, []), what="the mend")


def test_a_ledger_that_another_process_holds(own: Testbed, http: httpx.Client) -> None:
    holder = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN EXCLUSIVE'); "
        "print('held', flush=True); sys.stdin.read()"
    )
    ledger = own.folder / "data" / "front.sqlite3"
    with subprocess.Popen(
        [str(BIN / "python"), "-c", holder, str(ledger)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        trouble = alone(own, "database-locked", 2)
        refused = http.post(  # though it is locked for as long as this takes
            "/v1/work-order", json=work_order(), headers={"Idempotency-Key": "locked-out", "Prefer": "wait=2"}
        )
        # between two looks at the locked ledger the front may not know yet
        readiness = eventually(
            lambda: (found := http.get("/readyz")).status_code == 503 and found, what="the front to say so"
        )
        named = re.search(r"fuser -v (\S+)", trouble["mend"])
        assert named is not None
        if shutil.which("fuser"):
            holders = subprocess.run(["fuser", named[1]], capture_output=True, text=True, check=False).stdout.split()
            assert str(process.pid) in holders  # whom to end
        process.terminate()
    assert (refused.status_code, refused.json()["code"], "retry-after" in refused.headers) == (
        503, "store-unavailable", True,
    )  # fmt: skip
    assert (readiness.status_code, "the ledger is locked" in readiness.json()["checks"]["accepting"]) == (503, True)
    eventually(lambda: http.get("/readyz").status_code == 200, what="readiness")
    ordered = http.post("/v1/work-order", json=work_order(), headers={"Idempotency-Key": "locked-out"})
    assert ordered.headers["request-id"] != refused.headers["request-id"]  # nothing of the first was accepted
    assert str(ledger) in trouble["mend"]
    eventually(lambda: status(own) == (0, []), what="the mend")


def test_a_disk_that_is_full(own: Testbed, http: httpx.Client) -> None:
    data = own.folder / "data"
    if not data.is_mount():
        pytest.skip("a disk of its own needs root")
    with (data / "ballast").open("wb") as ballast, contextlib.suppress(OSError):
        while True:
            ballast.write(bytes(1 << 20))
            ballast.flush()

    def order() -> httpx.Response:
        headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "respond-async"}
        return http.post("/v1/work-order", json=work_order(content="x" * 900), headers=headers)

    refused = eventually(lambda: (answer := order()).status_code == 503 and answer, what="no room for an order")
    assert refused.json()["code"] == "store-unavailable"
    readiness = http.get("/readyz")
    assert (readiness.status_code, "the ledger is full" in readiness.json()["checks"]["accepting"]) == (503, True)
    asked = {"account": ACCOUNT}
    eventually(lambda: http.post("/v1/arrears-query", json=asked).status_code == 200, what="a query's answer")
    eventually(lambda: first(own) == "disk-full", what="why")
    assert status(own)[0] == 2
    log = (own.logs / "front.log").read_text()
    [line] = [
        line for line in log.splitlines() if '"command-not-recorded"' in line and refused.headers["request-id"] in line
    ]
    assert len(line) < 400
    assert "Traceback" not in log
    (data / "ballast").unlink()
    eventually(lambda: http.get("/readyz").status_code == 200, what="readiness")
    eventually(lambda: order().status_code == 202, what="an order that is taken")
    eventually(lambda: status(own) == (0, []), what="the mend")


def test_a_key_that_was_revoked(own: Testbed) -> None:
    key = own.ctl("apps", "add", "kiosk", "--scope", "bills").strip()
    own.ctl("apps", "revoke", "kiosk")
    with client(own, headers={"Authorization": f"Bearer {key}"}) as kiosk:
        eventually(
            lambda: kiosk.post("/v1/arrears-query", json={"account": ACCOUNT}).status_code == 401, what="the revocation"
        )
    trouble = alone(own, "key-not-valid", 1)
    assert "kiosk" in trouble["what"]
    assert key not in json.dumps(trouble)
    done_as_told(own, trouble, "bridgectl apps add kiosk --scope SCOPE", SCOPE="bills")
    eventually(lambda: status(own) == (0, []), what="the mend")
    with client(own, headers={"Authorization": f"Bearer {key}"}) as kiosk:  # it was not told of its new key
        assert kiosk.post("/v1/arrears-query", json={"account": ACCOUNT}).status_code == 401
    done_as_told(own, status(own)[1][0], "bridgectl apps rotate kiosk")
    eventually(lambda: status(own) == (0, []), what="the mend")


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_what_is_put_back_is_older_and_nothing_is_done_twice_for_it(own: Testbed, http: httpx.Client) -> None:
    """Both daemons' databases in turn, each replaced by a copy from before an order that was applied."""
    backups = own.folder / "backups"
    backups.mkdir()

    def order(key: str, wait: str = "wait=10") -> httpx.Response:
        headers = {"Idempotency-Key": key, "Prefer": wait}
        return http.post("/v1/work-order", json=work_order(content=f"put back: {key}"), headers=headers)

    def put_back(side: str) -> None:
        [copy] = [file for file in backups.glob("*.sqlite3") if side in file.name]
        if side == "front":
            refused = ctl(own, "restore", str(copy), "--yes")
            assert (refused.returncode, "is running on" in refused.stderr) == (1, True)
            own.stop("front")
        else:
            own.kill("bridge")
        assert "Add --yes" in ctl(own, "restore", str(copy)).stdout
        done = ctl(own, "restore", str(copy), "--yes")
        assert (done.returncode, "is kept as" in done.stdout) == (0, True), done.stderr
        own.start(side)

    assert order("before").status_code == 200
    for side in ("front", "bridge"):
        assert json.loads(ctl(own, "backup", str(backups), "--side", side, "--json").stdout)["commands"] > 0
    before = len(journal(own))
    forgotten = order("by the ledger")
    assert forgotten.status_code == 200

    put_back("front")
    asked = http.get(f"/v1/requests/{forgotten.headers['request-id']}")
    assert (asked.status_code, asked.json()["code"]) == (410, "record-lost")
    repeated = order("by the ledger", "respond-async")
    assert repeated.status_code == 202
    status_of = f"/v1/requests/{repeated.headers['request-id']}"
    eventually(lambda: http.get(status_of).json()["status"] == "held", what="the repetition being held")
    assert len(journal(own)) == before + 1
    [held] = json.loads(ctl(own, "requests", "list", "--json").stdout)
    assert forgotten.headers["request-id"] in held["note"]
    ctl(own, "requests", "resolve", held["id"], "--not-applied", "--note", "it is the same order")
    eventually(lambda: http.get(status_of).json()["status"] == "failed", what="the decision")

    hang = {"hang_after_applying": True, "paths": ["/api/wo/create"]}
    httpx.put(f"{own.marketing_url}/faults", json=hang, **LOOPBACK).raise_for_status()
    called = order("by the inbox", "respond-async").headers["request-id"]
    eventually(lambda: journal(own, called), what="an order that is applied and not answered")
    httpx.delete(f"{own.marketing_url}/faults", **LOOPBACK).raise_for_status()
    put_back("bridge")
    eventually(lambda: ctl(own, "requests", "resend", called).returncode == 0, what="the order being sent again")
    eventually(lambda: http.get(f"/v1/requests/{called}").json()["status"] == "succeeded", what="its outcome")
    assert [one["applied"] for one in journal(own, called)] == [1]
    told = ctl(own, "status", "--width", "200").stdout
    assert told.count("what came between is forgotten, and guarded") == 2


def test_a_host_with_neither_daemon_is_not_said_to_be_well(tmp_path: Path) -> None:
    done = bridgectl(tmp_path / "bridgectl.toml", "status")
    assert done.returncode == 3
    assert "neither daemon is configured on this host" in done.stdout
