"""Imports by pages: to their end, after a kill, beside another bridge, in quiet hours; what is answered meanwhile."""

import asyncio
import datetime
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bridgectl import keys
from intranet_bridge.at_rest import AtRest
from intranet_bridge.imports import runs
from intranet_bridge.imports.rows import IMPORTS, ROWS
from intranet_bridge.imports.runs import ADOPT_MS, RETRY_S, Import
from intranet_bridge.imports.section import ImportSection
from intranet_bridge.imports.sources import Cursor, Page, Row, Unread
from intranet_bridge.inbox.rows import STORE_KEY
from intranet_bridge.store import MIGRATIONS
from protocol.messages import Role
from protocol.runtime.keyfiles import load_keyring
from protocol.runtime.store import Store
from tests.support.postgres import database_url, postgres

__all__ = ["database_url", "postgres"]

HOUR = 3_600_000
Play = Callable[["World"], Coroutine[Any, Any, None]]
QUERY = "SELECT id AS cursor FROM t WHERE id > :cursor ORDER BY id"


def section(**changes: Any) -> ImportSection:
    answers = {"faq": {"response": "{items: rows}"}}
    given = {"system": "db", "query": QUERY, "cron": "0 2 * * *", "batch": 2, "rate": 100, "answers": answers}
    return ImportSection.model_validate({**given, **changes})


