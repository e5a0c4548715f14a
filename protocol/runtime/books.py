"""The books: a double-entry ledger of money in the bridge's database, as its tables and whoever reads them see it.

An entry is an amount in fen on an account, a debit positive and a credit negative. A **journal** is the entries of one
event, which sum to 0; its `event_key` is unique, so that an event is booked once however often it is reported. What the
database itself sees to, on SQLite and PostgreSQL alike (the revision that makes the tables has the statements):

- nothing is changed or deleted: triggers refuse it. What was wrong is corrected by a journal that reverses it;
- a journal is written whole: it says how many entries it has, these are numbered, the last one must make the sum 0, no
  more follow, and a foreign key looked at at the commit asks for the last one;
- a day that is closed takes no more journals.

A day is closed with a **snapshot**: each account's balance at its end, and a digest over its journals chained to the
digest before it. `verify` recomputes all of that from the entries.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    and_,
    func,
    or_,
    select,
    text,
)

from protocol.errors import BridgeError
from protocol.values import immutable

GENESIS = "0" * 64
"""What the digest of the first closed day follows."""
REVERSAL = "reversal"
"""The kind of a journal that corrects another."""
_PAGE = 1000
_MOST_BROKEN = 100
"""So many findings are named; whoever must mend more looks for one cause."""
GUARDS = frozenset(
    {
        "account_fixed", "journal_fixed", "entry_fixed", "closed_day_fixed", "closed_balance_fixed",
        "account_kept", "journal_kept", "entry_kept", "closed_day_kept", "closed_balance_kept",
        "journal_open", "entry_whole",
    }
)  # fmt: skip
"""The triggers that must be there."""
REPLACING_GUARDS = frozenset({"account_new", "closed_day_new", "closed_balance_new"})
"""On SQLite besides, whose `INSERT OR REPLACE` deletes without asking the others."""
_ID = BigInteger().with_variant(Integer, "sqlite")


@immutable
class Books:
    """The tables."""

    accounts: Table
    journals: Table
    entries: Table
    closed_days: Table
    closed_balances: Table


@immutable
class Journal:
    """A journal as it stands in the books."""

    number: int
    event_key: str
    day: date
    kind: str
    ref: str
    reverses: int | None
    booked_at: int
    entries: tuple[tuple[str, int], ...]
    """Account and amount in fen, a debit positive."""


@immutable
class Closed:
    """A day that is closed."""

    day: date
    journals: int
    """Since the one closed before it."""
    digest: str


@immutable
class Broken:
    """What is not as it was written."""

    where: str
    """`journal 12`, `day 2026-11-24`, `trigger entry_fixed`."""
    reason: str


@immutable
class Verified:
    """What `verify` found."""

    journals: int
    entries: int
    days: int
    """That are closed."""
    head: str
    """The digest of the last of them; keep it elsewhere, and a history that was written anew is found by it."""
    broken: tuple[Broken, ...]


def books_tables(metadata: MetaData) -> Books:
    """Of the bridge's database."""
    accounts = Table(
        "account",
        metadata,
        Column("id", _ID, primary_key=True),
        Column("name", String(128), nullable=False, unique=True),
    )
    journals = Table(
        "journal",
        metadata,
        Column("id", _ID, primary_key=True, autoincrement=True),
        Column("event_key", String(200), nullable=False, unique=True),
        Column("day", Date, nullable=False),  # the settlement day
        Column("kind", String(32), nullable=False),
        Column("ref", String(128), nullable=False),
        Column("entries", Integer, nullable=False),
        Column("reverses", _ID, ForeignKey("journal.id", name="journal_reverses")),
        Column("booked_at", BigInteger, nullable=False),
        UniqueConstraint("reverses", name="journal_reversed_once"),
        CheckConstraint("entries >= 2", name="journal_of_two"),
        # looked at at the commit: the last entry is there, and so (entry_whole) are all before it
        ForeignKeyConstraint(
            ["id", "entries"], ["entry.journal", "entry.number"], name="journal_whole", deferrable=True,
            initially="DEFERRED", use_alter=True,
        ),
        Index("journal_day", "day", "id"),
        Index("journal_ref", "ref"),
    )  # fmt: skip
    entries = Table(
        "entry",
        metadata,
        Column("journal", _ID, ForeignKey("journal.id", name="entry_journal"), primary_key=True, autoincrement=False),
        Column("number", Integer, primary_key=True, autoincrement=False),  # 1 to the journal's `entries`
        Column("account", _ID, ForeignKey("account.id", name="entry_account"), nullable=False),
        Column("amount", BigInteger, nullable=False),
        CheckConstraint("amount <> 0", name="entry_of_money"),
        Index("entry_by_account", "account", "journal"),
    )
    closed_days = Table(
        "closed_day",
        metadata,
        Column("day", Date, primary_key=True),
        Column("journals", BigInteger, nullable=False),
        Column("digest", String(64), nullable=False),
        Column("closed_at", BigInteger, nullable=False),
    )
    closed_balances = Table(
        "closed_balance",
        metadata,
        Column("day", Date, ForeignKey("closed_day.day", name="closed_balance_day"), primary_key=True),
        Column("account", _ID, ForeignKey("account.id", name="closed_balance_account"), primary_key=True),
        Column("amount", BigInteger, nullable=False),
        CheckConstraint("amount <> 0", name="closed_balance_of_money"),
    )
    return Books(accounts, journals, entries, closed_days, closed_balances)


