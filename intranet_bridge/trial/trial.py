"""`intranet-bridge try OPERATION`: one binding tried, step by step, by the code that will serve it.

The request is rendered, sent and judged by the operation's own adapter; this only listens to it. Nothing of the broker,
the inbox or the keys is touched. A saved answer (`--answer`) is served to the adapter by a listener on the loopback for
the length of the trial, so it is parsed as the marketing system's would be.
"""

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

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
from intranet_bridge.marketing.endpoint import client_of, secret_of
from intranet_bridge.marketing.http import HttpAdapter
from intranet_bridge.marketing.http_client import HttpClient
from intranet_bridge.marketing.http_connection import Response
from intranet_bridge.marketing.mapping import MappingError
from intranet_bridge.marketing.result import dotted, validated
from intranet_bridge.settings import BridgeSettings
from intranet_bridge.trial.masking import Mask
from protocol.errors import ConfigurationError
from protocol.messages import uuid7
from protocol.operations import CATALOGUE, Kind, Operation, UnknownOutcome
from protocol.runtime.clock import wall_clock

_HEAD = re.compile(rb"HTTP/[0-9.]+ +([0-9]{3}[^\r\n]*)\r?\n")
_NEXT = {
    UnknownOutcome.REPEAT: "the call is repeated: the catalogue says that it may be",
    UnknownOutcome.INQUIRE: "the marketing system is asked what became of it; never called again blindly",
    UnknownOutcome.HOLD: "it is held for an operator",
}


class _NotSent(Exception):
    """The trial ends with the rendered request."""


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


