"""Every row of the lifecycle's table, killed on both sides of its commit: real SQLite, a real SIGKILL.

What the whole pair does when it is killed is shown by tests/faults/test_crash_points.py. Here each transition is made
once by the part that makes it (also those that no operation of the shipped catalogue can come to), in a process that
dies either before COMMIT or after it; the next process must find exactly the state before or after, and bring the
command to its end.
"""

import asyncio
import contextlib
import itertools
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from dmz_front.ledger.ledger import Ledger, ReportedOutcome
from dmz_front.ledger.rows import METADATA, Row
from intranet_bridge.inbox.rows import INBOX
from intranet_bridge.marketing import Absent, Answered, Fault, NotApplied, Refused, Rejected, Unknown
from protocol.lifecycle import TRANSITIONS, Event, State
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.store import Store
from tests.unit.clock import NOW
from tests.unit.forked import dies_at
from tests.unit.intranet_bridge.harness import DONE, LOST, Stage, until, wall

Transition = tuple[State, Event]
OUTCOMES = {
    Event.SUCCEED: State.SUCCEEDED, Event.REFUSE: State.REFUSED, Event.FAIL: State.FAILED,
    Event.EXPIRE: State.EXPIRED, Event.HOLD: State.HELD,
}  # fmt: skip

# --- the front's ledger -------------------------------------------------------------------------------------

LEDGER: list[Transition] = [
    (state, event)
    for state in (State.ACCEPTED, State.SENT, State.HELD)
    for event in TRANSITIONS[state]
    if event not in (Event.RETRY, Event.INQUIRE)  # the bridge's
]
ROW = Row("id", "front-1", "wechat", "key", b"f" * 32, "work-order", "/queue/q", envelope=b"x", accepted_at=NOW)


async def in_ledger(folder: Path, do: Any) -> Any:
    store = Store(f"sqlite:///{folder / 'front.sqlite3'}", METADATA.create_all)
    await store.start()
    try:
        return await do(Ledger(store, lambda: NOW))
    finally:
        await store.close()


@pytest.mark.parametrize("committed", [False, True], ids=["uncommitted", "committed"])
@pytest.mark.parametrize(("state", "event"), LEDGER)
def test_the_ledger(tmp_path: Path, state: State, event: Event, committed: bool) -> None:
    async def set_up(ledger: Ledger) -> None:
        await ledger.accept(ROW)
        if state is not State.ACCEPTED:
            await ledger.sent(["id"])
        if state is State.HELD:
            await ledger.record_outcomes([ReportedOutcome("id", State.HELD, "held", b"r")])

    async def step(ledger: Ledger) -> None:
        if event is Event.SEND:
            await ledger.sent(["id"])
            reach(Point.OUTBOX_RECORDED)
        else:
            await ledger.record_outcomes([ReportedOutcome("id", OUTCOMES[event], "", b"reply")])
            reach(Point.FRONT_TOLD_COMMITTED)

    async def state_now(ledger: Ledger) -> State:
        found = await ledger.find("id", "wechat")
        assert found is not None
        return found.state

    asyncio.run(in_ledger(tmp_path, set_up))
    before, after = ("front.sent-uncommitted", "outbox.recorded") if event is Event.SEND else (
        "front.told-uncommitted", "front.told-committed",
    )  # fmt: skip
    dies_at(after if committed else before, lambda: in_ledger(tmp_path, step))
    assert asyncio.run(in_ledger(tmp_path, state_now)) is (TRANSITIONS[state][event] if committed else state)
    asyncio.run(in_ledger(tmp_path, step))  # the receipt or the reply comes again
    assert asyncio.run(in_ledger(tmp_path, state_now)) is TRANSITIONS[state][event]


