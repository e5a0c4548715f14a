"""Consumption (电量): by month, by day, the month so far, and the tariff it is priced by. Only reads.

A month that is billed has its bill's figure. The month of the business day is used up day by day as if it were already
known, and counts up to the end of yesterday: what a smart meter's daily reading tells.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache

from scripts.tools.marketing_simulator.balances import Balances
from scripts.tools.marketing_simulator.clock import Clock
from scripts.tools.marketing_simulator.daily import daily_kwh
from scripts.tools.marketing_simulator.fields import ACCOUNT, Fields
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.months import month_of, months_between, shifted
from scripts.tools.marketing_simulator.population import BILLED_MONTHS, METER_RANGE_KWH, consumption, customer
from scripts.tools.marketing_simulator.queries import Account, Queries
from scripts.tools.marketing_simulator.responses import Code, Refusal, success
from scripts.tools.marketing_simulator.schedules import Schedule, costs, cycle_of, schedule_of, tier_at
from scripts.tools.marketing_simulator.tariff import charge_for

KWH_OF_MONTHS = "SELECT month, kwh FROM bill WHERE number = ? AND month BETWEEN ? AND ? ORDER BY month"
LAST_READING = "SELECT end_reading FROM bill WHERE number = ? ORDER BY month DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class SoFar:
    """How an account stands at the end of yesterday."""

    month: int
    kwh: Decimal
    """Of the month."""
    schedule: Schedule
    cycle: tuple[date, date]
    used: Decimal
    """Of the cycle."""
    days: tuple[Decimal, ...]
    """The month's days until then."""


