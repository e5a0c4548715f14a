"""What an operator decides at the front: judged by what the ledger knows, sealed for the bridge, sent until it answers.

The bridge alone knows how a command really stands, so it carries the decision out, or refuses it; the ledger and the
caller follow by the command's own reply. One thing is done here at once: `not-applied` by force, of a command that no
bridge has confirmed for a week.
"""

import os
from collections.abc import Callable
from functools import partial

from dmz_front.ledger.administration import give_up
from dmz_front.ledger.decisions import DecisionLedger
from dmz_front.ledger.ledger import UNDELIVERED, Ledger
from dmz_front.ledger.rows import Row
from dmz_front.replies.bridges import Bridges
from protocol.administration import Choice, ResolveCommand
from protocol.decisions import TYPE, Decision, LedgerEntry, checked_result
from protocol.destinations import Route
from protocol.envelope import Kind, Sealer
from protocol.errors import BridgeError
from protocol.lifecycle import FINAL, State
from protocol.messages import Attributes, GrowingIds
from protocol.runtime.applications import OPERATOR
from protocol.runtime.audit import Act
from protocol.runtime.clock import Clock
from protocol.runtime.outbox import Entry, Outbox


class Decisions:
    """Takes decisions on commands."""

    def __init__(
        self,
        *,
        route: Route,
        ledger: Ledger,
        decisions: DecisionLedger,
        outbox: Outbox,
        sealer: Sealer,
        bridges: Bridges,
        sendable: Callable[[], bool],
        clock: Clock,
        act: Act,
    ) -> None:
        """`sendable`: whether decisions can go out now. `act` writes down who decided."""
        self._act = act
        self._route, self._ledger, self._decisions, self._outbox = route, ledger, decisions, outbox
        self._sealer, self._bridges, self._sendable, self._clock = sealer, bridges, sendable, clock
        self._ids = GrowingIds()

    async def decide(self, question: ResolveCommand, by: str) -> str:
        """Write a decision down and send it; returns its id. Raises BridgeError, and changes nothing, for one that
        cannot be taken.
        """
        row = await self._ledger.row(question.id)
        if row is None:
            raise BridgeError(f"the ledger has no request {question.id}: never accepted here, or forgotten")
        fault = _fault(row, question)
        if fault:
            raise BridgeError(fault)
        if question.result:
            checked_result(row.operation, question.result)
        now = self._clock()
        id = self._ids.next(now, os.urandom(10))
        decision = Decision(
            request=row.id, choice=question.choice, by=by[:64], note=" ".join(question.note.split()), at=now,
            result=question.result, force=question.force,
            command=LedgerEntry(
                operation=row.operation, source=f"{row.front}/{row.application}", subject=row.subject,
                reply_to=self._route.reply_to, accepted_at=row.accepted_at, expires_at=row.expires_at,
            ),
        )  # fmt: skip
        about = Attributes(
            id, f"{self._route.front}/{OPERATOR}", TYPE, now, reply_to=self._route.reply_to,
            version=self._bridges.wire_version,
        )  # fmt: skip
        payload = decision.payload(row.envelope if question.choice is Choice.RESEND else b"")
        envelope = self._sealer.seal(Kind.REQUEST, about, payload, now_ms=now)
        meanwhile = partial(give_up, id=row.id, now=now) if question.force else _nothing
        await self._decisions.take(id, decision, self._route.destination, envelope, meanwhile)
        if question.force:
            await self._ledger.count_backlog(self._route.front)
        await self._act(
            "decide", by, request_id=row.id, decision=id, operation=row.operation, choice=question.choice.value,
            force=question.force,
        )  # fmt: skip
        if self._sendable():
            self._outbox.offer(Entry(id, self._route.destination, envelope))
        return id


def _fault(row: Row, question: ResolveCommand) -> str:
    """Why a command cannot be decided so; empty: it can, as far as the ledger knows."""
    choice, undelivered = question.choice, row.state is State.HELD and row.code == UNDELIVERED
    if question.result and choice is not Choice.APPLIED:
        return "result: goes with applied alone"
    if question.force and not (undelivered and choice is Choice.NOT_APPLIED):
        return "force: goes with not-applied alone, and with a command that is held as undelivered"
    if row.state in FINAL:
        return f"request {row.id} is {row.state}: there is nothing to decide"
    if choice is Choice.CANCEL and row.state is State.HELD:
        return f"request {row.id} is held: it may have been called, so it cannot be taken back; resolve it"
    if choice is Choice.RESEND and not undelivered:
        return f"request {row.id} is {row.state}: only what is held as undelivered is sent so"
    if choice is not Choice.CANCEL and row.state is not State.HELD:
        return f"request {row.id} is {row.state}, not held: there is nothing to decide"
    return ""


def _nothing(_connection: object) -> None:
    """Nothing else is done with it."""
