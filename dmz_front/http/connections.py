"""HTTP connections that cannot harm one another: what a client may send, how slowly, and how much it may leave unread.

uvicorn parses, answers and closes idle connections; it knows no deadline for headers, no limit of their size and
none for a client that does not read. These are kept here, by a protocol that adds a phase to uvicorn's::

    BETWEEN ──first byte──► HEAD ──headers whole──► BODY ──body whole──► BETWEEN
                             │ too slow: 408         │ too slow: 408
                             │ too large: 431        │ far more than a body may have: closed
                             └───────── REFUSED ◄────┘   what still comes is thrown away for a moment, so that the
                                                         answer is not lost to a reset, then the connection is closed

The parser must never leave HTTP/1.1 for what a client says: at an offer of another protocol (`Upgrade`) llhttp stops
behind the head and leaves the body lying, to be read as a further request. Such a head is parsed once more without its
offer, by a new parser that reads on from there.

A client that has sent all it will send and closes its side (`nc -N`) hears the answer, then the connection is closed.
Not so over TLS: a close_notify ends both ways (RFC 5246 section 7.2.1, and so do our TLS transports with TLS 1.3).

The hot path only notes the phase; one sweep a second over all connections finds what is overdue. The decisions
(`turned_away`, `overdue`) are pure. Sources: RFC 9110 section 15.5.9, RFC 6585 section 5, CVE-2007-6750 (slowloris).
"""

import asyncio
import http
import os
from typing import Any, NoReturn

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from dmz_front.admission import fields
from dmz_front.http.exchange import CERTIFICATE, EXTENSION, App, Exchange, write
from dmz_front.http.heads import check_head, origin_form, said_certificate, without_upgrade
from dmz_front.http.limits import Connections, Ending, Phase, overdue
from dmz_front.problems.details import Problem
from protocol.messages import uuid7
from protocol.runtime.clock import wall_clock
from protocol.runtime.credentials import fingerprint

PIPELINED = 16
"""Requests that may wait for their turn on one connection."""


class _Refusal(Exception):
    """Raised in a parser's callback to stop it; the reason is kept beside it."""


def _refusal(problem: Problem) -> App:
    """An application that answers with the problem, and says that the connection is closed."""

    async def refuse(scope: Any, _receive: Any, send: Any) -> None:
        id = uuid7(wall_clock(), os.urandom(10))
        answer = problem.answer(id)
        answer.headers.append((b"connection", b"close"))
        await write(scope, send, answer, id)

    return refuse


def _closed_unless_continued(cycle: RequestResponseCycle) -> None:
    """A client that was answered before it was told to continue may keep its body to itself: what it sends next would
    be taken for that body. The answer says `close` then (RFC 9110 section 10.1.1).
    """
    keep_alive, receive = cycle.keep_alive, cycle.receive
    cycle.keep_alive = False

    async def continued() -> Any:
        cycle.keep_alive = keep_alive
        return await receive()

    cycle.receive = continued  # type: ignore[method-assign]


