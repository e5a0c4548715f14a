"""Work orders: what a customer asks the company to do, and how far it is."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from protocol.operations.fields import PERSONAL, AccountNumber, Address, Model, PersonName, Phone, Text, WorkOrderNumber
from protocol.operations.operation import Family, Kind, Operation, UnknownOutcome
from protocol.operations.refusals import ACCOUNT_CLOSED, INVALID_FIELD, NO_SUCH_ACCOUNT, Refusal


class WorkOrderType(StrEnum):
    """What is asked for."""

    FAULT_REPAIR = "fault-repair"
    COMPLAINT = "complaint"
    SUGGESTION = "suggestion"
    THEFT_REPORT = "theft-report"
    NEW_CONNECTION = "new-connection"
    CAPACITY_CHANGE = "capacity-change"


_NEEDS_CAPACITY = frozenset({WorkOrderType.NEW_CONNECTION, WorkOrderType.CAPACITY_CHANGE})
_NEEDS_ACCOUNT = frozenset({WorkOrderType.COMPLAINT, WorkOrderType.CAPACITY_CHANGE})


class WorkOrder(Model):
    """A work order as the customer fills it in."""

    type: Annotated[WorkOrderType, Field(strict=False)]
    account: AccountNumber | None = None
    contact_name: PersonName
    contact_phone: Phone
    address: Address
    content: Annotated[Text, StringConstraints(max_length=2000), PERSONAL]
    capacity_kw: Annotated[int, Field(ge=1, le=100_000, description="Capacity wished for, in kW")] | None = None

    @model_validator(mode="after")
    def _what_the_type_needs(self) -> Self:
        if self.type in _NEEDS_CAPACITY and self.capacity_kw is None:
            raise ValueError(f"capacity_kw is needed for a {self.type}")
        if self.type in _NEEDS_ACCOUNT and self.account is None:
            raise ValueError(f"account is needed for a {self.type}")
        return self


class WorkOrderAccepted(Model):
    """The marketing system has registered the work order."""

    work_order: WorkOrderNumber
    accepted_at: Annotated[str, Field(max_length=40)]


class ProgressQuery(Model):
    """How far a work order is."""

    work_order: WorkOrderNumber


class ProgressStep(Model):
    """One node the work order has passed."""

    name: Annotated[str, Field(max_length=100)]
    at: Annotated[str, Field(max_length=40)]
    note: Annotated[str, Field(max_length=500)] = ""


class Progress(Model):
    """The answer to a progress query."""

    work_order: WorkOrderNumber
    status: Annotated[str, Field(max_length=40)]
    steps: tuple[ProgressStep, ...]


NO_SUCH_WORK_ORDER = Refusal("no-such-work-order", "There is no work order with this number", "工单不存在")
CAPACITY = Refusal("capacity", "The capacity is missing or out of range", "申请容量缺失或超出范围")

FAMILY = Family(
    "Work orders",
    "工单",
    "What customers report and ask for, and what became of it",
    "客户的报修、投诉、建议与申请，以及办理进度",
)
OPERATIONS = (
    Operation(
        name="work-order",
        kind=Kind.COMMAND,
        summary="Register a work order: repair, complaint, suggestion, report of theft, connection, capacity",
        request=WorkOrder,
        response=WorkOrderAccepted,
        example={
            "type": "fault-repair",
            "account": "3210000000001",
            "contact_name": "张伟",
            "contact_phone": "13800000001",
            "address": "人民路1号",
            "content": "家里没电了，请派人检修。",
        },
        scope="work-orders",
        summary_zh="登记工单：报修、投诉、建议、举报窃电、新装、增减容",
        example_answer={"work_order": "202607010000000002", "accepted_at": "2026-07-01 09:30:00"},
        refusals=(INVALID_FIELD, NO_SUCH_ACCOUNT, ACCOUNT_CLOSED, CAPACITY),
        deadline_ms=3_000,
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda order: order.account,
    ),
    Operation(
        name="work-order-progress",
        kind=Kind.QUERY,
        summary="How far a work order is",
        request=ProgressQuery,
        response=Progress,
        example={"work_order": "202607010000000001"},
        scope="work-orders",
        summary_zh="查询工单的办理进度",
        example_answer={
            "work_order": "202607010000000001",
            "status": "已归档",
            "steps": [
                {"name": "受理", "at": "2026-07-01 09:00:00"},
                {"name": "派工", "at": "2026-07-01 09:00:20"},
                {"name": "归档", "at": "2026-07-01 09:01:40"},
            ],
        },
        refusals=(NO_SUCH_WORK_ORDER,),
        cacheable=True,
    ),
)
