"""A marketing system behind an intermediate database: a thread that works off what is handed over in a table.

PostgreSQL and MariaDB are reached through a `Cable`, which is cut or goes dead. An SQLite file has no server: it is
locked, or is not there; a connection to it cannot be lost.
"""

import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, RLock, Thread
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, NullPool, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from intranet_bridge.contract import (
    ACCOUNT,
    ACCOUNTS,
    COMMAND,
    DETAIL,
    OTHER,
    QUERY,
    REFUSED,
    Behaviour,
    Impossible,
    Peer,
    owed,
    registered,
)
from tests.support.mariadb import MariaDb
from tests.support.peers.books import Books
from tests.support.peers.cable import Cable
from tests.support.peers.http import APPLYING
from tests.support.postgres import Postgres

TABLES = (
    "CREATE TABLE mk_owed (asked VARCHAR(32) PRIMARY KEY, code VARCHAR(8), msg VARCHAR(300), acct VARCHAR(32),"
    " total BIGINT, bills TEXT)",
    "CREATE TABLE mk_request (id VARCHAR(64) PRIMARY KEY, acct VARCHAR(32), name VARCHAR(60), tel VARCHAR(32),"
    " content VARCHAR(600), done SMALLINT DEFAULT 0 NOT NULL, taken SMALLINT DEFAULT 0 NOT NULL, code VARCHAR(8),"
    " msg VARCHAR(300), named VARCHAR(64), answer TEXT)",
)
_PAUSE_S = 0.01
_CODES = {Behaviour.REFUSE: "44", Behaviour.BUSY: "77", Behaviour.FAIL: "99"}
_NO: dict[str, Any] = {
    "refusal": {
        "when": "rows[0].code == '44'",
        "code": "rows[0].code",
        "detail": "rows[0].msg",
        "codes": {"44": REFUSED},
    },
    "not_applied": "rows[0].code == '77'",
    "failure": "rows[0].code == '99'",
}
BINDINGS: dict[str, dict[str, Any]] = {
    QUERY.name: {
        **_NO,
        "parameters": "{account: account}",
        "statement": "SELECT code, msg, acct, total, bills FROM mk_owed WHERE asked = :account",
        "json_columns": ["bills"],
        "response": "rows[0].{account: acct, total: total, unpaid: bills}",
    },
    COMMAND.name: {
        **_NO,
        "parameters": "{id: request_id, acct: account, name: contact_name, tel: contact_phone, content: content}",
        "insert": "INSERT INTO mk_request (id, acct, name, tel, content) VALUES (:id, :acct, :name, :tel, :content)",
        "poll": "SELECT named, done, code, msg, answer FROM mk_request WHERE id = :id",
        "done": "rows[0].done == `1`",
        "poll_s": 0.05,
        "json_columns": ["answer"],
        "request_id": "rows[0].named",
        "response": "rows[0].answer.{work_order: no, accepted_at: at}",
        "inquire": {"not_found": "length(rows) == `0`"},
    },
}


class SqlPeer(Peer):
    """See `Peer`. Its own connections are not the adapter's."""

    bindings = BINDINGS

    def __init__(self, engine: Engine) -> None:
        self.books, self.engine = Books(), engine
        self.lock = RLock()
        self._over = Event()
        self.away = False
        with engine.begin() as connection:
            for table in TABLES:
                connection.execute(text(f"DROP TABLE IF EXISTS {table.split()[2]}"))
                connection.execute(text(table))
            self._fill(connection)
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def behave(self, behaviour: Behaviour) -> None:
        with self.lock:
            self.books.behave(behaviour)
            with self.engine.begin() as connection:
                self._fill(connection)
                if behaviour in APPLYING:
                    for (id,) in connection.execute(text("SELECT id FROM mk_request WHERE taken = 1")).fetchall():
                        self._answer(connection, id, behaviour)

    def applied(self, request_id: str) -> int:
        return self.books.applied(request_id)

    def received(self) -> int:
        return self.books.received()

    def saved(self) -> bytes:
        found = owed(ACCOUNT)
        row = {"code": "0", "msg": None, "acct": ACCOUNT, "total": found["total"], "bills": found["unpaid"]}
        return json.dumps([row]).encode()

    def end(self) -> None:
        self.books.changed.set()
        self._over.set()
        self._thread.join()
        self.engine.dispose()

    def _fill(self, connection: Connection) -> None:
        behaviour = self.books.behaviour
        connection.execute(text("DELETE FROM mk_owed"))
        rows = []
        for account in ACCOUNTS:
            found = owed(OTHER if behaviour is Behaviour.ANOTHER else account)
            bills, code = json.dumps(found["unpaid"]), _CODES.get(behaviour, "0")
            rows.append(
                {
                    "asked": account,
                    "code": code,
                    "msg": DETAIL if code == "44" else None,
                    "acct": found["account"] if code == "0" else None,
                    "total": found["total"],
                    "bills": bills[:-5] if behaviour is Behaviour.GARBAGE else bills,
                }
            )
        names = "asked, code, msg, acct, total, bills"
        values = ", ".join(f":{name}" for name in names.split(", "))
        connection.execute(text(f"INSERT INTO mk_owed ({names}) VALUES ({values})"), rows)

    def _work(self) -> None:
        while not self._over.wait(_PAUSE_S):
            with self.lock:
                if self.away or self.books.behaviour in (Behaviour.SILENT, Behaviour.DROP):
                    continue
                try:
                    with self.engine.begin() as connection:
                        waiting = text("SELECT id FROM mk_request WHERE taken = 0")
                        for (id,) in connection.execute(waiting).fetchall():
                            self._take(connection, id)
                except DBAPIError:
                    continue  # a deadlock with who hands over

    def _take(self, connection: Connection, id: str) -> None:
        behaviour = self.books.behaviour
        code = _CODES.get(behaviour)
        if code is None:
            self.books.apply(id)
            self._answer(connection, id, behaviour)
            return
        done = "UPDATE mk_request SET taken = 1, done = 1, code = :code, msg = :msg WHERE id = :id"
        connection.execute(text(done), {"code": code, "msg": DETAIL if code == "44" else None, "id": id})

    def _answer(self, connection: Connection, id: str, behaviour: Behaviour) -> None:
        order = registered(id)
        answer = json.dumps({"no": order["work_order"], "at": order["accepted_at"]})
        connection.execute(
            text(
                "UPDATE mk_request SET taken = 1, done = :done, code = '0', named = :named, answer = :answer"
                " WHERE id = :id"
            ),
            {
                "id": id,
                "done": 0 if behaviour is Behaviour.SILENT_APPLIED else 1,
                "named": OTHER if behaviour is Behaviour.ANOTHER else id,
                "answer": answer[:-5] if behaviour is Behaviour.GARBAGE else answer,
            },
        )


