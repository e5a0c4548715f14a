"""Usage: how much an account has used, what the tariff makes of it, and what its meter shows."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from protocol.operations.fields import AccountNumber, Day, Fen, Kwh, Model, Moment, Month, Price, Text
from protocol.operations.operation import Family, Kind, Operation, UnknownOutcome
from protocol.operations.refusals import ACCOUNT_CLOSED, INVALID_FIELD, MONTH_RANGE, NO_SUCH_ACCOUNT, Refusal
from protocol.operations.spans import AccountDays, AccountMonths

TierNumber = Annotated[int, Field(ge=1, le=9, description="A step of the tiered price, from 1")]
PeriodName = Annotated[
    Literal["super-peak", "peak", "flat", "valley", "super-valley"],
    Field(description="Hours of the day with a price of their own"),
]
TimeOfDay = Annotated[
    str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$"), Field(description="A time of the day, hh:mm")
]


class UsageQuery(AccountMonths):
    """Consumption of one account over some months."""


class TierUsage(Model):
    """What of a consumption lies in one step of the tiered price."""

    tier: TierNumber
    kwh: Kwh


class MonthUsage(Model):
    """One month's consumption."""

    month: Month
    kwh: Kwh
    kwh_year_before: Annotated[Kwh, Field(description="kWh of the same month a year before, if known")] | None = None
    tiers: tuple[TierUsage, ...] = ()


class Usage(Model):
    """The answer to a usage query: the months that are known, the oldest first."""

    account: AccountNumber
    months: tuple[MonthUsage, ...]


class DailyUsageQuery(Model):
    """Consumption of one account, day by day over one month."""

    account: AccountNumber
    month: Month


class DayUsage(Model):
    """One day's consumption."""

    day: Day
    kwh: Kwh


class DailyUsage(Model):
    """The answer to a query for the days of a month, the first of them first."""

    account: AccountNumber
    month: Month
    kwh: Annotated[Kwh, Field(description="kWh of these days together")]
    complete: Annotated[bool, Field(description="Whether the month is over; else more days are to come")]
    days: Annotated[tuple[DayUsage, ...], Field(max_length=31)]

    @model_validator(mode="after")
    def _days_of_the_month(self) -> Self:
        if any(not one.day.startswith(f"{self.month}-") for one in self.days):
            raise ValueError("days must lie in the month")
        return self


class TariffQuery(Model):
    """How one account's consumption is priced now."""

    account: AccountNumber


class TariffTier(Model):
    """One step of the tiered price, and what of it is used."""

    tier: TierNumber
    above: Annotated[Kwh, Field(description="kWh of the cycle from which on it applies")]
    up_to: (
        Annotated[Kwh, Field(description="kWh of the cycle up to which it applies; absent: without limit")] | None
    ) = None
    price: Annotated[Price, Field(description="Absent where it depends on the time of the day")] | None = None
    used: Annotated[Kwh, Field(description="kWh of the cycle that were used in it")]


class TierPrice(Model):
    """What one step costs."""

    tier: TierNumber
    price: Price


class Hours(Model):
    """From one time of the day to another; `end` at or before `begin` is on the next day."""

    begin: TimeOfDay
    end: TimeOfDay


class TariffPeriod(Model):
    """Hours with prices of their own."""

    period: PeriodName
    hours: tuple[Hours, ...]
    prices: tuple[TierPrice, ...]


class NextKwh(Model):
    """What the next kWh costs."""

    tier: TierNumber
    price: Price
    period: Annotated[PeriodName, Field(description="The period it is now, if prices depend on it")] | None = None
    left: Annotated[Kwh, Field(description="kWh until the next tier; absent in the last")] | None = None


class Tariff(Model):
    """The answer to a tariff query."""

    account: AccountNumber
    tariff: Annotated[Text, StringConstraints(max_length=100), Field(description="Its name")]
    cycle: Annotated[Literal["month", "year"], Field(description="What tiers are counted over")]
    cycle_begin: Day
    cycle_end: Day
    used: Annotated[Kwh, Field(description="kWh of the cycle so far")]
    as_of: Moment
    tiers: Annotated[tuple[TariffTier, ...], Field(min_length=1)]
    periods: tuple[TariffPeriod, ...] = ()
    next_kwh: NextKwh


