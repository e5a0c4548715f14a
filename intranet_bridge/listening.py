"""A listener of the bridge: uvicorn (httptools) inside the daemon's own loop, with limits for its connections."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from protocol.errors import ConfigurationError
from protocol.runtime.logs import logger
from protocol.runtime.watchdog import ended

log = logger(__name__)

HEADERS_S = 10.0
"""From a request's first byte, or the connection's beginning, to the end of its headers."""

Refuse = Callable[[str], None]


def _nobody_counts(reason: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the connections of a listener."""

    connections: int
    """At once."""
    header_bytes: int
    """Of a request."""
    clients: Collection[str] = ()
    """The common names that certificates may have; none: nothing is asked."""
    refuse: Refuse = _nobody_counts
    """Is told why a connection is cut."""


class Listener:
    """Listens, and stops listening."""

    def __init__(
        self,
        app: Any,
        *,
        what: str,
        host: str,
        port: int,
        context: ssl.SSLContext | None,
        limits: Limits,
    ) -> None:
        """`app`: ASGI. `what`: its table in the configuration."""
        self._app, self._what, self._host, self._port, self._context = app, what, host, port, context
        self._limits = limits
        self._server: uvicorn.Server | None = None
        self._main: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. Raises ConfigurationError."""
        config = uvicorn.Config(
            cast(Any, self._app),
            http="httptools", loop="none", lifespan="off", ws="none", access_log=False, log_config=None,
            server_header=False, proxy_headers=False, timeout_keep_alive=30, timeout_graceful_shutdown=5,
        )  # fmt: skip
        config.load()
        if self._context is not None:
            config.ssl = self._context
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        try:
            listening = await asyncio.get_running_loop().create_server(
                lambda: Connection(config, server.server_state, self._limits),
                self._host,
                self._port,
                ssl=self._context,
                ssl_handshake_timeout=HEADERS_S if self._context else None,
                family=socket.AF_UNSPEC,
                backlog=128,
            )
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ConfigurationError(f"{self._what}: cannot listen on {self._host}:{self._port}: {reason}") from error
        server.servers, server.started = [listening], True
        self._server, self._main = server, asyncio.get_running_loop().create_task(server.main_loop())

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py)."""
        return ended(self._main, f"a task of the listener of [{self._what}]") if self._main is not None else ""

    async def stop(self) -> None:
        """Answer what was asked, for 5 s at most, and take no more."""
        if self._server is None or self._main is None:
            return
        self._server.should_exit = True
        await self._main
        await self._server.shutdown()


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, for callers who are known, with a deadline and a limit for headers."""

    def __init__(self, config: uvicorn.Config, state: Any, limits: Limits) -> None:
        super().__init__(config, state, {})
        self._limits = limits
        self._deadline: asyncio.TimerHandle | None = None
        self._read = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self._end("connections")
            return
        if self._limits.clients and _common_name(transport) not in self._limits.clients:
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
        if self._deadline is not None and self._read > self._limits.header_bytes:
            self._end("headers-too-large")

    def on_headers_complete(self) -> None:
        self._headers_came()
        super().on_headers_complete()

    def _await_headers(self) -> None:
        self._read = 0
        self._deadline = self.loop.call_later(HEADERS_S, self._end, "headers-too-slow")

    def _headers_came(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self, reason: str) -> None:
        self._headers_came()
        self._limits.refuse(reason)
        self.transport.abort()


def _common_name(transport: asyncio.BaseTransport) -> str:
    certificate = transport.get_extra_info("peercert") or {}
    subject = {name: value for part in certificate.get("subject", ()) for name, value in part}
    return cast(str, subject.get("commonName", ""))
