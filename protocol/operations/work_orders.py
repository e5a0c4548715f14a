"""Work orders: what a customer asks the company to do, and how far it is."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from protocol.operations.fields import (
    PERSONAL,
    AccountNumber,
    Address,
    Contact,
    Day,
    Model,
    PersonName,
    Phone,
    Text,
    WorkOrderNumber,
)
from protocol.operations.operation import Family, Kind, Operation, UnknownOutcome
from protocol.operations.refusals import ACCOUNT_CLOSED, CAPACITY, INVALID_FIELD, NO_SUCH_ACCOUNT, Refusal


class WorkOrderType(StrEnum):
    """What is asked for."""

    FAULT_REPAIR = "fault-repair"
    COMPLAINT = "complaint"
    SUGGESTION = "suggestion"
    THEFT_REPORT = "theft-report"
    NEW_CONNECTION = "new-connection"
    CAPACITY_CHANGE = "capacity-change"
    METER_FAULT = "meter-fault"
    BILL_INQUIRY = "bill-inquiry"
    SUPPLY_QUALITY = "supply-quality"
    """Voltage, pressure or temperature that is not as it should be."""
    WATER_QUALITY = "water-quality"
    PIPE_LEAK = "pipe-leak"
    INQUIRY = "inquiry"
    PRAISE = "praise"


class WorkOrderState(StrEnum):
    """How far a work order is, for programs; `status` is the marketing system's own word."""

    ACCEPTED = "accepted"
    IN_PROGRESS = "in-progress"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class FeedbackCategory(StrEnum):
    """What feedback is about."""

    SERVICE = "service"
    PRICES = "prices"
    ONLINE = "online"
    """The app, the mini program, the web site."""
    OUTLETS = "outlets"
    OTHER = "other"


_NEEDS_CAPACITY = frozenset({WorkOrderType.NEW_CONNECTION, WorkOrderType.CAPACITY_CHANGE})
_NEEDS_ACCOUNT = frozenset(
    {
        WorkOrderType.COMPLAINT,
        WorkOrderType.CAPACITY_CHANGE,
        WorkOrderType.METER_FAULT,
        WorkOrderType.BILL_INQUIRY,
        WorkOrderType.SUPPLY_QUALITY,
    }
)
_MOST_DAYS = 732
"""Two years."""
Time = Annotated[str, Field(max_length=40, description="A time as the marketing system writes it")]


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
    state: Annotated[WorkOrderState, Field(strict=False)] | None = None
    steps: tuple[ProgressStep, ...]


class WorkOrdersQuery(Model):
    """The work orders of one account, page by page."""

    account: AccountNumber
    state: Annotated[WorkOrderState, Field(strict=False)] | None = None
    first_day: Annotated[Day | None, Field(description="Accepted on this day or later")] = None
    last_day: Annotated[Day | None, Field(description="Accepted on this day or earlier")] = None
    page: Annotated[int, Field(ge=1, le=1000, description="Counted from 1")] = 1
    page_size: Annotated[int, Field(ge=1, le=50)] = 20

    @model_validator(mode="after")
    def _days_in_order(self) -> Self:
        if self.first_day is not None and self.last_day is not None:
            days = (date.fromisoformat(self.last_day) - date.fromisoformat(self.first_day)).days
            if not 0 <= days < _MOST_DAYS:
                raise ValueError(
                    f"last_day must not be before first_day, and at most {_MOST_DAYS} days may be asked for"
                )
        return self


class ListedWorkOrder(Model):
    """One work order of a list."""

    work_order: WorkOrderNumber
    type: Annotated[WorkOrderType, Field(strict=False)] | None = None
    """None: a type of the marketing system's own."""
    state: Annotated[WorkOrderState, Field(strict=False)]
    status: Annotated[str, Field(max_length=40)]
    accepted_at: Time


class ListedWorkOrders(Model):
    """One page of an account's work orders, the latest first; empty past the last."""

    account: AccountNumber
    page: Annotated[int, Field(ge=1)]
    total: Annotated[int, Field(ge=0, description="How many there are on all pages")]
    work_orders: Annotated[tuple[ListedWorkOrder, ...], Field(max_length=50)]


class OwnWorkOrder(Model):
    """A work order with what shows that it is the caller's: its account, its contact phone, or both."""

    work_order: WorkOrderNumber
    account: AccountNumber | None = None
    contact_phone: Phone | None = None

    @model_validator(mode="after")
    def _shown_to_be_the_callers(self) -> Self:
        if self.account is None and self.contact_phone is None:
            raise ValueError("account or contact_phone is needed: that of the work order")
        return self


class WorkOrderCancellation(OwnWorkOrder):
    """A work order that is no longer wished for."""

    reason: Annotated[Text, StringConstraints(max_length=500), PERSONAL]


class WorkOrderCancelled(Model):
    """The work order is cancelled; asked again, the answer is the first one's."""

    work_order: WorkOrderNumber
    cancelled_at: Time


class WorkOrderRating(OwnWorkOrder):
    """What the customer thinks of a finished work order."""

    rating: Annotated[int, Field(ge=1, le=5, description="1 very bad, 5 very good")]
    comment: Annotated[Text, StringConstraints(max_length=500), PERSONAL] | None = None


