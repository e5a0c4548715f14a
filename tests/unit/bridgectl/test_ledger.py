"""`bridgectl ledger`: balances and journals as an accountant reads them, and what is said of broken books."""

import json
import sqlite3
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner, Result

from bridgectl.cli import app
from bridgectl.language import speak
from intranet_bridge.settlement.events import Event, Paid, Part, WrittenOff, posting
from intranet_bridge.settlement.ledger import book, close, reverse, snapshot
from intranet_bridge.store import MIGRATIONS
from protocol.errors import NotAsked
from protocol.runtime.store_engine import engine

NOW = 1_795_492_800_000
DAY = date(2026, 11, 24)


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A bridge's host; the bridge does not run."""
    monkeypatch.setenv("BRIDGECTL_CONFIG", str(tmp_path / "bridgectl.toml"))
    file = tmp_path / "bridge.sqlite3"
    (tmp_path / "intranet_bridge.toml").write_text(f'[store]\nfile = "{file}"\n')
    database = engine(f"sqlite:///{file}")
    MIGRATIONS.prepare(database)
    yield database
    database.dispose()


def fill(books: Engine) -> None:
    events: list[Event] = [Paid("P1", "wechat", 18_667, (Part("bank", 1333),)), WrittenOff("P1", 1, "power", 12_345)]
    with books.begin() as connection:
        for event in events:
            book(connection, posting(event, DAY), NOW)
        taken = snapshot(connection, DAY)
        assert taken is not None
        close(connection, taken, NOW)
        reverse(connection, "written-off:P1-1", date(2026, 11, 25), NOW)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["ledger", *words])


def test_balances(books: Engine) -> None:
    fill(books)
    assert run("balance", "--day", "2026-11-24").output.splitlines() == [
        "ACCOUNT         DEBIT   CREDIT",
        "channel:wechat  186.67",
        "company:power           123.45",
        "order:P1                76.55",
        "promo:bank      13.33",
        "together        200.00  200.00",
    ]
    assert json.loads(run("balance", "--json", "order:").output) == {
        "accounts": [{"account": "order:P1", "fen": -20_000}]
    }
    assert json.loads(run("balance", "--json", "order:P").output) == {"accounts": []}


def test_journals(books: Engine) -> None:
    fill(books)
    assert run("journal", "--account", "company:power").output.splitlines() == [
        "NUMBER  DAY         KIND         ABOUT  ACCOUNT        DEBIT   CREDIT",
        "2       2026-11-24  written-off  P1     order:P1       123.45",
        "                                        company:power          123.45",
        "3       2026-11-25  reversal 2   P1     order:P1               123.45",
        "                                        company:power  123.45",
    ]
    [paid] = json.loads(run("journal", "--json", "--kind", "paid").output)
    assert paid == {
        "number": 1, "day": "2026-11-24", "kind": "paid", "ref": "P1", "event_key": "paid:P1", "reverses": None,
        "booked_at": "2026-11-24T04:00:00+00:00",
        "entries": [
            {"account": "channel:wechat", "fen": 18_667}, {"account": "promo:bank", "fen": 1333},
            {"account": "order:P1", "fen": -20_000},
        ],
    }  # fmt: skip
    numbers = {
        words: [one["number"] for one in json.loads(run("journal", "--json", *words).output)]
        for words in (
            ("--ref", "P1"), ("--ref", "P2"), ("--limit", "1"), ("--since", "2026-11-25"), ("--until", "2026-11-24"),
        )
    }  # fmt: skip
    assert list(numbers.values()) == [[1, 2, 3], [], [3], [3], [1, 2]]


def test_what_is_no_day(books: Engine) -> None:
    for word in ("20261124", "2026-11-31", "yesterday"):
        result = run("balance", "--day", word)
        assert (result.exit_code, "is not a day such as" in result.output) == (2, True)


def test_whole_and_broken_books(books: Engine, tmp_path: Path) -> None:
    fill(books)
    result = run("verify")
    assert result.exit_code == 0
    assert result.output.startswith("whole: 3 journals, 7 entries, 1 closed days; digest ")
    books.dispose()
    with sqlite3.connect(tmp_path / "bridge.sqlite3") as forger:
        forger.execute("DROP TRIGGER entry_fixed")
        forger.execute("UPDATE entry SET amount = amount + 1 WHERE journal = 2 AND number = 1")
    result = run("verify")
    assert result.exit_code == 2
    assert result.output.splitlines() == [
        "BROKEN: trigger entry_fixed: is not there",
        "BROKEN: journal 2: sums to 1 fen",
        "BROKEN: journal 3: does not reverse journal 2",
        "BROKEN: day 2026-11-24: a journal is not as it was when the day was closed",
        "BROKEN: day 2026-11-24: account order:P1: its entries make -7654 fen, its snapshot says -7655",
    ]
    found = json.loads(run("verify", "--json").output)
    assert (found["journals"], found["closed_days"], len(found["broken"])) == (3, 1, 5)
    speak("zh")
    try:
        assert "账目不完整：触发器 entry_fixed：不存在" in run("verify").output
        assert "按分录计算为 -7654 分" in run("verify").output
    finally:
        speak("en")


def test_verified_after_a_closed_day_alone(books: Engine, tmp_path: Path) -> None:
    """It finds what is wrong later, and says that it did not look at what is before."""
    fill(books)
    lines = run("verify", "--after", "2026-11-24").output.splitlines()
    assert lines[0].startswith("whole: 1 journals, 2 entries, 0 closed days; digest ")
    assert lines[1:] == ["what is on 2026-11-24 and before was not read"]
    whole = json.loads(run("verify", "--json").output)
    assert json.loads(run("verify", "--json", "--after", "2026-11-24").output)["digest"] == whole["digest"]
    for day, why in (("2026-11-25", "is no day that the books were closed with"), ("x", "is not a day such as")):
        result = run("verify", "--after", day)
        assert (result.exit_code, why in result.output.replace("\n", " ").replace("│ ", "")) == (2, True), result.output
    books.dispose()

    def forged(statement: str) -> list[str]:
        with sqlite3.connect(tmp_path / "bridge.sqlite3") as forger:
            (made,) = forger.execute("SELECT sql FROM sqlite_master WHERE name = 'entry_fixed'").fetchone()
            forger.execute("DROP TRIGGER entry_fixed")
            forger.execute(statement)
            forger.execute(made)
        return run("verify", "--after", "2026-11-24").output.splitlines()

    assert forged("UPDATE entry SET amount = amount + 1 WHERE journal = 1 AND number = 1") == lines
    assert run("verify").exit_code == 2
    found = forged("UPDATE entry SET amount = amount + 1 WHERE journal = 3 AND number = 1")
    assert found == ["BROKEN: journal 3: sums to 1 fen", "BROKEN: journal 3: does not reverse journal 2"]


def test_books_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGECTL_CONFIG", str(tmp_path / "bridgectl.toml"))
    file = tmp_path / "bridge.sqlite3"
    (tmp_path / "intranet_bridge.toml").write_text(f'[store]\nfile = "{file}"\n')
    for expected in ("database is not there", "of an older release"):
        result = run("verify")
        assert isinstance(result.exception, NotAsked)
        assert expected in str(result.exception)
        sqlite3.connect(file).close()
