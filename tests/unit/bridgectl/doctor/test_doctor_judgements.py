"""What doctor makes of what it sees: pure functions, each verdict with a remedy."""

import datetime
import os
import stat
from pathlib import Path

import pytest

from bridgectl import certificates
from bridgectl.doctor import broker, clocks, files, health, installation, one_way
from bridgectl.doctor.broker import Probes
from bridgectl.doctor.finding import Finding, Status, exit_code, overall
from bridgectl.doctor.installation import HttpPart, Installation
from bridgectl.doctor.one_way import RuleSet, Way
from bridgectl.doctor.wire import Answer, Attempt
from bridgectl.queues import QueueHealth
from protocol.keyring import Algorithm, KeyState, PrivateFile, new_key
from protocol.messages import Role
from protocol.presence import Availability, Presence

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
OK, WARN, FAIL, SKIP = Status.OK, Status.WARN, Status.FAIL, Status.SKIP


def of(status: Status) -> Finding:
    return Finding("x", "y", status, "seen")


def sound(finding: Finding) -> bool:
    """Whatever is wrong comes with what to do."""
    return finding.status is OK or bool(finding.action)


# --- the report -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statuses", "worst", "code", "strict"),
    [
        ([], SKIP, 0, 0),
        ([OK, SKIP], OK, 0, 0),
        ([OK, WARN, SKIP], WARN, 0, 1),
        ([FAIL, WARN, OK], FAIL, 1, 1),
    ],
)
def test_the_worst_counts(statuses: list[Status], worst: Status, code: int, strict: int) -> None:
    found = overall(map(of, statuses))
    assert (found, exit_code(found, strict=False), exit_code(found, strict=True)) == (worst, code, strict)


# --- configuration ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "said", "status", "seen"),
    [
        (0, "/etc/f.toml: ok\n", OK, "the daemon accepts every setting and file"),
        (2, "{}\nerror: /etc/f.toml:7: link.kay: not known\n", FAIL, "/etc/f.toml:7: link.kay: not known"),
        (1, "Traceback …\nValueError: x\n", FAIL, "ValueError: x"),
        (-9, "", FAIL, "exit code -9"),
        (None, "dmz-front cannot be run: timed out", FAIL, "dmz-front cannot be run: timed out"),
    ],
)
def test_what_a_daemon_says_of_its_configuration(code: int | None, said: str, status: Status, seen: str) -> None:
    finding = installation.judge_check(Installation(Role.FRONT, Path("/etc/f.toml"), None), code, said)
    assert (finding.status, finding.seen) == (status, seen)
    assert sound(finding)


# --- one way ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "status"),
    [(Way.OPEN, FAIL), (Way.REFUSED, OK), (Way.UNREACHABLE, OK), (Way.DROPPED, OK), (Way.UNKNOWN, WARN)],
)
def test_a_way_inward(way: Way, status: Status) -> None:
    finding = one_way.judge_inward("10.0.0.1:22", way, 3)
    assert (finding.subject, finding.status) == ("10.0.0.1:22", status)
    assert sound(finding)


def test_a_reset_is_told_from_silence() -> None:
    assert "reset" in one_way.judge_inward("a:1", Way.REFUSED, 3).seen
    assert "dropped" in one_way.judge_inward("a:1", Way.DROPPED, 3).seen


def test_nothing_to_try_is_a_warning_that_names_who_is_connected() -> None:
    finding = one_way.judge_untried(["10.2.0.5"])
    assert finding.status is WARN
    assert "10.2.0.5" in finding.seen


OURS = frozenset({one_way.TABLE, ("ip", "filter")})


@pytest.mark.parametrize(
    ("rules", "statuses"),
    [
        (RuleSet(OURS, drops_input=True), [OK]),
        (RuleSet(OURS, drops_input=True, refused=3), [OK, WARN]),
        (RuleSet(OURS), [WARN]),
        (RuleSet(frozenset({("inet", "filter")})), [WARN]),
        (RuleSet(), [WARN]),
        (RuleSet(error="Operation not permitted"), [WARN]),
    ],
)
def test_the_rule_set(rules: RuleSet, statuses: list[Status]) -> None:
    findings = list(one_way.judge_rules(rules))
    assert [finding.status for finding in findings] == statuses
    assert all(map(sound, findings))


