"""A small HTTP/1.1 client for one server: kept connections, one request at a time on each, exact failures.

Why not a general client: measured here against an instant backend (Python 3.11, uvloop, 32 at once, CPU a
request): httpx 1.64 ms, aiohttp 0.078 ms (0.090 with a timeout), this way 0.009 ms, when the whole bridge may
cost 0.13 ms. And the worker must know whether a request was handed over or surely not; general clients blur it:

- `NotSent`: no byte of the request left this process. Surely nothing was applied.
- `Lost`: the request was written, and no whole answer came. What was applied is unknown.

Parsing is httptools' (llhttp, Node's parser), strict; what it refuses is tried once more in response_head.py. No
redirects, no cookies, no proxies.

**A connection with a byte beyond its answer is never used again**, whatever the parser thinks of that byte: it may
be the first of an answer that the next request would take for its own, and so one customer's data would reach
another. Bytes are beyond an answer when they follow it in one packet (the last byte of every packet is given to the
parser alone, so the answer ends with the packet or there is more), come before its connection is taken again (the
socket is looked at when it is), or come before the next answer's status line. Two answers to one request on a
connection that has carried others are nobody's: the first may be a late one.

**The status line stands.** Once a final head has been read, what happens to the body (it is too long, it never
ends, the connection is lost) takes nothing away from a status of 300 or more: it is returned with `flaw`.
"""

import asyncio
import select
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httptools

from intranet_bridge.marketing.response_head import HEAD_LIMIT, BadHead, repaired
from protocol.link.dial import dial
from protocol.link.tls import explain
from protocol.runtime.crash_points import Point, reach_written
from protocol.runtime.metrics import Sample

TIMEOUT = "timeout"


class NotSent(Exception):
    """No byte was handed over: no connection could be made, or none was free in time."""