class Usage:
    """Reads the database over a read-only connection."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        queries: Queries,
        balances: Balances,
        clock: Clock,
        *,
        seed: int,
        since: date,
    ) -> None:
        """`since`: the first day of the month that the file was generated for."""
        self._connection = connection
        self._queries = queries
        self._balances = balances
        self._clock = clock
        self._seed = seed
        self._since = since

    def interfaces(self) -> Iterator[Interface]:
        """What the marketing system offers of it."""
        yield Interface("/api/pq/month", query=self.months)
        yield Interface("/api/pq/day", query=self.days)
        yield Interface("/api/pq/realtime", query=self.so_far)
        yield Interface("/api/price/explain", query=self.tariff)

    def months(self, fields: Fields) -> bytes:
        """The consumption from month `ymFrom` to month `ymTo`, oldest first, beside the same month a year before."""
        account = fields.text("consNo", 13, ACCOUNT)
        first, last = fields.month("ymFrom"), fields.month("ymTo")
        if not 1 <= months_between(first, last) <= BILLED_MONTHS:
            raise Refusal(Code.MONTH_RANGE, f"1 to {BILLED_MONTHS} months")
        found = self._queries.account(account)
        rows = self._connection.execute(KWH_OF_MONTHS, (found.number, shifted(first, -12), last)).fetchall()
        known = dict(rows)
        asked = [month for month in known if month >= first]
        data = {
            "consNo": account,
            "pqTot": str(sum(known[month] for month in asked)),
            "pqList": [
                {
                    "amtYm": str(month),
                    "tPq": str(known[month]),
                    "lstYrPq": str(before) if (before := known.get(shifted(month, -12))) is not None else None,
                    "lvlList": [{"lvl": tier.level, "pq": str(tier.kwh)} for tier in charge_for(known[month]).tiers],
                }
                for month in asked
            ],
        }
        return success(data).encode()

    def days(self, fields: Fields) -> bytes:
        """The consumption of each day of the month `ym`; of the month of the business day, until yesterday."""
        account = fields.text("consNo", 13, ACCOUNT)
        month = fields.month("ym")
        found = self._queries.account(account)
        today = self._clock.today()
        row = self._connection.execute(KWH_OF_MONTHS, (found.number, month, month)).fetchone()
        if row is not None:
            days = daily_kwh(self._seed, found.number, month, row[1])
        elif month == month_of(today) and not found.closed:
            running = self._running_month(found.number, month)
            days = {day: kwh for day, kwh in running.items() if day < today}
        else:
            raise Refusal(Code.NO_USAGE)
        data = {
            "consNo": account,
            "ym": str(month),
            "tPq": str(sum(days.values(), Decimal(0))),
            "endFlag": "1" if row is not None else "0",
            "dayList": [{"pqDate": day.isoformat(), "pq": str(kwh)} for day, kwh in days.items()],
        }
        return success(data).encode()

    def so_far(self, fields: Fields) -> bytes:
        """The month so far: consumption, charge, and what is left of money paid in advance."""
        account = fields.text("consNo", 13, ACCOUNT)
        found = self._open_account(account)
        now = self._so_far(found.number)
        lines = costs(now.schedule, now.used - now.kwh, now.days)
        charge = sum(line.amount_fen for line in lines)
        balance = self._balances.of(found.number)
        row = self._connection.execute(LAST_READING, (found.number,)).fetchone()
        data = {
            "consNo": account,
            "ym": str(now.month),
            "calcTime": self._end_of_yesterday(),
            "tPq": str(now.kwh),
            "tAmt": charge,
            "lvlList": [
                {"lvl": line.tier, "prdType": line.period or None, "pq": _plain(line.kwh), "amt": line.amount_fen}
                for line in lines
            ],
            "mrNum": (row[0] + int(now.kwh)) % METER_RANGE_KWH if row else None,
            "preBal": balance.prepaid_fen,
            "estBal": balance.prepaid_fen + balance.credit_fen - balance.owed_fen - charge,
        }
        return success(data).encode()

    def tariff(self, fields: Fields) -> bytes:
        """The account's price schedule, how much of its cycle is used, and what the next kWh costs."""
        account = fields.text("consNo", 13, ACCOUNT)
        found = self._open_account(account)
        now = self._so_far(found.number)
        schedule = now.schedule
        tier = tier_at(schedule, now.used)
        limit = schedule.limits[tier - 1]
        period = next(period for period in schedule.periods if period.contains(self._clock.now().time()))
        begins = (0, *(limit or 0 for limit in schedule.limits[:-1]))
        data = {
            "consNo": account,
            "prcName": schedule.name,
            "cycType": "Y" if schedule.yearly else "M",
            "cycBgn": now.cycle[0].isoformat(),
            "cycEnd": now.cycle[1].isoformat(),
            "calcTime": self._end_of_yesterday(),
            "usedPq": str(now.used),
            "lvlList": [
                {
                    "lvl": level,
                    "bgnPq": begin,
                    "endPq": end,
                    "prc": None if schedule.time_of_use else str(schedule.periods[0].prices[level - 1]),
                    "usedPq": str(max(Decimal(0), min(now.used, now.used if end is None else Decimal(end)) - begin)),
                }
                for level, (begin, end) in enumerate(zip(begins, schedule.limits, strict=True), start=1)
            ],
            "prdList": [
                {
                    "prdType": one.code,
                    "bgnTime": f"{one.begin:%H:%M}",
                    "endTime": f"{one.end:%H:%M}",
                    "prcList": [{"lvl": level, "prc": str(price)} for level, price in enumerate(one.prices, start=1)],
                }
                for one in schedule.periods
                if schedule.time_of_use
            ],
            "nextLvl": tier,
            "nextPrd": period.code or None,
            "nextPrc": str(period.prices[tier - 1]),
            "leftPq": None if limit is None else str(limit - now.used),
        }
        return success(data).encode()

    def _open_account(self, account: str) -> Account:
        found = self._queries.account(account)
        if found.closed:
            raise Refusal(Code.ACCOUNT_CLOSED)
        return found

    def _end_of_yesterday(self) -> str:
        return f"{datetime.combine(self._clock.today(), time()):%Y-%m-%d %H:%M:%S}"

    def _running_month(self, number: int, month: int) -> dict[date, Decimal]:
        return daily_kwh(self._seed, number, month, _month_of_customer(self._seed, number, month))

    def _so_far(self, number: int) -> SoFar:
        today = self._clock.today()
        month = month_of(today)
        days = tuple(kwh for day, kwh in self._running_month(number, month).items() if day < today)
        kwh = sum(days, Decimal(0))
        schedule = schedule_of(number)
        cycle = cycle_of(schedule, self._since, today)
        earlier = range(months_between(month_of(cycle[0]), month) - 1)
        before = sum(_month_of_customer(self._seed, number, shifted(month_of(cycle[0]), age)) for age in earlier)
        return SoFar(month, kwh, schedule, cycle, before + kwh, days)


def _plain(kwh: Decimal) -> str:
    return f"{kwh.normalize():f}"


@lru_cache(maxsize=8192)
def _month_of_customer(seed: int, number: int, month: int) -> int:
    return consumption(seed, customer(seed, number), month)
