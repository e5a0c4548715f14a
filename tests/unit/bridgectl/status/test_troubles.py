"""What `bridgectl status` makes of what is seen: each planted trouble is the first line, consequences are under it."""

from dataclasses import replace
from typing import Any

import pytest

from bridgectl.queues import BrokerUsage, QueueHealth
from bridgectl.status.observation import Observation, Silence, Silent
from bridgectl.status.screen import as_dict, screen
from bridgectl.status.trouble import Level, verdict
from bridgectl.status.troubles import troubles
from protocol.maintenance import Pause
from protocol.messages import Role
from protocol.reports.admission import AdmissionStoreReport, CeilingReport, DeniedReport
from protocol.reports.bridge import BridgeReport
from protocol.reports.calls import DiagnosisReport, InterfaceReport
from protocol.reports.daemon import (
    BackupReport,
    ChangedFileReport,
    CommandsReport,
    DrainReport,
    FileReport,
    LinkReport,
    StoreReport,
)
from protocol.reports.front import AttachedReport, FrontReport
from protocol.reports.marketing_data import PushesReport, PushTableReport

NOW = 1_800_000_000_000
MINUTE, DAY = 60_000, 86_400_000
STORE = StoreReport(place="/var/lib/x.sqlite3", write_ms=3, free_bytes=50 << 30, total_bytes=100 << 30)
COMMON: dict[str, Any] = {
    "region": "main", "software": "1", "pid": 1, "started": NOW - DAY, "now": NOW, "store": STORE,
    "commands": CommandsReport(by_state={"succeeded": 5}),
    "certificates": (FileReport(path="/etc/x.pem", use="broker", not_after=NOW + 300 * DAY),),
}  # fmt: skip
BRIDGE_1 = AttachedReport(name="bridge-1", heard=NOW - 900, said=NOW - 1000, operations={"bill-query": "up"})


def link(name: str = "queries", *, up: bool = True, trouble: str = "") -> LinkReport:
    return LinkReport(name=name, connected=up, since=NOW - MINUTE, connections=1, trouble=trouble)


FRONT = FrontReport(name="front-1", links=(link(),), readiness={"broker": "ok"}, bridges=(BRIDGE_1,), **COMMON)
INTERFACE = InterfaceReport(
    operation="bill-query", system="marketing", circuit="closed", calls=9, last_success=NOW - 5000
)
BRIDGE = BridgeReport(name="bridge-1", links=(link(),), inbox="i", interfaces=(INTERFACE,), **COMMON)
QUEUES = (
    QueueHealth("bridge.query.main", 0, 1, 0, 5, 5, 0, None, 0),
    QueueHealth("bridge.command.main", 0, 1, 0, 5, 5, 0, None, 0),
)
WELL = Observation(NOW, FRONT, BRIDGE, QUEUES)
PAUSED = Pause(operations=("bill-query",), since=NOW - MINUTE, by="root (li)", reason="new release")


def front(**changes: Any) -> Observation:
    return replace(WELL, front=FRONT.model_copy(update=changes))


def bridge(**changes: Any) -> Observation:
    return replace(WELL, bridge=BRIDGE.model_copy(update=changes))


def interface(**changes: Any) -> Observation:
    return bridge(interfaces=(INTERFACE.model_copy(update=changes),))


def diagnosed(more: dict[str, Any] | None = None, **changes: Any) -> Observation:
    """A circuit that is open, and what the bridge found by a probe."""
    values = {"took_ms": 5, "limit_ms": 5000, "patience_ms": 30_000, "outcome": "unknown"} | changes
    found = DiagnosisReport(system="marketing", operation="bill-query", at=NOW - 3000, **values)
    failing = INTERFACE.model_copy(
        update={"circuit": "open", "failing_since": NOW - MINUTE, "reason": "timeout"} | (more or {})
    )
    return bridge(interfaces=(failing,), diagnoses=(found,))


def store(**changes: Any) -> StoreReport:
    return STORE.model_copy(update=changes)


