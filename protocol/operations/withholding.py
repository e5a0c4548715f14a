"""Withholding: bills that a bank is asked to charge. The bridge answers these itself
(intranet_bridge/settlement/withholding); the agreements are the marketing system's (payment.py).

A bill becomes a line of the next batch, whose file goes to the bank on its day. What the bank charged is written off
then; what it did not is asked for again under another number, and after the last time the customer gets a notice.
"""

from typing import Annotated

from pydantic import Field, StringConstraints

from protocol.operations.fields import AccountNumber, Day, Fen, Model, Month
from protocol.operations.operation import AnsweredBy, Family, Kind, Operation
from protocol.operations.payment import BILL_NOT_OPEN, NO_SUCH_AGREEMENT, Agreement, BankAccount
from protocol.operations.refusals import ACCOUNT_CLOSED, INVALID_FIELD, NO_SUCH_ACCOUNT, Refusal

Arrangement = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$"),
    Field(description="Which bank and unit, by the bridge's own name; needed where an account could be in several"),
]
BillNumber = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Za-z-]{1,40}$"),
    Field(description="The marketing system's number of a bill"),
]
Quantity = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{1,10}(\.[0-9]{1,4})?$"),
    Field(description="What was used, as the bill has it"),
]
LineNumber = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z]{1,4}[0-9]{14,24}$"),
    Field(description="The line's number (detId), by which the bank answers"),
]
BatchNumber = Annotated[
    str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,64}$"), Field(description="The batch that it is in")
]


class WithholdingCharge(Model):
    """Have a bill charged with the next batch.

    What is left out is taken from the marketing system, where the company's binding lets the bridge ask; else the
    answer names the field that is missing.
    """

    account: AccountNumber
    agreement: Agreement
    month: Month
    bill: BillNumber | None = None
    amount: Annotated[Fen, Field(ge=0, description="Of the bill, in fen, without the penalty")] | None = None
    penalty: Annotated[Fen, Field(ge=0)] = 0
    quantity: Quantity | None = None
    bank_account: BankAccount | None = None
    arrangement: Arrangement | None = None


class WithholdingLine(Model):
    """The bill is a line of a batch."""

    account: AccountNumber
    line: LineNumber
    batch: BatchNumber
    day: Annotated[Day, Field(description="When the batch is sent")]
    bill: BillNumber
    month: Month
    amount: Fen
    penalty: Fen


class WithholdingChargeCancellation(Model):
    """Take a line back whose batch is not sealed yet."""

    account: AccountNumber
    line: LineNumber


class WithholdingChargeCancelled(Model):
    """The bill is not asked for."""

    account: AccountNumber
    line: LineNumber
    batch: BatchNumber


NOT_OFFERED = Refusal("withholding-not-offered", "This company withholds nothing here", "本单位未开通代扣")
NO_ARRANGEMENT = Refusal(
    "no-arrangement", "No bank charges this account, or several could: name one", "无对应代扣安排，或需指明其一"
)
BILL_IN_BATCH = Refusal("bill-in-batch", "The bill is in a batch already", "账单已在代扣批次中")
NO_SUCH_LINE = Refusal("no-such-line", "There is no such line of this account", "代扣明细不存在")
LINE_SEALED = Refusal("line-sealed", "The batch is sealed: the bank will be asked", "批次已封存，不可撤回")

FAMILY = Family(
    "Withholding",
    "代扣",
    "Bills that a bank is asked to charge, batch by batch; the bridge answers these itself",
    "按批次委托银行代扣的账单；由内网桥接程序直接应答",
)
_LINE = "D20260705000001"
_BATCH = "SDDL-37101-20260705"
OPERATIONS = (
    Operation(
        name="withholding-charge",
        kind=Kind.COMMAND,
        summary="Have a bill charged with the next batch of withholding",
        summary_zh="将账单列入下一批代扣",
        request=WithholdingCharge,
        response=WithholdingLine,
        example={
            "account": "3210000000004",
            "agreement": "WH000000000001",
            "month": "2026-06",
            "bill": "R202606000004",
            "amount": 10791,
            "bank_account": "6217000000000000456",
        },
        example_answer={
            "account": "3210000000004",
            "line": _LINE,
            "batch": _BATCH,
            "day": "2026-07-05",
            "bill": "R202606000004",
            "month": "2026-06",
            "amount": 10791,
            "penalty": 0,
        },
        refusals=(
            NOT_OFFERED,
            INVALID_FIELD,
            NO_SUCH_ACCOUNT,
            ACCOUNT_CLOSED,
            NO_SUCH_AGREEMENT,
            NO_ARRANGEMENT,
            BILL_NOT_OPEN,
            BILL_IN_BATCH,
        ),
        scope="payments",
        echoes={"account": "account", "month": "month"},
        ordering_key=lambda asked: asked.account,
        answered_by=AnsweredBy.BRIDGE,
    ),
    Operation(
        name="withholding-charge-cancel",
        kind=Kind.COMMAND,
        summary="Take a bill back out of a batch that is not sealed yet",
        summary_zh="撤回尚未封存的代扣明细",
        request=WithholdingChargeCancellation,
        response=WithholdingChargeCancelled,
        example={"account": "3210000000004", "line": _LINE},
        example_answer={"account": "3210000000004", "line": _LINE, "batch": _BATCH},
        refusals=(NOT_OFFERED, NO_SUCH_LINE, LINE_SEALED),
        scope="payments",
        ordering_key=lambda asked: asked.account,
        answered_by=AnsweredBy.BRIDGE,
    ),
)
