"""The front's book: one row a key, a final state for ever, and an honest count of what is not final."""

import asyncio
import itertools
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from dmz_front.ledger.ledger import UNDELIVERED_MS, Ledger, ReportedOutcome
from dmz_front.ledger.rows import METADATA, REQUESTS, Row
from protocol.lifecycle import FINAL, REPORTED, State
from protocol.runtime.outbox import Entry
from protocol.runtime.store import Store
from tests.unit.clock import NOW, Clock

pytestmark = pytest.mark.anyio


@pytest.fixture
def ledger(store: Store, clock: Clock) -> Ledger:
    return Ledger(store, clock)


def row(id: str, *, front: str = "front-1", application: str = "wechat", key: str = "", expires: int = 0) -> Row:
    return Row(
        id=id,
        front=front,
        application=application,
        idempotency_key=key or f"key of {id}",
        fingerprint=b"f" * 32,
        operation="work-order",
        destination="/queue/bridge.command.main",
        envelope=b"sealed " + id.encode(),
        accepted_at=NOW,
        updated_at=NOW,
        expires_at=expires,
    )


def news(id: str, state: State, code: str = "") -> ReportedOutcome:
    return ReportedOutcome(id, state, code, b"reply " + state.encode())


async def state_of(ledger: Ledger, id: str) -> State:
    found = await ledger.find(id, "wechat")
    assert found is not None
    return found.state


# --- accept -----------------------------------------------------------------------------------------------


async def test_a_row_comes_back_as_it_was_written(ledger: Ledger, store: Store) -> None:
    new = row("a", expires=NOW + 5)
    assert await ledger.accept(new) is new
    assert await ledger.find("a", "wechat") == new
    assert new.entry() == Entry("a", "/queue/bridge.command.main", b"sealed a")  # no expiry: the bridge judges it


async def test_the_same_key_finds_the_first_row(ledger: Ledger) -> None:
    first = row("a", key="k")
    assert await ledger.known(row("b", key="k")) is None
    await ledger.accept(first)
    assert await ledger.accept(row("b", key="k")) == first
    assert await ledger.known(row("b", key="k")) == first
    assert ledger.backlog == 1
    other = row("c", key="k", application="counter")
    assert await ledger.accept(other) is other
    assert await ledger.find("b", "wechat") is None


async def test_many_at_once_with_one_key_leave_one_row(ledger: Ledger) -> None:
    rows = [row(f"id-{number}", key="k") for number in range(50)]
    held = await asyncio.gather(*(ledger.accept(one) for one in rows))
    assert len({one.id for one in held}) == 1
    assert ledger.backlog == 1


async def test_another_front_that_was_faster_wins(ledger: Ledger, clock: Clock, database_url: str) -> None:
    """Two fronts on one database: whoever commits the key second gets the first one's row."""
    other_store = Store(database_url, METADATA.create_all)
    await other_store.start()
    other = Ledger(other_store, clock)
    results = await asyncio.gather(
        *(
            one.accept(row(f"{number}-{which}", key=f"k{number}", front=which))
            for number in range(20)
            for which, one in (("front-1", ledger), ("front-2", other))
        )
    )
    await other_store.close()
    for number in range(20):
        assert len({result.id for result in results[2 * number : 2 * number + 2]}) == 1
    assert ledger.backlog + other.backlog == 20


async def test_two_fronts_are_told_of_one_command_at_the_same_moment(
    ledger: Ledger, clock: Clock, database_url: str
) -> None:
    """One outcome stands, and exactly one of them counts it: the rows are locked between reading and writing."""
    other_store = Store(database_url, METADATA.create_all)
    await other_store.start()
    other = Ledger(other_store, clock)
    ids = [f"id-{number:03}" for number in range(100)]
    await asyncio.gather(*(ledger.accept(row(id)) for id in ids))
    outcomes = (State.SUCCEEDED, State.REFUSED)
    counted = await asyncio.gather(
        *(
            one.record_outcomes(
                [news(id, outcome) for id in (ids[at : at + 10] if one is ledger else ids[at : at + 10][::-1])]
            )
            for at in range(0, 100, 10)
            for one, outcome in zip((ledger, other), outcomes, strict=True)
        )
    )
    await other_store.close()
    assert sum(counted) == 100
    for id in ids:
        found = await ledger.find(id, "wechat")
        assert found is not None
        assert found.reply == news(id, found.state).sealed


