"""Bridges of one database tell each other what is old."""

import asyncio
import datetime
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from bridgectl import keys
from intranet_bridge.at_rest import AtRest
from intranet_bridge.hot_data import changes as module
from intranet_bridge.hot_data.changes import KEPT_MS, Changes
from intranet_bridge.hot_data.hot import HotData
from intranet_bridge.hot_data.rows import CHANGES
from intranet_bridge.hot_data.section import HotSection
from intranet_bridge.inbox.rows import STORE_KEY
from intranet_bridge.marketing import Answered, MarketingRequest, Unknown
from intranet_bridge.pushes.bodies import push_of
from intranet_bridge.store import MIGRATIONS
from protocol.messages import Role
from protocol.operations import CATALOGUE
from protocol.runtime.keyfiles import load_keyring
from protocol.runtime.store import Store
from protocol.runtime.store_engine import engine
from tests.support.postgres import database_url, postgres
from tests.unit.intranet_bridge.harness import BILL_BODY, DONE, ORDER_BODY, Stage, scene
from tests.unit.intranet_bridge.pushes.test_effects import said

__all__ = ["database_url", "postgres"]

ACCOUNT, OTHER = "3210000000001", "3210000000002"
BILL = CATALOGUE["bill-query"]
SECTION = HotSection.model_validate(
    {"operations": {"bill-query": {"lifetime_s": 600}, "arrears-query": {"lifetime_s": 600}}}
)
Play = Callable[["Two"], Coroutine[Any, Any, None]]


class Two:
    """Two bridges' kept answers, and what they tell."""

    def __init__(self, url: str, folder: Path) -> None:
        keys.init(folder / "keys", now=datetime.datetime.now(datetime.UTC))
        ring = load_keyring(keys.keyring_path(folder / "keys", Role.BRIDGE), folder / "keys" / keys.TRUSTED)
        self.store = Store(url, MIGRATIONS.prepare)
        self.at_rest = AtRest(self.store, STORE_KEY, ring)
        self.seconds, self.ms = 100.0, 1_000
        self.hot = [HotData(SECTION, lambda: self.seconds) for _ in "ab"]
        self.changes = [self._changes(name, hot) for name, hot in zip("ab", self.hot, strict=True)]

    def _changes(self, name: str, hot: HotData) -> Changes:
        changes = Changes(
            store=self.store, at_rest=self.at_rest, hot=hot, name=name, shared=True, clock=lambda: self.ms,
            now=lambda: self.seconds,
        )  # fmt: skip
        hot.tell = changes.tell
        return changes

    def start_anew(self) -> None:
        """The second bridge."""
        self.hot[1] = HotData(SECTION, lambda: self.seconds)
        self.changes[1] = self._changes("b", self.hot[1])

    async def open(self) -> None:
        await self.store.start()
        await self.at_rest.open()
        for one in self.changes:
            await one.start()
            one._jobs.stop()  # read when the test says so

    def keep(self, account: str = ACCOUNT) -> None:
        """At both."""
        self.seconds += 1
        for hot in self.hot:
            body = BILL.requests.validate_json(BILL_BODY.replace(ACCOUNT.encode(), account.encode()))
            asked = MarketingRequest("id", body)
            flight = hot.begin(hot.asking("bill-query", body), asked)
            hot.landed(flight, Answered(b"{}"))

    async def read(self) -> list[int]:
        """How much each keeps after reading."""
        self.seconds += 1
        for one in self.changes:
            await asyncio.gather(*one._writing)
        for one in self.changes:
            await one.read()
        return [hot.size[0] for hot in self.hot]

    def heard(self, account: str, outcome: Any, settle_s: float = 0.0) -> None:
        body = CATALOGUE["work-order"].requests.validate_python({**json.loads(ORDER_BODY), "account": account})
        self.hot[0].heard("work-order", MarketingRequest("id", body), outcome, settle_s)


class Late:
    """A third bridge's change: its id is taken, and it is not committed. An SQLite database has one writer at a time:
    there it is written with an id that was left out.
    """

    def __init__(self, two: Two, settle_s: float = 0.0) -> None:
        sealed = two.at_rest.seal(ACCOUNT.encode(), "hot_changes")
        row = {"owner": "c", "about": sealed, "operations": "", "settle_ms": settle_s * 1000, "made_at": two.ms}
        self._store, self._row, self._database = two.store, row, engine(two.store.url)
        self._open, self._other = self._database.connect(), two.at_rest.seal(b"x", "hot_changes")
        if self._database.dialect.name == "postgresql":
            self._open.execute(CHANGES.insert(), row)

    async def left_out(self) -> None:
        if self._database.dialect.name == "sqlite":
            other = {"id": 2, "about": self._other}
            await self._store.execute(CHANGES.insert(), self._row | other)

    async def commit(self) -> None:
        if self._database.dialect.name == "sqlite":
            await self._store.execute(CHANGES.insert(), {"id": 1, **self._row})
        else:
            await asyncio.to_thread(self._open.commit)
        self._open.close()
        self._database.dispose()


@pytest.fixture
def played(database_url: str, tmp_path: Path) -> Callable[[Play], None]:
    def play(act: Play) -> None:
        async def whole() -> None:
            two = Two(database_url, tmp_path)
            await two.open()
            try:
                await act(two)
            finally:
                for one in two.changes:
                    await one.close()
                await two.store.close()

        asyncio.run(whole())

    return play