def last_closed(connection: Connection, books: Books, through: date | None = None) -> Closed | None:
    """The last day that is closed, `through` at the latest."""
    c = books.closed_days.c
    statement = select(c.day, c.journals, c.digest).order_by(c.day.desc()).limit(1)
    if through is not None:
        statement = statement.where(c.day <= through)
    row = connection.execute(statement).first()
    return Closed(row.day, row.journals, row.digest) if row else None


def balances(connection: Connection, books: Books, of: str = "", through: date | None = None) -> dict[str, int]:
    """Balance in fen by account, at the end of the day `through` (None: of all that is booked); what is 0 is left out.

    `of`: one account, or, ending with a colon, those of a kind: `channel:`.
    """
    found: dict[str, int] = defaultdict(int)
    base = last_closed(connection, books, through)
    names, entries, journals = books.accounts.c, books.entries.c, books.journals.c
    asked = names.name == of if of and not of.endswith(":") else names.name.startswith(of, autoescape=True)
    if base is not None:
        kept = books.closed_balances.c
        statement = select(names.name, kept.amount).join(books.accounts, names.id == kept.account)
        for name, amount in connection.execute(statement.where(kept.day == base.day, asked)):
            found[name] += amount
    moved = (
        select(names.name, func.sum(entries.amount))
        .join_from(books.entries, books.journals, journals.id == entries.journal)
        .join(books.accounts, names.id == entries.account)
        .where(asked)
        .group_by(names.name)
    )
    if base is not None:
        moved = moved.where(journals.day > base.day)
    if through is not None:
        moved = moved.where(journals.day <= through)
    for name, amount in connection.execute(moved):
        found[name] += int(amount)
    return {name: amount for name, amount in sorted(found.items()) if amount}


def journals_of(
    connection: Connection,
    books: Books,
    *,
    account: str = "",
    ref: str = "",
    kind: str = "",
    since: date | None = None,
    until: date | None = None,
    before: tuple[date, int] | None = None,
    limit: int,
) -> list[Journal]:
    """The newest journals that are so, the newest last. `before`: a day and a number; older than that."""
    c = books.journals.c
    statement = select(c.id).order_by(c.day.desc(), c.id.desc()).limit(limit)
    if account:
        touched = select(books.entries.c.journal).join(books.accounts, books.accounts.c.id == books.entries.c.account)
        statement = statement.where(c.id.in_(touched.where(books.accounts.c.name == account)))
    for column, wanted in ((c.ref, ref), (c.kind, kind)):
        if wanted:
            statement = statement.where(column == wanted)
    if since is not None:
        statement = statement.where(c.day >= since)
    if until is not None:
        statement = statement.where(c.day <= until)
    if before is not None:
        day, number = before
        statement = statement.where(or_(c.day < day, and_(c.day == day, c.id < number)))
    numbers = list(connection.execute(statement).scalars())
    found = [one for at in range(0, len(numbers), _PAGE) for one in _read(connection, books, numbers[at : at + _PAGE])]
    return sorted(found, key=lambda one: (one.day, one.number))


