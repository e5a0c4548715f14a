"""`intranet-bridge try OPERATION`: one binding tried, step by step, by the code that will serve it.

The request is rendered, sent and judged by the operation's own adapter; this only listens to it (`Observer` of
marketing/kind.py). Nothing of the broker, the inbox or the keys is touched. A saved answer (`--answer`) is read by the
adapter as the marketing system's would be.
"""

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from intranet_bridge.bound import place_of
from intranet_bridge.marketing import (
    Absent,
    Answered,
    Fault,
    Finding,
    MarketingRequest,
    NotApplied,
    Outcome,
    Refused,
    Rejected,
    Unknown,
)
from intranet_bridge.marketing.expressions.mapping import MappingError
from intranet_bridge.marketing.expressions.result import dotted, validated
from intranet_bridge.marketing.kind import System, TrialEnds
from intranet_bridge.marketing.kinds import kind
from intranet_bridge.marketing.masking import Mask
from intranet_bridge.settings import BridgeSettings
from protocol.errors import ConfigurationError
from protocol.messages import uuid7
from protocol.operations import CATALOGUE, OWN, Kind, Operation, UnknownOutcome
from protocol.runtime.clock import wall_clock
from protocol.runtime.settings import placed_within, toml_path

_NEXT = {
    UnknownOutcome.REPEAT: "the call is repeated: the catalogue says that it may be",
    UnknownOutcome.INQUIRE: "the marketing system is asked what became of it; never called again blindly",
    UnknownOutcome.HOLD: "it is held for an operator",
}


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The arguments of `intranet-bridge try`."""
    parser = commands.add_parser("try", help="try one operation's binding and show every step")
    parser.add_argument("operation", metavar="OPERATION")
    parser.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE")
    parser.add_argument("--body", metavar="JSON|@FILE", help="the request; @- is standard input. Default: the example")
    parser.add_argument("--answer", type=Path, metavar="FILE", help="a saved answer, with or without its HTTP head")
    parser.add_argument("--inquiry", action="store_true", help="the inquiry about a request instead of the call")
    parser.add_argument("--request-id", metavar="ID", help="default: a new one")
    parser.add_argument("--show", action="store_true", help="show values; secrets stay masked")
    parser.add_argument("--really", action="store_true", help="send a command: it will be applied")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is tried: the arguments of the command."""

    operation: str
    body: str | None = None
    answer: Path | None = None
    inquiry: bool = False
    request_id: str | None = None
    show: bool = False
    really: bool = False


def run(settings: BridgeSettings, given: argparse.Namespace, out: Callable[[str], object] = print) -> int:
    """Try it. Returns 0 for an answer, a refusal or a request that was only rendered, 1 for any other verdict.

    Raises ConfigurationError for arguments and files that cannot be used.
    """
    wanted = Wanted(*(getattr(given, name) for name in Wanted.__dataclass_fields__))
    outcome = tried(settings, wanted, out)
    return 0 if outcome is None or isinstance(outcome, Answered | Refused | Absent) else 1


def tried(settings: BridgeSettings, given: Wanted, out: Callable[[str], object]) -> Outcome | Finding | None:
    """What it came to, in an event loop of its own; None if the request was only rendered.

    Raises ConfigurationError for arguments and files that cannot be used.
    """
    if given.operation in OWN:
        raise ConfigurationError(f"{given.operation} is answered by the bridge itself: there is no binding to try")
    operation, binding = CATALOGUE.get(given.operation), settings.operations.get(given.operation)
    if operation is None or binding is None:
        raise ConfigurationError(f"{given.operation} is not bound; bound are {', '.join(sorted(settings.operations))}")
    if given.inquiry and not binding.inquires:
        raise ConfigurationError(f"[{toml_path(('operations', given.operation, 'inquire'))}] is not there")
    id = given.request_id or uuid7(wall_clock(), os.urandom(10))
    if not re.fullmatch(r"[0-9A-Za-z._:-]{1,64}", id):
        raise ConfigurationError("--request-id: 1 to 64 letters, digits and ._:-")
    asked = MarketingRequest(id, _body(operation, given.body))
    saved = None if given.answer is None else _saved(given.answer)
    sends = saved is None and (operation.kind is Kind.QUERY or given.inquiry or given.really)
    told = _Observer(operation, Mask(show=given.show), out, sends=sends, saved=saved, inquiry=given.inquiry)
    section = settings.all_systems[binding.system]
    with placed_within(place_of(binding.system)):
        system = kind(section.adapter).open(binding.system, section, told)
    return asyncio.run(_trial(operation, binding, system, asked, told, out))


