"""The ledger of money: what is booked for an event, what the database refuses, closed days, and what verify finds."""

import os
import random
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from bridgectl.databases import Place
from bridgectl.restoring import restore
from intranet_bridge.inbox.rows import AUDIT, HISTORY
from intranet_bridge.settlement.events import (
    Arrived,
    Credited,
    Entry,
    Event,
    Fee,
    NotBooked,
    Paid,
    PaidOut,
    Part,
    Payment,
    PaymentRefunded,
    Posting,
    PromotionCharged,
    RefundDue,
    RefundProven,
    Reversed,
    Surplus,
    WrittenOff,
    posting,
)
from intranet_bridge.settlement.ledger import (
    Closing,
    DayClosed,
    EventConflict,
    book,
    close,
    open_day,
    reverse,
    snapshot,
)
from intranet_bridge.settlement.money import shares
from intranet_bridge.settlement.rows import BOOKS
from intranet_bridge.store import MIGRATIONS
from protocol.errors import ConfigurationError
from protocol.runtime.audit import Audit
from protocol.runtime.backup import Owner, back_up
from protocol.runtime.books import GENESIS, balances, journals_of, last_closed, verify
from protocol.runtime.settings import StoreSection
from protocol.runtime.store import Store
from protocol.runtime.store_engine import engine
from tests.unit.acts import transacting
from tests.unit.clock import Clock

DAY = date(2026, 11, 24)
NOON = 1_795_492_800_000  # 2026-11-24 12:00 in China
COMBINED = Paid("P1", "wechat", 18_667, (Part("power", 1000), Part("bank", 333)))


def booked(database: Engine, *events: Event, day: date = DAY) -> list[bool]:
    with database.begin() as connection:
        return [book(connection, posting(event, day), NOON) for event in events]


def left(database: Engine, of: str = "", through: date | None = None) -> dict[str, int]:
    with database.connect() as connection:
        return balances(connection, BOOKS, of, through)


def broken(database: Engine) -> list[tuple[str, str]]:
    with database.connect() as connection:
        return [(one.where, one.reason) for one in verify(connection, BOOKS).broken]


def closed(database: Engine, through: date) -> bool:
    with database.begin() as connection:
        taken = snapshot(connection, through)
        return taken is not None and close(connection, taken, NOON)


async def nobody(act: str, by: str, /, **details: object) -> None:
    """Hears of it."""


@contextmanager
def refused(match: str) -> Iterator[None]:
    with pytest.raises(SQLAlchemyError, match=match):
        yield


# --- what is booked ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "entries"),
    [
        (COMBINED, {"channel:wechat": 18_667, "promo:power": 1000, "promo:bank": 333, "order:P1": -20_000}),
        (Paid("P1", "w", 5, (Part("x", 2), Part("x", 3))), {"channel:w": 5, "promo:x": 5, "order:P1": -10}),
        (Paid("P1", "w", 0, (Part("x", 2),)), {"promo:x": 2, "order:P1": -2}),
        (WrittenOff("P1", 1, "power", 7), {"order:P1": 7, "company:power": -7}),
        (Credited("P1", 1, "power", 7), {"order:P1": 7, "company:power": -7}),
        (Reversed("P1", 1, "power", 7), {"company:power": 7, "order:P1": -7}),
        (RefundDue("P1-2-R1", "P1", "w", 6, (Part("x", 1),)), {"order:P1": 7, "refund:w": -6, "promo:x": -1}),
        (RefundProven("P1-2-R1", "w", 6), {"refund:w": 6, "channel:w": -6}),
        (Fee("s", "w", "power", 3), {"company:power": 3, "channel:w": -3}),
        (Fee("s", "w", "power", -3), {"company:power": -3, "channel:w": 3}),
        (PromotionCharged("c", "power", 9), {"company:power": 9, "promo:power": -9}),
        (PaidOut("c", "power", 9), {"company:power": 9, "transit:power": -9}),
        (Arrived("c", "1", "power", "w", 9), {"transit:power": 9, "channel:w": -9}),
        (Payment("w", "t", "power", 9), {"channel:w": 9, "company:power": -9}),
        (PaymentRefunded("w", "t", "r", "power", 9), {"company:power": 9, "channel:w": -9}),
        (Surplus("w", "t", 9), {"channel:w": 9, "refund:w": -9}),
    ],
)
def test_the_table_of_events(event: Event, entries: dict[str, int]) -> None:
    made = posting(event, DAY)
    assert {entry.account: entry.amount for entry in made.entries} == entries
    assert made.day == DAY
    assert sum(entries.values()) == 0