class WorkOrderRated(Model):
    """The rating is kept; the same one again is answered as the first was."""

    work_order: WorkOrderNumber
    rating: Annotated[int, Field(ge=1, le=5)]
    rated_at: Time


class Feedback(Model):
    """What somebody wants the company to know; nobody need be named."""

    category: Annotated[FeedbackCategory, Field(strict=False)]
    content: Annotated[Text, StringConstraints(max_length=2000), PERSONAL]
    account: AccountNumber | None = None
    contact: Contact | None = None


class FeedbackReceived(Model):
    """The feedback is registered."""

    feedback: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z0-9-]{4,40}$"),
        Field(description="The marketing system's number of it"),
    ]
    received_at: Time


NO_SUCH_WORK_ORDER = Refusal("no-such-work-order", "There is no work order with this number", "工单不存在")
NOT_CANCELLABLE = Refusal(
    "not-cancellable", "The work order is finished, or too far to be cancelled", "工单已办结或已进入不可撤销环节"
)
NOT_FINISHED = Refusal("work-order-not-finished", "Only a finished work order can be rated", "工单未办结，不能评价")
ALREADY_RATED = Refusal("already-rated", "The work order has another rating already", "工单已评价")

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
        summary="Register a work order: repair, meter, supply, leak, complaint, inquiry, connection and others",
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
        summary_zh="登记工单：报修、计量异常、供应质量、漏水、投诉、咨询、建议、表扬、举报、新装、增减容",
        example_answer={"work_order": "202607010000000004", "accepted_at": "2026-07-01 09:30:00"},
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
            "state": "finished",
            "steps": [
                {"name": "受理", "at": "2026-07-01 09:00:00"},
                {"name": "派工", "at": "2026-07-01 09:00:20"},
                {"name": "归档", "at": "2026-07-01 09:01:40"},
            ],
        },
        refusals=(NO_SUCH_WORK_ORDER,),
        cacheable=True,
    ),
    Operation(
        name="work-order-list",
        kind=Kind.QUERY,
        summary="The work orders of an account, the latest first",
        request=WorkOrdersQuery,
        response=ListedWorkOrders,
        example={"account": "3210000000001", "state": "finished", "page": 1, "page_size": 10},
        scope="work-orders",
        summary_zh="分页查询一个户号的工单",
        example_answer={
            "account": "3210000000001",
            "page": 1,
            "total": 1,
            "work_orders": [
                {
                    "work_order": "202511030000000003",
                    "type": "meter-fault",
                    "state": "finished",
                    "status": "已归档",
                    "accepted_at": "2025-11-03 10:00:00",
                }
            ],
        },
        refusals=(NO_SUCH_ACCOUNT,),
        cacheable=True,
        echoes={"account": "account", "page": "page", "work_orders.state": "state"},
    ),
    Operation(
        name="work-order-cancel",
        kind=Kind.COMMAND,
        summary="Cancel a work order of one's own while it can still be cancelled",
        request=WorkOrderCancellation,
        response=WorkOrderCancelled,
        example={
            "work_order": "202511030000000002",
            "contact_phone": "19900000001",
            "reason": "邻居已修好，不用上门了。",
        },
        scope="work-orders",
        summary_zh="撤销本人尚可撤销的工单",
        example_answer={"work_order": "202511030000000002", "cancelled_at": "2026-07-01 10:00:00"},
        refusals=(INVALID_FIELD, NO_SUCH_WORK_ORDER, NOT_CANCELLABLE),
        deadline_ms=3_000,
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.work_order,
        about="work_order",
    ),
    Operation(
        name="work-order-rate",
        kind=Kind.COMMAND,
        summary="Rate a finished work order of one's own, once",
        request=WorkOrderRating,
        response=WorkOrderRated,
        example={
            "work_order": "202511030000000003",
            "account": "3210000000001",
            "rating": 5,
            "comment": "师傅来得很快。",
        },
        scope="work-orders",
        summary_zh="评价本人已办结的工单（一次）",
        example_answer={"work_order": "202511030000000003", "rating": 5, "rated_at": "2026-07-01 10:00:00"},
        refusals=(INVALID_FIELD, NO_SUCH_WORK_ORDER, NOT_FINISHED, ALREADY_RATED),
        deadline_ms=3_000,
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.work_order,
        about="work_order",
    ),
    Operation(
        name="feedback",
        kind=Kind.COMMAND,
        summary="Tell the company something: service, prices, the app, its outlets",
        request=Feedback,
        response=FeedbackReceived,
        example={"category": "online", "content": "希望账单页能下载近两年的电子发票。"},
        scope="work-orders",
        summary_zh="意见反馈：服务、价格、线上渠道、营业厅",
        example_answer={"feedback": "YJ202607010000000001", "received_at": "2026-07-01 09:30:00"},
        refusals=(INVALID_FIELD, NO_SUCH_ACCOUNT),
        deadline_ms=3_000,
        unknown_outcome=UnknownOutcome.INQUIRE,
    ),
)