async def test_what_a_dead_front_accepted_is_adopted_until_it_is_final(ledger: Ledger, store: Store) -> None:
    for id in ("accepted", "sent", "held", "final"):
        await ledger.accept(row(id, front="front-2"))
    await ledger.accept(row("mine"))
    await ledger.accept(row("other", front="front-3"))
    await ledger.sent(["sent"])
    await ledger.record_outcomes([news("held", State.HELD), news("final", State.SUCCEEDED)])
    assert sorted(await ledger.fronts()) == ["front-1", "front-2", "front-3"]
    assert await store.write(lambda connection: ledger.adopt(connection, ["front-2"], "front-1")) == 3
    due = await ledger.due("front-1", 1_000, 10)
    assert sorted(entry.id for entry in due) == ["accepted", "mine"]
    await ledger.count_backlog("front-1")
    assert ledger.backlog == 4
    assert sorted(await ledger.fronts()) == ["front-1", "front-3"]


async def test_only_the_application_finds_its_row(ledger: Ledger) -> None:
    await ledger.accept(row("a"))
    assert await ledger.find("a", "counter") is None
    assert await ledger.find("b", "wechat") is None


# --- told -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("final", sorted(FINAL))
@pytest.mark.parametrize("later", sorted(REPORTED))
async def test_a_final_state_never_changes(ledger: Ledger, clock: Clock, final: State, later: State) -> None:
    await ledger.accept(row("a"))
    assert await ledger.record_outcomes([news("a", final, "first")]) == 1
    before = await ledger.find("a", "wechat")
    clock.now += 1_000
    assert await ledger.record_outcomes([news("a", later, "second")]) == 0
    await ledger.sent(["a"])
    assert await ledger.find("a", "wechat") == before
    assert before is not None
    assert (before.state, before.code, before.reply) == (final, "first", b"reply " + final.encode())
    assert ledger.backlog == 0


async def test_told_writes_what_was_said_and_when(ledger: Ledger, clock: Clock) -> None:
    await ledger.accept(row("a"))
    clock.now += 700
    await ledger.record_outcomes([news("a", State.REFUSED, "no-such-account")])
    found = await ledger.find("a", "wechat")
    assert found is not None
    assert (found.state, found.code, found.reply) == (State.REFUSED, "no-such-account", b"reply refused")
    assert (found.accepted_at, found.updated_at) == (NOW, NOW + 700)


async def test_duplicates_in_one_batch_count_once(ledger: Ledger) -> None:
    for id in "abc":
        await ledger.accept(row(id))
    finished = await ledger.record_outcomes(
        [
            news("a", State.SUCCEEDED),
            news("a", State.SUCCEEDED),
            news("a", State.FAILED),
            news("b", State.HELD),
            news("b", State.REFUSED, "no"),
            news("nobody", State.SUCCEEDED),
            news("c", State.ACCEPTED),
        ]
    )
    assert finished == 2
    assert [await state_of(ledger, id) for id in "abc"] == [State.SUCCEEDED, State.REFUSED, State.ACCEPTED]
    assert ledger.backlog == 1


async def test_a_held_row_counts_as_backlog_until_it_is_decided_also_after_a_restart(
    ledger: Ledger, store: Store, clock: Clock
) -> None:
    await ledger.accept(row("a"))
    await ledger.accept(row("b"))
    await ledger.accept(row("other", front="front-2"))
    await ledger.record_outcomes([news("a", State.HELD), news("other", State.HELD)])
    again = Ledger(store, clock)
    await again.count_backlog("front-1")
    assert again.backlog == 2
    await again.record_outcomes([news("a", State.EXPIRED)])
    await again.record_outcomes([news("b", State.SUCCEEDED)])
    assert again.backlog == 0
    await again.count_backlog("front-1")
    assert again.backlog == 0


NUMBERS = itertools.count()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(
        st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from(sorted(State))), max_size=6), max_size=6
    )
)
async def test_whatever_replies_come_the_first_final_one_stands_and_the_count_is_right(
    ledger: Ledger, batches: list[list[tuple[str, State]]]
) -> None:
    number = next(NUMBERS)  # the database stays from example to example
    ids = {letter: f"{letter}-{number}" for letter in "xyz"}
    before = ledger.backlog
    for id in ids.values():
        await ledger.accept(row(id))
    first: dict[str, State] = {}
    for batch in batches:
        await ledger.record_outcomes([news(ids[letter], state) for letter, state in batch])
        for letter, state in batch:
            if state in FINAL:
                first.setdefault(letter, state)
        for letter, id in ids.items():
            allowed = {first[letter]} if letter in first else {State.ACCEPTED, State.HELD}
            assert await state_of(ledger, id) in allowed
    assert ledger.backlog == before + 3 - len(first)


