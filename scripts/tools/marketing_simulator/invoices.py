"""Electronic invoices (电子发票): asked for by month, issued `node_seconds` after that.

One that is asked for again, the same months for the same buyer to the same address, is answered as the first was.
A month that is on another one is refused.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from scripts.tools.marketing_simulator.clock import CHINA_STANDARD_TIME, Clock, legacy_time
from scripts.tools.marketing_simulator.effects import AlreadyDone, Applied, EffectWriter
from scripts.tools.marketing_simulator.fields import ACCOUNT, EMAIL, REQUEST_ID, TAX_NUMBER, Fields
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.months import month_of, months_between, shifted
from scripts.tools.marketing_simulator.payment_rows import UNPAID_BILLS
from scripts.tools.marketing_simulator.population import BILLED_MONTHS
from scripts.tools.marketing_simulator.queries import Queries
from scripts.tools.marketing_simulator.responses import Code, Refusal, success

TABLES = """
CREATE TABLE invoice (
    id INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL, number INTEGER NOT NULL, months TEXT NOT NULL,
    buyer_type TEXT NOT NULL, title TEXT NOT NULL, tax_number TEXT, email TEXT NOT NULL, amount_fen INTEGER NOT NULL,
    accepted_ms INTEGER NOT NULL
);
CREATE TABLE invoice_month (
    number INTEGER NOT NULL, month INTEGER NOT NULL, invoice INTEGER NOT NULL, PRIMARY KEY (number, month)
) WITHOUT ROWID
"""
INSERT = (
    "INSERT INTO invoice (request_id, number, months, buyer_type, title, tax_number, email, amount_fen, accepted_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_MONTH = "INSERT INTO invoice_month VALUES (?, ?, ?)"
AMOUNT_OF_MONTH = "SELECT amount_fen FROM bill WHERE number = ? AND month = ?"
BY_MONTH = (
    "SELECT id, months, buyer_type, title, tax_number, email, amount_fen, accepted_ms FROM invoice"
    " WHERE id = (SELECT invoice FROM invoice_month WHERE number = ? AND month = ?)"
)
OF_MONTHS = (
    "SELECT id, months, title, amount_fen, accepted_ms FROM invoice WHERE id IN"
    " (SELECT invoice FROM invoice_month WHERE number = ? AND month BETWEEN ? AND ?) ORDER BY id DESC"
)
MOST_MONTHS = 12
PERSON, COMPANY = "01", "02"
REGION = "99"
"""In invoice numbers, the tax authority's place; there is none of this code."""
FIRST_INVOICE_AGE = 6


@dataclass(frozen=True, slots=True)
class Buyer:
    """For whom an invoice is made out, and where it is sent."""

    type: str
    title: str
    tax_number: str | None
    email: str


def fill(connection: sqlite3.Connection, today: date) -> None:
    """Account ...001 has one from the start, for the bill of half a year ago."""
    month = shifted(month_of(today), -FIRST_INVOICE_AGE)
    [amount] = connection.execute(AMOUNT_OF_MONTH, (1, month)).fetchone()
    accepted = datetime.combine(today.replace(day=1) - timedelta(days=10), time(9), CHINA_STANDARD_TIME)
    row = ("first", 1, str(month), PERSON, "示范户主", None, "first@example.com", amount, _epoch_ms(accepted))
    invoice = connection.execute(INSERT, row).lastrowid
    connection.execute(INSERT_MONTH, (1, month, invoice))


