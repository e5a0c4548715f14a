"""The channels' book: what was paid and refunded, in SQLite. Money is fen; a fee is in thousandths of a fen."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path

from protocol.times import CHINA

FEE = 6
"""Thousandths of a fen for each fen: 0.6 %."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS payment (
    id INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL, tx TEXT NOT NULL UNIQUE, order_no TEXT NOT NULL,
    reference TEXT NOT NULL, cash INTEGER NOT NULL, stated INTEGER NOT NULL, fee INTEGER NOT NULL, at TEXT NOT NULL,
    day TEXT, notified INTEGER NOT NULL DEFAULT 0, planted TEXT NOT NULL DEFAULT '', goods TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS payment_day ON payment (channel, day);
CREATE INDEX IF NOT EXISTS payment_order ON payment (channel, order_no);
CREATE TABLE IF NOT EXISTS refund (
    id INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL, number TEXT NOT NULL, tx TEXT NOT NULL,
    reference TEXT NOT NULL, cash INTEGER NOT NULL, fee INTEGER NOT NULL, status TEXT NOT NULL, at TEXT NOT NULL,
    day TEXT NOT NULL, planted TEXT NOT NULL DEFAULT '', goods TEXT NOT NULL, UNIQUE (channel, number)
);
CREATE INDEX IF NOT EXISTS refund_day ON refund (channel, day);
"""
_PAYMENT = "channel, tx, order_no, reference, cash, stated, fee, at, day, notified, planted, goods"
_REFUND = "channel, number, tx, reference, cash, fee, status, at, day, planted, goods"
_ADD_PAYMENT = (
    "INSERT INTO payment (channel, tx, order_no, reference, cash, stated, fee, at, day, planted, goods)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ADD_REFUND = (
    "INSERT INTO refund (channel, number, tx, reference, cash, fee, status, at, day, planted, goods)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class BookError(Exception):
    """What the channel does not do."""


class RefundStatus(StrEnum):
    """What a statement says of a refund."""

    SUCCESS = "SUCCESS"
    PROCESSING = "PROCESSING"
    """Accepted, not paid out yet; the statement of its day says so for ever."""


@dataclass(frozen=True, slots=True)
class Payment:
    """What somebody paid: one transaction. A combined order has one for each of its parts."""

    channel: str
    transaction: str
    order: str
    reference: str
    """Our number, as the channel was given it."""
    cash: int
    stated: int
    """What the statement says instead, if that is another amount."""
    fee: int
    at: datetime
    day: date | None
    """Whose statement has it; None: none does."""
    notified: bool
    """Whether we were told of it."""
    planted: str
    goods: str


@dataclass(frozen=True, slots=True)
class Refund:
    """What went back of a transaction."""

    channel: str
    number: str
    transaction: str
    reference: str
    cash: int
    fee: int
    status: RefundStatus
    at: datetime
    day: date
    planted: str
    goods: str


class Book:
    """Read and written by several processes: each change is one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._connection()) as connection:
            connection.executescript(f"PRAGMA journal_mode = WAL;{_SCHEMA}")

    def pay(
        self, channel: str, order: str, parts: Sequence[tuple[str, int]], at: datetime, *, goods: str = "电费",
        planted: str = "",
    ) -> list[Payment]:  # fmt: skip
        """Somebody pays an order, for each part (reference, fen) with a transaction of its own. Raises BookError."""
        if not parts or any(cash <= 0 for _, cash in parts):
            raise BookError("nothing is paid")
        at = at.astimezone(CHINA).replace(microsecond=0)
        with self._changing() as connection:
            [last] = connection.execute("SELECT coalesce(max(id), 0) FROM payment").fetchone()
            made = []
            for serial, (reference, cash) in enumerate(parts, last + 1):
                row = Payment(
                    channel, _transaction(channel, at, serial), order, reference, cash, cash, cash * FEE, at, at.date(),
                    False, planted, goods,
                )  # fmt: skip
                connection.execute(
                    _ADD_PAYMENT,
                    (
                        channel, row.transaction, order, reference, cash, cash, row.fee, at.isoformat(),
                        at.date().isoformat(), planted, goods,
                    ),
                )  # fmt: skip
                made.append(row)
        return made

    def refund(
        self, channel: str, transaction: str, number: str, cash: int, at: datetime, *,
        status: RefundStatus = RefundStatus.SUCCESS, planted: str = "",
    ) -> Refund:  # fmt: skip
        """Give back some of a transaction. One number refunds once: the same again is answered as it was. Raises
        BookError for another content of that number, and for more than was paid.
        """
        at = at.astimezone(CHINA).replace(microsecond=0)
        with self._changing() as connection:
            known = connection.execute(
                f"SELECT {_REFUND} FROM refund WHERE channel = ? AND number = ?",  # noqa: S608 - a constant
                (channel, number),
            ).fetchone()
            if known is not None:
                found = _refund(known)
                if (found.transaction, found.cash) != (transaction, cash):
                    raise BookError(f"refund {number} is another one")
                return found
            paid = connection.execute(
                "SELECT reference, cash, goods, (SELECT coalesce(sum(cash), 0) FROM refund WHERE tx = payment.tx"
                " AND channel = payment.channel) FROM payment WHERE channel = ? AND tx = ?",
                (channel, transaction),
            ).fetchone()
            if paid is None:
                raise BookError(f"there is no transaction {transaction}")
            reference, whole, goods, back = paid
            if cash <= 0 or back + cash > whole:
                raise BookError(f"of {whole} fen {back} went back: not {cash} more")
            return _add_refund(
                connection,
                Refund(
                    channel, number, transaction, reference, cash, cash * FEE, status, at, at.date(), planted, goods
                ),
            )

    def strange_refund(self, channel: str, number: str, cash: int, at: datetime, planted: str) -> Refund:
        """One of a payment that is in no statement, and not ours."""
        at = at.astimezone(CHINA).replace(microsecond=0)
        with self._changing() as connection:
            [count] = connection.execute("SELECT count(*) FROM refund").fetchone()
            transaction = _transaction(channel, at, 900_000_000 + count)
            return _add_refund(
                connection,
                Refund(
                    channel, number, transaction, f"XR{transaction[-12:]}", cash, cash * FEE, RefundStatus.SUCCESS, at,
                    at.date(), planted, "水费",
                ),
            )  # fmt: skip

    def change(
        self,
        transaction: str,
        planted: str,
        *,
        stated: int | None = None,
        fee: int | None = None,
        left_out: bool = False,
    ) -> None:
        """Have the statement say something else of a payment."""
        with self._changing() as connection:
            connection.execute(
                "UPDATE payment SET planted = ?, stated = coalesce(?, stated), fee = coalesce(?, fee),"
                " day = CASE WHEN ? THEN NULL ELSE day END WHERE tx = ?",
                (planted, stated, fee, left_out, transaction),
            )

    def told(self, transactions: Sequence[str]) -> None:
        """We were notified of these."""
        with self._changing() as connection:
            connection.executemany("UPDATE payment SET notified = 1 WHERE tx = ?", [(one,) for one in transactions])

    def payments(self, channel: str, *, day: date | None = None, order: str | None = None) -> list[Payment]:
        """All, or those of a day's statement, or of an order; as they were paid."""
        with closing(self._connection()) as connection:
            rows = connection.execute(
                f"SELECT {_PAYMENT} FROM payment WHERE channel = ? AND (? IS NULL OR day = ?)"  # noqa: S608 - constants
                " AND (? IS NULL OR order_no = ?) ORDER BY id",
                (channel, day and day.isoformat(), day and day.isoformat(), order, order),
            ).fetchall()
        return [_payment(row) for row in rows]

    def refunds(self, channel: str, *, day: date | None = None, number: str | None = None) -> list[Refund]:
        """All, or those of a day's statement, or the one of a number."""
        with closing(self._connection()) as connection:
            rows = connection.execute(
                f"SELECT {_REFUND} FROM refund WHERE channel = ? AND (? IS NULL OR day = ?)"  # noqa: S608 - constants
                " AND (? IS NULL OR number = ?) ORDER BY id",
                (channel, day and day.isoformat(), day and day.isoformat(), number, number),
            ).fetchall()
        return [_refund(row) for row in rows]

    def _connection(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=30)
        connection.execute("PRAGMA synchronous = NORMAL")  # of its process's death nothing is lost
        return connection

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with closing(self._connection()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")


def _add_refund(connection: sqlite3.Connection, made: Refund) -> Refund:
    connection.execute(
        _ADD_REFUND,
        (
            made.channel, made.number, made.transaction, made.reference, made.cash, made.fee, made.status,
            made.at.isoformat(), made.day.isoformat(), made.planted, made.goods,
        ),
    )  # fmt: skip
    return made


def _transaction(channel: str, at: datetime, serial: int) -> str:
    """A number as the channel writes it."""
    match channel:
        case "wechat":
            return f"4200000001{at:%Y%m%d}{serial:010}"
        case "alipay":
            return f"{at:%Y%m%d}2200140{serial:013}"
    return f"{channel.upper()}{at:%Y%m%d}{serial:010}"


def _payment(row: Sequence[str | int | None]) -> Payment:
    channel, transaction, order, reference, cash, stated, fee, at, day, notified, planted, goods = row
    return Payment(
        str(channel), str(transaction), str(order), str(reference), int(cash or 0), int(stated or 0), int(fee or 0),
        datetime.fromisoformat(str(at)), date.fromisoformat(str(day)) if day else None, bool(notified), str(planted),
        str(goods),
    )  # fmt: skip


def _refund(row: Sequence[str | int]) -> Refund:
    channel, number, transaction, reference, cash, fee, status, at, day, planted, goods = row
    return Refund(
        str(channel), str(number), str(transaction), str(reference), int(cash), int(fee), RefundStatus(str(status)),
        datetime.fromisoformat(str(at)), date.fromisoformat(str(day)), str(planted), str(goods),
    )  # fmt: skip
