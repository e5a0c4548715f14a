"""What to do next with a command: pure functions from what is known to a step. The worker only carries it out.

============================  ==============================================================================
a call came to                then
============================  ==============================================================================
Answered                      succeeded
Refused                       refused
Rejected                      failed: surely not applied, and repeating is pointless
NotApplied, not reached       again, for ever (until the command's own expiry): says nothing of this request
NotApplied, reached           again, until the operation's `attempts` are used up; then failed
Unknown, rule repeat          again, for ever: the interface is idempotent, and only an answer tells the outcome
Unknown, rule inquire         inquire, first after `settle_s`; a failed inquiry is repeated for ever
Unknown, rule hold            held: an operator decides
...of one whose earlier call
is unknown (rule repeat):
Answered / Refused            succeeded / refused: the interface says what came of the request, not of this call
NotApplied                    as Unknown: this call did nothing, the earlier one may have
Rejected                      held: the same, and repeating is pointless
an inquiry came to
Answered / Refused            succeeded / refused
Absent                        as NotApplied, reached
Unknown                       inquire again
----------------------------  ------------------------------------------------------------------------------
whatever the rule, an answer that cannot be read (or is about something else) for the `unreadable_max`-th time: held
============================  ==============================================================================

A call that was made and whose outcome was lost with a crash is Unknown too: `after_crash`.
"""

from dataclasses import dataclass, field

from intranet_bridge.inbox.attachments import Waiting
from intranet_bridge.marketing import Absent, Answered, Fault, Finding, NotApplied, Outcome, Refused, Rejected, Unknown
from protocol.attachments import FAULT_CODES
from protocol.backoff import Backoff
from protocol.lifecycle import Event, State, move
from protocol.operations.operation import UnknownOutcome