def test_each_event_has_its_own_key() -> None:
    events: list[Event] = [
        COMBINED, WrittenOff("P1", 1, "u", 1), WrittenOff("P1", 2, "u", 1), Credited("P1", 1, "u", 1),
        Reversed("P1", 1, "u", 1), Reversed("P1", 1, "u", 1, "R1"), RefundDue("P1-1-R1", "P1", "w", 1),
        RefundProven("P1-1-R1", "w", 1), Fee("s", "w", "u", 1), Fee("s", "w", "v", 1), PromotionCharged("c", "u", 1),
        PaidOut("c", "u", 1), Arrived("c", "1", "u", "w", 1), Arrived("c", "2", "u", "w", 1), Payment("w", "t", "u", 1),
        Payment("x", "t", "u", 1), PaymentRefunded("w", "t", "r", "u", 1), PaymentRefunded("w", "t", "q", "u", 1),
        Surplus("w", "t", 1),
    ]  # fmt: skip
    assert len({posting(event, DAY).event_key for event in events}) == len(events)


@pytest.mark.parametrize(
    "event",
    [
        WrittenOff("P1", 1, "power", 0),
        WrittenOff("P1", 1, "power", -7),
        Paid("P1", "wechat", -1, (Part("x", 3),)),
        Paid("P1", "wechat", 5, (Part("x", -3),)),
        Paid("P1\n", "wechat", 5),
        WrittenOff("P1", 1, "电力", 7),
        WrittenOff("P1", 1, "power:x", 7),
        Fee("s", "w", "power", 0),
    ],
)
def test_what_is_no_event(event: Event) -> None:
    with pytest.raises(NotBooked):
        posting(event, DAY)


def test_what_does_not_balance_is_not_booked(database: Engine) -> None:
    crooked = Posting("k", DAY, "paid", "P1", (Entry("channel:w", 2), Entry("order:P1", -1)))
    with database.begin() as connection, pytest.raises(NotBooked, match="sum to 1 fen"):
        book(connection, crooked, NOON)


# --- booked once ------------------------------------------------------------------------------------------


def test_an_event_is_booked_once(database: Engine) -> None:
    assert booked(database, COMBINED, COMBINED) == [True, False]
    assert booked(database, COMBINED) == [False]
    assert booked(database, COMBINED, day=DAY + timedelta(1)) == [False]  # late, and known
    with pytest.raises(EventConflict, match="paid:P1: was booked otherwise, as journal 1"):
        booked(database, Paid("P1", "wechat", 18_666, COMBINED.parts))
    assert left(database, "order:") == {"order:P1": -20_000}
    with database.connect() as connection:
        [journal] = journals_of(connection, BOOKS, ref="P1", limit=9)
    assert (journal.event_key, journal.kind, journal.day, journal.booked_at) == ("paid:P1", "paid", DAY, NOON)
    assert journal.entries == (
        ("channel:wechat", 18_667), ("promo:power", 1000), ("promo:bank", 333), ("order:P1", -20_000),
    )  # fmt: skip


