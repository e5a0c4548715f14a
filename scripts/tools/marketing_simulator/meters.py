"""Meter readings (抄表): those of the bills, and those that customers report themselves.

A customer may report a reading on the days of a month from `FIRST_DAY` to `LAST_DAY`, for the day itself or one of the
`OLDEST_DAYS` before it. It must be at least the last reading, or a little past the meter's wrap, and may not be higher
than three times the busiest month of the last twelve would bring. Reported for a day again, it replaces the earlier
one. Bills are made by the company's own readings.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from scripts.tools.marketing_simulator.clock import Clock, legacy_time
from scripts.tools.marketing_simulator.effects import Applied, EffectWriter
from scripts.tools.marketing_simulator.fields import ACCOUNT, REQUEST_ID, Fields
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.population import METER_RANGE_KWH, reading_date
from scripts.tools.marketing_simulator.queries import Queries
from scripts.tools.marketing_simulator.responses import Code, Refusal, success

TABLES = """
CREATE TABLE meter_reading (
    id INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL, number INTEGER NOT NULL, read_on TEXT NOT NULL,
    reading INTEGER NOT NULL, accepted_ms INTEGER NOT NULL
);
CREATE INDEX meter_reading_by_day ON meter_reading (number, read_on)
"""
INSERT = "INSERT INTO meter_reading (request_id, number, read_on, reading, accepted_ms) VALUES (?, ?, ?, ?, ?)"
OF_BILLS = "SELECT month, begin_reading, end_reading, kwh FROM bill WHERE number = ? ORDER BY month"
REPORTED = "SELECT read_on, reading FROM meter_reading WHERE number = ? ORDER BY id"

FIRST_DAY, LAST_DAY = 5, 28
OLDEST_DAYS = 5
LEAST_PLAUSIBLE_KWH = 100
PLAUSIBLE_TIMES = 3
BUSIEST_OF_MONTHS = 12
ESTIMATED_EVERY = 17
"""Some months nobody was at home: their reading is an estimate."""

ACTUAL, ESTIMATED, REPORTED_BY_CUSTOMER = "01", "02", "03"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a meter showed at the end of a day, in whole kWh."""

    read_on: date
    kwh: int
    kind: str


class Meters:
    """The meter interfaces: they read over `connection` and write through `effects`."""

    def __init__(self, connection: sqlite3.Connection, effects: EffectWriter, queries: Queries, clock: Clock) -> None:
        self._connection = connection
        self._effects = effects
        self._queries = queries
        self._clock = clock

    def interfaces(self) -> Iterator[Interface]:
        """What the marketing system offers of them."""
        yield Interface("/api/mr/list", query=self.readings)
        yield Interface("/api/mr/report", effect=self.report)

    def readings(self, fields: Fields) -> bytes:
        """The readings from day `dateFrom` to day `dateTo`, the latest first."""
        account = fields.text("consNo", 13, ACCOUNT)
        first, last = fields.day("dateFrom"), fields.day("dateTo")
        if last < first:
            raise Refusal(Code.DAY_RANGE)
        found = self._queries.account(account)
        within = [one for one in _readings(self._connection, found.number) if first <= one.read_on <= last]
        data = {
            "consNo": account,
            "mrCnt": len(within),
            "mrList": [
                {"mrDate": one.read_on.isoformat(), "mrNum": one.kwh, "mrType": one.kind} for one in reversed(within)
            ],
        }
        return success(data).encode()

    async def report(self, fields: Fields) -> Applied:
        """`/api/mr/report`: a customer's reading `mrNum` of the day `mrDate`. Not idempotent, as `/api/wo/create`."""
        request_id = fields.text("reqId", 64, REQUEST_ID)
        account = fields.text("consNo", 13, ACCOUNT)
        reading, read_on = fields.whole("mrNum", 0, METER_RANGE_KWH - 1), fields.day("mrDate")
        found = self._queries.account(account)
        if found.closed:
            raise Refusal(Code.ACCOUNT_CLOSED)

        def perform(connection: sqlite3.Connection) -> str:
            accepted = self._clock.now()
            _check(
                _readings(connection, found.number),
                reading,
                read_on,
                self._clock.today(),
                _busiest(connection, found.number),
            )
            row = (request_id, found.number, read_on.isoformat(), reading, int(accepted.timestamp() * 1000))
            connection.execute(INSERT, row)
            data = {"reqId": request_id, "consNo": account, "mrNum": reading, "mrDate": read_on.isoformat()}
            return success({**data, "acceptTime": legacy_time(accepted)})

        return await self._effects.apply(request_id, "mr/report", perform, once=False)


def _readings(connection: sqlite3.Connection, number: int) -> list[Reading]:
    """All readings of a customer, one a day, oldest first: the company's own, or the last the customer reported."""
    found: dict[date, Reading] = {}
    for day, reading in connection.execute(REPORTED, (number,)):
        read_on = date.fromisoformat(day)
        found[read_on] = Reading(read_on, reading, REPORTED_BY_CUSTOMER)
    for count, (month, begin, end, _) in enumerate(connection.execute(OF_BILLS, (number,))):
        if count == 0:
            before = reading_date(month).replace(day=1) - timedelta(days=1)
            found[before] = Reading(before, begin, ACTUAL)
        kind = ESTIMATED if (number + month) % ESTIMATED_EVERY == 0 else ACTUAL
        found[reading_date(month)] = Reading(reading_date(month), end, kind)
    return [found[day] for day in sorted(found)]


def _busiest(connection: sqlite3.Connection, number: int) -> int:
    """kWh of the busiest of the last billed months."""
    rows = connection.execute(OF_BILLS, (number,)).fetchall()
    return max((kwh for _, _, _, kwh in rows[-BUSIEST_OF_MONTHS:]), default=0)


def _check(known: list[Reading], reading: int, read_on: date, today: date, busiest_kwh: int) -> None:
    """Refuse a reading that cannot be taken: outside the window, below the last, or implausibly high."""
    window = FIRST_DAY <= read_on.day <= LAST_DAY and FIRST_DAY <= today.day <= LAST_DAY
    if not (window and today - timedelta(days=OLDEST_DAYS) <= read_on <= today):
        raise Refusal(Code.READING_WINDOW, f"{FIRST_DAY} to {LAST_DAY}")
    others = [one for one in known if one.read_on != read_on]
    if any(one.read_on > read_on for one in others):
        raise Refusal(Code.READING_WINDOW, "a later day is read")
    if not others:
        return
    last = others[-1]
    days = (read_on - last.read_on).days
    most = max(LEAST_PLAUSIBLE_KWH, PLAUSIBLE_TIMES * busiest_kwh * days // 30)
    if (reading - last.kwh) % METER_RANGE_KWH > most:
        raise Refusal(Code.READING_BELOW_LAST if reading < last.kwh else Code.READING_TOO_HIGH)