class RealtimeChargeQuery(Model):
    """What one account has used and is charged in the present month so far."""

    account: AccountNumber


class ChargeLine(Model):
    """What one step, in one period, comes to."""

    tier: TierNumber
    period: PeriodName | None = None
    kwh: Kwh
    amount: Fen


class RealtimeCharge(Model):
    """The answer: no bill yet, what would be charged as of a time."""

    account: AccountNumber
    month: Month
    as_of: Moment
    kwh: Kwh
    charge: Fen
    lines: tuple[ChargeLine, ...] = ()
    reading: Annotated[Kwh, Field(description="What the meter showed then")] | None = None
    prepaid: Annotated[Fen, Field(description="Paid in advance and not used up by bills")] | None = None
    balance: (
        Annotated[
            Fen, Field(description="What is left once this charge and all that is owed are paid; below 0: to pay")
        ]
        | None
    ) = None


class ReadingsQuery(AccountDays):
    """What one account's meter showed, from one day to another, both counted."""


class MeterReading(Model):
    """What the meter showed on one day."""

    read_on: Day
    reading: Kwh
    kind: Annotated[
        Literal["actual", "estimated", "customer"],
        Field(description="Read by the company, estimated by it, or reported by the customer"),
    ]


class MeterReadings(Model):
    """The answer to a query for readings, the latest first."""

    account: AccountNumber
    readings: tuple[MeterReading, ...]


class ReadingReport(Model):
    """A customer's own reading of the meter."""

    account: AccountNumber
    reading: Kwh
    read_on: Day


class ReadingAccepted(Model):
    """The marketing system has taken the reading."""

    account: AccountNumber
    reading: Kwh
    read_on: Day
    accepted_at: Moment


NO_USAGE = Refusal("no-usage", "Nothing is known of this month's consumption", "该月没有用电数据")
READING_WINDOW = Refusal("reading-window", "Readings of this day are not taken now", "不在自助报数时间内")
READING_BELOW_LAST = Refusal("reading-below-last", "The reading is below the last one", "示数小于上次示数")
READING_IMPLAUSIBLE = Refusal("reading-implausible", "The reading is implausibly high", "示数异常偏大")

