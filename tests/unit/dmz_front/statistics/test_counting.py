"""What is counted of requests: whole, once, by day, and in the database however writing went."""

from datetime import UTC

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from dmz_front.ledger.rows import STATISTICS
from dmz_front.statistics.counting import Statistics
from protocol.lifecycle import State
from protocol.runtime.statistics import ACCURACY, Bins, Counted, Kind, counted, percentiles, took
from protocol.runtime.store import Store
from tests.unit.clock import Clock
from tests.unit.dmz_front.harness import COMMAND, QUERY, Harness, Say
from tests.unit.statements import statements_of

pytestmark = pytest.mark.anyio
DAY_MS = 86_400_000
TODAY, TOMORROW = "2026-02-25", "2026-02-26"


def of(store: Store, clock: Clock, front: str = "front-1") -> Statistics:
    return Statistics(store, STATISTICS, front, clock, UTC)


async def numbers(store: Store) -> dict[tuple[str, str, str, str, str, int], int]:
    found = await store.read(lambda connection: list(counted(connection, STATISTICS, "2000-01-01", "2100-01-01")))
    return {(one.day, one.operation, one.application, one.kind, one.outcome, one.status): one.number for one in found}


async def bins(store: Store) -> Bins:
    found = await store.read(lambda connection: list(took(connection, STATISTICS, "2000-01-01", "2100-01-01")))
    return sum((one.bins for one in found), Bins())


async def test_counts_of_fronts_and_intervals_add_up(store: Store, clock: Clock) -> None:
    one, other = of(store, clock), of(store, clock, "front-2")
    for statistics in (one, other, one):
        statistics.answered(QUERY, "wechat", 200, "succeeded", 0.25)
        statistics.answered(QUERY, "wechat", 403, "operation-not-allowed", 0.0001)
        statistics.ended(COMMAND, "wechat", "refused: no-such-account")
        await statistics.write()
    await one.write()
    assert await numbers(store) == {
        (TODAY, QUERY, "wechat", Kind.ANSWER, "succeeded", 200): 3,
        (TODAY, QUERY, "wechat", Kind.ANSWER, "operation-not-allowed", 403): 3,
        (TODAY, COMMAND, "wechat", Kind.END, "refused: no-such-account", 0): 3,
    }
    found = percentiles(await bins(store), [0.5])
    assert found is not None
    assert found[0] == pytest.approx(0.25, rel=ACCURACY)  # of those that were turned away nothing is in it


async def test_however_many_applications_asked_they_are_written_by_as_few_statements(
    store: Store, clock: Clock
) -> None:
    statistics, executed = of(store, clock), []
    for applications in (1, 500, 1, 500):  # the latter two: of applications that are known
        for number in range(applications):
            statistics.answered(QUERY, f"app-{number}", 200, "succeeded", 0.25)
        with statements_of(store) as statements:
            await statistics.write()
        executed.append(len(statements))
    assert executed[2] == executed[3] > 0
    assert executed[1] <= executed[0] + 2  # some were known, and others not
    assert sum((await numbers(store)).values()) == (await bins(store)).total() == 1002


async def test_percentiles_over_five_orders_of_magnitude(store: Store, clock: Clock) -> None:
    statistics = of(store, clock)
    seconds = [0.0001 * 1.01**number for number in range(1_200)]
    for number, one in enumerate(seconds):
        statistics.answered(QUERY, "wechat", 200 if number % 2 else 504, "", one)
        if number % 100 == 0:
            await statistics.write()
    await statistics.write()
    found = percentiles(await bins(store), [0.5, 0.95, 0.99])
    assert found == pytest.approx([seconds[round(share * 1_199)] for share in (0.5, 0.95, 0.99)], rel=0.02)


async def test_a_day_begins_with_the_interval(store: Store, clock: Clock) -> None:
    statistics = of(store, clock)
    statistics.answered(QUERY, "", 401, "invalid-key", 0.0)
    clock.now += DAY_MS
    await statistics.write()
    statistics.answered(QUERY, "", 401, "invalid-key", 0.0)
    await statistics.write()
    assert {key[0] for key in await numbers(store)} == {TODAY, TOMORROW}