# --- the bridge's inbox -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Move:
    """How a transition is come to, and what must become of it."""

    covers: tuple[Transition, ...]
    point: str
    found: State
    ends: State = State.SUCCEEDED
    operation: str = "work-order"
    script: Sequence[Any] = ()
    findings: Sequence[Any] = ()
    afterwards: Sequence[Any] = ()
    """What inquiries find after the restart."""
    changes: dict[str, Any] = field(default_factory=dict)
    within_ms: int = 0
    """The command's expiry, from now."""
    decided: State | None = None
    """What an operator decides when it is held."""
    calls: int = 1
    """In both lives together."""


BUSY = NotApplied("HTTP 429", reached=True)
ODD = Unknown("not JSON", fault=Fault.ANSWER)
S, E = State, Event


def both(before: State, event: Event, step: str, nth: str = "", **more: Any) -> list[Move]:
    """The two sides of one step that makes one transition."""
    moves = ((before, event),)
    found = more.pop("found", TRANSITIONS[before][event])
    calls = more.pop("calls", (1, 1))
    return [
        Move(moves, f"bridge.{step}-uncommitted{nth}", more.pop("from_", before), calls=calls[0], **more),
        Move(moves, f"bridge.{step}-committed{nth}", found, calls=calls[1], **more),
    ]


DID_IT: dict[str, Any] = {"afterwards": [Answered(DONE)]}
INBOX_MOVES: list[Move] = [
    *both(S.RECEIVED, E.CALL, "calling"),
    # each of three calls surely had no effect: back to received, and failed, in one commit
    *both(S.RECEIVED, E.FAIL, "finished", from_=S.CALLING, script=[BUSY] * 9, ends=S.FAILED, calls=(3, 3)),
    *both(S.RECEIVED, E.EXPIRE, "finished", within_ms=-1, ends=S.EXPIRED, calls=(0, 0)),
    *both(S.CALLING, E.SUCCEED, "finished", **DID_IT),
    *both(S.CALLING, E.REFUSE, "finished", script=[Refused("no-such-account")] * 2, ends=S.REFUSED, calls=(2, 1)),
    *both(S.CALLING, E.FAIL, "finished", script=[Rejected("HTTP 404")] * 2, ends=S.FAILED, calls=(2, 1)),
    *both(S.CALLING, E.RETRY, "moved", script=[BUSY], calls=(2, 2)),
    *both(S.CALLING, E.LOSE, "moved", script=[LOST], **DID_IT),
    *both(S.UNKNOWN, E.CALL, "calling", ":2", operation="repeatable", script=[LOST], calls=(2, 2)),
    *both(S.UNKNOWN, E.RETRY, "moved", ":2", script=[LOST], findings=[Absent()], calls=(2, 2)),
    *both(S.UNKNOWN, E.SUCCEED, "finished", script=[LOST], findings=[Answered(DONE)], **DID_IT),
    *both(
        S.UNKNOWN, E.REFUSE, "finished", script=[LOST], findings=[Refused("closed")], afterwards=[Refused("closed")],
        ends=S.REFUSED,
    ),
    *both(S.UNKNOWN, E.HOLD, "finished", operation="delicate", script=[LOST], from_=S.CALLING, ends=S.HELD),
]  # fmt: skip
for outcome in (E.SUCCEED, E.REFUSE, E.FAIL):
    INBOX_MOVES += both(
        S.HELD, outcome, "finished", ":2", operation="delicate", script=[LOST], ends=OUTCOMES[outcome],
        decided=OUTCOMES[outcome], from_=OUTCOMES[outcome],
    )  # fmt: skip
INBOX_MOVES += both(
    S.HELD, E.RETRY, "moved", operation="delicate", script=[LOST], decided=S.RECEIVED, from_=S.RECEIVED, calls=(2, 2)
)
INBOX_MOVES += both(
    S.HELD, E.INQUIRE, "moved", script=[ODD], changes={"commands.unreadable_max": 1}, decided=S.UNKNOWN,
    from_=S.UNKNOWN, **DID_IT,
)  # fmt: skip
INBOX_MOVES += [
    Move(((S.HELD, E.RETRY),), "bridge.decision-found", S.RECEIVED, operation="delicate", script=[LOST],
         decided=S.RECEIVED, calls=2),
]  # fmt: skip


