"""What HTTP connections are held to: the decisions, and the protocol over a transport that only notes."""

import asyncio
import json
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from dmz_front.http.connections import PIPELINED, Connection
from dmz_front.http.limits import Connections, Ending, Phase, overdue, turned_away
from dmz_front.settings import HttpSection
from tests.unit.dmz_front.harness import turns

LIMITS = HttpSection(
    header_timeout_s=10, body_timeout_s=10, write_timeout_s=20, connections=100, connections_per_address=10
)


@pytest.mark.parametrize(
    ("phase", "waited_s", "stuck_s", "ending"),
    [
        (Phase.BETWEEN, LIMITS.keep_alive_s, 0, None),
        (Phase.BETWEEN, LIMITS.keep_alive_s + 0.1, 0, Ending.CLOSE),
        (Phase.HEAD, 10, 0, None),
        (Phase.HEAD, 10.1, 0, Ending.TOO_SLOW),
        (Phase.BODY, 10, 0, None),
        (Phase.BODY, 10.1, 0, Ending.TOO_SLOW),
        (Phase.REFUSED, 2.1, 0, Ending.CLOSE),
        (Phase.BETWEEN, 0, 20.1, Ending.ABORT),
        (Phase.HEAD, 99, 20.1, Ending.ABORT),  # what is not read needs no further answer
    ],
)
def test_what_is_overdue(phase: Phase, waited_s: float, stuck_s: float, ending: Ending | None) -> None:
    assert overdue(phase, waited_s, stuck_s, LIMITS) is ending


@pytest.mark.parametrize(
    ("total", "of_address", "proxy", "idle", "refused"),
    [
        (0, 0, False, 0, False),
        (99, 9, False, 0, False),
        (50, 10, False, 50, True),
        (50, 10, True, 50, False),
        (100, 0, False, 0, True),
        (100, 0, False, 1, False),  # an idle one makes room
        (100, 0, True, 0, True),
    ],
)
def test_who_is_let_in(total: int, of_address: int, proxy: bool, idle: int, refused: bool) -> None:
    assert turned_away(total, of_address, proxy, idle, LIMITS) is refused


