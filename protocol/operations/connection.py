"""Connection: applications to be connected, for more or less capacity, another holder, or to be disconnected."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from protocol.operations.fields import (
    PERSONAL,
    AccountNumber,
    Address,
    Attachments,
    Contact,
    CreditCode,
    Day,
    IdentityNumber,
    Model,
    Phone,
    Text,
)
from protocol.operations.operation import Family, Kind, Operation, UnknownOutcome
from protocol.operations.refusals import (
    ACCOUNT_CLOSED,
    CAPACITY,
    INVALID_ATTACHMENT,
    INVALID_FIELD,
    NO_SUCH_ACCOUNT,
    Refusal,
)
from protocol.operations.work_orders import Time


class ApplicationType(StrEnum):
    """What is applied for."""

    NEW = "new"
    CAPACITY_UP = "capacity-up"
    CAPACITY_DOWN = "capacity-down"
    TRANSFER = "transfer"
    """The account goes to another holder."""
    CLOSE = "close"


class CustomerKind(StrEnum):
    """Who applies."""

    PERSON = "person"
    COMPANY = "company"


class Purpose(StrEnum):
    """What the supply is for: the tariff depends on it."""

    RESIDENTIAL = "residential"
    COMMERCIAL = "commercial"
    INDUSTRIAL = "industrial"
    AGRICULTURAL = "agricultural"


class ApplicationState(StrEnum):
    """How far an application is, for programs; `status` is the marketing system's own word."""

    WAITING_FOR_PAPERS = "waiting-for-papers"
    IN_PROGRESS = "in-progress"
    FINISHED = "finished"
    TURNED_DOWN = "turned-down"
    WITHDRAWN = "withdrawn"


ApplicationNumber = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9-]{4,40}$"),
    Field(description="The marketing system's number of the application"),
]
PaperCode = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9-]{1,20}$"),
    Field(description="The marketing system's code of a paper, as `application-requirements` tells it"),
]


def _each_once(papers: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(papers)) < len(papers):
        raise ValueError("a paper is named twice")
    return papers


Papers = Annotated[
    tuple[PaperCode, ...],
    Field(max_length=20, description="Which papers the attachments show, or were handed in at an outlet"),
    AfterValidator(_each_once),
]


class Holder(Model):
    """A person with their identity number, or a company with its unified social credit code."""

    kind: Annotated[CustomerKind, Field(strict=False)]
    name: Annotated[
        Text, StringConstraints(max_length=100), Field(json_schema_extra={"x-personal-data": True}), PERSONAL
    ]
    identity_number: IdentityNumber | None = None
    credit_code: CreditCode | None = None

    @model_validator(mode="after")
    def _the_number_of_its_kind(self) -> Self:
        person = self.kind is CustomerKind.PERSON
        wanted, other = ("identity_number", "credit_code") if person else ("credit_code", "identity_number")
        if getattr(self, wanted) is None:
            raise ValueError(f"{wanted} is needed for a {self.kind}")
        if getattr(self, other) is not None:
            raise ValueError(f"{other} is not for a {self.kind}")
        return self


class ConnectionApplication(Model):
    """An application as the customer fills it in; `type` says which of the optional fields are needed."""

    type: Annotated[ApplicationType, Field(strict=False)]
    applicant: Holder
    contact: Contact
    account: Annotated[AccountNumber | None, Field(description="Needed unless `type` is new")] = None
    address: Annotated[Address | None, Field(description="Where to supply: of a new connection")] = None
    purpose: Annotated[Purpose | None, Field(strict=False, description="Of a new connection")] = None
    capacity_kw: Annotated[
        int | None,
        Field(ge=1, le=100_000, description="The capacity there shall be, in kW: new, capacity-up, capacity-down"),
    ] = None
    new_holder: Annotated[Holder | None, Field(description="Whom the account goes to: of a transfer")] = None
    remark: Annotated[Text, StringConstraints(max_length=500), PERSONAL] | None = None
    papers: Papers = ()
    attachments: Attachments = ()

    @model_validator(mode="after")
    def _what_the_type_needs(self) -> Self:
        needed = _NEEDED[self.type]
        for name in _OF_SOME_TYPES:
            if (getattr(self, name) is not None) is not (name in needed):
                raise ValueError(f"{name} is {'needed' if name in needed else 'not'} for {_CALLED[self.type]}")
        return self


