"""Electronic invoices for bills that are paid: part of the family of bills."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from protocol.operations.fields import (
    PERSONAL,
    AccountNumber,
    CreditCode,
    Day,
    Email,
    Fen,
    MaskedName,
    Model,
    Moment,
    Month,
    Text,
)
from protocol.operations.operation import Kind, Operation, UnknownOutcome
from protocol.operations.refusals import INVALID_FIELD, MONTH_RANGE, NO_SUCH_ACCOUNT, NO_SUCH_BILL, Refusal
from protocol.operations.spans import AccountMonths


class BuyerType(StrEnum):
    """For whom an invoice is made out."""

    PERSON = "person"
    COMPANY = "company"


class InvoiceState(StrEnum):
    """How far an invoice is."""

    REQUESTED = "requested"
    ISSUED = "issued"
    FAILED = "failed"


def _in_order(months: tuple[str, ...]) -> tuple[str, ...]:
    if list(months) != sorted(set(months)):  # an answer is compared with it: one way to write it
        raise ValueError("months stand in order, each once")
    return months


Months = Annotated[
    tuple[Month, ...],
    Field(min_length=1, max_length=12, description="Months whose bills are on the invoice: in order, each once"),
    AfterValidator(_in_order),
]
Title = Annotated[
    Text,
    StringConstraints(max_length=100),
    Field(description="The buyer's name as it stands on the invoice", json_schema_extra={"x-personal-data": True}),
    PERSONAL,
]
InvoiceNumber = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{4,40}$")]


class InvoiceRequest(Model):
    """One invoice for the bills of some months."""

    account: AccountNumber
    months: Months
    buyer_type: Annotated[BuyerType, Field(strict=False)]
    title: Title
    tax_number: CreditCode | None = None
    """A company's."""
    email: Annotated[Email, Field(description="Where the invoice is sent")]

    @model_validator(mode="after")
    def _what_the_buyer_needs(self) -> Self:
        if self.buyer_type is BuyerType.COMPANY and self.tax_number is None:
            raise ValueError("tax_number is needed for a company")
        if self.buyer_type is BuyerType.PERSON and self.tax_number is not None:
            raise ValueError("tax_number is a company's; a person has none")
        return self


class InvoiceAccepted(Model):
    """The marketing system will make the invoice; `invoice-query` says when it has."""

    account: AccountNumber
    months: Months
    invoice_request: InvoiceNumber
    amount: Annotated[Fen, Field(description="Of the invoice, in fen")]
    accepted_at: Moment


class InvoiceQuery(AccountMonths):
    """Invoices that hold the bills of some months."""


class Invoice(Model):
    """One invoice."""

    invoice_request: InvoiceNumber
    months: tuple[Month, ...]
    amount: Fen
    state: Annotated[InvoiceState, Field(strict=False)]
    title: MaskedName
    requested_at: Moment
    issued_on: Day | None = None
    number: Annotated[InvoiceNumber, Field(description="The tax authority's; absent until issued")] | None = None

    @model_validator(mode="after")
    def _issued_whole(self) -> Self:
        if self.state is InvoiceState.ISSUED and (self.number is None or self.issued_on is None):
            raise ValueError("an issued invoice has its number and the day it was issued on")
        return self


class Invoices(Model):
    """The answer to a query for invoices, the latest requested first."""

    account: AccountNumber
    invoices: tuple[Invoice, ...]


MONTH_UNPAID = Refusal("month-unpaid", "The bill of a month is not paid", "所选月份尚未结清")
ALREADY_INVOICED = Refusal("already-invoiced", "A month has another invoice", "所选月份已开具发票")
NOTHING_TO_INVOICE = Refusal("nothing-to-invoice", "The bills come to nothing", "所选月份金额为零，无需开票")

OPERATIONS = (
    Operation(
        name="invoice-request",
        kind=Kind.COMMAND,
        summary="Ask for an electronic invoice for paid bills; the same one asked for again is answered as before",
        summary_zh="申请电子发票（个人或单位，按月份）；重复申请同一张发票时返回原申请",
        request=InvoiceRequest,
        response=InvoiceAccepted,
        example={
            "account": "3210000000001",
            "months": ("2026-05",),
            "buyer_type": "company",
            "title": "示范科技有限公司",
            "tax_number": "91350100M000100Y43",
            "email": "invoice@example.com",
        },
        example_answer={
            "account": "3210000000001",
            "months": ["2026-05"],
            "invoice_request": "FP2026071500000002",
            "amount": 7910,
            "accepted_at": "2026-07-15 09:30:00",
        },
        refusals=(
            NO_SUCH_ACCOUNT,
            NO_SUCH_BILL,
            MONTH_UNPAID,
            ALREADY_INVOICED,
            NOTHING_TO_INVOICE,
            INVALID_FIELD,
        ),
        scope="bills",
        deadline_ms=3_000,
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda request: request.account,
    ),
    Operation(
        name="invoice-query",
        kind=Kind.QUERY,
        summary="Invoices for the bills of some months, and how far they are",
        summary_zh="查询所选月份的电子发票及开具状态",
        request=InvoiceQuery,
        response=Invoices,
        example={"account": "3210000000001", "first_month": "2026-01", "last_month": "2026-03"},
        example_answer={
            "account": "3210000000001",
            "invoices": [
                {
                    "invoice_request": "FP2026062100000001",
                    "months": ["2026-01"],
                    "amount": 11_475,
                    "state": "issued",
                    "title": "示***",
                    "requested_at": "2026-06-21 09:00:00",
                    "issued_on": "2026-06-21",
                    "number": "26990000000000000001",
                }
            ],
        },
        refusals=(NO_SUCH_ACCOUNT, MONTH_RANGE),
        scope="bills",
        cacheable=True,
    ),
)