# --- sent, due, forget ------------------------------------------------------------------------------------


async def test_sent_counts_and_a_late_receipt_changes_nothing(ledger: Ledger, store: Store, clock: Clock) -> None:
    for id in "ab":
        await ledger.accept(row(id))
    await ledger.record_outcomes([news("b", State.HELD)])
    clock.now += 10
    await ledger.sent(["a", "b"])
    clock.now += 10
    await ledger.sent(["a"])
    columns = select(REQUESTS.c.state, REQUESTS.c.sends, REQUESTS.c.sent_at).order_by(REQUESTS.c.id)
    found = await store.read(lambda connection: [tuple(one) for one in connection.execute(columns)])
    assert found == [("sent", 2, NOW + 20), ("held", 0, None)]


async def test_a_receipt_is_written_down_with_the_outcome_that_comes_meanwhile(store: Store, clock: Clock) -> None:
    ledger = Ledger(store, clock, linger_s=3_600)
    for id in "abc":
        await ledger.accept(row(id))
    sent = asyncio.create_task(ledger.sent(["a", "b"]))
    await asyncio.sleep(0)
    clock.now += 10
    commits = store.commits
    await ledger.record_outcomes([news("a", State.SUCCEEDED), news("b", State.HELD), news("c", State.REFUSED)])
    assert store.commits == commits + 1
    sent.cancel()
    columns = select(REQUESTS.c.state, REQUESTS.c.sends, REQUESTS.c.sent_at).order_by(REQUESTS.c.id)
    found = await store.read(lambda connection: [tuple(one) for one in connection.execute(columns)])
    assert found == [("succeeded", 1, NOW), ("held", 1, NOW), ("refused", 0, None)]
    await ledger.record_outcomes([news("b", State.SUCCEEDED)])
    found = await store.read(lambda connection: [tuple(one) for one in connection.execute(columns)])
    assert found[1] == ("succeeded", 1, NOW)


async def test_a_receipt_whose_outcome_is_written_already_is_not_written_again(store: Store, clock: Clock) -> None:
    ledger = Ledger(store, clock, linger_s=0.001)
    await ledger.accept(row("a"))
    sent = asyncio.create_task(ledger.sent(["a"]))
    await asyncio.sleep(0)
    await ledger.record_outcomes([news("a", State.SUCCEEDED)])
    commits = store.commits
    await sent
    assert store.commits == commits


async def test_what_is_due(ledger: Ledger, clock: Clock) -> None:
    for id in ("unsent", "sent-now", "sent-long-ago", "answered", "held"):
        await ledger.accept(row(id))
    await ledger.accept(row("of-another-front", front="front-2"))
    await ledger.sent(["sent-long-ago", "answered", "held"])
    await ledger.record_outcomes([news("answered", State.SUCCEEDED), news("held", State.HELD)])
    clock.now += 30_000
    await ledger.sent(["sent-now"])
    assert {entry.id for entry in await ledger.due("front-1", 30_000, 10)} == {"unsent"}
    clock.now += 1
    due = await ledger.due("front-1", 30_000, 10)
    assert [entry.id for entry in due] == ["sent-long-ago", "unsent"]
    assert due[0] == row("sent-long-ago").entry()
    assert [entry.id for entry in await ledger.due("front-1", 30_000, 1)] == ["sent-long-ago"]
    await ledger.sent(["sent-long-ago"])
    assert [entry.id for entry in await ledger.due("front-1", 30_000, 10)] == ["unsent"]


async def test_what_was_sent_before_the_clock_was_put_back_is_due(ledger: Ledger, clock: Clock) -> None:
    await ledger.accept(row("sent"))
    clock.now += 600_000
    await ledger.sent(["sent"])
    assert await ledger.due("front-1", 30_000, 10) == []
    clock.now -= 600_000
    assert [entry.id for entry in await ledger.due("front-1", 30_000, 10)] == ["sent"]


