"""`bridgectl doctor` on a real installation: all is well, then one fault after another is really made and is seen."""

import contextlib
import json
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.testbed import processes
from scripts.tools.testbed.layout import BIN, ROOT
from scripts.tools.testbed.processes import free_port
from scripts.tools.testbed.testbed import Testbed
from scripts.tools.testbed.toml_values import with_values
from tests.support.clocks import Clock
from tests.support.shipped import offered
from tests.support.testbeds import LOOPBACK, bridgectl, client, eventually, running_testbed

NAMES = {
    "configuration", "process", "listeners", "inward", "firewall", "tls", "tls-floor", "certificate", "binding",
    "client-certificate", "plain-text", "authorization", "broker-version", "presence", "clock", "ready", "statistics",
    "queue", "permissions", "keys", "ca-key", "disk", "inbox", "marketing",
}  # fmt: skip
"""Names that programs may rely on."""


class Report:
    """What doctor said."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        document = json.loads(text)
        self.overall: str = document["overall"]
        self.findings: list[dict[str, Any]] = document["findings"]

    def of(self, name: str, subject: str = "", status: str | None = None) -> list[dict[str, Any]]:
        """The findings of a check, about what has `subject` in its name."""
        return [
            one
            for one in self.findings
            if one["name"] == name and subject in one["subject"] and status in (None, one["status"])
        ]


def examined(config: Path, *options: str) -> Report:
    """Run doctor on the configuration files of a folder."""
    done = doctor(config, "--json", *options)
    assert done.returncode in (0, 1), done.stderr
    return Report(done.returncode, done.stdout)


def doctor(config: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return bridgectl(config / "bridgectl.toml", "doctor", *options)


def variant(testbed: Testbed, folder: Path, **changes: dict[str, Any]) -> Path:
    """A copy of the testbed's configuration files with some values changed: file → dotted key → value."""
    for file in testbed.config.rglob("*.toml"):
        text = with_values(file.read_text(encoding="utf-8"), changes.get(file.stem, {}))
        copy = folder / file.relative_to(testbed.config)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text, encoding="utf-8")
    return folder


@contextlib.contextmanager
def mode_of(path: Path, mode: int) -> Iterator[None]:
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(before)


# --- all is well ------------------------------------------------------------------------------------------


def test_a_sound_installation(testbed: Testbed, http: httpx.Client) -> None:
    def queues() -> dict[str, Any]:
        return {one["name"]: one for one in json.loads(testbed.ctl("queues", "--json"))}

    before = queues()
    report = examined(testbed.config)
    assert [one for one in report.findings if one["status"] == "fail"] == []
    assert (report.code, report.overall) == (0, "warn")
    assert {one["name"] for one in report.findings} == NAMES
    # a demo has both sides on one host, no firewall, and its CA's key at hand; this host may have other listeners
    warned = {one["name"] for one in report.findings if one["status"] == "warn"}
    assert {"inward", "ca-key"} <= warned <= {"inward", "firewall", "ca-key", "listeners", "disk", "broker-version"}
    for one in report.findings:
        assert set(one) == {"name", "subject", "status", "seen", "action"}
        assert one["status"] in ("ok", "skip") or one["action"], one
    [seen] = [one["seen"] for one in report.of("presence")]
    assert f"serves {len(offered())} operations" in seen
    assert {one["subject"].split()[0] for one in report.of("clock", status="ok")} == {"bridge-1", "broker"}
    # and it has harmed nothing
    assert set(queues()) == set(before)  # no queue was made
    assert all(after["dead_letters"] == before[name]["dead_letters"] for name, after in queues().items())
    answer = http.post("/v1/arrears-query", json={"account": "3210000000002"})
    assert answer.status_code == 200


def test_for_people_and_strictly(testbed: Testbed) -> None:
    shown = doctor(testbed.config, "--strict")
    assert shown.returncode == 1  # the warnings
    assert "ok    tls " in shown.stdout
    assert "→ " in shown.stdout
    assert shown.stdout.splitlines()[-1].startswith("overall: warn (")
    quiet = doctor(testbed.config, "--quiet")
    assert quiet.returncode == 0
    assert {line.split()[0] for line in quiet.stdout.splitlines()} <= {"warn", "→", "overall:", *quiet.stdout.split()}
    assert not any(line.startswith(("ok", "skip")) for line in quiet.stdout.splitlines())


