"""`bridgectl requests`: what is shown, what is refused, and what a decision writes."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select
from typer.testing import CliRunner, Result

from bridgectl import keys, requests
from bridgectl.cli import app
from intranet_bridge.inbox import rows
from intranet_bridge.inbox.rows import INBOX
from protocol.envelope import Kind, Opener, Sealer
from protocol.errors import BridgeError
from protocol.keyring import Keyring
from protocol.lifecycle import State
from protocol.messages import Attributes, Reply, Role
from protocol.runtime.keyfiles import load_keyring
from protocol.runtime.store import engine

NOW = 1_770_000_000_000
SECRET = "人民路1号"
RESULT = {"work_order": "WO2026000001", "accepted_at": "2026-03-01T08:00:00+08:00"}


@pytest.fixture
def rings(tmp_path: Path) -> dict[Role, Keyring]:
    keys.init(tmp_path / "keys", now=datetime.now(UTC))
    trusted = tmp_path / "keys" / keys.TRUSTED
    return {
        role: load_keyring(keys.keyring_path(tmp_path / "keys", role), trusted) for role in (Role.FRONT, Role.BRIDGE)
    }


@pytest.fixture
def database(tmp_path: Path, rings: dict[Role, Keyring], monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    bridge = keys.keyring_path(tmp_path / "keys", Role.BRIDGE)
    (tmp_path / "intranet_bridge.toml").write_text(
        f'[link]\nbrokers = ["localhost:1"]\nca = "x"\ncertificate = "x"\nkey = "x"\n'
        f'[keys]\nkeyring = "{bridge}"\ntrusted = "{tmp_path / "keys" / keys.TRUSTED}"\n'
        f'[store]\nfile = "bridge.sqlite3"\n'
    )
    monkeypatch.setenv("BRIDGECTL_CONFIG", str(tmp_path / "bridgectl.toml"))
    store = engine(f"sqlite:///{tmp_path / 'bridge.sqlite3'}")
    rows.METADATA.create_all(store)
    sealer = Sealer(rings[Role.FRONT], to=Role.BRIDGE)
    with store.begin() as connection:
        for number, state in enumerate((State.HELD, State.UNKNOWN, State.SUCCEEDED, State.HELD), 1):
            id = f"request-{number}"
            attributes = Attributes(id, "front-1/wechat", "work-order", NOW)
            body = json.dumps({"address": SECRET}, ensure_ascii=False).encode()
            row = {
                "id": id, "sequence": number, "owner": "bridge-1", "operation": "work-order", "attempts": 1,
                "source": "front-1/wechat", "subject": "", "state": state, "deadline": 0, "received_at": NOW + number,
                "envelope": sealer.seal(Kind.REQUEST, attributes, body, now_ms=NOW), "replied_at": NOW,
                "reply_to": "/queue/bridge.reply.command.front-1", "updated_at": NOW, "crashes": 0,
            }  # fmt: skip
            connection.execute(INBOX.insert().values(row))
    yield store
    store.dispose()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["requests", *words])


def row(database: Engine, id: str) -> Any:
    with database.connect() as connection:
        return connection.execute(select(INBOX).where(INBOX.c.id == id)).one()


def reply(database: Engine, rings: dict[Role, Keyring], id: str) -> Reply:
    opened = Opener(rings[Role.FRONT]).authentic(row(database, id).reply)
    return Reply.from_payload(opened.attributes, opened.payload)


def test_the_columns_are_the_inboxes() -> None:
    assert {column.name for column in requests.INBOX.columns} <= {column.name for column in INBOX.columns}


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ([], ["request-1", "request-4"]),
        (["--limit", "1"], ["request-1"]),
        (["--state", "unknown", "--state", "succeeded"], ["request-2", "request-3"]),
        (["--state", "all"], ["request-1", "request-2", "request-3", "request-4"]),
    ],
)
def test_list(database: Engine, words: list[str], ids: list[str]) -> None:
    assert [one["id"] for one in json.loads(run("list", "--json", *words).output)] == ids
    assert all(id in run("list", *words).output for id in ids)


def test_a_customers_data_is_shown_to_who_asks_for_it(database: Engine) -> None:
    assert SECRET not in run("show", "request-1").output
    assert SECRET not in run("show", "request-1", "--json").output
    assert SECRET in run("show", "request-1", "--show").output


def test_applied(database: Engine, rings: dict[Role, Keyring]) -> None:
    done = run("resolve", "request-1", "--applied", "--result", json.dumps(RESULT), "--note", "seen there")
    assert done.exit_code == 0, done.exception
    found = row(database, "request-1")
    assert (found.state, found.replied_at, found.decided_at) == (State.SUCCEEDED, None, None)
    said = reply(database, rings, "request-1")
    assert (said.state, json.loads(said.result), said.attributes.id) == (State.SUCCEEDED, RESULT, "request-1")
    [decided] = json.loads(run("show", "request-1", "--json").output)["decisions"]
    assert (decided["choice"], decided["note"]) == ("applied", "seen there")
    assert decided["decided_by"]
    assert json.dumps(RESULT["work_order"]).encode() not in b"".join(
        value for value in found if isinstance(value, bytes)
    )


def test_applied_and_the_answer_is_not_known(database: Engine, rings: dict[Role, Keyring]) -> None:
    assert run("resolve", "request-1", "--applied", "--note", "seen there").exit_code == 0
    assert reply(database, rings, "request-1").result == b""


def test_not_applied(database: Engine, rings: dict[Role, Keyring]) -> None:
    assert run("resolve", "request-1", "--not-applied", "--note", "not there").exit_code == 0
    said = reply(database, rings, "request-1")
    assert (said.state, said.code) == (State.FAILED, "not-applied")
    assert said.detail


def test_call_again(database: Engine) -> None:
    assert run("resolve", "request-1", "--call-again", "--note", "not there").exit_code == 0
    found = row(database, "request-1")
    assert (found.state, found.decided_at is not None, found.reply) == (State.RECEIVED, True, None)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["request-1"], 2, "exactly one"),
        (["request-1", "--applied", "--not-applied"], 2, "exactly one"),
        (["request-1", "--not-applied", "--result", "{}"], 2, "--applied alone"),
        (["request-1", "--applied", "--result", ""], 2, "is empty"),
        (["request-1", "--applied", "--result", "{"], 1, "does not fit the answer of work-order"),
        (["request-1", "--applied", "--result", "{}"], 1, "work_order"),
        (["request-9", "--applied"], 1, "has no request 'request-9'"),
        (["request-2", "--applied"], 1, "is unknown, not held"),
        (["request-3", "--call-again"], 1, "is succeeded, not held"),
    ],
)
def test_what_is_refused_changes_nothing(database: Engine, words: list[str], code: int, said: str) -> None:
    before = [tuple(row(database, f"request-{number}")) for number in range(1, 5)]
    result = run("resolve", *words, "--note", "why")
    assert result.exit_code == code
    assert said in (str(result.exception) if isinstance(result.exception, BridgeError) else result.output)
    assert [tuple(row(database, f"request-{number}")) for number in range(1, 5)] == before


def test_a_note_is_needed(database: Engine) -> None:
    assert run("resolve", "request-1", "--applied").exit_code == 2
    assert run("resolve", "request-1", "--applied", "--note", " ").exit_code == 2
    assert row(database, "request-1").state == State.HELD


def test_without_a_database(tmp_path: Path, database: Engine) -> None:
    database.dispose()
    (tmp_path / "bridge.sqlite3").unlink()
    result = run("list")
    assert isinstance(result.exception, BridgeError)
    assert "has no database yet" in str(result.exception)
    assert not (tmp_path / "bridge.sqlite3").exists()