def digest_of(connection: Connection, books: Books, before: Closed | None, through: date) -> Closed:
    """What closes the days after `before` up to `through`: a digest over all their journals, in order."""
    digest = hashlib.sha256((before.digest if before else GENESIS).encode())
    count = 0
    for journal in _in_order(connection, books, before.day if before else None, through):
        digest.update(_canonical(journal))
        count += 1
    return Closed(through, count, digest.hexdigest())


class NotClosed(BridgeError):
    """The day is not one with which the books were closed."""


def verify(connection: Connection, books: Books, after: date | None = None) -> Verified:
    """Recompute everything from the entries. `after`: only what is on later days than this closed one, from its digest
    and its balances as they stand; of what is on it and before nothing is read, and nothing is said. Raises NotClosed.
    """
    guards = GUARDS | REPLACING_GUARDS if connection.dialect.name == "sqlite" else GUARDS
    broken = [Broken(f"trigger {name}", "is not there") for name in sorted(guards - _triggers(connection))]
    broken += _unbalanced(connection, books, after) + _false_reversals(connection, books, after)
    before: Closed | None = None
    running: dict[int, int] = {}
    if after is not None:
        before = last_closed(connection, books, after)
        if before is None or before.day != after:
            raise NotClosed(f"{after} is no day that the books were closed with")
        running = _kept(connection, books, after)
        if left := sum(running.values()):
            broken.append(Broken(f"day {after}", f"its balances sum to {left} fen"))
    days = 0
    closed = books.closed_days.c
    asked = select(closed.day, closed.journals, closed.digest).order_by(closed.day)
    if after is not None:
        asked = asked.where(closed.day > after)
    for row in connection.execute(asked).all():
        said = Closed(row.day, row.journals, row.digest)
        found = digest_of(connection, books, before, said.day)
        if found.journals != said.journals:
            broken.append(Broken(f"day {said.day}", f"has {found.journals} journals, and had {said.journals}"))
        elif found.digest != said.digest:
            broken.append(Broken(f"day {said.day}", "a journal is not as it was when the day was closed"))
        _move(running, connection, books, before, said.day)
        broken += _differences(connection, books, said.day, running, _kept(connection, books, said.day))
        before, days = said, days + 1
    numbers, of = books.journals.c, books.entries.c
    counts = select(func.count()).select_from(books.journals), select(func.count()).select_from(books.entries)
    if after is not None:
        counts = (
            counts[0].where(numbers.day > after),
            counts[1].join(books.journals, numbers.id == of.journal).where(numbers.day > after),
        )
    journals, entries = (connection.execute(count).scalar_one() for count in counts)
    return Verified(journals, entries, days, before.digest if before else GENESIS, tuple(broken[:_MOST_BROKEN]))


def _move(running: dict[int, int], connection: Connection, books: Books, before: Closed | None, through: date) -> None:
    """Add to balances by account what was booked after one day up to another."""
    journals, entries = books.journals.c, books.entries.c
    moved = (
        select(entries.account, func.sum(entries.amount))
        .join_from(books.entries, books.journals, journals.id == entries.journal)
        .where(journals.day <= through)
        .group_by(entries.account)
    )
    if before is not None:
        moved = moved.where(journals.day > before.day)
    for account, amount in connection.execute(moved):
        now = running.get(account, 0) + int(amount)
        if now:
            running[account] = now
        else:
            running.pop(account, None)


def balances_at_close(connection: Connection, books: Books, before: Closed | None, through: date) -> dict[int, int]:
    """Balances by the account's number at the end of `through`, from the snapshot before it; what is 0 is left out."""
    running = _kept(connection, books, before.day) if before is not None else {}
    _move(running, connection, books, before, through)
    return running


def _kept(connection: Connection, books: Books, day: date) -> dict[int, int]:
    """The balances that a day was closed with, by the account's number."""
    kept = books.closed_balances.c
    rows = connection.execute(select(kept.account, kept.amount).where(kept.day == day))
    return {row.account: row.amount for row in rows}


