"""Payments (缴费): write-off, prepayment and reversal of what channels charged.

A payment is known by channel, the channel's serial number and line. One that comes again, whatever its `reqId`, is
answered as the first was and not booked again, or refused if its content differs.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from scripts.tools.marketing_simulator.effects import AlreadyDone, Applied, EffectWriter
from scripts.tools.marketing_simulator.fields import ACCOUNT, REQUEST_ID, Fields
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.payment_rows import Bill, open_bills
from scripts.tools.marketing_simulator.queries import Queries
from scripts.tools.marketing_simulator.responses import Code, Refusal, success, to_json

LARGEST_AMOUNT = 10**13
WRITEOFF, PREPAYMENT = "01", "02"
REVERSAL_REASONS = ("01", "02", "03", "04")

PAYMENT_COLUMNS = (
    "id, request_id, kind, channel, serial, line, account, number, amount_fen, paid_at, booked_on, months,"
    " credited_fen, settled, balance_fen, reversed"
)
PAYMENT = f"SELECT {PAYMENT_COLUMNS} FROM payment WHERE channel = ? AND serial = ? AND line = ?"  # noqa: S608
PAYMENT_BY_ID = f"SELECT {PAYMENT_COLUMNS} FROM payment WHERE id = ?"  # noqa: S608
ANSWERED_PAYMENT = "SELECT answer ->> '$.data.payNo' FROM journal WHERE request_id = ?"
INSERT_PAYMENT = (
    "INSERT INTO payment (request_id, kind, channel, serial, line, account, number, amount_fen, paid_at, booked_on,"
    " months, credited_fen, settled, balance_fen, reversed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"
)
SETTLE = "INSERT INTO settled (number, month, payment, paid_fen, paid_date) VALUES (?, ?, ?, ?, ?)"
ADD_CREDIT = (
    "INSERT INTO advance VALUES (?, ?) ON CONFLICT (number) DO UPDATE SET amount_fen = amount_fen + excluded.amount_fen"
    " RETURNING amount_fen"
)
REVERSAL = "SELECT id, reason, refund, paid_at, booked_on, months, balance_fen FROM reversal WHERE payment = ?"
INSERT_REVERSAL = (
    "INSERT INTO reversal (payment, request_id, reason, refund, paid_at, booked_on, months, balance_fen)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class Charge:
    """What a channel charged, as it is to be booked."""

    request_id: str
    kind: str
    channel: str
    serial: str
    line: int
    account: str
    amount_fen: int
    paid_at: str
    booked_on: str
    months: str
    """`YYYYMM` joined by commas; empty: the oldest bills first."""

    @property
    def key(self) -> tuple[str, str, int]:
        """What it is known by."""
        return self.channel, self.serial, self.line

    @property
    def content(self) -> tuple[object, ...]:
        """What must be the same when it comes again."""
        return self.kind, self.account, self.amount_fen, self.paid_at, self.booked_on, self.months


@dataclass(frozen=True, slots=True)
class Payment:
    """A booked payment: a row of its table."""

    id: int
    request_id: str
    kind: str
    channel: str
    serial: str
    line: int
    account: str
    number: int
    amount_fen: int
    paid_at: str
    booked_on: str
    months: str
    credited_fen: int
    settled: str
    """JSON, as `stlList`."""
    balance_fen: int
    reversed: int

    @property
    def content(self) -> tuple[object, ...]:
        """As of a Charge."""
        return self.kind, self.account, self.amount_fen, self.paid_at, self.booked_on, self.months

    def as_data(self, request_id: str) -> dict[str, object]:
        """The interfaces' `data` of it."""
        return {
            "reqId": request_id,
            "payNo": f"PY{self.id:012}",
            "consNo": self.account,
            "chnlCode": self.channel,
            "chnlSeq": self.serial,
            "chnlLine": self.line,
            "payType": self.kind,
            "payAmt": self.amount_fen,
            "payTime": self.paid_at,
            "acctDate": self.booked_on,
            "stlList": json.loads(self.settled),
            "preAmt": self.credited_fen,
            "preBal": self.balance_fen,
        }


