"""One HTTP exchange: what the connection already knows of a request, and the way its answer is written.

A connection of ours (connections.py) tells the application of its exchange in the ASGI scope (ASGI 3, "Extensions"):
the parsed fields need not be parsed again, and an answer is written whole, head and body at once. uvicorn's `send`
looks at every name and value with regular expressions, twice a header; ours are constants, ids and lists of tokens.
Under a server without the extension (tests speak plain ASGI) the same answer goes through `send`.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from dmz_front.admission import fields
from dmz_front.problems.details import Headers, HttpResponse

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

EXTENSION = "dmz_front.exchange"
CERTIFICATE = "dmz_front.certificate"
"""In a request's scope: the fingerprint of the client's certificate, if it has shown one."""


@dataclass(slots=True)
class Exchange:
    """A request on one of our connections."""

    fields: Mapping[bytes, bytes]
    """As `admission.fields.parse` gives them."""
    cycle: RequestResponseCycle

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Write the whole answer, then what the connection does after one."""
        cycle = self.cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        if (b"connection", b"close") in headers:
            cycle.keep_alive = False
        elif not cycle.keep_alive:
            headers.append((b"connection", b"close"))
        cycle.response_started, cycle.waiting_for_100_continue = True, False
        cycle.transport.write(head(status, [*cycle.default_headers, *headers]))
        cycle.transport.write(body)
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


def head(status: int, headers: Headers) -> bytes:
    """An answer's status line and fields (RFC 9112 sections 4 and 5). Raises ValueError for a value of two lines."""
    lines = b"".join([b"%b: %b\r\n" % line for line in headers])
    if lines.count(b"\n") != len(headers) or lines.count(b"\r") != len(headers):
        raise ValueError("a header's value must be one line")
    return b"%b%b\r\n" % (STATUS_LINE[status], lines)


def fields_of(scope: Scope) -> Mapping[bytes, bytes]:
    """The request's fields. Raises Problem 400."""
    extensions = scope.get("extensions")
    if extensions and EXTENSION in extensions:
        exchange: Exchange = extensions[EXTENSION]
        return exchange.fields
    return fields.parse(scope["headers"])


def taken(scope: Scope) -> Exchange | None:
    """The request's exchange, out of its scope: scope, exchange and cycle would hold one another until the garbage
    collector comes by. None: the server has no such extension.
    """
    extensions = scope.get("extensions")
    return extensions.pop(EXTENSION, None) if extensions else None


async def write(
    scope: Scope, send: Send, answer: HttpResponse, id: str, notices: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """Write one answer with its `Request-Id`, and what is said with every answer of the operation (`notices`)."""
    headers = [
        (b"content-type", answer.media),
        (b"content-length", b"%d" % len(answer.body)),
        (b"request-id", id.encode()),
        (b"cache-control", b"no-store"),
        *answer.headers,
        *notices,
    ]
    exchange = taken(scope)
    if exchange is not None and scope["method"] != "HEAD":
        await exchange.answer(answer.status, headers, answer.body)
        return
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
