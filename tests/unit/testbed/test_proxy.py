"""The proxy does to connections what a network can do to them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from scripts.tools.testbed.proxy import DOWN, UP, Proxy

pytestmark = pytest.mark.anyio
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """A server that sends back what it gets, and remembers it."""

    def __init__(self) -> None:
        self.got = b""
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                self.got += data
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.ended.set()


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Echo, Proxy]]:
    server = Echo()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    proxy = Proxy("127.0.0.1", listening.sockets[0].getsockname()[1])
    await proxy.start()
    yield server, proxy
    await proxy.close()
    listening.close()


async def connected(proxy: Proxy) -> Ends:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"hello")
    assert await answer(reader) == b"hello"
    return reader, writer


async def answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(60):
        return await reader.read(65536)


async def _answers(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        yield await answer(reader)


async def silent(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(0.1):
            await reader.read(1)
    except TimeoutError:
        return True
    return False


async def until_got(server: Echo, data: bytes) -> None:
    async with asyncio.timeout(60):
        while server.got != data:  # noqa: ASYNC110 - the bytes that came
            await asyncio.sleep(0.005)


async def test_what_is_held_comes_later(echo: tuple[Echo, Proxy]) -> None:
    server, proxy = echo
    reader, writer = await connected(proxy)
    proxy.stall()
    writer.write(b"later")
    assert await silent(reader)
    assert server.got == b"hello"
    proxy.flow()
    assert await answer(reader) == b"later"
    writer.close()


async def test_what_is_swallowed_is_gone_and_the_connection_stays(echo: tuple[Echo, Proxy]) -> None:
    server, proxy = echo
    reader, writer = await connected(proxy)
    proxy.swallow(DOWN)
    writer.write(b"receipt?")
    assert await silent(reader)
    await until_got(server, b"helloreceipt?")  # it arrived, and nobody was told
    proxy.flow()
    proxy.swallow(UP)
    writer.write(b"lost")
    assert await silent(reader)
    proxy.flow()
    writer.write(b"again")
    assert await answer(reader) == b"again"
    assert server.got == b"helloreceipt?again"
    writer.close()


async def test_a_reset_in_the_middle_of_a_frame(echo: tuple[Echo, Proxy]) -> None:
    server, proxy = echo
    reader, writer = await connected(proxy)
    proxy.reset_within(3, UP)
    writer.write(b"a frame")
    with pytest.raises(ConnectionResetError):
        await anext(part async for part in _answers(reader) if not part)
    assert server.got == b"helloa f"
    proxy.flow()
    _, other = await connected(proxy)
    other.close()


async def test_half_a_connection_is_closed(echo: tuple[Echo, Proxy]) -> None:
    server, proxy = echo
    reader, writer = await connected(proxy)
    proxy.half_close(DOWN)
    assert await answer(reader) == b""  # FIN
    writer.write(b"still")
    await until_got(server, b"hellostill")
    writer.close()


async def test_new_connections_are_refused_and_old_ones_cut(echo: tuple[Echo, Proxy]) -> None:
    _, proxy = echo
    reader, _ = await connected(proxy)
    proxy.refuse()
    await proxy.cut()
    with pytest.raises(ConnectionResetError):
        await answer(reader)
    refused, _ = await asyncio.open_connection("127.0.0.1", proxy.port)
    with pytest.raises(ConnectionResetError):
        await answer(refused)
    proxy.flow()
    _, writer = await connected(proxy)
    writer.close()


async def test_everything_comes_late(echo: tuple[Echo, Proxy]) -> None:
    _, proxy = echo
    reader, writer = await connected(proxy)
    proxy.delay(0.15)
    begun = asyncio.get_running_loop().time()
    writer.write(b"late")
    assert await answer(reader) == b"late"
    assert asyncio.get_running_loop().time() - begun >= 0.3  # both ways
    writer.close()
