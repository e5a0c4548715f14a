"""What an administrator asks the running front about commands: what the ledger has, and that one be sent now.

Over the control socket. What is held is decided where it is known, at the bridge: a decision taken here travels to it
(decisions.py).
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from dmz_front.commands.decisions import Decisions
from dmz_front.ledger import administration as rows
from dmz_front.ledger.decisions import DecisionLedger
from dmz_front.ledger.ledger import Ledger
from protocol.administration import (
    AT_ONCE,
    AuditedAct,
    CommandDetail,
    ListCommands,
    MatchReport,
    NotDecided,
    ResendCommands,
    ResendMatching,
    ResolveCommand,
    ResolveMatching,
    ShowCommand,
    TraceReport,
    TraceRequest,
    asked,
)
from protocol.errors import BridgeError
from protocol.runtime.audit import Audit
from protocol.runtime.control import Answer, Peer
from protocol.runtime.outbox import Outbox
from protocol.runtime.request_log import RequestLog
from protocol.runtime.store import Store

_NO_ROOM = "the link has no room for more now; it is sent by itself at its next turn"
_ROOM_S = 5.0
"""So long the receipts of one part are waited for."""


class Administration:
    """Answers the questions about commands."""

    def __init__(
        self,
        *,
        name: str,
        store: Store,
        ledger: Ledger,
        outbox: Outbox,
        decisions: Decisions,
        decided: DecisionLedger,
        audit: Audit,
        sendable: Callable[[], bool],
        requests: RequestLog,
        paused: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """`sendable`: whether there is a broker, and it is known which inbox commands are for. `paused`: operations
        that are paused at this front.
        """
        self._paused, self._audit = paused, audit
        self._requests, self._decisions, self._decided = requests, decisions, decided
        self._store, self._name, self._ledger, self._outbox, self._sendable = store, name, ledger, outbox, sendable

    def answers(self) -> Mapping[str, Answer]:
        """What can be asked."""
        return {
            "commands": self.list,
            "command": self.show,
            "resend": self.resend,
            "resend-matching": self.resend_matching,
            "resolve": self.resolve,
            "resolve-matching": self.resolve_matching,
            "audit": self.audit,
            "trace": self.trace,
        }

    async def audit(self, request: Mapping[str, Any], peer: Peer) -> None:
        """An act of `bridgectl` itself."""
        question = asked(AuditedAct, request)
        await self._audit.act(question.act, peer.name, details=question.details)

    async def list(self, request: Mapping[str, Any], _peer: Peer) -> list[dict[str, Any]]:
        """Commands in some states."""
        question = asked(ListCommands, request)
        reports = await self._store.read(partial(rows.listed, asked=question))
        return [report.model_dump(mode="json") for report in reports]

    async def show(self, request: Mapping[str, Any], _peer: Peer) -> dict[str, Any]:
        """One command. Its content is sealed for the bridge."""
        question = asked(ShowCommand, request)
        report = await self._store.read(partial(rows.found, id=question.id))
        if report is None:
            raise BridgeError(f"the ledger has no request {question.id}: never accepted here, or forgotten")
        if question.reveal:
            raise BridgeError("what was asked is sealed for the bridge: ask on its host")
        decided = await self._decided.of(question.id)
        return CommandDetail(command=report, decisions=decided).model_dump(mode="json")

    async def trace(self, request: Mapping[str, Any], _peer: Peer) -> dict[str, Any]:
        """All that is known here of one request."""
        question = asked(TraceRequest, request)
        report = TraceReport(
            side="front", name=self._name, command=await self._store.read(partial(rows.found, id=question.id)),
            hops=tuple(self._requests.of(question.id)), decisions=await self._decided.of(question.id),
        )  # fmt: skip
        return report.model_dump(mode="json")

    async def resolve(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Decide a command, for the bridge to carry out; returns it and, last of its decisions, this one. Raises
        BridgeError, and changes nothing, for what cannot be decided so.
        """
        question = asked(ResolveCommand, request)
        await self._decisions.decide(question, peer.behind(question.sudo_user))
        return await self.show({"id": question.id}, peer)

    async def resolve_matching(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Decide all commands that match, some at a time; each decision goes to the bridge in their order."""
        question = asked(ResolveMatching, request)
        counts, ids = await self._store.read(partial(rows.matched, asked=question))
        if question.dry_run:
            return MatchReport(by_operation=counts).model_dump(mode="json")
        decided: list[str] = []
        failures: list[NotDecided] = []
        for id in ids:
            one = ResolveCommand(id=id, choice=question.choice, note=question.note)
            try:
                await self._decisions.decide(one, peer.behind(question.sudo_user))
                decided.append(id)
            except BridgeError as error:
                failures.append(NotDecided(id=id, because=str(error)))
        report = MatchReport(
            by_operation=counts, decided=tuple(decided), failures=tuple(failures),
            next=ids[-1] if len(ids) == AT_ONCE else "",
        )  # fmt: skip
        return report.model_dump(mode="json")

    async def resend(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Send again, now, what this front accepted and has no outcome. The bridge knows each by its id."""
        question = asked(ResendCommands, request)
        self._must_be_sendable()
        paused = self._paused()
        entries = await self._ledger.unanswered(self._name, question.ids or None, question.limit, paused)
        missing = sorted(set(question.ids) - {entry.id for entry in entries})
        if missing:
            why = "not waiting for an outcome" + (", or paused for maintenance," if paused else "")
            raise BridgeError(f"{why} at {self._name}: {', '.join(missing[:5])}")
        for entry in entries:
            self._outbox.offer(entry)
        await self._audit.act("resend", peer.name, count=len(entries), request_ids=list(question.ids[:20]))
        return {"sent": len(entries), "more": question.limit == len(entries)}

    async def resend_matching(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Send again, now, all that match, some at a time and in the order of acceptance. Where the link has no room
        for one, none after it is sent, or it would be overtaken.
        """
        question = asked(ResendMatching, request)
        if not question.dry_run:
            self._must_be_sendable()
        counts, entries = await self._ledger.resendable(self._name, question, AT_ONCE, self._paused())
        if question.dry_run:
            return MatchReport(by_operation=counts).model_dump(mode="json")
        sent = [entry.id for entry in itertools.takewhile(self._outbox.offer, entries)]
        left = tuple(NotDecided(id=entry.id, because=_NO_ROOM) for entry in entries[len(sent) :])
        if sent:
            by = peer.behind(question.sudo_user)
            await self._audit.act("resend", by, count=len(sent), request_ids=sent[:20])
        more = not left and len(entries) == AT_ONCE
        if more:
            # so that the next part finds room, whatever the broker's pace
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._outbox.drain(), _ROOM_S)
        report = MatchReport(
            by_operation=counts, decided=tuple(sent), failures=left, next=entries[-1].id if more else ""
        )
        return report.model_dump(mode="json")

    def _must_be_sendable(self) -> None:
        if not self._sendable():
            raise BridgeError("nothing can be sent now: no broker is connected, or no bridge was heard of yet")
