"""One statement compared with the books: what each payment comes to, and what it takes. Pure."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date, datetime, time

from intranet_bridge.settlement.statements.cases import Case, cases
from intranet_bridge.settlement.statements.decisions import Rules, decided
from intranet_bridge.settlement.statements.differences import ACTING, Action, Class, Item
from intranet_bridge.settlement.statements.profiles import Kind, Status
from intranet_bridge.settlement.statements.sides import Order, Seen, WriteOff
from protocol.times import CHINA
from protocol.values import immutable


@immutable
class Step:
    """One write-off, or one reversal, that an item takes."""

    line: int
    account: str
    amount: int


@immutable
class Found:
    """An item, with what is needed to act on it."""

    item: Item
    day: date
    """The payment's, as the platform or the books say."""
    steps: tuple[Step, ...] = ()
    at: date | None = None
    """When it was paid, or the last of it paid back."""


@immutable
class Scope:
    """What a run is about."""

    channel: str
    day: date
    since: date
    """The first day that the write-off list was asked for as a whole; of earlier ones only what is `related` counts."""
    first: date
    """Of the channel's first accepted statement: what was written off before has none."""
    known: frozenset[tuple[str, str, int]]
    """(transaction, order, line) of what waits already."""


def paid_at(at: date) -> datetime:
    """When something was paid; midnight, where only the day is known."""
    return at if isinstance(at, datetime) else datetime.combine(at, time(), CHINA)


def day_of(at: date) -> date:
    """The day, in China."""
    return at.astimezone(CHINA).date() if isinstance(at, datetime) else at


def relevant(write_offs: Sequence[WriteOff], since: date, related: Collection[str]) -> list[WriteOff]:
    """Those of the days in question, and of earlier ones those of payments and orders that are `related`."""
    return [
        one for one in write_offs
        if day_of(one.at) >= since or one.transaction in related or (one.order and one.order in related)
    ]  # fmt: skip


def compared(
    rows: Sequence[Seen],
    write_offs: Sequence[WriteOff],
    orders: Callable[[str], Order | None],
    rules: Rules,
    scope: Scope,
) -> Iterator[Found]:
    """What everything comes to."""
    for case in cases(rows, write_offs):
        order = orders(case.name)
        for item in decided(case, order, rules):
            found = _found(case, order, item, scope)
            if found is not None:
                yield found


def _found(case: Case, order: Order | None, item: Item, scope: Scope) -> Found | None:
    day = _day(case, item, scope)
    if item.what in (Class.POOLED, Class.MARKETING_ONLY) and not _waits(item, day, scope):
        return None
    steps = _steps(case, order, item)
    return Found(item, day, steps, _at(case, item))


def _waits(item: Item, day: date, scope: Scope) -> bool:
    """Whether a write-off without a payment is one to be told of: that of a later day is asked for again with that
    day's statement, and that of a day before the first statement was never to be in one.
    """
    if item.channel != scope.channel:
        return False
    line = item.lines[0] if item.lines else 0
    if (item.transaction, item.order, line) in scope.known:
        return True
    return scope.first <= day <= scope.day


def _day(case: Case, item: Item, scope: Scope) -> date:
    """The statement's day of what the item is about; of a write-off alone, its own."""
    if item.what in (Class.POOLED, Class.MARKETING_ONLY):
        mine = [
            one for one in case.write_offs
            if one.transaction == item.transaction and (not item.lines or one.line in item.lines)
        ]  # fmt: skip
        return day_of(mine[0].at) if mine else scope.day
    days = [
        row.day for row in case.rows
        if (row.channel, row.transaction) == (item.channel, item.transaction)
        and (row.kind is Kind.PAY) == (item.kind is Kind.PAY)
    ]  # fmt: skip
    return max(days, default=scope.day)


def _at(case: Case, item: Item) -> date | None:
    if item.paid_at is not None:
        return item.paid_at
    times = [
        row.at for row in case.rows
        if (row.channel, row.transaction) == (item.channel, item.transaction)
        and row.kind is not Kind.PAY and row.status is Status.PROVEN
    ]  # fmt: skip
    return max(times, key=lambda at: paid_at(at), default=None)


def _steps(case: Case, order: Order | None, item: Item) -> tuple[Step, ...]:
    if item.action not in ACTING:
        return ()
    if item.action is Action.REVERSE:
        standing = [
            ours for ours in case.write_offs
            if ours.amount > ours.reversed and ours.transaction in ("", item.transaction)
        ]  # fmt: skip
        if order is not None and item.lines:
            accounts = {line.account for line in order.lines if line.line in item.lines}
            standing = [ours for ours in standing if (ours.line or None) in item.lines or ours.account in accounts]
        # One that was reversed in part cannot be reversed as the whole that an interface takes back.
        return tuple(
            Step(max(1, ours.line), ours.account if not ours.reversed else "", ours.amount - ours.reversed)
            for ours in standing
        )
    if order is not None and order.lines:
        return tuple(Step(line.line, line.account, line.amount) for line in order.lines if line.line in item.lines)
    accounts = {
        row.account for row in case.rows
        if row.kind is Kind.PAY and (row.channel, row.transaction) == (item.channel, item.transaction) and row.account
    }  # fmt: skip
    return (Step(1, accounts.pop() if len(accounts) == 1 else "", item.amount),)


def folded(rows: Sequence[Seen], channels: Collection[str]) -> list[Seen]:
    """Rows of the same payment as one, for channels whose statements have a row for each line of a payment."""
    kept: list[Seen] = []
    together: dict[tuple[str, str, date, Kind, str, str], list[Seen]] = {}
    for row in rows:
        if row.channel in channels and row.transaction:
            key = row.channel, row.merchant, row.day, row.kind, row.transaction, row.refund
            together.setdefault(key, []).append(row)
        else:
            kept.append(row)
    for lines in together.values():
        first = lines[0]
        penalties = [line.penalty for line in lines if line.penalty is not None]
        accounts = {line.account for line in lines}
        kept.append(
            Seen(
                first.channel, first.day, first.kind, first.transaction, first.order, first.refund,
                sum(line.gross for line in lines), first.at, first.status,
                first.account if len(accounts) == 1 else "", sum(penalties) if penalties else None,
                first.merchant,
            )
        )  # fmt: skip
    return kept
