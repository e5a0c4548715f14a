"""The comparison itself, in a process of its own: a million rows take ten seconds of one core, and a thread would keep
the daemon's other work waiting for the interpreter meanwhile, a second at a time where it sorts.

Its input is lines of JSON: what is asked (`Question`), write-offs, and `"end"`; without that it does nothing. Its
output is lines of JSON: each difference, and at last the totals. Rows it reads from the database itself.
"""

import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from intranet_bridge.settlement.statements.comparing import (
    Found,
    Scope,
    Step,
    compared,
    day_of,
    folded,
    relevant,
)
from intranet_bridge.settlement.statements.elsewhere import elsewhere
from intranet_bridge.settlement.statements.matching import ACTING, Accepted, Action, Class, Item, Rules, WriteOff
from intranet_bridge.settlement.statements.profiles import Kind
from intranet_bridge.settlement.statements.records import related_names, rows_to_match
from intranet_bridge.settlement.statements.sides import Order
from protocol.runtime.store_engine import engine
from protocol.values import immutable

_NICE = 10
END = "end"


@immutable
class Question:
    """What is compared."""

    url: str
    """Of the database. It has a password: it goes by the input, never by the command line."""
    file: str
    scope: Scope
    today: date
    accepted: Accepted
    orders: tuple[str, ...]
    transactions: tuple[str, ...]
    """Of what waits."""
    by_line: frozenset[str]
    """Channels whose statements have a row for each line of a payment."""
    elsewhere: frozenset[str] = frozenset()
    """Companies whose marketing system another bridge has."""

    def line(self) -> str:
        """As the first line of the input."""
        scope = self.scope
        return json.dumps(
            {
                "url": self.url, "file": self.file, "today": self.today.isoformat(), "channel": scope.channel,
                "day": scope.day.isoformat(), "since": scope.since.isoformat(), "first": scope.first.isoformat(),
                "known": sorted(scope.known), "orders": self.orders, "transactions": self.transactions,
                "by_line": sorted(self.by_line), "elsewhere": sorted(self.elsewhere),
                "accepted": {
                    name: [day.isoformat() for day in days] for name, days in self.accepted.days.items()
                },
            }
        )  # fmt: skip


@immutable
class Totals:
    """What a comparison came to."""

    counts: dict[str, tuple[int, int]]
    """Items and fen, by class."""
    write_offs: int
    actions: int
    amount: int


def question(line: str) -> Question:
    """Of an input's first line."""
    told = json.loads(line)
    scope = Scope(
        told["channel"], _day(told["day"]), _day(told["since"]), _day(told["first"]),
        frozenset((transaction, order, line) for transaction, order, line in told["known"]),
    )  # fmt: skip
    accepted = Accepted({name: [_day(day) for day in days] for name, days in told["accepted"].items()})
    return Question(
        told["url"], told["file"], scope, _day(told["today"]), accepted, tuple(told["orders"]),
        tuple(told["transactions"]), frozenset(told["by_line"]), frozenset(told["elsewhere"]),
    )  # fmt: skip


def written(one: WriteOff) -> str:
    """A write-off as a line."""
    return json.dumps(
        [one.order, one.transaction, one.channel, one.amount, one.at.isoformat(), one.reversed, one.line, one.account,
         one.penalty, one.merchant]
    )  # fmt: skip


def answered(line: str) -> Found | Totals:
    """Of a line of the output. Raises ValueError for one that says that it failed."""
    told = json.loads(line)
    match told[0]:
        case "found":
            return _found(told)
        case "totals":
            counts = {name: (count, amount) for name, (count, amount) in told[1].items()}
            return Totals(counts, *told[2:])
    raise ValueError(str(told[1]))


Orders = Callable[[Connection, Iterable[str]], Callable[[str], Order | None]]
"""Finds orders of ours in a database, by what rows call them. Told first: all that will be asked for; asked in the
order of the names, it reads each order once."""