_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
"""Looks for attachments that are on their way become rarer from the one to the other."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The outcome is known: store it and tell the front."""

    events: tuple[Event, ...]
    code: str = ""
    detail: str = field(default="", repr=False)
    result: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Call again; the row is where it was before the call."""

    events: tuple[Event, ...]
    seconds: float
    counts: bool
    """Whether the call just made is one of the operation's `attempts`."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Inquire:
    """Ask the marketing system what became of it."""

    events: tuple[Event, ...]
    seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Call again although the outcome of the last call is unknown: the interface is idempotent."""

    events: tuple[Event, ...]
    seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """Only an operator may decide."""

    events: tuple[Event, ...]
    reason: str
    code: str = "held"


Step = Finish | RetryAfter | Inquire | Repeat | Hold


@dataclass(frozen=True, slots=True)
class Rule:
    """What an operation allows."""

    unknown: UnknownOutcome
    attempts: int
    settle_s: float
    backoff: Backoff
    unreadable_max: int = 10
    """So many answers about one command that cannot be read are enough."""


def unreadable(came_to: Outcome | Finding) -> bool:
    """Whether an answer came and does not tell what was done."""
    return isinstance(came_to, Unknown) and came_to.fault is not Fault.INTERFACE


def after_call(
    rule: Rule, attempts: int, failures: int, outcome: Outcome, unread: int = 0, *, before: State = State.RECEIVED
) -> Step:
    """From CALLING. `attempts` counts the calls that count, this one included; `failures` those in a row; `unread` the
    answers about this command that could not be read, this one included. `before`: the state it was called from.
    """
    if unreadable(outcome) and unread >= rule.unreadable_max:
        return _given_up((Event.LOSE, Event.HOLD), outcome, unread)
    match outcome:
        case Answered(result):
            return Finish((Event.SUCCEED,), result=result)
        case Refused(code, detail):
            return Finish((Event.REFUSE,), code, detail)
        case Rejected(reason) if before is State.UNKNOWN:
            return Hold((Event.LOSE, Event.HOLD), f"it may have been applied before, and is turned down now: {reason}")
        case NotApplied(reason) if before is State.UNKNOWN:
            return _lost(rule, failures, reason)
        case Rejected(reason):
            return Finish((Event.FAIL,), "marketing-rejected", reason)
        case NotApplied(reason, reached=False):
            return RetryAfter((Event.RETRY,), rule.backoff.after(failures), counts=False, reason=reason)
        case NotApplied(reason):
            return _again(rule, attempts, failures, reason, (Event.RETRY,))
        case Unknown(reason):
            return _lost(rule, failures, reason)


def after_crash(rule: Rule, state: State) -> Step:
    """For a row found in CALLING, or UNKNOWN, when the bridge starts."""
    step = _lost(rule, 1, "the bridge stopped during the call")
    if state is State.CALLING:
        return step
    assert state is State.UNKNOWN, state
    match step:
        case Inquire(_, seconds, reason):
            return Inquire((), seconds, reason)
        case Repeat(_, seconds, reason):
            return Repeat((), seconds, reason)
        case Hold(_, reason):
            return Hold((Event.HOLD,), reason)
    raise AssertionError(step)


def after_inquiry(rule: Rule, attempts: int, failures: int, finding: Finding, unread: int = 0) -> Step:
    """From UNKNOWN. `attempts` counts the calls made; `failures` the inquiries that failed in a row; `unread` as for
    `after_call`.
    """
    if unreadable(finding) and unread >= rule.unreadable_max:
        return _given_up((Event.HOLD,), finding, unread)
    match finding:
        case Answered(result):
            return Finish((Event.SUCCEED,), result=result)
        case Refused(code, detail):
            return Finish((Event.REFUSE,), code, detail)
        case Absent():
            return _again(rule, attempts, attempts, "the marketing system has no such request", (Event.RETRY,))
        case Unknown(reason):
            return Inquire((), rule.backoff.after(failures), reason)


def before_call(expires_at: int, now: int) -> Finish | None:
    """From RECEIVED: a command whose own expiry (epoch ms, 0: none) has passed is not called."""
    if 0 < expires_at < now:
        return Finish((Event.EXPIRE,), "expired", "its expiry passed before a call was made")
    return None


def before_repeat(expires_at: int, now: int) -> Hold | None:
    """From UNKNOWN, rule repeat: after its expiry the command may not be applied any more, and calling again is
    the only way to learn whether it was; so an operator decides."""
    if 0 < expires_at < now:
        return Hold((Event.HOLD,), "its expiry passed while its outcome was unknown")
    return None


def before_files(state: State, waiting: Waiting, waits: int, patience_ms: int, now: int) -> Step:
    """What to do with a command whose attachments are not here: wait, and not for ever. `waits`: how often in a row."""
    if waiting.fault is not None:
        code, why = FAULT_CODES[waiting.fault], "an attachment is not what it was declared to be"
    elif now - waiting.since <= patience_ms:
        seconds = min(_LONGEST_WAIT_S, _SHORTEST_WAIT_S * 2.0 ** min(waits, 10))
        return RetryAfter((), seconds, counts=True, reason=f"{waiting.missing} attachments are not here yet")
    else:
        code, why = "attachments-missing", f"{waiting.missing} attachments did not come"
    if state is State.RECEIVED:
        return Finish((Event.FAIL,), code, why)
    return Hold((Event.HOLD,), f"its outcome is unknown, and it cannot be repeated: {why}")


def reached_state(state: State, step: Step) -> State:
    """Where a row is after a step."""
    for event in step.events:
        state = move(state, event)
    return state


def _again(rule: Rule, attempts: int, failures: int, reason: str, back: tuple[Event, ...]) -> Step:
    if attempts >= rule.attempts:
        # FAIL from RECEIVED: each of the calls is known to have had no effect
        return Finish((*back, Event.FAIL), "marketing-failed", f"not applied in {attempts} attempts: {reason}")
    return RetryAfter(back, rule.backoff.after(failures), counts=True, reason=reason)


def _given_up(events: tuple[Event, ...], came_to: Outcome | Finding, unread: int) -> Hold:
    assert isinstance(came_to, Unknown), came_to
    code = "answer-mismatch" if came_to.fault is Fault.MISMATCH else "outcome-unreadable"
    return Hold(events, f"{unread} answers about it could not be used; the last: {came_to.reason}", code)


def _lost(rule: Rule, failures: int, reason: str) -> Step:
    match rule.unknown:
        case UnknownOutcome.REPEAT:
            return Repeat((Event.LOSE,), rule.backoff.after(failures), reason)
        case UnknownOutcome.INQUIRE:
            return Inquire((Event.LOSE,), rule.settle_s, reason)
        case UnknownOutcome.HOLD:
            return Hold((Event.LOSE, Event.HOLD), reason)
