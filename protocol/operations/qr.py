"""Customers' QR codes: issued by staff, scanned by customers. The bridge answers these itself (intranet_bridge/qr)."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from protocol.media import MediaType
from protocol.operations.fields import AccountNumber, AttachmentId, Model, Text, Timestamp
from protocol.operations.operation import AnsweredBy, Family, Kind, Operation
from protocol.operations.refusals import ACCOUNT_CLOSED, INVALID_FIELD, NO_SUCH_ACCOUNT, Refusal
from protocol.qr import FORM, PART_BYTES

Staff = Annotated[Text, StringConstraints(max_length=64), Field(description="Who does this: a member of staff")]
Kid = Annotated[str, StringConstraints(pattern="^[0-9a-z]{1,8}$"), Field(description="Which key signed the code")]
Generation = Annotated[int, Field(ge=1, le=1_000_000)]
BatchId = Annotated[
    str, StringConstraints(pattern="^[0-9A-Za-z._:-]{1,64}$"), Field(description="As `qr-batch` answered it")
]
Ticket = Annotated[
    str, StringConstraints(pattern="^[0-9A-Za-z_-]{43}$"), Field(description="From the address of the page, once")
]
Base64 = Annotated[str, StringConstraints(pattern="^[0-9A-Za-z+/]*={0,2}$")]
Url = Annotated[str, StringConstraints(max_length=300)]
PageName = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9-]{0,31}$")]


class QrIssue(Model):
    """The code of one account. Asked again, it is the same one, until it is revoked."""

    account: AccountNumber
    image: bool = False
    """Whether the answer has the picture too."""
    by: Staff | None = None


class QrIssued(Model):
    """A code, which is on record now."""

    account: AccountNumber
    url: Annotated[Url, Field(description="What stands in the code")]
    host: Annotated[str, Field(max_length=260, description="To be printed beside the code")]
    kid: Kid
    generation: Generation
    issued_at: Timestamp
    png: Annotated[Base64, Field(max_length=40_000, description="The picture, in base 64")] | None = None


class QrRevoke(Model):
    """Make an account's codes bad: a new one is to be issued."""

    account: AccountNumber
    now: Annotated[bool, Field(description="At once; else what is printed stays good for a while")] = False
    by: Staff | None = None


class QrRevoked(Model):
    """The account has a new generation."""

    account: AccountNumber
    generation: Generation
    good_until: Annotated[Timestamp, Field(description="Until when codes of before are good")]


class QrResolve(Model):
    """What somebody scanned."""

    code: Annotated[
        str,
        StringConstraints(max_length=42, pattern=f"^{FORM.pattern}$"),
        Field(description="What follows the base in the code's address"),
    ]


class QrResolved(Model):
    """Where the customer goes."""

    page: PageName
    location: Annotated[Url, Field(description="The page; a ticket is put after it")]
    ticket: Ticket


class QrTicket(Model):
    """A ticket that came with a customer."""

    ticket: Ticket


class QrAccount(Model):
    """Whose code was scanned. It says nothing of who scanned it: show it masked to who has not bound it."""

    account: AccountNumber
    masked: Annotated[str, Field(max_length=20)]
    page: PageName


class QrBatch(Model):
    """Codes of all accounts of a sheet."""

    sheet: AttachmentId
    by: Staff | None = None


class QrBatchStarted(Model):
    """The sheet is taken; `qr-batch-state` says how far it is."""

    batch: BatchId


class QrBatchAsked(Model):
    """One batch of this application."""

    batch: BatchId


class BatchStage(StrEnum):
    """How far a batch is."""

    READING = "reading"
    DRAWING = "drawing"
    PACKING = "packing"
    DONE = "done"
    REFUSED = "refused"


class VerdictCount(Model):
    """So many rows of the sheet came to this."""

    verdict: Annotated[str, Field(max_length=40)]
    rows: Annotated[int, Field(ge=0)]


