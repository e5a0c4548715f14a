"""The endpoint's listener: uvicorn (httptools) inside the daemon's own loop, with limits for its connections."""

import asyncio
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any, cast

import uvicorn

from intranet_bridge.listening import HEADERS_S, Connection, Limits
from intranet_bridge.marketing.passwords import password_in
from intranet_bridge.pushes.endpoint import HEADERS, Endpoint
from intranet_bridge.pushes.taking import Pushes
from intranet_bridge.settings import PushesSection
from protocol.errors import ConfigurationError
from protocol.link.tls import server_context
from protocol.runtime.logs import logger
from protocol.runtime.watchdog import ended

log = logger(__name__)

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
        limits = Limits(section.connections, HEADERS, section.clients, self._refuse)
        server.servers = [
            await loop.create_server(
                lambda: Connection(config, server.server_state, limits),
                sock=one.dup(),
                ssl=prepared.context,
                ssl_handshake_timeout=HEADERS_S if prepared.context else None,
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
