"""Databases of the session's PostgreSQL that one test after the other has, instead of a new one each: to copy a
database, to make its two hundred tables and to remove them takes the server half a second.

What a test was lent goes back under another name and another role's name, its connections ended: whoever of that test
is still there finds it no more. What it wrote is truncated, tables of its own are dropped. The tables that migrations
made wait in a schema beside `public`, which is empty again; who migrates the database next is given them as they are
(schemas.py). Where the definition of anything is not what the migrations left, all of it is dropped.
"""

import json
from itertools import count
from typing import Any

import psycopg
from sqlalchemy import Connection

from scripts.tools.testbed.postgres import Postgres

_STAMP = """
SELECT json_build_object('newest', (SELECT max(oid::bigint) FROM pg_class WHERE relnamespace = 'public'::regnamespace),
  'defined', md5(string_agg(one, ',' ORDER BY one))) FROM (
  WITH own AS (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
  SELECT concat_ws(' ', 'relation', oid, relname, relkind, greatest(reltuples, 0), relchecks, relhastriggers)
    FROM pg_class WHERE oid IN (TABLE own)
  UNION ALL SELECT concat_ws(' ', 'column', attrelid, attnum, xmin) FROM pg_attribute WHERE attrelid IN (TABLE own)
  UNION ALL SELECT concat_ws(' ', 'default', oid, xmin) FROM pg_attrdef WHERE adrelid IN (TABLE own)
  UNION ALL SELECT concat_ws(' ', 'constraint', oid, xmin) FROM pg_constraint WHERE conrelid IN (TABLE own)
  UNION ALL SELECT concat_ws(' ', 'index', indexrelid, indisvalid) FROM pg_index WHERE indrelid IN (TABLE own)
  UNION ALL SELECT concat_ws(' ', 'trigger', oid, xmin) FROM pg_trigger WHERE tgrelid IN (TABLE own)
  UNION ALL SELECT concat_ws(' ', 'function', oid, xmin) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
) AS found(one)
"""
"""What is defined in `public`: of what the system's tables hold, the transaction that wrote it last."""
_SETTINGS = """
SELECT count(*) FROM pg_db_role_setting, pg_database
WHERE datname = current_database() AND (setdatabase = pg_database.oid OR setrole = datdba)
"""
"""Of this database and the role that owns it: another test's say nothing of it."""
_numbers = count(1)
_rows: dict[str, dict[str, str]] = {}
"""Side → table → the rows that its migrations leave there, as JSON."""


class Reused:
    """The databases of one server."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._free: list[str] = []

    def lent(self) -> str:
        """The URL of an empty database, as `Postgres.database` gives it."""
        return self._free.pop() if self._free else self._server.database()

    def given_back(self, url: str) -> None:
        """End what is connected to it, and clean it for the next."""
        name, new = url.partition("@/")[2].partition("?")[0], f"again_{next(_numbers)}"
        try:
            self._server.execute(
                "postgres",
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
                f"ALTER DATABASE {name} RENAME TO {new}",
                f"ALTER ROLE {name} RENAME TO {new}",
            )
        except psycopg.errors.ObjectInUse:  # somebody connects again and again: it is nobody else's
            return
        passfile = self._server.folder / f"{name}.pass"
        again = passfile.with_stem(new)
        again.touch(mode=0o600)
        again.write_text(passfile.read_text().replace(f":{name}:{name}:", f":{new}:{new}:"))
        url = url.replace(f"//{name}@/{name}?", f"//{new}@/{new}?").replace(f"{name}.pass", f"{new}.pass")
        with self._server.connect(url) as connection, connection.transaction():
            cleaned(connection)
        self._free.append(url)


def spare(side: str) -> str:
    """The schema in which the tables of a side wait."""
    return f"spare_{side}"


def given(connection: Connection, side: str) -> bool:
    """Whether the database had the side's tables waiting; they are in `public` now, which was empty."""
    found = "SELECT 1 FROM pg_namespace WHERE nspname = $1"
    if connection.exec_driver_sql(found, (spare(side),)).first() is None:
        return False
    connection.exec_driver_sql("DROP SCHEMA public")
    connection.exec_driver_sql(f"ALTER SCHEMA {spare(side)} RENAME TO public")
    return True


def made(connection: Connection, side: str) -> None:
    """Migrations have just made them in `public`: remember what is there, for the day they are given back."""
    if side not in _rows:
        named = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        tables = connection.exec_driver_sql(named).scalars().all()
        kept = {one: connection.exec_driver_sql(f"SELECT json_agg({one})::text FROM {one}").scalar() for one in tables}
        _rows[side] = {table: str(rows) for table, rows in kept.items() if rows is not None}
    stamp = connection.exec_driver_sql(_STAMP).scalar_one()
    text = json.dumps({"side": side, **stamp})
    connection.exec_driver_sql(f"COMMENT ON SCHEMA public IS '{text}'")


def cleaned(connection: "psycopg.Connection[tuple[Any, ...]]") -> None:
    """As its administrator: `public` is empty, and what migrations made there waits without a row of a test's."""
    told = connection.execute("SELECT obj_description('public'::regnamespace)").fetchone()
    side = _left(connection, json.loads(told[0])) if told and told[0] and told[0].startswith("{") else None
    if side is not None:
        connection.execute(f"ALTER SCHEMA public RENAME TO {spare(side)}".encode())
    else:
        connection.execute("DROP SCHEMA public CASCADE")
    connection.execute("CREATE SCHEMA public AUTHORIZATION pg_database_owner")
    connection.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")


def _left(connection: "psycopg.Connection[tuple[Any, ...]]", stamp: dict[str, Any]) -> str | None:
    """The side whose tables are in `public` as its migrations left them; None: they are not, or it was a process that a
    test forked which made them, and only that knew their rows.
    """
    if stamp["side"] not in _rows:
        return None
    connection.execute("SET LOCAL session_replication_role = replica")  # a ledger's triggers let nobody truncate
    connection.execute("SET LOCAL client_min_messages = warning")
    # a table that nothing was ever written to has no page
    of_test = (
        "SELECT relname, oid::bigint > %s FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        " AND (oid::bigint > %s OR pg_relation_size(oid) > 0)"
    )
    found = connection.execute(of_test, (stamp["newest"], stamp["newest"])).fetchall()
    if own := [name for name, new in found if new]:
        connection.execute(f"DROP TABLE {', '.join(own)} CASCADE".encode())
    side: str = stamp.pop("side")
    settings = connection.execute(_SETTINGS).fetchone()
    now = connection.execute(_STAMP.encode()).fetchone()
    if settings != (0,) or now is None or now[0] != stamp:
        return None
    if written := [name for name, new in found if not new]:
        connection.execute(f"TRUNCATE {', '.join(written)} RESTART IDENTITY CASCADE".encode())
    for table, rows in _rows[side].items():
        put = f"INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, %s::json)"
        connection.execute(put.encode(), (rows,))
    return side