def run(settings: BridgeSettings, given: argparse.Namespace, out: Callable[[str], object] = print) -> int:
    """Try it. Returns 0 for an answer, a refusal or a request that was only rendered, 1 for any other verdict.

    Raises ConfigurationError for arguments and files that cannot be used.
    """
    operation, binding = CATALOGUE.get(given.operation), settings.operations.get(given.operation)
    if operation is None or binding is None:
        raise ConfigurationError(f"{given.operation} is not bound; bound are {', '.join(sorted(settings.operations))}")
    if given.inquiry and binding.inquire is None:
        raise ConfigurationError(f"[operations.{given.operation}.inquire] is not there")
    id = given.request_id or uuid7(wall_clock(), os.urandom(10))
    if not re.fullmatch(r"[0-9A-Za-z._:-]{1,64}", id):
        raise ConfigurationError("--request-id: 1 to 64 letters, digits and ._:-")
    asked = MarketingRequest(id, _body(operation, given.body))
    saved = None if given.answer is None else _saved(given.answer)
    sends = saved is None and (operation.kind is Kind.QUERY or given.inquiry or given.really)
    secret = secret_of(settings.marketing) if sends else ""
    login = settings.marketing.authentication
    mask = Mask(show=given.show, secret=secret, secret_headers=frozenset({login.header.lower()} if login else ()))
    trial = _Trial(operation, settings, mask, out, secret or "***", inquiry=given.inquiry)
    return asyncio.run(trial.run(asked, saved, sends=sends))


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
    """The file as an HTTP/1.1 answer. What `curl -i` writes has its body decoded, so the length is written anew."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", file=str(file)) from error
    head = _HEAD.match(data)
    if head is None:
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data)
    end = re.search(rb"\r?\n\r?\n", data)
    lines, body = (data[head.end() : end.start()], data[end.end() :]) if end else (data[head.end() :], b"")
    kept = b"".join(
        line.strip(b"\r") + b"\r\n"
        for line in lines.split(b"\n")
        if line.strip() and not re.match(rb"(?i)(content-length|connection|keep-alive)\s*:", line)
    )
    chunked = re.search(rb"(?im)^transfer-encoding\s*:.*chunked", kept) is not None
    if chunked and re.match(rb"[0-9A-Fa-f]{1,8}(?:;[^\r\n]*)?\r\n", body):  # as it came over the wire
        return b"HTTP/1.1 %b\r\n%b\r\n%b" % (head[1], kept, body)
    kept = re.sub(rb"(?im)^transfer-encoding\s*:[^\n]*\n", b"", kept)
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (head[1], kept, len(body), body)


class _Listening(HttpClient):
    """The client, telling what it hands over and what comes back."""

    sends = True
    body: bytes | None = None
    """Of the answer, once it is whole: without the framing of transfer codings."""
    written: Callable[[bytes], None]
    heard: Callable[[bytes], None]

    async def exchange(
        self, request: bytes, timeout_s: float, *, fresh: bool = False, may_send: Callable[[], bool] | None = None
    ) -> Response:
        self.written(request)
        if not self.sends:
            raise _NotSent
        response = await super().exchange(request, timeout_s, fresh=fresh, may_send=may_send)
        self.body = response.body
        return response

    async def _connect(self, deadline: float) -> Any:
        connection = await super()._connect(deadline)
        received = connection.data_received

        def hear(data: bytes) -> None:
            self.heard(data)
            received(data)

        connection.data_received = hear  # type: ignore[method-assign]
        return connection


class _Trial:
    def __init__(
        self,
        operation: Operation,
        settings: BridgeSettings,
        mask: Mask,
        out: Callable[[str], object],
        secret: str,
        *,
        inquiry: bool,
    ) -> None:
        self._operation, self._settings, self._mask, self._secret = operation, settings, mask, secret
        self._out, self._inquiry = out, inquiry
        self._client: _Listening
        self._answer = b""
        self._told = False

    async def run(self, asked: MarketingRequest, saved: bytes | None, *, sends: bool) -> int:
        marketing, name = self._settings.marketing, self._operation.name
        self._out(f"{name}, {'inquiry' if self._inquiry else self._operation.kind.value}, request {asked.request_id}")
        if saved is None and sends:
            client = client_of(marketing, _Listening)
            return await self._with(client, asked)
        server = await asyncio.start_server(lambda reader, writer: _serve(saved or b"", reader, writer), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            client = _Listening("127.0.0.1", port, answer_limit=marketing.answer_limit)
            client.sends = saved is not None
            return await self._with(client, asked)

    async def _with(self, client: _Listening, asked: MarketingRequest) -> int:
        client.written, client.heard = self._request, self._heard
        self._client = client
        binding = self._settings.operations[self._operation.name]
        adapter = HttpAdapter(self._operation, binding, self._settings.marketing, client, self._secret, self._step)
        outcome: Outcome | Finding
        try:
            if self._inquiry:
                outcome = await adapter.inquire(asked, adapter.timeout_s)
            else:
                outcome = await adapter.call(asked, adapter.timeout_s)
        except _NotSent:
            self._out(
                "\nnot sent: a command is applied by the marketing system. --really sends it, --answer FILE reads"
            )
            self._out("a saved answer instead")
            return 0
        finally:
            await client.close()
        self._tell_answer()
        self._out("\nverdict")
        for line in _verdict(self._operation, outcome, inquiry=self._inquiry):
            self._out(f"  {self._mask.clean(line)}")
        if isinstance(outcome, Answered):
            self._out("  result: " + self._mask.body(outcome.result).replace("\n", "\n  "))
        return 0 if isinstance(outcome, Answered | Refused | Absent) else 1

    def _request(self, request: bytes) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        first, *headers = head.decode("latin-1").split("\r\n")
        if not self._mask.show:
            binding = self._settings.operations[self._operation.name]
            asks = binding.inquire if self._inquiry and binding.inquire else binding
            method, target, protocol = first.split(" ")
            query = re.sub(r"=[^&]*", "=<text>", target.partition("?")[2])
            first = f"{method} {asks.path}{'?' + query if query else ''} {protocol}"
        self._out("\nrequest")
        self._out(f"  {self._mask.clean(first)}")
        form = False
        for line in headers:
            form = form or line.lower().startswith("content-type: application/x-www-form-urlencoded")
            self._out(f"  {self._mask.header(line)}")
        if body:
            shown = self._mask.body(body)
            if form:
                text = body.decode("latin-1")
                shown = self._mask.clean(text if self._mask.show else re.sub(r"=[^&]*", "=<text>", text))
            self._out("  " + shown.replace("\n", "\n  "))

    def _heard(self, data: bytes) -> None:
        self._answer += data[: max(0, self._settings.marketing.answer_limit - len(self._answer))]

    def _tell_answer(self) -> None:
        if self._told:
            return
        self._told = True
        self._out("\nanswer")
        if not self._answer:
            self._out("  none")
            return
        head, _, body = self._answer.partition(b"\r\n\r\n")
        first, *headers = head.decode("latin-1").split("\r\n")
        self._out(f"  {self._mask.clean(first)}")
        for line in headers:
            self._out(f"  {self._mask.header(line)}")
        whole = self._client.body
        self._out("  " + self._mask.body(body if whole is None else whole).replace("\n", "\n  "))
        self._out("\nsteps")

    def _step(self, name: str, gave: Any) -> None:
        self._tell_answer()
        if isinstance(gave, MappingError):
            self._out(f"  {name}: {self._mask.clean(str(gave))}")
            return
        self._out(f"  {name}: " + self._mask.json(gave).replace("\n", "\n  "))
        if name in ("response", "inquire.response"):
            try:
                validated(self._operation.responses, gave)
            except MappingError as error:
                self._out(f"  schema: {self._mask.clean(str(error))}")
            else:
                self._out("  schema: it fits")


async def _serve(answer: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *([0-9]+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        writer.write(answer)
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


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
