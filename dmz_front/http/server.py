"""uvicorn (httptools, uvloop) inside the daemon's own loop and order of starting and stopping."""

import asyncio
import resource
import socket
import ssl

import uvicorn

from dmz_front.http.connections import Connection
from dmz_front.http.exchange import App
from dmz_front.http.limits import Connections
from dmz_front.settings import HttpSection
from protocol.errors import ConfigurationError
from protocol.link.tls import server_context
from protocol.runtime.logs import logger
from protocol.runtime.watchdog import ended

log = logger(__name__)

OTHER_FILES = 256
"""File descriptors a front needs beside those of its HTTP connections: broker, database, logs."""


class HttpServer:
    """Listens, and stops listening."""

    def __init__(self, app: App, section: HttpSection) -> None:
        self._section = section
        self.connections = Connections(section)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                host=section.host,
                port=section.port,
                http="httptools",
                loop="none",
                lifespan="off",
                ws="none",
                access_log=False,
                log_config=None,
                server_header=False,
                date_header=True,
                proxy_headers=bool(section.trusted_proxies),
                forwarded_allow_ips=list(section.trusted_proxies) or None,
                timeout_keep_alive=section.keep_alive_s,
                timeout_graceful_shutdown=2,
                backlog=2048,
            )
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._listener: socket.socket | None = None
        """A second descriptor of the listening socket: it listens for as long as this is open."""

    def load(self) -> None:
        """Read the TLS files. Raises ConfigurationError for one that cannot be used."""
        config = self._server.config
        config.load()
        config.ssl = context_of(self._section)

    async def start(self) -> None:
        """Listen. Raises ConfigurationError when the address cannot be had, or a TLS file cannot be used."""
        section = self._section
        make_room(section.connections + OTHER_FILES)
        self.load()
        family = socket.AF_INET6 if ":" in section.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((section.host, section.port))
        except OSError as error:
            listener.close()
            raise ConfigurationError(
                f"cannot listen on {section.host}:{section.port}: {error.strerror}; "
                "set another [http] port or end the program that has it"
            ) from error
        server, config, loop = self._server, self._server.config, asyncio.get_running_loop()
        server.lifespan = config.lifespan_class(config)
        self._listener = listener.dup()
        server.servers, server.started = [await self._serve(listener)], True
        # not `serve()`: that would take SIGTERM for itself and stop without the daemon's drain
        self._tasks = [loop.create_task(server.main_loop()), loop.create_task(self.connections.watch())]

    async def _serve(self, listener: socket.socket) -> asyncio.Server:
        server, config, section = self._server, self._server.config, self._section
        # not uvicorn's own `startup`: it knows neither our protocol nor a deadline for TLS handshakes
        return await asyncio.get_running_loop().create_server(
            lambda: Connection(config, server.server_state, {}, self.connections),
            sock=listener,
            ssl=config.ssl,
            ssl_handshake_timeout=section.header_timeout_s if config.ssl else None,
            backlog=config.backlog,
        )

    async def renew(self, section: HttpSection, context: ssl.SSLContext | None) -> None:
        """Go on with other settings. Connections that are there keep what they began with; new ones, those in the
        kernel's queue too, have the new certificate. Nobody is refused meanwhile: the socket listens throughout.
        """
        make_room(section.connections + OTHER_FILES)
        self._section = section
        self.connections.limits = section
        config = self._server.config
        config.ssl, config.timeout_keep_alive = context, section.keep_alive_s
        if self._listener is None:
            return
        # Two servers on one socket for a moment. A context changed in place would keep the tickets of old sessions, and
        # authorities it trusts cannot be taken out of it.
        after = await self._serve(self._listener.dup())
        before, self._server.servers = self._server.servers, [after]
        for one in before:
            await _closed(one)

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py)."""
        return "; ".join(filter(None, (ended(task, "a task of the HTTP server") for task in self._tasks)))

    async def stop(self) -> None:
        """Close idle connections at once, busy ones when they are answered (2 s at most)."""
        self._server.should_exit = True
        if self._listener is not None:
            self._listener.close()
        if self._tasks:
            main, watch = self._tasks
            await main
            await self._server.shutdown()
            watch.cancel()


async def _closed(server: asyncio.Server) -> None:
    """Accept no more by this server; what it has accepted goes on.

    asyncio makes a connection of an accepted socket a turn later, and cannot when its server is closed by then: the
    client would wait for ever. So it stops accepting first. (uvloop does both at once, and has no reader there.)
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    for _ in range(3):
        await asyncio.sleep(0)
    server.close()


def context_of(section: HttpSection) -> ssl.SSLContext | None:
    """The TLS side of an endpoint; None: plain HTTP. Raises ConfigurationError for a file that cannot be used."""
    if section.certificate is None or section.key is None:
        return None
    return server_context(
        section.certificate, section.key, section.client_ca, demand=section.client_certificates == "required"
    )


def make_room(files: int) -> None:
    """Raise the soft limit of open files, as far as the hard one allows; says so in the log if that is too little."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < files:
        log.warning("few-open-files", allowed=most, wanted=files, next="raise LimitNOFILE or lower [http] connections")