@pytest.mark.parametrize("options", [["--role", "broker"], ["--inward", "10.0.0.1"], ["--nonsense"]])
def test_wrong_usage(testbed: Testbed, options: list[str]) -> None:
    assert doctor(testbed.config, *options).returncode == 2


# --- faults -----------------------------------------------------------------------------------------------


def test_files_that_others_may_read_or_change(testbed: Testbed) -> None:
    keys, data = testbed.folder / "keys", testbed.folder / "data"
    modes = {
        keys: 0o777, keys / "bridge.keyring": 0o644, keys / "front.keyring": 0o640, data / "marketing.token": 0o640,
        data / "front.sqlite3": 0o644,
    }  # fmt: skip
    with contextlib.ExitStack() as stack:
        for path, mode in modes.items():
            stack.enter_context(mode_of(path, mode))
        report = examined(testbed.config)
    assert report.code == 1
    open_ = {one["subject"] for one in report.of("permissions", status="fail")}
    assert open_ == {str(path) for path in modes} - {str(data / "front.sqlite3")}
    assert report.of("permissions", "front.sqlite3", "warn")
    for daemon in ("intranet_bridge.toml", "dmz_front.toml"):
        [configuration] = report.of("configuration", daemon)
        assert configuration["status"] == "fail"
        assert "chmod 0600" in configuration["seen"]
    assert report.of("presence", "bridge-1", "ok")  # one fault does not hide the rest


def test_a_misspelt_setting(testbed: Testbed, tmp_path: Path) -> None:
    config = variant(testbed, tmp_path / "config")
    file = config / "dmz_front.toml"
    text = file.read_text().replace("heartbeat_ms", "hartbeat_ms")
    file.write_text(text)
    line = next(number for number, words in enumerate(text.splitlines(), 1) if words.startswith("hartbeat_ms"))
    (config / "bridgectl.toml").unlink()
    report = examined(config)
    [finding] = report.of("configuration", "dmz_front.toml")
    assert finding["status"] == "fail"
    assert finding["seen"].startswith(f"{file}:{line}: link.hartbeat_ms")
    assert report.of("configuration", "intranet_bridge.toml", "ok")
    assert report.of("configuration", "bridgectl.toml", "warn")
    assert report.of("statistics", status="skip")
    assert report.of("tls", "as bridge", "ok")  # the rest is looked at all the same


def test_a_binding_that_does_not_parse_tls_files_and_bridgectls_own_file(testbed: Testbed, tmp_path: Path) -> None:
    changes = {"http.certificate": str(testbed.certs / "broker.pem"), "http.key": str(testbed.certs / "front.key")}
    config = variant(
        testbed, tmp_path / "config", bills={"operations.arrears-query.response": "data.{"}, dmz_front=changes,
        bridgectl={"doctor.timeout_s": -1},
    )  # fmt: skip
    report = examined(config)
    [finding] = report.of("configuration", "intranet_bridge.toml")
    assert finding["status"] == "fail"
    document = (config / "bindings" / "bills.toml").read_text().splitlines()
    file, line, *_ = finding["seen"].split(":")
    assert file == str(config / "bindings" / "bills.toml")
    number = int(line)
    assert document[number - 1].startswith("response = ")
    [finding] = report.of("configuration", "dmz_front")
    assert finding["status"] == "fail"
    assert "front.key: is not the key of" in finding["seen"]
    [finding] = report.of("configuration", "bridgectl.toml")
    assert "doctor.timeout_s" in finding["seen"]


def test_nothing_is_installed_here(tmp_path: Path) -> None:
    report = examined(tmp_path)
    assert report.code == 1
    assert report.of("configuration", str(tmp_path), "fail")