async def test_what_cannot_be_written_is_written_later_and_once(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    statistics = of(store, clock)

    async def write(*, fails: bool) -> None:
        statistics.answered(QUERY, "wechat", 200, "succeeded", 0.1)
        statistics.ended(COMMAND, "wechat", "succeeded")
        if not fails:
            await statistics.write()
            return
        with pytest.raises(OperationalError):
            await statistics.write()

    gather = store.gather

    async def unconfirmed(*arguments: object, **more: object) -> None:
        """It is on disk, and the answer is lost."""
        await gather(*arguments, **more)  # type: ignore[arg-type]
        raise OperationalError("", {}, Exception("the connection was lost"))

    async def refused(*arguments: object, **more: object) -> None:
        raise OperationalError("", {}, Exception("the disk is full"))

    monkeypatch.setattr(store, "gather", unconfirmed)
    await write(fails=True)
    monkeypatch.setattr(store, "gather", refused)
    for _ in range(5):
        await write(fails=True)
    assert len(statistics._waiting) <= 2
    monkeypatch.setattr(store, "gather", gather)
    await write(fails=False)
    assert set((await numbers(store)).values()) == {7}
    assert sum((await bins(store)).values()) == 7


async def test_a_stop_writes_and_a_database_that_fails_holds_it_up_not(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    statistics = of(store, clock)
    statistics.answered(QUERY, "wechat", 200, "succeeded", 0.1)
    await statistics.close()
    assert list((await numbers(store)).values()) == [1]
    statistics.answered(QUERY, "wechat", 200, "succeeded", 0.1)

    async def refused(*arguments: object, **more: object) -> None:
        raise OperationalError("", {}, Exception("the disk is full"))

    monkeypatch.setattr(store, "gather", refused)
    await statistics.close()


async def test_old_days_are_forgotten(store: Store, clock: Clock) -> None:
    statistics = of(store, clock)
    for _ in range(3):
        statistics.answered(QUERY, "wechat", 200, "succeeded", 0.1)
        await statistics.write()
        clock.now += DAY_MS
        await statistics.write()  # another day begins
    await statistics.forget(2)
    assert sorted(key[0] for key in await numbers(store)) == [TOMORROW, "2026-02-27"]
    left = await store.read(lambda connection: list(took(connection, STATISTICS, "2000-01-01", "2100-01-01")))
    assert sorted(one.day for one in left) == [TOMORROW, "2026-02-27"]


# --- the whole front --------------------------------------------------------------------------------------


async def test_answers_and_ends_of_a_front(harness: Harness) -> None:
    await harness.start()
    await harness.ask()
    await harness.ask(app=None)
    await harness.ask({"account": "x"})
    harness.bridge.script = lambda _: Say(State.REFUSED, "no-such-account")
    await harness.ask()
    await harness.order()
    await harness.order()  # the same one: two answers, one end
    key = await harness.grant("trial", "*", sandbox=True)
    assert key
    await harness.ask(app="trial")
    await harness.front.statistics.write()

    def read(connection: Connection) -> list[Counted]:
        return list(counted(connection, STATISTICS, "2000-01-01", "2100-01-01"))

    found = await harness.front.store.read(read)
    assert {(one.operation, one.application, one.kind, one.status, one.outcome): one.number for one in found} == {
        (QUERY, "wechat", Kind.ANSWER, 200, "succeeded"): 1,
        (QUERY, "", Kind.ANSWER, 401, "unauthenticated"): 1,
        (QUERY, "wechat", Kind.ANSWER, 422, "invalid-request"): 1,
        (QUERY, "wechat", Kind.ANSWER, 200, "refused: no-such-account"): 1,
        (COMMAND, "wechat", Kind.ANSWER, 200, "refused: no-such-account"): 2,
        (COMMAND, "wechat", Kind.END, 0, "refused: no-such-account"): 1,
    }
