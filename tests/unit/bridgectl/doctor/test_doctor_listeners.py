"""Who listens: the tables of /proc read, and what may be reachable on which host."""

import os
import socket
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest

from bridgectl.doctor import listeners
from bridgectl.doctor.finding import Status
from bridgectl.doctor.listeners import Listener, Process, Socket

pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="the tables below are of a little-endian machine")

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid t inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 501 1 0000000000000000 100 0 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 502 1 0000000000000000 100 0 0
   2: 0A0200C0:F0B0 050002C6:0050 01 00000000:00000000 00:00000000 00000000 0 0 503 1 0000000000000000 20 4 30
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx rx tr when r uid t inode
   0: 00000000000000000000000001000000:F0B0 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 601 1 0 100 0
   1: 0000000000000000FFFF00000A0200C0:F0B0 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 602 1 0 100 0
   2: 0000000000000000FFFF00000100007F:F0B1 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 603 1 0 100 0
   3: B80D0120000000000000000001000000:F0B2 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 604 1 0 100 0
"""


def test_tables() -> None:
    found = list(listeners.parsed(TCP, "tcp"))
    assert [(str(one.address), one.port, one.waits, one.inode) for one in found] == [
        ("127.0.0.1", 8080, True, 501),
        ("0.0.0.0", 22, True, 502),
        ("192.0.2.10", 61616, False, 503),
    ]
    assert str(found[2].peer) == "198.2.0.5"
    six = list(listeners.parsed(TCP6, "tcp"))
    assert [str(one) for one in six] == [
        "tcp [::1]:61616",
        "tcp 192.0.2.10:61616",
        "tcp 127.0.0.1:61617",
        "tcp [2001:db8::1]:61618",
    ]
    assert [Listener(one, None).reachable for one in six] == [False, True, False, True]


@pytest.mark.parametrize(("state", "peer", "waits"), [("07", "0.0.0.0", True), ("01", "192.0.2.1", False)])
def test_udp_waits_when_it_has_no_peer(state: str, peer: str, waits: bool) -> None:
    assert Socket("udp", ip_address("0.0.0.0"), 53, ip_address(peer), state, 1).waits == waits


def listener(address: str, port: int, name: str | None = None) -> Listener:
    socket_ = Socket("tcp", ip_address(address), port, ip_address("0.0.0.0"), "0A", port)
    return Listener(socket_, Process(7, name) if name else None)


BRIDGE = [
    ([listener("127.0.0.1", 9102, "intranet-bridge")], [("intranet-bridge", Status.OK)]),
    ([listener("0.0.0.0", 9102, "intranet-bridge")], [("tcp 0.0.0.0:9102", Status.FAIL)]),
    ([listener("10.0.0.1", 22, "intranet-bridge")], [("tcp 10.0.0.1:22", Status.FAIL)]),  # expected of sshd only
    ([listener("0.0.0.0", 22, "sshd")], [("intranet-bridge", Status.OK)]),
    ([listener("::", 25, "master")], [("tcp [::]:25", Status.WARN)]),
    ([listener("0.0.0.0", 25)], [("tcp 0.0.0.0:25", Status.WARN)]),
]


@pytest.mark.parametrize(("found", "expected"), BRIDGE)
def test_the_bridges_host(found: list[Listener], expected: list[tuple[str, Status]]) -> None:
    findings = listeners.judge_bridge_host(found, "intranet-bridge", {22}, True)
    assert [(one.subject, one.status) for one in findings] == expected
    assert all(one.action for one in findings if one.status is not Status.OK)


def test_the_bridges_desk_may_be_reached_and_nothing_else_on_its_port() -> None:
    found = [listener("10.0.0.1", 8444, "intranet-bridge"), listener("10.0.0.2", 8444, "python3")]
    findings = listeners.judge_bridge_host(found, "intranet-bridge", set(), True, (), {8444})
    assert [(one.subject, one.status) for one in findings] == [
        ("tcp 10.0.0.1:8444", Status.OK),
        ("tcp 10.0.0.2:8444", Status.WARN),
    ]
    assert "the desk's staff" in findings[0].seen


def test_the_fronts_host() -> None:
    found = [listener("0.0.0.0", 8080, "dmz-front"), listener("::", 61616, "java"), listener("0.0.0.0", 111, "rpcbind")]
    findings = listeners.judge_front_host(found, "dmz-front", {8080, 61616}, True)
    assert [(one.subject, one.status) for one in findings] == [("tcp 0.0.0.0:111", Status.WARN)]
    assert "rpcbind, pid 7" in findings[0].seen
    assert [one.status for one in listeners.judge_front_host(found, "dmz-front", {8080, 61616, 111}, True)] == [
        Status.OK
    ]


@pytest.mark.parametrize(
    ("count", "visible", "status"),
    [(1, True, Status.OK), (1, False, Status.OK), (0, False, Status.WARN), (0, True, Status.FAIL)],
)
def test_the_process(count: int, visible: bool, status: Status) -> None:
    assert listeners.judge_processes("dmz-front", count, visible).status is status


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("/opt/x/bin/python3", "/opt/x/bin/dmz-front", "--config", "f"), "dmz-front"),
        (("python3.11", "-I", "-m", "intranet_bridge.start"), "intranet-bridge"),
        (("python3.11", "-m", "intranet_bridge.qr.drawing"), "intranet_bridge.qr.drawing"),
        (("/usr/bin/java", "-cp", "x"), "from-the-kernel"),
        ((), "from-the-kernel"),
    ],
)
def test_what_a_process_is_called(arguments: tuple[str, ...], name: str) -> None:
    assert listeners._name(arguments, "from-the-kernel") == name


def test_this_process_is_found_with_its_sockets() -> None:
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        udp.bind(("127.0.0.1", 0))
        mine = {
            (one.socket.protocol, one.socket.port)
            for one in listeners.look({}, ()).listeners
            if one.process is not None and one.process.pid == os.getpid()
        }
        assert {("tcp", tcp.getsockname()[1]), ("udp", udp.getsockname()[1])} <= mine


def test_a_daemon_is_told_from_one_with_another_configuration(tmp_path: Path) -> None:
    here = Process(os.getpid(), "dmz-front", ("python", "dmz-front", "--config", str(tmp_path / "a.toml")))
    host = listeners.Host((), (here, Process(1, "init")), (), True)
    assert host.running("dmz-front", tmp_path / "a.toml") == [here]
    assert host.running("dmz-front", tmp_path / "b.toml") == []
    assert host.running("intranet-bridge", tmp_path / "a.toml") == []


def test_a_zombie_does_not_run() -> None:
    with subprocess.Popen(["sleep", "0"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has collected it
        assert Path(f"/proc/{ended.pid}").exists()
        assert ended.pid not in {one.pid for one in listeners.look({}, ()).processes}
