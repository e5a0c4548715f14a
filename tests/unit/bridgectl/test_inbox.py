"""`bridgectl inbox`: which inbox the region's commands are for, and an operator's word that it is another."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bridgectl.cli import app
from dmz_front.ledger.rows import METADATA
from protocol.errors import BridgeError
from protocol.runtime import region_inbox
from protocol.runtime.store_engine import engine

A, B = "aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = tmp_path / "bridgectl.toml"
    config.write_text('[front_store]\nfile = "front.sqlite3"\n')
    monkeypatch.setenv("BRIDGECTL_CONFIG", str(config))
    store = engine(f"sqlite:///{tmp_path / 'front.sqlite3'}")
    METADATA.create_all(store)
    store.dispose()
    return tmp_path / "front.sqlite3"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["inbox", *words])


def complaint(*words: str) -> str:
    result = run(*words)
    assert isinstance(result.exception, BridgeError), result.output
    return str(result.exception)


def test_the_first_heard_of_stays_until_an_operator_says_otherwise(database: Path) -> None:
    assert "no bridge was heard of yet" in complaint("show")
    store = engine(f"sqlite:///{database}")
    with store.begin() as connection:
        assert region_inbox.first(connection, A, "front-1", 1_000).inbox == A
        assert region_inbox.first(connection, B, "front-2", 2_000).inbox == A
    shown = json.loads(run("show", "--json").output)
    assert (shown["inbox"], shown["bound_by"]) == (A, "front-1")

    assert run("bind", B.upper(), "--note", "its disk is broken").exit_code == 0
    with store.connect() as connection:
        found = region_inbox.read(connection)
    store.dispose()
    assert found is not None
    assert (found.inbox, found.note, found.since > found.bound_at) == (B, "its disk is broken", True)
    assert json.loads(run("show", "--json").output)["inbox"] == B


@pytest.mark.parametrize("words", [["bind", "mine", "--note", "x"], ["bind", A, "--note", " "]])
def test_what_is_refused_changes_nothing(database: Path, words: list[str]) -> None:
    assert complaint(*words)
    assert "no bridge was heard of yet" in complaint("show")


def test_a_front_of_an_older_release(database: Path) -> None:
    database.unlink()
    assert "the front has no database yet, or one of an older release" in complaint("show")