class _Corked:
    """The transport of one answer: its head waits for what follows it, so that both are one system call, and one
    segment or TLS record. (uvicorn writes them one after the other, and uvloop sends what is written at once.)
    """

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        head = self._head
        if head is None and not data.startswith(b"HTTP/1.1 100 "):
            self._head = data
            return
        if head:
            data, self._head = head + data, b""
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, with limits."""

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], connections: Connections
    ) -> None:
        super().__init__(config, server_state, app_state)
        self.address = ""
        self._certificate = ""
        """The fingerprint of the one that the connection has shown."""
        self._of_proxy = False
        """Whether a certificate is what a header says."""
        self._all, self._limits = connections, connections.limits
        # A new connection owes a whole head; only between requests may a client be silent for `keep_alive_s`.
        self._phase, self._since, self._bytes = Phase.HEAD, self.loop.time(), 0
        self._large = False
        self._most = 4 * self._limits.body_limit + self._limits.header_limit
        """Bytes of the body in hand, far more than which nobody sends who means it."""
        self._unread = 0
        self._unread_since = 0.0
        self._problem: Problem | None = None
        self._offered = False
        """The head in hand offered another protocol, and is to be parsed again without that."""

    # --- asyncio -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse it at once if there are too many."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._of_proxy = self._limits.client_cert_header and self._all.is_proxy(self.address)
        if self.scheme == "https" and not self._of_proxy:
            shown = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            self._certificate = fingerprint(shown) if shown else ""
        if self._all.unanswered(self.address):
            self._phase = Phase.REFUSED
            transport.abort()
            return
        if not self._all.admit(self, self.address):
            self._phase = Phase.REFUSED
            self._write(Problem(503, "too-many-connections", retry_after_s=5))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing of it stays behind, whoever ended it."""
        self._all.forget(self)
        super().connection_lost(exc)
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        """Parse it, and refuse what is not HTTP, or too much."""
        self._all.idle.pop(self, None)
        if self._phase is Phase.REFUSED:
            self._bytes += len(data)
            if self._bytes > 16 * self._limits.header_limit:
                self.transport.abort()
            return
        if self._phase is Phase.BETWEEN:
            self._phase, self._since, self._bytes = Phase.HEAD, self.loop.time(), 0
        self._large = self._bytes + len(data) > self._limits.header_limit
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse(self._problem or self._unparsed())
            return
        if self._phase is Phase.HEAD or self._phase is Phase.BODY:
            self._bytes += len(data)
            if self._phase is Phase.HEAD and self._large:
                self._refuse(Problem(431, "headers-too-large", f"at most {self._limits.header_limit} bytes"))
            elif self._bytes > self._most:
                self._end("endless-body", Ending.CLOSE)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more: whether the connection stays open for the answers it is owed."""
        if self._phase is Phase.REFUSED:
            return False
        if self._phase is Phase.BODY or (self._phase is Phase.HEAD and self._bytes):
            self._refuse(Problem(400, "malformed-request", "it ended before it was whole"))
        elif self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False  # its answer says `close`, and closes
        cycle = self.cycle
        owed = not (cycle is None or cycle.response_complete or cycle.disconnected)
        return owed and self.scheme == "http"

    def _parse(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
            version, method = self.parser.get_http_version(), self.parser.get_method()
            self._offered = False
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
            self.parser.feed_data(without_upgrade(version, method, self.url, self.headers))

    def _unparsed(self) -> Problem:
        if self.parser.get_method() == b"PRI":  # RFC 9113 section 3.4
            return Problem(505, "http-version-not-supported", "this is HTTP/2; send HTTP/1.1")
        return Problem(400, "malformed-request")

    # --- httptools ---------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Stop at more pipelined requests than may wait."""
        if len(self.pipeline) >= PIPELINED:
            self._stop(Problem(429, "too-many-requests", retry_after_s=1))
        self._phase = Phase.HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop at too many or too large headers; after them comes the body."""
        headers, limits = self.headers, self._limits
        if len(headers) > limits.header_count:
            self._stop(Problem(431, "headers-too-large", f"at most {limits.header_count} headers"))
        if self._large:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in headers)
            if size > limits.header_limit:
                self._stop(Problem(431, "headers-too-large", f"at most {limits.header_limit} bytes"))
        version = self.parser.get_http_version()
        try:
            found = fields.parse(headers)
            check_head(version, self.parser.get_method(), found)
            certificate = said_certificate(found) if self._of_proxy else self._certificate
            if not self.url.startswith(b"/"):
                self.url = origin_form(self.url)
        except Problem as problem:
            self._stop(problem)
        if self.parser.should_upgrade():
            self._offered = True  # httptools stops behind this head: see `_parse`
            return
        if len(found) != len(headers):
            headers[:] = found.items()
        self.expect_100_continue = version == "1.1" and b"expect" in found
        self._phase, self._since, self._bytes = Phase.BODY, self.loop.time(), 0
        self._most = 4 * limits.body_limit + limits.header_limit
        if self.parser.get_method() == b"PATCH":
            self._most = max(self._most, limits.part_limit + limits.header_limit)
        elif self._all.larger and self.parser.get_method() == b"POST":
            self._most = max(self._most, self._all.larger.get(self.url.partition(b"?")[0], 0) + limits.header_limit)
        super().on_headers_complete()
        if self.scope["method"] != "HEAD":  # whose head nothing follows
            self.cycle.transport = _Corked(self.transport)  # type: ignore[assignment]  # all a cycle asks of it
            self.scope["extensions"] = {EXTENSION: Exchange(found, self.cycle)}  # type: ignore[dict-item]
        if certificate:
            self.scope[CERTIFICATE] = certificate  # type: ignore[literal-required]
        if self.expect_100_continue:
            _closed_unless_continued(self.cycle)
        self.headers = []  # a chunked body's trailers must not become headers of the request after the fact

    def on_message_complete(self) -> None:
        """Between requests again."""
        if self._offered:
            return
        self._phase = Phase.BETWEEN
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The next pipelined request; idle, unless the client has more under way.

        Not uvicorn's own: that starts a timer for every answer, and the next request ends it. The sweep closes who is
        idle for too long.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._phase is Phase.BETWEEN:
            self._since = self.loop.time()
            self._all.idle[self] = None

    # --- ending ------------------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """End the connection if it is overdue; called by the sweep."""
        unread = self.transport.get_write_buffer_size()
        if unread == 0 or unread < self._unread or self._unread == 0:
            self._unread_since = now
        self._unread = unread
        if self._answering:
            self._since = now  # it is us the client waits for
        ending = overdue(self._phase, now - self._since, now - self._unread_since, self._limits)
        if ending is Ending.TOO_SLOW:
            self._refuse(Problem(408, "body-too-slow" if self._phase is Phase.BODY else "headers-too-slow"))
        elif ending is Ending.CLOSE and self._phase is Phase.BETWEEN:
            self.transport.close()  # as every server does with who asks nothing more: nothing to count
        elif ending is not None:
            self._end("not-reading" if ending is Ending.ABORT else "too-slow", ending)

    @property
    def _answering(self) -> bool:
        """Whether the application has a whole request it has not answered yet."""
        cycle = self.cycle
        return self._phase is not Phase.BODY and not (cycle is None or cycle.response_complete or cycle.disconnected)

    def _stop(self, problem: Problem) -> NoReturn:
        self._problem = problem
        raise _Refusal

    def _refuse(self, problem: Problem) -> None:
        """Answer with the problem, then close; after the answers that come first, if there are any."""
        self._all.ended[problem.code] += 1
        phase, self._phase, self._since, self._bytes = self._phase, Phase.REFUSED, self.loop.time(), 0
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if phase is not Phase.BODY:
                cycle.keep_alive = False  # the last request taken: its answer says `close`, and closes
                return
            if cycle.response_started:
                self.transport.close()
                return
            if self.pipeline:  # those before it are answered first
                self.pipeline[0] = cycle, _refusal(problem)  # type: ignore[assignment]
                return
            cycle.disconnected = True  # its body is spoilt: the application need not wait for it
            cycle.message_event.set()
        elif phase is Phase.BODY:  # answered before its body was whole
            self.transport.close()
            return
        self._write(problem)
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _end(self, reason: str, ending: Ending) -> None:
        if self._phase is not Phase.REFUSED:
            self._all.ended[reason] += 1
        self._phase, self._since = Phase.REFUSED, self.loop.time()
        if ending is Ending.ABORT or self.transport.is_closing():
            self.transport.abort()
        else:
            self.transport.close()

    def _write(self, problem: Problem) -> None:
        id = uuid7(wall_clock(), os.urandom(10))
        answer = problem.answer(id)
        lines = [
            b"HTTP/1.1 %d %b" % (answer.status, http.HTTPStatus(answer.status).phrase.encode()),
            b"content-type: " + answer.media,
            b"content-length: %d" % len(answer.body),
            b"request-id: " + id.encode(),
            b"cache-control: no-store",
            *(name + b": " + value for name, value in answer.headers),
            b"connection: close",
        ]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + answer.body)
