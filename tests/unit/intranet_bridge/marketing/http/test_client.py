"""Kept connections against a server that sends bytes by a script: no request gets another's bytes for its answer."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intranet_bridge.marketing.http.client import HttpClient, NotSent
from intranet_bridge.marketing.http.connection import Connection, Lost, Response

pytestmark = pytest.mark.anyio

REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
Step = bytes | Callable[["RawServer"], Awaitable[None]]


def answer(body: bytes = b'{"account":"1"}', fields: bytes = b"", status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), fields, body)


class RawServer:
    """The n-th request is answered by the n-th of `scripts`: bytes and what to wait for; then the next request."""

    def __init__(self, *scripts: tuple[Step, ...] | bytes) -> None:
        self.scripts = [(script,) if isinstance(script, bytes) else script for script in scripts]
        self.requests = asyncio.Semaphore(0)
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0

    @property
    def connections(self) -> int:
        return len(self.writers)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["RawServer"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.requests.release()
                for step in self.scripts.pop(0):
                    if isinstance(step, bytes):
                        writer.write(step)
                        await writer.drain()
                    else:
                        await step(self)
        except (asyncio.IncompleteReadError, ConnectionError, IndexError):
            pass
        finally:
            writer.close()


async def moment(_server: RawServer) -> None:
    """Long enough for what was sent before to be a packet, and read, of its own."""
    await asyncio.sleep(0.03)


async def next_request(server: RawServer) -> None:
    """The request after this one has been sent (it is taken off: who waits for it has read it)."""
    await server.requests.acquire()
    await asyncio.wait_for(server.requests.acquire(), 5)


async def shut(_server: RawServer) -> None:
    raise ConnectionError


def client(server: RawServer) -> HttpClient:
    return HttpClient("127.0.0.1", server.port, connections=1, answer_limit=4096)


OTHER = answer(b'{"account":"9999999999999"}')
MINE = answer(b'{"account":"2"}')


@pytest.mark.parametrize("pause", [(), (moment,)], ids=["at-once", "later"])
@pytest.mark.parametrize(
    "first",
    [
        (answer(), OTHER[:30]),  # the beginning of another answer
        (answer(), OTHER),
        (answer(), b"\r\n"),
        (answer(), b"\n"),
        (answer(), b" "),
        (answer(), b"\0"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{} ", b"\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", '{"name":"张"}'.encode()),  # counted in characters
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"{}"),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", b"{}"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", b"{}"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b"0\r\n\r\n"),
        (answer(), b"HTTP/1.1 100 Continue\r\n\r\n"),
        (answer(fields=b"X-Folded: a\r\n b\r\n"), b""),
    ],
)
async def test_a_connection_with_a_byte_beyond_its_answer_is_not_used_again(
    first: tuple[bytes, bytes], pause: tuple[Step, ...]
) -> None:
    script = (first[0], *pause, first[1], moment, moment) if pause else (first[0] + first[1],)
    async with RawServer(script, MINE).running() as server:
        one = client(server)
        response = await one.exchange(REQUEST, 5)
        assert response.status in (200, 204, 304)
        assert b"9999" not in response.body
        if pause:
            await asyncio.sleep(0.06)
        server.scripts = [(MINE,)]
        assert (await one.exchange(REQUEST, 5)).body == b'{"account":"2"}'
        assert server.connections == 2


@pytest.mark.parametrize("cut", [30, 1, len(OTHER) - 1, len(OTHER)])
async def test_thirty_bytes_of_another_answer_and_the_rest_after_the_second_request(cut: int) -> None:
    """As it was shown: 30 bytes with the first answer, the rest when the next request has been sent."""
    async with RawServer((answer() + OTHER[:cut], next_request, OTHER[cut:]), MINE).running() as server:
        one = client(server)
        assert (await one.exchange(REQUEST, 5)).body == b'{"account":"1"}'
        server.scripts = [(MINE,)]
        assert (await one.exchange(REQUEST, 5)).body == b'{"account":"2"}'
        assert server.connections == 2


@pytest.mark.parametrize("extra", [OTHER, OTHER[:30], b"\r\n", b" "])
async def test_bytes_that_wait_in_the_socket_when_the_connection_is_taken(extra: bytes) -> None:
    """The loop has not read them: they have come while other code ran."""
    async with RawServer(answer(), MINE).running() as server:
        one = client(server)
        await one.exchange(REQUEST, 5)
        [connection] = one._idle
        connection.transport.pause_reading()  # as if the loop had not come to it
        server.writers[0].write(extra)
        await asyncio.sleep(0.03)
        assert not connection.quiet()
        assert (await one.exchange(REQUEST, 5)).body == b'{"account":"2"}'
        assert server.connections == 2


@pytest.mark.parametrize("behind", [MINE, MINE[:1], MINE[:30], b'"}'])
@pytest.mark.parametrize("late", [OTHER, answer(status=b"401 Unauthorized")])
async def test_two_answers_to_one_request_on_a_kept_connection_are_nobodys(late: bytes, behind: bytes) -> None:
    """A late answer came after the request was sent, and its own answer with it: which is whose?"""
    async with RawServer(answer(), late + behind, MINE).running() as server:
        one = client(server)
        await one.exchange(REQUEST, 5)
        with pytest.raises(Lost, match="two answers"):
            await one.exchange(REQUEST, 5)
        assert (await one.exchange(REQUEST, 5)).body == b'{"account":"2"}'
        assert server.connections == 2


async def test_a_connection_answered_before_the_request_was_sent_is_not_used_again() -> None:
    connections: list[asyncio.StreamWriter] = []

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"{}", status=b"413 Too Large"))
        await asyncio.sleep(0.2)  # and the body is not read: it would be taken for the next request
        writer.close()

    server = await asyncio.start_server(early, "127.0.0.1", 0, limit=1024)
    one = HttpClient("127.0.0.1", server.sockets[0].getsockname()[1], connections=1)
    for _ in range(2):
        assert (await one.exchange(REQUEST + b"x" * 20_000_000, 5)).status == 413
    assert len(connections) == 2
    await one.close()
    server.close()


async def test_blank_lines_before_a_status_line_are_whose() -> None:
    """They came after the second request was sent: the answer behind them is its own, the connection is done with."""
    async with RawServer(answer(), b"\r\n" + MINE, MINE).running() as server:
        one = client(server)
        await one.exchange(REQUEST, 5)
        assert (await one.exchange(REQUEST, 5)).body == b'{"account":"2"}'
        assert server.connections == 1
        await one.exchange(REQUEST, 5)
        assert server.connections == 2


async def test_the_rest_of_a_body_before_a_status_line_is_no_answer() -> None:
    async with RawServer(answer(), b'"}' + MINE).running() as server:
        one = client(server)
        await one.exchange(REQUEST, 5)
        with pytest.raises(Lost, match="not HTTP"):
            await one.exchange(REQUEST, 5)


async def test_interim_answers_are_passed_over_and_cost_nothing() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    for script in ((interim + MINE,), (interim, moment, MINE), (interim[:20], moment, interim[20:] + MINE)):
        async with RawServer(script, MINE).running() as server:
            one = client(server)
            assert (await one.exchange(REQUEST, 5)).body == b'{"account":"2"}'
            await one.exchange(REQUEST, 5)
            assert server.connections == 1


async def test_only_an_interim_answer_is_no_answer() -> None:
    async with RawServer((b"HTTP/1.1 100 Continue\r\n\r\n", shut)).running() as server:
        with pytest.raises(Lost, match="connection lost"):
            await client(server).exchange(REQUEST, 5)


async def test_an_upgrade_that_was_not_asked_for_is_no_answer() -> None:
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nPRI"
    async with RawServer(upgrade).running() as server:
        with pytest.raises(Lost, match="upgrade"):
            await client(server).exchange(REQUEST, 5)


@pytest.mark.parametrize("size", range(1, 60, 7))
async def test_an_answer_in_packets_of_any_size_is_whole_and_its_connection_kept(size: int) -> None:
    whole = answer(b'{"account":"1"}' * 3)
    pieces: list[Step] = []
    for at in range(0, len(whole), size):
        pieces += [whole[at : at + size], moment] if at < 3 * size else [whole[at : at + size]]
    async with RawServer(tuple(pieces), MINE).running() as server:
        one = client(server)
        assert (await one.exchange(REQUEST, 5)).body == b'{"account":"1"}' * 3
        await one.exchange(REQUEST, 5)
        assert server.connections == 1


FORGIVEN = {
    "the same length twice": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "the same length in one line": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n{}",
    "a folded line": b"HTTP/1.1 200 OK\r\nX-A: b\r\n\tc\r\nContent-Length: 2\r\n\r\n{}",
    "a folded length": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\n\r\n{}",
    "line feeds alone": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "mixed line ends": b"HTTP/1.1 200 OK\r\nX: y\nContent-Length: 2\r\n\r\n{}",
    "both framings": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a blank before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n{}",
    "a line that is no field": b"HTTP/1.1 200 OK\r\n<garbage>\r\nContent-Length: 2\r\n\r\n{}",
    "a control character": b"HTTP/1.1 200 OK\r\nX-Msg: a\x01\x00b\r\nContent-Length: 2\r\n\r\n{}",
    "identity": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
    "after an interim answer": b"HTTP/1.1 100 Go\n\nHTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
}


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("name", FORGIVEN)
async def test_what_is_forgiven_is_read_and_the_connection_closed(name: str, split: bool) -> None:
    raw = FORGIVEN[name]
    script: tuple[Step, ...] = (raw[:-6], moment, raw[-6:]) if split else (raw + OTHER[:30],)
    async with RawServer(script, MINE).running() as server:
        one = client(server)
        assert (await one.exchange(REQUEST, 5)).body == b"{}"
        server.scripts = [(MINE,)]
        assert (await one.exchange(REQUEST, 5)).body == b'{"account":"2"}'
        assert server.connections == 2


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"Content-Length: 2\r\nContent-Length: 3\r\n", "two different Content-Length"),
        (b"Content-Length: 2, 3\r\n", "two different Content-Length"),
        (b"Content-Length: +2\r\n", "a Content-Length that is no length"),
        (b"Content-Length: 2\r\nContent-Length: \xb2\r\n", "a Content-Length that is no length"),
        (b"Content-Length: %b\r\n" % (b"9" * 5000), "a Content-Length that is no length"),
        (b"X: a\rContent-Length: 9\r\nContent-Length: 2\r\n", "a carriage return alone"),
    ],
)
@pytest.mark.parametrize("status", [b"200 OK", b"401 No"])
async def test_what_is_not_forgiven_is_lost_unless_the_status_line_says_enough(
    head: bytes, reason: str, status: bytes
) -> None:
    async with RawServer(b"HTTP/1.1 " + status + b"\r\n" + head + b"\r\n{}").running() as server:
        if status == b"401 No":
            response = await client(server).exchange(REQUEST, 5)
            assert (response.status, response.flaw) == (401, f"not HTTP: {reason}")
        else:
            with pytest.raises(Lost, match=reason):
                await client(server).exchange(REQUEST, 5)


async def test_a_head_without_end_is_not_kept_in_memory() -> None:
    for start in (b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\n"):
        async with RawServer((start, *[b"X-Filler: " + b"x" * 8000 + b"\r\n"] * 20)).running() as server:
            with pytest.raises(Lost, match="a head too long"):
                await client(server).exchange(REQUEST, 5)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("status", [200, 401])
async def test_an_answer_that_ends_with_the_connection_is_whole_without_a_body_byte(
    version: bytes, status: int
) -> None:
    async with RawServer((b"HTTP/%b %d X\r\n\r\n" % (version, status), shut)).running() as server:
        assert await client(server).exchange(REQUEST, 5) == Response(status, b"")


@pytest.mark.parametrize(
    "rest",
    [
        (b"Content-Length: 100\r\n\r\n{}", shut),
        (b"Content-Length: 9999\r\n\r\n" + b"x" * 9000,),
        (b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n",),
        (b"Content-Length: 100\r\n\r\n{}", next_request),
    ],
    ids=["lost", "too long", "not chunked", "never"],
)
async def test_the_status_line_stands_whatever_becomes_of_the_body(rest: tuple[Step, ...]) -> None:
    async with RawServer((b"HTTP/1.1 429 X\r\n", *rest), (b"HTTP/1.1 200 X\r\n", *rest)).running() as server:
        one = client(server)
        response = await one.exchange(REQUEST, 1)
        assert (response.status, response.body) == (429, b"")
        assert response.flaw
        with pytest.raises(Lost, match=response.flaw):
            await one.exchange(REQUEST, 1)
        assert server.connections == 2


async def test_a_connection_handed_to_a_waiter_is_looked_at_too() -> None:
    """It got a byte too many, or was closed, between one request and the next that was waiting for it."""
    async with RawServer((moment, answer(), OTHER), MINE).running() as server:
        one = client(server)
        first = asyncio.create_task(one.exchange(REQUEST, 5))
        second = asyncio.create_task(one.exchange(REQUEST, 5))
        assert (await first).body == b'{"account":"1"}'
        assert b"9999" not in (await second).body
        assert one.open <= 1


async def test_a_server_that_speaks_first_is_not_sent_anything() -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await asyncio.sleep(0.2)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    one = HttpClient("127.0.0.1", server.sockets[0].getsockname()[1], connections=1)

    def later() -> bool:  # a slow loop: the greeting is there, and read, when the request is to be sent
        [connection] = made
        connection.data_received(b"220 mail.example ESMTP\r\n")
        return True

    made: list[asyncio.Protocol] = []
    connect = one._connect

    async def noted(deadline: float) -> object:
        made.append(connection := await connect(deadline))
        return connection

    one._connect = noted  # type: ignore[method-assign, assignment]
    with pytest.raises(NotSent, match="closed before"):
        await one.exchange(REQUEST, 5, may_send=later)
    server.close()


class Recorded(asyncio.Transport):
    """A transport that nothing is behind but a socket in which nothing waits."""

    def __init__(self) -> None:
        self.socket, self._peer = socket.socketpair()
        super().__init__({"socket": self.socket})

    def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None: ...

    def close(self) -> None:
        self.socket.close()
        self._peer.close()


WHOLE = st.sampled_from(
    [
        answer(),
        answer(b""),
        answer(b"\r\n"),
        b"HTTP/1.1 100 Continue\r\n\r\n" + answer(),
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2  \r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n",
    ]
)
BEYOND = st.binary(max_size=8) | st.sampled_from([OTHER, OTHER[:30], b"\r\n", b"\n", b"\0", b"}", b"0\r\n\r\n"])
CUTS = st.lists(st.integers(0, 150), max_size=6)


def received(data: bytes, cuts: list[int]) -> tuple[Response | Lost, bool]:
    """What a connection makes of bytes that come in packets cut at `cuts`, and whether it may be used again."""

    async def run() -> tuple[Response | Lost, bool]:
        connection, transport = Connection(4096), Recorded()
        connection.connection_made(transport)
        running = asyncio.ensure_future(connection.exchange(REQUEST, 60))
        await asyncio.sleep(0)
        edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
        for start, end in itertools.pairwise(edges):
            connection.data_received(data[start:end])
        usable = connection.usable
        connection.connection_lost(ConnectionError())  # changes nothing for an answer that is there
        transport.close()
        try:
            return await running, usable
        except Lost as lost:
            return lost, False

    return asyncio.run(run())


@given(WHOLE, BEYOND, CUTS)
@settings(deadline=None)
def test_however_it_is_cut_a_byte_beyond_an_answer_is_seen(whole: bytes, beyond: bytes, cuts: list[int]) -> None:
    response, usable = received(whole + beyond, cuts)
    assert isinstance(response, Response)
    assert usable == (not beyond)


@given(
    st.binary(max_size=60)
    | st.from_regex(
        rb"HTTP/1.1 [1-5]\d\d X\r?\n(Content-Length: ?[0-9, ]{1,3}\r?\n|[ -~]{0,9}:? ?[ -~]{0,9}\r?\n){0,3}\r?\n.{0,5}"
    ),
    CUTS,
)
@settings(deadline=None)
def test_no_bytes_raise_anything_but_lost(data: bytes, cuts: list[int]) -> None:
    received(data or b" ", cuts)
