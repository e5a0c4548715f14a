"""What the books have of statements' rows, and what is booked of them: work within a transaction of the store.

A payment without an order of ours, and its refund, is booked here, each once by its key, when its statement counts.
(An order's are booked by who pays it and writes it off.) Where a statement takes another's place, what it has otherwise
is one journal more.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import Protocol

from sqlalchemy import Connection, func, select

from intranet_bridge.settlement.clearing.counting import CLEARED_KINDS, OrderFacts, Row, named, order_of
from intranet_bridge.settlement.events import Corrected, Event, NotBooked, Payment, PaymentRefunded, posting
from intranet_bridge.settlement.ledger import book, open_day
from intranet_bridge.settlement.rows import BOOKS, LINES
from intranet_bridge.settlement.statements.profiles import Kind, Status
from protocol.runtime.logs import logger

log = logger(__name__)

PAGE = 500
_L, _A, _J, _E = LINES.c, BOOKS.accounts.c, BOOKS.journals.c, BOOKS.entries.c
_KINDS = [str(kind) for kind in CLEARED_KINDS]


class Orders(Protocol):
    """Who knows the orders of ours."""

    def __call__(self, connection: Connection, numbers: Collection[str]) -> Mapping[str, OrderFacts]:
        """Those of these numbers that are there, by number."""


def rows_after(connection: Connection, file: str, line: int, limit: int = PAGE) -> list[Row]:
    """A page of a statement's rows that concern clearing."""
    asked = (
        select(LINES)
        .where(_L.file == file, _L.line > line, _L.kind.in_(_KINDS), _L.status != Status.FAILED)
        .order_by(_L.line)
        .limit(limit)
    )
    return [
        Row(
            row.file, row.line, Kind(row.kind), row.transaction_no or f"{row.file}:{row.line}", row.order_no,
            row.refund_no, row.gross, row.settled, row.fee, Status(row.status),
        )
        for row in connection.execute(asked)
    ]  # fmt: skip


def all_rows(connection: Connection, file: str) -> Iterator[list[Row]]:
    """All of a statement's, page by page."""
    line = 0
    while page := rows_after(connection, file, line):
        yield page
        line = page[-1].line


def orders_of(connection: Connection, rows: Sequence[Row], orders: Orders) -> Mapping[str, OrderFacts]:
    """The orders of ours that rows are of."""
    numbers = {number for row in rows if row.order for number in named(row.order) if number}
    return orders(connection, sorted(numbers)) if numbers else {}


def key_of(channel: str, row: Row) -> str:
    """Under which a row without an order of ours is booked, with others of its transaction in its file."""
    if row.kind is Kind.PAY:
        return f"payment:{channel}:{row.transaction}"
    return f"payment-refunded:{channel}:{row.transaction}:{row.refund or row.kind}"


def book_rows(
    connection: Connection, file: str, channel: str, company: str, day: date, rows: Sequence[Row], now: int
) -> list[Row]:
    """Book rows without an order of ours. Gives those that the books have otherwise."""
    sums = _sums(connection, file, rows)
    otherwise = []
    opened = open_day(connection, day)
    for same in _by_key(channel, rows).values():
        row = same[0]
        amount = sums.get((row.transaction, row.kind, row.refund), sum(one.gross for one in same))
        if not amount:
            continue
        event: Event
        if row.kind is Kind.PAY:
            event = Payment(channel, row.transaction, company, amount)
        else:
            event = PaymentRefunded(channel, row.transaction, row.refund or row.kind, company, amount)
        try:
            book(connection, posting(event, opened), now)
        except NotBooked as error:
            log.warning("clearing-not-booked", file=file, line=row.line, reason=type(error).__name__)
            otherwise += same
    return otherwise


def _by_key(channel: str, rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(key_of(channel, row), []).append(row)
    return found


def _sums(connection: Connection, file: str, rows: Sequence[Row]) -> dict[tuple[str, str, str], int]:
    """What the file has in all of each of the rows' transactions: one payment may be several rows."""
    asked = (
        select(_L.transaction_no, _L.kind, _L.refund_no, func.sum(_L.gross))
        .where(
            _L.file == file, _L.transaction_no.in_(sorted({row.transaction for row in rows})), _L.kind.in_(_KINDS),
            _L.status != Status.FAILED,
        )
        .group_by(_L.transaction_no, _L.kind, _L.refund_no)
    )  # fmt: skip
    return {(no, Kind(kind), refund): int(total) for no, kind, refund, total in connection.execute(asked)}


def correct(
    connection: Connection, file: str, before: Sequence[str], channel: str, company: str, day: date, orders: Orders,
    now: int,
) -> int:  # fmt: skip
    """Book what a statement has otherwise than those whose place it took, of rows without an order: so many fen."""
    said, keys = 0, set[str]()
    for one in (file, *before):
        for page in all_rows(connection, one):
            known = orders_of(connection, page, orders)
            for row in page:
                if order_of(row, known) is None:
                    keys.add(key_of(channel, row))
                    if one == file:
                        said += row.gross if row.kind is Kind.PAY else -row.gross
    keys |= {f"corrected:{one}:{company}" for one in before}
    amount = said - _booked(connection, keys, f"company:{company}")
    if amount:
        event = Corrected(file, channel, company, amount)
        book(connection, posting(event, open_day(connection, day)), now)
    return amount


def _booked(connection: Connection, keys: Collection[str], account: str) -> int:
    """What journals have on an account of a company, as it is owed."""
    total = 0
    wanted = sorted(keys)
    for at in range(0, len(wanted), PAGE):
        asked = (
            select(func.coalesce(func.sum(_E.amount), 0))
            .select_from(BOOKS.entries)
            .join(BOOKS.journals, _J.id == _E.journal)
            .join(BOOKS.accounts, _A.id == _E.account)
            .where(_J.event_key.in_(wanted[at : at + PAGE]), _A.name == account)
        )
        total -= int(connection.execute(asked).scalar_one())
    return total


def known_keys(connection: Connection, keys: Collection[str]) -> set[str]:
    """Those of the keys that the books have."""
    found: set[str] = set()
    wanted = sorted(keys)
    for at in range(0, len(wanted), PAGE):
        found |= set(connection.execute(select(_J.event_key).where(_J.event_key.in_(wanted[at : at + PAGE]))).scalars())
    return found


def surplus(connection: Connection, channel: str, rows: Sequence[Row]) -> set[str]:
    """The transactions among the rows' that are booked as paid once too often."""
    prefix = f"surplus:{channel}:"
    return {key.removeprefix(prefix) for key in known_keys(connection, {f"{prefix}{row.transaction}" for row in rows})}