def test_a_command_at_one_bridge_ends_what_the_other_keeps_of_its_account_alone(played: Any) -> None:
    async def act(two: Two) -> None:
        two.keep()
        two.keep(OTHER)
        assert await two.read() == [2, 2]
        two.heard(ACCOUNT, Answered(DONE))
        assert two.hot[1].size[0] == 2
        assert await two.read() == [1, 1]
        assert two.hot[1].invalidated["elsewhere"] == 1
        two.keep()
        assert await two.read() == [2, 2]  # it is heard once
        rows = await two.store.read(lambda connection: connection.execute(select(CHANGES)).all())
        assert len(rows) > 0
        assert ACCOUNT not in repr([(row.owner, bytes(row.about), row.operations) for row in rows])

    played(act)


def test_while_it_is_not_known_what_a_command_did_the_other_keeps_nothing_either(played: Any) -> None:
    async def act(two: Two) -> None:
        two.heard(ACCOUNT, Unknown("lost"), settle_s=30)
        await two.read()
        two.keep()
        assert two.hot[1].size[0] == 0
        two.seconds += 31
        two.keep()
        assert two.hot[1].size[0] == 1

    played(act)


def test_an_operators_word_goes_to_all_and_comes_back_to_none(played: Any) -> None:
    async def act(two: Two) -> None:
        two.keep()
        two.keep(OTHER)
        two.hot[1].invalidate(OTHER, ("bill-query",), "operator")
        assert await two.read() == [1, 1]
        two.hot[0].clear(("arrears-query",))
        assert await two.read() == [1, 1]
        two.hot[0].clear()
        assert await two.read() == [0, 0]
        assert await two.read() == [0, 0]
        rows = await two.store.read(lambda connection: connection.execute(select(CHANGES)).all())
        assert [row.owner for row in rows] == ["b", "a", "a"]

    played(act)


def test_what_is_committed_late_is_heard_though_a_later_one_was_read_before(played: Any) -> None:
    async def act(two: Two) -> None:
        two.keep()
        sealed = two.at_rest.seal(ACCOUNT.encode(), "hot_changes")
        row = {"owner": "a", "about": sealed, "operations": "", "settle_ms": 0, "made_at": 1_000}
        await two.store.execute(CHANGES.insert(), {"id": 1002, **row, "about": two.at_rest.seal(b"x", "hot_changes")})
        assert await two.read() == [1, 1]
        two.seconds += 30
        await two.read()
        await two.store.execute(CHANGES.insert(), {"id": 1001, **row})
        assert await two.read() == [1, 0]
        two.seconds += 61
        await two.read()
        two.seconds += 61
        await two.read()
        assert two.changes[1]._known == set()

    played(act)


def test_what_was_committed_while_nothing_was_read_is_heard_however_long_that_was(played: Any) -> None:
    """The process was stopped, or waited for the database."""

    async def act(two: Two) -> None:
        two.keep()
        late = Late(two)
        await late.left_out()
        two.heard(OTHER, Answered(DONE))
        assert await two.read() == [1, 1]
        await late.commit()
        two.seconds += 61
        assert await two.read() == [0, 0]

    played(act)


def test_what_was_being_committed_as_a_bridge_started_is_heard_by_it(played: Any) -> None:
    async def act(two: Two) -> None:
        late = Late(two, settle_s=30)
        await late.left_out()
        two.heard(OTHER, Answered(DONE))
        await asyncio.gather(*two.changes[0]._writing)
        two.start_anew()
        await two.changes[1].start()
        two.changes[1]._jobs.stop()
        await late.commit()
        await two.read()
        two.keep()
        assert two.hot[1].size[0] == 0

    played(act)


def test_who_cannot_read_for_long_keeps_nothing_and_old_rows_go(played: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(two: Two) -> None:
        two.keep()
        two.heard(OTHER, Answered(DONE))
        await two.read()

        async def away(_work: Any) -> Any:
            raise OperationalError("", {}, Exception())

        with monkeypatch.context() as patched:
            patched.setattr(two.store, "read", away)
            for seconds, kept in ((5, 1), (6, 0)):
                two.seconds += seconds
                with pytest.raises(OperationalError):
                    await two.changes[1].read()
                assert two.hot[1].size[0] == kept
        await two.changes[0].forget(two.ms + KEPT_MS)

        async def rows() -> int:
            return len(await two.store.read(lambda connection: connection.execute(select(CHANGES)).all()))

        assert await rows() > 0
        await two.changes[0].forget(two.ms + KEPT_MS + 1)
        assert await rows() == 0

    played(act)


def test_many_are_read_page_by_page(played: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAGE", 3)

    async def act(two: Two) -> None:
        two.keep()
        for number in range(10):
            two.heard(f"32100000{number:05d}", Answered(DONE))
        assert await two.read() == [0, 0]  # its account is the second of them

    played(act)


@scene
async def test_what_is_told_is_there_when_a_command_is_answered_and_with_a_push(stage: Stage) -> None:
    stage.changes["hot"] = {"operations": {"bill-query": {"lifetime_s": 600}}}
    await stage.start()
    bridge = stage.bridge
    bridge.changes.shared, bridge.hot.tell = True, bridge.changes.tell

    async def rows() -> int:
        found = await bridge.store.read(lambda connection: connection.execute(select(CHANGES)).all())
        return len(found)

    await stage.reply(await stage.command())
    before = await rows()
    assert before >= 1
    await bridge.pushes.take([push_of(said())])
    assert await rows() == before + 1
    await bridge.pushes.take([push_of(said())])  # again
    assert await rows() == before + 1


@scene
async def test_a_bridge_that_is_alone_writes_nothing(stage: Stage) -> None:
    stage.changes["hot"] = {"operations": {"bill-query": {"lifetime_s": 600}}}
    await stage.start()
    await stage.reply(await stage.command())
    await stage.bridge.pushes.take([push_of(said())])
    found = await stage.bridge.store.read(lambda connection: connection.execute(select(CHANGES)).all())
    assert found == []
