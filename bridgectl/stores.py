"""The daemons' databases as the operator's commands use them: written in one transaction, or only read; and clear words
for what is wrong.
"""

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, inspect
from sqlalchemy.exc import SQLAlchemyError

from bridgectl.language import tr
from bridgectl.programs import PROGRAMS
from protocol.errors import BridgeError
from protocol.messages import Role
from protocol.runtime.settings import StoreSection
from protocol.runtime.store_engine import engine

T = TypeVar("T")
_READING_S = 2
"""How long a reader waits for SQLite while somebody recovers it: what is written makes it wait for nothing."""


def in_store(store: StoreSection, role: Role, table: str, work: Callable[[Connection], T]) -> T:
    """Do `work` in one transaction on a daemon's database.

    Raises BridgeError where there is no database, or one without `table`.
    """
    return _done(lambda: engine(store.address()), store, role, table, work)


def from_store(store: StoreSection, role: Role, table: str, work: Callable[[Connection], T]) -> T:
    """Do `work`, which only reads: no daemon's write waits for it. Raises as `in_store`."""
    return _done(lambda: reader(store), store, role, table, work)


def reader(store: StoreSection) -> Engine:
    """An engine for reading, each statement for itself. SQLite is opened read-only, and must be there: `store.engine`
    takes the writer's lock for each transaction, and makes a file that is not there.
    """
    if store.file is None:
        return engine(store.address()).execution_options(isolation_level="AUTOCOMMIT")
    return create_engine(
        f"sqlite:///file:{quote(str(store.file))}?mode=ro&uri=true",
        hide_parameters=True,
        connect_args={"timeout": _READING_S},
    )


def _done(
    opened: Callable[[], Engine], store: StoreSection, role: Role, table: str, work: Callable[[Connection], T]
) -> T:
    missing = BridgeError(
        tr(
            "the {role} has no database yet, or one of an older release: start it, or run `{programs} "
            "--config FILE --migrate`",
            role=role,
            programs=PROGRAMS[role],
        )
    )
    # Opening would make the file, and make it whoever's who runs this.
    if store.file is not None and not store.file.exists():
        raise missing
    if store.file is not None and not store.file.is_file():
        raise BridgeError(tr("the {role}'s database cannot be used: {file} is not a file", role=role, file=store.file))
    database = opened()
    try:
        with database.begin() as connection:
            if not inspect(connection).has_table(table):
                raise missing
            return work(connection)
    except SQLAlchemyError as error:
        raise BridgeError(
            tr("the {role}'s database cannot be used: {cause}", role=role, cause=error.__cause__ or error)
        ) from error
    finally:
        database.dispose()