class Transport(asyncio.Transport):
    """Notes what is done to it."""

    def __init__(self, address: str = "10.0.0.9") -> None:
        super().__init__({"peername": (address, 50_000), "sockname": ("127.0.0.1", 80)})
        self.written = b""
        self.writes = 0
        self.unread = 0
        self.ended = ""

    def write(self, data: Any) -> None:
        self.written += data
        self.writes += 1

    def get_write_buffer_size(self) -> int:
        return self.unread

    def is_closing(self) -> bool:
        return bool(self.ended)

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def answers(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def never(_scope: Any, _receive: Any, _send: Any) -> None:
    await asyncio.Event().wait()


def connected(connections: Connections, app: Any = answers, address: str = "10.0.0.9") -> tuple[Connection, Transport]:
    config = uvicorn.Config(app, loop="none", lifespan="off", log_config=None)
    connection, transport = Connection(config, ServerState(), {}, connections), Transport(address)
    connection.connection_made(transport)
    return connection, transport


def said(transport: Transport) -> tuple[int, str]:
    head, _, body = transport.written.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


GET = b"GET / HTTP/1.1\r\nHost: front\r\n\r\n"


@pytest.mark.anyio
async def test_a_request_is_answered_and_the_connection_is_idle_again() -> None:
    connections = Connections(LIMITS)
    connection, transport = connected(connections)
    assert list(connections.idle) == [connection]
    begun = asyncio.get_running_loop().time()
    connection.data_received(GET[:10])
    assert not connections.idle
    connection.data_received(GET[10:])
    await turns(200)
    assert transport.written.startswith(b"HTTP/1.1 200")
    assert list(connections.idle) == [connection]
    connection.check(begun + LIMITS.keep_alive_s - 1)
    assert transport.ended == ""
    connection.check(asyncio.get_running_loop().time() + LIMITS.keep_alive_s + 1)
    assert transport.ended == "closed"
    assert not connections.ended  # a client that asks nothing more has met no limit
    connection.connection_lost(None)
    assert not connections.open
    assert not connections.idle


@pytest.mark.anyio
async def test_an_address_that_is_left_alone_gets_no_answer() -> None:
    connections = Connections(LIMITS)
    connections.left_alone = lambda address: address == "192.0.2.1"
    connection, transport = connected(connections, address="192.0.2.1")
    assert (transport.ended, bytes(transport.written), connections.open) == ("aborted", b"", set())
    connection.connection_lost(None)
    assert connections.ended == {"address-paused": 1}
    proxied = Connections(LIMITS.model_copy(update={"trusted_proxies": ("192.0.2.0/24",)}))
    proxied.left_alone = connections.left_alone
    assert connected(proxied, address="192.0.2.1")[1].ended == ""
    assert connected(connections)[1].ended == ""


@pytest.mark.anyio
async def test_who_never_finishes_a_head_gets_408() -> None:
    begun = asyncio.get_running_loop().time()
    connection, transport = connected(Connections(LIMITS))
    connection.data_received(b"\r\n")
    connection.check(begun + 9)
    assert transport.written == b""
    connection.check(asyncio.get_running_loop().time() + 11)
    assert said(transport) == (408, "headers-too-slow")
    connection.check(asyncio.get_running_loop().time() + 14)
    assert transport.ended == "closed"


POST = b"POST / HTTP/1.1\r\nHost: front\r\nContent-Length: 60\r\n\r\n"


@pytest.mark.anyio
@pytest.mark.parametrize("part", [b"", b"{"])
async def test_who_never_finishes_a_body_gets_408(part: bytes) -> None:
    heard = []

    async def reads(_scope: Any, receive: Any, _send: Any) -> None:
        while (message := await receive())["type"] == "http.request":
            pass
        heard.append(message["type"])

    connection, transport = connected(Connections(LIMITS), reads)
    begun = asyncio.get_running_loop().time()
    connection.data_received(POST + part)
    received = asyncio.get_running_loop().time()
    await turns(20)
    connection.check(begun + 9)
    assert transport.written == b""
    connection.check(received + 11)
    await turns(20)
    assert said(transport) == (408, "body-too-slow")
    assert b"\r\nconnection: close\r\n" in transport.written
    assert heard == ["http.disconnect"]
    connection.check(received + 14)
    assert transport.ended == "closed"


@pytest.mark.anyio
async def test_the_408_comes_after_the_answers_that_are_owed_before() -> None:
    may = asyncio.Event()

    async def waits(scope: Any, receive: Any, send: Any) -> None:
        await may.wait()
        await answers(scope, receive, send)

    connection, transport = connected(Connections(LIMITS), waits)
    connection.data_received(GET + POST)
    received = asyncio.get_running_loop().time()
    await turns(20)
    connection.check(received + 11)
    assert transport.written == b""
    may.set()
    await turns(20)
    assert transport.written.index(b"HTTP/1.1 200") < transport.written.index(b"HTTP/1.1 408")


@pytest.mark.anyio
async def test_an_answer_is_one_write() -> None:
    """A write is a system call and a segment, or a TLS record: uvloop does not gather them."""
    connection, transport = connected(Connections(LIMITS))
    for number in range(1, 4):
        connection.data_received(GET)
        await turns(200)
        assert transport.writes == number
    connection.data_received(GET + GET)
    await turns(200)
    assert transport.writes == 5
    assert transport.written.count(b"\r\n\r\nok") == 5


@pytest.mark.anyio
async def test_an_answer_to_head_is_sent_though_nothing_follows_it() -> None:
    connection, transport = connected(Connections(LIMITS))
    connection.data_received(b"HEAD" + GET[3:])
    await turns(200)
    assert transport.written.startswith(b"HTTP/1.1 200")
    assert transport.written.endswith(b"\r\n\r\n")


@pytest.mark.anyio
async def test_the_word_to_continue_does_not_wait() -> None:
    async def reads(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await answers(scope, receive, send)

    connection, transport = connected(Connections(LIMITS), reads)
    connection.data_received(POST.replace(b"Host", b"Expect: 100-continue\r\nHost"))
    await turns(20)
    assert transport.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.data_received(b" " * 60)
    await turns(20)
    assert transport.written.endswith(b"\r\n\r\nok")
    assert transport.writes == 2


@pytest.mark.anyio
async def test_nobody_is_blamed_for_waiting_for_us() -> None:
    connection, transport = connected(Connections(LIMITS), never)
    connection.data_received(GET + GET[:10])
    await asyncio.sleep(0)
    connection.check(asyncio.get_running_loop().time() + 60)
    assert (transport.written, transport.ended) == (b"", "")
    connection.connection_lost(None)


@pytest.mark.anyio
async def test_who_does_not_read_is_cut_off() -> None:
    connections = Connections(LIMITS)
    connection, transport = connected(connections)
    connection.data_received(GET)
    await turns(200)
    now, transport.unread = asyncio.get_running_loop().time(), 1000
    for second, unread in ((1, 1000), (20, 900), (39, 900), (41, 900)):  # it read a little after 20 s
        assert transport.ended == ""
        transport.unread = unread
        connection.check(now + second)
    assert transport.ended == "aborted"
    assert connections.ended["not-reading"] == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ([b"GET / HTTP/1.1\r\nX: " + b"a" * 17_000 + b"\r\n\r\n"], (431, "headers-too-large")),
        ([b"GET / HTTP/1.1\r\nX: ", *[b"a" * 1_000] * 17], (431, "headers-too-large")),
        ([b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n"], (431, "headers-too-large")),
        ([b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\n\r\n"], (431, "headers-too-large")),
        ([b"not HTTP\r\n\r\n"], (400, "malformed-request")),
    ],
)
async def test_what_is_too_much(sent: list[bytes], answer: tuple[int, str]) -> None:
    connection, transport = connected(Connections(LIMITS))
    for piece in sent:
        connection.data_received(piece)
    assert said(transport) == answer
    before = transport.written
    connection.data_received(b"more")
    assert transport.written == before


@pytest.mark.anyio
async def test_requests_behind_one_another_are_bounded_and_those_taken_are_answered() -> None:
    connection, transport = connected(Connections(LIMITS))
    connection.data_received(GET * 1_000)
    await turns(200)
    assert transport.written.count(b"HTTP/1.1 200") == PIPELINED + 1
    assert transport.written.count(b"connection: close") == 1
    assert transport.ended == "closed"


@pytest.mark.anyio
async def test_trailers_are_no_headers() -> None:
    seen: list[Any] = []

    async def notes(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        seen.append(scope["headers"])
        await answers(scope, receive, send)

    connection, _ = connected(Connections(LIMITS), notes)
    connection.data_received(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: x\r\n\r\n"
    )
    await turns(200)
    assert seen == [[(b"host", b"a"), (b"transfer-encoding", b"chunked")]]


@pytest.mark.anyio
async def test_one_address_and_all_together_are_limited() -> None:
    connections = Connections(LIMITS)
    mine = [connected(connections) for _ in range(10)]
    refused = connected(connections)[1]
    assert said(refused) == (503, "too-many-connections")
    assert refused.ended == "closed"
    mine.pop()[0].connection_lost(None)
    assert connected(connections)[1].written == b""
    for number in range(90):
        connected(connections, address=f"10.1.0.{number}")
    assert len(connections.open) == 100
    newest, transport = connected(connections, address="10.2.0.1")
    assert transport.written == b""
    assert newest in connections.open
    assert len(connections.open) == 100
    assert mine[0][1].ended == "aborted"  # the longest idle one made room


@pytest.mark.anyio
async def test_a_network_of_ipv6_has_the_connections_of_one_address() -> None:
    connections = Connections(LIMITS)
    mine = [connected(connections, address=f"2001:db8:1:2::{number}") for number in range(10)]
    assert said(connected(connections, address="2001:db8:1:2:3::1")[1]) == (503, "too-many-connections")
    assert connected(connections, address="2001:db8:1:3::1")[1].written == b""
    mine.pop()[0].connection_lost(None)
    assert connected(connections, address="2001:db8:1:2:3::1")[1].written == b""
