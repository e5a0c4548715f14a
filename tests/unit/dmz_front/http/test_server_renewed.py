"""The HTTPS certificate changes while the front listens: new connections have the new one, nobody is refused."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from bridgectl import certificate_files
from dmz_front.http.server import HttpServer, context_of
from dmz_front.settings import HttpSection
from protocol.messages import Role
from scripts.tools.testbed.processes import free_port

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def connected(port: int, ca: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, int]:
    """A connection, and the serial number of the certificate it was shown."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=ssl.create_default_context(cafile=str(ca)))
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return reader, writer, x509.load_der_x509_certificate(shown).serial_number


async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    await reader.readexactly(2)
    return head.split(b"\r\n")[0]


async def test_new_handshakes_show_the_new_certificate(tmp_path: Path) -> None:
    for name in ("old", "new"):
        certificate_files.init(tmp_path / name, {Role.BROKER: ["broker-1"]})

    def section(name: str, **more: Any) -> HttpSection:
        folder = tmp_path / name
        return HttpSection(port=port, certificate=folder / "broker.pem", key=folder / "broker.key", **more)

    port = free_port()
    server = HttpServer(hello, section("old"))
    await server.start()
    try:
        reader, writer, serial = await connected(port, tmp_path / "old" / "ca.pem")
        assert await asked(reader, writer) == b"HTTP/1.1 200 OK"

        async def callers() -> int:
            """Callers that connect again and again meanwhile; how many came through."""
            served = 0
            context = ssl._create_unverified_context()
            while not done.is_set():
                one = await asyncio.open_connection("127.0.0.1", port, ssl=context)
                assert await asked(*one) == b"HTTP/1.1 200 OK"
                one[1].close()
                served += 1
            return served

        done = asyncio.Event()
        running = asyncio.create_task(callers())
        await asyncio.sleep(0)
        new = section("new", connections_per_address=77)
        for _ in range(5):
            await server.renew(new, context_of(new))
        other = await connected(port, tmp_path / "new" / "ca.pem")
        done.set()
        assert await asyncio.wait_for(running, 30) > 0
        assert other[2] != serial
        assert await asked(*other[:2]) == b"HTTP/1.1 200 OK"
        assert await asked(reader, writer) == b"HTTP/1.1 200 OK"  # the old connection goes on
        assert server.connections.limits.connections_per_address == 77
        with pytest.raises(ssl.SSLCertVerificationError):
            await connected(port, tmp_path / "old" / "ca.pem")
        writer.close()
        other[1].close()
    finally:
        await server.stop()
    with pytest.raises(ConnectionRefusedError):  # nothing listens any more
        await asyncio.open_connection("127.0.0.1", port)
