"""Work orders: what a customer asks the company to do, and how far it is."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from protocol.operations.fields import AccountNumber, Model, Phone, Text, WorkOrderNumber
from protocol.operations.operation import Family, Kind, Operation, UnknownOutcome


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
    contact_name: Annotated[Text, StringConstraints(max_length=60)]
    contact_phone: Phone
    address: Annotated[Text, StringConstraints(max_length=200)]
    content: Annotated[Text, StringConstraints(max_length=2000)]
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
    ),
)
