"""An HTTP system that is tried: it tells an observer what it hands over and what comes back.

A saved answer is served by a listener on the loopback for the length of the trial, so it is parsed as the marketing
system's would be.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any

from intranet_bridge.marketing.http.adapter import HttpAdapter
from intranet_bridge.marketing.http.binding import HttpBinding, HttpSystem
from intranet_bridge.marketing.http.client import HttpClient
from intranet_bridge.marketing.http.connection import Response
from intranet_bridge.marketing.http.endpoint import client_of, secret_of
from intranet_bridge.marketing.kind import Observer
from protocol.operations.operation import Operation
from protocol.runtime.metrics import Sample

_FORM = "application/x-www-form-urlencoded"
_HEAD = re.compile(rb"HTTP/[0-9.]+ +([0-9]{3}[^\r\n]*)\r?\n")


class ObservedSystem:
    """One back end that is tried."""

    def __init__(self, system: HttpSystem, observer: Observer) -> None:
        """Raises ConfigurationError for files that cannot be used."""
        self._system, self._observer = system, observer
        self._secret = secret_of(system) if observer.sends else "***"
        login = system.authentication
        observer.mask.hide(self._secret if observer.sends else "", header=login.header if login else "")
        # One that is not sent to is never connected to: port 1
        self._client = (
            client_of(system, _Listening)
            if observer.sends
            else _Listening("127.0.0.1", 1, answer_limit=system.answer_limit)
        )
        self._server: asyncio.Server | None = None

    def adapter(self, operation: Operation, binding: HttpBinding) -> HttpAdapter:
        """The operation's own adapter, listened to."""
        self._client.listen(self._observer, binding, self._system.answer_limit)
        return HttpAdapter(operation, binding, self._system, self._client, self._secret, self._step)

    async def start(self) -> None:
        """Serve the saved answer, if one is tried."""
        saved = self._observer.saved
        if saved is None:
            return
        answer = saved_answer(saved)
        self._server = await asyncio.start_server(lambda r, w: _serve(answer, r, w), "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self._client = _Listening("127.0.0.1", port, answer_limit=self._system.answer_limit)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def samples(self) -> Iterator[Sample]:
        """None: a trial is over at once."""
        yield from ()

    def _step(self, name: str, gave: Any) -> None:
        self._observer.step(name, gave)


def saved_answer(data: bytes) -> bytes:
    """A saved answer as an HTTP/1.1 answer. The length is written anew: `curl -i` decodes bodies."""
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

    _observer: Observer
    _binding: HttpBinding
    _limit: int
    _heard = b""

    def listen(self, observer: Observer, binding: HttpBinding, limit: int) -> None:
        self._observer, self._binding, self._limit = observer, binding, limit

    async def exchange(
        self, request: bytes, timeout_s: float, *, fresh: bool = False, may_send: Callable[[], bool] | None = None
    ) -> Response:
        self._observer.request(self._request_lines(request))
        self._heard, whole = b"", None
        try:
            response = await super().exchange(request, timeout_s, fresh=fresh, may_send=may_send)
            whole = response.body
            return response
        finally:
            if self._heard:
                self._observer.answer(self._answer_lines(whole))

    async def _connect(self, deadline: float) -> Any:
        connection = await super()._connect(deadline)
        received = connection.data_received

        def hear(data: bytes) -> None:
            self._heard += data[: max(0, self._limit - len(self._heard))]
            received(data)

        connection.data_received = hear  # type: ignore[method-assign]
        return connection

    def _request_lines(self, request: bytes) -> list[str]:
        mask = self._observer.mask
        head, _, body = request.partition(b"\r\n\r\n")
        first, *headers = head.decode("latin-1").split("\r\n")
        if not mask.show:
            inquire = self._binding.inquire
            asks = inquire if self._observer.inquiry and inquire else self._binding
            method, target, protocol = first.split(" ")
            query = re.sub(r"=[^&]*", "=<text>", target.partition("?")[2])
            first = f"{method} {asks.path}{'?' + query if query else ''} {protocol}"
        lines = [mask.clean(first), *(mask.header(line) for line in headers)]
        if body:
            form = any(line.lower().startswith(f"content-type: {_FORM}") for line in headers)
            text = body.decode("latin-1")
            lines.append(
                mask.clean(text if mask.show else re.sub(r"=[^&]*", "=<text>", text)) if form else mask.body(body)
            )
        return lines

    def _answer_lines(self, whole: bytes | None) -> list[str]:
        """`whole`: the body without the framing of transfer codings, if it came."""
        mask = self._observer.mask
        head, _, body = self._heard.partition(b"\r\n\r\n")
        first, *headers = head.decode("latin-1").split("\r\n")
        shown = mask.body(body if whole is None else whole)
        return [mask.clean(first), *(mask.header(line) for line in headers), shown]


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