@pytest.mark.parametrize(("days", "status"), [pytest.param(20, "warn", marks=pytest.mark.rare), (5, "fail")])
def test_certificates_that_expire_soon_or_have(testbed: Testbed, tmp_path: Path, days: int, status: str) -> None:
    certs = tmp_path / "certs"
    shutil.copytree(testbed.certs, certs)
    for role, valid, environment in (
        ("front", days, None), ("bridge", 30, Clock(tmp_path, -40 * 86400).environment),
    ):  # fmt: skip
        issue = ["certs", "issue", role, "--name", f"{role}-1", "--dir", str(certs), "--days", str(valid), "--force"]
        processes.run([str(BIN / "bridgectl"), *issue], environment)
    files = {
        role: {"link.certificate": str(certs / f"{role}.pem"), "link.key": str(certs / f"{role}.key")}
        for role in ("front", "bridge")
    }
    config = variant(testbed, tmp_path / "config", dmz_front=files["front"], intranet_bridge=files["bridge"])
    report = examined(config)
    [finding] = report.of("certificate", "front.pem")
    assert (finding["status"], f"expires in {days - 1} days" in finding["seen"]) == (status, True)
    assert "bridgectl certs renew front" in finding["action"]
    assert report.of("tls", "as front", "ok")  # it still works
    [finding] = report.of("certificate", "bridge.pem")
    assert finding["status"] == "fail"
    assert "expired on" in finding["seen"]
    assert report.of("tls", "as bridge", "fail")  # the broker refuses it


def test_a_certificate_of_another_role(testbed: Testbed, tmp_path: Path) -> None:
    changes = {"link.certificate": str(testbed.certs / "bridge.pem"), "link.key": str(testbed.certs / "bridge.key")}
    report = examined(variant(testbed, tmp_path / "config", dmz_front=changes), "--role", "front")
    assert report.of("certificate", "bridge.pem", "fail")
    assert report.of("authorization", "as front", "fail")  # a bridge may read requests
    assert report.of("presence", status="fail")  # and no presence


class Careless(socketserver.BaseRequestHandler):
    """Speaks STOMP to anyone, in clear."""

    def handle(self) -> None:
        while self.request.recv(65536):
            self.request.sendall(b"CONNECTED\nversion:1.2\nserver:ActiveMQ/6.3.1\n\n\0")


def test_brokers_of_another_name_away_or_without_tls(testbed: Testbed, tmp_path: Path) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Careless) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        careless = f"localhost:{server.server_address[1]}"
        changes = {"link.brokers": [f"127.0.0.2:{testbed.ports.broker}", f"localhost:{free_port()}", careless]}
        report = examined(variant(testbed, tmp_path / "config", dmz_front=changes), "--role", "front")
        server.shutdown()
    seen = {one["subject"].split()[0]: one["seen"].split(":")[0] for one in report.of("tls", status="fail")}
    assert len(seen) == 3
    assert [text for broker, text in seen.items() if broker != careless] == ["not reachable", "not reachable"]
    [finding] = report.of("plain-text", careless)
    assert (finding["status"], finding["seen"]) == ("fail", "the broker answers STOMP without TLS")


def test_a_broker_of_another_authority(testbed: Testbed, tmp_path: Path) -> None:
    processes.run([str(BIN / "bridgectl"), "certs", "init", "--dir", str(tmp_path / "other")])
    config = variant(testbed, tmp_path / "config", dmz_front={"link.ca": str(tmp_path / "other" / "ca.pem")})
    [finding] = examined(config, "--role", "front").of("tls")
    assert finding["status"] == "fail"
    assert "not trusted" in finding["seen"]


NEED = "transport.needClientAuth=true"
READS = 'queue="bridge.query.>"         write="front"           read="'
LOOSENINGS = [
    # nobody is asked for a certificate, so nobody has a login
    ({NEED: "transport.needClientAuth=false"}, {"tls", "client-certificate"}),
    # asked for, and not needed; and one role may read too much
    ({NEED: "transport.wantClientAuth=true", READS: READS + "front,"}, {"client-certificate", "authorization"}),
]