NFT = b"""{"nftables": [{"metainfo": {"version": "1.0.6"}},
{"table": {"family": "inet", "name": "dmz_bridge", "handle": 2}}, {"table": {"family": "ip", "name": "nat"}},
{"counter": {"family": "inet", "name": "dmz_new_refused", "table": "dmz_bridge", "packets": 4, "bytes": 240}},
{"counter": {"family": "inet", "name": "input_refused", "table": "dmz_bridge", "packets": 9, "bytes": 540}},
{"counter": {"family": "ip", "name": "dmz_new_refused", "table": "nat", "packets": 8, "bytes": 540}},
{"chain": {"family": "inet", "table": "dmz_bridge", "name": "input", "hook": "input", "prio": 0, "policy": "drop"}},
{"chain": {"family": "inet", "table": "dmz_bridge", "name": "to_dmz", "handle": 3}},
{"rule": {"family": "inet", "table": "dmz_bridge", "chain": "input", "expr": []}}]}"""


def test_what_nft_prints() -> None:
    assert one_way.rules_of(NFT) == RuleSet(frozenset({one_way.TABLE, ("ip", "nat")}), True, 4)
    assert not one_way.rules_of(NFT.replace(b'"policy": "drop"', b'"policy": "accept"')).drops_input
    assert not one_way.rules_of(
        NFT.replace(b'"table": "dmz_bridge", "name": "input"', b'"table": "x", "name": "y"')
    ).drops_input
    for broken in (b"", b"[]", b'{"nftables": [{"counter": {}}]}', b'{"nftables": [{"table": 1}]}'):
        assert one_way.rules_of(broken).error


# --- the broker -------------------------------------------------------------------------------------------

LET_IN = Attempt(Answer.CONNECTED, tls="TLSv1.3", server="ActiveMQ/6.3.1")
TURNED_AWAY = Attempt(Answer.REFUSED, "certificate required", tls="TLSv1.3")


@pytest.mark.parametrize(
    ("answer", "status"), [(answer, OK if answer is Answer.CONNECTED else FAIL) for answer in Answer]
)
def test_our_own_connection(answer: Answer, status: Status) -> None:
    finding = broker.judge_tls("b:61616", Attempt(answer, "why", "TLSv1.3"))
    assert finding.status is status
    assert sound(finding)


@pytest.mark.parametrize(
    ("attempt", "status"),
    [
        (TURNED_AWAY, OK),
        (LET_IN, FAIL),
        (Attempt(Answer.ERROR, "no such user", "TLSv1.3"), FAIL),
        (Attempt(Answer.SILENT, "no answer", "TLSv1.3"), WARN),
        (Attempt(Answer.UNREACHABLE, "connection refused"), WARN),
    ],
)
def test_a_stranger_must_be_turned_away_by_tls(attempt: Attempt, status: Status) -> None:
    finding = broker.judge_stranger("b:61616", "without a certificate", attempt)
    assert finding.status is status
    assert sound(finding)


@pytest.mark.parametrize(
    ("attempt", "status"),
    [
        (Attempt(Answer.REFUSED, "closed"), OK),
        (Attempt(Answer.SILENT, "no answer"), OK),
        (Attempt(Answer.CONNECTED), FAIL),
        (Attempt(Answer.ERROR, "no"), FAIL),
    ],
)
def test_plain_text(attempt: Attempt, status: Status) -> None:
    assert broker.judge_plain("b:61616", attempt).status is status


@pytest.mark.parametrize(
    ("attempt", "status"),
    [
        (Attempt(Answer.REFUSED, "protocol version"), OK),
        (Attempt(Answer.UNABLE), SKIP),
        (Attempt(Answer.CONNECTED, tls="TLSv1.1"), FAIL),
        (Attempt(Answer.REFUSED, "bad certificate", tls="TLSv1"), FAIL),  # the handshake was through
    ],
)
def test_old_tls(attempt: Attempt, status: Status) -> None:
    assert broker.judge_old("b:61616", attempt).status is status


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (None, FAIL),
        ("User front is not authorized to read from: queue://bridge.query.main", OK),
        ("no answer", WARN),
    ],
)
def test_rights(refusal: str | None, status: Status) -> None:
    assert broker.judge_right("b:61616", "/queue/bridge.query.main", refusal).status is status