def test_several_processes_book_the_same_events(database: Engine) -> None:
    """On PostgreSQL side by side; each event is booked by one of them."""
    events: list[Event] = [Paid(f"P{number}", "wechat", 5) for number in range(20)]
    found: list[list[bool]] = []
    together = threading.Barrier(4)

    def process() -> None:
        own = engine(database.url.render_as_string(hide_password=False))
        together.wait()
        found.append([booked(own, event)[0] for event in events])
        own.dispose()

    threads = [threading.Thread(target=process) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [sum(each) for each in zip(*found, strict=True)] == [1] * len(events)
    assert left(database, "channel:") == {"channel:wechat": 100}
    assert broken(database) == []


# --- corrections ------------------------------------------------------------------------------------------


def test_a_correction_is_a_reversing_journal(database: Engine) -> None:
    booked(database, COMBINED, WrittenOff("P1", 1, "power", 7))
    with database.begin() as connection:
        assert reverse(connection, "written-off:P1-1", DAY, NOON)
        assert not reverse(connection, "written-off:P1-1", DAY, NOON)
        with pytest.raises(NotBooked, match="no journal that can be reversed"):
            reverse(connection, "reversal:2", DAY, NOON)
        with pytest.raises(NotBooked, match="no journal that can be reversed"):
            reverse(connection, "written-off:P1-9", DAY, NOON)
    assert left(database, "company:") == {}
    assert left(database, "order:P1") == {"order:P1": -20_000}
    with database.connect() as connection:
        found = journals_of(connection, BOOKS, account="company:power", limit=9)
    assert [(one.kind, one.reverses, one.entries) for one in found] == [
        ("written-off", None, (("order:P1", 7), ("company:power", -7))),
        ("reversal", 2, (("order:P1", -7), ("company:power", 7))),
    ]
    assert broken(database) == []


# --- what the database itself refuses ---------------------------------------------------------------------


@pytest.mark.parametrize("table", ["account", "journal", "entry", "closed_day", "closed_balance"])
def test_nothing_is_changed_or_deleted(database: Engine, table: str) -> None:
    booked(database, COMBINED)
    assert closed(database, DAY)
    column = {"account": "name", "journal": "ref", "entry": "amount", "closed_day": "digest"}.get(table, "amount")
    statements = [f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"]
    if database.dialect.name == "postgresql":
        statements.append(f"TRUNCATE {table} CASCADE")
    for statement in statements:
        with refused(f"the ledger is never changed: {table}"), database.begin() as connection:
            connection.exec_driver_sql(statement)
    assert broken(database) == []


def raw(connection: Connection, number: int, entries: int, *amounts: int, first: int = 1) -> None:
    """A journal past our own code."""
    if first == 1:
        connection.exec_driver_sql(
            "INSERT INTO journal (id, event_key, day, kind, ref, entries, booked_at)"
            f" VALUES ({number}, 'raw:{number}', '2026-11-24', 'raw', 'x', {entries}, 1)"
        )
    for at, amount in enumerate(amounts, first):
        connection.exec_driver_sql(f"INSERT INTO entry VALUES ({number}, {at}, {1 + at % 2}, {amount})")


def test_a_journal_is_written_whole_and_sums_to_zero(database: Engine) -> None:
    booked(database, WrittenOff("P1", 1, "power", 7))  # makes accounts 1 and 2
    with refused("does not sum to 0"), database.begin() as connection:
        raw(connection, 50, 2, 7, -6)
    with refused("(?i)foreign key"), database.begin() as connection:
        raw(connection, 50, 2)  # no entry
    with refused("(?i)foreign key"), database.begin() as connection:
        raw(connection, 50, 3, 7, -7)  # not all
    with refused("not the next entry"), database.begin() as connection:
        raw(connection, 50, 2, 7, -7, 7)  # more
    with refused("(?i)check"), database.begin() as connection:
        raw(connection, 50, 3, 7, 0, -7)
    with refused("(?i)check"), database.begin() as connection:
        raw(connection, 50, 1, 7)
    with database.begin() as connection:
        raw(connection, 50, 2, 7, -7)
    with refused("not the next entry"), database.begin() as connection:
        raw(connection, 50, 2, 7, -7, first=3)  # afterwards, though it would sum to 0
    with refused("(?i)foreign key"), database.begin() as connection:
        connection.exec_driver_sql("INSERT INTO entry VALUES (77, 1, 1, 5)")
    assert left(database) == {"company:power": -14, "order:P1": 14}
    assert broken(database) == []


def test_sqlite_does_not_replace_a_journal(tmp_path: Path) -> None:
    """Which would delete one without asking the trigger."""
    database = engine(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    MIGRATIONS.prepare(database)
    booked(database, COMBINED)
    for columns in ("1, 'other'", "NULL, 'paid:P1'"):
        with refused("the ledger is never changed: journal"), database.begin() as connection:
            connection.exec_driver_sql(
                "INSERT OR REPLACE INTO journal (id, event_key, day, kind, ref, entries, booked_at)"
                f" VALUES ({columns}, '2026-11-25', 'raw', 'x', 2, 1)"
            )
    database.dispose()


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("account", "(id, name) VALUES (1, 'company:mine')"),
        ("account", "(name) VALUES ('order:P1')"),
        ("closed_day", "VALUES ('2026-11-24', 0, 'x', 1)"),
        ("closed_balance", "VALUES ('2026-11-24', 1, 5)"),
        ("entry", "VALUES (1, 1, 1, 5)"),
        (
            "journal",
            "(event_key, day, kind, ref, entries, reverses, booked_at) VALUES ('k', '2026-11-25', 'raw', 'x', 2, 1, 1)",
        ),
    ],
)
@pytest.mark.parametrize("foreign_keys", ["ON", "OFF"])
def test_sqlite_replaces_no_row_of_the_ledger(tmp_path: Path, table: str, values: str, foreign_keys: str) -> None:
    """Whatever program it is, and whichever unique key would be in the way."""
    database = engine(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    MIGRATIONS.prepare(database)
    booked(database, COMBINED)
    with database.begin() as connection:
        reverse(connection, "paid:P1", DAY, NOON)
    booked(database, Surplus("wechat", "t", 4))
    assert closed(database, DAY)
    database.dispose()
    with sqlite3.connect(tmp_path / "x.sqlite3") as forger:
        forger.execute(f"PRAGMA foreign_keys = {foreign_keys}")
        for verb in ("INSERT OR REPLACE", "REPLACE"):
            with pytest.raises(
                sqlite3.IntegrityError, match=rf"the ledger is never changed: {table}|not the next entry"
            ):
                forger.execute(f"{verb} INTO {table} {values}")
    assert broken(database) == []
    database.dispose()


def test_a_journal_is_reversed_once_by_the_database_too(database: Engine) -> None:
    booked(database, COMBINED)
    with database.begin() as connection:
        reverse(connection, "paid:P1", DAY, NOON)
    with refused("(?i)unique|the ledger is never changed: journal"), database.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO journal (event_key, day, kind, ref, entries, reverses, booked_at)"
            " VALUES ('k', '2026-11-24', 'reversal', 'x', 2, 1, 1)"
        )


def test_an_older_program_is_not_given_books_it_would_lose(database: Engine) -> None:
    MIGRATIONS.migrate(database, "0015")
    MIGRATIONS.migrate(database)
    booked(database, COMBINED)
    url = database.url.render_as_string(hide_password=False)
    with pytest.raises(ConfigurationError, match="the ledger has journals, which an older program would lose"):
        MIGRATIONS.command(url, None, "0015")
    assert broken(database) == []


# --- closed days ------------------------------------------------------------------------------------------


def test_a_closed_day_takes_no_more_journals(database: Engine) -> None:
    late, next_day = WrittenOff("P1", 1, "power", 7), DAY + timedelta(1)
    booked(database, COMBINED)
    assert closed(database, DAY)
    assert not closed(database, DAY)
    with pytest.raises(DayClosed, match="written-off:P1-1: 2026-11-24 is closed"):
        booked(database, late)
    with refused("the day is closed"), database.begin() as connection:
        raw(connection, 50, 2, 7, -7)
    assert booked(database, COMBINED) == [False]  # repeated, it is no error
    with database.connect() as connection:
        assert open_day(connection, DAY) == next_day
        assert open_day(connection, next_day + timedelta(3)) == next_day + timedelta(3)
    assert booked(database, late, day=next_day) == [True]
    assert left(database, "company:", DAY) == {}
    assert left(database, "company:", next_day) == {"company:power": -7}
    assert left(database, through=DAY - timedelta(1)) == {}
    assert closed(database, next_day + timedelta(1))  # a span of days
    assert left(database, through=DAY)["order:P1"] == -20_000
    assert left(database, through=next_day + timedelta(9))["order:P1"] == -19_993
    assert left(database, "order:P") == {}
    assert broken(database) == []


def test_what_is_booked_while_a_snapshot_is_taken_undoes_it(database: Engine) -> None:
    booked(database, COMBINED)
    with database.connect() as connection:
        taken = snapshot(connection, DAY)
    assert taken is not None
    booked(database, WrittenOff("P1", 1, "power", 7))
    with database.begin() as connection:
        assert not close(connection, taken, NOON)
    assert closed(database, DAY)
    with database.begin() as connection:
        assert not close(connection, taken, NOON)  # by another bridge meanwhile
    assert broken(database) == []


def test_a_day_is_not_closed_while_a_journal_of_it_is_being_written(database: Engine) -> None:
    """Whoever closes it waits for the other's commit, and then sees the journal."""
    booked(database, COMBINED)
    with database.connect() as connection:
        taken = snapshot(connection, DAY)
    assert taken is not None
    began, found = threading.Event(), []

    def closer() -> None:
        own = engine(database.url.render_as_string(hide_password=False))
        with own.connect() as connection:
            began.set()
            with connection.begin():
                found.append(close(connection, taken, NOON))
        own.dispose()

    thread = threading.Thread(target=closer)
    with database.begin() as connection:
        book(connection, posting(WrittenOff("P1", 1, "power", 7), DAY), NOON)
        thread.start()
        began.wait(30)
        thread.join(0.3)
        assert thread.is_alive()
    thread.join(30)
    assert found == [False]
    assert closed(database, DAY)
    assert broken(database) == []


@pytest.mark.anyio
async def test_days_are_closed_some_days_after(database_url: str) -> None:
    clock, acts = Clock(NOON), []

    async def act(act: str, by: str, /, **details: object) -> None:
        acts.append((act, by, details["day"], details["digest"]))

    store = Store(database_url, MIGRATIONS.prepare)
    await store.start()
    closing = Closing(store, clock, transacting(store, act))
    try:
        assert await closing.look(3) is None  # there is nothing
        await store.write(lambda connection: book(connection, posting(COMBINED, DAY), NOON))
        clock.now = NOON + 3 * 86_400_000
        assert await closing.look(3) is None  # 27 November: the 24th ended two and a half days ago
        clock.now = NOON + 4 * 86_400_000
        found = await closing.look(3)
        assert found is not None
        assert (found.day, found.journals) == (DAY, 1)
        assert acts == [("ledger-day-closed", "bridge", "2026-11-24", found.digest)]
        assert await closing.look(3) is None
        verified = await store.read(lambda connection: verify(connection, BOOKS))
        assert (verified.days, verified.head, verified.broken) == (1, found.digest, ())
    finally:
        await store.close()


@pytest.mark.anyio
async def test_a_clock_that_was_a_year_ahead_closes_no_day_of_that_year(database_url: str) -> None:
    """What is booked afterwards is booked on its day."""
    clock = Clock(NOON + 365 * 86_400_000)
    store = Store(database_url, MIGRATIONS.prepare)
    await store.start()
    closing = Closing(store, clock, transacting(store, nobody))
    try:
        await store.write(lambda connection: book(connection, posting(COMBINED, DAY), NOON))
        assert (found := await closing.look(3)) is not None
        assert found.day == DAY
        clock.now = NOON + 86_400_000
        tomorrow = DAY + timedelta(1)
        assert await store.read(lambda connection: open_day(connection, tomorrow)) == tomorrow
    finally:
        await store.close()


@pytest.mark.anyio
async def test_a_closed_day_is_in_the_audit_or_not_closed(database_url: str) -> None:
    """The digest that goes there is what a ledger of another content is found out by."""
    store = Store(database_url, MIGRATIONS.prepare)
    await store.start()
    audit = Audit(store, AUDIT, "bridge-1", Clock(NOON))
    closing = Closing(store, Clock(NOON + 4 * 86_400_000), audit.transact)
    try:
        await store.write(lambda connection: book(connection, posting(COMBINED, DAY), NOON))
        await store.write(lambda connection: connection.exec_driver_sql("ALTER TABLE audit RENAME TO gone"))
        with pytest.raises(SQLAlchemyError):
            await closing.look(3)
        assert await store.read(lambda connection: last_closed(connection, BOOKS)) is None
        await store.write(lambda connection: connection.exec_driver_sql("ALTER TABLE gone RENAME TO audit"))
        assert (found := await closing.look(3)) is not None
        (record,) = await audit.after(0, 10)
        assert found.digest in record.text
        assert await closing.look(3) is None
        assert len(await audit.after(0, 10)) == 1
    finally:
        await store.close()


# --- verify -----------------------------------------------------------------------------------------------


def test_verify_of_nothing(database: Engine) -> None:
    with database.connect() as connection:
        found = verify(connection, BOOKS)
    assert (found.journals, found.entries, found.days, found.head, found.broken) == (0, 0, 0, GENESIS, ())


@pytest.mark.parametrize(
    ("statement", "where", "reason"),
    [
        ("UPDATE entry SET amount = 8 WHERE journal = 2 AND number = 1", "journal 2", "sums to 1 fen"),
        ("UPDATE entry SET amount = 2 * amount WHERE journal = 2", "day 2026-11-24", "a journal is not as it was"),
        ("UPDATE journal SET ref = 'P2' WHERE id = 2", "day 2026-11-24", "a journal is not as it was"),
        ("UPDATE account SET name = 'company:water' WHERE name = 'company:power'", "day 2026-11-24", "a journal is"),
        ("DELETE FROM entry WHERE journal = 2", "journal 2", "has 0 of its 2 entries"),
        ("DELETE FROM entry WHERE journal = 2; DELETE FROM journal WHERE id = 2", "day 2026-11-24", "has 2 journals"),
        ("UPDATE closed_balance SET amount = amount + 1", "day 2026-11-24", "snapshot says"),
        ("UPDATE closed_day SET digest = 'x'", "day 2026-11-24", "a journal is not as it was"),
        ("UPDATE journal SET reverses = 1 WHERE id = 3", "journal 3", "does not reverse journal 1"),
    ],
)
def test_verify_finds_what_was_changed_past_the_triggers(
    tmp_path: Path, statement: str, where: str, reason: str
) -> None:
    database = engine(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    MIGRATIONS.prepare(database)
    booked(database, COMBINED, WrittenOff("P1", 1, "power", 7), Surplus("wechat", "t", 4))
    assert closed(database, DAY)
    assert broken(database) == []
    with sqlite3.connect(tmp_path / "x.sqlite3") as forger:
        triggers = forger.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            forger.execute(f"DROP TRIGGER {name}")
        forger.executescript(statement)
        for _, made in triggers:
            forger.execute(made)
    found = broken(database)
    assert any(one == where and reason in said for one, said in found), found
    database.dispose()


def test_verify_misses_a_trigger(database: Engine) -> None:
    of = " ON entry" if database.dialect.name == "postgresql" else ""
    with database.begin() as connection:
        connection.exec_driver_sql(f"DROP TRIGGER entry_kept{of}")
    assert broken(database) == [("trigger entry_kept", "is not there")]
    if database.dialect.name == "postgresql":
        with database.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE journal DISABLE TRIGGER journal_open")
        assert ("trigger journal_open", "is not there") in broken(database)


# --- whatever happens to orders ---------------------------------------------------------------------------


@st.composite
def lives(draw: st.DrawFn, order: str) -> list[Event]:
    """An order from its payment to its end, each report once, twice or thrice."""
    amounts = draw(st.lists(st.integers(1, 10**7), min_size=1, max_size=6))
    part = draw(st.integers(0, min(amounts)))
    parts = shares(part, amounts)
    cash = [amount - of for amount, of in zip(amounts, parts, strict=True)]
    events: list[Event] = [Paid(order, "wechat", sum(cash), (Part("bank", part),))]
    for line, (amount, of_cash, of_part) in enumerate(zip(amounts, cash, parts, strict=True), 1):
        company, number = f"u{line % 3}", f"{order}-{line}-R1"
        refund: list[Event] = [RefundDue(number, order, "wechat", of_cash, (Part("bank", of_part),))]
        if of_cash:
            refund.append(RefundProven(number, "wechat", of_cash))
        match draw(st.sampled_from(["written-off", "credited", "refunded", "reversed"])):
            case "written-off":
                events.append(WrittenOff(order, line, company, amount))
            case "credited":
                events.append(Credited(order, line, company, amount))
            case "refunded":
                events += refund
            case "reversed":
                events += [WrittenOff(order, line, company, amount), Reversed(order, line, company, amount), *refund]
    if draw(st.booleans()):
        events.append(Surplus("alipay", order, sum(cash) or 1))
        events.append(RefundProven(f"{order}-0-R1", "alipay", sum(cash) or 1))
    return [event for event in events for _ in range(draw(st.integers(1, 3)))]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the tables, to be copied."""
    file = tmp_path_factory.mktemp("empty") / "x.sqlite3"
    made = engine(f"sqlite:///{file}")
    MIGRATIONS.prepare(made)
    made.dispose()  # the last one to close writes all into the file itself
    return file


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 3).flatmap(lambda count: st.tuples(*(lives(f"P{number}") for number in range(count)))),
    st.randoms(use_true_random=False),
)
def test_ledger_zero_property(
    tmp_path: Path, empty: Path, orders: tuple[list[Event], ...], chance: random.Random
) -> None:
    """Orders' lives in any interleaving, days closed in between: all sums to 0, and each ended order is 0."""
    file = tmp_path / f"{os.urandom(8).hex()}.sqlite3"
    shutil.copyfile(empty, file)
    database = engine(f"sqlite:///{file}")
    lines = [list(events) for events in orders]
    day = DAY
    with database.begin() as connection:
        while lines:
            number = chance.randrange(len(lines))
            events = lines[number]
            book(connection, posting(events.pop(0), day), NOON)
            assert sum(balances(connection, BOOKS).values()) == 0
            if not events:
                del lines[number]
            if chance.random() < 0.2:
                if (taken := snapshot(connection, day)) is not None:
                    assert close(connection, taken, NOON)
                day += timedelta(1)
    assert left(database, "order:") == {}
    assert left(database, "refund:") == {}
    assert broken(database) == []
    database.dispose()


# --- backups ----------------------------------------------------------------------------------------------


def test_a_copy_that_is_put_back_has_the_ledger_and_what_protects_it(database: Engine, tmp_path: Path) -> None:
    sqlite = database.dialect.name == "sqlite"
    section = StoreSection(
        file=tmp_path / "store.sqlite3" if sqlite else None,
        url=None if sqlite else database.url.render_as_string(hide_password=False),
    )
    owner = Owner(program="intranet-bridge", instance="bridge-1", region="main", software="1")
    booked(database, COMBINED)
    assert closed(database, DAY)
    mark = {"generation": 1, "beat": 1, "marked_at": 1, "copied_at": 0, "restored_at": 0, "pending": False}
    with database.begin() as connection:
        connection.execute(HISTORY.insert(), {"only": 1} | mark)
    file, manifest = back_up(section, owner, tmp_path / "copy", NOON)
    booked(database, WrittenOff("P1", 1, "power", 7), day=DAY + timedelta(1))
    database.dispose()
    restore(Place(section, owner), file, manifest, NOON)
    assert left(database)["order:P1"] == -20_000
    assert broken(database) == []  # the triggers too
    for change, match in (("UPDATE entry SET amount = 5", "never changed"), ("DELETE FROM journal", "never changed")):
        with refused(match), database.begin() as connection:
            connection.exec_driver_sql(change)
    # what the copy forgot is reported again, and booked again
    assert booked(database, COMBINED, WrittenOff("P1", 1, "power", 7), day=DAY + timedelta(1)) == [False, True]
