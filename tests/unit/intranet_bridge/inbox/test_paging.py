"""Unfinished rows come into memory as there is work for them: none is left out, none twice, none out of its order."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, update

from intranet_bridge.inbox import paging as module
from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.inbox.ordering import OWN_KEY, Ordering, QueuedCommand
from intranet_bridge.inbox.paging import Paging
from intranet_bridge.inbox.rows import INBOX, METADATA, Received
from protocol.backoff import Backoff
from protocol.lifecycle import State
from protocol.runtime.store import Store
from tests.unit.clock import Clock

pytestmark = pytest.mark.anyio
AT_ONCE = Backoff(0.001, 0.001, lambda: 0.0)
MOST = 12


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    monkeypatch.setattr(module, "READY", 4)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    store = Store(database_url, METADATA.create_all)
    await store.start()
    yield store
    await store.close()


@pytest.fixture
def inbox(store: Store, clock: Clock) -> Inbox:
    return Inbox(store, "bridge-1", clock)


def received(id: str, operation: str = "work-order", key: str = "", after: str | None = "") -> Received:
    return Received(id, operation, "front-1/wechat", key, "/queue/reply", 0, b"sealed", after=after)


class Bridge:
    """One process: what is in its memory."""

    def __init__(self, store: Store, inbox: Inbox, most: int = MOST) -> None:
        self.store, self.inbox, self.ordering = store, inbox, Ordering(45.0)
        self.paging = Paging(
            store=store, inbox=inbox, ordering=self.ordering, owner="bridge-1", most=most, backoff=AT_ONCE
        )
        self.order: list[str] = []
        self.largest = 0

    async def read(self) -> None:
        """Until nothing more is to be read now."""
        while self.paging._reading is not None and not self.paging._reading.done():
            await self.paging._reading

    async def ask(self, now: float = 0.0) -> None:
        while ids := self.ordering.unresolved(now):
            self.ordering.resolve(now, ids, await self.paging.settled(ids))

    async def finish(self, command: QueuedCommand) -> None:
        self.order.append(command.id)
        assert await self.inbox.calling(command, 1)
        await self.inbox.finished(command.id, State.SUCCEEDED, 1, "", "", b"reply")
        self.ordering.done(command)

    async def work(self, admits: Callable[[str], bool] = lambda _: True, most: int = 10_000) -> None:
        """Do what may be done, until there is nothing, or `most`."""
        now, idle = 0.0, 0
        while idle < 3 and len(self.order) < most:
            self.largest = max(self.largest, len(self.ordering))
            await self.read()
            await self.ask(now)
            command = self.ordering.take(now, admits)
            now, idle = now + 2.0, idle + 1
            if command is not None:
                idle = 0
                await self.finish(command)


async def recorded(inbox: Inbox, rows: Sequence[Received]) -> None:
    for row in rows:
        await inbox.record([row])


async def test_all_are_worked_on_and_few_are_in_memory(store: Store, inbox: Inbox) -> None:
    await recorded(inbox, [received(f"{number:03}") for number in range(60)])
    bridge = Bridge(store, inbox)
    await inbox.start()
    await bridge.paging.start()
    assert len(bridge.ordering) == 6  # two pages: with one there are fewer ready than may be wanted
    assert len(bridge.paging) == 60
    await bridge.work()
    assert bridge.order == [f"{number:03}" for number in range(60)]
    assert bridge.largest <= 7
    assert (len(bridge.paging), bridge.paging.unread) == (0, 0)


async def test_an_operation_whose_system_is_away_keeps_no_other_back(store: Store, inbox: Inbox) -> None:
    rows = [received(f"a{number:03}") for number in range(40)] + [received(f"b{n}", "feedback") for n in range(9)]
    await recorded(inbox, rows)
    bridge = Bridge(store, inbox, most=1)
    await inbox.start()
    await bridge.paging.start()
    await bridge.work(lambda operation: operation == "feedback")
    assert bridge.order == [f"b{number}" for number in range(9)]
    assert bridge.ordering.of("work-order") == 6


async def test_what_sleeps_makes_room_for_what_may_be_called(store: Store, inbox: Inbox) -> None:
    await recorded(inbox, [received(f"{number:03}") for number in range(12)])
    bridge = Bridge(store, inbox)
    await inbox.start()
    await bridge.paging.start()
    for _ in range(6):
        command = bridge.ordering.take(0.0, lambda _: True)
        assert command is not None
        bridge.ordering.reschedule(command, 1e9)
    await bridge.read()
    assert bridge.ordering.ready("work-order") == 6


async def test_with_as_many_as_may_be_in_memory_only_who_has_few_is_read(store: Store, inbox: Inbox) -> None:
    """All behind one key: none of them is ready."""
    rows = [received(f"{number:03}", key="k", after=f"{number - 1:03}" if number else "") for number in range(40)]
    await recorded(inbox, rows)
    bridge = Bridge(store, inbox)
    await inbox.start()
    await bridge.paging.start()
    assert len(bridge.ordering) == MOST
    await bridge.work()
    assert bridge.order == [row.id for row in rows]
    assert bridge.largest <= MOST + module.PAGE


async def test_a_predecessor_that_is_unread_is_read_for_who_waits(store: Store, inbox: Inbox) -> None:
    """It arrived later than all that comes after it, or is of an operation of which much is before it."""
    many = [received(f"a{number:03}") for number in range(30)]
    rows = [received("b1", "feedback", "k", "a-late"), *many, received("a-late", key="k")]
    await recorded(inbox, rows)
    bridge = Bridge(store, inbox)
    await inbox.start()
    await bridge.paging.start()
    assert "a-late" not in bridge.ordering
    await bridge.ask()
    assert "a-late" in bridge.ordering
    await bridge.work()
    assert bridge.order.index("a-late") < bridge.order.index("b1")
    assert sorted(bridge.order) == sorted(row.id for row in rows)


async def test_what_names_no_predecessor_comes_after_what_was_recorded_before_it(store: Store, inbox: Inbox) -> None:
    """The bridge's own commands: the second is read long before the first."""
    key = OWN_KEY + "account"
    many = [received(f"a{number:03}") for number in range(30)]
    rows = [*many, received("first", key=key, after=None), received("second", "feedback", key, after=None)]
    await recorded(inbox, rows)
    bridge = Bridge(store, inbox)
    await inbox.start()
    await bridge.paging.start()
    assert "second" in bridge.ordering
    assert "first" not in bridge.ordering
    third = QueuedCommand("third", "feedback", key, State.RECEIVED, after=None)
    await inbox.record([received("third", "feedback", key, after=None)])
    bridge.paging.add(third)
    await bridge.work()
    assert [id for id in bridge.order if not id.startswith("a")] == ["first", "second", "third"]


