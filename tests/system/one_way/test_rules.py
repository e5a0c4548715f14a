"""The rule itself: work crosses, and nothing in the DMZ opens anything towards the intranet.

Each refusal is shown beside its control: somebody does listen there, and without the rules the same attempt succeeds.
"""

import socket
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.testbed import Testbed
from tests.support.capture import Packet, capturing
from tests.support.probes import Target, caught, knock, listen, opened, pinged, throw
from tests.support.site import (
    BROKER_PORT,
    DMZ4,
    DMZ6,
    INTRANET4,
    INTRANET6,
    LAN4,
    MARKETING_PORT,
    METRICS_PORT,
    RULES,
    WIRE,
    Site,
)
from tests.support.testbeds import ACCOUNT, LOOPBACK, PATIENT, client, eventually, journal, work_order

LISTENED = (22, 80, 443, 5432, METRICS_PORT, 40000, BROKER_PORT)
TRACKER = "table inet tracker {\n chain watch { type filter hook input priority 10; ct state established accept; }\n}\n"
"""Makes the kernel keep account of connections, and forbids nothing."""
PATIENCE = 1.2
"""Seconds an attempt is given: time for a second SYN."""


@pytest.fixture(scope="module")
def listeners(site: Site, one_way: Testbed) -> Iterator[dict[int, socket.socket]]:
    """Somebody listens on every address of the bridge's host, beside what the product itself has open."""
    found = site.intranet.call(listen, [port for port in LISTENED if port != METRICS_PORT])
    behind = site.lan.call(listen, [22])
    yield found
    for one in (*found.values(), *behind.values()):
        one.close()


def asked(one_way: Testbed) -> list[int]:
    with client(one_way) as http:
        query = http.post("/v1/arrears-query", json={"account": ACCOUNT}, headers=PATIENT)
        headers = {"Idempotency-Key": str(uuid.uuid4()), **PATIENT}
        command = http.post("/v1/work-order", json=work_order(), headers=headers)
    return [query.status_code, command.status_code]


def targets(site: Site) -> list[Target]:
    """The bridge's host at each of its addresses."""
    found = site.intranet.run("ip", "-6", "-o", "address", "show", "dev", WIRE, "scope", "link").split()
    link_local = found[found.index("inet6") + 1].partition("/")[0]
    ports = sorted({*LISTENED, MARKETING_PORT, *range(1, 64)})
    return [
        *((INTRANET4, port) for port in ports),
        *((INTRANET6, port) for port in ports),
        (f"{link_local}%{WIRE}", 22),
    ]


def answered(found: dict[Target, str]) -> dict[Target, str]:
    return {target: what for target, what in found.items() if what != "silent"}


# --- before anybody else listens ----------------------------------------------------------------------------


def test_work_crosses(site: Site, one_way: Testbed) -> None:
    assert site.apps.call(asked, one_way) == [200, 200]
    assert {entry["applied"] for entry in site.intranet.call(journal, one_way)} == {1}


def test_the_bridge_listens_on_loopback_alone_and_its_host_on_nothing_else_but_the_marketing_system(
    site: Site, one_way: Testbed
) -> None:
    lines = [line.split() for line in site.intranet.run("ss", "-Hlntup").splitlines()]
    open_to_others = {line[4] for line in lines if not line[4].startswith(("127.", "[::1]"))}
    assert open_to_others == {f"{INTRANET4}:{MARKETING_PORT}"}
    bridges = {line[4] for line in lines if f"pid={one_way.pids['bridge']}," in line[-1]}
    assert bridges == {f"127.0.0.1:{METRICS_PORT}"}


def test_a_new_bridge_connects_outward_and_the_wire_carries_nothing_else(
    site: Site, one_way: Testbed, tmp_path: Path
) -> None:
    with capturing(site.intranet, WIRE, tmp_path, "crossing") as wire:
        one_way.stop("bridge")
        one_way.start("bridge")
        assert site.apps.call(asked, one_way) == [200, 200]
    opened = [packet for packet in wire.packets if packet.opens]
    assert len(opened) >= 2
    assert {(one.source, one.target, one.target_port) for one in opened} == {(INTRANET4, DMZ4, BROKER_PORT)}
    ours = {(INTRANET4, DMZ4, BROKER_PORT)}, {(DMZ4, INTRANET4, BROKER_PORT)}
    assert {(one.source, one.target, one.target_port) for one in wire.packets if one.source == INTRANET4} == ours[0]
    assert {(one.source, one.target, one.source_port) for one in wire.packets if one.source != INTRANET4} == ours[1]
    assert all(one.flags for one in wire.packets), "only TCP"