async def test_forget_deletes_only_what_is_final_and_old(ledger: Ledger, clock: Clock) -> None:
    for id in ("0-open", "0-sent", "0-held", "0-old", "0-new"):  # as ids of now and before sort
        await ledger.accept(row(id))
    await ledger.sent(["0-sent"])
    await ledger.record_outcomes([news("0-held", State.HELD), news("0-old", State.FAILED)])
    clock.now += 1_000
    await ledger.record_outcomes([news("0-new", State.SUCCEEDED)])
    assert await ledger.forget(clock.now) == 1
    assert await ledger.counts() == {"accepted": 1, "sent": 1, "held": 1, "succeeded": 1}
    # its key is free again: a new request, not an old answer
    fresh = row("again", key="key of 0-old")
    assert await ledger.accept(fresh) is fresh


async def test_no_key_body_or_reply_shows_in_a_repr() -> None:
    assert "sealed" not in repr(row("a"))
    assert "reply" not in repr(news("a", State.HELD)).replace("reply=", "")


async def test_each_further_sending_waits_longer(ledger: Ledger, clock: Clock) -> None:
    await ledger.accept(row("a"))
    sent_at: list[int] = []
    for _ in range(3):
        await ledger.sent(["a"])
        start = clock.now
        while not await ledger.due("front-1", 1_000, 10):
            clock.now += 500
        sent_at.append(clock.now - start)
    assert sent_at == [1_500, 4_500, 9_500]


async def test_what_was_never_answered_is_named_unknown_in_the_end(ledger: Ledger, clock: Clock) -> None:
    await ledger.accept(row("a"))
    clock.now += UNDELIVERED_MS - 1
    assert await ledger.hold_undelivered("front-1") == 0
    clock.now += 1
    assert await ledger.due("front-1", 1_000, 10) == []  # the bridge would refuse it as stale
    assert await ledger.hold_undelivered("front-1") == 1
    assert (await ledger.counts()) == {"held": 1}
    assert await ledger.hold_undelivered("front-1") == 0


async def test_a_commit_that_failed_after_it_was_done_is_no_duplicate(
    ledger: Ledger, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = store._engine.dialect.do_commit
    failures = iter([True])

    def done_but_said_to_have_failed(connection: object) -> None:
        commit(connection)  # type: ignore[arg-type]
        if next(failures, False):
            raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(store._engine.dialect, "do_commit", done_but_said_to_have_failed)
    held = await ledger.accept(row("a", key="k"))
    assert held.id == "a"
    assert ledger.backlog == 1  # accepted, not found: the caller is its first


# --- what is kept of what is done -------------------------------------------------------------------------


async def test_the_sealed_request_goes_with_the_outcome_and_the_version_stays(ledger: Ledger) -> None:
    await ledger.accept(row("a"))
    await ledger.accept(row("b"))
    await ledger.record_outcomes([news("a", State.HELD), news("b", State.HELD), news("b", State.SUCCEEDED)])
    held, final = await ledger.find("a", "wechat"), await ledger.find("b", "wechat")
    assert held is not None
    assert final is not None
    assert (held.envelope, held.state) == (b"sealed a", State.HELD)
    assert (final.envelope, final.state, final.reply) == (b"s", State.SUCCEEDED, b"reply succeeded")
    assert await ledger.wire_version() == ord("s")


async def test_a_reply_is_dropped_a_while_after_the_caller_had_it_and_never_before(
    ledger: Ledger, store: Store, clock: Clock
) -> None:
    for id in ("had", "not-yet", "never-asked"):
        await ledger.accept(row(id))
    await ledger.record_outcomes([news(id, State.REFUSED, "no") for id in ("had", "not-yet", "never-asked")])
    ledger.answered("had")
    await ledger.note_answered()
    clock.now += 1_000
    ledger.answered("had")
    ledger.answered("not-yet")
    await ledger.note_answered()
    assert await ledger.drop(NOW) == 0
    assert await ledger.drop(NOW + 1_000) == 1
    for id, kept in (("had", None), ("not-yet", b"reply refused"), ("never-asked", b"reply refused")):
        found = await ledger.find(id, "wechat")
        assert found is not None
        assert (found.state, found.code, found.reply) == (State.REFUSED, "no", kept)


async def test_sealed_requests_that_an_older_program_kept_are_dropped(ledger: Ledger, store: Store) -> None:
    await ledger.accept(row("a"))
    await ledger.record_outcomes([news("a", State.SUCCEEDED)])
    old = REQUESTS.update().values(envelope=b"sealed a")
    await store.write(lambda connection: connection.execute(old).rowcount)
    await ledger.drop(0)
    found = await ledger.find("a", "wechat")
    assert found is not None
    assert found.envelope == b"s"