@pytest.mark.parametrize(("changes", "failing"), LOOSENINGS, ids=["not-asked", "not-needed"])
def test_a_broker_that_is_too_friendly(
    testbed: Testbed, tmp_path: Path, changes: dict[str, str], failing: set[str]
) -> None:
    shutil.copytree(ROOT / "activemq", tmp_path / "conf")
    file = tmp_path / "conf" / "activemq.xml"
    text = file.read_text(encoding="utf-8")
    for tight, loose in changes.items():
        assert tight in text
        text = text.replace(tight, loose)
    file.write_text(text, encoding="utf-8")
    port, script = free_port(), [sys.executable, str(ROOT / "scripts" / "broker")]
    where = ["--instance", str(tmp_path / "broker")]
    how = ["--certs", str(testbed.certs), "--conf", str(tmp_path / "conf"), "--port", str(port)]
    processes.run([*script, "start", *where, *how])
    try:
        there = {"link.brokers": [f"localhost:{port}"]}
        config = variant(testbed, tmp_path / "config", dmz_front=there, bridgectl={"doctor.presence_s": 0.5})
        report = examined(config, "--role", "front")
        about = [one for one in report.findings if f"localhost:{port}" in one["subject"]]
        assert {one["name"] for one in about if one["status"] == "fail"} == failing
        # the positive control: the same probes pass what is still tight
        assert {one["name"] for one in about if one["status"] == "ok"} >= {"certificate", "plain-text"}
    finally:
        processes.run([*script, "stop", *where])


LISTENS = """\
import socket, sys, time
tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
for one in (tcp, udp):
    one.bind(("0.0.0.0", 0))
tcp.listen()
print(tcp.getsockname()[1], udp.getsockname()[1], flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("program", "status"), [("intranet-bridge", "fail"), pytest.param("something-else", "warn", marks=pytest.mark.rare)]
)
def test_a_listener_beyond_loopback(testbed: Testbed, tmp_path: Path, program: str, status: str) -> None:
    script = tmp_path / program
    script.write_text(LISTENS)
    running = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        ports = running.stdout.readline().split()
        report = examined(testbed.config, "--role", "bridge")
        assert report.of("configuration", "dmz_front") == []  # one role alone
        assert [one["status"] for one in report.of("inward")] == ["skip"]
        found = [one for one in report.of("listeners") if one["subject"].rpartition(":")[2] in ports]
        assert sorted(one["subject"].split()[0] for one in found) == ["tcp", "udp"]
        assert {one["status"] for one in found} == {status}
        assert all(f"{program}, pid {running.pid}" in one["seen"] for one in found)
        config = variant(testbed, tmp_path / "config", bridgectl={"doctor.expected_listeners": list(map(int, ports))})
        after = examined(config, "--role", "bridge")
        still = [one for one in after.of("listeners") if one["subject"].rpartition(":")[2] in ports]
        assert len(still) == (2 if program == "intranet-bridge" else 0)  # nothing excuses the bridge
    finally:
        running.kill()
        running.wait()


def test_ways_inward(testbed: Testbed) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        closed, opened = f"127.0.0.1:{free_port()}", f"127.0.0.1:{listening.getsockname()[1]}"
        report = examined(testbed.config, "--role", "front", "--inward", closed, "--inward", opened)
    assert report.code == 1
    assert report.of("configuration", "intranet_bridge") == []  # one role alone
    assert report.of("tls", "as front", "ok")
    assert {one["subject"]: one["status"] for one in report.of("inward")} == {closed: "ok", opened: "fail"}
    assert "reset" in report.of("inward", closed)[0]["seen"]


# --- what needs a testbed of its own ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    metrics = free_port()
    settings: dict[str, dict[str, Any]] = {
        "intranet_bridge": {"metrics.port": metrics, "presence_interval_s": 0.5},
        "dmz_front": {"delivery.presence_ttl_s": 10},
        # each look at a bridge that is away listens for so long: sixteen announcements, for a machine that stands still
        "bridgectl": {"doctor.presence_s": 8},
    }
    with running_testbed(tmp_path_factory.mktemp("doctor"), settings=settings) as testbed:
        yield testbed


@contextlib.contextmanager
def bridge_clock(testbed: Testbed, folder: Path, seconds: int) -> Iterator[None]:
    """The testbed's bridge, started with its wall clock off by so much; put right afterwards, as by NTP."""
    clock = Clock(folder, seconds)
    testbed.environment["bridge"] = clock.environment
    testbed.stop("bridge")
    testbed.start("bridge", wait=False)
    try:
        yield
    finally:
        clock.set(0)
        testbed.environment["bridge"] = {}


@contextlib.contextmanager
def going_on(do: Callable[[], object]) -> Iterator[None]:
    """Have it done twice a second meanwhile."""
    end = threading.Event()

    def work() -> None:
        while not end.wait(0.5):
            do()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join(60)


