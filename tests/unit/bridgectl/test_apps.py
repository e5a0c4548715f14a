"""`bridgectl apps`: a key shown once, scopes that exist, and one clear line for what went wrong."""

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bridgectl.cli import app
from protocol.errors import BridgeError, ConfigurationError
from protocol.runtime import applications
from protocol.runtime.applications import key_hash
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
    return CliRunner().invoke(app, ["apps", *words])


def listed() -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(run("list", "--json").output)
    return found


def complaint(*words: str) -> str:
    result = run(*words)
    assert result.exit_code == 1
    assert isinstance(result.exception, BridgeError), result.exception
    return str(result.exception)


def test_the_key_is_on_standard_output_alone_and_the_front_takes_it(database: Path) -> None:
    result = run(
        "add", "wechat", "--scope", "bills", "--scope", "work-orders", "--network", "10.0.0.0/8", "--rate", "5"
    )
    assert result.exit_code == 0, result.exception
    key = result.stdout.strip()
    assert key.startswith("dmz_wechat_")
    assert "\n" not in key
    assert "not shown again" in result.stderr
    store = engine(f"sqlite:///{database}")
    with store.connect() as connection:
        [found] = applications.active(connection, 1).by_key.items()
    store.dispose()
    assert found[0] == key_hash(key.encode())
    assert (found[1].name, found[1].scopes, found[1].rate) == ("wechat", frozenset({"bills", "work-orders"}), 5.0)
    assert key.encode() not in database.read_bytes()


def test_the_list(database: Path) -> None:
    run("add", "wechat", "--scope", "*")
    run("add", "counter", "--scope", "bills", "--network", "10.0.0.0/8", "--rate", "2.5")
    run("revoke", "wechat")
    counter, wechat = listed()
    assert (counter["name"], counter["scopes"], counter["networks"]) == ("counter", ["bills"], ["10.0.0.0/8"])
    assert (counter["rate"], counter["revoked_at"]) == (2.5, None)
    assert wechat["revoked_at"]
    lines = run("list").output.splitlines()
    assert lines[0].split() == [
        "NAME",
        "SCOPES",
        "NETWORKS",
        "RATE",
        "LIMITS",
        "SANDBOX",
        "CREATED",
        "OLD-UNTIL",
        "REVOKED",
    ]
    assert lines[1].split()[:4] == ["counter", "bills", "10.0.0.0/8", "2.5/s"]
    assert lines[1].split()[-1] == "-"
    assert lines[2].split()[:4] == ["wechat", "*", "any", "-"]


def test_a_sandbox_key_says_that_it_is_one(database: Path) -> None:
    result = run("add", "trial", "--scope", "bills", "--sandbox")
    assert result.stdout.startswith("dmz_sandbox_trial_")
    assert "sandbox key" in result.stderr
    run("add", "wechat", "--scope", "bills")
    assert {one["name"]: one["sandbox"] for one in listed()} == {"trial": True, "wechat": False}
    lines = run("list").output.splitlines()
    assert [line.split()[:6] for line in lines[1:]] == [
        ["trial", "bills", "any", "-", "-", "yes"],
        ["wechat", "bills", "any", "-", "-", "-"],
    ]


def test_an_empty_list(database: Path) -> None:
    assert listed() == []


def test_a_scope_of_a_field_alone_is_known_too(database: Path) -> None:
    run("add", "maps", "--scope", "public", "--scope", "outages")


def test_what_only_the_bridge_asks_is_granted_to_nobody(database: Path) -> None:
    assert "there is no scope settlement" in complaint("add", "shop", "--scope", "settlement")


def test_revoke(database: Path) -> None:
    run("add", "wechat", "--scope", "bills")
    assert run("revoke", "wechat").output == "wechat is revoked\n"
    assert complaint("revoke", "wechat") == "there is no active application wechat"
    assert complaint("revoke", "nobody") == "there is no active application nobody"


def test_a_new_key_needs_the_old_one_revoked(database: Path) -> None:
    first = run("add", "wechat", "--scope", "bills").stdout
    assert "revoke it first" in complaint("add", "wechat", "--scope", "bills")
    run("revoke", "wechat")
    assert "host bits" in complaint("add", "wechat", "--scope", "bills", "--network", "10.0.0.1/8")
    assert len(listed()) == 1  # what failed took nothing away
    assert run("add", "wechat", "--scope", "bills").stdout != first


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("wechat", "--scope", "bill"), "there is no scope bill; there are: *, "),
        (("WeChat", "--scope", "bills"), "is not a name"),
        (("wechat", "--scope", "bills", "--rate", "-1"), "a rate is"),
        (("wechat", "--scope", "bills", "--rate", "nan"), "a rate is"),
        (("wechat", "--scope", "bills", "--network", "here"), "does not appear to be"),
    ],
)
def test_what_is_refused(database: Path, words: tuple[str, ...], text: str) -> None:
    assert text in complaint("add", *words)
    assert listed() == []