@pytest.mark.parametrize(
    ("server", "status", "says"),
    [
        ("ActiveMQ/5.17.2", WARN, "older than 5.19.10"),
        ("ActiveMQ/5.19.9", WARN, "older than 5.19.10"),
        ("ActiveMQ/5.19.10", OK, "5.19.10"),
        ("ActiveMQ/5.20.0", OK, "5.20.0"),
        ("ActiveMQ/6.2.8", WARN, "older than 6.2.9"),
        ("ActiveMQ/6.2.10", OK, "6.2.10"),
        ("ActiveMQ/6.3.1-SNAPSHOT", OK, "6.3.1"),
        ("ActiveMQ/7.0.0", WARN, "not known"),
        ("ActiveMQ/4.1.2", WARN, "not known"),
        ("apache-activemq-artemis/2.40.0", WARN, "unknown broker"),
        ("RabbitMQ/4.0.1", WARN, "unknown broker"),
        ("", WARN, "does not say"),
    ],
)
def test_versions(server: str, status: Status, says: str) -> None:
    finding = broker.judge_version("b:61616", server)
    assert finding.status is status
    assert says in finding.seen
    assert sound(finding)


def test_without_a_connection_only_that_is_said() -> None:
    assert [one.name for one in broker.judge(Probes("b", Attempt(Answer.UNREACHABLE, "refused")), NOW)] == ["tls"]
    certificate = certificates.make_authority(now=NOW).certificate
    ours = Attempt(Answer.CONNECTED, "", "TLSv1.3", "ActiveMQ/6.3.1", certificate)
    every = Probes(
        "b", ours, TURNED_AWAY, TURNED_AWAY, TURNED_AWAY, Attempt(Answer.REFUSED), {"/queue/a": "not authorized"}
    )
    found = list(broker.judge(every, NOW))
    assert [one.name for one in found] == [
        "tls",
        "certificate",
        "tls-floor",
        "client-certificate",
        "client-certificate",
        "plain-text",
        "authorization",
        "broker-version",
    ]
    assert {one.status for one in found} == {OK}


def test_what_a_role_must_not_read_differs() -> None:
    assert broker.forbidden(Role.FRONT, "east")[0] == "/queue/bridge.query.east"
    assert "/queue/bridge.reply.query.another-front" in broker.forbidden(Role.FRONT, "east")
    assert set(broker.forbidden(Role.BRIDGE, "east")) == {
        "/topic/bridge.presence.east",
        "/queue/DLQ.bridge.command.east",
    }


# --- clocks and presence ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead_s", "status"),
    [(0.0, OK), (-5.0, OK), (5.1, WARN), (-59.0, WARN), (60.0, WARN), (60.1, FAIL), (-3600.0, FAIL)],
)
def test_clocks(ahead_s: float, status: Status) -> None:
    finding = clocks.judge_clock("bridge-1", ahead_s)
    assert finding.status is status
    assert f"{abs(ahead_s):.1f} s" in finding.seen
    assert ("ahead of" in finding.seen) == (ahead_s > 0)
    assert sound(finding)


def announced(ahead_s: float = 0.0, **changes: object) -> clocks.Announced:
    said = Presence(instance="bridge-1", time_ms=0, operations={"a": Availability.UP}).model_copy(update=changes)
    return clocks.Announced(ahead_s={"bridge-1": ahead_s}, last={"bridge-1": said})


@pytest.mark.parametrize(
    ("heard", "statuses"),
    [
        (announced(), {"presence": OK, "clock": OK}),
        (announced(ahead_s=600.0), {"presence": OK, "clock": FAIL}),
        (announced(operations={"a": Availability.UP, "b": Availability.PAUSED}), {"presence": WARN, "clock": OK}),
        (announced(leaving=True), {"presence": WARN, "clock": OK}),
        (announced(version=99), {"presence": WARN, "clock": OK}),
        (clocks.Announced(), {"presence": FAIL}),
        (clocks.Announced(error="not authorized"), {"presence": FAIL}),
    ],
)
def test_presence(heard: clocks.Announced, statuses: dict[str, Status]) -> None:
    findings = list(clocks.judge_presence(heard, "main", 8))
    assert {finding.name: finding.status for finding in findings} == statuses
    assert all(map(sound, findings))


