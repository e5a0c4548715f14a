"""Reports of theft: of power, water, gas or heat, by somebody who may stay unnamed."""

from typing import Annotated

from pydantic import Field, StringConstraints

from protocol.operations.fields import PERSONAL, Address, Attachments, Contact, Model, Text
from protocol.operations.operation import Family, Kind, Operation, UnknownOutcome
from protocol.operations.refusals import INVALID_ATTACHMENT, INVALID_FIELD, Refusal
from protocol.operations.work_orders import ProgressStep, Time, WorkOrderState

ReportNumber = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9-]{4,40}$"),
    Field(description="The marketing system's number of the report; who has it may ask for its progress"),
]


class TheftReport(Model):
    """What somebody saw. Without `contact` the report is anonymous."""

    place: Address
    description: Annotated[Text, StringConstraints(max_length=2000), PERSONAL]
    contact: Contact | None = None
    attachments: Attachments = ()


class TheftReported(Model):
    """The report is registered."""

    report: ReportNumber
    reported_at: Time


class TheftProgressQuery(Model):
    """How far a report is; its number is all that an anonymous reporter has."""

    report: ReportNumber


class TheftProgress(Model):
    """The answer to a progress query: its nodes, nothing of place or people."""

    report: ReportNumber
    state: Annotated[WorkOrderState, Field(strict=False)]
    status: Annotated[str, Field(max_length=40)]
    steps: tuple[ProgressStep, ...]


NO_SUCH_REPORT = Refusal("no-such-report", "There is no report with this number", "举报编号不存在")

FAMILY = Family(
    "Reports of theft",
    "窃电举报",
    "Reports of stolen power, water, gas or heat, anonymous if wished",
    "举报窃电、窃水、窃气、窃热，可匿名",
)
OPERATIONS = (
    Operation(
        name="theft-report",
        kind=Kind.COMMAND,
        summary="Report a theft, anonymously if wished; the number it gets is asked progress with",
        request=TheftReport,
        response=TheftReported,
        example={"place": "云河市青石区建设路88号地下车库", "description": "有人绕过电表接线给充电桩供电。"},
        scope="theft",
        summary_zh="举报窃电（可匿名），凭举报编号查询进度",
        example_answer={"report": "JB2026070100000250917346", "reported_at": "2026-07-01 09:30:00"},
        refusals=(INVALID_FIELD, INVALID_ATTACHMENT),
        deadline_ms=3_000,
        unknown_outcome=UnknownOutcome.INQUIRE,
    ),
    Operation(
        name="theft-report-progress",
        kind=Kind.QUERY,
        summary="How far a report of theft is",
        request=TheftProgressQuery,
        response=TheftProgress,
        example={"report": "JB2025110300000173104825"},
        scope="theft",
        summary_zh="凭举报编号查询办理进度",
        example_answer={
            "report": "JB2025110300000173104825",
            "state": "finished",
            "status": "已归档",
            "steps": [
                {"name": "受理", "at": "2025-11-03 11:00:00"},
                {"name": "现场核查", "at": "2025-11-03 11:00:20"},
                {"name": "处理", "at": "2025-11-03 11:00:40"},
                {"name": "归档", "at": "2025-11-03 11:01:00"},
            ],
        },
        refusals=(NO_SUCH_REPORT,),
        cacheable=True,
    ),
)
