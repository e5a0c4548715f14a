"""What an administrator asks the running bridge about commands: which are held, what is known of one, a decision.

Over the control socket; who asks is the kernel's word. The content of a request is opened only when asked for, and
that is logged, as every decision is.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError

from intranet_bridge.commands.rulings import Rulings
from intranet_bridge.inbox import administration as rows
from intranet_bridge.inbox.administration import Kept
from intranet_bridge.inbox.local import LocalRows, forwarded_to, is_sealed_here
from intranet_bridge.intake.repetition import CODE as REPETITION
from intranet_bridge.marketing import Absent, Answered, Finding, Refused, Unknown
from intranet_bridge.marketing.calls import MarketingCalls
from protocol.administration import (
    AT_ONCE,
    AuditedAct,
    CommandDetail,
    Evidence,
    ListCommands,
    MatchReport,
    NotDecided,
    ResolveCommand,
    ResolveMatching,
    ShowCommand,
    TraceReport,
    TraceRequest,
    asked,
)
from protocol.envelope import Opener
from protocol.errors import BridgeError, EnvelopeError, PoisonMessage
from protocol.lifecycle import State
from protocol.operations import CATALOGUE
from protocol.runtime.audit import Audit
from protocol.runtime.clock import Clock
from protocol.runtime.control import Answer, Peer
from protocol.runtime.request_log import RequestLog
from protocol.runtime.store import Store

_CLEAR = frozenset({State.HELD, State.UNKNOWN})
"""States of a command of which the marketing system may know more than the bridge."""


class Administration:
    """Answers the questions about commands."""

    def __init__(
        self,
        *,
        store: Store,
        rulings: Rulings,
        opener: Opener,
        local: LocalRows,
        calls: MarketingCalls,
        audit: Audit,
        requests: RequestLog,
        name: str,
        clock: Clock,
    ) -> None:
        self._audit, self._local = audit, local
        self._store, self._rulings, self._opener = store, rulings, opener
        self._calls, self._clock = calls, clock
        self._requests, self._name = requests, name
        self.ready = False
        """Everything is started: decisions can be acted on."""

    def answers(self) -> Mapping[str, Answer]:
        """What can be asked."""
        questions: dict[str, Callable[[Mapping[str, Any], Peer], Awaitable[Any]]] = {
            "commands": self.list, "command": self.show, "resolve": self.resolve,
            "resolve-matching": self.resolve_matching,
            "audit": self.audit,
            "trace": self.trace,
        }  # fmt: skip
        return questions

    async def audit(self, request: Mapping[str, Any], peer: Peer) -> None:
        """An act of `bridgectl` itself."""
        question = asked(AuditedAct, request)
        await self._audit.act(question.act, peer.name, details=question.details)

    async def list(self, request: Mapping[str, Any], _peer: Peer) -> list[dict[str, Any]]:
        """Commands in some states."""
        question = asked(ListCommands, request)
        reports = await self._store.read(partial(rows.listed, asked=question))
        return [report.model_dump(mode="json") for report in reports]

    async def show(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """One command, what was decided of it, and, if asked for, what the marketing system says and its content."""
        question = asked(ShowCommand, request)
        kept = await self._found(question.id)
        revealed = ""
        if question.reveal:
            await self._audit.strictly("reveal", peer.name, request_id=question.id)
            revealed = self._opened(kept).decode(errors="replace")
        evidence = await self._evidence(kept) if question.inquire else None
        detail = CommandDetail(command=kept.report, decisions=kept.decisions, evidence=evidence, request=revealed)
        return detail.model_dump(mode="json")

    async def trace(self, request: Mapping[str, Any], _peer: Peer) -> dict[str, Any]:
        """All that is known here of one request."""
        question = asked(TraceRequest, request)
        kept = await self._store.read(partial(rows.found, id=question.id))
        report = TraceReport(
            side="bridge", name=self._name, command=kept.report if kept else None,
            decisions=kept.decisions if kept else (), hops=tuple(self._requests.of(question.id)),
        )  # fmt: skip
        return report.model_dump(mode="json")

    async def resolve(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Decide a held command, for good. Raises BridgeError, and changes nothing, for what cannot be decided so."""
        question = asked(ResolveCommand, request)
        if not self.ready:
            raise BridgeError("the bridge is starting or stopping: ask again in a moment")
        kept = await self._found(question.id)
        await self._decide(kept, question, peer)
        await self._rulings.act()
        return (await self._found(question.id)).report.model_dump(mode="json")

    async def resolve_matching(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Decide all commands that match, some at a time. What cannot be decided keeps none of the others."""
        question = asked(ResolveMatching, request)
        if not self.ready:
            raise BridgeError("the bridge is starting or stopping: ask again in a moment")
        counts, ids = await self._store.read(partial(rows.matched, asked=question))
        if question.dry_run:
            return MatchReport(by_operation=counts).model_dump(mode="json")
        decided: list[str] = []
        failures: list[NotDecided] = []
        for id in ids:
            one = ResolveCommand(id=id, choice=question.choice, note=question.note, sudo_user=question.sudo_user)
            try:
                await self._decide(await self._found(id), one, peer)
                decided.append(id)
            except BridgeError as error:
                failures.append(NotDecided(id=id, because=str(error)))
        await self._rulings.act()
        report = MatchReport(
            by_operation=counts, decided=tuple(decided), failures=tuple(failures),
            next=ids[-1] if len(ids) == AT_ONCE else "",
        )  # fmt: skip
        return report.model_dump(mode="json")

    async def _decide(self, kept: Kept, question: ResolveCommand, peer: Peer) -> None:
        if region := forwarded_to(kept.subject):
            raise BridgeError(f"request {question.id} is in the hands of the bridge of {region}: decide it there")
        operation, by = kept.report.operation, peer.behind(question.sudo_user)
        ruling = self._rulings.ruling(
            question.id,
            operation,
            kept.report.source,
            question.choice,
            by,
            question.note,
            self._clock(),
            question.result,
            kept.reply_to,
        )
        await self._rulings.write(ruling, operation)

    async def _found(self, id: str) -> Kept:
        kept = await self._store.read(partial(rows.found, id=id))
        if kept is None:
            raise BridgeError(f"the inbox has no request {id}; `bridgectl requests list --state all` lists what it has")
        return kept

    def _opened(self, kept: Kept) -> bytes:
        if not kept.envelope:
            raise BridgeError(
                "the request is not kept: it was final, and its front knows, or it did not fit its schema"
            )
        try:
            if is_sealed_here(kept.envelope):
                return self._local.opened(kept.report.id, kept.report.operation, kept.envelope).payload
            return self._opener.authentic(kept.envelope).payload
        except EnvelopeError as error:
            raise BridgeError(f"the request cannot be opened: {error.reason}") from None

    async def _evidence(self, kept: Kept) -> Evidence:
        report = kept.report
        if report.state not in _CLEAR:
            return Evidence(came_to="not-asked", detail=f"it is {report.state}")
        if region := forwarded_to(kept.subject):
            return Evidence(came_to="not-asked", detail=f"the bridge of {region} has it: ask there")
        if report.code == PoisonMessage.reason:
            return Evidence(came_to="not-asked", detail="the bridge died of it: it is not opened")
        if report.code == REPETITION:
            return Evidence(came_to="not-asked", detail="ask about the one that it may repeat: its own id is a new one")
        if report.operation not in self._rulings.inquires:
            return Evidence(came_to="not-asked", detail="its binding cannot ask")
        if self._calls.paused(report.operation):
            return Evidence(came_to="not-asked", detail="it is paused for maintenance")
        try:
            body = CATALOGUE[report.operation].requests.validate_json(self._opened(kept))
        except (KeyError, ValidationError):
            return Evidence(came_to="not-asked", detail="the bridge's catalogue does not accept the request")
        except BridgeError as error:
            return Evidence(came_to="not-asked", detail=str(error))
        return _evidence(await self._calls.inquire(report.operation, self._calls.request(report.id, body, "")))


def _evidence(finding: Finding) -> Evidence:
    match finding:
        case Answered(result):
            known = ", ".join(sorted(json.loads(result)))
            return Evidence(came_to="applied", detail=f"its answer is there ({known}): ask-again takes it")
        case Refused(code):
            return Evidence(came_to="refused", detail=f"with {code}: ask-again takes it")
        case Absent():
            return Evidence(came_to="absent", detail="it has no such request: not-applied, or call-again")
        case Unknown(reason):
            return Evidence(came_to="unknown", detail=reason)
