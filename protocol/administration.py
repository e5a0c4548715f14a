"""What an administrator may ask of a command, and what a daemon answers, over its control socket (runtime/control.py).

Ids, names, states, times and reasons; what a customer wrote or is told only where it is asked for by `reveal`. Times
are epoch milliseconds by the daemon's clock.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from protocol.errors import BridgeError, WrongQuestion
from protocol.lifecycle import State
from protocol.maintenance import LONGEST_REASON
from protocol.messages import MAX_TIME_MS

LONGEST_NOTE = 400
"""Characters of the reason that is kept with a decision."""
LONGEST_RESULT = 192 * 1024
"""Bytes; as the bridge's own replies."""
MOST_ROWS = 1000
"""Of one list."""

AT_ONCE = 100
"""So many commands are decided for one question."""

_Note = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_NOTE)]
OperationName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{1,64}$")]
RequestId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z._:-]{1,64}$")]


class Choice(StrEnum):
    """What an operator may decide of a command."""

    APPLIED = "applied"
    NOT_APPLIED = "not-applied"
    CALL_AGAIN = "call-again"
    ASK_AGAIN = "ask-again"
    CANCEL = "cancel"
    """Take it back: it was not called, or each call is known to have had no effect. All others: it is held."""
    RESEND = "resend"
    """At the front, where no bridge has confirmed it for a week: have the bridge take it all the same."""


class _Question(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ListCommands(_Question):
    """Commands in some states, the oldest first."""

    states: tuple[State, ...] = (State.HELD,)
    operations: tuple[OperationName, ...] = Field(default=(), max_length=200)
    """Of these alone; none: of all."""
    before: Annotated[int, Field(ge=0)] = 0
    """Accepted, or taken, no later than this, epoch ms; 0: whenever."""
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 100


class LiftAddress(_Question):
    """Let a client address in again that the front has paused."""

    address: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f.:/]{2,64}$")]
    sudo_user: Annotated[str, StringConstraints(max_length=64)] = ""


class Matching(_Question):
    """What is done to all commands that match, in the order in which they were accepted; a part of them a question."""

    states: tuple[State, ...] = Field(default=(), max_length=len(State))
    """In these states; none: in all in which it can be done."""
    operations: tuple[OperationName, ...] = Field(default=(), max_length=200)
    before: Annotated[int, Field(ge=1)]
    """Accepted, or taken, no later than this, epoch ms."""
    after: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z._:-]{0,64}$")] = ""
    """The last one of the part before."""
    dry_run: bool = True
    """Only count."""
    sudo_user: Annotated[str, StringConstraints(max_length=64)] = ""

    def states_of(self, possible: Collection[State], what: str) -> tuple[State, ...]:
        """Those that are meant of the ones in which it is possible. Raises BridgeError for another."""
        for state in self.states:
            if state not in possible:
                raise BridgeError(f"states: {what} is for what is {' or '.join(possible)}, not {state}")
        return self.states or tuple(possible)


class ResolveMatching(Matching):
    """A decision on all of them."""

    choice: Choice
    note: _Note


class ResendMatching(Matching):
    """Send all of them again, now."""


class ShowCommand(_Question):
    """One command."""

    id: RequestId
    reveal: bool = False
    """Open the request too."""
    inquire: bool = False
    """Ask the marketing system what it knows, where the binding can."""


class ResolveCommand(_Question):
    """A decision on a command."""

    id: RequestId
    choice: Choice
    note: _Note
    result: str = Field(default="", repr=False)
    """Applied: the answer's JSON, for the caller; empty if it is not known."""
    force: bool = False
    """Not applied, at the front, of a command that no bridge has confirmed: without the bridge's word."""
    sudo_user: Annotated[str, StringConstraints(max_length=64)] = ""
    """Who became root to say so, as `sudo` says."""


class ResendCommands(_Question):
    """Send again, now: those named, or the oldest."""

    ids: tuple[RequestId, ...] = Field(default=(), max_length=MOST_ROWS)
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = MOST_ROWS


class ProbeOperation(_Question):
    """Try one operation's binding with the catalogue's example."""

    operation: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{1,64}$")]
    really: bool = False
    """Send a command too: the marketing system applies it."""
    reveal: bool = False
    """Show values; secrets stay masked."""


class TraceRequest(_Question):
    """All that is known here of one request."""

    id: RequestId


_SudoUser = Annotated[str, StringConstraints(max_length=64)]


class PauseOperations(_Question):
    """Pause some operations, or all, for maintenance of the marketing system."""

    operations: tuple[OperationName, ...] = Field(default=(), max_length=1000)
    every: bool = False
    until: Annotated[int, Field(ge=0, le=MAX_TIME_MS)] = 0
    """0: until they are resumed."""
    reason: Annotated[str, StringConstraints(max_length=LONGEST_REASON)] = ""
    sudo_user: _SudoUser = ""


