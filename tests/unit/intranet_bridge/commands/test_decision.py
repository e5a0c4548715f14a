"""The decision table of commands, row by row; and that no decision leaves the lifecycle."""

import itertools
from typing import Any

import pytest

from intranet_bridge.commands import decision
from intranet_bridge.commands.decision import Finish, Hold, Inquire, Repeat, RetryAfter, Rule, Step
from intranet_bridge.marketing import Absent, Answered, Fault, Finding, NotApplied, Outcome, Refused, Rejected, Unknown
from protocol.backoff import Backoff
from protocol.lifecycle import State
from protocol.operations import UnknownOutcome

BACKOFF = Backoff(0.5, 30, lambda: 0.0)
OUTCOMES: list[Outcome] = [
    Answered(b"{}"),
    Refused("no"),
    Rejected("HTTP 404"),
    NotApplied("down", reached=False),
    NotApplied("busy", reached=True),
    Unknown("lost"),
]
FINDINGS: list[Finding] = [Answered(b"{}"), Refused("no"), Absent(), Unknown("lost")]


def rule(unknown: UnknownOutcome = UnknownOutcome.INQUIRE) -> Rule:
    return Rule(unknown, attempts=3, settle_s=5, backoff=BACKOFF)


def ends(state: State, step: Step) -> State:
    return decision.reached_state(state, step)


@pytest.mark.parametrize(
    ("outcome", "state", "code"),
    [
        (Answered(b"{}"), State.SUCCEEDED, ""),
        (Refused("no"), State.REFUSED, "no"),
        (Rejected("HTTP 404"), State.FAILED, "marketing-rejected"),
    ],
)
def test_known_outcomes_finish(outcome: Any, state: State, code: str) -> None:
    step = decision.after_call(rule(), 1, 0, outcome)
    assert isinstance(step, Finish)
    assert (ends(State.CALLING, step), step.code) == (state, code)


def test_unreached_never_gives_up_and_never_counts() -> None:
    for failures in (1, 10, 10_000):
        step = decision.after_call(rule(), 99, failures, NotApplied("down", reached=False))
        assert isinstance(step, RetryAfter)
        assert not step.counts
        assert step.seconds <= 30
        assert ends(State.CALLING, step) is State.RECEIVED


def test_reached_and_not_applied_gives_up_after_its_attempts() -> None:
    for attempts in (1, 2):
        step = decision.after_call(rule(), attempts, attempts, NotApplied("busy", reached=True))
        assert isinstance(step, RetryAfter)
        assert step.counts
    step = decision.after_call(rule(), 3, 3, NotApplied("busy", reached=True))
    assert isinstance(step, Finish)
    assert ends(State.CALLING, step) is State.FAILED


@pytest.mark.parametrize(
    ("unknown", "kind", "state"),
    [
        (UnknownOutcome.REPEAT, Repeat, State.UNKNOWN),
        (UnknownOutcome.INQUIRE, Inquire, State.UNKNOWN),
        (UnknownOutcome.HOLD, Hold, State.HELD),
    ],
)
def test_unknown_goes_by_the_rule_also_after_a_crash(unknown: UnknownOutcome, kind: type, state: State) -> None:
    step = decision.after_call(rule(unknown), 1, 1, Unknown("lost"))
    assert isinstance(step, kind)
    assert ends(State.CALLING, step) is state
    for found in (State.CALLING, State.UNKNOWN):
        step = decision.after_crash(rule(unknown), found)
        assert isinstance(step, kind)
        assert ends(found, step) is state


def test_what_comes_of_a_repetition_says_nothing_of_the_call_before_it() -> None:
    """It is unknown whether that was applied: it is not given up, nor where it may be expired or taken back."""
    before = State.UNKNOWN
    for nothing in (NotApplied("the lease may be over", reached=False), NotApplied("busy", reached=True)):
        for attempts in (2, 3, 99):
            step = decision.after_call(rule(UnknownOutcome.REPEAT), attempts, attempts, nothing, before=before)
            assert isinstance(step, Repeat)
            assert ends(State.CALLING, step) is State.UNKNOWN
    step = decision.after_call(rule(UnknownOutcome.REPEAT), 2, 0, Rejected("HTTP 404"), before=before)
    assert isinstance(step, Hold)
    assert ends(State.CALLING, step) is State.HELD
    for said, state in ((Answered(b"{}"), State.SUCCEEDED), (Refused("no"), State.REFUSED)):
        step = decision.after_call(rule(UnknownOutcome.REPEAT), 2, 0, said, before=before)
        assert ends(State.CALLING, step) is state


