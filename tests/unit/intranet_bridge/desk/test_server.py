"""The desk's listener on real sockets: by https with a certificate, and bodies that do not come."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest

from intranet_bridge.desk import server
from intranet_bridge.desk_section import DeskSection
from intranet_bridge.listening import Listener
from protocol.desk.pages import Desk, Furniture
from protocol.desk.sessions import Sessions
from protocol.desk.words import Words
from protocol.errors import ConfigurationError
from scripts.tools.testbed.processes import free_port
from tests.unit.intranet_bridge.pushes.test_tls import issue

pytestmark = pytest.mark.anyio


def listener(tmp_path: Path, **values: Any) -> tuple[Listener, int]:
    port = free_port()
    section = DeskSection.model_validate({"enabled": True, "port": port, **values})
    furniture = Furniture("Desk", (), tmp_path, Words())
    desk = Desk(section, furniture, sessions=Sessions(section, lambda: 0.0), log_in=None, act=None)  # type: ignore[arg-type]
    return server.listener(section, desk), port


async def test_with_a_certificate_it_is_https_alone(tmp_path: Path) -> None:
    authority = issue(tmp_path, "authority")
    issue(tmp_path, "desk", authority)
    opened, port = listener(tmp_path, certificate=str(tmp_path / "desk.pem"), key=str(tmp_path / "desk.key"))
    await opened.start()
    try:
        context = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
        async with httpx.AsyncClient(verify=context, trust_env=False) as client:
            page = await client.get(f"https://localhost:{port}/desk/login")
            assert (page.status_code, "password" in page.text) == (200, True)
            assert "default-src 'none'" in page.headers["content-security-policy"]
            with pytest.raises(httpx.HTTPError):
                await client.get(f"http://localhost:{port}/desk/login")
    finally:
        await opened.stop()


async def test_a_port_that_is_taken_and_a_key_that_is_none_are_named(tmp_path: Path) -> None:
    opened, port = listener(tmp_path)
    await opened.start()
    try:
        other, _ = listener(tmp_path, port=port)
        with pytest.raises(ConfigurationError, match=f"desk: cannot listen on 127.0.0.1:{port}"):
            await other.start()
    finally:
        await opened.stop()
    (tmp_path / "x.pem").write_text("x")
    with pytest.raises(ConfigurationError):
        server.check(DeskSection(certificate=tmp_path / "x.pem", key=tmp_path / "x.pem"))


async def test_a_body_that_does_not_come_is_waited_for_no_longer_than_its_time() -> None:
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        told.append(await receive())

    async def never() -> Any:
        await asyncio.Event().wait()

    async def nowhere(message: Any) -> None:
        raise AssertionError(message)

    await server.bounded(app, seconds=0.01)({"type": "http", "headers": [(b"content-length", b"5")]}, never, nowhere)
    assert told == [{"type": "http.disconnect"}]
