"""Slow and hostile HTTP clients: under each attack a normal client's queries are answered, each attacker gets its
answer or is cut off, and afterwards the front holds no more files and hardly more memory than before.
"""

import contextlib
import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import ACCOUNT, LOOPBACK, client, eventually, running_testbed

ATTACKER = "127.0.0.2"  # an address of its own, as the limit for one address counts
CROWD = "127.0.0.3"
IDLE = 3_000
PER_ADDRESS = 3_500
LIMITS = {
    "http.header_timeout_s": 5,  # longer than it takes to open thousands of connections, which all have to be open
    "http.body_timeout_s": 4,
    "http.write_timeout_s": 2,
    "http.keep_alive_s": 3,
    "http.connections_per_address": PER_ADDRESS,
}
MOST_MEMORY = 200 * 1024 * 1024
"""Bytes the front may grow by under any attack."""


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * IDLE
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this test holds {wanted} sockets, and the hard limit of open files is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    with running_testbed(tmp_path_factory.mktemp("hostile"), settings={"dmz_front": LIMITS}) as testbed:
        yield testbed
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def files(testbed: Testbed) -> int:
    return len(list(Path(f"/proc/{testbed.pids['front']}/fd").iterdir()))


def memory(testbed: Testbed) -> int:
    status = Path(f"/proc/{testbed.pids['front']}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def ended(testbed: Testbed, reason: str) -> float:
    """Connections the front ended for a reason, by its own count."""
    lines = httpx.get(testbed.metrics_url, **LOOPBACK).text.splitlines()
    name = f'dmz_front_connections_ended_total{{reason="{reason}"}} '
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


@pytest.fixture(autouse=True)
def others(testbed: Testbed) -> Iterator[None]:
    """A normal client at work during the whole test, and the front's own state before and after it."""
    with client(testbed) as http:  # the front makes some files and caches at first use
        assert http.post("/v1/arrears-query", json={"account": ACCOUNT}).status_code == 200
    eventually(lambda: quiet_testbed(testbed), what="a front at rest")
    before, memory_before = files(testbed), memory(testbed)
    answers: list[tuple[int, float]] = []
    done = threading.Event()

    def work() -> None:
        while not done.is_set() or len(answers) < 10:
            with client(testbed) as http:  # a new connection for each, so that being let in is tested too
                begun = time.monotonic()
                answer = http.post("/v1/arrears-query", json={"account": ACCOUNT})
                answers.append((answer.status_code, time.monotonic() - begun))
            done.wait(0.05)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        done.set()
        worker.join(60)
    assert {status for status, _ in answers} == {200}
    assert max(seconds for _, seconds in answers) < 20  # shut out is longer, on a slow machine too
    eventually(lambda: files(testbed) <= before + 3, 60, "the files to be closed")
    assert memory(testbed) - memory_before < MOST_MEMORY


def quiet_testbed(testbed: Testbed) -> bool:
    count = files(testbed)
    time.sleep(0.5)
    return files(testbed) == count


def attacker(testbed: Testbed, address: str = ATTACKER, receive_buffer: int = 0) -> socket.socket:
    plain = socket.socket()
    if receive_buffer:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    plain.bind((address, 0))
    plain.settimeout(30)
    plain.connect(("127.0.0.1", testbed.ports.front))
    return plain


def read_all(plain: socket.socket) -> bytes:
    """What comes until the front hangs up."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while more := plain.recv(65536):
            data += more
    return data


def problem(data: bytes) -> tuple[int, str]:
    """Status and code of the last answer in what was received."""
    head, _, body = data[data.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower(), data
    assert b"connection: close" in head.lower()
    return int(head.split()[1]), json.loads(body)["code"]


def head(testbed: Testbed, *more: str, method: str = "POST", path: str = "/v1/arrears-query") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: front", f"Authorization: Bearer {testbed.app_key}"]
    return "\r\n".join([*lines, "Content-Type: application/json", *more, ""]).encode()


def dripped(plain: socket.socket, piece: bytes, seconds: float = 20) -> bytes:
    """Send a little, again and again, until the front has enough; what it said."""
    plain.setblocking(False)
    end = time.monotonic() + seconds
    data = b""
    while time.monotonic() < end:
        try:
            plain.send(piece)
            more = plain.recv(65536)
        except BlockingIOError:
            time.sleep(0.05)
            continue
        except ConnectionError:  # what was said before the reset is there still
            with contextlib.suppress(OSError):
                data += plain.recv(65536)
            return data
        if not more:
            return data
        data += more
    pytest.fail("the front let it go on")


@pytest.mark.parametrize("piece", [b"X-A: b\r\n", b"a"], ids=["lines", "one-line"])
def test_slow_headers(testbed: Testbed, piece: bytes) -> None:
    crowd = [attacker(testbed) for _ in range(300)]
    for plain in crowd:
        plain.sendall(head(testbed))
    first = crowd.pop()
    assert problem(dripped(first, piece)) == (408, "headers-too-slow")
    first.close()
    for plain in crowd:
        assert problem(read_all(plain)) == (408, "headers-too-slow")
        plain.close()


def test_blank_lines_are_no_request(testbed: Testbed) -> None:
    plain = attacker(testbed)
    assert problem(dripped(plain, b"\r\n")) == (408, "headers-too-slow")
    plain.close()


def test_a_slow_body(testbed: Testbed) -> None:
    plain = attacker(testbed)
    plain.sendall(head(testbed, "Content-Length: 60000") + b"\r\n")
    assert problem(dripped(plain, b" ")) == (408, "body-too-slow")
    plain.close()


@pytest.mark.parametrize("used", [False, True], ids=["silent", "kept-alive"])
def test_thousands_of_idle_connections(testbed: Testbed, used: bool) -> None:
    crowd = []
    for _ in range(IDLE):
        crowd.append(attacker(testbed))
        if used:
            crowd[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: front\r\n\r\n")
    if used:
        for plain in crowd[:50]:
            assert plain.recv(4096).startswith(b"HTTP/1.1 200")
    for plain in crowd:  # all are ended by the front
        data = read_all(plain)
        assert used or problem(data) == (408, "headers-too-slow")
        plain.close()


def test_more_connections_than_one_address_may_have(testbed: Testbed) -> None:
    crowd = [attacker(testbed, CROWD) for _ in range(PER_ADDRESS)]
    refused = [attacker(testbed, CROWD) for _ in range(20)]
    for plain in refused:
        data = read_all(plain)
        assert problem(data) == (503, "too-many-connections")
        assert b"retry-after: 5" in data
    for plain in crowd + refused:
        plain.close()


@pytest.mark.parametrize(
    "more",
    [b"X-Huge: " + b"a" * 20_000, b"X-Huge: " + b"a" * 2_000_000, b"X-A: b\r\n" * 150],
    ids=["a-large-one", "a-huge-one", "many"],
)
def test_huge_headers(testbed: Testbed, more: bytes) -> None:
    plain = attacker(testbed)
    with contextlib.suppress(ConnectionError):
        plain.sendall(head(testbed) + more + b"\r\n\r\n")
    data = read_all(plain)
    # who sends two million bytes into a refusal may lose the answer to the reset that ends it
    if data or len(more) < 100_000:
        assert problem(data) == (431, "headers-too-large")
    plain.close()


@pytest.mark.parametrize("piece", [b"X-A: " + b"b" * 100 + b"\r\n", b"b" * 100], ids=["lines", "one-line"])
def test_endless_headers(testbed: Testbed, piece: bytes) -> None:
    plain = attacker(testbed)
    plain.sendall(head(testbed) + b"X-Endless: ")
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 50_000_000:
            sent += plain.send(piece * 10)
            if sent < 20_000:
                time.sleep(0.01)
    assert sent < 5_000_000
    plain.close()


def test_an_endless_body_to_a_path_that_reads_none(testbed: Testbed) -> None:
    plain = attacker(testbed)
    plain.sendall(head(testbed, "Transfer-Encoding: chunked", method="GET", path="/healthz") + b"\r\n")
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 50_000_000:
            sent += plain.send(b"400\r\n" + b"a" * 0x400 + b"\r\n")
    assert sent < 20_000_000  # what the system's own buffers take, and no more
    plain.close()


def test_thousands_of_requests_at_once_on_one_connection(testbed: Testbed) -> None:
    plain = attacker(testbed)
    request = b"GET /healthz HTTP/1.1\r\nHost: front\r\n\r\n"
    with contextlib.suppress(ConnectionError):
        plain.sendall(request * 10_000)
    answers = read_all(plain).count(b"HTTP/1.1 200")
    assert answers < 2_000  # it is cut off, long before the end
    plain.close()


def test_a_client_that_never_reads(testbed: Testbed) -> None:
    before = files(testbed)
    crowd = [attacker(testbed, receive_buffer=2048) for _ in range(20)]
    for _ in range(400):  # so many answers that no buffer of the system's takes them all
        for plain in crowd:
            with contextlib.suppress(ConnectionError):
                plain.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: front\r\n\r\n")
        time.sleep(0.01)
    eventually(lambda: files(testbed) < before + 10, 60, "the front to give them up")
    assert ended(testbed, "not-reading") + ended(testbed, "too-many-requests") >= 20
    for plain in crowd:
        plain.close()


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
        b"GET\r\n\r\n",
        b"\0" * 1000,
        b"GET / HTTP/9.9\r\n\r\n",
    ],
    ids=["tls", "cut-short", "nulls", "version"],
)
def test_what_is_not_http(testbed: Testbed, junk: bytes) -> None:
    plain = attacker(testbed)
    plain.sendall(junk)
    assert problem(read_all(plain)) == (400, "malformed-request")
    plain.close()


def test_a_bad_request_behind_good_ones_does_not_spoil_their_answers(testbed: Testbed) -> None:
    plain = attacker(testbed)
    body = json.dumps({"account": ACCOUNT}).encode()
    good = head(testbed, f"Content-Length: {len(body)}") + b"\r\n" + body
    plain.sendall(good + good + b"no HTTP at all\r\n\r\n")
    data = read_all(plain)
    assert data.count(b"HTTP/1.1 200") == 2, data
    assert data.count(b'"status":"succeeded"') == 2
    plain.close()


def test_an_attack_of_all_kinds_at_once(testbed: Testbed) -> None:
    attacks: list[Callable[[], None]] = [
        lambda: test_slow_headers(testbed, b"a"),
        lambda: test_endless_headers(testbed, b"b" * 100),
        lambda: test_thousands_of_requests_at_once_on_one_connection(testbed),
        lambda: test_a_slow_body(testbed),
        lambda: test_an_endless_body_to_a_path_that_reads_none(testbed),
    ]
    threads = [threading.Thread(target=attack) for attack in attacks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