async def test_what_is_finished_while_its_page_is_read_is_not_taken_up_again(
    store: Store, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await recorded(inbox, [received(f"{number:03}") for number in range(6)])
    bridge = Bridge(store, inbox)
    await inbox.start()
    await bridge.paging.start()
    await bridge.work(most=3)
    read = store.read

    async def late(work: Callable[[Connection], Any]) -> Any:
        found = await read(work)
        if isinstance(found, tuple) and found[0]:
            command = bridge.ordering.take(0.0, lambda _: True)
            if command is not None:
                monkeypatch.setattr(store, "read", read)
                await bridge.finish(command)
        return found

    bridge.paging.adopted()  # all is read once more
    monkeypatch.setattr(store, "read", late)
    await bridge.read()
    assert bridge.order == ["000", "001", "002", "003"]
    assert "003" not in bridge.ordering
    await bridge.work()
    assert bridge.order == [f"{number:03}" for number in range(6)]


async def test_what_is_recorded_meanwhile_has_its_turn_behind_what_is_unread(store: Store, inbox: Inbox) -> None:
    await recorded(inbox, [received(f"{number:03}") for number in range(20)])
    bridge = Bridge(store, inbox)
    await inbox.start()
    await bridge.paging.start()
    for number in range(20, 26):
        row = received(f"{number:03}")
        await inbox.record([row])
        bridge.paging.add(QueuedCommand(row.id, row.operation, "", State.RECEIVED))
    assert len(bridge.paging) == 26
    other = received("other", "feedback")
    await inbox.record([other])
    bridge.paging.add(QueuedCommand("other", "feedback", "", State.RECEIVED))
    assert "other" in bridge.ordering  # of an operation that has nothing unread: at once
    await bridge.work()
    assert [id for id in bridge.order if id != "other"] == [f"{number:03}" for number in range(26)]


async def test_what_a_dead_bridge_left_is_read_too_and_nothing_twice(store: Store, inbox: Inbox, clock: Clock) -> None:
    theirs = Inbox(store, "bridge-2", clock)
    await recorded(theirs, [received(f"t{number:03}") for number in range(10)])
    bridge = Bridge(store, inbox)
    await inbox.start()
    await bridge.paging.start()
    await recorded(inbox, [received("mine")])
    bridge.paging.add(QueuedCommand("mine", "work-order", "", State.RECEIVED))
    assert await store.write(lambda connection: inbox.adopt(connection, ["bridge-2"])) == 10
    bridge.paging.adopted()
    await bridge.work()
    assert sorted(bridge.order) == sorted(["mine", *(f"t{number:03}" for number in range(10))])


async def test_of_two_bridges_rows_that_were_recorded_at_one_moment_none_is_left_out(
    store: Store, inbox: Inbox, clock: Clock
) -> None:
    """Each bridge gives its rows the sequences of that moment: a page ends between two of the same."""
    theirs = Inbox(store, "bridge-2", clock)
    for number in range(10):
        await recorded(theirs, [received(f"t{number:03}")])
        await recorded(inbox, [received(f"o{number:03}")])
    assert await store.write(lambda connection: inbox.adopt(connection, ["bridge-2"])) == 10
    bridge = Bridge(store, inbox)
    await inbox.start()
    await bridge.paging.start()
    await bridge.work()
    assert sorted(bridge.order) == sorted(f"{whose}{number:03}" for whose in "ot" for number in range(10))


async def test_what_is_recorded_after_rows_of_a_clock_that_was_ahead_is_read_after_them(
    store: Store, inbox: Inbox, clock: Clock
) -> None:
    bridge = Bridge(store, inbox)
    await inbox.start()
    await bridge.paging.start()
    theirs = Inbox(store, "bridge-2", Clock(clock.now + 3_600_000))
    await recorded(theirs, [received(f"t{number:03}") for number in range(10)])
    assert await store.write(lambda connection: inbox.adopt(connection, ["bridge-2"])) == 10
    bridge.paging.adopted()
    await bridge.read()
    await recorded(inbox, [received("mine")])
    bridge.paging.add(QueuedCommand("mine", "work-order", "", State.RECEIVED))
    await bridge.work()
    assert bridge.order == [*(f"t{number:03}" for number in range(10)), "mine"]


async def test_what_an_operator_has_decided_is_left_to_who_acts_on_decisions(store: Store, inbox: Inbox) -> None:
    await recorded(inbox, [received("a"), received("b")])
    await store.write(
        lambda connection: connection.execute(update(INBOX).where(INBOX.c.id == "a").values(decided_at=1))
    )
    bridge = Bridge(store, inbox)
    await inbox.start()
    await bridge.paging.start()
    assert "a" not in bridge.ordering
    assert "b" in bridge.ordering


async def test_a_page_that_cannot_be_read_is_read_later(
    store: Store, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await recorded(inbox, [received(f"{number:03}") for number in range(20)])
    bridge = Bridge(store, inbox)
    await inbox.start()
    await bridge.paging.start()
    read, failures = store.read, [OSError("disk"), OSError("disk")]

    async def failing(work: Callable[[Connection], Any]) -> Any:
        if failures:
            raise failures.pop()
        return await read(work)

    monkeypatch.setattr(store, "read", failing)
    for _ in range(3):
        command = bridge.ordering.take(0.0, lambda _: True)
        assert command is not None
        await bridge.finish(command)
    await bridge.read()
    assert failures == []
    await bridge.work()
    assert bridge.order == [f"{number:03}" for number in range(20)]


PICKS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.booleans(), st.booleans()), max_size=40)