class Invoices:
    """The invoice interfaces: they read over `connection` and write through `effects`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        effects: EffectWriter,
        queries: Queries,
        clock: Clock,
        *,
        node_seconds: float,
    ) -> None:
        self._connection = connection
        self._effects = effects
        self._queries = queries
        self._clock = clock
        self._node_seconds = node_seconds

    def interfaces(self) -> Iterator[Interface]:
        """What the marketing system offers of them."""
        yield Interface("/api/invoice/list", query=self.invoices)
        yield Interface("/api/invoice/apply", effect=self.apply)

    def invoices(self, fields: Fields) -> bytes:
        """The invoices that hold bills of months `ymFrom` to `ymTo`, the latest requested first."""
        account = fields.text("consNo", 13, ACCOUNT)
        first, last = fields.month("ymFrom"), fields.month("ymTo")
        if not 1 <= months_between(first, last) <= BILLED_MONTHS:
            raise Refusal(Code.MONTH_RANGE, f"1 to {BILLED_MONTHS} months")
        found = self._queries.account(account)
        now = self._clock.now()
        lines = []
        for id, months, title, amount, accepted_ms in self._connection.execute(
            OF_MONTHS, (found.number, first, last)
        ).fetchall():
            accepted = datetime.fromtimestamp(accepted_ms / 1000, CHINA_STANDARD_TIME)
            issued = accepted + timedelta(seconds=self._node_seconds)
            done = issued <= now
            lines.append(
                {
                    "aplNo": _request_number(id, accepted),
                    "ymList": months.split(","),
                    "buyerName": title,
                    "invAmt": amount,
                    "aplTime": legacy_time(accepted),
                    "invStatus": "02" if done else "01",
                    "invDate": issued.date().isoformat() if done else None,
                    "invNo": f"{issued:%y}{REGION}{id:016d}" if done else None,
                }
            )
        return success({"consNo": account, "invCnt": len(lines), "invList": lines}).encode()

    async def apply(self, fields: Fields) -> Applied:
        """`/api/invoice/apply`: one invoice for the bills of the months `ymList`."""
        request_id = fields.text("reqId", 64, REQUEST_ID)
        account = fields.text("consNo", 13, ACCOUNT)
        months = fields.months("ymList")
        if not 1 <= len(months) <= MOST_MONTHS:
            raise Refusal(Code.INVALID_FIELD, "ymList")
        buyer = _buyer(fields)
        number = self._queries.account(account).number

        def perform(connection: sqlite3.Connection) -> str | AlreadyDone:
            before = _before(connection, number, months, buyer)
            told: dict[str, object] = {"reqId": request_id, "consNo": account, "ymList": list(map(str, months))}
            if before is not None:
                id, amount, accepted = before
                return AlreadyDone(_told(told, id, amount, accepted))
            amount, accepted = _amount(connection, number, months), self._clock.now()
            row = (request_id, number, _joined(months), buyer.type, buyer.title, buyer.tax_number, buyer.email, amount)
            invoice = connection.execute(INSERT, (*row, _epoch_ms(accepted))).lastrowid
            assert invoice is not None, "an INSERT into a table with an integer key gives one"
            connection.executemany(INSERT_MONTH, [(number, month, invoice) for month in months])
            return _told(told, invoice, amount, accepted)

        return await self._effects.apply(request_id, "invoice/apply", perform, once=False)


def _buyer(fields: Fields) -> Buyer:
    kind = fields.text("buyerType", 2)
    if kind not in (PERSON, COMPANY):
        raise Refusal(Code.INVALID_FIELD, "buyerType")
    tax_number = fields.optional_text("taxNo", 18, TAX_NUMBER)
    if (kind == COMPANY) != (tax_number is not None):
        raise Refusal(Code.INVALID_FIELD, "taxNo")
    return Buyer(kind, fields.text("buyerName", 100), tax_number, fields.text("email", 254, EMAIL))


def _before(
    connection: sqlite3.Connection, number: int, months: tuple[int, ...], buyer: Buyer
) -> tuple[int, int, datetime] | None:
    """Id, amount and time of acceptance of this very invoice. Raises Refusal if a month is on another one."""
    for month in months:
        row = connection.execute(BY_MONTH, (number, month)).fetchone()
        if row is None:
            continue
        id, had, *of_buyer, amount, accepted_ms = row
        if had != _joined(months) or Buyer(*of_buyer) != buyer:
            raise Refusal(Code.ALREADY_INVOICED, str(month))
        return id, amount, datetime.fromtimestamp(accepted_ms / 1000, CHINA_STANDARD_TIME)
    return None


def _amount(connection: sqlite3.Connection, number: int, months: tuple[int, ...]) -> int:
    """What the bills come to. Raises Refusal if one does not exist or is not paid, or if it is nothing."""
    unpaid = {row[0] for row in connection.execute(UNPAID_BILLS, (number,))}
    whole = 0
    for month in months:
        row = connection.execute(AMOUNT_OF_MONTH, (number, month)).fetchone()
        if row is None:
            raise Refusal(Code.NO_SUCH_BILL, str(month))
        if month in unpaid:
            raise Refusal(Code.MONTH_UNPAID, str(month))
        whole += row[0]
    if whole == 0:
        raise Refusal(Code.NOTHING_TO_INVOICE)
    return whole


def _told(told: dict[str, object], id: int, amount: int, accepted: datetime) -> str:
    return success({**told, "aplNo": _request_number(id, accepted), "invAmt": amount, "aplTime": legacy_time(accepted)})


def _request_number(id: int, accepted: datetime) -> str:
    return f"FP{accepted:%Y%m%d}{id:08d}"


def _joined(months: tuple[int, ...]) -> str:
    return ",".join(map(str, months))


def _epoch_ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
