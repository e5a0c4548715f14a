"""What only the real broker has: TLS that refuses strangers, heart-beats, restarts that take time."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from protocol.link.session import StompLink
from protocol.link.settings import LinkSettings
from protocol.link.tls import client_context
from tests.support.broker import ContainerBroker, LocalBroker, make_certificates
from tests.support.proxy import Proxy

pytestmark = pytest.mark.anyio
PATIENCE = 30.0


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
def broker(real_broker: Any) -> LocalBroker | ContainerBroker:
    if isinstance(real_broker, str):
        pytest.skip(f"no real broker: {real_broker}")
    assert isinstance(real_broker, LocalBroker | ContainerBroker)
    return real_broker


@pytest.fixture(scope="session")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of a CA the broker does not know."""
    return make_certificates(tmp_path_factory.mktemp("strangers") / "certs")


def link_of(ca: Path, own: Path, port: int, **changes: Any) -> StompLink:
    context = client_context(ca / "ca.pem", own / "front.pem", own / "front.key")
    brokers = (("localhost", port),)
    return StompLink(LinkSettings(brokers, context, backoff_min=0.02, backoff_max=0.05, **changes))


async def test_a_broker_of_another_ca_is_not_believed(broker: LocalBroker | ContainerBroker, strangers: Path) -> None:
    await never_connects(link_of(strangers, broker.certs, broker.port))


async def test_a_client_of_another_ca_is_not_let_in(broker: LocalBroker | ContainerBroker, strangers: Path) -> None:
    await never_connects(link_of(broker.certs, strangers, broker.port))


async def never_connects(link: StompLink) -> None:
    """The link fails three times and goes on trying, until it is closed."""
    await link.start()
    async with asyncio.timeout(PATIENCE):
        while link.counters.connect_failures < 3:  # noqa: ASYNC110  (a counter has no event)
            await asyncio.sleep(0.01)
    assert (link.connected, link.epoch) == (False, 0)
    await asyncio.wait_for(link.close(), PATIENCE)


async def test_heart_beats_keep_an_idle_link_up_and_a_dead_way_is_noticed(
    broker: LocalBroker | ContainerBroker,
) -> None:
    proxy = Proxy(broker.host, broker.port)
    await proxy.start()
    link = link_of(broker.certs, broker.certs, proxy.port, heartbeat_ms=(200, 200), close_timeout=0.5)
    lost = asyncio.Event()
    await link.start()
    await asyncio.wait_for(link.ready(), PATIENCE)
    epoch, received = link.epoch, link.counters.bytes_in
    async with asyncio.timeout(PATIENCE):
        while link.counters.bytes_in < received + 10:  # ten heart-beats of one byte, over one connection
            await asyncio.sleep(0.01)
            if link.epoch != epoch:  # a machine that stood still is a dead way, too
                epoch, received = link.epoch, link.counters.bytes_in
    link.watch(lambda up: None if up else lost.set())
    proxy.stall()
    await asyncio.wait_for(lost.wait(), PATIENCE)
    proxy.flow()
    await asyncio.wait_for(link.ready(), PATIENCE)
    assert link.epoch > epoch
    await link.close()
    await proxy.close()