# --- attempts -----------------------------------------------------------------------------------------------


def test_what_is_knocked_at_does_answer_at_home(site: Site, listeners: dict[int, Any]) -> None:
    for address in (INTRANET4, INTRANET6):
        found = site.intranet.call(knock, [(address, port) for port in LISTENED if port != METRICS_PORT], 5)
        assert set(found.values()) == {"open"}, found
    assert set(site.intranet.call(knock, [(INTRANET4, MARKETING_PORT), ("127.0.0.1", METRICS_PORT)], 5).values()) == {
        "open"
    }
    assert site.lan.call(knock, [(INTRANET4, 22)], 5) == {(INTRANET4, 22): "open"}  # administration, from the intranet
    assert site.lan.call(knock, [(INTRANET4, MARKETING_PORT)], PATIENCE) == {(INTRANET4, MARKETING_PORT): "silent"}


def test_every_attempt_of_the_dmz_fails_and_is_counted(site: Site, listeners: dict[int, Any], tmp_path: Path) -> None:
    """With both files loaded it does not even leave the DMZ's host."""
    site.load_rules()
    attempts = targets(site)
    with capturing(site.intranet, WIRE, tmp_path, "attempts") as wire:
        assert answered(site.dmz.call(knock, attempts, PATIENCE)) == {}
        assert not site.dmz.call(pinged, INTRANET4, PATIENCE)
        assert answered(site.dmz.call(knock, [(LAN4, 22)], PATIENCE)) == {}
    assert not [packet for packet in wire.packets if packet.opens and packet.source != INTRANET4]
    # not by the intranet's counter: it may see an answer of the broker to a connection that has just been closed
    came = {(packet.source, packet.source_port) for packet in wire.packets if packet.source != INTRANET4}
    assert came <= {(DMZ4, BROKER_PORT)}
    assert site.counter(site.dmz, "intranet_new_refused") >= len(attempts)


def test_a_fallen_dmz_without_rules_of_its_own_gets_no_answer_to_any_syn(
    site: Site, one_way: Testbed, listeners: dict[int, Any], tmp_path: Path
) -> None:
    """Root in the DMZ removes the DMZ's rules: the intranet's alone hold, while work goes on."""
    site.load_rules()
    attempts = targets(site)
    datagrams = site.intranet.call(listen, [5353], socket.SOCK_DGRAM)[5353]
    with capturing(site.intranet, WIRE, tmp_path, "fallen") as wire, site.without_rules(site.dmz):
        found = site.dmz.call(knock, attempts, PATIENCE)
        # The broker's own address and port as the source: rules that look at ports alone let this in.
        as_broker = site.dmz.call(knock, [(INTRANET6, 22)], PATIENCE, (DMZ6, BROKER_PORT))
        through = site.dmz.call(knock, [(LAN4, 22)], PATIENCE)
        site.dmz.call(throw, [(INTRANET4, 5353), (INTRANET6, 5353)])
        assert not site.intranet.call(caught, datagrams, 0.5)
        assert not site.dmz.call(pinged, INTRANET4, PATIENCE)
        assert site.apps.call(asked, one_way) == [200, 200]
        refused = site.counter(site.intranet, "dmz_new_refused")
        forwarded = site.counter(site.intranet, "dmz_forward_refused")
        not_sent = site.counter(site.intranet, "to_dmz_refused")
    datagrams.close()
    assert answered(found | as_broker | through) == {}
    assert refused >= len(attempts) + 1
    assert forwarded >= 1
    assert not_sent == 0
    # The wire agrees: the SYNs came, and nothing went back to where they came from.
    syns = [packet for packet in wire.packets if packet.opens and packet.source != INTRANET4]
    assert len({(syn.target, syn.target_port) for syn in syns}) >= len(attempts)
    assert answers_to(syns, wire.packets) == []
    sent = [packet for packet in wire.packets if packet.source not in {DMZ4, DMZ6} and packet not in syns]
    assert {(one.source, one.target, one.target_port) for one in sent} == {(INTRANET4, DMZ4, BROKER_PORT)}


def answers_to(syns: list[Packet], packets: list[Packet]) -> list[Packet]:
    """Whatever goes to an address and port a SYN came from (SYN-ACK or RST), and any ICMP error."""
    begun = {(syn.source, syn.source_port) for syn in syns}
    return [one for one in packets if (one.target, one.target_port) in begun or "unreachable" in one.text]