def no_orders(connection: Connection, names: Iterable[str]) -> Callable[[str], Order | None]:
    """Where there are none."""
    return lambda name: None


def work(
    lines: Iterator[str],
    tell: Callable[[str], object],
    connection: Connection,
    asked: Question,
    orders: Orders = no_orders,
) -> None:
    """Compare what the lines say with what the database has."""
    write_offs: list[WriteOff] = []
    for line in lines:
        told = json.loads(line)
        if told == END:
            break
        write_offs.append(_write_off(told))
    else:
        raise ValueError("the input broke off")
    scope = asked.scope
    if any(day_of(one.at) < scope.since for one in write_offs):
        related = related_names(connection, asked.file) | {*asked.orders, *asked.transactions}
        write_offs = relevant(write_offs, scope.since, related)
    rows = rows_to_match(connection, asked.file, write_offs, asked.orders, asked.transactions)
    if asked.by_line:
        rows = folded(rows, asked.by_line)
    write_offs += elsewhere(connection, {row.order for row in rows if row.order}, asked.elsewhere)
    counts: Counter[str] = Counter()
    amounts: Counter[str] = Counter()
    actions = amount = 0
    rules = Rules(asked.today, asked.accepted)
    for one in compared(rows, write_offs, orders(connection, (row.order for row in rows)), rules, scope):
        counts[one.item.what] += 1
        amounts[one.item.what] += one.item.amount
        if one.item.action in ACTING:
            actions, amount = actions + 1, amount + one.item.amount
        if one.item.what is not Class.MATCHED:
            tell(_told(one))
    tell(
        json.dumps(
            ["totals", {name: (counts[name], amounts[name]) for name in counts}, len(write_offs), actions, amount]
        )
    )


def main(orders: Orders = no_orders) -> None:
    """Read the input, write the output. A failure is told without any value: who reads it may log it."""
    with contextlib.suppress(OSError):  # a service's sandbox may forbid it
        os.nice(_NICE)
    out = sys.stdout

    def tell(line: str) -> None:
        out.write(line + "\n")

    try:
        lines: Iterable[str] = iter(sys.stdin)
        asked = question(next(iter(lines)))
        database = engine(asked.url)
        try:
            with database.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                work(iter(lines), tell, connection, asked, orders)
        finally:
            database.dispose()
    except BrokenPipeError:
        os._exit(1)
    except Exception as error:
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place else ""
        tell(json.dumps(["failed", f"{type(error).__name__} at {where}"]))
    out.flush()


def _day(text: str) -> date:
    return date.fromisoformat(text)


def _moment(text: str | None) -> date | None:
    return None if not text else datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def _write_off(told: list[Any]) -> WriteOff:
    order, transaction, channel, amount, at, reversed_, line, account, penalty, merchant = told
    when = datetime.fromisoformat(at)
    return WriteOff(order, transaction, channel, amount, when, reversed_, line, account, penalty, merchant)


def _told(one: Found) -> str:
    item = one.item
    return json.dumps(
        [
            "found", one.day.isoformat(), [(step.line, step.account, step.amount) for step in one.steps],
            one.at.isoformat() if one.at else "", item.what, item.action, item.channel, item.transaction, item.order,
            item.kind, item.refunds, item.whole, item.lines, item.amount, item.field, item.platform, item.books,
            item.booked_on.isoformat() if item.booked_on else "", item.why, item.merchant,
        ]
    )  # fmt: skip


def _found(told: list[Any]) -> Found:
    (day, steps, at, what, action, channel, transaction, order, kind, refunds, whole, lines, amount, field, platform,
     books, booked_on, why, merchant) = told[1:]  # fmt: skip
    item = Item(
        Class(what), Action(action), channel, transaction, order, Kind(kind), tuple(refunds), whole, tuple(lines),
        amount, field, platform, books, _moment(at), _moment(booked_on), why, merchant,
    )  # fmt: skip
    return Found(item, _day(day), tuple(Step(*step) for step in steps), _moment(at))


if __name__ == "__main__":
    main()
