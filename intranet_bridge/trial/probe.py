"""Probing: an administrator has one operation's binding tried by the running bridge, with the catalogue's example.

`bridgectl probe` over the control socket. It is a trial (trial.py) with connections of its own, in a thread of its own:
no customer's request waits for it, and neither circuit nor metrics hear of it.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from intranet_bridge.marketing import Absent, Answered, Finding, NotApplied, Outcome, Refused, Rejected, Unknown
from intranet_bridge.settings import BridgeSettings
from intranet_bridge.trial.trial import Wanted, tried
from protocol.administration import ProbeOperation, ProbeOutcome, ProbeReport, asked
from protocol.errors import BridgeError
from protocol.operations import CATALOGUE, OWN, Kind
from protocol.runtime.control import Peer
from protocol.runtime.logs import logger

log = logger(__name__)


class Probe:
    """Tries one operation at a time."""

    def __init__(self, settings: BridgeSettings) -> None:
        self.settings = settings
        self._turn = asyncio.Lock()

    async def probe(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Try it. A command is only rendered, unless it is to be sent `really`."""
        question = asked(ProbeOperation, request)
        name = question.operation
        if name in OWN:
            raise BridgeError(f"{name} is answered by the bridge itself: there is no binding to try")
        if name not in self.settings.operations or name not in CATALOGUE:
            raise BridgeError(f"{name} is not bound here; bound are {', '.join(sorted(self.settings.operations))}")
        if question.really and CATALOGUE[name].kind is Kind.COMMAND:
            log.warning("command-probed", operation=name, by=peer.name)
        lines: list[str] = []
        wanted = Wanted(name, show=question.reveal, really=question.really)
        async with self._turn:
            outcome = await asyncio.to_thread(partial(tried, self.settings, wanted, lines.append))
        told = "\n".join(lines).split("\n")
        verdict = told[told.index("verdict") + 1].strip() if "verdict" in told else "not sent: it is a command"
        system = self.settings.operations[name].system
        report = ProbeReport(operation=name, system=system, outcome=word(outcome), verdict=verdict, lines=tuple(told))
        return report.model_dump(mode="json")


def word(outcome: Outcome | Finding | None) -> ProbeOutcome:
    """What a call came to, in one word; None: it was not made."""
    match outcome:
        case Answered():
            return "answered"
        case Refused():
            return "refused"
        case Rejected():
            return "rejected"
        case NotApplied():
            return "not-applied"
        case Unknown() | Absent():
            return "unknown"
        case None:
            return "not-sent"
