"""What writes the ledger of money: an event is booked once, in the transaction that makes it true; a day is closed.

What takes a connection is work within a transaction of the store; reading is in protocol/runtime/books.py.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta

from sqlalchemy import Connection, func, select

from intranet_bridge.settlement.days import SHIPPED, BankCalendar, day_of, ends
from intranet_bridge.settlement.events import Entry, NotBooked, Posting
from intranet_bridge.settlement.rows import BOOKS
from protocol.errors import BridgeError
from protocol.runtime.audit import Transact
from protocol.runtime.books import REVERSAL, Closed, balances_at_close, digest_of, last_closed
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.store import Store
from protocol.runtime.store_statements import insert_new
from protocol.values import immutable

log = logger(__name__)

_A, _J, _E = BOOKS.accounts.c, BOOKS.journals.c, BOOKS.entries.c


class EventConflict(NotBooked):
    """The event was booked before, and otherwise."""


class DayClosed(NotBooked):
    """The day takes no more journals: what comes late is booked into an open day, and names its origin in `ref`."""


def book(connection: Connection, posting: Posting, booked_at: int) -> bool:
    """Write a journal whole. False: this event was booked already, just so.

    Raises EventConflict if it was booked otherwise, DayClosed, NotBooked.
    """
    return _write(connection, posting.checked(), booked_at)


def reverse(connection: Connection, event_key: str, day: date, booked_at: int) -> bool:
    """Correct what was booked for an event: its journal, the other way round, on an open day. False: it is reversed.

    Raises NotBooked if there is no such journal, or it is a reversal itself; DayClosed.
    """
    row = connection.execute(select(_J.id, _J.kind, _J.ref).where(_J.event_key == event_key)).first()
    if row is None or row.kind == REVERSAL:
        raise NotBooked(f"{event_key}: is no journal that can be reversed")
    if connection.execute(select(_J.id).where(_J.reverses == row.id)).first():
        return False
    entries = tuple(Entry(entry.account, -entry.amount) for entry in _entries(connection, row.id))
    posting = Posting(f"{REVERSAL}:{row.id}", day, REVERSAL, row.ref, entries)
    return _write(connection, posting.checked(), booked_at, reverses=row.id)


def open_day(connection: Connection, day: date) -> date:
    """`day`, or the first one that takes journals if it is closed."""
    closed = last_closed(connection, BOOKS)
    return day if closed is None or day > closed.day else closed.day + timedelta(1)


@immutable
class Snapshot:
    """What a day is closed with."""

    before: Closed | None
    closed: Closed
    balances: Mapping[int, int]
    """By the account's number."""


def snapshot(connection: Connection, through: date) -> Snapshot | None:
    """What closes the days up to `through`, as far as there are journals: a clock that is ahead closes no day on which
    something may be booked yet. Only reads. None: there is nothing to close.
    """
    before = last_closed(connection, BOOKS)
    last = connection.execute(select(func.max(_J.day)).where(_J.day <= through)).scalar()
    if last is None or (before is not None and last <= before.day):
        return None
    through = last
    closed = digest_of(connection, BOOKS, before, through)
    return Snapshot(before, closed, balances_at_close(connection, BOOKS, before, through))


def close(connection: Connection, taken: Snapshot, closed_at: int) -> bool:
    """Close a day. False: the books went on since the snapshot was taken, or another bridge has closed it."""
    if connection.dialect.name == "postgresql":  # no journal of these days is being written meanwhile
        connection.exec_driver_sql("LOCK TABLE closed_day IN SHARE ROW EXCLUSIVE MODE")
    before, closed = taken.before, taken.closed
    if last_closed(connection, BOOKS) != before:
        return False
    if _journals_between(connection, before, closed.day) != closed.journals:
        return False
    row = {"day": closed.day, "journals": closed.journals, "digest": closed.digest, "closed_at": closed_at}
    connection.execute(BOOKS.closed_days.insert(), row)
    if left := taken.balances:
        rows = [{"day": closed.day, "account": account, "amount": left[account]} for account in sorted(left)]
        connection.execute(BOOKS.closed_balances.insert(), rows)
    return True


