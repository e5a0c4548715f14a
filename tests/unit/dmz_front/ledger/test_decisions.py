"""Decisions at the front's database: each answered once, and sent by another front when its own is gone."""

import pytest

from dmz_front.ledger.decisions import DecisionLedger
from protocol.administration import Choice
from protocol.decisions import TYPE, Decision, LedgerEntry
from protocol.errors import BridgeError
from protocol.lifecycle import State
from protocol.messages import Attributes, Reply
from protocol.runtime.store import Store
from tests.unit.clock import Clock

pytestmark = pytest.mark.anyio

QUEUE = "/queue/bridge.command.main"


@pytest.fixture
def ledger(store: Store, clock: Clock) -> DecisionLedger:
    return DecisionLedger(store, "front-1", clock)


async def decided(ledger: DecisionLedger, id: str, request: str, at: int) -> None:
    entry = LedgerEntry(operation="work-order", source="front-1/wechat", reply_to="/queue/r", accepted_at=at)
    decision = Decision(request=request, choice=Choice.CANCEL, by="root", note="why", at=at, command=entry)
    await ledger.take(id, decision, QUEUE, b"sealed " + id.encode(), lambda _: None)


def answer(id: str, state: State, detail: str = "") -> Reply:
    return Reply(Attributes(id, "bridge-1", TYPE, 1), state, detail=detail)


async def test_what_a_dead_front_decided_is_sent_by_the_one_that_adopts_it(
    ledger: DecisionLedger, store: Store, clock: Clock
) -> None:
    theirs = DecisionLedger(store, "front-2", clock)
    for id in ("sent", "unsent", "answered"):
        await decided(theirs, id, f"of-{id}", clock.now)
    await decided(DecisionLedger(store, "front-3", clock), "other", "of-other", clock.now)
    await theirs.sent(["sent", "answered"])
    await theirs.answered([answer("answered", State.SUCCEEDED)])
    assert await ledger.due(1_000, 10) == []
    assert await store.write(lambda connection: ledger.adopt(connection, ["front-2"])) == 2
    # at once, though it was sent a moment ago: who knows what became of it
    assert [(entry.id, entry.envelope) for entry in await ledger.due(1_000, 10)] == [
        ("sent", b"sealed sent"),
        ("unsent", b"sealed unsent"),
    ]
    assert await theirs.due(1_000, 10) == []


async def test_the_first_answer_stays(ledger: DecisionLedger, clock: Clock) -> None:
    await decided(ledger, "a", "request", clock.now)
    await ledger.answered([answer("a", State.REFUSED, "it is calling")])
    await ledger.answered([answer("a", State.SUCCEEDED)])
    [one] = await ledger.of("request")
    assert (one.standing, one.because) == ("refused", "it is calling")
    await decided(ledger, "b", "request", clock.now)  # it may be decided again
    assert [one.standing for one in await ledger.of("request")] == ["refused", "pending"]


async def test_a_commit_that_seemed_to_fail_is_done_once(ledger: DecisionLedger, clock: Clock) -> None:
    for _ in range(2):
        await decided(ledger, "a", "request", clock.now)
    assert len(await ledger.of("request")) == 1
    with pytest.raises(BridgeError, match="cancel was decided of request already"):
        await decided(ledger, "b", "request", clock.now)


async def test_only_what_is_answered_and_old_is_forgotten(ledger: DecisionLedger, clock: Clock) -> None:
    await decided(ledger, "old", "one", clock.now)
    await ledger.answered([answer("old", State.SUCCEEDED)])
    await decided(ledger, "pending", "two", clock.now)
    clock.now += 1_000
    await decided(ledger, "new", "three", clock.now)
    await ledger.answered([answer("new", State.SUCCEEDED)])
    await ledger.forget(clock.now)
    assert [len(await ledger.of(request)) for request in ("one", "two", "three")] == [0, 1, 1]
