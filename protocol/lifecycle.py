"""The life of a request: one transition table for both sides. A move that is not in it raises.

::

                       front's ledger                                 bridge's inbox
      ┌──────────┐ sent ┌──────┐                        ┌──────────┐ call  ┌─────────┐
      │ accepted ├─────►│ sent │                        │ received ├──────►│ calling ├──┐ retry: surely not
      └────┬─────┘      └──┬───┘                        └──▲───────┘       └─┬──┬────┘  │ applied
           │ expire        │ the reply tells               └─────────────────┼──┼───────┘
           ▼               ▼                                                 │  │ lose
        expired     succeeded refused failed held              succeed refuse│  ▼
                              ▲                                fail          │ unknown ──► calling (repeat)
                              │ an operator resolves                         ▼    │ ├────► received (inquiry: not there)
                             held ◄────────────────────── hold ───────────────────┘ └────► succeeded … (inquiry: found)
                               └──────── an operator has it inquired about ──► unknown
"""

from enum import StrEnum

from protocol.errors import IllegalMove


class State(StrEnum):
    """Where a request stands."""

    ACCEPTED = "accepted"
    """The front's ledger holds it durably; not yet on the broker as far as we know."""
    SENT = "sent"
    """The broker gave a receipt for it."""
    RECEIVED = "received"
    """The bridge's inbox holds it durably; no call was made, or the last one surely had no effect."""
    CALLING = "calling"
    """The marketing system is being called. After a crash a row in this state has an unknown outcome."""
    UNKNOWN = "unknown"
    """A call was made and its outcome is not known; the operation's rule says what may be done."""
    HELD = "held"
    """Unknown, and only an operator may decide."""
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    """The marketing system's business answer is no; nothing was applied."""
    FAILED = "failed"
    """Given up, and surely not applied."""
    EXPIRED = "expired"
    """Its own expiry passed before any call was made."""


class Event(StrEnum):
    """What can happen to a request."""

    SEND = "send"
    CALL = "call"
    RETRY = "retry"
    LOSE = "lose"
    HOLD = "hold"
    INQUIRE = "inquire"
    SUCCEED = "succeed"
    REFUSE = "refuse"
    FAIL = "fail"
    EXPIRE = "expire"


FINAL = frozenset({State.SUCCEEDED, State.REFUSED, State.FAILED, State.EXPIRED})
"""Nothing happens to a request after one of these."""

REPORTED = FINAL | {State.HELD}
"""What a reply may say of a request: its outcome, or that its outcome is unknown and held."""

_OUTCOMES = {
    Event.SUCCEED: State.SUCCEEDED,
    Event.REFUSE: State.REFUSED,
    Event.FAIL: State.FAILED,
    Event.EXPIRE: State.EXPIRED,
    Event.HOLD: State.HELD,
}

TRANSITIONS: dict[State, dict[Event, State]] = {
    State.ACCEPTED: {Event.SEND: State.SENT, **_OUTCOMES},
    State.SENT: {**_OUTCOMES},
    State.RECEIVED: {
        Event.CALL: State.CALLING,
        Event.FAIL: State.FAILED,  # also when an operator takes it back
        Event.EXPIRE: State.EXPIRED,
    },
    State.CALLING: {
        Event.SUCCEED: State.SUCCEEDED,
        Event.REFUSE: State.REFUSED,
        Event.FAIL: State.FAILED,
        Event.RETRY: State.RECEIVED,
        Event.LOSE: State.UNKNOWN,
    },
    State.UNKNOWN: {
        Event.CALL: State.CALLING,
        Event.RETRY: State.RECEIVED,
        Event.SUCCEED: State.SUCCEEDED,
        Event.REFUSE: State.REFUSED,
        Event.HOLD: State.HELD,
    },
    State.HELD: {
        Event.RETRY: State.RECEIVED,
        Event.INQUIRE: State.UNKNOWN,
        Event.SUCCEED: State.SUCCEEDED,
        Event.REFUSE: State.REFUSED,
        Event.FAIL: State.FAILED,
        Event.EXPIRE: State.EXPIRED,  # the ledger only: the bridge tried it again on an operator's word, too late
    },
    **{state: {} for state in FINAL},
}


def move(state: State, event: Event) -> State:
    """The state that follows. Raises IllegalMove when the table has no such move."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalMove(f"a request that is {state} cannot {event}") from None


def state_reported(state: State, reported: State) -> State | None:
    """What the ledger does with a reply saying `reported`: the new state, or None to ignore it.

    A duplicate or late reply is ignored: a final state never changes, whatever arrives.
    """
    if state in FINAL or state == reported or reported not in REPORTED:
        return None
    event = next(event for event, outcome in _OUTCOMES.items() if outcome == reported)
    return move(state, event)
