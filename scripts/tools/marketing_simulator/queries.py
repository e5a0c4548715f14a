"""The interfaces that only read: bills, arrears and payments (README.md has their paths)."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from scripts.tools.marketing_simulator.clock import Clock
from scripts.tools.marketing_simulator.fields import ACCOUNT, Fields
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.months import months_between
from scripts.tools.marketing_simulator.payment_rows import PAID_THROUGH_CHANNELS, UNPAID_BILLS
from scripts.tools.marketing_simulator.population import BILLED_MONTHS, CLOSED, issue_date, reading_date
from scripts.tools.marketing_simulator.responses import Code, Refusal, success
from scripts.tools.marketing_simulator.tariff import charge_for, penalty_fen

ACCOUNT_BY_NUMBER = "SELECT number, name, address, status FROM customer WHERE account = ?"
BILLS_OF_MONTHS = (
    "SELECT month, begin_reading, end_reading, kwh, amount_fen,"
    " coalesce(paid_date, (SELECT paid_date FROM settled WHERE number = bill.number AND month = bill.month))"
    " FROM bill WHERE number = ? AND month BETWEEN ? AND ? ORDER BY month"
)
BILLS_BEFORE = (
    "SELECT month, begin_reading, end_reading, kwh, amount_fen, due_date,"
    " coalesce(paid_date, (SELECT paid_date FROM settled WHERE number = bill.number AND month = bill.month))"
    " FROM bill WHERE number = ? AND month < ? ORDER BY month DESC LIMIT ?"
)
PAYMENTS_OF_DAYS = f"""
    SELECT * FROM (
        SELECT paid_date AS day, month, amount_fen AS fen FROM bill WHERE number = :number AND amount_fen > 0
        UNION ALL {PAID_THROUGH_CHANNELS}
    ) WHERE day BETWEEN :first AND :last ORDER BY day DESC, month DESC
"""  # noqa: S608 - constants of this program
FARTHEST_DAYS = 366

AFTER_ALL_MONTHS = 999912
"""Written `YYYYMM`."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the queries need of an account; `number` is the database's own key."""

    number: int
    name: str
    address: str
    closed: bool


