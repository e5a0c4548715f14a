"""What is one request to us must be one request to whoever stands before us. Each case is sent whole, in single bytes
and cut in two; what answers would show is a request the sender hid in another's body, or a body taken for a request.
"""

import asyncio
import json
from typing import Any

import pytest

from dmz_front.http.connections import Connection
from dmz_front.http.limits import Connections
from dmz_front.settings import HttpSection
from tests.unit.dmz_front.harness import turns
from tests.unit.dmz_front.http.test_connections import Transport, connected

pytestmark = pytest.mark.anyio

Requests = list[tuple[str, str, bytes]]
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
AFTER = b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n"


async def spoken(pieces: list[bytes], *, eof: bool = False) -> tuple[Requests, Transport, Connection]:
    """What the application was asked, and what was answered."""
    asked: Requests = []

    async def notes(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        asked.append((scope["method"], scope["path"], body))
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    connection, transport = connected(Connections(HttpSection()), notes)
    for piece in pieces:
        connection.data_received(piece)
    if eof and not connection.eof_received():
        transport.close()
    await turns()
    return asked, transport, connection


def cuts(data: bytes) -> list[list[bytes]]:
    """Whole, byte by byte, at the end of the first head, and within it."""
    end = data.find(b"\r\n\r\n") + 4
    return [
        [data],
        [data[at : at + 1] for at in range(len(data))],
        [data[:end], data[end:]],
        [data[: end - 2], data[end - 2 :]],
        [data[: end + 3], data[end + 3 :]],
    ]


def post(*lines: bytes, body: bytes = b"", path: bytes = b"/orders") -> bytes:
    return b"\r\n".join([b"POST " + path + b" HTTP/1.1", b"Host: a", *lines, b"", b""]) + body


CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"
H2C = (b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAEAAEAAAAIAAAAB", b"Upgrade: h2c")
WEBSOCKET = (b"Connection: keep-alive, upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13")

TAKEN: dict[str, tuple[bytes, Requests]] = {
    "an offer of HTTP/2 with a body": (
        post(*H2C, b"Content-Length: 5", body=b"hello") + AFTER,
        [("POST", "/orders", b"hello"), ("GET", "/after", b"")],
    ),
    "an offer before the length": (
        post(b"Content-Length: 5", *H2C, body=b"hello") + AFTER,
        [("POST", "/orders", b"hello"), ("GET", "/after", b"")],
    ),
    "a request as the body of an offer": (
        post(*WEBSOCKET, b"Content-Length: %d" % len(HIDDEN), body=HIDDEN) + AFTER,
        [("POST", "/orders", HIDDEN), ("GET", "/after", b"")],
    ),
    "a chunked body behind an offer": (
        post(*H2C, b"Transfer-Encoding: chunked", body=CHUNKED) + AFTER,
        [("POST", "/orders", b"hello"), ("GET", "/after", b"")],
    ),
    "an offer without a body": (
        b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: TLS/1.0\r\n\r\n" + AFTER,
        [("GET", "/a", b""), ("GET", "/after", b"")],
    ),
    "offer after offer": (
        post(*H2C, b"Content-Length: 5", body=b"hello") * 3 + AFTER,
        [("POST", "/orders", b"hello")] * 3 + [("GET", "/after", b"")],
    ),
    "two lines of offers": (
        post(*H2C, b"Upgrade: websocket", b"Content-Length: 5", body=b"hello") + AFTER,
        [("POST", "/orders", b"hello"), ("GET", "/after", b"")],
    ),
    "an offer with Expect": (
        post(*H2C, b"Expect: 100-continue", b"Content-Length: 5", body=b"hello") + AFTER,
        [("POST", "/orders", b"hello"), ("GET", "/after", b"")],
    ),
    "a chunked body with an extension and a trailer": (
        post(b"Transfer-Encoding: chunked", body=b"5;a=b\r\nhello\r\n0\r\nHost: b\r\n\r\n") + AFTER,
        [("POST", "/orders", b"hello"), ("GET", "/after", b"")],
    ),
    "an absolute target": (
        b"GET http://evil.example/after?a=b HTTP/1.1\r\nHost: a\r\n\r\n",
        [("GET", "/after", b"")],
    ),
    "an absolute target without a path": (
        b"GET http://evil.example HTTP/1.1\r\nHost: a\r\n\r\n",
        [("GET", "/", b"")],
    ),
    "blanks around a length": (
        post(b"Content-Length: \t 5 \t", body=b"hello") + AFTER,
        [("POST", "/orders", b"hello"), ("GET", "/after", b"")],
    ),
}


@pytest.mark.parametrize("case", list(TAKEN))
async def test_one_request_is_one_request(case: str) -> None:
    data, expected = TAKEN[case]
    for pieces in cuts(data):
        asked, transport, connection = await spoken(pieces)
        assert asked == expected, pieces[:3]
        assert transport.written.count(b"HTTP/1.1 200") == len(expected)
        connection.connection_lost(None)


REFUSED: dict[str, bytes] = {
    "CL.TE": post(b"Content-Length: 4", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + HIDDEN),
    "TE.CL": post(b"Transfer-Encoding: chunked", b"Content-Length: 4", body=b"0\r\n\r\n" + HIDDEN),
    "TE.CL behind an offer": post(*H2C, b"Transfer-Encoding: chunked", b"Content-Length: 4", body=CHUNKED),
    "CL.CL": post(b"Content-Length: 5", b"Content-Length: 0", body=HIDDEN),
    "CL.CL, equal": post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"),
    "a list of lengths": post(b"Content-Length: 5, 5", body=b"hello"),
    "a length with a sign": post(b"Content-Length: +5", body=b"hello"),
    "a negative length": post(b"Content-Length: -1", body=HIDDEN),
    "a length in hexadecimal": post(b"Content-Length: 0x5", body=b"hello"),
    "a length beyond 64 bits": post(b"Content-Length: 18446744073709551617", body=HIDDEN),
    "TE.TE": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=CHUNKED),
    "a coding nobody knows": post(b"Transfer-Encoding: xchunked", body=CHUNKED),
    "chunked, but not last": post(b"Transfer-Encoding: chunked, gzip", body=CHUNKED),
    "a coding in HTTP/1.0": b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "a blank before the colon": post(b"Transfer-Encoding : chunked", body=CHUNKED),
    "an obsolete fold": post(b"X: a", b" Transfer-Encoding: chunked", body=CHUNKED),
    "a fold of the coding": post(b"Transfer-Encoding:", b"\tchunked", body=CHUNKED),
    "a blank first line of fields": b"POST /a HTTP/1.1\r\n Host: a\r\n\r\n",
    "a bare CR in a value": post(b"X: a\rTransfer-Encoding: chunked", body=CHUNKED),
    "a bare CR at the end of a line": b"POST /a HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "bare LF": b"POST /a HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello",
    "a bare LF before a field": post(b"X: a\nTransfer-Encoding: chunked", body=CHUNKED),
    "NUL in a value": post(b"X: a\0b"),
    "a chunk size with a sign": post(b"Transfer-Encoding: chunked", body=b"+5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size with 0x": post(b"Transfer-Encoding: chunked", body=b"0x5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size beyond 64 bits": post(b"Transfer-Encoding: chunked", body=b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "a chunk longer than it says": post(b"Transfer-Encoding: chunked", body=b"3\r\nhello\r\n0\r\n\r\n"),
    "a chunk ended by a bare LF": post(b"Transfer-Encoding: chunked", body=b"5\nhello\n0\n\n"),
    "a bare LF in a chunk extension": post(b"Transfer-Encoding: chunked", body=b"5;\nhello\r\n0\r\n\r\n"),
    "no Host": b"GET /a HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two equal Hosts": b"GET /a HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "two Hosts in HTTP/1.0": b"GET /a HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
    "a Host with a path": b"GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a Host with an account": b"GET /a HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "a Host of two words": b"GET /a HTTP/1.1\r\nHost: a b\r\n\r\n",
    "two Hosts behind an offer": post(*H2C, b"Host: b", b"Content-Length: 5", body=b"hello"),
    "two keys": post(b"Idempotency-Key: a", b"Idempotency-Key: b", b"Content-Length: 5", body=b"hello"),
    "two bearers": post(b"Authorization: Bearer a", b"Authorization: Bearer b", b"Content-Length: 5", body=b"hello"),
    "a tunnel": b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n" + HIDDEN,
    "a tunnel with a body": b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nContent-Length: 33\r\n\r\n" + HIDDEN,
    "HTTP/2 by prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\4\0\0\0\0\0",
    "HTTP/2 in the first line": b"GET /a HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/1.2": b"GET /a HTTP/1.2\r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET /a\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "an unknown expectation": post(b"Expect: something-else", b"Content-Length: 5", body=b"hello"),
    "an expectation in a list": post(b"Expect: 100-continue, x", b"Content-Length: 5", body=b"hello"),
    "a target that is no path": b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
}
STATUS = {
    "a tunnel": 405,
    "a tunnel with a body": 405,
    "HTTP/2 by prior knowledge": 505,
    "HTTP/2 in the first line": 505,
    "HTTP/0.9": 505,
    "an unknown expectation": 417,
    "an expectation in a list": 417,
}


@pytest.mark.parametrize("case", list(REFUSED))
async def test_what_two_could_read_differently_is_refused(case: str) -> None:
    for pieces in cuts(REFUSED[case] + AFTER):
        asked, transport, connection = await spoken(pieces)
        assert asked == [], pieces[:3]
        assert transport.written.count(b"request-id: ") == 1
        head, _, body = transport.written.partition(b"\r\n\r\n")
        assert int(head.split()[1]) == STATUS.get(case, 400)
        assert b"connection: close" in head
        assert b"content-type: application/problem+json" in head
        assert json.loads(body)["code"]
        connection.connection_lost(None)


async def test_a_list_on_two_lines_reaches_the_application_as_one() -> None:
    seen: list[Any] = []

    async def notes(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(dict(scope["headers"]))

    connection, _ = connected(Connections(HttpSection()), notes)
    connection.data_received(b"GET / HTTP/1.1\r\nHost: a\r\nPrefer: respond-async \r\nPrefer: wait=3\r\n\r\n")
    await turns()
    assert seen[0][b"prefer"] == b"respond-async, wait=3"


async def test_expect_is_answered_once_and_not_in_http_1_0() -> None:
    _, transport, _ = await spoken([post(b"Expect: 100-Continue ", b"Content-Length: 5")])
    assert transport.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    _, transport, _ = await spoken([b"POST /a HTTP/1.0\r\nExpect: x\r\nContent-Length: 5\r\n\r\nhello"])
    assert transport.written.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("refused", [True, False])
async def test_a_body_that_was_not_asked_for_is_not_waited_for(refused: bool) -> None:
    asked: list[str] = []

    async def early(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        if not refused:
            await receive()
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"no"})

    connection, transport = connected(Connections(HttpSection()), early)
    connection.data_received(post(b"Expect: 100-continue", b"Content-Length: 5"))
    await turns()
    if refused:
        assert transport.written.startswith(b"HTTP/1.1 401")
        assert b"connection: close" in transport.written
        assert transport.ended == "closed"
    else:
        connection.data_received(b"hello" + AFTER)
        await turns()
        assert asked == ["/orders", "/after"]
        assert b"connection: close" not in transport.written
    connection.connection_lost(None)


# --- a client that closes its side --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "answers"),
    [
        (b"", 0),
        (post(b"Content-Length: 5", body=b"hello"), 1),
        (b"POST /orders HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", 1),
        (post(*H2C, b"Content-Length: 5", body=b"hello"), 1),
        (AFTER * 3, 3),
    ],
)
async def test_who_closes_its_side_hears_all_answers_then_the_connection_is_closed(data: bytes, answers: int) -> None:
    _, transport, connection = await spoken([data] if data else [], eof=True)
    assert transport.written.count(b"HTTP/1.1 200") == answers
    assert transport.written.count(b"connection: close") == min(answers, 1)
    assert transport.ended == "closed"
    connection.connection_lost(None)


@pytest.mark.parametrize(
    ("data", "answers"),
    [
        (post(b"Content-Length: 6", body=b"hello"), 0),
        (post(b"Transfer-Encoding: chunked", body=CHUNKED[:-2]), 0),
        (post(b"Content-Length: 6")[:-2], 0),
        (AFTER + post(b"Content-Length: 6", body=b"hello"), 1),
        (AFTER * 2 + post(b"Content-Length: 6", body=b"hello"), 2),
    ],
)
async def test_who_closes_its_side_too_early_gets_400_after_what_it_is_owed(data: bytes, answers: int) -> None:
    asked, transport, connection = await spoken([data], eof=True)
    assert len(asked) == answers
    assert transport.written.count(b"HTTP/1.1 200") == answers
    assert transport.written.count(b"HTTP/1.1 400") == 1
    assert transport.written.endswith(b"}")
    assert transport.ended == "closed"
    connection.connection_lost(None)


async def test_an_answer_that_takes_its_time_is_waited_for_after_the_client_closed_its_side() -> None:
    async def never(_scope: Any, _receive: Any, _send: Any) -> None:
        await asyncio.Event().wait()

    connection, transport = connected(Connections(HttpSection()), never)
    connection.data_received(AFTER)
    assert connection.eof_received()
    connection.check(asyncio.get_running_loop().time() + 60)
    assert transport.ended == ""
    connection.connection_lost(None)