def measured(testbed: Testbed) -> float | None:
    """What the front's metrics say of the bridge's clock, seconds ahead."""
    for line in httpx.get(testbed.metrics_url, **LOOPBACK).text.splitlines():
        if line.startswith("dmz_front_clock_skew_seconds{"):
            return float(line.split()[1])
    return None


LATE_S = 10
"""What a message is late by, on a machine that stands still for a moment, counts as skew."""


def warned(testbed: Testbed, seconds: int) -> bool:
    """Whether the front's log warns of a clock so far off."""
    lines = (testbed.logs / "front.log").read_text().splitlines()
    warnings = [json.loads(line) for line in lines if '"clock-skew"' in line]
    return any(abs(one["ahead_s"] - seconds) < LATE_S for one in warnings)


@pytest.mark.parametrize(
    ("seconds", "status", "attached"),
    [pytest.param(30, "warn", True, marks=pytest.mark.rare), (-30, "warn", True), (-240, "fail", False)],
)
def test_a_clock_that_is_off(own: Testbed, tmp_path: Path, seconds: int, status: str, attached: bool) -> None:
    """Far off, the bridge can do nothing for the front and is told absent; its skew is measured all the same.

    Not further behind than the certificates are backdated: then TLS itself says no.
    """
    with bridge_clock(own, tmp_path, seconds):
        eventually(lambda: abs((measured(own) or 0) - seconds) < LATE_S, 60, "the front's measure")
        report = examined(own.config)
        ready = httpx.get(f"{own.front_url}/readyz", **LOOPBACK)
        assert ready.status_code == (200 if attached else 503)
        eventually(lambda: warned(own, seconds), 60, "the front's warning")
    [finding] = report.of("clock", "bridge-1")
    assert finding["status"] == status
    amount, unit, direction = finding["seen"].split()[:3]
    assert abs(float(amount) - abs(seconds)) < LATE_S
    assert (unit, direction) == ("s", "ahead" if seconds > 0 else "behind")
    assert "NTP" in finding["action"]
    assert report.of("presence", "bridge-1", "ok")
    assert bool(report.of("ready", status="ok")) == attached


def test_the_bridge_measures_too(own: Testbed, tmp_path: Path) -> None:
    bridge_metrics = tomllib.loads((own.config / "intranet_bridge.toml").read_text())["metrics"]["port"]
    with bridge_clock(own, tmp_path, 30), client(own) as http:

        def told() -> bool:
            # it expires on its way, by the bridge's clock, and is measured all the same
            http.post("/v1/arrears-query", json={"account": "3210000000002"})
            with contextlib.suppress(httpx.TransportError):  # the bridge is starting
                text = httpx.get(f"http://127.0.0.1:{bridge_metrics}/metrics", **LOOPBACK).text
                return "intranet_bridge_clock_skew_seconds{" in text
            return False

        eventually(told, 60, "a query that was measured")
        with going_on(told):  # it is told for 30 s, and doctor may take longer on a busy machine
            report = examined(own.config, "--role", "bridge")
        [finding] = [one for one in report.of("clock") if one["subject"] == "front-1"]
    assert finding["status"] == "warn"
    assert "behind this host's clock" in finding["seen"]


def test_parts_that_are_away(own: Testbed) -> None:
    own.stop("bridge")
    try:
        report = examined(own.config)
        assert report.of("process", "intranet-bridge", "fail")
        assert report.of("process", "dmz-front", "ok")
        assert report.of("presence", "main", "fail")
        assert {one["subject"] for one in report.of("queue", status="fail")} == {
            "bridge.query.main",
            "bridge.command.main",
        }
        assert eventually(lambda: examined(own.config, "--role", "front").of("ready", status="fail"), 60)
    finally:
        own.start("bridge")
    assert examined(own.config).overall == "warn"


def test_letters_nobody_could_read(own: Testbed) -> None:
    from tests.support.stomp import connected

    stomp = connected(own, "front")
    stomp.send("SEND", b"no frame of ours", destination="/queue/bridge.command.main", receipt="r", persistent="true")
    assert (stomp.receive() or ("",))[0] == "RECEIPT"
    eventually(lambda: examined(own.config).of("dead-letters", "bridge.command.main", "warn"), 60, "the dead letter")