class Kept(list[str]):
    """A list of calls that outlives the process."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def append(self, item: str) -> None:
        with self._file.open("a") as out:
            out.write(item + "\n")

    def all(self) -> list[str]:
        return self._file.read_text().split() if self._file.exists() else []


@pytest.mark.parametrize("move", INBOX_MOVES, ids=lambda m: f"{m.covers[0][0]}-{m.covers[0][1]}@{m.point}")
def test_the_inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, move: Move) -> None:
    stage = Stage(tmp_path, monkeypatch)
    stage.changes["breaker.failures"] = 1000
    stage.changes |= move.changes
    marketing = stage.marketing[move.operation]
    marketing.calls = calls = Kept(tmp_path / "calls")
    marketing.script, marketing.findings = list(move.script), list(move.findings)
    id, envelope = stage.envelope(move.operation, deadline=wall() + move.within_ms if move.within_ms else 0)

    async def decide() -> None:
        await stage.until_state(id, "held", 20)
        decided = update(INBOX).where(INBOX.c.id == id, INBOX.c.state == "held")
        statement = decided.values(state=move.decided, code="", note="looked up", decided_at=wall())
        await stage.bridge.store.write(lambda connection: connection.execute(statement))

    async def second_life() -> None:
        used = len(calls.all())
        marketing.script, marketing.findings = list(move.script)[used:], list(move.afterwards)
        async with asyncio.timeout(60):
            await stage.open()
            bridge = await stage.start()
            await stage.send(envelope)  # the broker delivers it again, acknowledged or not
            await stage.until_state(id, move.ends, 20)
            await stage.until_replied(id, 20)
            await until(lambda: stage.of(id) and stage.of(id)[-1].state is move.ends)  # the front may hear it later
            assert not bridge.workers.in_flight
            await stage.kill()

    stage.dies_at(move.point, envelope, doing=decide if move.decided is not None else None)
    assert found_state(tmp_path, id) == move.found
    asyncio.run(second_life())
    assert calls.all() == [id] * move.calls


def found_state(folder: Path, id: str) -> str | None:
    with contextlib.closing(sqlite3.connect(folder / "bridge.sqlite3")) as database:
        row = database.execute("select state from inbox where id = ?", (id,)).fetchone()
    return None if row is None else str(row[0])


def test_a_crash_during_the_recovery_from_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """calling → unknown, as the start of the next process makes it."""
    stage = Stage(tmp_path, monkeypatch)
    calls = stage.marketing["work-order"].calls = Kept(tmp_path / "calls")
    id, envelope = stage.envelope()

    async def last() -> None:
        stage.marketing["work-order"].findings = [Answered(DONE)]
        await stage.open()
        await stage.start()
        assert (await stage.reply(id, 20)).state is State.SUCCEEDED
        await stage.kill()

    stage.dies_at("bridge.called", envelope)
    stage.dies_at("bridge.recovery-uncommitted", envelope)
    assert found_state(tmp_path, id) == "calling"
    stage.dies_at("bridge.recovery-committed", envelope)
    assert found_state(tmp_path, id) == "unknown"
    asyncio.run(last())
    assert calls.all() == [id]


# --- the whole table ------------------------------------------------------------------------------------------


def test_no_transition_is_left_out() -> None:
    every = {(state, event) for state, moves in TRANSITIONS.items() for event in moves}
    inbox = {transition: [m.point for m in INBOX_MOVES if transition in m.covers] for transition in every}
    for transition in every - set(LEDGER):
        sides = {point.partition(":")[0].rpartition("-")[2] for point in inbox[transition]}
        assert sides >= {"uncommitted", "committed"}, transition
    assert every == set(LEDGER) | set(itertools.chain.from_iterable(move.covers for move in INBOX_MOVES))