def test_it_advises_to_probe_what_was_tried_and_is_harmless() -> None:
    seen = diagnosed(reason="connect: Connection refused")
    assert isinstance(seen.bridge, BridgeReport)
    worse = INTERFACE.model_copy(
        update={"operation": "work-order", "circuit": "open", "failing_since": NOW - MINUTE, "failures": 99}
    )
    [trouble] = troubles(bridge(interfaces=(*seen.bridge.interfaces, worse), diagnoses=seen.bridge.diagnoses))
    assert "bridgectl probe bill-query" in trouble.mend


def test_nothing_is_said_of_what_is_well() -> None:
    assert troubles(WELL) == []
    assert verdict([]) is Level.OK


@pytest.mark.parametrize(
    ("seen", "key", "level", "words"),
    [
        (
            interface(circuit="open", failing_since=NOW - MINUTE, failures=5, reason="connection refused"),
            "system-failing", Level.CRITICAL, "connection refused",
        ),
        (
            interface(failing_since=NOW - MINUTE, failures=2, reason="the answer is not JSON: it begins with '<'"),
            "system-failing", Level.WARNING, "not JSON",
        ),
        (
            bridge(interfaces=(
                INTERFACE.model_copy(update={"circuit": "open", "failing_since": NOW - MINUTE}),
                INTERFACE.model_copy(update={"operation": "work-order", "last_success": NOW - 10}),
            )),
            "interface-failing", Level.CRITICAL, "bill-query",
        ),
        (
            replace(WELL, bridge=Silent(Role.BRIDGE, Silence.NOT_RUNNING, "refused")),
            "bridge-down", Level.CRITICAL, "systemctl restart intranet-bridge",
        ),
        (
            replace(WELL, front=Silent(Role.FRONT, Silence.STUCK, "no answer within 2 s")),
            "front-stuck", Level.CRITICAL, "runs and does not answer",
        ),
        (
            replace(WELL, bridge=Silent(Role.BRIDGE, Silence.NOT_ALLOWED, "only root")),
            "bridge-not-asked", Level.UNKNOWN, "as root",
        ),
        (
            bridge(maintenance=(PAUSED.model_copy(update={"since": NOW - DAY}),)),
            "paused-for-long", Level.WARNING, "bridgectl resume --side bridge bill-query",
        ),
        (
            front(maintenance=(PAUSED.model_copy(update={"since": NOW - DAY, "operations": tuple("abcdef")}),)),
            "paused-for-long", Level.WARNING, "bridgectl resume --side front --all",
        ),
        (
            front(changed_files=(
                ChangedFileReport(path="/etc/front.pem", since=NOW - MINUTE), ChangedFileReport(path="/etc/k", since=0),
            )),
            "not-reloaded", Level.WARNING, "/etc/front.pem, /etc/k (gone)",
        ),
        (
            bridge(changed_files=(ChangedFileReport(path="/etc/b.toml", since=NOW - MINUTE),), waiting_settings=("x",)),
            "not-reloaded", Level.WARNING, "bridgectl reload bridge",
        ),
        (
            bridge(waiting_settings=("queries.slots",)),
            "not-reloaded", Level.WARNING, "systemctl restart intranet-bridge",
        ),
        (
            interface(circuit="open", failing_since=NOW - MINUTE, failures=5, reason="timeout", timeout_ms=5000),
            "system-failing", Level.CRITICAL, "as it should: slow: no answer within 5 s",
        ),
        (
            diagnosed(took_ms=20_100, outcome="answered"),
            "system-failing", Level.CRITICAL, "as it should: slow: 20 s",
        ),
        (
            diagnosed(reason="the answer is not JSON: it begins with '<' (an HTML log-in page)"),
            "system-failing", Level.CRITICAL, "as it should: an HTML log-in page, not JSON",
        ),
        (
            diagnosed({"failed": NOW, "reason": "connect: Connection refused"}, took_ms=20_100, outcome="answered"),
            "system-failing", Level.CRITICAL, "as it should: connection refused",
        ),
        (
            diagnosed({"failed": NOW}, took_ms=20_100, outcome="answered"),
            "system-failing", Level.CRITICAL, "as it should: slow: 20 s",
        ),
        (
            diagnosed(took_ms=80, outcome="answered"),
            "system-failing", Level.CRITICAL, "it answers again: bridgectl circuit close bill-query",
        ),
        (
            bridge(drain=DrainReport(since=NOW - MINUTE, by="root (li)", running={"queries": 0, "commands": 2})),
            "draining", Level.WARNING, "2 commands",
        ),
        (front(drain=DrainReport(since=NOW, by="root", running={})), "draining", Level.WARNING, "safe to stop"),
        (front(bridges=(), leaving_bridges=(BRIDGE_1,)), "bridge-leaves", Level.CRITICAL, "bridge-1 has said"),
        (front(bridges=(), lost_bridges=(BRIDGE_1,)), "bridge-silent", Level.CRITICAL, "bridge-1 is silent"),
        (front(lost_bridges=(BRIDGE_1,)), "bridge-silent", Level.WARNING, "the other bridges"),
        (front(bridges=()), "no-bridge", Level.CRITICAL, "the keys do not fit"),
        (
            replace(front(bridges=()), queues=()), "no-bridge", Level.CRITICAL, "heard of no bridge",
        ),
        (
            front(bridges=(BRIDGE_1.model_copy(update={"said": NOW - 120_000}),)),
            "clock-off", Level.CRITICAL, "+119 s",
        ),
        (
            front(bridges=(BRIDGE_1.model_copy(update={"said": NOW + 120_000}),)),
            "clock-off", Level.CRITICAL, "-121 s",
        ),
        (
            front(conflict=(("a", "bridge-1"), ("b", "bridge-2"))),
            "inbox-conflict", Level.CRITICAL, "bridge-1 keeps a, bridge-2 keeps b",
        ),
        (
            bridge(ceilings=(CeilingReport(
                front="front-1", application="ghost", ceiling="application", count=2000, since=NOW - MINUTE, last=NOW
            ),)),
            "ceiling-met", Level.CRITICAL, "front-1/ghost met the ceiling application",
        ),
        (
            bridge(ceilings=(CeilingReport(
                front="front-1", ceiling="accounts", limit=20000, count=9, since=NOW - MINUTE, last=NOW
            ),)),
            "ceiling-met", Level.CRITICAL, "more different accounts an hour than its ceiling of 20000",
        ),
        (front(store=store(trouble="database or disk is full")), "disk-full", Level.CRITICAL, "free space"),
        (front(store=store(free_bytes=10 << 20)), "disk-full", Level.CRITICAL, "10 MB are free"),
        (bridge(store=store(free_bytes=500 << 20)), "disk-nearly-full", Level.WARNING, "inbox of bridge-1"),
        (front(store=store(trouble="a write waits for more than 1.5 s")), "database-locked", Level.CRITICAL, "fuser"),
        (front(store=store(trouble="database disk image is malformed")), "database-damaged", Level.CRITICAL, "restore"),
        (front(store=store(write_ms=1400)), "database-slow", Level.WARNING, "1.4 s"),
        (front(store=store(ill="full", trouble="disk I/O error")), "disk-full", Level.CRITICAL, "disk I/O error"),
        (bridge(store=store(ill="damaged", trouble="x")), "database-damaged", Level.CRITICAL, "bridgectl restore"),
        (
            front(store=store(ill="unreachable", trouble="refused", place="postgresql+psycopg://f@db/f")),
            "database-unreachable", Level.CRITICAL, "systemctl start postgresql",
        ),
        (
            front(backup=BackupReport(folder="/b", every_hours=24, last=NOW - 3 * DAY)),
            "backup-failing", Level.WARNING, "/b: the latest is too old",
        ),
        (
            bridge(backup=BackupReport(folder="/b", every_hours=24, last=NOW, trouble="no room")),
            "backup-failing", Level.WARNING, "bridgectl backup /b --side bridge",
        ),
        (
            front(conflict=(("a", "bridge-1"), ("b", "bridge-2")), bound="a"),
            "inbox-conflict", Level.CRITICAL, "on the host of bridge-2: systemctl stop intranet-bridge",
        ),
        (
            front(conflict=(("b", "bridge-2"),), bound="a"),
            "inbox-conflict", Level.CRITICAL, "if a is lost for good: bridgectl inbox bind b --note WHY",
        ),
        (
            front(conflict=(("a", "bridge-1"), ("a", "bridge-2")), bound="a"),
            "inbox-conflict", Level.CRITICAL, "an inbox has a copy",
        ),
        (
            front(certificates=(FileReport(path="/e.pem", use="http", not_after=NOW - DAY),)),
            "certificate-expired", Level.CRITICAL, "/e.pem",
        ),
        (
            bridge(certificates=(FileReport(path="/e.pem", use="broker", not_after=NOW + 9 * DAY),)),
            "certificate-expires", Level.WARNING, "in 9 days",
        ),
        (
            bridge(certificates=(FileReport(path="/e.pem", use="broker", trouble="No such file or directory"),)),
            "certificate-unreadable", Level.CRITICAL, "No such file",
        ),
        (
            bridge(certificates=(FileReport(path="", use="broker", not_after=NOW + DAY, objection="of a front"),)),
            "certificate-wrong", Level.CRITICAL, "of a front",
        ),
        (replace(front(), usage=BrokerUsage(100, 0, 3)), "broker-full", Level.CRITICAL, "store is at 100 %"),
        (replace(front(), usage=BrokerUsage(2, 85, 3)), "broker-full", Level.WARNING, "space at 85 %"),
        (
            bridge(commands=CommandsReport(by_state={"held": 2})),
            "commands-held", Level.WARNING, "2 commands held",
        ),
        (
            replace(front(commands=CommandsReport(by_state={"held": 1})), bridge=None),
            "commands-held", Level.WARNING, "bridgectl requests resolve ID",
        ),
        (
            bridge(commands=CommandsReport(by_state={"received": 2}, oldest_unfinished=NOW - 30 * MINUTE)),
            "commands-waiting", Level.WARNING, "bridge-1",
        ),
        (front(unserved=("work-order",)), "operation-unserved", Level.WARNING, "work-order"),
        (
            replace(bridge(unbound=tuple("abcdefg")), front=None), "operation-unserved", Level.WARNING, "and 2 more",
        ),
        (
            replace(
                front(bridges=(BRIDGE_1.model_copy(update={"operations": {"bill-query": "paused"}}),)), bridge=None
            ),
            "operations-paused", Level.CRITICAL, "bill-query",
        ),
        (
            replace(WELL, queues=(replace(QUEUES[0], dead_letters=3),)), "dead-letters", Level.WARNING,
            "3 dead letters",
        ),
        (replace(WELL, queues=(replace(QUEUES[0], consumers=0),)), "queue-not-consumed", Level.CRITICAL, "no bridge"),
        (
            front(denied=(DeniedReport(code="unauthenticated", application="kiosk", key="ab", operation="bill-query",
                                       count=3, last=NOW - MINUTE),)),
            "key-not-valid", Level.WARNING, "3 requests of kiosk",
        ),
        (
            front(denied=(DeniedReport(code="unauthenticated", application="kiosk", key="ab", operation="bill-query",
                                       count=1, last=NOW - MINUTE, active=True),)),
            "key-not-valid", Level.WARNING, "bridgectl apps rotate kiosk",
        ),
        (
            front(denied=(DeniedReport(code="signature-required", application="kiosk", key="ab", operation="bill-query",
                                       count=1, last=NOW - MINUTE, active=True),)),
            "key-not-valid", Level.WARNING, "bridgectl apps signature list kiosk",
        ),
        (
            front(paused_addresses=2),
            "addresses-paused", Level.WARNING, "bridgectl addresses list",
        ),
        (
            front(admission_store=AdmissionStoreReport(place="redis://counts", trouble="no", since=NOW - MINUTE)),
            "admission-store-lost", Level.WARNING, "redis://counts",
        ),
        (
            front(denied=(DeniedReport(code="scope", application="kiosk", key="ab", operation="bill-query", count=1,
                                       last=NOW - MINUTE),)),
            "key-not-allowed", Level.WARNING, "1 request of kiosk",
        ),
        (
            bridge(pushes=PushesReport(tables=(
                PushTableReport(name="billing", error="no such table", failing_since=NOW - 2 * MINUTE),
                PushTableReport(name="archive", error="a restart", failing_since=NOW - MINUTE // 2),
                PushTableReport(name="outages"),
            ))),
            "push-table-unread", Level.WARNING, "no such table",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)  # fmt: skip
def test_a_planted_trouble_is_the_first_line(seen: Observation, key: str, level: Level, words: str) -> None:
    found = troubles(seen)
    assert (found[0].key, found[0].level) == (key, level)
    assert len(found) == 1
    assert words in screen(seen, found, colour=False, width=500)
    assert verdict(found) is level


def test_what_another_bridge_still_serves_is_no_fault_of_the_installation() -> None:
    one = BRIDGE_1.model_copy(update={"operations": {"bill-query": "paused"}})
    other = BRIDGE_1.model_copy(update={"name": "bridge-2", "operations": {"bill-query": "up"}})
    assert troubles(front(bridges=(one, other))) == []


def test_a_probe_from_before_the_failures_is_no_reason_to_close_the_circuit() -> None:
    [one] = troubles(diagnosed({"failing_since": NOW - 1000}, took_ms=80, outcome="answered"))
    assert one.mend.startswith("see to that system")


def test_denials_of_long_ago_are_not_news() -> None:
    old = DeniedReport(code="scope", application="a", key="", operation="o", count=1, last=NOW - 30 * MINUTE)
    assert troubles(front(denied=(old,))) == []


def test_what_follows_from_a_broker_that_is_down_is_under_it() -> None:
    down = (link(up=False, trouble="dmz:61616: Connection refused"),)
    seen = Observation(
        NOW,
        FRONT.model_copy(update={"links": down, "bridges": (), "lost_bridges": (BRIDGE_1,)}),
        BRIDGE.model_copy(update={"links": down}),
        None,
        "Connection refused",
    )
    [one] = troubles(seen)
    assert one.key == "broker-unreachable"
    assert "front-1 and bridge-1" in one.what
    assert one.why == "dmz:61616: Connection refused"
    assert [under.key for under in one.consequences] == ["bridge-silent"]


def test_a_certificate_that_expired_explains_why_the_broker_refuses() -> None:
    down = (link(up=False, trouble="the other side says that our certificate has expired"),)
    expired = (FileReport(path="/e.pem", use="broker", not_after=NOW - DAY),)
    [one] = troubles(bridge(links=down, certificates=expired))
    assert one.key == "certificate-expired"
    assert [under.key for under in one.consequences] == ["broker-refuses"]


def test_what_follows_from_a_bridge_that_is_down_is_under_it() -> None:
    seen = Observation(
        NOW,
        FRONT.model_copy(update={"bridges": (), "lost_bridges": (BRIDGE_1,)}),
        Silent(Role.BRIDGE, Silence.NOT_RUNNING, "refused"),
        tuple(replace(queue, consumers=0) for queue in QUEUES),
    )
    [one] = troubles(seen)
    assert one.key == "bridge-down"
    assert {under.key for under in one.consequences} == {"bridge-silent", "queue-not-consumed"}


def test_a_daemon_that_does_not_start_with_its_certificate_is_down_by_that() -> None:
    why = "/e.pem: is the certificate of a front"
    [one] = troubles(replace(WELL, bridge=Silent(Role.BRIDGE, Silence.NOT_RUNNING, "refused", why)))
    assert (one.key, one.why, [under.key for under in one.consequences]) == ("certificate-wrong", why, ["bridge-down"])
    assert "intranet-bridge does not start with it" in one.hurts


def test_an_expired_certificate_does_not_explain_a_broker_that_is_down() -> None:
    down = (link(up=False, trouble="dmz:61616: Connection refused"),)
    expired = (FileReport(path="/e.pem", use="http", not_after=NOW - DAY),)
    found = troubles(front(links=down, certificates=expired))
    assert [(one.key, one.consequences) for one in found] == [("certificate-expired", ()), ("broker-unreachable", ())]


def test_the_worst_comes_first_and_every_trouble_is_told_once() -> None:
    """Whatever the order of the rules: the ones of certificates come first, those of silent daemons before stores."""
    seen = replace(
        WELL,
        bridge=Silent(Role.BRIDGE, Silence.NOT_ALLOWED, "only root"),
        front=FRONT.model_copy(
            update={
                "certificates": (FileReport(path="/e.pem", use="http", not_after=NOW + 9 * DAY),),
                "store": store(trouble="database is locked"),
                "commands": CommandsReport(by_state={"held": 1}),
            }
        ),
    )
    found = troubles(seen)
    assert [one.key for one in found] == ["database-locked", "bridge-not-asked", "certificate-expires", "commands-held"]
    assert verdict(found) is Level.CRITICAL


def test_programs_get_the_same() -> None:
    seen = interface(circuit="open", failing_since=NOW - MINUTE, reason="refused")
    told = as_dict(seen, troubles(seen))
    assert told["status"] == "critical"
    assert told["troubles"][0]["key"] == "system-failing"
    assert told["troubles"][0]["level"] == "critical"
    assert told["bridge"]["interfaces"][0]["reason"] == "refused"
    assert told["queues"][0]["name"] == "bridge.query.main"


def test_the_screen_is_as_wide_as_it_may_be_and_coloured_only_if_wished() -> None:
    seen = interface(circuit="open", failing_since=NOW - MINUTE, reason="refused " * 30)
    found = troubles(seen)
    lines = screen(seen, found, colour=False, width=70).split("\n\n")[1].splitlines()
    assert max(map(len, lines)) <= 70
    assert "\033" not in screen(seen, found, colour=False)
    assert "\033[31m" in screen(seen, found, colour=True)


def test_maintenance_is_no_fault_and_is_shown() -> None:
    until = PAUSED.model_copy(update={"since": NOW - 2 * DAY, "until": NOW + MINUTE})
    there = BRIDGE_1.model_copy(update={"operations": {"bill-query": "paused"}, "maintenance": (until,)})
    failing = INTERFACE.model_copy(update={"circuit": "open", "failing_since": NOW - MINUTE, "reason": "x"})
    seen = replace(
        front(bridges=(there,)),
        bridge=BRIDGE.model_copy(update={"interfaces": (failing,), "maintenance": (until,), "next_window": PAUSED}),
    )
    assert troubles(seen) == []
    assert troubles(bridge(maintenance=(PAUSED,))) == []  # without an end, but not for long
    text = screen(seen, [], colour=False, width=200)
    assert (
        "paused    bill-query since 2027-01-13 08:00:00 UTC until 2027-01-15 08:01:00 UTC by root (li): new release"
        in text
    )
    assert "paused there: bill-query" in text
    assert "scheduled bill-query paused from" in text


def test_a_circuit_that_is_open_elsewhere_is_a_fault_though_one_bridge_is_maintained() -> None:
    one = BRIDGE_1.model_copy(update={"operations": {"bill-query": "paused"}, "maintenance": (PAUSED,)})
    other = BRIDGE_1.model_copy(update={"name": "bridge-2", "operations": {"bill-query": "paused"}})
    assert [trouble.key for trouble in troubles(front(bridges=(one, other)))] == ["operations-paused"]


def test_what_follows_from_a_drain_is_under_it() -> None:
    drained = DrainReport(since=NOW, by="root", running={})
    seen = replace(
        front(bridges=(), leaving_bridges=(BRIDGE_1,)),
        bridge=BRIDGE.model_copy(update={"drain": drained}),
        queues=tuple(replace(queue, consumers=0) for queue in QUEUES),
    )
    [trouble] = troubles(seen)
    assert (trouble.key, {one.key for one in trouble.consequences}) == (
        "draining", {"bridge-leaves", "queue-not-consumed"},
    )  # fmt: skip
