"""Real databases with an interface's tables, and SQL adapters on them."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, make_url

from intranet_bridge.marketing import MarketingRequest, always
from intranet_bridge.marketing.sql.adapter import SqlAdapter
from intranet_bridge.marketing.sql.binding import SqlBinding, SqlSystem
from intranet_bridge.marketing.sql.kind import OpenSqlSystem
from protocol.operations import CATALOGUE, Operation
from tests.support.mariadb import MariaDb
from tests.support.postgres import Postgres

ARREARS, ORDER = CATALOGUE["arrears-query"], CATALOGUE["work-order"]
TABLES = (
    "CREATE TABLE owed (acct VARCHAR(32) PRIMARY KEY, total BIGINT)",
    "CREATE TABLE bill (acct VARCHAR(32), ym VARCHAR(6), amount BIGINT, penalty BIGINT)",
    "CREATE TABLE req (id VARCHAR(64) PRIMARY KEY, acct VARCHAR(20) NOT NULL, content VARCHAR(40),"
    " done SMALLINT DEFAULT 0 NOT NULL, code VARCHAR(8), msg VARCHAR(200), no VARCHAR(20), at VARCHAR(19))",
    "INSERT INTO owed VALUES ('3210000000001', 345)",
    "INSERT INTO bill VALUES ('3210000000001', '202512', 300, 40)",
    "INSERT INTO bill VALUES ('3210000000001', '202511', 5, 0)",
)
QUERY: dict[str, Any] = {
    "parameters": "{account: account}",
    "statements": {
        "owed": "SELECT acct, total FROM owed WHERE acct = :account",
        "bills": "SELECT ym, amount, penalty FROM bill WHERE acct = :account ORDER BY ym",
    },
    "response": "{account: owed[0].acct, total: owed[0].total,"
    " unpaid: bills[*].{month: month(ym), amount: amount, penalty: penalty}}",
}
COMMAND: dict[str, Any] = {
    "parameters": "{id: request_id, acct: account, content: content}",
    "insert": "INSERT INTO req (id, acct, content) VALUES (:id, :acct, :content)",
    "poll": "SELECT id, done, code, msg, no, at FROM req WHERE id = :id",
    "done": "rows[0].done == `1`",
    "poll_s": 0.02,
    "request_id": "rows[0].id",
    "response": "rows[0].{work_order: no, accepted_at: at}",
    "refusal": {
        "when": "rows[0].code == '44'",
        "code": "rows[0].code",
        "detail": "rows[0].msg",
        "codes": {"44": "no-such-account"},
    },
    "not_applied": "rows[0].code == '77'",
    "failure": "rows[0].code == '99'",
    "inquire": {"not_found": "length(rows) == `0`"},
}


@dataclass
class World:
    """One database."""

    kind: str
    settings: dict[str, Any]
    """Of the system: an account that may read and write the tables."""
    engine: Engine
    """Who owns it."""
    opened: list[OpenSqlSystem]

    def do(self, *statements: str) -> None:
        """As its owner."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """As its owner."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]

    async def handed_over(self) -> list[tuple[Any, ...]]:
        """The account and content of each request, once there is one."""
        while not (rows := self.rows("SELECT acct, content FROM req")):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
        return rows

    def system(self, **changes: Any) -> OpenSqlSystem:
        """Opened; closed at the end of the test."""
        system = OpenSqlSystem("test", SqlSystem.model_validate({"adapter": "sql"} | self.settings | changes))
        self.opened.append(system)
        return system

    def adapter(self, of: Operation = ARREARS, system: OpenSqlSystem | None = None, **changes: Any) -> SqlAdapter:
        """Of the operation, its binding changed; on a system of its own if none is given."""
        table = (QUERY if of is ARREARS else COMMAND) | changes
        return (system or self.system()).adapter(of, SqlBinding.model_validate(table))


def asked(
    of: Operation = ARREARS, id: str = "01a2-req", may_send: Callable[[], bool] = always, **body: Any
) -> MarketingRequest:
    """A request of it."""
    order = {"type": "fault-repair", "contact_name": "张三", "contact_phone": "13977215846"}
    order |= {"address": "云河市", "content": "停电'); DROP TABLE req; --"}
    values = {"account": "3210000000001"} | (order if of is ORDER else {}) | body
    return MarketingRequest(id, of.requests.validate_python(values), may_send=may_send)


def sqlite(folder: Path) -> tuple[dict[str, Any], Engine]:
    """A file: settings, and the engine of its owner."""
    file = folder / "interface.sqlite3"
    sqlite3.connect(file).close()
    return {"file": file}, create_engine(f"sqlite:///{file}")


def _password(folder: Path, password: str) -> Path:
    file = folder / "db.password"
    file.touch(mode=0o600)
    file.write_text(password + "\n")
    return file


def postgresql(server: Postgres) -> tuple[dict[str, Any], Engine]:
    """A database of a server."""
    url = server.database("interface")
    return {"url": url}, create_engine(url)


def mariadb(folder: Path, server: MariaDb) -> tuple[dict[str, Any], Engine]:
    """A database of a server."""
    account = server.database("interface")
    url = f"mariadb+pymysql://{account.name}@localhost/{account.name}?unix_socket={server.socket}"
    engine = create_engine(make_url(url).set(password=account.password))
    return {"url": url, "password_file": _password(folder, account.password)}, engine
