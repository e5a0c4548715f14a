"""The endpoint's listener: uvicorn (httptools) inside the daemon's own loop, with limits for its connections."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from intranet_bridge.marketing.passwords import password_in
from intranet_bridge.pushes.endpoint import HEADERS, Endpoint
from intranet_bridge.pushes.taking import Pushes
from intranet_bridge.settings import PushesSection
from protocol.errors import ConfigurationError
from protocol.link.tls import server_context
from protocol.runtime.logs import logger
from protocol.runtime.watchdog import ended

log = logger(__name__)

_HEADERS_S = 10.0
"""From a request's first byte, or the connection's beginning, to the end of its headers."""
_SHORTEST_TOKEN = 16
_BACKLOG = 128


def token_of(section: PushesSection) -> str:
    """What callers must show; empty: nothing. Raises ConfigurationError."""
    if section.token_file is None:
        return ""
    token = password_in(section.token_file)
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or " " in token:
        raise ConfigurationError(
            f"a token is {_SHORTEST_TOKEN} or more visible ASCII characters", file=str(section.token_file)
        )
    return token


def check(section: PushesSection) -> None:
    """Read the files. Raises ConfigurationError for one that cannot be used."""
    token_of(section)
    if section.certificate is not None and section.key is not None:
        server_context(section.certificate, section.key, section.client_ca)


class _Connection(HttpToolsProtocol):
    """uvicorn's protocol, for callers who are known, with a deadline and a limit for headers."""

    def __init__(self, config: uvicorn.Config, state: Any, section: PushesSection, refuse: Callable[[str], None]):
        super().__init__(config, state, {})
        self._section, self._refuse = section, refuse
        self._deadline: asyncio.TimerHandle | None = None
        self._read = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._section.connections:
            self._end("connections")
            return
        if self._section.clients and _common_name(transport) not in self._section.clients:
            self._end("unknown-client")
            return
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._await_headers()
        if self._deadline is not None:
            self._read += len(data)
        super().data_received(data)
        if self._deadline is not None and self._read > HEADERS:
            self._end("headers-too-large")

    def on_headers_complete(self) -> None:
        self._headers_came()
        super().on_headers_complete()

    def _await_headers(self) -> None:
        self._read = 0
        self._deadline = self.loop.call_later(_HEADERS_S, self._end, "headers-too-slow")

    def _headers_came(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self, reason: str) -> None:
        self._headers_came()
        self._refuse(reason)
        self.transport.abort()


def _common_name(transport: asyncio.BaseTransport) -> str:
    certificate = transport.get_extra_info("peercert") or {}
    subject = {name: value for part in certificate.get("subject", ()) for name, value in part}
    return cast(str, subject.get("commonName", ""))


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that is needed to serve: nothing of it can be wrong any more."""

    section: PushesSection
    token: str = field(repr=False)
    context: ssl.SSLContext | None = field(repr=False)
    sockets: tuple[socket.socket, ...] = field(repr=False)
    """Bound; connections wait in them until they are served."""

    @classmethod
    def of(cls, section: PushesSection, before: "Prepared | None" = None) -> "Prepared":
        """Raises ConfigurationError. `before`: what is served now; its address is not bound a second time."""
        token, context = token_of(section), None
        if section.certificate is not None and section.key is not None:
            context = server_context(section.certificate, section.key, section.client_ca)
        if before is not None and (before.section.host, before.section.port) == (section.host, section.port):
            return cls(section, token, context, tuple(one.dup() for one in before.sockets))
        return cls(section, token, context, tuple(_bound(section.host, section.port)))

    def close(self) -> None:
        """It is not served after all."""
        for one in self.sockets:
            one.close()


def _bound(host: str, port: int) -> list[socket.socket]:
    found: list[socket.socket] = []
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((one[0], one[4]) for one in addresses):
            found.append(socket.create_server(address, family=family, backlog=_BACKLOG))
    except OSError as error:
        for one in found:
            one.close()
        reason = error.strerror or type(error).__name__
        raise ConfigurationError(f"pushes: cannot listen on {host}:{port}: {reason}") from error
    return found


class PushServer:
    """Serves one configuration, and stops serving it."""

    def __init__(self, pushes: Pushes, prepared: Prepared) -> None:
        self._pushes, self.prepared = pushes, prepared
        self._server: uvicorn.Server | None = None
        self._main: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve."""
        prepared, section = self.prepared, self.prepared.section
        config = uvicorn.Config(
            cast(Any, Endpoint(self._pushes, section, prepared.token)),
            http="httptools", loop="none", lifespan="off", ws="none", access_log=False, log_config=None,
            server_header=False, proxy_headers=False, timeout_keep_alive=30, timeout_graceful_shutdown=5,
        )  # fmt: skip
        config.load()
        if prepared.context is not None:
            config.ssl = prepared.context
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        loop = asyncio.get_running_loop()
        server.servers = [
            await loop.create_server(
                lambda: _Connection(config, server.server_state, section, self._refuse),
                sock=one.dup(),
                ssl=prepared.context,
                ssl_handshake_timeout=_HEADERS_S if prepared.context else None,
                backlog=_BACKLOG,
            )
            for one in prepared.sockets
        ]
        server.started = True
        self._server, self._main = server, loop.create_task(server.main_loop())
        log.info("pushes-listening", host=section.host, port=section.port, tls=prepared.context is not None)

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py)."""
        return ended(self._main, "a task of the pushes' listener") if self._main is not None else ""

    def let_go(self) -> None:
        """Take no more connections; those that are there go on."""
        self.prepared.close()
        for one in self._server.servers if self._server is not None else ():
            one.close()

    async def stop(self) -> None:
        """Answer what was asked, for 5 s at most, and take no more."""
        self.prepared.close()
        if self._server is None or self._main is None:
            return
        self._server.should_exit = True
        await self._main
        await self._server.shutdown()

    def _refuse(self, reason: str) -> None:
        self._pushes.refuse(reason)
