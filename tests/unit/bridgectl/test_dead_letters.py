"""Dead letters: what is told of each, and which are meant."""

import base64
import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bridgectl.cli import app
from bridgectl.dead_letters import Choice, Letter, chosen, letter
from protocol.envelope import Kind, Sealer
from protocol.errors import BridgeError, ConfigurationError
from protocol.frames import pack
from protocol.keyring import Algorithm, Keyring
from protocol.link.dead_letter import dead_letter
from protocol.link.port import Delivery
from protocol.messages import Attributes, Role
from tests.unit.clock import NOW

COMMANDS, SECRET = "bridge.command.main", b'{"address":"somewhere"}'


@pytest.fixture
def frame(front_keyring: Keyring) -> bytes:
    sealer = Sealer(front_keyring, to=Role.BRIDGE)
    return pack([
        sealer.seal(Kind.REQUEST, Attributes(id, "front-1/wechat", "work-order", NOW), SECRET, now_ms=NOW)
        for id in ("request-1", "request-2")
    ])  # fmt: skip


def of(queue: str, body: bytes, reason: str, **more: str) -> Letter:
    """As the product sets it aside, and the broker shows it."""
    sent = dead_letter(f"/queue/{queue}", body, reason)
    headers = {**sent.headers, "message-id": "ID:1", "timestamp": str(NOW), **more}
    return letter(queue, Delivery(sent.destination, sent.body, headers, 1, "1"))


def test_what_travels_in_clear_is_told_and_what_is_sealed_stays_so(frame: bytes) -> None:
    one = of(COMMANDS, frame, "kills-worker", inbox="i", inbox_since="0", other="x")
    assert (one.requests, one.operations, one.sources) == (
        ("request-1", "request-2"), ("work-order",), ("front-1/wechat",),
    )  # fmt: skip
    assert (one.reason, one.at, one.size, one.hopeless) == ("kills-worker", NOW, len(frame), "")
    assert one.headers == {"inbox": "i", "inbox_since": "0"}  # or a bridge with another inbox would do it
    assert "somewhere" not in str(one.as_dict())


@pytest.mark.parametrize(
    ("queue", "reason", "body", "why"),
    [
        (COMMANDS, "malformed", b"junk", "only a digest"),
        (COMMANDS, "kills-worker", b"junk", "cannot be read: malformed"),
        (COMMANDS, "kills-worker", b"x" * 600_000, "only its beginning"),
        ("bridge.query.main", "wrong-queue", None, "not asked twice"),
        ("bridge.reply.query.front-1", "wrong-queue", None, "not asked twice"),
    ],
)
def test_what_cannot_be_sent_again_says_why(
    frame: bytes, queue: str, reason: str, body: bytes | None, why: str
) -> None:
    assert why in of(queue, frame if body is None else body, reason).hopeless


def test_the_brokers_own_letters_have_its_reason(frame: bytes) -> None:
    headers = {"message-id": "ID:2", "dlqDeliveryFailureCause": "java.lang.Throwable: redelivery"}
    one = letter(COMMANDS, Delivery("/queue/DLQ." + COMMANDS, frame, headers, 1, "1"))
    assert (one.reason, one.at, one.hopeless) == ("java.lang.Throwable: redelivery", 0, "")


LETTERS = [
    Letter("ID:1", COMMANDS, "kills-worker", NOW, 9, ("request-1",), ("work-order",)),
    Letter("ID:2", COMMANDS, "unwritable", NOW - 60_000, 9, ("request-2",), ("payment-writeoff",)),
    Letter("ID:3", COMMANDS, "malformed", NOW, 9),
]


@pytest.mark.parametrize(
    ("choice", "ids"),
    [
        (Choice(), ["ID:1", "ID:2", "ID:3"]),
        (Choice(("ID:3", "request-2")), ["ID:2", "ID:3"]),
        (Choice(reason="malformed"), ["ID:3"]),
        (Choice(operation="work-order"), ["ID:1"]),
        (Choice(before_ms=NOW - 1000), ["ID:2"]),
        (Choice(("ID:1",), "malformed"), []),
    ],
)
def test_which_are_meant(choice: Choice, ids: list[str]) -> None:
    assert [one.id for one in chosen(LETTERS, choice)] == ids


def test_a_letter_that_is_not_there_is_named() -> None:
    with pytest.raises(BridgeError, match="no dead letter ID:9"):
        chosen(LETTERS, Choice(("ID:1", "ID:9")))


# --- the file of an export ------------------------------------------------------------------------------------

REPLY, REPLIES = b'{"work_order":"1"}', "bridge.reply.command.front-1"