class QrBatchState(Model):
    """How far a batch is, and what its rows came to."""

    batch: BatchId
    state: Annotated[BatchStage, Field(strict=False)]
    refused: Annotated[str, Field(max_length=40, description="Why the sheet was not taken at all")] = ""
    rows: Annotated[int, Field(ge=0)]
    done: Annotated[int, Field(ge=0)]
    verdicts: tuple[VerdictCount, ...] = ()
    parts: Annotated[int, Field(ge=0, description="Of the ZIP, when it is done")] = 0
    length: Annotated[int, Field(ge=0, description="Bytes of the ZIP")] = 0
    sha256: Annotated[str, StringConstraints(pattern="^([0-9a-f]{64})?$")] = ""


class QrBatchPartAsked(Model):
    """A part of a batch's ZIP, from 0 on."""

    batch: BatchId
    part: Annotated[int, Field(ge=0, le=10_000)]


class QrBatchPart(Model):
    """The part."""

    batch: BatchId
    part: int
    data: Annotated[Base64, Field(max_length=PART_BYTES * 4 // 3 + 4)]


class QrLookup(Model):
    """What was issued for an account."""

    account: AccountNumber


class QrCodeIssued(Model):
    """One time a code was issued."""

    kid: Kid
    generation: Generation
    issued_at: Timestamp
    by: Annotated[str, Field(max_length=160)]
    batch: Annotated[str, Field(max_length=64)]
    good: Annotated[bool, Field(description="Whether it leads anywhere now")]


class QrRecord(Model):
    """What was issued, the latest first, at most 100."""

    account: AccountNumber
    generation: Annotated[int, Field(ge=0, description="The present one; 0: none was issued")]
    codes: tuple[QrCodeIssued, ...]


NOT_OFFERED = Refusal("qr-not-offered", "This company issues no QR codes here", "本单位未开通二维码")
NO_SUCH_CODE = Refusal("no-such-code", "This code leads nowhere", "二维码无效")
NO_SUCH_TICKET = Refusal("no-such-ticket", "The ticket is unknown, used or too old", "票据不存在、已使用或已过期")
NO_SUCH_BATCH = Refusal("no-such-batch", "There is no such batch, or no such part of it", "批次不存在")
NOT_CHECKED = Refusal(
    "account-not-checked", "Whether there is such an account cannot be found out now", "暂时无法核实户号"
)
TOO_MANY_BATCHES = Refusal("too-many-batches", "So many sheets are waiting that this one is not taken", "排队批次过多")

ISSUE_SCOPE, LANDING_SCOPE = "qr-issue", "qr"
_MORNING = "2026-07-01T09:30:00+08:00"

FAMILY = Family(
    "QR codes",
    "二维码",
    "Codes that lead from a bill, a meter or a door to the account's page; the bridge answers these itself",
    "贴在账单、电表、门上的户号二维码；由内网桥接程序直接应答",
)
OPERATIONS = (
    Operation(
        name="qr-issue",
        kind=Kind.COMMAND,
        summary="The QR code of an account, with its picture if wished; it is kept on record",
        request=QrIssue,
        response=QrIssued,
        example={"account": "3210000000003", "by": "desk"},
        scope=ISSUE_SCOPE,
        summary_zh="生成户号二维码（可含图片），并登记",
        example_answer={
            "account": "3210000000003",
            "url": "https://pay.example.cn/q/1-3210000000003-HQV5GA0GVGWX",
            "host": "pay.example.cn",
            "kid": "1",
            "generation": 1,
            "issued_at": _MORNING,
        },
        refusals=(NOT_OFFERED, INVALID_FIELD, NO_SUCH_ACCOUNT, ACCOUNT_CLOSED, NOT_CHECKED),
        ordering_key=lambda asked: asked.account,
        answered_by=AnsweredBy.BRIDGE,
    ),
    Operation(
        name="qr-revoke",
        kind=Kind.COMMAND,
        summary="Revoke an account's QR codes: at once, or after a while in which new ones are put up",
        request=QrRevoke,
        response=QrRevoked,
        example={"account": "3210000000003"},
        scope=ISSUE_SCOPE,
        summary_zh="作废户号二维码（立即，或留出更换期限）",
        example_answer={"account": "3210000000003", "generation": 2, "good_until": "2026-09-29T09:30:00+08:00"},
        refusals=(NOT_OFFERED, NO_SUCH_CODE),
        ordering_key=lambda asked: asked.account,
        answered_by=AnsweredBy.BRIDGE,
    ),
    Operation(
        name="qr-lookup",
        kind=Kind.QUERY,
        summary="Which QR codes were issued for an account, when and by whom",
        request=QrLookup,
        response=QrRecord,
        example={"account": "3210000000003"},
        scope=ISSUE_SCOPE,
        summary_zh="查询户号的二维码发放记录",
        example_answer={
            "account": "3210000000003",
            "generation": 1,
            "codes": [
                {"kid": "1", "generation": 1, "issued_at": _MORNING, "by": "desk", "batch": "", "good": True},
            ],
        },
        refusals=(NOT_OFFERED,),
        answered_by=AnsweredBy.BRIDGE,
    ),
    Operation(
        name="qr-batch",
        kind=Kind.COMMAND,
        summary="QR codes of all accounts of an Excel sheet, which was uploaded before",
        request=QrBatch,
        response=QrBatchStarted,
        example={"sheet": "01a2b3c4-0000-7000-8000-000000000001"},
        scope=ISSUE_SCOPE,
        summary_zh="按 Excel 表批量生成二维码（先上传表格）",
        example_answer={"batch": "01a2b3c4-0000-7000-8000-000000000002"},
        refusals=(NOT_OFFERED, TOO_MANY_BATCHES),
        attachment_types=frozenset({MediaType.XLSX}),
        answered_by=AnsweredBy.BRIDGE,
    ),
    Operation(
        name="qr-batch-state",
        kind=Kind.QUERY,
        summary="How far a batch of QR codes is, and what became of its rows",
        request=QrBatchAsked,
        response=QrBatchState,
        example={"batch": "01a2b3c4-0000-7000-8000-000000000002"},
        scope=ISSUE_SCOPE,
        summary_zh="查询批量生成进度",
        example_answer={
            "batch": "01a2b3c4-0000-7000-8000-000000000002",
            "state": "drawing",
            "rows": 3,
            "done": 1,
            "verdicts": [{"verdict": "ok", "rows": 2}, {"verdict": "number-cell", "rows": 1}],
        },
        refusals=(NOT_OFFERED, NO_SUCH_BATCH),
        answered_by=AnsweredBy.BRIDGE,
    ),
    Operation(
        name="qr-batch-part",
        kind=Kind.QUERY,
        summary="A part of a batch's ZIP: pictures named by account, and result.csv",
        request=QrBatchPartAsked,
        response=QrBatchPart,
        example={"batch": "01a2b3c4-0000-7000-8000-000000000002", "part": 0},
        scope=ISSUE_SCOPE,
        summary_zh="分段下载批量结果（以户号命名的图片和 result.csv）",
        example_answer={"batch": "01a2b3c4-0000-7000-8000-000000000002", "part": 0, "data": "UEsDBA=="},
        refusals=(NOT_OFFERED, NO_SUCH_BATCH),
        answered_by=AnsweredBy.BRIDGE,
    ),
    Operation(
        name="qr-resolve",
        kind=Kind.QUERY,
        summary="Where a scanned QR code leads, with a ticket for the page; a forged one leads nowhere",
        request=QrResolve,
        response=QrResolved,
        example={"code": "1-3210000000003-HQV5GA0GVGWX"},
        scope=LANDING_SCOPE,
        summary_zh="解析扫到的二维码，返回页面和一次性票据",
        example_answer={
            "page": "bill",
            "location": "https://pay.example.cn/bill",
            "ticket": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        },
        refusals=(NOT_OFFERED, NO_SUCH_CODE),
        deadline_ms=3_000,
        answered_by=AnsweredBy.BRIDGE,
    ),
    Operation(
        name="qr-ticket",
        kind=Kind.COMMAND,
        summary="Redeem a ticket, once: whose code was scanned",
        request=QrTicket,
        response=QrAccount,
        example={"ticket": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
        scope=LANDING_SCOPE,
        summary_zh="兑换一次性票据，取得所扫二维码的户号",
        example_answer={"account": "3210000000003", "masked": "3210*****0003", "page": "bill"},
        refusals=(NOT_OFFERED, NO_SUCH_TICKET),
        deadline_ms=3_000,
        expires_ms=300_000,
        answered_by=AnsweredBy.BRIDGE,
    ),
)
