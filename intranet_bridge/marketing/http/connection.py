"""One connection to the marketing system: a request and its answer, or exactly what came of it instead.

Parsing is httptools' (llhttp, Node's parser), strict; what it refuses is tried once more in response_head.py.

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
from dataclasses import dataclass, field
from typing import Any

import httptools

from intranet_bridge.marketing.http.response_head import HEAD_LIMIT, BadHead, repaired
from protocol.link.tls import explain
from protocol.runtime.crash_points import Point, reach_written

TIMEOUT = "timeout"
UNREAD = object()


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
    cookies: tuple[bytes, ...] = field(default=(), repr=False)
    """The values of its `Set-Cookie`, as they came."""
    value: Any = field(default=UNREAD, repr=False)
    """What its body says, for who has read it to remember."""


class Connection(asyncio.Protocol):
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
        # with TLS 1.3 a server that does not know us says so after our handshake, when the request is on its way
        why = f"connection lost: {explain(error)}" if isinstance(error, ssl.SSLError) else "connection lost"
        self._fail(why, stale=self._used and not self._begun)

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
        if self._status:
            return  # a trailer: RFC 9110 §6.5.1, what it says of framing or coding is nothing to go by
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
            case b"set-cookie":
                self._cookies += (value,)

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
        self._cookies: tuple[bytes, ...] = ()

    def _new_parser(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)  # why: response_head.py

    def _response(self) -> Response:
        chunks = self._chunks
        codings = b",".join((*self._content_codings, *self._transfer_codings))
        return Response(self._status, b"".join(chunks), self._content_type, codings, "", False, self._cookies)

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
