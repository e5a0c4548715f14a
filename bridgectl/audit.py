"""Administrative acts that no daemon does itself, written where they can be found again.

A line goes to the system's log (syslog(3), facility authpriv), and a record into the audit log of each daemon of this
host that runs, which names the user by the kernel's word. For one that does not run it goes into its database, as a
record of a chain of its own.
"""

import contextlib
import json
import sys
import syslog
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, inspect
from sqlalchemy.exc import SQLAlchemyError

from bridgectl import daemons, databases
from bridgectl.language import tr
from bridgectl.operators import operator
from protocol.audit import ACT
from protocol.errors import BridgeError, in_one_line
from protocol.messages import Role
from protocol.runtime.audit import append, audit_tables
from protocol.runtime.clock import wall_clock
from protocol.runtime.store_engine import engine

_PATIENCE_S = 2.0


def chain_of(instance: str) -> str:
    """In the database of this daemon, of what was done while it did not run. Chains of several databases are verified
    together, and against heads that were kept elsewhere: none is called as another.
    """
    return f"bridgectl-{instance}"[:64]


def record(act: str, **fields: Any) -> None:
    """Write down that `act` is done, or is about to be. Identifiers and counts alone.

    The system's log has it first; where the daemons' audit logs cannot have it, that is told on stderr and no more: an
    act that is done must not look as if it had failed.
    """
    said = {"act": act, "by": operator(), **fields}
    syslog.openlog("bridgectl", 0, syslog.LOG_AUTHPRIV)
    syslog.syslog(syslog.LOG_NOTICE, json.dumps(said, ensure_ascii=False))
    try:
        here = list(daemons.configured())
    except (BridgeError, OSError) as error:
        print(
            tr(
                "bridgectl: {act} is in the system's log, not in the daemons': {in_one_line}",
                act=act,
                in_one_line=in_one_line(error),
            ),
            file=sys.stderr,
        )
        return
    for role, path in here:
        try:
            daemons.tell(role, path, "audit", _PATIENCE_S, act=act, details=json.dumps(fields, ensure_ascii=False))
        except (BridgeError, OSError):
            _directly(role, path, {"act": act, "by": said["by"], "details": json.dumps(fields, ensure_ascii=False)})


def _directly(role: Role, configuration: Path, details: Mapping[str, Any]) -> None:
    """Into the database of a daemon that does not answer. Where that cannot be, the system's log has it."""
    with contextlib.suppress(BridgeError, SQLAlchemyError, OSError):
        store, chain = databases.store_of(configuration), chain_of(databases.instance_of(role, configuration))
        if store.file is not None and not store.file.exists():
            return
        tables = audit_tables(MetaData())
        database = engine(store.address())
        try:
            with database.begin() as connection:
                if inspect(connection).has_table(tables.records.name):
                    append(connection, tables, chain, wall_clock(), ACT, details)
        finally:
            database.dispose()
