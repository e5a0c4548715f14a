"""A private PostgreSQL server, for tests and measurements: a data directory of its own, a Unix socket and no port, an
unprivileged user.

`./scripts/test` installs Debian's package without letting it start a cluster of the system's own. Each database has
a role with a password (SCRAM), and the password is in a libpq password file, as an operator would keep it: the URLs
name that file, never the password.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

SETTINGS = """
listen_addresses = ''
unix_socket_permissions = 0777
password_encryption = 'scram-sha-256'
synchronous_commit = on
shared_buffers = 32MB
max_connections = 60
log_min_messages = warning
log_lock_waits = on
"""


class Unavailable(Exception):
    """No PostgreSQL server can be had here; says why."""


def _binaries() -> Path:
    """The newest installed server's folder: Debian keeps it off PATH. Raises Unavailable."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).parent] if on_path else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    for folder in reversed(found):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise Unavailable("no PostgreSQL server is installed; ./scripts/test installs Debian's package `postgresql`")


def _unprivileged() -> tuple[int, int] | None:
    """Whom the server runs as: PostgreSQL refuses to run as root. None: as ourselves."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return user.pw_uid, user.pw_gid
    raise Unavailable("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`")


@dataclass
class Postgres:
    """One private server. `start` and `stop` at will: data, socket and passwords stay the same."""

    folder: Path
    binaries: Path
    user: tuple[int, int] | None
    durable: bool = True
    """With fsync. Without it a test of what statements do is quicker, and a crash of the machine would lose them."""
    pid: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _admin_password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    _number: Iterator[int] = field(default_factory=lambda: count(1), repr=False)

    @property
    def log(self) -> Path:
        """What the server said."""
        return self.folder / "server.log"

    def create(self) -> None:
        """Make the data directory."""
        password = self.folder / "admin.password"
        password.touch(mode=0o600)
        password.write_text(self._admin_password + "\n")
        if self.user is not None:
            os.chown(self.folder, *self.user)
            os.chown(password, *self.user)
        self.folder.chmod(0o711)  # the socket is in it, for clients of other users
        self._run(
            "initdb", "-D", self.folder / "data", "-U", "admin", "--pwfile", password, "-A", "scram-sha-256",
            "-E", "UTF8", "--locale=C", "--no-instructions",
        )  # fmt: skip
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            # of hundreds of databases that live for a moment, the looks for what to vacuum cost more than the tests
            file.write(f"{SETTINGS}fsync = {self.durable}\nautovacuum = {self.durable}\n")
            file.write(f"unix_socket_directories = '{self.folder}'\n")

    def start(self) -> None:
        """Start, and return when it answers. Raises Unavailable with its log."""
        end = time.monotonic() + 60
        while True:
            if self._process is None or self._process.poll() is not None:
                # also again: after a crash the old sessions hold the shared memory for a moment
                self._launch()
            try:
                self._connect("postgres").close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > end:
                    raise Unavailable(f"the server does not start: {error}\n{self.log.read_text()[-2000:]}") from error
                time.sleep(0.05)

    def _launch(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.folder / "data"], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True, cwd="/", **self._as_user(),
            )  # fmt: skip
        self.pid = self._process.pid

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop: SIGINT ends every session at once and shuts down in order; SIGKILL is a crash."""
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)  # ends the server's own children too, unlike SIGKILL
            self._process.wait(30)
        self._process = None

    def database(self, name: str = "side") -> str:
        """A new empty database with a role of its own; the SQLAlchemy URL by which the role reaches it."""
        name = f"{name}_{next(self._number)}"
        password = secrets.token_urlsafe(24)
        with self._connect("postgres") as connection:
            connection.autocommit = True
            connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
            connection.execute(f"CREATE DATABASE {name} OWNER {name}")
        passfile = self.folder / f"{name}.pass"
        patience = "" if self.durable else "&connect_timeout=60"  # a busy machine is no lost server
        passfile.touch(mode=0o600)
        passfile.write_text(f"*:*:{name}:{name}:{password}\n")
        return f"postgresql+psycopg://{name}@/{name}?host={quote(str(self.folder))}{patience}&passfile={quote(str(passfile))}"

    def query(self, url: str, statement: str, *parameters: object) -> Sequence[tuple[Any, ...]]:
        """The rows of a statement in the database of a URL made by `database`."""
        with self.connect(url) as connection:
            return connection.execute(statement.encode(), parameters).fetchall()

    def connect(self, url: str) -> "psycopg.Connection[tuple[Any, ...]]":
        """The administrator's connection to the database of a URL made by `database`; each statement is committed."""
        connection = self._connect(url.partition("@/")[2].partition("?")[0])
        connection.autocommit = True
        return connection

    def execute(self, name: str, *statements: str) -> None:
        """Statements in a database, as its administrator."""
        with self._connect(name) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def _connect(self, database: str) -> "psycopg.Connection[tuple[Any, ...]]":
        return psycopg.connect(host=str(self.folder), user="admin", password=self._admin_password, dbname=database)

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self.binaries / program, *arguments], capture_output=True, text=True, check=False, cwd="/",
            **self._as_user(),
        )  # fmt: skip
        if done.returncode:
            raise Unavailable(f"{program} failed: {(done.stderr or done.stdout)[-2000:]}")

    def _as_user(self) -> dict[str, Any]:
        return {} if self.user is None else {"user": self.user[0], "group": self.user[1], "extra_groups": []}


@contextmanager
def postgres_server(
    *, durable: bool = True, scratch: Callable[[], Path] = lambda: Path(tempfile.mkdtemp(prefix="dmz-pg-"))
) -> Iterator[Postgres]:
    """A running server; stopped and removed at the end. Raises Unavailable.

    `scratch` makes its folder: with a short path, for sockets, and which other users may be let into.
    """
    binaries, user = _binaries(), _unprivileged()
    folder = scratch()
    server = Postgres(folder, binaries, user, durable)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop(signal.SIGQUIT)  # at once: nothing of it is kept
        shutil.rmtree(folder, ignore_errors=True)