class Lost(Exception):
    """Handed over, and no whole answer came."""

    def __init__(self, reason: str, *, stale: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.timed_out = reason == TIMEOUT
        self.unusable = reason.startswith(("answer too long", "not HTTP"))
        """An answer came, and it is none that can be read: it may be one account's."""
        self.stale = stale
        """A kept connection was closed before any byte of the answer: very likely the server's keep-alive
        limit ran out at that moment. Who may repeat without harm should, at once."""


@dataclass(slots=True)
class Response:
    """What the server answered. (Not frozen: that would treble the cost of making one.)"""

    status: int
    body: bytes = field(repr=False)
    """As it came: content codings are not undone."""
    content_type: bytes = field(default=b"", repr=False)
    codings: bytes = field(default=b"", repr=False)
    """`Content-Encoding`, then transfer codings other than chunked; a list in the order they were applied."""
    flaw: str = ""
    """Why the body is not there, or not all of it; only with a status of 300 or more."""
    excess: bool = False
    """More bytes came with the answer than belong to it."""


class HttpClient:
    """A bounded pool of connections to one server."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        connections: int = 64,
        connect_timeout_s: float = 2.0,
        idle_s: float = 4.0,
        answer_limit: int = 1024 * 1024,
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._limit, self._connect_timeout_s, self._idle_s = connections, connect_timeout_s, idle_s
        self._answer_limit = answer_limit
        self._idle: list[_Connection] = []
        self._waiting: deque[asyncio.Future[_Connection | None]] = deque()
        self.open = 0
        """Connections made or being made."""
        self.made = 0

    async def exchange(
        self, request: bytes, timeout_s: float, *, fresh: bool = False, may_send: Callable[[], bool] | None = None
    ) -> Response:
        """Send a whole request and return the whole answer. Raises NotSent or Lost.

        `fresh` asks for a new connection instead of a kept one. `may_send` is asked once more when there is a
        connection: waiting for one may have taken long.
        """
        deadline = time.monotonic() + timeout_s
        connection = await self._connection(deadline, fresh)
        try:
            if may_send is not None and not may_send():
                raise NotSent("no longer allowed to send")
            if not connection.usable:
                raise NotSent("the connection was closed before the request")
            return await connection.exchange(request, deadline - time.monotonic())
        finally:
            self._release(connection)

    async def close(self) -> None:
        """Close what is idle; a request still running is Lost."""
        for connection in self._idle:
            connection.transport.close()
        self._idle.clear()
        self._limit = 0
        await asyncio.sleep(0)

    async def _connection(self, deadline: float, fresh: bool) -> "_Connection":
        idle, oldest = self._idle, time.monotonic() - self._idle_s
        while idle:
            connection = idle.pop()
            if not fresh and connection.idle_since > oldest and connection.quiet():
                return connection
            connection.transport.close()
            self.open -= 1
            if fresh:
                break  # its place is enough
        if self.open >= self._limit:
            waiter: asyncio.Future[_Connection | None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    kept = await waiter
            except TimeoutError:
                raise NotSent("no free connection") from None
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():  # it was ours already: pass it on
                    self._pass_on(waiter.result())
                raise
            if kept is not None:
                if kept.quiet():
                    return kept
                kept.transport.close()
            # a place became free, without a connection in it that may be used; `open` counts it as ours already
        else:
            self.open += 1
        try:
            return await self._connect(deadline)
        except BaseException:
            self._pass_on(None)
            raise

    async def _connect(self, deadline: float) -> "_Connection":
        loop = asyncio.get_running_loop()
        seconds = min(self._connect_timeout_s, deadline - time.monotonic())
        end = loop.time() + seconds
        try:
            plain = await dial((self._host, self._port), attempt_s=seconds, within_s=seconds)
            async with asyncio.timeout_at(end):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self._answer_limit),
                    sock=plain,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls else None,
                )
        except TimeoutError as error:
            raise NotSent(f"connect timeout: {error}" if str(error) else "connect timeout") from None
        except OSError as error:  # ssl.SSLError is one
            raise NotSent(f"connect: {explain(error)}") from error
        self.made += 1
        return connection

    def _release(self, connection: "_Connection") -> None:
        if connection.usable and self._limit:
            self._pass_on(connection)
        else:
            connection.transport.close()
            self._pass_on(None)

    def _pass_on(self, connection: "_Connection | None") -> None:
        """Give a connection, or the place of a lost one, to who waits; else keep it."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is None:
            self.open -= 1
        else:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        yield "bridge_marketing_connections", "Open", {}, self.open
        yield "bridge_marketing_connections_made_total", "Made", {}, self.made


class _Connection(asyncio.Protocol):
    """One connection. `usable` while a next request may go over it."""

    transport: asyncio.Transport

    _begun: bool
    """A byte of the answer has come."""
    _strict: bool
    """The parser has taken all of the head so far."""
    _head: bytes
    """What has come of a head that is not complete yet."""
    _status: int
    """The final status, once its head is complete."""
    _whole: Response | None
    """The answer, when its last byte has been read."""
    _another: bool
    """What is no blank line has come behind it."""

    def __init__(self, answer_limit: int) -> None:
        self.usable = False
        self.idle_since = 0.0
        self._answer_limit = answer_limit
        self._arrived = select.poll()
        self._answer: asyncio.Future[Response] | None = None
        self._used = False
        self._new_exchange()
        self._new_message()
        self._new_parser()

    def quiet(self) -> bool:
        """Whether a request may go over it: it is open, and nothing waits in its socket that nobody asked for."""
        return self.usable and not self._arrived.poll(0)

    async def exchange(self, request: bytes, timeout_s: float) -> Response:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Response] = loop.create_future()
        self._answer = answer
        timer = loop.call_later(timeout_s, self._fail, TIMEOUT)
        self.transport.write(request)
        reach_written(Point.BRIDGE_REQUEST_WRITTEN)
        try:
            response = await answer
            if self.transport.get_write_buffer_size():  # answered before it was asked: the rest is still to be sent
                self.usable = False
            return response
        except BaseException:
            self.usable = False  # an answer may still come: it must not be taken for the next one's
            raise
        finally:
            timer.cancel()
            self._answer = None
            self._used = True
            self._new_exchange()

    # --- asyncio.Protocol --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment]  # uvloop's does not derive from asyncio.Transport
        self._arrived.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():  # nobody asked: it must not answer the next request
            self.usable = False
            self.transport.close()
            return
        if not self._begun:
            self._begun = True
            if data[0] != 0x48:  # the H of HTTP/1.1; blank lines are skipped by the parser, but whose are they?
                self.usable = False
        if not self._status:
            self._head += data
        if self._strict or self._status:
            self._feed(data)
        else:
            self._repair()
        if not self._status and len(self._head) > HEAD_LIMIT:
            self._fail("not HTTP: a head too long")

    def connection_lost(self, error: Exception | None) -> None:
        self.usable = False
        if self._answer is not None and error is None and self._status and self._until_close:
            self._finish(self._response())
        self._fail("connection lost", stale=self._used and not self._begun)

    def _feed(self, data: bytes) -> None:
        """Give it to the parser, the last byte alone: if the answer is whole before that, there is too much."""
        try:
            if len(data) > 1:
                self._parser.feed_data(data[:-1])
            excess = self._whole is not None
            self._parser.feed_data(data[-1:])
        except httptools.HttpParserUpgrade:
            self._fail("not HTTP: an upgrade that was not asked for")
            return
        except httptools.HttpParserError as error:
            if self._whole is None:
                if not self._status and self._strict:
                    self._repair()
                else:
                    self._fail(f"not HTTP: {error}")  # llhttp's reasons are constants: nothing of the answer
                return
            excess = True  # the parser has failed after the message was complete
        if self._whole is not None:
            if excess:
                self.usable = False
                self._whole.excess = True
                if self._another and self._used:
                    # the first may be a late one to somebody else's request, its status line included
                    self._lose("two answers to one request")
            self._finish(self._whole)

    def _repair(self) -> None:
        """The strict parser has refused the head: read it in the forgiving way, and close afterwards."""
        self._strict = self.usable = False
        try:
            head = repaired(self._head)
        except BadHead as error:
            self._status = error.status
            self._fail(f"not HTTP: {error}")
            return
        if head is not None:
            self._new_parser()
            self._feed(head)

    # --- httptools ---------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._another = self._whole is not None
        self._new_message()

    def on_header(self, name: bytes, value: bytes) -> None:
        match name.lower():
            case b"content-length":
                self._until_close = False
            case b"content-type":
                self._content_type = value
            case b"transfer-encoding":
                *codings, last = [coding.strip() for coding in value.lower().split(b",")]
                if last == b"chunked":
                    self._until_close = False
                else:
                    codings.append(last)
                self._transfer_codings += codings
            case b"content-encoding":
                self._content_codings.append(value)

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200 and not self._status:
            self._status, self._head = status, b""

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > self._answer_limit:
            self._fail("answer too long")
        else:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        if self._status and self._whole is None:
            self.usable = self.usable and self._parser.should_keep_alive()
            self._whole = self._response()

    # --- what became of it -------------------------------------------------------------------------------

    def _new_exchange(self) -> None:
        self._begun, self._strict = False, True
        self._head, self._status, self._whole, self._another = b"", 0, None, False

    def _new_message(self) -> None:
        self._chunks: list[bytes] = []
        self._content_codings: list[bytes] = []
        self._transfer_codings: list[bytes] = []
        self._size, self._until_close, self._content_type = 0, True, b""

    def _new_parser(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)  # why: response_head.py

    def _response(self) -> Response:
        chunks = self._chunks
        codings = b",".join((*self._content_codings, *self._transfer_codings))
        return Response(self._status, b"".join(chunks), self._content_type, codings)

    def _finish(self, response: Response) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(response)

    def _fail(self, reason: str, *, stale: bool = False) -> None:
        if self._answer is not None and not self._answer.done() and self._whole is None:
            if self._status >= 300:
                self._answer.set_result(Response(self._status, b"", flaw=reason))
                self.transport.abort()
                self.usable = False
            else:
                self._lose(reason, stale=stale)

    def _lose(self, reason: str, *, stale: bool = False) -> None:
        assert self._answer is not None
        self.usable = False
        self._answer.set_exception(Lost(reason, stale=stale))
        self.transport.abort()
