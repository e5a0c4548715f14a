"""Bringing a database's schema to the revision its program needs: Alembic, without its command line.

Each daemon keeps its migrations beside its code, `<package>/migrations/NNNN_name.py`, one line of revisions
(`0001`, `0002`, …); `0001` is the first released schema, and its statements pass over what is there already, so
that a database made by that release, which kept no revision, is taken for what it is. How to add one stands in
`protocol/runtime/MIGRATIONS.md`.

The whole way up is one transaction, on both databases, and one instance at a time goes it: SQLite's writer lock,
an advisory lock in PostgreSQL. The second instance then finds nothing left to do.

Alembic is imported only where a schema is changed: it takes 0.15 s of a start, and mostly there is nothing to change.
"""

import zlib
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, column, inspect, select, table, text
from sqlalchemy.exc import SQLAlchemyError

from protocol.errors import ConfigurationError
from protocol.runtime.lease import only_one
from protocol.runtime.logs import logger
from protocol.runtime.store_engine import engine

log = logger(__name__)

HEAD = "head"
"""The newest revision there is."""
LOCK_WAIT_S = 10
"""How long a change waits for a table that others use; all who come after it wait behind it meanwhile."""
IDLE_S = 60
"""What may pass between two of its statements, on PostgreSQL: more than in service, for a busy host."""


class Step(StrEnum):
    """What is to be done about a database."""

    NOTHING = "nothing"
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"


@dataclass(frozen=True, slots=True)
class Migrations:
    """One database's line of revisions."""

    name: str
    """Its revision stands in the table `alembic_version_<name>`."""
    folder: Path
    """Holds NNNN_name.py."""
    program: str
    """The command that migrates, named to the operator."""

    def prepare(self, database: Engine, *, check: bool = False) -> None:
        """Bring the schema to the newest revision; with `check` only see that it is there.

        Raises ConfigurationError: see `migrate`; with `check` also for an older revision, naming the command.
        """
        with self._connected(database) as connection:
            before = self._revision(connection)
            if before == self.newest:
                return
            if check:
                self._way(before, self.newest)
                raise ConfigurationError(
                    f"the database is at {_named(before)} and this program needs revision {self.newest}; "
                    f'run `{self.program} --config FILE --migrate` (store.migrate is "check")'
                )
        self.migrate(database)

    def migrate(self, database: Engine, revision: str = HEAD) -> tuple[str | None, str]:
        """Go to a revision, down as well; returns the one that was there and the one that is there now.

        Raises ConfigurationError, and changes nothing, for a revision this program does not know: one asked for,
        or the database's own, which a newer program has made.
        """
        target = self.newest if revision == HEAD else revision
        with self._connected(database) as connection, connection.begin():
            _lock(connection, self.name)
            before = self._revision(connection)
            step = self._way(before, target)
            if step is not Step.NOTHING:
                self._run(connection, step, target)
                log.info("schema-migrated", database=self.name, found=before or "none", now=target)
        return before, target

    def command(self, url: str, file: Path | None, revision: str) -> str:
        """What `--migrate [REVISION]` does; returns the line that says what was done.

        Raises ConfigurationError, also when the program is running on the SQLite `file`.
        """
        with only_one(file, self.program) if file is not None else nullcontext():
            database = engine(url)
            try:
                before, now = self.migrate(database, revision)
            except SQLAlchemyError as error:
                raise ConfigurationError(f"the database cannot be migrated: {error.__cause__ or error}") from error
            finally:
                database.dispose()
        if before == now:
            return f"the database is at revision {now} already"
        return f"the database is at revision {now} now; before, at {_named(before)}"

    @property
    def newest(self) -> str:
        """The revision this program needs."""
        return self.revisions[-1]

    @property
    def revisions(self) -> tuple[str, ...]:
        """All revisions this program knows, the first one first: the numbers its files begin with."""
        return tuple(sorted(file.name[:4] for file in self.folder.glob("[0-9][0-9][0-9][0-9]_*.py")))

    def differences(self, database: Engine, metadata: MetaData) -> list[Any]:
        """What the database has otherwise than `metadata` says, as Alembic's operations; for tests."""
        from alembic.autogenerate import compare_metadata
        from alembic.runtime.migration import MigrationContext

        with database.connect() as connection:
            _idle(connection)
            context = MigrationContext.configure(connection, opts=self._options | {"compare_server_default": True})
            return list(compare_metadata(context, metadata))

    @property
    def _options(self) -> dict[str, Any]:
        return {"version_table": f"alembic_version_{self.name}"}

    def _revision(self, connection: Connection) -> str | None:
        versions = table(self._options["version_table"], column("version_num"))
        if not inspect(connection).has_table(versions.name):
            return None
        return connection.execute(select(versions.c.version_num)).scalar()

    def _way(self, before: str | None, target: str) -> Step:
        try:
            return way(self.revisions, before, target)
        except LookupError as error:
            raise ConfigurationError(f"the database {error} (nothing was changed)") from None

    def _run(self, connection: Connection, step: Step, target: str) -> None:
        from alembic.config import Config
        from alembic.runtime.environment import EnvironmentContext
        from alembic.script import ScriptDirectory

        scripts = ScriptDirectory(str(self.folder), version_locations=[str(self.folder)])

        def steps(heads: Any, _context: Any) -> Any:
            ways = scripts._upgrade_revs if step is Step.UPGRADE else scripts._downgrade_revs
            return ways(target, heads)

        with EnvironmentContext(Config(), scripts, fn=steps) as environment:
            environment.configure(connection=connection, **self._options)
            environment.run_migrations()

    @contextmanager
    def _connected(self, database: Engine) -> Iterator[Connection]:
        with database.connect() as connection:
            if database.dialect.name == "sqlite":
                # A table that is made anew (batch mode) is dropped in between: with foreign keys on, what refers
                # to it would go with it. Inside a transaction this pragma does nothing.
                connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
            try:
                yield connection
            finally:
                connection.invalidate()  # not back into the pool as it is


def way(revisions: Sequence[str], before: str | None, target: str) -> Step:
    """Which way a database goes from the revision it has (None: none) to `target`.

    Raises LookupError, with the end of a sentence about the database, where the program knows no way.
    """
    if target not in revisions:
        raise LookupError(f"cannot go to revision {target}: this program knows {revisions[0]} to {revisions[-1]}")
    if before is None:
        return Step.UPGRADE
    if before not in revisions:
        raise LookupError(
            f"is at revision {before}, and the newest this program knows is {revisions[-1]}: "
            f"a newer version has been here, so install that one again"
        )
    there, wanted = revisions.index(before), revisions.index(target)
    return Step.NOTHING if there == wanted else Step.UPGRADE if there < wanted else Step.DOWNGRADE


def _named(revision: str | None) -> str:
    return f"revision {revision}" if revision else "no revision"


def _lock(connection: Connection, name: str) -> None:
    """One instance at a time, until the transaction ends. SQLite has its writer's lock from BEGIN IMMEDIATE."""
    if connection.dialect.name == "postgresql":
        key = zlib.crc32(f"dmz-bridge schema {name}".encode())
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = 0"))  # another's migration takes what it takes
        _idle(connection)
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_WAIT_S}s'"))


def _idle(connection: Connection) -> None:
    """Alembic thinks between statements: on a busy machine for longer than a store's transaction may."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_S}s'"))


def add_argument(parser: ArgumentParser) -> None:
    """The daemons' `--migrate [REVISION]`."""
    parser.add_argument(
        "--migrate",
        nargs="?",
        const=HEAD,
        metavar="REVISION",
        help="bring the database to the newest schema (or to REVISION, before going back to an older program), exit",
    )