_NEEDED: Mapping[ApplicationType, frozenset[str]] = MappingProxyType(
    {
        ApplicationType.NEW: frozenset({"address", "purpose", "capacity_kw"}),
        ApplicationType.CAPACITY_UP: frozenset({"account", "capacity_kw"}),
        ApplicationType.CAPACITY_DOWN: frozenset({"account", "capacity_kw"}),
        ApplicationType.TRANSFER: frozenset({"account", "new_holder"}),
        ApplicationType.CLOSE: frozenset({"account"}),
    }
)
_OF_SOME_TYPES = sorted(frozenset[str]().union(*_NEEDED.values()))
_CALLED = {
    ApplicationType.NEW: "a new connection",
    ApplicationType.CAPACITY_UP: "more capacity",
    ApplicationType.CAPACITY_DOWN: "less capacity",
    ApplicationType.TRANSFER: "a transfer",
    ApplicationType.CLOSE: "closing an account",
}


class Paper(Model):
    """One paper."""

    paper: PaperCode
    name: Annotated[str, Field(max_length=100)]


class ApplicationAccepted(Model):
    """The application is registered; it goes on when no paper is missing."""

    application: ApplicationNumber
    accepted_at: Time
    missing: tuple[Paper, ...]


class ApplicationSupplement(Model):
    """Papers handed in later. An application whose contact phone is another is none."""

    application: ApplicationNumber
    contact_phone: Phone
    papers: Papers = ()
    attachments: Attachments = ()
    note: Annotated[Text, StringConstraints(max_length=500), PERSONAL] | None = None

    @model_validator(mode="after")
    def _something_is_handed_in(self) -> Self:
        if not self.attachments and self.note is None:
            raise ValueError("attachments or a note are needed: what is handed in, or where it was")
        return self


class ApplicationSupplemented(Model):
    """What was handed in is registered."""

    application: ApplicationNumber
    received_at: Time
    missing: tuple[Paper, ...]


class ApplicationProgressQuery(Model):
    """How far an application is."""

    application: ApplicationNumber


class KeyNode(Model):
    """One step that the customer is kept informed of."""

    name: Annotated[str, Field(max_length=100)]
    planned_on: Day | None = None
    done_on: Day | None = None
    """None: not reached."""


class ApplicationProgress(Model):
    """The answer to a progress query: every key node of the application, in order."""

    application: ApplicationNumber
    type: Annotated[ApplicationType, Field(strict=False)]
    state: Annotated[ApplicationState, Field(strict=False)]
    status: Annotated[str, Field(max_length=40)]
    waiting_for: Annotated[str, Field(max_length=300)] | None = None
    """In the marketing system's words; None: for nothing."""
    missing: tuple[Paper, ...]
    nodes: tuple[KeyNode, ...]


class RequirementsQuery(Model):
    """Which papers an application needs."""

    type: Annotated[ApplicationType, Field(strict=False)]
    customer: Annotated[CustomerKind, Field(strict=False)]


class RequiredPaper(Paper):
    """One paper of an application."""

    required: bool
    """False: only if it applies."""
    note: Annotated[str, Field(max_length=300)] | None = None


class Requirements(Model):
    """The answer to a query for requirements."""

    type: Annotated[ApplicationType, Field(strict=False)]
    customer: Annotated[CustomerKind, Field(strict=False)]
    papers: tuple[RequiredPaper, ...]


NO_SUCH_APPLICATION = Refusal("no-such-application", "There is no application with this number", "申请编号不存在")
APPLICATION_FINISHED = Refusal("application-finished", "The application is finished", "申请已办结")
NOT_OFFERED = Refusal(
    "application-not-offered", "This cannot be applied for by this kind of customer", "不受理该类客户的此项业务"
)
NO_SUCH_PAPER = Refusal("no-such-paper", "The application needs no such paper", "该业务无此项资料")
IN_ARREARS = Refusal("account-in-arrears", "The account has unpaid bills", "户号有欠费，请先结清")

