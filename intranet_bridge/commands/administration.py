"""What an administrator asks the running bridge about commands: which are held, what is known of one, a decision.

Over the control socket; who asks is the kernel's word. The content of a request is opened only when asked for, and
that is logged, as every decision is.
"""

import json
from collections.abc import Awaitable, Callable, Container, Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError

from intranet_bridge.commands.workers import CommandWorkers
from intranet_bridge.inbox import administration as rows
from intranet_bridge.inbox.administration import Kept, Ruling
from intranet_bridge.marketing import Absent, Answered, Finding, Refused, Unknown
from intranet_bridge.marketing.calls import MarketingCalls
from intranet_bridge.replies import Replies
from protocol.administration import (
    LONGEST_RESULT,
    AuditedAct,
    Choice,
    CommandDetail,
    Evidence,
    ListCommands,
    ResolveCommand,
    ShowCommand,
    TraceReport,
    TraceRequest,
    asked,
)
from protocol.envelope import Opener
from protocol.errors import BridgeError, EnvelopeError, PoisonMessage
from protocol.lifecycle import Event, State, move
from protocol.messages import LOWEST_VERSION, Attributes
from protocol.operations import CATALOGUE
from protocol.runtime.clock import Clock
from protocol.runtime.control import Answer, Peer
from protocol.runtime.logs import logger
from protocol.runtime.outbox import Outbox
from protocol.runtime.request_log import RequestLog
from protocol.runtime.store import Store

log = logger(__name__)

NOT_APPLIED = "an operator found that the marketing system did not apply it"
_CLEAR = frozenset({State.HELD, State.UNKNOWN})
"""States of a command of which the marketing system may know more than the bridge."""


class Administration:
    """Answers the questions about commands."""

    def __init__(
        self,
        *,
        store: Store,
        workers: CommandWorkers,
        outbox: Outbox,
        opener: Opener,
        replies: Replies,
        calls: MarketingCalls,
        inquires: Container[str],
        requests: RequestLog,
        name: str,
        clock: Clock,
    ) -> None:
        """`inquires`: operations whose binding can ask what became of a request."""
        self._store, self._workers, self._outbox, self._opener = store, workers, outbox, opener
        self._replies, self._calls, self._inquires, self._clock = replies, calls, inquires, clock
        self._requests, self._name = requests, name
        self.ready = False
        """Everything is started: decisions can be acted on."""

    def answers(self) -> Mapping[str, Answer]:
        """What can be asked."""
        questions: dict[str, Callable[[Mapping[str, Any], Peer], Awaitable[Any]]] = {
            "commands": self.list, "command": self.show, "resolve": self.resolve,
            "audit": self.audit,
            "trace": self.trace,
        }  # fmt: skip
        return questions

    async def audit(self, request: Mapping[str, Any], peer: Peer) -> None:
        """An act of `bridgectl` itself, into the log."""
        question = asked(AuditedAct, request)
        log.warning("administrative-act", act=question.act, by=peer.name, details=question.details)

    async def list(self, request: Mapping[str, Any], _peer: Peer) -> list[dict[str, Any]]:
        """Commands in some states."""
        question = asked(ListCommands, request)
        reports = await self._store.read(partial(rows.listed, states=question.states, limit=question.limit))
        return [report.model_dump(mode="json") for report in reports]

    async def show(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """One command, what was decided of it, and, if asked for, what the marketing system says and its content."""
        question = asked(ShowCommand, request)
        kept = await self._found(question.id)
        revealed = ""
        if question.reveal:
            log.warning("request-revealed", request=question.id, by=peer.name)
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
        operation = kept.report.operation
        by = f"{peer.name} ({question.sudo_user})" if question.sudo_user and peer.uid == 0 else peer.name
        if question.choice is Choice.ASK_AGAIN and operation not in self._inquires:
            raise BridgeError(f"the binding of {operation} cannot ask what became of a request")
        note = " ".join(question.note.split())
        ruling = Ruling(question.id, question.choice, by, note, self._clock())
        if question.choice in (Choice.APPLIED, Choice.NOT_APPLIED):
            ruling = self._final(ruling, operation, question.result)
        elif question.result:
            raise BridgeError("result: goes with applied alone")
        await self._store.write(partial(rows.decide, ruling=ruling))
        log.warning(
            "command-decided", request=ruling.id, operation=operation, choice=ruling.choice, by=by, note=note,
        )  # fmt: skip
        if ruling.sealed is None:
            await self._workers.act_on_decisions()
        else:
            await self._outbox.sweep()
        return (await self._found(question.id)).report.model_dump(mode="json")

    async def _found(self, id: str) -> Kept:
        kept = await self._store.read(partial(rows.found, id=id))
        if kept is None:
            raise BridgeError(f"the inbox has no request {id}; `bridgectl requests list --state all` lists what it has")
        return kept

    def _final(self, ruling: Ruling, operation: str, result: str) -> Ruling:
        applied = ruling.choice is Choice.APPLIED
        code, detail = ("", "") if applied else ("not-applied", NOT_APPLIED)
        if result and not applied:
            raise BridgeError("result: goes with applied alone")
        body = checked_result(operation, result) if result else b""
        # The request is not opened for it: the bridge may have died of that. Every front reads the lowest version.
        about = Attributes(ruling.id, "", operation, ruling.at, version=LOWEST_VERSION)
        state = move(State.HELD, Event.SUCCEED if applied else Event.FAIL)
        sealed = self._replies.sealed(about, state, code, detail, body)
        return Ruling(ruling.id, ruling.choice, ruling.by, ruling.note, ruling.at, code, sealed)

    def _opened(self, kept: Kept) -> bytes:
        if not kept.envelope:
            raise BridgeError(
                "the request is not kept: it was final, and its front knows, or it did not fit its schema"
            )
        try:
            return self._opener.authentic(kept.envelope).payload
        except EnvelopeError as error:
            raise BridgeError(f"the request cannot be opened: {error.reason}") from None

    async def _evidence(self, kept: Kept) -> Evidence:
        report = kept.report
        if report.state not in _CLEAR:
            return Evidence(came_to="not-asked", detail=f"it is {report.state}")
        if report.code == PoisonMessage.reason:
            return Evidence(came_to="not-asked", detail="the bridge died of it: it is not opened")
        if report.operation not in self._inquires:
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


def checked_result(operation: str, text: str) -> bytes:
    """A result as the bridge would have sent it. Raises BridgeError naming what does not fit, never its values."""
    entry = CATALOGUE.get(operation)
    if entry is None:
        raise BridgeError(f"this program's catalogue has no operation {operation}: decide without a result")
    try:
        result = bytes(entry.responses.dump_json(entry.responses.validate_json(text)))
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in one['loc']) or 'the whole'}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False, include_context=False)[:5]
        ]
        raise BridgeError(f"result: does not fit the answer of {operation}: {'; '.join(problems)}") from None
    if len(result) > LONGEST_RESULT:
        raise BridgeError(f"result: is longer than a message may be ({LONGEST_RESULT} bytes)")
    return result


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
