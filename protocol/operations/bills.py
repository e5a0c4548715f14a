"""Bills and arrears: what a customer owes and owed."""

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from protocol.operations import invoices
from protocol.operations.fields import AccountNumber, Day, Fen, Kwh, Model, Moment, Month, Price
from protocol.operations.operation import Deprecation, Family, Kind, Operation, Removed
from protocol.operations.refusals import ACCOUNT_CLOSED, DAY_RANGE, MONTH_RANGE, NO_SUCH_ACCOUNT, NO_SUCH_BILL
from protocol.operations.spans import AccountDays, AccountMonths


class BillQuery(AccountMonths):
    """Bills of one account over some months."""


class Tier(Model):
    """One step of the tiered price."""

    tier: Annotated[int, Field(ge=1, le=9)]
    kwh: Kwh
    amount: Fen


class PricedTier(Tier):
    """One step of the tiered price, with its price."""

    price: Price


class Bill(Model):
    """One month's bill."""

    month: Month
    kwh: Kwh
    amount: Fen
    paid: bool
    reading_begin: Kwh | None = None
    reading_end: Kwh | None = None
    tiers: tuple[Tier, ...] = ()


class Bills(Model):
    """The answer to a bill query."""

    account: AccountNumber
    bills: tuple[Bill, ...]


class BillPageQuery(Model):
    """Some bills of one account, the newest first."""

    account: AccountNumber
    before: (
        Annotated[Month, Field(description="Only bills of months before this one; absent: from the newest on")] | None
    ) = None
    limit: Annotated[int, Field(ge=1, le=24, description="At most so many bills")] = 12


class BillStatus(StrEnum):
    """Whether a bill is paid."""

    PAID = "paid"
    DUE = "due"
    OVERDUE = "overdue"


class FullBill(Model):
    """One month's bill, with what is owed for it as of today."""

    month: Month
    status: Annotated[BillStatus, Field(strict=False)]
    kwh: Kwh
    amount: Fen
    penalty: Annotated[Fen, Field(description="For late payment, as of today, in fen; not part of `amount`")]
    issued_on: Day
    due_on: Day
    paid_on: Day | None = None
    reading_begin: Kwh
    reading_end: Kwh
    tiers: tuple[PricedTier, ...]


class BillPage(Model):
    """The answer to a query for bills, a page of them."""

    account: AccountNumber
    bills: tuple[FullBill, ...]
    next_before: (
        Annotated[Month, Field(description="Ask for the next page with this as `before`; absent: the last page")] | None
    ) = None


class ArrearsQuery(Model):
    """What one account has not paid."""

    account: AccountNumber
    as_of: Annotated[Day, Field(description="The day that penalties are counted to; absent: today")] | None = None


class BillDetailQuery(Model):
    """The bill of one month, in full."""

    account: AccountNumber
    month: Month


class BillDetail(Model):
    """The answer to a query for one bill: how its amount comes about."""

    account: AccountNumber
    month: Month
    kwh: Kwh
    amount: Fen
    read_on: Day
    issued_on: Day
    paid_on: Day | None = None
    """Absent: not paid."""
    reading_begin: Kwh
    reading_end: Kwh
    tiers: tuple[PricedTier, ...]


class PaymentsQuery(AccountDays):
    """What was paid for one account from one day to another, both counted."""


class Payment(Model):
    """One payment, for the bill of one month."""

    paid_on: Day
    month: Month | None = None
    """Absent: it became credit on the account."""
    amount: Fen


class Payments(Model):
    """The answer to a query for payments; the latest first."""

    account: AccountNumber
    total: Fen
    payments: tuple[Payment, ...]


class UnpaidBill(Model):
    """A bill that is due."""

    month: Month
    amount: Fen
    penalty: Fen


class Arrears(Model):
    """The answer to an arrears query; `total` includes the penalty."""

    account: AccountNumber
    as_of: Annotated[Day, Field(description="The day that penalties are counted to")] | None = None
    total: Fen
    unpaid: tuple[UnpaidBill, ...]


class BalanceQuery(Model):
    """What one account has and owes."""

    account: AccountNumber


class Balance(Model):
    """The answer to a query for a balance."""

    account: AccountNumber
    as_of: Moment
    prepaid: Annotated[Fen, Field(description="Paid in advance and not used up, in fen")]
    credit: Annotated[Fen, Field(description="To be given back or set off: corrections, refunds; in fen")]
    owed: Annotated[Fen, Field(description="Unpaid bills with their penalty, in fen")]
    balance: Annotated[Fen, Field(description="`prepaid` and `credit` less `owed`; below 0: to pay")]