@pytest.fixture
def host(
    key_directory: Path, front_keyring: Keyring, bridge_keyring: Keyring, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """The bridge's host, and three letters: a command, a reply, junk."""
    monkeypatch.setenv("BRIDGECTL_CONFIG", str(tmp_path / "bridgectl.toml"))
    keys = f'[keys]\nkeyring = "{key_directory}/bridge.keyring"\ntrusted = "{key_directory}/trusted.json"\n'
    (tmp_path / "intranet_bridge.toml").write_text(f'[store]\nfile = "{tmp_path}/none.sqlite3"\n{keys}')
    to_bridge, to_front = Sealer(front_keyring, to=Role.BRIDGE), Sealer(bridge_keyring, to=Role.FRONT)
    about = [Attributes(f"request-{n}", "front-1/wechat", "work-order", NOW) for n in (1, 2)]
    told = [
        (COMMANDS, "kills-worker", pack([to_bridge.seal(Kind.REQUEST, about[0], SECRET, now_ms=NOW)])),
        (REPLIES, "unwritable", pack([to_front.seal(Kind.REPLY, about[1], REPLY, now_ms=NOW)])),
        (COMMANDS, "malformed", b"junk"),
    ]
    shown = [
        replace(of(queue, body, reason), body=body, id=f"ID:{number}")
        for number, (queue, reason, body) in enumerate(told)
    ]  # fmt: skip
    monkeypatch.setattr("bridgectl.commands.dlq._seen", lambda queue, *_: [
        one for one in shown if queue in (None, one.queue)
    ])  # fmt: skip
    return tmp_path


def export(*words: str) -> Result:
    return CliRunner().invoke(app, ["dlq", "export", *words])


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_an_export_is_the_owners_alone_and_stays_sealed(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acts: list[dict[str, Any]] = []
    monkeypatch.setattr("bridgectl.audit.record", lambda act, **said: acts.append({"act": act, **said}))
    file = host / "letters.jsonl"
    done = export("--all", "-o", str(file))
    assert (done.exit_code, "3 dead letters; what is sealed in them stays sealed" in done.output) == (0, True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [(one["reason"], one["requests"], "opened" in one) for one in lines(file)] == [
        ("kills-worker", ["request-1"], False), ("unwritable", ["request-2"], False), ("malformed", [], False),
    ]  # fmt: skip
    assert SECRET not in base64.b64decode(lines(file)[0]["body"])
    assert [one["revealed"] for one in acts] == [False]
    again = export("--all", "-o", str(file), "--queue", COMMANDS, "--reason", "malformed")
    assert isinstance(again.exception, ConfigurationError)  # it is there
    forced = export("--all", "-o", str(file), "--force", "--queue", COMMANDS, "--reason", "malformed", "--json")
    assert (json.loads(forced.output)["letters"], len(lines(file)), len(acts)) == (1, 1, 2)
    for wrong in ((), ("--all", "ID:0"), ("--all", "--reveal"), ("--all", "--reveal", "--note", " ")):
        assert export(*wrong, "-o", str(host / "other")).exit_code == 2


@pytest.mark.parametrize(
    ("words", "letters"),
    [
        ("--older-than 1h", 3), ("--older-than 1h30m", 3), ("--older-than 3h", 0),
        ("--older 60", 3), ("--older 180", 0), ("--older 0", 3),
    ],
)  # fmt: skip
def test_letters_are_chosen_by_age_in_the_old_spelling_too(
    words: str, letters: int, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridgectl.audit.record", lambda act, **said: None)
    for place in ("bridgectl.options.wall_clock", "bridgectl.commands.dlq.wall_clock"):
        monkeypatch.setattr(place, lambda: NOW + 2 * 3_600_000)
    done = export("--all", *words.split(), "-o", str(host / "letters.jsonl"), "--json")
    assert json.loads(done.output)["letters"] == letters


@pytest.mark.parametrize("words", ["--older-than 1h --older 60", "--older-than soon", "--older-than 60", "--older -1"])
def test_an_age_that_is_none_is_refused(words: str, host: Path) -> None:
    refused = export("--all", *words.split(), "-o", str(host / "letters.jsonl"))
    assert (refused.exit_code, "--older" in refused.output) == (2, True)


def test_what_is_revealed_is_audited_and_a_key_that_is_missing_is_named(
    host: Path, key_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts: list[dict[str, Any]] = []
    monkeypatch.setattr("bridgectl.audit.record", lambda act, **said: acts.append({"act": act, **said}))
    file = host / "letters.jsonl"
    done = export("--all", "-o", str(file), "--reveal", "--note", "asked by the vendor")
    assert done.exit_code == 0, done.exception
    [front] = [key["id"] for key in json.loads((key_directory / "trusted.json").read_text())["keys"]
               if (key["role"], key["algorithm"]) == ("front", Algorithm.SEALING.value)]  # fmt: skip
    because = f"it is sealed to key {front} of the front, which is not on this host"
    assert [one["opened"] for one in lines(file)] == [
        [{"request": "request-1", "payload": SECRET.decode(), "because": ""}],
        [{"request": "request-2", "payload": "", "because": because}], [],
    ]  # fmt: skip
    assert "1 of 2 requests and replies in them opened" in done.output
    assert f"1 not opened: {because}" in done.output
    assert SECRET.decode() not in done.output
    [act] = acts
    assert (act["act"], act["revealed"], act["note"]) == ("dlq-export", True, "asked by the vendor")
    assert act["requests"] == ["request-1", "request-2", "ID:2"]
    (host / "intranet_bridge.toml").unlink()
    nothing = export("--all", "-o", str(host / "other"), "--reveal", "--note", "n")
    assert "no keys on this host" in str(nothing.exception)
    assert (len(acts), (host / "other").exists()) == (1, False)


@pytest.mark.parametrize("queue", ["bridge.command.main,bridge.query.main", "bridge.>", "a?consumer.priority=9", ""])
@pytest.mark.parametrize("command", [("list",), ("redrive", "--all", "--note", "n"), ("purge", "--all", "--note", "n")])
def test_what_would_be_several_queues_is_the_name_of_none(command: tuple[str, ...], queue: str) -> None:
    done = CliRunner().invoke(app, ["dlq", *command, "--queue", queue])
    assert (done.exit_code, "the name of no queue" in done.output) == (2, True), done.output