def keeping(*inboxes: tuple[str, bool]) -> clocks.Announced:
    heard = clocks.Announced()
    for number, (inbox, shared) in enumerate(inboxes, 1):
        name = f"bridge-{number}"
        heard.ahead_s[name] = 0.0
        heard.last[name] = Presence(instance=name, time_ms=0, operations={}, inbox=inbox, inbox_shared=shared)
    return heard


@pytest.mark.parametrize(
    ("heard", "bound", "status"),
    [
        (keeping(("a1", False)), "", OK),
        (keeping(("a1", False)), "a1", OK),
        (keeping(("a1", True), ("a1", True), ("", True)), "a1", OK),
        (keeping(("a1", False), ("b2", False)), "a1", FAIL),
        (keeping(("a1", False), ("a1", False)), "a1", FAIL),
        (keeping(("b2", False)), "a1", FAIL),
    ],
)
def test_inboxes(heard: clocks.Announced, bound: str, status: Status) -> None:
    [finding] = [one for one in clocks.judge_presence(heard, "main", 8, bound) if one.name == "inbox"]
    assert finding.status is status
    assert sound(finding)


def test_presence_that_is_not_believed() -> None:
    heard = clocks.Announced()
    heard.refused["unknown-key"] = 4
    [finding] = clocks.judge_presence(heard, "main", 8)
    assert (finding.status, "unknown-key" in finding.seen) == (FAIL, True)


# --- files ------------------------------------------------------------------------------------------------


def status_of(mode: int, uid: int = 0) -> os.stat_result:
    return os.stat_result((mode, 0, 0, 1, uid, 0, 0, 0, 0, 0))


FILE = stat.S_IFREG
KEY = Path("/etc/dmz-bridge/keys/front.keyring")


@pytest.mark.parametrize(
    ("mode", "owner", "service", "status"),
    [
        (FILE | 0o600, 0, 0, OK),
        (FILE | 0o640, 0, 0, FAIL),
        (FILE | 0o644, 0, 0, FAIL),
        (FILE | 0o600, 990, 990, OK),
        (FILE | 0o640, 0, 990, OK),  # root:dmz-front, as certs/README.md installs it
        (FILE | 0o640, 990, 990, FAIL),
        (FILE | 0o600, 991, 990, FAIL),
        (stat.S_IFIFO | 0o600, 0, 0, FAIL),
    ],
)
def test_a_secret_is_judged_as_its_service_would(mode: int, owner: int, service: int, status: Status) -> None:
    finding = files.judge_secret(KEY, status_of(mode, owner), service)
    assert finding.status is status
    assert sound(finding)


@pytest.mark.parametrize(("mode", "status"), [(0o644, OK), (0o600, OK), (0o664, FAIL), (0o646, FAIL)])
def test_a_public_file(mode: int, status: Status) -> None:
    assert files.judge_public(KEY, status_of(FILE | mode), 0).status is status


@pytest.mark.parametrize(
    ("mode", "owner", "status"),
    [(0o600, 990, OK), (0o644, 990, WARN), (0o640, 990, WARN), (0o666, 990, FAIL), (0o600, 0, FAIL)],
)
def test_a_database(mode: int, owner: int, status: Status) -> None:
    finding = files.judge_database(KEY, status_of(FILE | mode, owner), 990)
    assert finding.status is status
    assert sound(finding)


def test_files_that_are_not_there() -> None:
    assert files.judge_secret(KEY, "is not there", 0).status is FAIL
    assert files.judge_database(KEY, "is not there", 0).status is WARN  # before the first start


@pytest.mark.parametrize(("mode", "complaint"), [(0o755, False), (0o1777, False), (0o777, True), (0o703, True)])
def test_a_directory_everybody_writes_in(mode: int, complaint: bool) -> None:
    assert (files.judge_directory(KEY.parent, stat.S_IFDIR | mode) is not None) == complaint


@pytest.mark.parametrize(
    ("days", "status"), [(400, OK), (31, OK), (29, WARN), (8, WARN), (6, FAIL), (0, FAIL), (-1, FAIL)]
)
def test_expiry(days: int, status: Status) -> None:
    made = certificates.make_authority(now=NOW - datetime.timedelta(days=100), days=100 + days)
    finding = files.judge_expiry("front.pem", made.certificate, NOW, "renew it")
    assert finding.status is status
    assert sound(finding)