class Table:
    """A source: rows with ids that grow, read two at a time."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, str, str | None]] = []
        self.read: list[Cursor] = []
        self.fails = ""

    async def page(self, cursor: Cursor) -> Page:
        if self.fails:
            raise Unread(self.fails)
        self.read.append(cursor)
        assert isinstance(cursor, int)
        found = [one for one in self.rows if one[0] > cursor][:2]
        rows = [Row(key, None if said is None else {"key": key, "said": said}) for _, key, said in found]
        return Page(rows, found[-1][0] if found else cursor, len(found) == 2)


class World:
    def __init__(self, url: str, folder: Path) -> None:
        keys.init(folder / "keys", now=datetime.datetime.now(datetime.UTC))
        ring = load_keyring(keys.keyring_path(folder / "keys", Role.BRIDGE), folder / "keys" / keys.TRUSTED)
        self.store = Store(url, MIGRATIONS.prepare)
        self.at_rest = AtRest(self.store, STORE_KEY, ring)
        self.table = Table()
        self.ms, self.seconds = 1_790_000_000_000, 0.0
        self.quiet, self.allowed, self.slept, self.changes = False, True, 0.0, 0
        self.between: Callable[[], Coroutine[Any, Any, None]] | None = None

    def bridge(self, name: str = "bridge-1", **changes: Any) -> Import:
        return Import(
            "texts", section(**changes), self.table, store=self.store, at_rest=self.at_rest, runner=name,
            clock=lambda: self.ms, zone=lambda: datetime.UTC, allowed=lambda: self.allowed, quiet=lambda: self.quiet,
            changed=self._changed, now=lambda: self.seconds, sleep=self._sleep,
        )  # fmt: skip

    def _changed(self) -> None:
        self.changes += 1

    async def _sleep(self, seconds: float) -> None:
        self.slept += seconds
        if self.between is not None:
            await self.between()

    async def kept(self) -> list[Any]:
        return list(await self.store.read(lambda connection: connection.execute(select(ROWS)).all()))


def said(one: Import) -> dict[str, str]:
    return {row["key"]: row["said"] for row in one.rows}


@pytest.fixture
def played(database_url: str, tmp_path: Path) -> Callable[[Play], None]:
    def play(act: Play) -> None:
        async def whole() -> None:
            world = World(database_url, tmp_path)
            await world.store.start()
            await world.at_rest.open()
            try:
                await act(world)
            finally:
                await world.store.close()

        asyncio.run(whole())

    return play


class Killed(BaseException):
    """In place of kill -9, between two pages."""


def test_a_full_import_takes_the_place_of_the_one_before_at_its_end_and_what_is_gone_goes(played: Any) -> None:
    async def act(world: World) -> None:
        one, table = world.bridge(), world.table
        table.rows = [(1, "a", "A"), (2, "b", "B"), (3, "c", "C")]
        await one.look()
        assert (said(one), one.fresh, world.changes) == ({"a": "A", "b": "B", "c": "C"}, True, 1)
        assert world.slept == pytest.approx(0.02)
        await one.look()
        assert table.read == [0, 2]  # not before it is due
        table.rows = [(1, "a", "A2"), (2, "d", "D"), (3, "e", "E"), (4, "f", "F")]
        seen: list[dict[str, str]] = []

        async def between() -> None:
            other = world.bridge("bridge-2")
            await other._refresh()
            seen.append(said(other))

        world.between = between
        world.ms += 24 * HOUR
        await one.look()
        assert seen == [{"a": "A", "b": "B", "c": "C"}] * 2
        assert said(one) == {"a": "A2", "d": "D", "e": "E", "f": "F"}
        assert {row.generation for row in await world.kept()} == {one._state.live}  # type: ignore[union-attr]
        report = one.report()
        assert (report.rows, report.running, report.error) == (4, False, "")

    played(act)


def test_a_run_that_was_killed_goes_on_from_its_cursor(played: Any) -> None:
    async def act(world: World) -> None:
        table = world.table
        table.rows = [(number, f"k{number}", "x") for number in range(1, 8)]
        pages = 0

        async def killed() -> None:
            nonlocal pages
            pages += 1
            if pages == 2:
                raise Killed

        world.between = killed
        with pytest.raises(Killed):
            await world.bridge().look()
        assert table.read == [0, 2]
        again = world.bridge()
        await again._refresh()
        report = again.report()
        assert (report.running, report.read, again.fresh, said(again)) == (True, 4, False, {})
        await again.look()
        assert table.read == [0, 2, 4, 6]
        assert len(said(again)) == 7

    played(act)


def test_with_another_source_an_unfinished_run_begins_anew(played: Any) -> None:
    async def act(world: World) -> None:
        world.table.rows = [(1, "a", "A"), (2, "b", "B"), (3, "c", "C")]

        async def killed() -> None:
            raise Killed

        world.between = killed
        with pytest.raises(Killed):
            await world.bridge().look()
        world.between = None
        other = world.bridge(query=QUERY + " DESC")
        await other.look()
        assert world.table.read == [0, 0, 2]
        assert len(await world.kept()) == 3

    played(act)


def test_an_increment_adds_changes_and_takes_away_and_can_be_done_in_full(played: Any) -> None:
    async def act(world: World) -> None:
        one, table = world.bridge(mode="incremental"), world.table
        table.rows = [(1, "a", "A"), (2, "b", "B"), (3, "c", "C")]
        await one.look()
        table.rows = [(4, "a", "A2"), (5, "b", None), (6, "d", "D")]
        world.ms += 24 * HOUR
        await one.look()
        assert table.read == [0, 2, 3, 5]
        assert said(one) == {"a": "A2", "c": "C", "d": "D"}
        assert one.report().rows == 3
        one.want(full=True)
        await one.look()
        assert said(one) == {"a": "A2", "d": "D"}  # what the source has not is gone
        one.want(full=False)
        await one.look()
        assert table.read[-1] == 6
        assert said(one) == {"a": "A2", "d": "D"}

    played(act)


def test_of_two_bridges_one_runs_it_and_the_other_goes_on_when_that_is_gone(played: Any) -> None:
    async def act(world: World) -> None:
        first, second, table = world.bridge(), world.bridge("bridge-2"), world.table
        table.rows = [(number, f"k{number}", "x") for number in range(1, 8)]

        async def both() -> None:
            await second.look()

        world.between = both
        await first.look()
        assert table.read == [0, 2, 4, 6]  # the other left it alone
        world.between = None
        await second.look()
        assert len(said(second)) == 7

        async def killed() -> None:
            raise Killed

        world.between = killed
        world.ms += 24 * HOUR
        with pytest.raises(Killed):
            await first.look()
        world.between = None
        table.read.clear()
        await second.look()
        assert table.read == []
        world.ms += ADOPT_MS
        await second.look()
        assert table.read == [2, 4, 6]
        # the first wakes up in the middle of its run, and writes nothing
        stale = first._state
        assert stale is not None
        late = Page([Row("late", {"key": "late", "said": "x"})], 9, False)
        assert await world.store.write(lambda connection: first._take(connection, stale, late)) is None
        assert "late" not in repr(await world.kept())

    played(act)


def test_quiet_hours_and_a_lost_lease_stop_it_between_pages_and_it_goes_on_after(played: Any) -> None:
    async def act(world: World) -> None:
        one, table = world.bridge(), world.table
        table.rows = [(number, f"k{number}", "x") for number in range(1, 6)]
        world.quiet = True
        await one.look()
        assert table.read == []
        world.quiet = False

        async def quiet() -> None:
            world.quiet = True

        world.between = quiet
        await one.look()
        await one.look()
        assert table.read == [0]
        assert one.report().quiet
        world.quiet, world.between, world.allowed = False, None, False
        await one.look()
        assert table.read == [0]
        world.allowed = True
        await one.look()
        assert table.read == [0, 2, 4]

    played(act)


def test_a_source_that_fails_is_said_once_and_tried_again_from_there(played: Any, monkeypatch: Any) -> None:
    told: list[str] = []
    monkeypatch.setattr(runs.log, "error", lambda event, **more: told.append(event))

    async def act(world: World) -> None:
        one, table = world.bridge(), world.table
        table.rows = [(1, "a", "A"), (2, "b", "B"), (3, "c", "C")]

        async def broken() -> None:
            table.fails = "no connection"

        world.between = broken
        await one.look()
        assert one.report().error == "no connection"
        table.fails, world.between = "no connection", None
        for _ in range(3):
            world.seconds += RETRY_S
            await one.look()
        assert told == ["import-failed"]
        table.fails = ""
        await one.look()
        assert one.report().error  # not yet
        world.seconds += RETRY_S
        await one.look()
        assert (one.report().error, table.read, len(said(one))) == ("", [0, 2], 3)

    played(act)


def test_customers_rows_are_sealed_and_found_by_a_hash_and_old_ones_answer_nobody(played: Any) -> None:
    async def act(world: World) -> None:
        profile = {"account-profile": {"by": "account", "response": "row"}}
        one, table = world.bridge(answers=profile, max_age_hours=30), world.table
        table.rows = [(1, "3210000000001", "田*"), (2, "3210000000002", "李*")]
        await one.look()
        assert await one.find("3210000000002") == {"key": "3210000000002", "said": "李*"}
        assert await one.find("3210000000009") is None
        assert one.rows == ()
        rows = await world.kept()
        text = repr([(row.key, bytes(row.body)) for row in rows])
        assert len(rows) == 2
        assert "3210000000001" not in text
        assert "田".encode() not in b"".join(bytes(row.body) for row in rows)
        world.ms += 30 * HOUR
        assert one.fresh
        world.ms += 1
        assert not one.fresh

    played(act)


def test_more_than_is_answered_from_as_a_whole_is_not_taken(played: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MOST_TOGETHER", 3)

    async def act(world: World) -> None:
        one = world.bridge()
        world.table.rows = [(number, f"k{number}", "x") for number in range(1, 5)]
        await one.look()
        assert "4 rows" in one.report().error
        assert not one.fresh
        state = await world.store.read(lambda connection: connection.execute(select(IMPORTS)).one())
        assert (state.live, state.rows) == (0, 0)

    played(act)