def _differences(
    connection: Connection, books: Books, day: date, running: Mapping[int, int], snapshot: Mapping[int, int]
) -> list[Broken]:
    wrong = sorted(one for one in running.keys() | snapshot.keys() if running.get(one, 0) != snapshot.get(one, 0))
    found = []
    for account in wrong[:_MOST_BROKEN]:
        name = connection.execute(select(books.accounts.c.name).where(books.accounts.c.id == account)).scalar()
        entries, kept = running.get(account, 0), snapshot.get(account, 0)
        found.append(Broken(f"day {day}", f"account {name}: its entries make {entries} fen, its snapshot says {kept}"))
    return found


def _unbalanced(connection: Connection, books: Books, after: date | None) -> list[Broken]:
    journals, entries = books.journals.c, books.entries.c
    count, total = func.count(entries.number), func.coalesce(func.sum(entries.amount), 0)
    statement = (
        select(journals.id, journals.entries, count, total)
        .join_from(books.journals, books.entries, journals.id == entries.journal, isouter=True)
        .group_by(journals.id, journals.entries)
        .having((total != 0) | (count != journals.entries))
        .order_by(journals.id)
        .limit(_MOST_BROKEN)
    )
    if after is not None:
        statement = statement.where(journals.day > after)
    return [
        Broken(f"journal {number}", f"sums to {int(amount)} fen" if amount else f"has {there} of its {said} entries")
        for number, said, there, amount in connection.execute(statement)
    ]


def _false_reversals(connection: Connection, books: Books, after: date | None) -> list[Broken]:
    c = books.journals.c
    asked = select(c.id, c.reverses).where(c.reverses.is_not(None)).order_by(c.id)
    pairs = connection.execute(asked if after is None else asked.where(c.day > after)).all()
    found = []
    for at in range(0, len(pairs), _PAGE):
        page = pairs[at : at + _PAGE]
        numbers = sorted({number for pair in page for number in pair})
        by_number = {one.number: one for one in _read(connection, books, numbers)}
        for number, original in page:
            if original not in by_number or _summed(by_number[number]) != {
                account: -amount for account, amount in _summed(by_number[original]).items()
            }:
                found.append(Broken(f"journal {number}", f"does not reverse journal {original}"))
    return found


def _summed(journal: Journal) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for account, amount in journal.entries:
        found[account] += amount
    return dict(found)


def _in_order(connection: Connection, books: Books, after: date | None, through: date) -> Iterator[Journal]:
    """By their number, page by page: the writer waits for none of the reads."""
    c = books.journals.c
    statement = select(c.id).where(c.day <= through).order_by(c.id).limit(_PAGE)
    if after is not None:
        statement = statement.where(c.day > after)
    last = 0
    while numbers := list(connection.execute(statement.where(c.id > last)).scalars()):
        yield from _read(connection, books, numbers)
        last = numbers[-1]


def _read(connection: Connection, books: Books, numbers: Sequence[int]) -> list[Journal]:
    c, entries, names = books.journals.c, books.entries.c, books.accounts.c
    lines: dict[int, list[tuple[str, int]]] = defaultdict(list)
    of_them = (
        select(entries.journal, names.name, entries.amount)
        .join_from(books.entries, books.accounts, names.id == entries.account)
        .where(entries.journal.in_(numbers))
        .order_by(entries.journal, entries.number)
    )
    for journal, name, amount in connection.execute(of_them):
        lines[journal].append((name, amount))
    rows = connection.execute(select(books.journals).where(c.id.in_(numbers)).order_by(c.id))
    return [
        Journal(
            row.id, row.event_key, row.day, row.kind, row.ref, row.reverses, row.booked_at, tuple(lines[row.id])
        )
        for row in rows
    ]  # fmt: skip


def _canonical(journal: Journal) -> bytes:
    head = f"{journal.number}|{journal.event_key}|{journal.day}|{journal.kind}|{journal.ref}|{journal.reverses or ''}"
    lines = "".join(f"|{account}={amount}" for account, amount in journal.entries)
    return f"{head}|{journal.booked_at}{lines}\n".encode()


def _triggers(connection: Connection) -> set[str]:
    catalogues = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND n.nspname = current_schema()",
    }
    return set(connection.execute(text(catalogues[connection.dialect.name])).scalars())