class Queries:
    """Reads the database over a read-only connection."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    def interfaces(self) -> Iterator[Interface]:
        """What the marketing system offers of them."""
        yield Interface("/api/bill/query", query=self.bills)
        yield Interface("/api/bill/page", query=self.bill_page)
        yield Interface("/api/arrears/query", query=self.arrears)
        yield Interface("/api/pay/list", query=self.payments)

    def account(self, account: str) -> Account:
        """The account with this 13-digit number, or a refusal."""
        row = self._connection.execute(ACCOUNT_BY_NUMBER, (account,)).fetchone()
        if row is None:
            raise Refusal(Code.NO_SUCH_ACCOUNT)
        number, name, address, status = row
        return Account(number, name, address, status == CLOSED)

    def bills(self, fields: Fields) -> bytes:
        """The bills from month `ymFrom` to month `ymTo`, oldest first."""
        account = fields.text("consNo", 13, ACCOUNT)
        first, last = fields.month("ymFrom"), fields.month("ymTo")
        if not 1 <= months_between(first, last) <= BILLED_MONTHS:
            raise Refusal(Code.MONTH_RANGE, f"1 to {BILLED_MONTHS} months")
        found = self.account(account)
        rows = self._connection.execute(BILLS_OF_MONTHS, (found.number, first, last)).fetchall()
        bill_list = [
            {
                "amtYm": str(month),
                "tPq": kwh,
                "tAmt": amount,
                "lvlList": _tier_lines(kwh),
                "bgnRead": begin,
                "endRead": end,
                **_dates(month),
                "payFlag": "1" if paid else "0",
                "payDate": paid,
            }
            for month, begin, end, kwh, amount, paid in rows
        ]
        data = {
            "consNo": account,
            "consName": found.name,
            "elecAddr": found.address,
            "billCnt": len(bill_list),
            "billList": bill_list,
        }
        return success(data).encode()

    def owed_fen(self, number: int, as_of: date) -> int:
        """What the customer with this number owes on a day, penalties included."""
        return sum(amount + penalty for _, _, amount, _, _, penalty in self._unpaid(number, as_of))

    def bill_page(self, fields: Fields) -> bytes:
        """At most `pageSize` bills of months before `ymBefore` (or of all), newest first; `hasMore`: older follow."""
        account = fields.text("consNo", 13, ACCOUNT)
        before = fields.optional_month("ymBefore") or AFTER_ALL_MONTHS
        size = fields.optional_number("pageSize")
        if size is None or size != int(size) or not 1 <= size <= BILLED_MONTHS:
            raise Refusal(Code.INVALID_FIELD, "pageSize")
        found = self.account(account)
        rows = self._connection.execute(BILLS_BEFORE, (found.number, before, int(size) + 1)).fetchall()
        today = self._clock.today()
        lines = []
        for month, begin, end, kwh, amount, due, paid in rows[: int(size)]:
            overdue = 0 if paid else max(0, (today - date.fromisoformat(due)).days)
            lines.append(
                {
                    "amtYm": str(month),
                    "payStat": "01" if paid else "03" if overdue else "02",
                    "tPq": kwh,
                    "rcvblAmt": amount,
                    "penaltyAmt": penalty_fen(amount, overdue),
                    "overDays": overdue,
                    "lvlList": _tier_lines(kwh),
                    "bgnRead": begin,
                    "endRead": end,
                    **_dates(month),
                    "dueDate": due,
                    "payDate": paid,
                }
            )
        data = {"consNo": account, "billList": lines, "hasMore": "1" if len(rows) > len(lines) else "0"}
        return success(data).encode()

    def arrears(self, fields: Fields) -> bytes:
        """The unpaid bills with the penalty accrued by the day `calcDate`, by default the business day.

        What was issued after that day is left out; a day more than a year away cannot be asked for.
        """
        account = fields.text("consNo", 13, ACCOUNT)
        today = self._clock.today()
        as_of = fields.optional_day("calcDate") or today
        if abs((as_of - today).days) > FARTHEST_DAYS:
            raise Refusal(Code.DAY_RANGE, "calcDate")
        found = self.account(account)
        if found.closed:
            raise Refusal(Code.ACCOUNT_CLOSED)
        owed = penalties = 0
        lines = []
        for month, kwh, amount, due, overdue, penalty in self._unpaid(found.number, as_of):
            owed += amount
            penalties += penalty
            lines.append(
                {
                    "amtYm": str(month),
                    "tPq": kwh,
                    "rcvblAmt": amount,
                    "dueDate": due,
                    "overDays": overdue,
                    "penaltyAmt": penalty,
                    "totAmt": amount + penalty,
                }
            )
        data = {
            "consNo": account,
            "consName": found.name,
            "elecAddr": found.address,
            "calcDate": as_of.isoformat(),
            "oweCnt": len(lines),
            "oweAmt": owed,
            "penaltyAmt": penalties,
            "totAmt": owed + penalties,
            "oweList": lines,
        }
        return success(data).encode()

    def _unpaid(self, number: int, as_of: date) -> Iterator[tuple[int, int, int, str, int, int]]:
        """Month, kWh, amount, due date, days overdue and penalty of each unpaid bill that was issued by then."""
        for month, kwh, amount, due in self._connection.execute(UNPAID_BILLS, (number,)).fetchall():
            if issue_date(month) <= as_of:
                overdue = max(0, (as_of - date.fromisoformat(due)).days)
                yield month, kwh, amount, due, overdue, penalty_fen(amount, overdue)

    def payments(self, fields: Fields) -> bytes:
        """What was paid from day `dateFrom` to day `dateTo`, the latest first; a bill of nothing is not paid. What
        channels paid is with its penalty; what became credit has no month.
        """
        account = fields.text("consNo", 13, ACCOUNT)
        first, last = fields.day("dateFrom"), fields.day("dateTo")
        if last < first:
            raise Refusal(Code.DAY_RANGE)
        found = self.account(account)
        days = {"number": found.number, "first": first.isoformat(), "last": last.isoformat()}
        rows = self._connection.execute(PAYMENTS_OF_DAYS, days).fetchall()
        data = {
            "consNo": account,
            "consName": found.name,
            "payCnt": len(rows),
            "payTotAmt": sum(amount for _, _, amount in rows),
            "payList": [
                {"payDate": paid, "amtYm": month and str(month), "payAmt": amount} for paid, month, amount in rows
            ],
        }
        return success(data).encode()


@lru_cache(maxsize=8192)
def _tier_lines(kwh: int) -> list[dict[str, object]]:
    return [
        {"lvl": tier.level, "pq": tier.kwh, "prc": str(tier.yuan_per_kwh), "amt": tier.amount_fen}
        for tier in charge_for(kwh).tiers
    ]


@lru_cache(maxsize=256)
def _dates(month: int) -> dict[str, str]:
    return {"mrDate": reading_date(month).isoformat(), "rlsDate": issue_date(month).isoformat()}
