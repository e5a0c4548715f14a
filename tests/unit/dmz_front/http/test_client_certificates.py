"""Which client certificate a request comes with: of the connection itself, or by the word of a trusted proxy alone."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bridgectl import certificate_files
from dmz_front.http.exchange import CERTIFICATE
from dmz_front.http.heads import said_certificate
from dmz_front.http.server import HttpServer
from dmz_front.problems.details import Problem
from dmz_front.settings import HttpSection
from protocol.messages import Role
from protocol.runtime.credentials import fingerprint
from scripts.tools.testbed.processes import free_port

pytestmark = pytest.mark.anyio

Ask = Callable[..., Coroutine[Any, Any, str]]


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certs")
    certificate_files.init(folder, {Role.BROKER: ["broker-1"], Role.FRONT: ["front-1"]})
    return folder


def der(file: Path) -> bytes:
    return x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER)


async def tell(scope: Any, _receive: Any, send: Any) -> None:
    said = scope.get(CERTIFICATE, "none").encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(said))]})
    await send({"type": "http.response.body", "body": said})


@asynccontextmanager
async def serving(certs: Path, **settings: Any) -> AsyncIterator[Ask]:
    """Asks which certificate a request comes with; "" where there is no answer."""
    port = free_port()
    server = HttpServer(tell, HttpSection(port=port, **settings))
    await server.start()

    async def ask(show: str = "", header: str = "") -> str:
        context = None
        if "certificate" in settings:
            context = ssl.create_default_context(cafile=str(certs / "ca.pem"))
            if show:
                context.load_cert_chain(certs / f"{show}.pem", certs / f"{show}.key")
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=None)
            more = f"Client-Cert: {header}\r\n" if header else ""
            writer.write(f"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n".encode())
            head, _, body = (await asyncio.wait_for(reader.read(), 30)).partition(b"\r\n\r\n")
            writer.close()
        except (ssl.SSLError, ConnectionError):
            return ""
        return body.decode() if b" 200 " in head else head.split(b"\r\n")[0].decode()

    try:
        yield ask
    finally:
        await server.stop()


async def test_the_one_that_the_connection_shows(certs: Path) -> None:
    tls = {"certificate": certs / "broker.pem", "key": certs / "broker.key", "client_ca": certs / "ca.pem"}
    shown, header = fingerprint(der(certs / "front.pem")), f":{base64.b64encode(der(certs / 'broker.pem')).decode()}:"
    async with serving(certs, **tls, client_certificates="optional") as ask:
        assert await ask("front") == shown
        assert await ask() == "none"
        assert await ask("front", header) == shown
        assert await ask(header=header) == "none"
    async with serving(certs, **tls) as ask:
        assert await ask("front") == shown
        assert await ask() == ""


async def test_the_one_a_trusted_proxy_tells_of(certs: Path) -> None:
    header = f":{base64.b64encode(der(certs / 'front.pem')).decode()}:"
    async with serving(certs, trusted_proxies=("127.0.0.1",), client_cert_header=True) as ask:
        assert await ask(header=header) == fingerprint(der(certs / "front.pem"))
        assert await ask() == "none"
        assert await ask(header="something") == "HTTP/1.1 400 Bad Request"
    for settings in (
        {"trusted_proxies": ("192.0.2.0/24",), "client_cert_header": True},  # another one's word
        {"trusted_proxies": ("127.0.0.1",)},  # not turned on
    ):
        async with serving(certs, **settings) as ask:
            assert await ask(header=header) == "none"


@pytest.mark.parametrize("value", [b"", b"1", b"abc", b":AAAA:, :AAAA:", b":not base64"])
def test_what_is_no_certificate_of_a_proxy(value: bytes) -> None:
    with pytest.raises(Problem, match="malformed-header"):
        said_certificate({b"client-cert": value})