def chosen(bills: Sequence[Bill], charge: Charge) -> list[Bill]:
    """The bills that a charge settles. Raises Refusal."""
    if charge.kind == PREPAYMENT:
        return []
    if charge.months:
        by_month = {bill.month: bill for bill in bills}
        try:
            wanted = [by_month[int(month)] for month in charge.months.split(",")]
        except KeyError as error:
            raise Refusal(Code.BILL_NOT_OPEN, str(error.args[0])) from error
        if any(_held(bill, charge) for bill in wanted):
            raise Refusal(Code.BILL_FROZEN)
        if sum(bill.total for bill in wanted) != charge.amount_fen:
            raise Refusal(Code.AMOUNT)
        return wanted
    left, settled = charge.amount_fen, []
    for bill in bills:
        if _held(bill, charge):
            continue
        if bill.total > left:
            break
        left -= bill.total
        settled.append(bill)
    return settled


def _held(bill: Bill, charge: Charge) -> bool:
    """Whether it is being collected in another way."""
    return bill.held_by is not None and bill.held_for != charge.channel


class Payments:
    """The payment interfaces: they read over `connection` and write through `effects`."""

    def __init__(self, connection: sqlite3.Connection, effects: EffectWriter, queries: Queries) -> None:
        self._connection = connection
        self._effects = effects
        self._queries = queries

    def interfaces(self) -> Iterator[Interface]:
        """What the marketing system offers of them."""
        yield Interface("/api/pay/writeoff", effect=self.write_off)
        yield Interface("/api/pay/prepay", effect=self.prepay)
        yield Interface("/api/pay/reverse", effect=self.reverse)
        yield Interface("/api/pay/state", query=self.state)

    async def write_off(self, fields: Fields) -> Applied:
        """`/api/pay/writeoff`: settles bills; what is left becomes credit."""
        return await self._book(self._charge(fields, WRITEOFF, fields.months("ymList")), "pay/writeoff")

    async def prepay(self, fields: Fields) -> Applied:
        """`/api/pay/prepay`: all of it becomes credit."""
        return await self._book(self._charge(fields, PREPAYMENT, ()), "pay/prepay")

    async def reverse(self, fields: Fields) -> Applied:
        """`/api/pay/reverse`: the payment's bills are open again, its credit is gone."""
        request_id = fields.text("reqId", 64, REQUEST_ID)
        key = _key(fields)
        account, amount = fields.text("consNo", 13, ACCOUNT), fields.whole("payAmt", 1, LARGEST_AMOUNT)
        reason = fields.text("revReason", 2)
        if reason not in REVERSAL_REASONS:
            raise Refusal(Code.INVALID_FIELD, "revReason")
        content = (
            reason,
            fields.optional_text("refundSeq", 64) or "",
            f"{fields.moment('revTime'):%Y-%m-%d %H:%M:%S}",
            fields.day("acctDate").isoformat(),
        )
        self._queries.account(account)

        def perform(connection: sqlite3.Connection) -> str | AlreadyDone:
            payment = _found(connection, key)
            if payment is None or payment.account != account:
                raise Refusal(Code.NO_SUCH_PAYMENT)
            if payment.amount_fen != amount:
                raise Refusal(Code.AMOUNT)
            if payment.reversed:
                id, *before, months, balance = connection.execute(REVERSAL, (payment.id,)).fetchone()
                if tuple(before) != content:
                    raise Refusal(Code.TRANSACTION_CONFLICT)
                return AlreadyDone(_reversed(payment, request_id, id, months, balance))
            return self._reverse(connection, payment, request_id, content)

        return await self._effects.apply(request_id, "pay/reverse", perform, once=False)

    def state(self, fields: Fields) -> bytes:
        """`/api/pay/state`: a payment by channel, serial number and line, or by the `reqId` it was answered to."""
        request_id = fields.optional_text("reqId", 64, REQUEST_ID)
        if request_id is None:
            payment = _found(self._connection, _key(fields))
        else:
            row = self._connection.execute(ANSWERED_PAYMENT, (request_id,)).fetchone()
            number = None if row is None else row[0]
            found = self._connection.execute(PAYMENT_BY_ID, (int(number[2:]) if number else -1,)).fetchone()
            payment = None if found is None else Payment(*found)
        if payment is None:
            raise Refusal(Code.NO_SUCH_PAYMENT)
        data = payment.as_data(request_id or payment.request_id)
        del data["preBal"]  # it was so when it was booked
        taken_back = self._connection.execute(REVERSAL, (payment.id,)).fetchone()
        reversed_on = None if taken_back is None else taken_back[4]
        return success({**data, "payStatus": "9" if payment.reversed else "1", "revDate": reversed_on}).encode()

    def _charge(self, fields: Fields, kind: str, months: tuple[int, ...]) -> Charge:
        paid_at, booked_on = fields.moment("payTime"), fields.day("acctDate")
        if booked_on < paid_at.date():
            raise Refusal(Code.INVALID_FIELD, "acctDate")
        channel, serial, line = _key(fields)
        return Charge(
            fields.text("reqId", 64, REQUEST_ID),
            kind,
            channel,
            serial,
            line,
            account=fields.text("consNo", 13, ACCOUNT),
            amount_fen=fields.whole("payAmt", 1, LARGEST_AMOUNT),
            paid_at=f"{paid_at:%Y-%m-%d %H:%M:%S}",
            booked_on=booked_on.isoformat(),
            months=",".join(map(str, months)),
        )

    async def _book(self, charge: Charge, operation: str) -> Applied:
        account = self._queries.account(charge.account)

        def perform(connection: sqlite3.Connection) -> str | AlreadyDone:
            known = _found(connection, charge.key)
            if known is not None:
                if known.content != charge.content:
                    raise Refusal(Code.TRANSACTION_CONFLICT)
                if known.reversed:
                    raise Refusal(Code.TRANSACTION_REVERSED)
                return AlreadyDone(success(known.as_data(charge.request_id)))
            if account.closed:
                raise Refusal(Code.ACCOUNT_CLOSED)
            return self._insert(connection, account.number, charge)

        return await self._effects.apply(charge.request_id, operation, perform, once=False)

    def _insert(self, connection: sqlite3.Connection, number: int, charge: Charge) -> str:
        paid_on = datetime.fromisoformat(charge.paid_at).date()
        bills = chosen(open_bills(connection, number, paid_on), charge)
        credited = charge.amount_fen - sum(bill.total for bill in bills)
        (balance,) = connection.execute(ADD_CREDIT, (number, credited)).fetchone()
        lines = [
            {"amtYm": str(bill.month), "rcvblAmt": bill.amount_fen, "penaltyAmt": bill.penalty_fen} for bill in bills
        ]
        row = (charge.request_id, charge.kind, *charge.key, charge.account, number, charge.amount_fen)
        when = (charge.paid_at, charge.booked_on, charge.months)
        id = connection.execute(INSERT_PAYMENT, (*row, *when, credited, to_json(lines), balance)).lastrowid
        rows = [(number, bill.month, id, bill.total, paid_on.isoformat()) for bill in bills]
        connection.executemany(SETTLE, rows)
        booked = connection.execute(PAYMENT_BY_ID, (id,)).fetchone()
        return success(Payment(*booked).as_data(charge.request_id))

    def _reverse(
        self, connection: sqlite3.Connection, payment: Payment, request_id: str, content: tuple[str, ...]
    ) -> str:
        connection.execute("DELETE FROM settled WHERE payment = ?", (payment.id,))
        connection.execute("UPDATE payment SET reversed = 1 WHERE id = ?", (payment.id,))
        (balance,) = connection.execute(ADD_CREDIT, (payment.number, -payment.credited_fen)).fetchone()
        months = ",".join(line["amtYm"] for line in json.loads(payment.settled))
        id = connection.execute(INSERT_REVERSAL, (payment.id, request_id, *content, months, balance)).lastrowid
        assert id is not None, "an INSERT into a table with an integer key gives one"
        return _reversed(payment, request_id, id, months, balance)


def _key(fields: Fields) -> tuple[str, str, int]:
    return fields.text("chnlCode", 32), fields.text("chnlSeq", 64), fields.whole("chnlLine", 1, 99, default=1)


def _found(connection: sqlite3.Connection, key: tuple[str, str, int]) -> Payment | None:
    row = connection.execute(PAYMENT, key).fetchone()
    return None if row is None else Payment(*row)


def _reversed(payment: Payment, request_id: str, id: int, months: str, balance: int) -> str:
    return success(
        {
            "reqId": request_id,
            "revNo": f"RV{id:012}",
            "consNo": payment.account,
            "chnlCode": payment.channel,
            "chnlSeq": payment.serial,
            "chnlLine": payment.line,
            "payAmt": payment.amount_fen,
            "ymList": months.split(",") if months else [],
            "preBal": balance,
        }
    )