FAMILY = Family(
    "Bills and arrears",
    "账单与欠费",
    "What a customer owes and owed",
    "客户的应缴、已缴与欠费",
)
OPERATIONS = (
    Operation(
        name="bill-query",
        kind=Kind.QUERY,
        summary="Bills of an account, month by month",
        request=BillQuery,
        response=Bills,
        example={"account": "3210000000001", "first_month": "2026-05", "last_month": "2026-06"},
        scope="bills",
        summary_zh="按月查询一个户号的账单",
        example_answer={
            "account": "3210000000001",
            "bills": [
                {
                    "month": "2026-05",
                    "kwh": "162",
                    "amount": 7910,
                    "paid": True,
                    "reading_begin": "5266",
                    "reading_end": "5428",
                    "tiers": [{"tier": 1, "kwh": "162", "amount": 7910}],
                },
                {
                    "month": "2026-06",
                    "kwh": "221",
                    "amount": 10791,
                    "paid": True,
                    "reading_begin": "5428",
                    "reading_end": "5649",
                    "tiers": [{"tier": 1, "kwh": "221", "amount": 10791}],
                },
            ],
        },
        refusals=(NO_SUCH_ACCOUNT, MONTH_RANGE),
        cacheable=True,
        deprecated=Deprecation(since=date(2026, 12, 1), sunset=date(2027, 12, 1), successor="bill-query.v2"),
    ),
    Operation(
        name="bill-query.v2",
        kind=Kind.QUERY,
        summary="Bills of an account, the newest first, with due dates, penalties and prices",
        request=BillPageQuery,
        response=BillPage,
        example={"account": "3210000000001", "before": "2026-07", "limit": 2},
        scope="bills",
        summary_zh="查询一个户号的账单（由近及远，分页），含缴费期限、违约金与电价",
        example_answer={
            "account": "3210000000001",
            "bills": [
                {
                    "month": "2026-06",
                    "status": "paid",
                    "kwh": "221",
                    "amount": 10791,
                    "penalty": 0,
                    "issued_on": "2026-07-01",
                    "due_on": "2026-07-25",
                    "paid_on": "2026-07-09",
                    "reading_begin": "5428",
                    "reading_end": "5649",
                    "tiers": [{"tier": 1, "kwh": "221", "amount": 10791, "price": "0.4883"}],
                },
                {
                    "month": "2026-05",
                    "status": "paid",
                    "kwh": "162",
                    "amount": 7910,
                    "penalty": 0,
                    "issued_on": "2026-06-01",
                    "due_on": "2026-06-25",
                    "paid_on": "2026-06-08",
                    "reading_begin": "5266",
                    "reading_end": "5428",
                    "tiers": [{"tier": 1, "kwh": "162", "amount": 7910, "price": "0.4883"}],
                },
            ],
            "next_before": "2026-05",
        },
        refusals=(NO_SUCH_ACCOUNT,),
        cacheable=True,
        removed={
            "first_month": Removed(
                "removed in v2: bills come page by page, the newest first; `limit` says how many",
                "v2 已取消：账单由近及远分页返回，用 `limit` 指定条数",
            ),
            "last_month": Removed(
                "removed in v2: bills come page by page, the newest first; `before` names the month after it",
                "v2 已取消：账单由近及远分页返回，用 `before` 指定其后一个月",
            ),
        },
    ),
    Operation(
        name="arrears-query",
        kind=Kind.QUERY,
        summary="What an account owes, with the penalty for late payment",
        request=ArrearsQuery,
        response=Arrears,
        example={"account": "3210000000001"},
        scope="bills",
        summary_zh="查询一个户号的欠费及违约金",
        example_answer={"account": "3210000000001", "as_of": "2026-07-15", "total": 0, "unpaid": []},
        refusals=(NO_SUCH_ACCOUNT, ACCOUNT_CLOSED, DAY_RANGE),
        cacheable=True,
    ),
    Operation(
        name="balance-query",
        kind=Kind.QUERY,
        summary="What an account has paid in advance, what is credited to it, and what it owes",
        request=BalanceQuery,
        response=Balance,
        example={"account": "3210000000004"},
        scope="bills",
        summary_zh="查询一个户号的预存、退补余额及欠费",
        example_answer={
            "account": "3210000000004",
            "as_of": "2026-07-15 09:30:00",
            "prepaid": 120_000,
            "credit": 1_260,
            "owed": 0,
            "balance": 121_260,
        },
        refusals=(NO_SUCH_ACCOUNT,),
        cacheable=True,
    ),
    Operation(
        name="bill-detail",
        kind=Kind.QUERY,
        summary="One month's bill in full: readings, tiers and prices, when it was issued and paid",
        request=BillDetailQuery,
        response=BillDetail,
        example={"account": "3210000000001", "month": "2026-05"},
        scope="bills",
        summary_zh="查询某月账单明细：示数、阶梯与电价、出账与缴费日期",
        example_answer={
            "account": "3210000000001",
            "month": "2026-05",
            "kwh": "162",
            "amount": 7910,
            "read_on": "2026-05-31",
            "issued_on": "2026-06-01",
            "paid_on": "2026-06-08",
            "reading_begin": "5266",
            "reading_end": "5428",
            "tiers": [{"tier": 1, "kwh": "162", "amount": 7910, "price": "0.4883"}],
        },
        refusals=(NO_SUCH_ACCOUNT, NO_SUCH_BILL),
        cacheable=True,
    ),
    Operation(
        name="payment-records",
        kind=Kind.QUERY,
        summary="What was paid for an account, and for which months",
        request=PaymentsQuery,
        response=Payments,
        example={"account": "3210000000001", "first_day": "2026-01-01", "last_day": "2026-06-30"},
        scope="bills",
        summary_zh="查询一个户号的缴费记录及所缴月份",
        example_answer={
            "account": "3210000000001",
            "total": 13477,
            "payments": [
                {"paid_on": "2026-06-08", "month": "2026-05", "amount": 7910},
                {"paid_on": "2026-05-10", "month": "2026-04", "amount": 5567},
            ],
        },
        refusals=(NO_SUCH_ACCOUNT,),
        cacheable=True,
    ),
    *invoices.OPERATIONS,
)
