"""The contract suite's worlds: the real broker over mutual TLS (on asyncio and on uvloop) and the in-memory twin."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from protocol.link.every import EveryBroker
from protocol.link.memory import MemoryBroker, MemoryLink
from protocol.link.port import Link
from protocol.link.session import StompLink
from protocol.link.settings import LinkSettings
from protocol.link.tls import client_context
from scripts.tools.testbed.processes import free_port
from tests.support.broker import ContainerBroker, LocalBroker, Unavailable, broker_in
from tests.support.proxy import Proxy

PATIENCE = 30.0
"""Seconds anything may take before a test fails."""


class World(Protocol):
    """What a test can do to a broker, real or not."""

    async def link(self, role: str, *, started: bool = True, dead_first: bool = False, **bounds: Any) -> Any:
        """A link of this role (front, bridge), connected unless told otherwise; closed at the end."""

    async def drop(self) -> None:
        """Lose every connection."""

    async def stop(self) -> None:
        """Kill the broker."""

    async def start(self) -> None:
        """Bring it back."""

    def stall(self) -> None:
        """Let nothing through, with connections up."""

    def flow(self) -> None:
        """Go on after stall."""


class MemoryWorld:
    """The twin; with `every`, a link to it and to a second broker that is down."""

    def __init__(self, *, every: bool) -> None:
        self.broker = MemoryBroker()
        self.every = every
        self.links: list[Link] = []

    async def link(self, role: str, *, started: bool = True, dead_first: bool = False, **bounds: Any) -> Link:
        # The real broker's authorisation, as far as the suite asks for it.
        if role == "bridge":
            self.broker.refused.add(FORBIDDEN)
        brokers = [self.broker]
        if dead_first or self.every:
            dead = MemoryBroker()
            dead.stop()
            brokers.insert(0, dead)
        link: Link = MemoryLink(*brokers, **bounds)
        if self.every:
            link = EveryBroker([MemoryLink(broker, **bounds) for broker in brokers])
        self.links.append(link)
        if started:
            await link.start()
            await link.ready()
        return link

    async def drop(self) -> None:
        self.broker.drop()

    async def stop(self) -> None:
        self.broker.stop()

    async def start(self) -> None:
        self.broker.start()

    def stall(self) -> None:
        self.broker.pause()

    def flow(self) -> None:
        self.broker.resume()


class RealWorld:
    """A real broker, reached through a proxy that can be cut."""

    def __init__(self, broker: LocalBroker | ContainerBroker) -> None:
        self.broker = broker
        self.proxy = Proxy(broker.host, broker.port)
        self.links: list[StompLink] = []
        self.stopped = False

    async def link(self, role: str, *, started: bool = True, dead_first: bool = False, **bounds: Any) -> StompLink:
        certs = self.broker.certs
        brokers = [("localhost", self.proxy.port)]
        if dead_first:
            brokers.insert(0, ("localhost", free_port()))
        settings = LinkSettings(
            brokers=tuple(brokers),
            ssl=client_context(certs / "ca.pem", certs / f"{role}.pem", certs / f"{role}.key"),
            client_name=role,
            backoff_min=0.02,
            backoff_max=0.2,
            close_timeout=30.0,  # the receipts of a whole batch are that many disk syncs, on a busy disk
            **bounds,
        )
        link = StompLink(settings)
        self.links.append(link)
        if started:
            await link.start()
            await asyncio.wait_for(link.ready(), PATIENCE)
        return link

    async def drop(self) -> None:
        await self.proxy.cut()

    async def stop(self) -> None:
        self.stopped = True
        await asyncio.to_thread(self.broker.stop)

    async def start(self) -> None:
        await asyncio.to_thread(self.broker.start)
        self.stopped = False

    def stall(self) -> None:
        self.proxy.stall()

    def flow(self) -> None:
        self.proxy.flow()


FORBIDDEN = "/queue/bridge.query.forbidden"
"""A destination the role `bridge` may not write to."""


@pytest.fixture(scope="package")
def real_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker | ContainerBroker | str]:
    """The running broker, or the reason why there is none."""
    directory: Path = tmp_path_factory.mktemp("real-broker")
    try:
        with broker_in(directory) as broker:
            yield broker
    except Unavailable as reason:
        yield str(reason)


WORLDS = {
    "memory": ("asyncio", {}),
    "memory-every": ("asyncio", {}),
    "stomp": ("asyncio", {}),
    "stomp-uvloop": ("asyncio", {"use_uvloop": True}),
}


@pytest.fixture(params=[pytest.param(backend, id=name) for name, backend in WORLDS.items()])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """The event loop of a test; its id also says which world it is for."""
    return request.param


@pytest.fixture
async def world(anyio_backend: Any, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """The broker of this test, with every link made in it closed at the end."""
    name = request.node.callspec.id
    if "memory" in name:
        memory = MemoryWorld(every="memory-every" in name)
        yield memory
        for link in memory.links:
            await link.close()
        return
    broker = request.getfixturevalue("real_broker")
    if isinstance(broker, str):
        pytest.skip(f"no real broker: {broker}")
    real = RealWorld(broker)
    await real.proxy.start()
    yield real
    if real.stopped:
        await real.start()
    real.flow()
    await asyncio.gather(*(link.close() for link in real.links))
    await real.proxy.close()


@pytest.fixture
def queue() -> str:
    """A request queue of its own for each test: front writes, bridge reads."""
    return f"/queue/bridge.command.t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def topic() -> str:
    """A presence topic of its own for each test: bridge writes, front reads."""
    return f"/topic/bridge.presence.t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def forbidden() -> str:
    """A queue the role `bridge` may not write to."""
    return FORBIDDEN
