"""The daemons' databases as the operator's commands use them: one transaction, and clear words for what is wrong."""

import os
import pwd
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import SQLAlchemyError

from protocol.errors import BridgeError
from protocol.runtime.settings import StoreSection
from protocol.runtime.store import engine

T = TypeVar("T")


def in_store(store: StoreSection, whose: str, table: str, program: str, work: Callable[[Connection], T]) -> T:
    """Do `work` in one transaction on the database of `whose` ("front", "bridge").

    Raises BridgeError where there is no database, or one without `table`.
    """
    missing = BridgeError(
        f"the {whose} has no database yet, or one of an older release: start it, or run "
        f"`{program} --config FILE --migrate`"
    )
    # Opening would make the file, and make it whoever's who runs this.
    if store.file is not None and not store.file.exists():
        raise missing
    database = engine(store.address())
    try:
        with database.begin() as connection:
            if not inspect(connection).has_table(table):
                raise missing
            return work(connection)
    except SQLAlchemyError as error:
        raise BridgeError(f"the {whose}'s database cannot be used: {error.__cause__ or error}") from error
    finally:
        database.dispose()


def operator() -> str:
    """Who gives this command: the user, behind sudo as well."""
    name = os.environ.get("SUDO_USER", "")
    if not name:
        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            name = f"uid {os.getuid()}"
    return name[:64]