FAMILY = Family(
    "Usage",
    "用能",
    "How much a customer has used, and what it costs by the tariff",
    "客户的用电量、电价与抄表示数",
)
_ACCOUNT = "3210000000001"
OPERATIONS = (
    Operation(
        name="usage-query",
        kind=Kind.QUERY,
        summary="Consumption of an account month by month, by tier, beside the same month a year before",
        summary_zh="按月查询一个户号的用电量：各阶梯电量及上年同月对比",
        request=UsageQuery,
        response=Usage,
        example={"account": _ACCOUNT, "first_month": "2026-05", "last_month": "2026-06"},
        example_answer={
            "account": _ACCOUNT,
            "months": [
                {
                    "month": "2026-05",
                    "kwh": "162",
                    "kwh_year_before": "149",
                    "tiers": [{"tier": 1, "kwh": "162"}],
                },
                {
                    "month": "2026-06",
                    "kwh": "221",
                    "kwh_year_before": "221",
                    "tiers": [{"tier": 1, "kwh": "221"}],
                },
            ],
        },
        refusals=(NO_SUCH_ACCOUNT, MONTH_RANGE),
        scope="usage",
        cacheable=True,
    ),
    Operation(
        name="usage-daily",
        kind=Kind.QUERY,
        summary="Consumption of an account on each day of a month",
        summary_zh="查询一个户号某月的每日用电量",
        request=DailyUsageQuery,
        response=DailyUsage,
        example={"account": _ACCOUNT, "month": "2026-07"},
        example_answer={
            "account": _ACCOUNT,
            "month": "2026-07",
            "kwh": "111.66",
            "complete": False,
            "days": [
                {"day": f"2026-07-{number:02}", "kwh": kwh}
                for number, kwh in enumerate(
                    (
                        *("7.36", "8.06", "6.94", "9.91", "9.64", "8.14", "8.42"),
                        *("8.28", "8.21", "6.37", "7.61", "10.26", "5.88", "6.58"),
                    ),
                    start=1,
                )
            ],
        },
        refusals=(NO_SUCH_ACCOUNT, NO_USAGE),
        scope="usage",
        cacheable=True,
    ),
    Operation(
        name="tariff-explain",
        kind=Kind.QUERY,
        summary="The tariff of an account: tiers, periods, where it stands, and what the next kWh costs",
        summary_zh="说明一个户号的电价：阶梯、时段、当前所在阶梯及下一度电的价格",
        request=TariffQuery,
        response=Tariff,
        example={"account": _ACCOUNT},
        example_answer={
            "account": _ACCOUNT,
            "tariff": "居民阶梯电价",
            "cycle": "month",
            "cycle_begin": "2026-07-01",
            "cycle_end": "2026-07-31",
            "used": "111.66",
            "as_of": "2026-07-15 00:00:00",
            "tiers": [
                {"tier": 1, "above": "0", "up_to": "240", "price": "0.4883", "used": "111.66"},
                {"tier": 2, "above": "240", "up_to": "400", "price": "0.5383", "used": "0"},
                {"tier": 3, "above": "400", "price": "0.7883", "used": "0"},
            ],
            "periods": [],
            "next_kwh": {"tier": 1, "price": "0.4883", "left": "128.34"},
        },
        refusals=(NO_SUCH_ACCOUNT, ACCOUNT_CLOSED),
        scope="usage",
        cacheable=True,
    ),
    Operation(
        name="realtime-charge-query",
        kind=Kind.QUERY,
        summary="What an account has used and would be charged in the present month so far",
        summary_zh="查询一个户号本月至今的用电量、电费及预存余额",
        request=RealtimeChargeQuery,
        response=RealtimeCharge,
        example={"account": _ACCOUNT},
        example_answer={
            "account": _ACCOUNT,
            "month": "2026-07",
            "as_of": "2026-07-15 00:00:00",
            "kwh": "111.66",
            "charge": 5452,
            "lines": [{"tier": 1, "kwh": "111.66", "amount": 5452}],
            "reading": "5760",
            "prepaid": 5000,
            "balance": -452,
        },
        refusals=(NO_SUCH_ACCOUNT, ACCOUNT_CLOSED),
        scope="usage",
        cacheable=True,
    ),
    Operation(
        name="meter-readings",
        kind=Kind.QUERY,
        summary="What an account's meter showed: readings with their day and kind",
        summary_zh="查询一个户号的抄表示数、日期与方式",
        request=ReadingsQuery,
        response=MeterReadings,
        example={"account": _ACCOUNT, "first_day": "2026-05-01", "last_day": "2026-06-30"},
        example_answer={
            "account": _ACCOUNT,
            "readings": [
                {"read_on": "2026-06-30", "reading": "5649", "kind": "actual"},
                {"read_on": "2026-05-31", "reading": "5428", "kind": "estimated"},
            ],
        },
        refusals=(NO_SUCH_ACCOUNT,),
        scope="usage",
        cacheable=True,
    ),
    Operation(
        name="meter-reading-submit",
        kind=Kind.COMMAND,
        summary="Report one's own reading of the meter",
        summary_zh="客户自助上报电表示数",
        request=ReadingReport,
        response=ReadingAccepted,
        example={"account": _ACCOUNT, "reading": "5770", "read_on": "2026-07-15"},
        example_answer={
            "account": _ACCOUNT,
            "reading": "5770",
            "read_on": "2026-07-15",
            "accepted_at": "2026-07-15 09:30:00",
        },
        refusals=(
            NO_SUCH_ACCOUNT,
            ACCOUNT_CLOSED,
            READING_WINDOW,
            READING_BELOW_LAST,
            READING_IMPLAUSIBLE,
            INVALID_FIELD,
        ),
        scope="usage",
        deadline_ms=3_000,
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda report: report.account,
        echoes={"account": "account", "read_on": "read_on"},  # 5770 and 5770.0 are the same reading
    ),
)
