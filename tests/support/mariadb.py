"""A real MariaDB server for tests: its own data directory, a Unix socket and no port.

`./scripts/test` installs Debian's package without letting it start a service of the system's own.
"""

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pymysql
import pytest
from pymysql.cursors import Cursor

from tests.support.postgres import Unavailable
from tests.support.reaper import scratch

_SMALL = "--innodb-log-file-size=8M"
"""Its files are made and removed at each run."""


@dataclass(frozen=True)
class Account:
    """An empty database, and a user who may do anything in it and nothing elsewhere."""

    name: str
    """Of both."""
    password: str


class MariaDb:
    """One private server."""

    def __init__(self, folder: Path, programs: tuple[str, str]) -> None:
        self._folder = folder
        self._install, self._server = programs
        self.socket = folder / "socket"
        self._process: subprocess.Popen[bytes] | None = None
        self._number = count(1)
        self._scratch = f"--tmpdir={folder}"  # a server that starts takes away what others have in a common one

    def create(self) -> None:
        """Make the data directory. Raises Unavailable."""
        done = subprocess.run(
            [
                self._install, "--no-defaults", f"--datadir={self._folder / 'data'}", "--skip-test-db", self._scratch,
                "--auth-root-authentication-method=normal", _SMALL, *_user(),
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise Unavailable(f"mariadb-install-db failed: {(done.stderr or done.stdout)[-2000:]}")

    def start(self) -> None:
        """Start, and return when it answers. Raises Unavailable with its log."""
        log = self._folder / "server.log"
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [
                    self._server, "--no-defaults", f"--datadir={self._folder / 'data'}", f"--socket={self.socket}",
                    f"--pid-file={self._folder / 'pid'}", self._scratch, "--skip-networking", "--skip-log-bin",
                    "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M", _SMALL, *_user(),
                ],
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + 60
        while True:
            try:
                self.administrator().close()
                return
            except pymysql.err.OperationalError as error:
                if time.monotonic() > end or self._process.poll() is not None:
                    raise Unavailable(f"the server does not start: {error}\n{log.read_text()[-2000:]}") from error
                time.sleep(0.05)

    def stop(self) -> None:
        """Kill it: nothing of it is kept."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)

    def administrator(self) -> "pymysql.Connection[Cursor]":
        """A connection that may do anything, each statement a transaction of its own."""
        return pymysql.connect(unix_socket=str(self.socket), user="root", autocommit=True)

    def connect(self, account: Account) -> "pymysql.Connection[Cursor]":
        """A connection to a database."""
        return pymysql.connect(
            unix_socket=str(self.socket), user=account.name, password=account.password, database=account.name,
            charset="utf8mb4",
        )  # fmt: skip

    def database(self, name: str) -> Account:
        """A new one."""
        account = Account(f"{name}_{next(self._number)}", secrets.token_urlsafe(24))
        with self.administrator() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {account.name} CHARACTER SET utf8mb4")
            cursor.execute(f"CREATE USER {account.name}@localhost IDENTIFIED BY '{account.password}'")
            cursor.execute(f"GRANT ALL ON {account.name}.* TO {account.name}@localhost")
        return account


def _user() -> list[str]:
    """It runs as root only when told so."""
    return ["--user=root"] if os.getuid() == 0 else []


def _programs() -> tuple[str, str]:
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))
    found = shutil.which("mariadb-install-db", path=path), shutil.which("mariadbd", path=path)
    if found[0] is None or found[1] is None:
        raise Unavailable(
            "no MariaDB server is installed; ./scripts/test installs Debian's package `mariadb-server-core`"
        )
    return found[0], found[1]


@contextmanager
def mariadb_server() -> Iterator[MariaDb]:
    """A running server; stopped and removed at the end. Raises Unavailable."""
    programs = _programs()
    folder = scratch("dmz-my-")  # a socket's path must be short
    server = MariaDb(folder, programs)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    """The session's server; skips the test where there can be none."""
    try:
        with mariadb_server() as server:
            yield server
    except Unavailable as error:
        pytest.skip(str(error))