class _WentOn(BridgeError):
    """The books, since the snapshot was taken: it closes nothing, and the audit has nothing to say."""


class Closing:
    """Closes days when what is to be booked on them is there."""

    def __init__(
        self, store: Store, clock: Clock, transact: Transact, calendar: Callable[[], BankCalendar] = lambda: SHIPPED
    ) -> None:
        """`calendar`: of the banks, as it is configured now."""
        self._store, self._clock, self._transact, self._calendar = store, clock, transact, calendar

    async def look(self, after_days: int) -> Closed | None:
        """Close the days that ended `after_days` days ago and more. The digest goes into the audit log with it."""
        through = day_of(self._clock()) - timedelta(after_days + 1)
        taken = await self._store.scan(lambda connection: snapshot(connection, through))
        if taken is None:
            return None

        def work(connection: Connection) -> Closed:
            if not close(connection, taken, self._clock()):
                raise _WentOn
            return taken.closed

        try:
            closed = await self._transact(
                work, "ledger-day-closed", "bridge", lambda closed: {"day": str(closed.day), "digest": closed.digest}
            )
        except _WentOn:
            return None
        if last := ends(self._calendar(), closed.day):
            log.warning("bank-calendar-ends", last=str(last))
        return closed


def _journals_between(connection: Connection, before: Closed | None, through: date) -> int:
    statement = select(func.count()).select_from(BOOKS.journals).where(_J.day <= through)
    if before is not None:
        statement = statement.where(_J.day > before.day)
    return connection.execute(statement).scalar_one()


def _write(connection: Connection, posting: Posting, booked_at: int, reverses: int | None = None) -> bool:
    if _known(connection, posting):
        return False
    closed = last_closed(connection, BOOKS)
    if closed is not None and posting.day <= closed.day:
        raise DayClosed(f"{posting.event_key}: {posting.day} is closed")
    accounts = _numbers(connection, [entry.account for entry in posting.entries])
    row = {
        "event_key": posting.event_key, "day": posting.day, "kind": posting.kind, "ref": posting.ref,
        "entries": len(posting.entries), "reverses": reverses, "booked_at": booked_at,
    }  # fmt: skip
    made = insert_new(connection, BOOKS.journals, [row])
    if not made:  # another process was quicker
        _known(connection, posting)
        return False
    (journal,) = made
    for number, entry in enumerate(posting.entries, 1):
        values = {
            "journal": journal, "number": number, "account": accounts[entry.account], "amount": entry.amount,
        }  # fmt: skip
        connection.execute(BOOKS.entries.insert(), values)
    return True


def _known(connection: Connection, posting: Posting) -> bool:
    """Whether it is booked. Raises EventConflict if otherwise."""
    row = connection.execute(select(_J.id, _J.kind, _J.ref).where(_J.event_key == posting.event_key)).first()
    if row is None:
        return False
    # the day may be another: what was late was booked into an open one
    said = (row.kind, row.ref, tuple(_entries(connection, row.id)))
    if said != (posting.kind, posting.ref, posting.entries):
        raise EventConflict(f"{posting.event_key}: was booked otherwise, as journal {row.id}")
    return True


def _entries(connection: Connection, journal: int) -> Sequence[Entry]:
    statement = (
        select(_A.name, _E.amount)
        .join_from(BOOKS.entries, BOOKS.accounts, _A.id == _E.account)
        .where(_E.journal == journal)
        .order_by(_E.number)
    )
    return [Entry(name, amount) for name, amount in connection.execute(statement)]


def _numbers(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """The accounts' numbers; those that are not there yet are made."""
    wanted = sorted(set(names))
    statement = select(_A.name, _A.id).where(_A.name.in_(wanted))
    found = {row.name: row.id for row in connection.execute(statement)}
    if missing := [{"name": name} for name in wanted if name not in found]:
        insert_new(connection, BOOKS.accounts, missing)
        found = {row.name: row.id for row in connection.execute(statement)}
    return found
