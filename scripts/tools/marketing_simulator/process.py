"""The running process: composition, listening on loopback, the ready line, shutdown on SIGTERM."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import stat
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from aiohttp import web
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from scripts.tools.marketing_simulator import business, database
from scripts.tools.marketing_simulator.clock import Clock
from scripts.tools.marketing_simulator.control import ControlInterfaces
from scripts.tools.marketing_simulator.effects import EffectWriter
from scripts.tools.marketing_simulator.faces.gbk import GbkFace
from scripts.tools.marketing_simulator.faces.soap import SoapFace
from scripts.tools.marketing_simulator.faces.sql.exports import Exports
from scripts.tools.marketing_simulator.faces.sql.face import SqlFace
from scripts.tools.marketing_simulator.faces.sql.store import Store, StoreError
from scripts.tools.marketing_simulator.faults import FaultInjector
from scripts.tools.marketing_simulator.files import Files
from scripts.tools.marketing_simulator.pushing.control import PushControl
from scripts.tools.marketing_simulator.pushing.plan import PushPlan
from scripts.tools.marketing_simulator.pushing.record import PushRecord
from scripts.tools.marketing_simulator.pushing.sender import Pusher
from scripts.tools.marketing_simulator.server import LARGEST_BODY_BYTES, MarketingInterfaces

LOOPBACK = "127.0.0.1"
BACKLOG = 1024
SECONDS_TO_FINISH = 5.0  # for requests in progress at shutdown


class StartError(Exception):
    """The simulator cannot start; the message says why."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How one simulator runs; `None` for customers and seed: what the database has, else the default."""

    port: int
    database: Path
    token_file: Path
    port_file: Path | None = None
    customers: int | None = None
    seed: int | None = None
    today: date | None = None
    node_seconds: float = 20.0
    idempotent: bool = False
    session_seconds: float = 600.0
    sql: URL | None = None
    """Where the interface tables are kept up, if anywhere."""
    pushes: PushPlan | None = None
    """Where pushes go from the start on, if none were made before."""

    @property
    def push_file(self) -> Path:
        """The journal of pushes."""
        return self.database.with_name(f"{self.database.name}.pushes")


def read_or_create_token(path: Path) -> str:
    """The access token in a file; a missing file is created with a random token, readable only by its owner."""
    with contextlib.suppress(FileExistsError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
    token = path.read_text().strip()
    if not token:
        raise StartError(f"the token file {path} is empty")
    return token


def bind(port: int, host: str = LOOPBACK) -> socket.socket:
    """A bound IPv4 socket that does not listen yet; port 0 lets the system choose."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


def write_atomically(path: Path, text: str) -> None:
    """Readers see the whole file or none."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    unfinished.write_text(text)
    unfinished.replace(path)


def interface_tables(url: str, password_file: Path | None) -> URL:
    """Where the interface tables are. Raises StartError."""
    try:
        where = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StartError(
            "--sql-url is no database URL, as sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME"
        ) from error
    if where.password is not None:
        raise StartError("a password is not given in --sql-url: --sql-password-file")
    return where if password_file is None else where.set(password=password_file.read_text().strip())


async def serve(settings: Settings, listener: socket.socket, token: str) -> None:
    """Run until SIGTERM or SIGINT."""
    clock = Clock(settings.today)
    faults = FaultInjector()
    reading = database.connect_for_reading(settings.database)
    effects = EffectWriter(database.connect(settings.database), clock)
    files = Files(reading, effects, clock)
    interfaces = MarketingInterfaces(token, faults)
    offered = business.offered(
        reading, effects, clock, node_seconds=settings.node_seconds, idempotent=settings.idempotent
    )
    sql = None
    if settings.sql is not None:
        exports = Exports(offered, reading, clock, settings.node_seconds)
        sql = SqlFace(Store(settings.sql), exports, interfaces, offered, reading, clock)
        effects.listener = sql.applied
    customers = int(database.origin(reading)["customers"])
    pusher = Pusher(PushRecord(settings.push_file), reading, clock, customers)
    gbk = GbkFace(interfaces, files, token, settings.session_seconds)
    application = web.Application(client_max_size=LARGEST_BODY_BYTES)
    application.add_routes(
        [
            web.post(files.path, interfaces.upload(files.path, files.upload)),
            *(interfaces.route(one) for one in offered),
            *gbk.routes(offered),
            *SoapFace(interfaces, token).routes(offered),
            *ControlInterfaces(settings.database, faults, clock).routes(),
            *PushControl(settings.push_file, pusher).routes(),
        ]
    )
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=SECONDS_TO_FINISH)
    await runner.setup()
    polling = None
    try:
        ending = _ending_signal()
        if sql is not None:
            await sql.prepare()
            polling = asyncio.create_task(sql.run())
        await web.SockSite(runner, listener, backlog=BACKLOG).start()
        await pusher.start(settings.pushes)
        host, port = listener.getsockname()
        if settings.port_file is not None:
            write_atomically(settings.port_file, f"{port}\n")
        print(
            f"marketing simulator ready on http://{host}:{port} (token in {settings.token_file})",
            flush=True,
        )
        await ending.wait()
    except StoreError as error:
        raise StartError(f"the interface tables cannot be kept up: {error}") from error
    except SQLAlchemyError as error:
        raise StartError(f"the interface tables cannot be made: {str(error).splitlines()[0]}") from error
    finally:
        if polling is not None:
            polling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await polling
        if sql is not None:
            sql.close()
        interfaces.close()
        await runner.cleanup()
        await pusher.close()
        await effects.close()
        reading.close()


def _ending_signal() -> asyncio.Event:
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    return ending