def test_without_the_rules_the_same_attempts_succeed(site: Site, listeners: dict[int, Any], tmp_path: Path) -> None:
    """The control of all refusals above: were the rules wrong, these tests would see it."""
    datagrams = site.intranet.call(listen, [5353], socket.SOCK_DGRAM)[5353]
    with capturing(site.intranet, WIRE, tmp_path, "open") as wire, site.without_rules(site.dmz, site.intranet):
        found = site.dmz.call(knock, targets(site), PATIENCE)
        as_broker = site.dmz.call(knock, [(INTRANET6, 22)], PATIENCE, (DMZ6, BROKER_PORT))
        through = site.dmz.call(knock, [(LAN4, 22)], PATIENCE)
        site.dmz.call(throw, [(INTRANET4, 5353)])
        assert site.intranet.call(caught, datagrams, 5)
        assert site.dmz.call(pinged, INTRANET4, 5)
    datagrams.close()
    listened = [target for target in found if target[1] in {*LISTENED, MARKETING_PORT} - {METRICS_PORT}]
    listened = [target for target in listened if target != (INTRANET6, MARKETING_PORT)]
    assert {target: found[target] for target in listened} == dict.fromkeys(listened, "open")
    assert set((as_broker | through).values()) == {"open"}
    assert found[INTRANET4, METRICS_PORT] == "ECONNREFUSED"  # loopback only: even without rules
    syns = [packet for packet in wire.packets if packet.opens and packet.source == DMZ4]
    assert answers_to(syns, wire.packets) != []


@pytest.mark.parametrize(("tracked", "port"), [(False, 40001), (True, 40002)], ids=["unknown", "tracked"])
def test_what_the_dmz_had_open_before_the_rules_came_is_cut(site: Site, tracked: bool, port: int) -> None:
    """Even from the broker's own address and port; whether the kernel knew who had begun it or not."""
    listener = site.intranet.call(listen, [port])[port]
    with listener, site.without_rules(site.dmz, site.intranet):
        if tracked:
            site.intranet.rules(TRACKER)
        before = site.dmz.call(opened, (DMZ6, BROKER_PORT), (INTRANET6, port))
        inside, _ = listener.accept()
        with before, inside:
            before.sendall(b"one")
            inside.settimeout(5)
            assert inside.recv(10) == b"one"
            site.intranet.run("nft", "-f", str(RULES / "intranet-bridge.nft"))
            for sender, receiver in ((before, inside), (inside, before), (before, inside)):
                sender.sendall(b"two")
                receiver.settimeout(PATIENCE)
                with pytest.raises(TimeoutError):
                    receiver.recv(10)
        if tracked:
            site.intranet.run("nft", "delete", "table", "inet", "tracker")


def test_loading_the_rules_again_is_felt_by_nobody(site: Site, one_way: Testbed) -> None:
    eventually(lambda: site.apps.call(asked, one_way) == [200, 200], 60, "work, after the rules were away")
    site.intranet.run("nft", "add", "table", "inet", "somebody_elses")

    def reconnects() -> str:
        metrics = site.intranet.call(partial(httpx.get, **LOOPBACK), f"http://127.0.0.1:{METRICS_PORT}/metrics")
        lines = metrics.text.splitlines()
        return next(line for line in lines if "reconnects" in line and not line.startswith("#"))

    earlier = reconnects()
    for _ in range(3):
        site.load_rules()
        assert site.apps.call(asked, one_way) == [200, 200]
    assert reconnects() == earlier
    assert "somebody_elses" in site.intranet.run("nft", "list", "tables")
    assert "dmz_bridge" in site.intranet.run("nft", "list", "tables")
    site.intranet.run("nft", "delete", "table", "inet", "somebody_elses")


def test_the_front_is_for_applications_and_the_broker_for_bridges(site: Site, one_way: Testbed) -> None:
    site.apps.run("ip", "route", "replace", f"{DMZ4}/32", "via", "203.0.113.10")
    assert site.apps.call(knock, [("203.0.113.10", 8080)], 5) == {("203.0.113.10", 8080): "open"}
    assert answered(site.apps.call(knock, [(DMZ4, BROKER_PORT), ("203.0.113.10", 22)], PATIENCE)) == {}
    assert site.counter(site.dmz, "input_refused") >= 2