class ResumeOperations(_Question):
    """Go on with some operations, or all."""

    operations: tuple[OperationName, ...] = Field(default=(), max_length=1000)
    every: bool = False
    sudo_user: _SudoUser = ""


class Drain(_Question):
    """Take nothing new, and say what is still in hand."""

    undo: bool = False
    look: bool = False
    """Change nothing."""
    sudo_user: _SudoUser = ""


class CloseCircuit(_Question):
    """Let calls of an operation through, whatever the last ones came to."""

    operation: OperationName
    sudo_user: _SudoUser = ""


class PublishNotice(_Question):
    """Publish a notice by hand, as a push of the marketing system's would."""

    kind: Annotated[str, StringConstraints(max_length=32)]
    at: Annotated[str, StringConstraints(max_length=40)]
    data: dict[str, Any] = Field(repr=False)
    push_id: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,128}$")]
    """Published once, however often it is asked for."""
    sudo_user: _SudoUser = ""


class RunImport(_Question):
    """Have an import run now."""

    name: Annotated[str, Field(max_length=64)]
    full: bool = False
    """All of it, whatever its mode."""
    sudo_user: Annotated[str, Field(max_length=64)] = ""


class ClearHot(_Question):
    """Drop kept answers."""

    operation: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{0,64}$")] = ""
    """Of this one; empty: of all."""
    account: Annotated[str, StringConstraints(max_length=64)] = Field(default="", repr=False)
    """About this account (work order, application); empty: about any."""
    sudo_user: _SudoUser = ""


NoticeState = Literal["waiting", "delivered", "dead", "kept"]


class ListNotices(_Question):
    """Notices in some states, the oldest first."""

    states: Annotated[tuple[NoticeState, ...], Field(min_length=1)] = ("waiting", "dead")
    application: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{0,64}$")] = ""
    """Of this one alone; empty: of all."""
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 100


class ShowNotice(_Question):
    """One notice."""

    id: RequestId


class RedeliverNotices(_Question):
    """Deliver notices again, with their ids as they were."""

    ids: tuple[RequestId, ...] = Field(default=(), max_length=MOST_ROWS)
    application: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{0,64}$")] = ""
    """All of it that are dead."""
    sudo_user: _SudoUser = ""


class ListFiles(_Question):
    """Files across the boundary, the oldest first; of more than the limit the latest."""

    states: tuple[Literal["receiving", "whole", "sending", "accepted", "archived", "refused"], ...] = ()
    """In these; none: in any."""
    direction: Literal["", "in", "out"] = ""
    peer: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{0,64}$")] = ""
    """From this source, or for this target."""
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 100


_OrderNumber = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{1,27}$")]


class ListOrders(_Question):
    """Payment orders, the latest first."""

    state: Annotated[str, StringConstraints(pattern=r"^[a-z-]{0,32}$")] = ""
    """Those in this state alone; empty: all."""
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 100


class OrderOf(_Question):
    """One payment order."""

    order: _OrderNumber


class OrderVerdict(StrEnum):
    """What a person says of an order that is held."""

    WRITTEN_OFF = "written-off"
    """Its line is written off at its company."""
    REFUSED = "refused"
    """Its line surely is not: it is refunded."""
    GO_ON = "go-on"
    """Held for its risk: it may go on."""
    GIVE_BACK = "give-back"
    """Paid with another amount: all of that goes back."""


class SettleOrder(_Question):
    """Say of an order that is held how it goes on."""

    order: _OrderNumber
    verdict: Annotated[OrderVerdict, Field(strict=False)]
    line: Annotated[int, Field(ge=0, le=50)] = 0
    note: _Note
    sudo_user: _SudoUser = ""


class ListWithholdingBatches(_Question):
    """Batches of withholding of a month."""

    month: Annotated[str, StringConstraints(pattern=r"^([0-9]{4}-(0[1-9]|1[0-2]))?$")] = ""
    """Empty: this one."""
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{0,64}$")] = ""
    """Of one arrangement alone."""


_Batch = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,64}$")]


class WithholdingBatchId(_Question):
    """One batch."""

    id: _Batch
    sudo_user: _SudoUser = ""


class SealWithholding(_Question):
    """Have what waits in an arrangement sent today."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_NOTE)] = ""
    sudo_user: _SudoUser = ""


class WithholdingPart(_Question):
    """A part of a batch's file, from 0 on."""

    id: _Batch
    part: Annotated[int, Field(ge=0, le=10_000)] = 0


_Line = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,96}$")]


class ListWithholdingLines(_Question):
    """Lines, by their number."""

    batch: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{0,64}$")] = ""
    states: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z-]{1,16}$")], ...] = Field(default=(), max_length=20)
    """In these; none: in any."""
    after: Annotated[str, StringConstraints(pattern=r"^[!-~]{0,96}$")] = ""
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 100


class ReleaseWithholdingLine(_Question):
    """Take a line out, or settle one that is held or unanswered."""

    id: _Line
    note: _Note
    owed: bool = False
    """What was charged is owed to the payer."""
    sudo_user: _SudoUser = ""


