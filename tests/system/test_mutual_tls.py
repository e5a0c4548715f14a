"""Who may do what on the broker, tried with raw sockets against the real one: no certificate, a foreign one,
another role's.
"""

import contextlib
import shutil
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.testbed.layout import BIN, ROOT
from scripts.tools.testbed.processes import run
from scripts.tools.testbed.testbed import Testbed
from tests.support.stomp import PATIENCE_S, Stomp, connected, put
from tests.support.testbeds import eventually


def test_without_a_certificate_nothing_is_said(testbed: Testbed) -> None:
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        assert Stomp(testbed, None, "").connect() is None


def test_a_certificate_of_another_authority_is_refused(testbed: Testbed, tmp_path: Path) -> None:
    run([str(BIN / "bridgectl"), "certs", "init", "--dir", str(tmp_path / "other")])
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        assert Stomp(testbed, tmp_path / "other", "front", testbed.certs / "ca.pem").connect() is None


def test_the_broker_of_another_authority_is_not_trusted(testbed: Testbed, tmp_path: Path) -> None:
    run([str(BIN / "bridgectl"), "certs", "init", "--dir", str(tmp_path / "other")])
    with pytest.raises(ssl.SSLCertVerificationError):
        Stomp(testbed, testbed.certs, "front", tmp_path / "other" / "ca.pem")


def test_a_certificate_without_a_role_has_no_login(testbed: Testbed) -> None:
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        answer = Stomp(testbed, testbed.certs, "broker").connect()
        assert answer is None or answer[0] == "ERROR"