def test_the_first_inquiry_waits_for_the_lost_call_to_end() -> None:
    for step in (decision.after_call(rule(), 1, 1, Unknown("lost")), decision.after_crash(rule(), State.CALLING)):
        assert isinstance(step, Inquire)
        assert step.seconds == 5


def test_inquiries() -> None:
    assert ends(State.UNKNOWN, decision.after_inquiry(rule(), 1, 0, Answered(b"{}"))) is State.SUCCEEDED
    assert ends(State.UNKNOWN, decision.after_inquiry(rule(), 1, 0, Refused("no"))) is State.REFUSED
    again = decision.after_inquiry(rule(), 1, 0, Absent())
    assert isinstance(again, RetryAfter)
    assert ends(State.UNKNOWN, again) is State.RECEIVED
    assert ends(State.UNKNOWN, decision.after_inquiry(rule(), 3, 0, Absent())) is State.FAILED
    failed = decision.after_inquiry(rule(), 3, 50, Unknown("down"))
    assert isinstance(failed, Inquire)
    assert ends(State.UNKNOWN, failed) is State.UNKNOWN


def test_expiry() -> None:
    assert decision.before_call(0, 10) is None
    assert decision.before_call(10, 10) is None
    late = decision.before_call(9, 10)
    assert late is not None
    assert ends(State.RECEIVED, late) is State.EXPIRED
    held = decision.before_repeat(9, 10)
    assert held is not None
    assert ends(State.UNKNOWN, held) is State.HELD


def test_every_decision_is_a_legal_move() -> None:
    for unknown, attempts, failures in itertools.product(UnknownOutcome, (1, 3, 7), (0, 1, 1000)):
        for outcome, before in itertools.product(OUTCOMES, (State.RECEIVED, State.UNKNOWN)):
            ends(State.CALLING, decision.after_call(rule(unknown), attempts, failures, outcome, before=before))
        for finding in FINDINGS:
            ends(State.UNKNOWN, decision.after_inquiry(rule(unknown), attempts, failures, finding))


def test_waits_grow_to_their_limit_with_jitter() -> None:
    assert [BACKOFF.after(n) for n in (1, 2, 3, 6, 7, 10_000)] == [0.5, 1, 2, 16, 30, 30]
    assert Backoff(0.5, 30, lambda: 0.999).after(1) == pytest.approx(0.75, abs=0.001)


@pytest.mark.parametrize("unknown", UnknownOutcome)
@pytest.mark.parametrize(("fault", "code"), [(Fault.ANSWER, "outcome-unreadable"), (Fault.MISMATCH, "answer-mismatch")])
def test_an_outcome_that_cannot_be_read_so_often_is_held(unknown: UnknownOutcome, fault: Fault, code: str) -> None:
    odd = Unknown("answer: not JSON", fault=fault)
    called, inquired = (
        decision.after_call(rule(unknown), 1, 10, odd, 10),
        decision.after_inquiry(rule(unknown), 1, 10, odd, 10),
    )
    for state, step in ((State.CALLING, called), (State.UNKNOWN, inquired)):
        assert isinstance(step, Hold)
        assert (step.code, ends(state, step)) == (code, State.HELD)
        assert "10 answers" in step.reason
    assert isinstance(decision.after_inquiry(rule(unknown), 1, 9, odd, 9), Inquire)


def test_an_interface_that_is_down_holds_nothing() -> None:
    down = Unknown("HTTP 502")
    assert isinstance(decision.after_inquiry(rule(), 1, 5000, down, 9), Inquire)
    assert isinstance(decision.after_inquiry(rule(), 1, 5000, down, 5000), Inquire)
    assert isinstance(decision.after_call(rule(), 1, 5000, down, 5000), Inquire)