class ShowFile(_Question):
    """One file."""

    id: RequestId


class ResendFile(_Question):
    """Send a refused file again."""

    id: RequestId
    sudo_user: _SudoUser = ""


class AuditedAct(_Question):
    """An administrative act that is not the daemon's own, to be written in its log."""

    act: Annotated[str, StringConstraints(pattern=r"^[a-z-]{1,40}$")]
    details: Annotated[str, StringConstraints(max_length=1500)] = ""
    """Identifiers and counts, as JSON."""


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class CommandReport(_Told):
    """A command as the ledger of the front, or the inbox of the bridge, has it."""

    side: Literal["front", "bridge"]
    id: str
    operation: str
    state: str
    code: str = ""
    note: str = ""
    """Why; never a word of what was asked or answered."""
    source: str = ""
    """Front and application."""
    owner: str = ""
    """The instance that works on it."""
    recorded: int
    sent: int = 0
    """Front: when the broker last had it."""
    sends: int = 0
    calling: int = 0
    """Bridge: when it was last called."""
    attempts: int = 0
    crashes: int = 0
    updated: int = 0
    replied: int = 0
    """Bridge: when the broker had the reply. Front: when a caller was first given the outcome."""
    expires: int = 0
    """0: never."""
    decide: Literal["here", "bridge", ""] = ""
    """Where it may be decided; empty: it is not held."""


class NotDecided(_Told):
    """A command that matched and was not decided."""

    id: str
    because: str


class MatchReport(_Told):
    """What came of a part of those that match."""

    by_operation: dict[str, int] = {}
    """How many match, after `after`."""
    decided: tuple[str, ...] = ()
    failures: tuple[NotDecided, ...] = ()
    next: str = ""
    """What the next question says as `after`; empty: that was all."""


class DecisionReport(_Told):
    """What was decided of a command."""

    choice: str
    by: str
    at: int
    note: str
    id: str = ""
    """Of a decision taken at a front."""
    standing: Literal["done", "pending", "refused"] = "done"
    """Pending: the bridge has not answered yet. Refused: nothing was changed."""
    because: str = ""
    """Why it was refused, or what else there is to say."""


class Evidence(_Told):
    """What the marketing system says of a command when asked."""

    came_to: Literal["applied", "refused", "absent", "unknown", "not-asked"]
    detail: str = ""


class CommandDetail(_Told):
    """One command, and all that is known of it."""

    command: CommandReport
    decisions: tuple[DecisionReport, ...] = ()
    evidence: Evidence | None = None
    request: str = Field(default="", repr=False)
    """What the customer asked for, if it was to be revealed."""


ProbeOutcome = Literal["answered", "refused", "rejected", "not-applied", "unknown", "not-sent"]


class ProbeReport(_Told):
    """What a probe came to."""

    operation: str
    system: str
    outcome: ProbeOutcome
    verdict: str
    """In a line; masked, as all of them."""
    lines: tuple[str, ...]
    """Request, answer, what each expression gave, and the verdict."""

    @property
    def well(self) -> bool:
        """The interface answers as its binding says."""
        return self.outcome in ("answered", "refused", "not-sent")


class TraceReport(_Told):
    """What one daemon knows of a request."""

    side: Literal["front", "bridge"]
    name: str
    command: CommandReport | None = None
    """None: ledger or inbox has it not. It may have been a query."""
    decisions: tuple[DecisionReport, ...] = ()
    hops: tuple[dict[str, Any], ...] = ()
    """Of the latest requests, kept in memory: `at` in epoch ms, `event`, `outcome`, and what else its line says."""


class NoticeReport(_Told):
    """A notice, or an outcome that a callback was named for, as the front has it."""

    id: str
    application: str
    kind: str
    callback: str
    """Empty: nobody is called, the application asks for it."""
    state: NoticeState
    attempts: int
    recorded: int
    next: int
    """Waiting: not tried before then."""
    updated: int
    fault: str = ""
    """Why the latest attempt failed."""
    stream: str = ""
    sequence: int = 0


class ReloadReport(_Told):
    """What a reload of a daemon's configuration did."""

    side: Literal["front", "bridge"]
    name: str
    changed: tuple[str, ...] = ()
    """Settings, and files that settings name, which are in use now."""
    same: tuple[str, ...] = ()
    """Tables in which nothing changed."""
    restart: tuple[str, ...] = ()
    """Settings that changed and are taken up at the next start alone."""
    notes: tuple[str, ...] = ()
    """What an administrator should know besides."""
    in_use: dict[str, str] = Field(default_factory=dict)
    """Codes of the certificates and keys that are in use now (runtime/codes.py)."""


def asked(model: type[BaseModel], request: Any) -> Any:
    """A question as `model`. Raises WrongQuestion naming the field, never its value."""
    try:
        return model.model_validate(dict(request), strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the question"
        raise WrongQuestion(f"{place}: {first['msg'].removeprefix('Value error, ')}") from None
