"""TCP attempts end soon, and the socket's own patience is the heart-beats'."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from protocol.link.dial import dial, in_turn, options
from protocol.link.heartbeat import GRACE
from protocol.link.session import StompLink
from protocol.link.settings import LinkSettings
from protocol.runtime.settings import LinkSection
from tests.support.fake_broker import PATIENCE, FakeBroker

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


def settings(*brokers: tuple[str, int], **changes: Any) -> LinkSettings:
    values: dict[str, Any] = {
        "ssl": None,
        "insecure": True,
        "heartbeat_ms": (0, 0),
        "backoff_min": 0.01,
        "backoff_max": 0.02,
    }
    return LinkSettings(brokers=brokers, **(values | changes))


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A port that answers no SYN, as if packets were dropped: its backlog is full. `accept` opens it."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        while True:
            one = stack.enter_context(socket.socket())
            one.settimeout(0.3)
            try:
                one.connect(listener.getsockname())
            except TimeoutError:
                break
        yield listener


def test_the_sockets_patience_is_that_of_the_heart_beats() -> None:
    found = {(level, name): value for level, name, value in options((2000, 3000))}
    assert found[socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT] == 3000 * GRACE
    assert found[socket.SOL_SOCKET, socket.SO_KEEPALIVE] == 1
    idle, step, count = (
        found[socket.IPPROTO_TCP, name] for name in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    )
    assert idle + step * count <= 3 * GRACE + idle
    assert {(level, name): value for level, name, value in options((0, 0))}[
        socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT
    ] > 0


async def test_the_options_are_on_the_socket() -> None:
    async with FakeBroker() as broker:
        with await dial(("localhost", broker.port), attempt_s=5, options=options((3000, 3000))) as plain:
            for level, name, value in options((3000, 3000)):
                assert plain.getsockopt(level, name) == value


async def test_a_silent_address_is_given_up_soon(silent: socket.socket) -> None:
    async with asyncio.timeout(PATIENCE):
        host, port = silent.getsockname()
        with pytest.raises(TimeoutError, match=rf"^{host}:{port}: no answer to TCP within 0.2 s$"):
            await dial((host, port), attempt_s=0.2)


async def test_the_reason_and_the_address_are_told() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # not listening
        host, port = nobody.getsockname()
        with pytest.raises(ConnectionRefusedError) as caught:
            await dial((host, port), attempt_s=5)
        assert caught.value.strerror == f"{host}:{port}: Connection refused"


def known_as(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """The name `several` has these addresses, in this order."""
    found = [
        (socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))
        for host, port in addresses
    ]

    async def getaddrinfo(_loop: Any, host: str, port: int, **_kind: Any) -> Any:
        assert host == "several"
        return found

    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", getaddrinfo, raising=False)


async def test_a_silent_first_address_costs_the_stagger_alone(
    silent: socket.socket, monkeypatch: pytest.MonkeyPatch, anyio_backend: tuple[str, dict[str, bool]]
) -> None:
    if anyio_backend[1]["use_uvloop"]:
        pytest.skip("uvloop's class cannot be patched")
    async with FakeBroker() as broker:
        known_as(monkeypatch, silent.getsockname(), ("127.0.0.1", broker.port))
        began = asyncio.get_running_loop().time()
        with await dial(("several", 1), attempt_s=PATIENCE, within_s=PATIENCE) as plain:
            assert plain.getpeername() == ("127.0.0.1", broker.port)
        assert asyncio.get_running_loop().time() - began < PATIENCE / 2


async def test_every_address_that_failed_is_named(
    silent: socket.socket, monkeypatch: pytest.MonkeyPatch, anyio_backend: tuple[str, dict[str, bool]]
) -> None:
    if anyio_backend[1]["use_uvloop"]:
        pytest.skip("uvloop's class cannot be patched")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # not listening
        known_as(monkeypatch, silent.getsockname(), nobody.getsockname())
        with pytest.raises(TimeoutError) as caught:
            await dial(("several", 1), attempt_s=0.5)
        text = str(caught.value)
        assert f":{nobody.getsockname()[1]}: Connection refused" in text
        assert f":{silent.getsockname()[1]}: no answer to TCP within 0.5 s" in text


async def test_a_name_nobody_knows() -> None:
    with pytest.raises(socket.gaierror, match=r"nowhere\.invalid"):
        await dial(("nowhere.invalid", 1), attempt_s=5, within_s=20)


async def test_the_whole_has_an_end(silent: socket.socket) -> None:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(TimeoutError, match="no answer to TCP"):
            await dial(silent.getsockname(), attempt_s=600, within_s=0.2)


def test_families_take_turns() -> None:
    six, four = socket.AF_INET6, socket.AF_INET
    found = [(six, 1), (six, 2), (six, 3), (four, 4)]
    assert [number for _, number in in_turn(found)] == [1, 4, 2, 3]
    assert in_turn([]) == []


async def test_a_silent_broker_does_not_keep_the_link_from_the_next(silent: socket.socket) -> None:
    """With the whole `connect_timeout` for TCP this would take half a minute."""
    async with FakeBroker() as broker:
        brokers = silent.getsockname(), ("localhost", broker.port)
        link = StompLink(settings(*brokers, connect_timeout=30.0, dial_timeout=0.2))
        await link.start()
        await asyncio.wait_for(link.ready(), PATIENCE)
        assert link.counters.connect_failures >= 1
        await link.close()


def test_the_shipped_defaults_find_a_way_that_came_back_within_five_seconds() -> None:
    """Just before its return an attempt has begun in vain, and then comes the longest pause."""
    section = {name: field.default for name, field in LinkSection.model_fields.items()}
    dialling = settings(("x", 1)).dial_timeout
    assert dialling + section["reconnect_max_s"] <= 4.0
    # The kernel repeats unacknowledged data after about 3, 6.2 and 12.6 s: a way that comes back after 6.3 s would
    # stay unused for as long again, were the connection not given up before.
    assert section["heartbeat_ms"] / 1000 * GRACE <= 10