def _body(operation: Operation, text: str | None) -> Any:
    if text is None:
        return operation.requests.validate_python(operation.example)
    where = "--body"
    if text.startswith("@"):
        where = text[1:]
        try:
            text = sys.stdin.read() if where == "-" else Path(where).read_text(encoding="utf-8-sig")
        except OSError as error:
            raise ConfigurationError(f"cannot be read: {error.strerror}", file=where) from error
        except UnicodeDecodeError:
            raise ConfigurationError("is not UTF-8 text", file=where) from None
    try:
        return operation.requests.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = dotted(first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(
            f"the request does not fit: {place + ': ' if place else ''}{message}", file=where
        ) from None


def _saved(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", file=str(file)) from error


async def _trial(
    operation: Operation,
    binding: Any,
    system: System,
    asked: MarketingRequest,
    told: "_Observer",
    out: Callable[[str], object],
) -> Outcome | Finding | None:
    out(f"{operation.name}, {'inquiry' if told.inquiry else operation.kind.value}, request {asked.request_id}")
    outcome: Outcome | Finding
    try:
        await system.start()
        with placed_within(("operations", operation.name)):
            adapter = system.adapter(operation, binding)
        if told.inquiry:
            outcome = await adapter.inquire(asked, adapter.timeout_s)
        else:
            outcome = await adapter.call(asked, adapter.timeout_s)
    except TrialEnds:
        out("\nnot sent: a command is applied by the marketing system. --really sends it, --answer FILE reads")
        out("a saved answer instead")
        return None
    finally:
        await system.close()
    if not told.answered:
        told.answer(["none"])
    out("\nverdict")
    for line in _verdict(operation, outcome, inquiry=told.inquiry):
        out(f"  {told.mask.clean(line)}")
    if isinstance(outcome, Answered):
        out("  result: " + told.mask.body(outcome.result).replace("\n", "\n  "))
    return outcome


class _Observer:
    """Prints what an adapter tells of one trial."""

    def __init__(
        self,
        operation: Operation,
        mask: Mask,
        out: Callable[[str], object],
        *,
        sends: bool,
        saved: bytes | None,
        inquiry: bool,
    ) -> None:
        self._operation, self._out = operation, out
        self.mask, self.sends, self.saved, self.inquiry = mask, sends, saved, inquiry
        self.answered = False
        self._stepped = False

    def request(self, lines: Sequence[str]) -> None:
        self._print("request", lines)
        if not self.sends and self.saved is None:
            raise TrialEnds

    def answer(self, lines: Sequence[str]) -> None:
        self.answered = True
        self._print("answer", lines)

    def step(self, name: str, gave: Any) -> None:
        if not self._stepped:
            self._stepped = True
            self._out("\nsteps")
        if isinstance(gave, MappingError):
            self._out(f"  {name}: {self.mask.clean(str(gave))}")
            return
        self._out(f"  {name}: " + self.mask.json(gave).replace("\n", "\n  "))
        if name in ("response", "inquire.response"):
            try:
                validated(self._operation.responses, gave)
            except MappingError as error:
                self._out(f"  schema: {self.mask.clean(str(error))}")
            else:
                self._out("  schema: it fits")

    def _print(self, title: str, lines: Sequence[str]) -> None:
        self._out(f"\n{title}")
        for line in lines:
            self._out("  " + line.replace("\n", "\n  "))


def _verdict(operation: Operation, outcome: Outcome | Finding, *, inquiry: bool) -> list[str]:
    """What the worker would make of it."""
    command = operation.kind is Kind.COMMAND
    match outcome:
        case Answered():
            return ["succeeded" + (": it was applied, finally" if command else "")]
        case Refused(code, detail):
            told = [f"refused, code {code}" + (": the customer is told no, finally" if command else "")]
            return told + (
                ["the marketing system's text is passed on (--show shows it in the answer)"] if detail else []
            )
        case Absent():
            return ["the marketing system has no such request: the command is called again"]
        case Rejected(reason):
            return [f"failed, code marketing-rejected: {reason}", "not repeated"]
        case NotApplied(reason):
            again = "it is called again" if command else "it is asked again while its deadline leaves time"
            return [f"surely not applied: {reason}", again]
        case Unknown(reason):
            if reason.endswith("mismatch at request_id"):
                reason += " (--request-id ID says whose answer it should be)"
            if inquiry:
                return [f"the inquiry decided nothing: {reason}", "it is repeated"]
            if command:
                return [f"what became of it is unknown: {reason}", _NEXT[operation.unknown_outcome]]
            if outcome.fault is Fault.MISMATCH:
                return [f"failed, code answer-mismatch: {reason}", "it is never passed on"]
            code = "marketing-timeout" if outcome.timed_out else "marketing-failed"
            return [f"failed, code {code}: {reason}"]
