"""The life of a request: the whole table, and that the ledger is never told backwards."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import IllegalMove
from protocol.lifecycle import FINAL, REPORTED, TRANSITIONS, Event, State, move, state_reported

# Written out a second time on purpose: a change of the table has to be meant.
TABLE = """
    accepted send    -> sent
    accepted hold    -> held
    accepted succeed -> succeeded
    accepted refuse  -> refused
    accepted fail    -> failed
    accepted expire  -> expired
    sent     hold    -> held
    sent     succeed -> succeeded
    sent     refuse  -> refused
    sent     fail    -> failed
    sent     expire  -> expired
    received call    -> calling
    received fail    -> failed
    received expire  -> expired
    calling  succeed -> succeeded
    calling  refuse  -> refused
    calling  fail    -> failed
    calling  retry   -> received
    calling  lose    -> unknown
    unknown  call    -> calling
    unknown  retry   -> received
    unknown  succeed -> succeeded
    unknown  refuse  -> refused
    unknown  hold    -> held
    held     retry   -> received
    held     inquire -> unknown
    held     succeed -> succeeded
    held     refuse  -> refused
    held     fail    -> failed
    held     expire  -> expired
"""
MOVES = {(State(state), Event(event)): State(to) for state, event, to in re.findall(r"(\w+) +(\w+) +-> +(\w+)", TABLE)}
LEDGER = frozenset({State.ACCEPTED, State.SENT}) | REPORTED
"""The states a row of the front's ledger can be in."""


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_every_state_and_event(state: State, event: Event) -> None:
    if (state, event) in MOVES:
        assert move(state, event) is MOVES[state, event]
    else:
        with pytest.raises(IllegalMove, match=f"a request that is {state} cannot {event}"):
            move(state, event)


def test_the_table_knows_every_state() -> None:
    assert set(TRANSITIONS) == set(State)
    assert sum(map(len, TRANSITIONS.values())) == len(MOVES) == 30


def test_nothing_happens_after_a_final_state() -> None:
    assert {state for state in State if not TRANSITIONS[state]} == FINAL


def test_every_state_can_come_to_an_end() -> None:
    ends = set(FINAL)
    while True:
        more = {state for state, moves in TRANSITIONS.items() if set(moves.values()) & ends} - ends
        if not more:
            break
        ends |= more
    assert ends == set(State)


def test_an_effect_is_never_made_twice_without_being_named_unknown_first() -> None:
    """From `calling` no road leads to another call but over `received` (surely no effect) or `unknown`."""
    assert Event.CALL not in TRANSITIONS[State.CALLING]
    into_calling = {state for state, moves in TRANSITIONS.items() if State.CALLING in moves.values()}
    assert into_calling == {State.RECEIVED, State.UNKNOWN}


@pytest.mark.parametrize(("state", "reported"), list(product(sorted(LEDGER), State)))
def test_told_says_the_report_or_nothing(state: State, reported: State) -> None:
    change = state_reported(state, reported)
    ignored = state in FINAL or reported == state or reported not in REPORTED
    assert change is (None if ignored else reported)


RANK = {State.ACCEPTED: 0, State.SENT: 1, State.HELD: 2} | dict.fromkeys(FINAL, 3)


@given(st.sampled_from([State.ACCEPTED, State.SENT]), st.lists(st.sampled_from(sorted(State)), max_size=30))
def test_told_never_goes_backwards(state: State, reports: list[State]) -> None:
    final = None
    for reported in reports:
        change = state_reported(state, reported)
        if change is not None:
            assert change is reported
            assert RANK[change] > RANK[state]
            state = change
        final = final or (state if state in FINAL else None)
        assert final is None or state is final
    assert (state in FINAL) is any(reported in FINAL for reported in reports)