def test_a_scope_must_be_given(database: Path) -> None:
    assert run("add", "wechat").exit_code == 2


def test_a_database_that_cannot_be_used_is_one_line(database: Path) -> None:
    database.write_text("no database at all" * 100)
    assert complaint("list") == "the front's database cannot be used: file is not a database"
    database.unlink()
    database.mkdir()
    assert complaint("list") == f"the front's database cannot be used: {database} is not a file"


def test_a_front_that_runs_does_not_keep_the_operator_out(database: Path) -> None:
    run("list")
    other = sqlite3.connect(database)
    other.execute("BEGIN")
    other.execute("SELECT * FROM applications").fetchall()
    assert run("add", "wechat", "--scope", "bills").exit_code == 0
    other.close()


def test_the_schema_is_the_fronts_to_make(database: Path) -> None:
    """A table made here, by a newer bridgectl than the front, would stand in the way of the front's migrations."""
    database.unlink()
    assert "run `dmz-front --config FILE --migrate`" in complaint("add", "wechat", "--scope", "bills")
    assert not database.exists()  # it would be the operator's file, not the service's
    sqlite3.connect(database).executescript("CREATE TABLE something (id INTEGER)")
    assert "the front has no database yet" in complaint("list")


def test_no_front_store_in_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "bridgectl.toml"
    config.write_text('region = "main"\n')
    monkeypatch.setenv("BRIDGECTL_CONFIG", str(config))
    assert "has no [front_store] table" in complaint("list")
    config.unlink()
    assert isinstance(run("list").exception, ConfigurationError)
    assert "BRIDGECTL_CONFIG" in complaint("list")


def test_an_application_has_two_keys_for_a_while(database: Path) -> None:
    old = run("add", "wechat", "--scope", "*").stdout.strip()
    done = run("rotate", "wechat", "--overlap", "36h")
    assert done.exit_code == 0, done.exception
    new = done.stdout.strip()
    assert new.startswith("dmz_wechat_")
    assert new != old
    assert "The old is valid until" in done.stderr
    [listed_] = listed()
    assert str(listed_["old_key_until"]).startswith("20")
    assert "OLD-UNTIL" in run("list").output
    assert "has two valid keys" in complaint("rotate", "wechat")
    assert run("rotate", "wechat", "--end").exit_code == 0
    assert [one["old_key_until"] for one in listed()] == [None]
    assert "has no old key" in complaint("rotate", "wechat", "--end")
    assert "there is no active application other" in complaint("rotate", "other")
    assert complaint("rotate", "wechat", "--overlap", "soon")


def test_listing_neither_waits_for_a_writer_nor_writes(database: Path) -> None:
    assert run("add", "wechat", "--scope", "bills").exit_code == 0
    with sqlite3.connect(database, isolation_level=None) as daemon:
        daemon.execute("BEGIN IMMEDIATE")
        assert [one["name"] for one in listed()] == ["wechat"]
        daemon.execute("ROLLBACK")
    daemon.close()
    database.chmod(0o400)
    assert [one["name"] for one in listed()] == ["wechat"]


def test_limits_are_set_changed_and_listed(database: Path) -> None:
    words = ("--operation-rate", "bill-query=2.5", "--quota", "bill-query=100", "--quota", "*=1000", "--accounts", "50")
    assert run("add", "wechat", "--scope", "bills", *words).exit_code == 0
    limits = {"rates": {"bill-query": 2.5}, "quotas": {"bill-query": 100, "*": 1000}, "accounts": 50}
    assert listed()[0]["limits"] == limits
    result = run("limit", "wechat", "--rate", "7", "--quota", "bill-query=0")
    assert result.output.strip() == "wechat: 7/s, bill-query 2.5/s, * 1000/d, 50 accounts/h"
    assert listed()[0]["limits"] == limits | {"quotas": {"*": 1000}}
    assert (
        run("limit", "wechat", "--quota", "*=0", "--accounts", "0", "--operation-rate", "bill-query=0").exit_code == 0
    )
    assert (listed()[0]["limits"], listed()[0]["rate"]) == ({}, 7)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say what to change"),
        (("--quota", "no-such=1"), "--quota: there is no operation no-such"),
        (("--quota", "bill-query=1.5"), "--quota: 1.5 is no number"),
        (("--operation-rate", "*=1"), "--operation-rate: there is no operation *"),
        (("--operation-rate", "bill-query"), "is no number"),
        (("--operation-rate", "bill-query=nan"), "is no number"),
        (("--accounts", "-1"), "0 or more"),
        (("--rate", "1"), "there is no active application wechat"),
    ],
)
def test_limits_that_cannot_be_set(database: Path, words: tuple[str, ...], said: str) -> None:
    assert said in complaint("limit", "wechat", *words)
