"""The generated customers and their two years of bills: the same for the same seed and day, on every machine.

Each month the meter is read on its last day, the bill is issued the day after and is due on the
`DUE_DAY` of the month of issue. The last billed month is the one before the business day's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from zlib import crc32

from scripts.tools.marketing_simulator.months import first_day, last_day, month_of, shifted
from scripts.tools.marketing_simulator.people import Person, invented_address, invented_person
from scripts.tools.marketing_simulator.tariff import charge_for

FIRST_ACCOUNT = 3210000000001
BILLED_MONTHS = 24
DUE_DAY = 25
METER_RANGE_KWH = 100_000  # a five-digit meter wraps around to 00000
SECOND_ACCOUNT_EVERY = 40  # every fortieth customer is the one before, with a second flat

ACTIVE = "1"
CLOSED = "9"

SEASON_PERCENT = (
    118,
    104,
    86,
    74,
    80,
    108,
    148,
    155,
    106,
    80,
    88,
    112,
)  # January to December: cooling and heating
UNPAID_MONTHS = (
    (920, 0),
    (960, 1),
    (985, 2),
    (995, 3),
    (1000, 6),
)  # of 1000 customers, up to which: bills unpaid


@dataclass(frozen=True, slots=True)
class Customer:
    """One account of the archive. `base_kwh` is its average month."""

    number: int
    person: Person
    address: str
    status: str
    base_kwh: int
    first_reading: int
    unpaid_months: int

    @property
    def account(self) -> str:
        """The 13-digit account number (户号)."""
        return str(FIRST_ACCOUNT + self.number - 1)


@dataclass(frozen=True, slots=True)
class Bill:
    """One month of one account. Amounts in fen, readings in kWh as the meter shows them."""

    number: int  # the customer's
    month: int
    begin_reading: int
    end_reading: int
    kwh: int
    amount_fen: int
    due_date: date
    paid_date: date | None


@dataclass(frozen=True, slots=True)
class Portrait:
    """What the documentation promises of one of the first accounts, whatever the seed."""

    base_kwh: int
    unpaid_months: int = 0
    status: str = ACTIVE
    first_reading: int = 1000


PORTRAITS = {
    1: Portrait(base_kwh=180),
    2: Portrait(base_kwh=210, unpaid_months=1),
    3: Portrait(base_kwh=260, unpaid_months=3),
    4: Portrait(base_kwh=650),  # every month in all three tiers
    5: Portrait(base_kwh=0),  # an empty flat: bills of 0 fen
    6: Portrait(base_kwh=220, first_reading=98_000),  # its meter passes 99999
    7: Portrait(base_kwh=150, status=CLOSED),
    8: Portrait(base_kwh=480, unpaid_months=6),
}


def customer(seed: int, number: int) -> Customer:
    """The customer with this number, counted from 1."""
    random = Random(f"{seed}:{number}")  # noqa: S311 - invented data, nothing secret
    holder = number
    if number > len(PORTRAITS) and number % SECOND_ACCOUNT_EVERY == 0:
        holder = number - 1
    person = invented_person(Random(f"{seed}:person:{holder}"), holder)  # noqa: S311
    address = invented_address(random)
    portrait = PORTRAITS.get(number)
    if portrait is None:
        lot = random.randrange(1000)
        portrait = Portrait(
            base_kwh=random.randint(60, 420),
            unpaid_months=next(count for limit, count in UNPAID_MONTHS if lot < limit),
            status=CLOSED if random.randrange(200) == 0 else ACTIVE,
            first_reading=random.randrange(60_000),
        )
    return Customer(
        number,
        person,
        address,
        portrait.status,
        portrait.base_kwh,
        portrait.first_reading,
        portrait.unpaid_months,
    )


def consumption(seed: int, account: Customer, month: int) -> int:
    """Whole kWh used in a month: the average month, the season, and up to 15 % at random up or down."""
    chance = 85 + crc32(f"{seed}:{account.number}:{month}".encode()) % 31
    return account.base_kwh * SEASON_PERCENT[month % 100 - 1] * chance // 10_000


def bills(seed: int, account: Customer, today: date) -> Iterator[Bill]:
    """The bills of one account, oldest first, as of the business day."""
    reading = account.first_reading
    for age in range(BILLED_MONTHS, 0, -1):  # age 1 is the newest bill
        month = shifted(month_of(today), -age)
        kwh = consumption(seed, account, month)
        begin, reading = reading, (reading + kwh) % METER_RANGE_KWH
        issued = issue_date(month)
        due = issued.replace(day=DUE_DAY)
        paid: date | None = None
        if age > account.unpaid_months:
            days = crc32(f"{seed}:{account.number}:{month}:paid".encode()) % DUE_DAY
            paid = min(issued + timedelta(days=days), today)
        yield Bill(account.number, month, begin, reading, kwh, charge_for(kwh).amount_fen, due, paid)


def issue_date(month: int) -> date:
    """When the bill of a month is issued."""
    return first_day(shifted(month, 1))


def reading_date(month: int) -> date:
    """When the meter is read for a month's bill."""
    return last_day(month)