@given(picks=PICKS, live_from=st.integers(0, 40))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_whatever_there_is_each_key_is_done_in_its_order_and_everything_once(
    picks: list[tuple[int, int, bool, bool]], live_from: int, tmp_path_factory: pytest.TempPathFactory, clock: Clock
) -> None:
    """Keys over several operations, of commands that name their predecessor and that name none; some are recorded
    while others are unread, some of which are heard of once more.
    """
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('paging') / 'inbox.sqlite3'}", METADATA.create_all)
    await store.start()
    try:
        inbox = Inbox(store, "bridge-1", clock)
        rows: list[Received] = []
        latest: dict[str, str] = {}
        for number, (operation, key, names, _) in enumerate(picks):
            id, subject = f"{number:03}", f"k{key}" if key else ""
            after = latest.get(subject, "") if names and subject else None
            rows.append(received(id, f"operation-{operation}", subject, after))
            latest[subject] = id
        await recorded(inbox, rows[:live_from])
        bridge = Bridge(store, inbox)
        await inbox.start()
        await bridge.paging.start()
        for row, (_, _, _, again) in zip(rows[live_from:], picks[live_from:], strict=True):
            await inbox.record([row])
            command = QueuedCommand(row.id, row.operation, row.subject, State.RECEIVED, after=row.after)
            bridge.paging.add(command)
            if again:
                bridge.paging.add(command, new=False)
            await bridge.work(most=len(bridge.order) + 1)
        await bridge.work()
        assert sorted(bridge.order) == [row.id for row in rows]
        for subject in latest:
            if subject:
                of = [row.id for row in rows if row.subject == subject]
                assert [id for id in bridge.order if id in of] == of
        assert len(bridge.paging) == 0
    finally:
        await store.close()
