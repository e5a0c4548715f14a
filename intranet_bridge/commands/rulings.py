"""What a decision on a command means, wherever it was taken: here, or by an operator at a front.

A front's decision arrives as an envelope on the commands' lane (protocol/decisions.py). It is carried out as one taken
here would be, once for its id, and answered on that front's queue of command replies. It may also be about a command
that never came: then its life begins here, and with `not-applied` and `cancel` it ends here too, so that whatever is
still on its way is answered and not called.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection, select

from intranet_bridge.commands.workers import CommandWorkers
from intranet_bridge.inbox import administration as rows
from intranet_bridge.inbox.administration import Came, Ruling
from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.inbox.local import LocalRows, is_local
from intranet_bridge.inbox.rows import INBOX, Failed, Received
from intranet_bridge.intake.judge import CommandJudge, FrontDecision
from intranet_bridge.replies import Replies
from protocol.administration import Choice
from protocol.decisions import Decision, Standing, checked_result
from protocol.errors import BridgeError, LinkError
from protocol.lifecycle import State, move
from protocol.link.lane import Lane
from protocol.messages import AHEAD_MS, LOWEST_VERSION, Attributes
from protocol.runtime.audit import Transact
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.outbox import Outbox
from protocol.runtime.store import Store

log = logger(__name__)

NOT_APPLIED = "an operator found that the marketing system did not apply it"
CANCELLED = "an operator took it back before it was carried out"
_FINAL = {
    Choice.APPLIED: (State.SUCCEEDED, "", ""),
    Choice.NOT_APPLIED: (State.FAILED, "not-applied", NOT_APPLIED),
    Choice.CANCEL: (State.FAILED, rows.TAKEN_BACK, CANCELLED),
}
"""State, code and detail of the reply, where a decision ends a command."""
_ANOTHERS = "it is another front's: its own operators decide, or those at the bridge"
_ENDS_WHAT_NEVER_CAME = (Choice.NOT_APPLIED, Choice.CANCEL)


@dataclass(frozen=True, slots=True)
class Memory:
    """How long the inbox remembers what it had."""

    retention_ms: int
    since: int = 0
    """Epoch ms: what was sealed before may have been in another inbox; 0: there was none."""

    def covers(self, accepted_at: int, now: int) -> bool:
        """Whether a command accepted then would still be here, had it ever been."""
        return accepted_at >= self.since and accepted_at > now - self.retention_ms + AHEAD_MS


class Rulings:
    """Carries decisions out."""

    def __init__(
        self,
        *,
        store: Store,
        inbox: Inbox,
        workers: CommandWorkers,
        outbox: Outbox,
        replies: Replies,
        judge: CommandJudge,
        local: LocalRows,
        lane: Lane,
        inquires: Container[str],
        from_fronts: Callable[[], bool],
        retention_ms: Callable[[], int],
        clock: Clock,
        transact: Transact,
        same_front: Callable[[str, str], bool] = lambda _one, _other: True,
    ) -> None:
        """`same_front`: whether two sources are of fronts that share a ledger.
        `inquires`: operations whose binding can ask what became of a request. `lane`: on which fronts are told.
        `from_fronts`: whether decisions of operators at fronts are carried out. `retention_ms`: how long the inbox
        keeps what is final. `act` writes down who decided.
        """
        self._store, self._inbox, self._workers, self._outbox = store, inbox, workers, outbox
        self._transact, self._same_front, self._local = transact, same_front, local
        self._replies, self._judge, self._lane, self._clock = replies, judge, lane, clock
        self.inquires, self._from_fronts, self._retention_ms = inquires, from_fronts, retention_ms

    def ruling(
        self, id: str, operation: str, source: str, choice: Choice, by: str, note: str, at: int, result: str = "",
        reply_to: str = "",
    ) -> Ruling:  # fmt: skip
        """A decision, ready to be written. `source`, `reply_to`: of the command.

        Raises BridgeError for one that cannot be taken."""
        if choice is Choice.RESEND:
            raise BridgeError("the bridge has it: only a front sends a command")
        if choice is Choice.ASK_AGAIN and operation not in self.inquires:
            raise BridgeError(f"the binding of {operation} cannot ask what became of a request")
        if result and choice is not Choice.APPLIED:
            raise BridgeError("result: goes with applied alone")
        ruling = Ruling(id, choice, by, " ".join(note.split()), at)
        if choice not in _FINAL:
            return ruling
        body = checked_result(operation, result) if result else b""
        # The request is not opened for it: the bridge may have died of that. Every front reads the lowest version.
        about = Attributes(id, source, operation, self._clock(), version=LOWEST_VERSION)
        state, code, detail = _FINAL[choice]
        before = rows.FROM.get(choice, State.HELD)
        assert move(before, rows.EVENTS[choice]) is state
        seal = self._local.outcome if is_local(reply_to) else self._replies.sealed
        return replace(ruling, code=code, sealed=seal(about, state, code, detail, body))

    async def write(self, ruling: Ruling, operation: str) -> None:
        """Write it down, for `act`. Raises BridgeError, and changes nothing, if the command's state forbids it."""
        said = {"request_id": ruling.id, "operation": operation, "choice": ruling.choice.value}
        await self._transact(partial(rows.decide, ruling=ruling), "decide", ruling.by, lambda _: said)

    async def act(self) -> None:
        """On what was decided just now."""
        await self._workers.act_on_decisions()
        self._local.told.send()
        await self._outbox.sweep()

    async def from_front(self, asked: FrontDecision, since: int) -> None:
        """Carry out what an operator at a front decided, once, and tell that front. `since`: of the inbox's address."""
        came = await self._came(asked, Memory(self._retention_ms(), since))
        state = State.SUCCEEDED if came.done else State.REFUSED
        result = Standing(state=State(came.state) if came.state else None).model_dump_json().encode()
        sealed = self._replies.sealed(asked.attributes, state, "", came.because, result)
        try:
            self._lane.post(asked.attributes.reply_to, sealed)
        except LinkError:
            # the front sends it again, and hears then
            log.info("decision-answer-not-sent", decision=asked.attributes.id)

    async def _came(self, asked: FrontDecision, memory: Memory) -> Came:
        id, decision, now = asked.attributes.id, asked.decision, self._clock()
        known = await self._store.read(partial(rows.answered, id=id))
        if known is not None:
            return known
        by = f"{decision.by} at {asked.attributes.source.partition('/')[0]}"
        sure = memory.covers(decision.command.accepted_at, now)
        resent = self._resent(asked, sure) if decision.choice is Choice.RESEND else None

        def decide(connection: Connection) -> str:
            if not self._from_fronts():
                raise BridgeError("this bridge takes no decisions from fronts: decide on its own host")
            of = select(INBOX.c.state, INBOX.c.operation, INBOX.c.source).where(INBOX.c.id == decision.request)
            row = connection.execute(of).first()
            source = decision.command.source if row is None else row.source
            if not self._same_front(asked.attributes.source, source):
                raise BridgeError(_ANOTHERS)
            queue = decision.command.reply_to
            if row is None and not self._same_front(asked.attributes.source, queue.rpartition(".")[2]):
                raise BridgeError("its reply would go to another front")
            if row is None:
                begun = self._begun(connection, decision, by, resent, sure=sure)
                if begun is not None:
                    return begun
                row = connection.execute(of).one()
                if not self._same_front(asked.attributes.source, row.source):
                    raise BridgeError(_ANOTHERS)
            if decision.choice is Choice.RESEND:
                again = INBOX.update().where(INBOX.c.id == decision.request, INBOX.c.reply.is_not(None))
                connection.execute(again.values(replied_at=None))
                return f"the bridge has it: it is {row.state}"
            ruling = self.ruling(
                decision.request,
                row.operation,
                row.source,
                decision.choice,
                by,
                decision.note,
                decision.at,
                decision.result,
            )
            rows.decide(connection, ruling)
            return ""

        once = partial(rows.decide_once, id=id, request=decision.request, at=now, decide=decide)
        said = {
            "request_id": decision.request, "decision": id, "operation": decision.command.operation,
            "choice": decision.choice.value,
        }  # fmt: skip
        came: Came = await self._transact(
            once, "decide", by, lambda came: {**said, "done": came.done, "because": came.because}
        )
        await self.act()
        return came

    def _resent(self, asked: FrontDecision, sure: bool) -> Received | BridgeError:
        """The row of a command that is to be taken again, or why it cannot be."""
        try:
            row = self._judge.resent(asked.envelope, sure=sure)
        except BridgeError as error:
            return error
        if not self._same_front(asked.attributes.source, row.source):
            return BridgeError("the sealed request is another front's")
        return row if row.id == asked.decision.request else BridgeError("the sealed request is of another command")

    def _begun(
        self, connection: Connection, decision: Decision, by: str, resent: Received | BridgeError | None, *, sure: bool
    ) -> str | None:
        """Decide a command that is not here. Returns what there is to say; None, and nothing done, if it has come
        meanwhile, to another bridge of this database. Raises BridgeError.
        """
        if isinstance(resent, BridgeError):
            raise resent
        if resent is not None:
            row = resent
            said = "it never came, and is called now" if row.state is State.RECEIVED else ""
            if row.failed is not None:
                said = row.failed.note
            said = said or "whether it was here once cannot be told: it is worked on as of unknown outcome"
        elif decision.choice in _ENDS_WHAT_NEVER_CAME:
            if not sure and not decision.force:
                raise BridgeError(
                    "the inbox has it not, and may have forgotten it: it is older than what is remembered. "
                    "Look for it in the marketing system; then not-applied --force, or resend"
                )
            row = self._ended(decision)
            said = "it never came, and will not be called" if sure else "it is not here, and will not be called"
        else:
            raise BridgeError("the inbox has it not: it can be given up (not-applied), or sent again (resend)")
        if self._inbox.record_in(connection, [row])[0] is not None:
            return None
        rows.noted(connection, Ruling(decision.request, decision.choice, by, decision.note, decision.at))
        return said

    def _ended(self, decision: Decision) -> Received:
        about, (state, code, detail) = decision.command, _FINAL[decision.choice]
        attributes = Attributes(decision.request, about.source, about.operation, self._clock(), version=LOWEST_VERSION)
        failed = Failed(code, detail, self._replies.sealed(attributes, state, code, detail))
        return Received(
            decision.request, about.operation, about.source, about.subject, about.reply_to, about.expires_at, b"",
            after="", failed=failed,
        )  # fmt: skip