def test_old_tls_is_refused(testbed: Testbed) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(testbed.certs / "ca.pem")
    context.load_cert_chain(testbed.certs / "front.pem", testbed.certs / "front.key")
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", testbed.ports.broker), timeout=PATIENCE_S) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(plain, server_hostname="localhost")


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES128-SHA"])
def test_cbc_suites_are_refused(testbed: Testbed, suite: str) -> None:
    context = ssl.create_default_context(cafile=str(testbed.certs / "ca.pem"))
    context.load_cert_chain(testbed.certs / "front.pem", testbed.certs / "front.key")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suite)
    with (
        socket.create_connection(("127.0.0.1", testbed.ports.broker), timeout=PATIENCE_S) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(plain, server_hostname="localhost")


def test_plain_tcp_gets_nothing(testbed: Testbed) -> None:
    with socket.create_connection(("127.0.0.1", testbed.ports.broker), timeout=PATIENCE_S) as plain:
        plain.sendall(b"CONNECT\naccept-version:1.2\nhost:x\n\n\0")
        with contextlib.suppress(ConnectionError):
            assert b"CONNECTED" not in plain.recv(65536)


def test_tls_1_3_is_preferred(testbed: Testbed) -> None:
    assert connected(testbed, "front").socket.version() == "TLSv1.3"


OWN_REGION = "walls"  # a region nobody serves: what is written here is read by nobody

MAY_NOT_WRITE = [
    ("bridge", "/queue/bridge.query.walls"),
    ("bridge", "/queue/bridge.command.walls"),
    ("front", "/queue/bridge.reply.query.walls"),
    ("front", "/queue/bridge.reply.command.walls"),
    ("bridge", "/queue/bridge.file.walls"),
    ("front", "/queue/front.file.walls"),
    ("front", "/queue/front.submit.walls"),
    ("front", "/topic/bridge.presence.walls"),
    ("front", "/queue/ActiveMQ.Statistics.Destination.bridge.>"),
    ("bridge", "/queue/ActiveMQ.Statistics.Destination.bridge.>"),
    ("front", "/queue/DLQ.bridge.command.walls"),
    ("front", "/queue/anything"),
    ("bridge", "/queue/anything"),
    ("monitor", "/queue/anything"),
    ("operator", "/queue/anything"),
    ("operator", "/queue/bridge.query.walls"),
    *[
        ("monitor", f"/queue/{name}")
        for name in ("bridge.query.walls", "bridge.command.walls", "DLQ.bridge.command.walls")
    ],
    ("monitor", "/queue/bridge.reply.command.front-1"),
    ("front", "/topic/anything"),
]

LIVE = ("bridge.query.main", "bridge.command.main", "bridge.reply.query.front-1", "bridge.reply.command.front-1")

MAY_NOT_READ = [
    ("front", "/queue/bridge.query.walls"),
    ("front", "/queue/bridge.command.walls"),
    ("bridge", "/queue/bridge.reply.query.walls"),
    ("bridge", "/queue/bridge.reply.command.walls"),
    ("front", "/queue/DLQ.bridge.command.walls"),
    ("bridge", "/queue/DLQ.bridge.command.walls"),
    ("front", "/topic/ActiveMQ.Advisory.>"),
    ("bridge", "/topic/ActiveMQ.Advisory.>"),
    ("front", "/queue/>"),
    ("bridge", "/queue/>"),
    ("front", "/queue/bridge.admin.x"),
    ("front", "/queue/anything"),
    # ActiveMQ has one right for browsing and for taking: who only watches has neither
    *[(role, f"/queue/{name}") for role in ("monitor", "operator") for name in LIVE],
    *[("monitor", f"/queue/DLQ.{name}") for name in LIVE],
    # a front reads its own replies alone
    ("front", "/queue/bridge.reply.query.front-2"),
    ("front", "/queue/bridge.reply.command.front-2"),
    ("front", "/queue/bridge.reply.query.front-3"),
    ("front-2", "/queue/bridge.reply.query.front-1"),
    ("front-2", "/queue/bridge.reply.command.front-1"),
    ("front", "/queue/bridge.file.walls"),
    ("front", "/queue/front.file.front-2"),
    ("front-2", "/queue/front.file.front-1"),
    ("bridge", "/queue/front.file.front-1"),
    ("front-2", "/queue/front.submit.front-1"),
    ("bridge", "/queue/front.submit.front-1"),
]
GREEDY: dict[str, Any] = {"activemq.exclusive": "true", "activemq.priority": "127", "activemq.prefetchSize": "1000"}
"""With these a subscriber takes a whole queue from everybody else."""

MAY_READ = [
    ("front", "/queue/bridge.reply.query.front-1"),
    ("front", "/queue/bridge.reply.command.front-1"),
    ("front-2", "/queue/bridge.reply.query.front-2"),
    ("front-2", "/queue/bridge.reply.command.front-2"),
    ("front-2", "/queue/front.file.front-2"),
    ("bridge", "/queue/bridge.command.walls"),
    ("bridge", "/queue/bridge.file.walls"),
    ("operator", "/queue/DLQ.bridge.command.walls"),
    ("operator", "/queue/DLQ.bridge.reply.command.front-1"),
    ("monitor", "/queue/bridge.admin.walls"),
]


@pytest.fixture(scope="module", autouse=True)
def _second_front(testbed: Testbed) -> None:
    if not (testbed.certs / "front-2.pem").exists():
        run([str(BIN / "bridgectl"), "certs", "issue", "front", "--name", "front-2", "--dir", str(testbed.certs)])


@pytest.mark.parametrize(("role", "destination"), MAY_NOT_WRITE)
def test_no_role_writes_where_it_should_not(testbed: Testbed, role: str, destination: str) -> None:
    stomp = connected(testbed, role)
    stomp.send("SEND", b"x", destination=destination, receipt="r", reply_to="/queue/bridge.reply.query.walls")
    answer = stomp.receive()
    assert answer is None or answer[0] == "ERROR", answer


@pytest.mark.parametrize(
    ("role", "destination"),
    [
        ("monitor", "/queue/bridge.query.main"),
        ("monitor", "/queue/bridge.command.main"),
        ("monitor", "/queue/bridge.reply.command.front-1"),
        ("monitor", "/queue/DLQ.bridge.command.main"),
        ("monitor", "/topic/bridge.presence.main"),
        ("monitor", "/queue/bridge.admin.walls,/queue/bridge.command.main"),
        ("operator", "/queue/bridge.query.main"),
        ("operator", "/topic/bridge.presence.main"),
    ],
)
def test_an_answer_of_statistics_goes_nowhere_that_who_asks_may_not_write(
    testbed: Testbed, role: str, destination: str
) -> None:
    """The broker itself sends it to whatever `reply-to` says."""
    if destination.startswith("/queue/DLQ."):
        put(testbed, "bridge", destination.removeprefix("/queue/"), b"one", persistent="true")  # so that it is there
    stomp = connected(testbed, role)
    for asked in ("ActiveMQ.Statistics.Destination.bridge.query.main", "ActiveMQ.Statistics.Broker"):
        stomp.send("SEND", destination=f"/queue/{asked}", reply_to=destination, receipt="r")
        answer = stomp.receive()
        assert answer is None or answer[0] == "ERROR", answer


@pytest.mark.parametrize("role", ["monitor", "operator"])
def test_an_answer_of_statistics_comes_to_who_asks(testbed: Testbed, role: str) -> None:
    """The positive control of the test above."""
    stomp = connected(testbed, role)
    own = f"/queue/bridge.admin.walls-{role}"
    stomp.send("SUBSCRIBE", id="1", destination=own, ack="auto")
    stomp.send("SEND", destination="/queue/ActiveMQ.Statistics.Destination.bridge.query.main", reply_to=own)
    answer = stomp.receive()
    assert answer is not None
    assert answer[0] == "MESSAGE"


@pytest.mark.parametrize(("role", "destination"), MAY_NOT_READ)
def test_no_role_reads_where_it_should_not(testbed: Testbed, role: str, destination: str) -> None:
    stomp = connected(testbed, role)
    plain: dict[str, Any] = {}
    for options in (plain, plain | {"browser": "true"}, GREEDY):
        stomp.send("SUBSCRIBE", id="1", destination=destination, ack="auto", receipt="r", **options)
        answer = stomp.receive()
        assert answer is None or answer[0] == "ERROR", answer


@pytest.mark.parametrize(("role", "destination"), MAY_READ)
def test_each_role_reads_its_own(testbed: Testbed, role: str, destination: str) -> None:
    """The positive control of the test above."""
    stomp = connected(testbed, role)
    stomp.send("SUBSCRIBE", id="1", destination=destination, ack="client", browser="true", receipt="r")
    while (answer := stomp.receive()) is not None and answer[0] == "MESSAGE":
        continue
    assert answer is not None
    assert answer[0] == "RECEIPT"


@pytest.mark.parametrize(
    ("role", "destination"),
    [("front", "/queue/bridge.query.walls"), ("bridge", "/queue/bridge.reply.query.walls")],
)
def test_each_role_writes_its_own(testbed: Testbed, role: str, destination: str) -> None:
    """The positive control of the two tests above."""
    stomp = connected(testbed, role)
    stomp.send("SEND", b"x", destination=destination, receipt="r", expires="1")
    answer = stomp.receive()
    assert answer is not None
    assert answer[0] == "RECEIPT"


@pytest.mark.parametrize("pattern", ["/queue/bridge.reply.*.*", "/queue/bridge.>", "/queue/>"])
def test_a_wildcard_takes_no_other_front_s_replies(testbed: Testbed, pattern: str) -> None:
    """Greedy or not: `front-2` gets nothing that was sent to `front-1`."""
    thief = connected(testbed, "front-2")
    thief.send("SUBSCRIBE", id="1", destination=pattern, ack="auto", receipt="r", **GREEDY)
    thief.receive()
    for kind in ("query", "command"):
        put(testbed, "bridge", f"bridge.reply.{kind}.front-1", b"not an envelope")
    thief.socket.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        while (frame := thief.receive()) is not None:
            assert frame[0] != "MESSAGE", frame


def test_who_is_shut_out_stays_until_the_connection_ends(tmp_path: Path) -> None:
    """As activemq/README.md says, with the command it gives."""
    conf = tmp_path / "activemq"
    shutil.copytree(ROOT / "activemq", conf)
    own = Testbed(tmp_path / "testbed", broker_conf=conf)
    try:
        own.set_up()
        run([str(BIN / "bridgectl"), "certs", "issue", "front", "--name", "front-2", "--dir", str(own.certs)])
        own.start("broker")
        old = connected(own, "front")
        with (conf / "users.properties").open("a") as users:
            users.write("\nrevoked = CN=front-1, OU=front, O=dmz-bridge\n")
        eventually(lambda: not may_send(own, "front"), 60, "new connections to have no rights")
        assert sends(old)  # the one it has goes on
        own.stop("broker")
        own.start("broker")
        assert old.receive() is None
        assert not may_send(own, "front")
        assert may_send(own, "front-2")
    finally:
        own.stop()


def may_send(testbed: Testbed, role: str) -> bool:
    stomp = Stomp(testbed, testbed.certs, role)
    stomp.connect()
    return sends(stomp)


def sends(stomp: Stomp) -> bool:
    stomp.send("SEND", b"x", destination="/queue/bridge.query.walls", receipt="r", expires="1")
    answer = stomp.receive()
    return answer is not None and answer[0] == "RECEIPT"


def test_the_broker_listens_on_one_port_alone(testbed: Testbed) -> None:
    assert listening(testbed.pids["broker"]) == {testbed.ports.broker}


def test_the_bridge_listens_on_nothing_but_its_desk(testbed: Testbed) -> None:
    """Which is on loopback, and off unless it is configured."""
    assert listening(testbed.pids["bridge"]) == {testbed.settings["intranet_bridge"]["desk.port"]}


def listening(pid: int) -> set[int]:
    """The TCP ports a process listens on, from /proc."""
    sockets = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            sockets.add(link.readlink().name)
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports
