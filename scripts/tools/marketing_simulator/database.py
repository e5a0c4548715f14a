"""The simulator's own SQLite file: schema, connections, first generation.

`bill` is generated once and only read; `customer` too, but for what customers correct (bindings.py). `journal` and the
families' own tables are written by `effects`.
"""

import sqlite3
from datetime import date
from pathlib import Path
from zlib import crc32

from scripts.tools.marketing_simulator import (
    applications,
    balances,
    binding_rows,
    files,
    invoices,
    meters,
    payment_rows,
    promotions,
    public,
    theft,
    work_order_service,
    work_orders,
)
from scripts.tools.marketing_simulator.population import Bill, Customer, bills, customer

SCHEMA = """
CREATE TABLE origin (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE customer (
    account TEXT PRIMARY KEY, number INTEGER NOT NULL, name TEXT NOT NULL, identity_number TEXT NOT NULL,
    mobile TEXT NOT NULL, address TEXT NOT NULL, status TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE bill (
    number INTEGER NOT NULL, month INTEGER NOT NULL, begin_reading INTEGER NOT NULL,
    end_reading INTEGER NOT NULL, kwh INTEGER NOT NULL, amount_fen INTEGER NOT NULL,
    due_date TEXT NOT NULL, paid_date TEXT, PRIMARY KEY (number, month)
) WITHOUT ROWID;
CREATE TABLE journal (
    request_id TEXT PRIMARY KEY, operation TEXT NOT NULL, applied INTEGER NOT NULL, at TEXT NOT NULL,
    answer TEXT NOT NULL
) WITHOUT ROWID;
"""

FAMILIES = (
    work_orders, work_order_service, balances, meters, payment_rows, binding_rows, applications, theft, files, invoices,
    public, promotions,
)  # fmt: skip
"""The families that keep tables of their own: `TABLES`, SQL statements that make and fill them."""
SCHEMA_VERSION = f"4-{crc32(''.join((SCHEMA, *(family.TABLES for family in FAMILIES))).encode()):08x}"
"""The number changes when rows are generated otherwise, the rest when a table does."""


class OriginMismatchError(Exception):
    """The file was generated from other values than those asked for now."""


def connect(path: Path) -> sqlite3.Connection:
    """A durable connection: a commit is on the disk when it returns. Transactions are opened by hand."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA busy_timeout = 5000")
    return connection


def connect_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; what it reads is always something committed."""
    connection = connect(path)
    connection.execute("PRAGMA query_only = ON")
    return connection


def prepare(path: Path, *, customers: int | None, seed: int | None, today: date) -> bool:
    """Make sure the file holds a population; True when it was generated now.

    `None` means: whatever the file has, else the default (5000 customers, seed 1). A file that was generated
    from other values is refused, not overwritten: it may hold a journal somebody needs.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = connect(path)
    try:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'origin'").fetchone():
            _check_origin(connection, customers, seed)
            return False
        _generate(connection, customers or 5000, 1 if seed is None else seed, today)
        return True
    finally:
        connection.close()


def origin(connection: sqlite3.Connection) -> dict[str, str]:
    """What the population was generated from: version, customers, seed, business day."""
    return dict(connection.execute("SELECT name, value FROM origin").fetchall())


def _check_origin(connection: sqlite3.Connection, customers: int | None, seed: int | None) -> None:
    had = origin(connection)
    wanted = {"version": SCHEMA_VERSION, "customers": customers, "seed": seed}
    for name, value in wanted.items():
        if value is not None and had.get(name) != str(value):
            raise OriginMismatchError(
                f"the database was generated with {name} {had.get(name)}, not {value}: "
                "give the same values, or another --database"
            )


def _generate(connection: sqlite3.Connection, customers: int, seed: int, today: date) -> None:
    """Everything in one transaction: a file is either empty or complete."""
    scripts = (SCHEMA, *(family.TABLES for family in FAMILIES))
    statements = [statement for script in scripts for statement in script.split(";") if statement.strip()]
    connection.execute("BEGIN IMMEDIATE")
    for statement in statements:
        connection.execute(statement)
    public.fill(connection, today)
    for number in range(1, customers + 1):
        account = customer(seed, number)
        connection.execute("INSERT INTO customer VALUES (?, ?, ?, ?, ?, ?, ?)", _customer_row(account))
        rows = (_bill_row(bill) for bill in bills(seed, account, today))
        connection.executemany("INSERT INTO bill VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    invoices.fill(connection, today)
    values = {"version": SCHEMA_VERSION, "customers": customers, "seed": seed, "day": today.isoformat()}
    connection.executemany("INSERT INTO origin VALUES (?, ?)", [(name, str(value)) for name, value in values.items()])
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _customer_row(account: Customer) -> tuple[object, ...]:
    person = account.person
    return (
        account.account,
        account.number,
        person.name,
        person.identity_number,
        person.mobile,
        account.address,
        account.status,
    )


def _bill_row(bill: Bill) -> tuple[object, ...]:
    return (
        bill.number,
        bill.month,
        bill.begin_reading,
        bill.end_reading,
        bill.kwh,
        bill.amount_fen,
        bill.due_date.isoformat(),
        bill.paid_date.isoformat() if bill.paid_date else None,
    )
