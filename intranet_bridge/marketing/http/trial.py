"""An HTTP system that is tried: it tells an observer what it hands over and what comes back.

A saved answer is served by a listener on the loopback for the length of the trial, so it is parsed as the marketing
system's would be.
"""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

from intranet_bridge.marketing.http import check
from intranet_bridge.marketing.http.access import (
    OpenSession,
    TokenSource,
    access_of,
    as_written,
    session_of,
    signer_of,
)
from intranet_bridge.marketing.http.adapter import HttpAdapter
from intranet_bridge.marketing.http.binding import HttpBinding, HttpSystem
from intranet_bridge.marketing.http.client import HttpClient
from intranet_bridge.marketing.http.connection import Response
from intranet_bridge.marketing.http.endpoint import client_of, secret_of
from intranet_bridge.marketing.http.signature import Signer
from intranet_bridge.marketing.kind import Observer
from intranet_bridge.marketing.masking import Mask
from protocol.operations.operation import Operation
from protocol.runtime.metrics import Sample

_UNKNOWN = "***"
_FORM = "application/x-www-form-urlencoded"
_HEAD = re.compile(rb"HTTP/[0-9.]+ +([0-9]{3}[^\r\n]*)\r?\n")


class ObservedSystem:
    """One back end that is tried."""

    def __init__(self, name: str, system: HttpSystem, observer: Observer) -> None:
        """Raises ConfigurationError for files that cannot be used."""
        self._system, self._observer, mask = system, observer, observer.mask
        secret = secret_of(system) if observer.sends else _UNKNOWN
        authentication, signature = system.authentication, system.signature
        mask.hide(secret if observer.sends else "", header=authentication.header if authentication else "")
        if signature:
            mask.hide("", header=signature.header)
        signer = signer_of(system) if observer.sends else Signer(signature, _UNKNOWN.encode()) if signature else None
        self._open: OpenSession | None = None
        session: TokenSource = _Unasked()
        if observer.sends:
            # by a client of its own: what a log-in sends and gets is nobody's to see
            self._apart = client_of(system, HttpClient)
            self._open = session_of(name, system, self._apart, secret=secret, signer=signer)
            if self._open is not None:
                session = _Hidden(self._open, mask)
        has_session = system.login is not None or system.oauth is not None
        self._access = access_of(system, secret=secret, session=session if has_session else None, signer=signer)
        if self._access.place and self._access.place.header:
            mask.hide("", header=self._access.place.header)
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
        check.session(binding, self._system)
        return HttpAdapter(operation, binding, self._system, self._client, self._access, self._step)

    async def start(self) -> None:
        """Serve the saved answer, if one is tried."""
        saved = self._observer.saved
        if saved is None:
            return
        answer = saved_answer(saved)
        self._server = await asyncio.start_server(lambda r, w: serve_saved(answer, r, w), "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self._client = _Listening("127.0.0.1", port, answer_limit=self._system.answer_limit)

    async def close(self) -> None:
        """Close the connections."""
        if self._open is not None:
            await self._open.close()
        if self._observer.sends:
            await self._apart.close()
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


class _Hidden:
    """A session whose tokens, and what they are asked with, are never printed."""

    def __init__(self, opened: OpenSession, mask: Mask) -> None:
        self._session, self._mask = opened.session, mask
        self._hide(opened.secret)

    def _hide(self, secret: str) -> None:
        for written in as_written(secret):
            self._mask.hide(written)

    async def token(self, within_s: float) -> str:
        token = await self._session.token(within_s)
        self._hide(token)
        return token

    def turned_away(self, token: str) -> None:
        self._session.turned_away(token)


class _Unasked:
    """In place of a session where nothing is sent."""

    async def token(self, within_s: float) -> str:
        return _UNKNOWN

    def turned_away(self, token: str) -> None: ...


class _Listening(HttpClient):
    """The client, telling what it hands over and what comes back."""

    _observer: Observer
    _binding: HttpBinding
    _limit: int
    _heard = b""

    def listen(self, observer: Observer, binding: HttpBinding, limit: int) -> None:
        self._observer, self._binding, self._limit = observer, binding, limit

    async def exchange(self, request: bytes, timeout_s: float, **how: Any) -> Response:
        self._observer.request(self._request_lines(request))
        self._heard, whole = b"", None
        try:
            response = await super().exchange(request, timeout_s, **how)
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
        method, target, protocol = first.split(" ")
        if not mask.show:
            inquire = self._binding.inquire
            asks = inquire if self._observer.inquiry and inquire else self._binding
            target = asks.path + (f"?{query}" if (query := target.partition("?")[2]) else "")
        target, question, query = target.partition("?")
        first = f"{method} {target}{question}{mask.form(query)} {protocol}"
        lines = [mask.clean(first), *(mask.header(line) for line in headers)]
        if body:
            form = any(line.lower().startswith(f"content-type: {_FORM}") for line in headers)
            lines.append(mask.form(body.decode("latin-1")) if form else mask.body(body))
        return lines

    def _answer_lines(self, whole: bytes | None) -> list[str]:
        """`whole`: the body without the framing of transfer codings, if it came."""
        mask = self._observer.mask
        head, _, body = self._heard.partition(b"\r\n\r\n")
        first, *headers = head.decode("latin-1").split("\r\n")
        shown = mask.body(body if whole is None else whole)
        return [mask.clean(first), *(mask.header(line) for line in headers), shown]


async def serve_saved(answer: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request with a saved answer."""
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