class ServedPeer(SqlPeer):
    """A database with a server."""

    def __init__(self, folder: Path, engine: Engine, url: str, address: Path, password: str) -> None:
        """`url`: as the adapter's, with `PORT`. `address`: the server's Unix socket."""
        super().__init__(engine)
        file = folder / "peer.password"
        file.touch(mode=0o600)
        file.write_text(f"{password}\n")
        self.secrets = (password,)

        def upstream() -> socket.socket:
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(address))
            return server

        self._cable = Cable(self.books, upstream, b"mk_")
        self._cable.start()
        self.system = {
            "adapter": "sql",
            "url": url.replace("PORT", str(self._cable.port)),
            "password_file": str(file),
        }

    def start(self) -> None:
        self._cable.start()

    def stop(self) -> None:
        self._cable.stop()

    def end(self) -> None:
        self._cable.stop()
        super().end()


class SqlitePeer(SqlPeer):
    """A file. What came to it is counted by what was handed over: nobody sees reads."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "peer.sqlite3"
        sqlite3.connect(self._file).close()
        self._locked: sqlite3.Connection | None = None
        super().__init__(create_engine("sqlite://", creator=self._connect, poolclass=NullPool))
        self.system = {"adapter": "sql", "file": str(self._file), "timeout_s": 3.0}

    def _connect(self, **options: Any) -> sqlite3.Connection:
        place = f"file:{self._file}?mode=rw"
        found: sqlite3.Connection = sqlite3.connect(place, uri=True, timeout=30, check_same_thread=False, **options)
        found.execute("PRAGMA synchronous = OFF")
        return found

    def behave(self, behaviour: Behaviour) -> None:
        if behaviour in (Behaviour.DROP, Behaviour.DROP_APPLIED):
            raise Impossible("a connection to a file cannot be lost")
        with self.lock:
            self._unlock()
            super().behave(behaviour)
            if behaviour is Behaviour.SILENT:
                self._lock_out()

    def received(self) -> int:
        with self.lock, self.engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM mk_request")).scalar_one())

    def stop(self) -> None:
        with self.lock:
            self.away = True
            self._lock_out()
            self._file.rename(self._file.with_suffix(".away"))

    def start(self) -> None:
        with self.lock:
            self._file.with_suffix(".away").rename(self._file)
            self._unlock()
            self.away = False

    def end(self) -> None:
        super().end()
        self._unlock()

    def _lock_out(self) -> None:
        self._locked = self._connect(isolation_level=None)
        self._locked.execute("BEGIN EXCLUSIVE")

    def _unlock(self) -> None:
        if self._locked is not None:
            self._locked.close()
            self._locked = None


@contextmanager
def _ended(peer: SqlPeer) -> Iterator[Peer]:
    try:
        yield peer
    finally:
        peer.end()


@contextmanager
def sqlite_peer(folder: Path, _request: pytest.FixtureRequest) -> Iterator[Peer]:
    """A file."""
    with _ended(SqlitePeer(folder)) as peer:
        yield peer


@contextmanager
def postgres_peer(folder: Path, request: pytest.FixtureRequest) -> Iterator[Peer]:
    """PostgreSQL: the session's server."""
    server: Postgres = request.getfixturevalue("postgres")
    direct = make_url(server.database("peer"))
    password = Path(str(direct.query["passfile"])).read_text().strip().rpartition(":")[2]
    address = server.folder / ".s.PGSQL.5432"
    url = f"postgresql+psycopg://{direct.username}@127.0.0.1:PORT/{direct.database}"
    with _ended(ServedPeer(folder, create_engine(direct), url, address, password)) as peer:
        yield peer


@contextmanager
def mariadb_peer(folder: Path, request: pytest.FixtureRequest) -> Iterator[Peer]:
    """MariaDB: the session's server."""
    server: MariaDb = request.getfixturevalue("mariadb")
    account = server.database("peer")
    engine = create_engine("mysql+pymysql://", creator=lambda: server.connect(account))
    url = f"mariadb+pymysql://{account.name}@127.0.0.1:PORT/{account.name}"
    with _ended(ServedPeer(folder, engine, url, server.socket, account.password)) as peer:
        yield peer
