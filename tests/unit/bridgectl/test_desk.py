"""`bridgectl desk staff`: what is shown once, and clear lines for what went wrong."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bridgectl.cli import app
from protocol.desk import staff
from protocol.errors import BridgeError
from protocol.runtime import applications
from protocol.runtime.clock import wall_clock
from protocol.runtime.store_engine import engine


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = tmp_path / "bridgectl.toml"
    config.write_text('[front_store]\nfile = "front.sqlite3"\n')
    monkeypatch.setenv("BRIDGECTL_CONFIG", str(config))
    store = engine(f"sqlite:///{tmp_path / 'front.sqlite3'}")
    applications.METADATA.create_all(store)
    store.dispose()
    return tmp_path / "front.sqlite3"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["desk", "staff", *words])


def complaint(*words: str) -> str:
    result = run(*words)
    assert result.exit_code == 1
    assert isinstance(result.exception, BridgeError), result.exception
    return str(result.exception)


def member(database: Path, name: str) -> staff.Member:
    store = engine(f"sqlite:///{database}")
    with store.connect() as connection:
        found = staff.member(connection, name)
    store.dispose()
    assert found is not None
    return found


def test_password_and_second_factor_are_shown_once_and_renewed_together(database: Path) -> None:
    told = json.loads(run("add", "wang", "--role", "issue", "--json").stdout)
    assert told["uri"] == f"otpauth://totp/dmz-bridge:wang?secret={told['secret']}&issuer=dmz-bridge"
    assert told["password"].encode() not in database.read_bytes()
    assert told["secret"].encode() not in database.read_bytes()
    before = member(database, "wang")
    assert before.roles == frozenset({"issue"})
    again = run("reset", "wang")
    assert told["password"] not in again.stdout
    assert "otpauth://" in again.stdout
    after = member(database, "wang")
    assert (after.roles, after.verifier == before.verifier) == (before.roles, False)
    assert staff.step_of(after, told["password"], "000000", wall_clock()) is None


def test_who_is_disabled_is_listed_so(database: Path) -> None:
    run("add", "wang", "--role", "issue", "--role", "lookup")
    assert run("disable", "wang").exit_code == 0
    [row] = json.loads(run("list", "--json").stdout)
    assert (row["name"], row["roles"], row["state"]) == ("wang", ["issue", "lookup"], "disabled")
    run("reset", "wang")
    assert "active" in run("list").stdout


def test_what_cannot_be_done_says_why(database: Path) -> None:
    assert "a role is one of issue, lookup, revoke" in complaint("add", "wang")
    assert "a role is one of" in complaint("add", "wang", "--role", "all")
    assert "a name is 2 to 32" in complaint("add", "Wang", "--role", "issue")
    run("add", "wang", "--role", "issue")
    assert "there is wang already" in complaint("add", "wang", "--role", "issue")
    assert "there is no li" in complaint("disable", "li")
    assert run("add").exit_code == 2


def test_the_bridges_desk_has_staff_and_roles_of_its_own(database: Path, tmp_path: Path) -> None:
    config = tmp_path / "intranet_bridge.toml"
    config.write_text('[store]\nfile = "bridge.sqlite3"\n')
    store = engine(f"sqlite:///{tmp_path / 'bridge.sqlite3'}")
    applications.METADATA.create_all(store)  # the same table
    store.dispose()
    run("add", "wang", "--role", "issue")
    assert "a role is one of edit, review" in complaint("add", "li", "--role", "issue", "--side", "bridge")
    assert run("add", "li", "--role", "edit", "--role", "review", "--side", "bridge").exit_code == 0
    [row] = json.loads(run("list", "--json", "--side", "bridge").stdout)
    assert (row["name"], row["roles"]) == ("li", ["edit", "review"])
    assert "there is no wang" in complaint("reset", "wang", "--side", "bridge")
    assert [one["name"] for one in json.loads(run("list", "--json").stdout)] == ["wang"]
