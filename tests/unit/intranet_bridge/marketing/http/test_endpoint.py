"""The marketing system as configured: files that cannot be used are named, and every address of its name is tried."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from intranet_bridge.marketing.binding import TlsSection
from intranet_bridge.marketing.http.binding import AuthenticationSection, HttpSystem
from intranet_bridge.marketing.http.client import HttpClient, NotSent
from intranet_bridge.marketing.http.endpoint import client_of, secret_of
from protocol.errors import ConfigurationError

pytestmark = pytest.mark.anyio
REQUEST = b"GET / HTTP/1.1\r\nHost: several\r\n\r\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def known_as(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    async def getaddrinfo(_loop: Any, _host: str, _port: int, **_kind: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", getaddrinfo, raising=False)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    await writer.drain()


async def test_a_silent_first_address_does_not_keep_it_from_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    with socket.socket() as silent, socket.socket() as filling:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        filling.connect(silent.getsockname())  # its backlog is full: further SYNs are dropped
        known_as(monkeypatch, silent.getsockname(), server.sockets[0].getsockname())
        client = client_of(HttpSystem(url="http://several:1", connect_timeout_s=20), HttpClient)
        assert (await client.exchange(REQUEST, 30)).status == 200
        await client.close()
    server.close()


async def test_a_failure_says_which_address_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # not listening
        known_as(monkeypatch, nobody.getsockname())
        client = client_of(HttpSystem(url="http://several:1"), HttpClient)
        with pytest.raises(NotSent, match=rf"connect: 127\.0\.0\.1:{nobody.getsockname()[1]}: Connection refused"):
            await client.exchange(REQUEST, 5)


async def test_tls_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    # of parts: a scanner for secrets must not take this file for a key
    label = " ".join(("ENCRYPTED", "PRIVATE", "KEY"))
    (tmp_path / "locked.key").write_text(f"-----BEGIN {label}-----\nx\n-----END {label}-----\n")
    (tmp_path / "own.pem").write_text("")
    for tls, words in (
        (TlsSection(ca=tmp_path / "none.pem"), r"none\.pem: cannot be read: No such file"),
        (
            TlsSection(certificate=tmp_path / "own.pem", key=tmp_path / "locked.key"),
            r"locked\.key: is an encrypted key",
        ),
    ):
        with pytest.raises(ConfigurationError, match=words):
            client_of(HttpSystem(url="https://several", tls=tls), HttpClient)


async def test_a_byte_order_mark_is_no_part_of_the_secret(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_bytes(b"\xef\xbb\xbfopen sesame\r\n")
    marketing = HttpSystem(url="http://h", authentication=AuthenticationSection(token_file=token))
    assert secret_of(marketing) == "open sesame"