def test_a_certificate_of_another_role() -> None:
    assert files.judge_role(KEY, "front", Role.FRONT) is None
    finding = files.judge_role(KEY, "admin", Role.FRONT)
    assert finding is not None
    assert finding.status is FAIL


def keyring(active: int, waiting: int | None = None) -> PrivateFile:
    """Bridge's keys, so many days old."""
    keys = [
        new_key(algorithm, KeyState.ACTIVE, NOW - datetime.timedelta(days=active), os.urandom(32))
        for algorithm in Algorithm
    ]
    if waiting is not None:
        made = NOW - datetime.timedelta(days=waiting)
        keys.append(new_key(Algorithm.SIGNING, KeyState.NEXT, made, os.urandom(32)))
    return PrivateFile(role=Role.BRIDGE, keys=tuple(keys))


@pytest.mark.parametrize(
    ("keys", "statuses"),
    [
        (keyring(10), [OK]),
        (keyring(400), [OK]),
        (keyring(401), [WARN]),
        (keyring(-2), [WARN]),
        (keyring(10, waiting=5), [OK]),
        (keyring(10, waiting=31), [OK, WARN]),
    ],
)
def test_the_age_of_keys(keys: PrivateFile, statuses: list[Status]) -> None:
    assert [finding.status for finding in files.judge_keys(KEY, keys, NOW)] == statuses


GB, MB = 1 << 30, 1 << 20


@pytest.mark.parametrize(
    ("free", "total", "status"),
    [
        (50 * GB, 100 * GB, OK),
        (9 * GB, 100 * GB, WARN),  # less than a tenth
        (GB - MB, 4 * GB, WARN),  # less than a gigabyte
        (99 * MB, 100 * GB, FAIL),
        (0, 0, FAIL),
    ],
)
def test_disks(free: int, total: int, status: Status) -> None:
    finding = files.judge_disk(files.Disk(("/var/lib/dmz-bridge",), free, total), files.DiskLimits())
    assert finding.status is status
    assert sound(finding)


# --- health -----------------------------------------------------------------------------------------------


def test_readiness() -> None:
    assert health.judge_readiness("u", 200, {"broker": "ok"}).status is OK
    finding = health.judge_readiness("u", 503, {"broker": "ok", "bridge": "none attached"})
    assert (finding.status, finding.seen) == (FAIL, "bridge: none attached")
    assert health.judge_readiness("u", None, {}, "refused").status is FAIL


@pytest.mark.parametrize(
    ("http", "complaint"),
    [
        (HttpPart(), False),
        (HttpPart(host="192.0.2.1"), True),
        (HttpPart(host="0.0.0.0"), True),
        (HttpPart(host="192.0.2.1", certificate=Path("a"), key=Path("b")), False),
    ],
)
def test_keys_in_clear(http: HttpPart, complaint: bool) -> None:
    assert (health.judge_http(http) is not None) == complaint


def queue(name: str, *, consumers: int = 1, oldest_s: float | None = None, dead: int = 0) -> QueueHealth:
    return QueueHealth(name, 0, consumers, 0, 0, 0, 0, oldest_s, dead)


@pytest.mark.parametrize(
    ("queues", "found"),
    [
        ([queue("bridge.query.main"), queue("bridge.command.main")], [("queue", OK)]),
        ([queue("bridge.query.main", consumers=0)], [("queue", FAIL)]),
        ([queue("bridge.query.west", consumers=0)], [("queue", OK)]),  # another region's
        ([queue("bridge.reply.command.front-9", consumers=0)], [("queue", OK)]),
        ([queue("bridge.reply.command.front-1", oldest_s=61)], [("queue", WARN)]),
        ([queue("bridge.command.main", dead=2)], [("dead-letters", WARN)]),
    ],
)
def test_queues(queues: list[QueueHealth], found: list[tuple[str, Status]]) -> None:
    findings = list(health.judge_queues(queues, "main"))
    assert [(one.name, one.status) for one in findings] == found
    assert all(map(sound, findings))