FAMILY = Family(
    "Connection",
    "报装与变更",
    "New connections, changes of capacity and holder, closing an account, and what becomes of them",
    "新装、增减容、过户、销户的申请、补交资料与办理进度",
)
OPERATIONS = (
    Operation(
        name="application-requirements",
        kind=Kind.QUERY,
        summary="Which papers an application needs, by type and kind of customer",
        request=RequirementsQuery,
        response=Requirements,
        example={"type": "new", "customer": "company"},
        scope="connection",
        summary_zh="查询各类业务申请所需资料",
        example_answer={
            "type": "new",
            "customer": "company",
            "papers": [
                {"paper": "B01", "name": "营业执照", "required": True},
                {"paper": "A02", "name": "用电地址权属证明", "required": True},
                {"paper": "C01", "name": "用电设备清单", "required": True},
                {"paper": "B03", "name": "授权委托书", "required": False, "note": "经办人办理时提供"},
            ],
        },
        refusals=(NOT_OFFERED,),
        cacheable=True,
    ),
    Operation(
        name="application-progress",
        kind=Kind.QUERY,
        summary="How far an application is: key nodes planned and reached, what it waits for, papers missing",
        request=ApplicationProgressQuery,
        response=ApplicationProgress,
        example={"application": "SQ202511030000000001"},
        scope="connection",
        summary_zh="查询业务申请进度：关键节点的计划与实际日期、待办事项、所缺资料",
        example_answer={
            "application": "SQ202511030000000001",
            "type": "new",
            "state": "waiting-for-papers",
            "status": "待补资料",
            "waiting_for": "客户补交资料：用电地址权属证明、用电设备清单",
            "missing": [{"paper": "A02", "name": "用电地址权属证明"}, {"paper": "C01", "name": "用电设备清单"}],
            "nodes": [
                {"name": "业务受理", "planned_on": "2025-11-03", "done_on": "2025-11-03"},
                {"name": "现场勘查", "planned_on": "2025-11-03"},
                {"name": "答复供电方案", "planned_on": "2025-11-03"},
                {"name": "竣工检验", "planned_on": "2025-11-03"},
                {"name": "装表接电", "planned_on": "2025-11-03"},
                {"name": "归档", "planned_on": "2025-11-03"},
            ],
        },
        refusals=(NO_SUCH_APPLICATION,),
        cacheable=True,
    ),
    Operation(
        name="connection-application",
        kind=Kind.COMMAND,
        summary="Apply for a connection, more or less capacity, another holder, or to close an account",
        request=ConnectionApplication,
        response=ApplicationAccepted,
        example={
            "type": "capacity-up",
            "applicant": {"kind": "person", "name": "王芳", "identity_number": "990101199001010019"},
            "contact": {"name": "王芳", "phone": "19900000001"},
            "account": "3210000000001",
            "capacity_kw": 12,
            "remark": "加装充电桩。",
        },
        scope="connection",
        summary_zh="申请新装、增容、减容、过户、销户",
        example_answer={
            "application": "SQ202607010000000002",
            "accepted_at": "2026-07-01 09:30:00",
            "missing": [{"paper": "A01", "name": "有效身份证明"}],
        },
        refusals=(
            INVALID_FIELD,
            INVALID_ATTACHMENT,
            NO_SUCH_ACCOUNT,
            ACCOUNT_CLOSED,
            CAPACITY,
            NOT_OFFERED,
            NO_SUCH_PAPER,
            IN_ARREARS,
        ),
        deadline_ms=3_000,
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda application: application.account,
    ),
    Operation(
        name="application-supplement",
        kind=Kind.COMMAND,
        summary="Hand in papers later for an application of one's own",
        request=ApplicationSupplement,
        response=ApplicationSupplemented,
        example={
            "application": "SQ202511030000000001",
            "contact_phone": "19900000001",
            "papers": ("A02",),
            "note": "权属证明原件已交人民路营业厅。",
        },
        scope="connection",
        summary_zh="为本人的业务申请补交资料",
        example_answer={
            "application": "SQ202511030000000001",
            "received_at": "2026-07-01 09:40:00",
            "missing": [{"paper": "C01", "name": "用电设备清单"}],
        },
        refusals=(INVALID_FIELD, INVALID_ATTACHMENT, NO_SUCH_APPLICATION, APPLICATION_FINISHED, NO_SUCH_PAPER),
        deadline_ms=3_000,
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda supplement: supplement.application,
    ),
)
