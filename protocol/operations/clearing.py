"""Clearing: what companies are owed of a day. The bridge answers it itself (intranet_bridge/settlement/clearing).

It tells of a company's money and of no customer. Its scope is its own: an application that takes payments need not see
what they come to.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from protocol.operations.fields import Day, Fen, Model
from protocol.operations.operation import AnsweredBy, Family, Kind, Operation
from protocol.operations.orders import NO_SUCH_COMPANY, Company
from protocol.operations.payment import Channel
from protocol.operations.refusals import Refusal

SheetId = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$"), Field(description="The sheet's number")]


class ClearingState(StrEnum):
    """Where a sheet stands."""

    COMPUTED = "computed"
    APPROVED = "approved"
    PAID_OUT = "paid-out"
    ARRIVED = "arrived"
    SHORT = "short"
    OVER = "over"
    CARRIED = "carried"
    CLOSED = "closed"


class ClearingDay(Model):
    """The sheets of a company's day, of all channels or of one."""

    company: Company
    day: Day
    channel: Channel | None = None


class ClearingSheet(Model):
    """What a company is owed of a channel's day: gross + promotions - refunds - fee + adjustments + carried = net."""

    sheet: SheetId
    channel: Channel
    state: ClearingState
    rows: Annotated[int, Field(description="Rows of statements; fewer than none where some are taken back")]
    gross: Fen
    refunds: Fen
    fee: Fen
    promotions: Fen
    adjustments: Fen
    carried: Annotated[Fen, Field(description="Set off: of sheets of before with a negative net")]
    net: Fen
    arrived: Fen
    waiting: Annotated[int, Field(ge=0, description="Rows of its day whose outcome is not known yet")]


class ClearingOfDay(Model):
    """Sheets; none while the day's statements are not all accepted."""

    company: Company
    day: Day
    sheets: Annotated[tuple[ClearingSheet, ...], Field(max_length=100)]


NOT_OFFERED = Refusal("clearing-not-offered", "Nothing is cleared here", "本单位未开通清分")
FAMILY = Family(
    "Clearing",
    "清分",
    "What companies are owed of a day; the bridge answers it itself",
    "各公司每日应得款项；由内网桥接程序直接应答",
)
OPERATIONS = (
    Operation(
        name="clearing-day",
        kind=Kind.QUERY,
        summary="What a company is owed of a day, channel by channel",
        summary_zh="某公司某日各渠道清分结果",
        request=ClearingDay,
        response=ClearingOfDay,
        example={"company": "power-yunhe", "day": "2026-07-15"},
        example_answer={
            "company": "power-yunhe",
            "day": "2026-07-15",
            "sheets": [
                {
                    "sheet": "power-yunhe.wechat.20260715",
                    "channel": "wechat",
                    "state": "arrived",
                    "rows": 3,
                    "gross": 15000,
                    "refunds": 2000,
                    "fee": 90,
                    "promotions": 0,
                    "adjustments": 0,
                    "carried": 0,
                    "net": 12910,
                    "arrived": 12910,
                    "waiting": 0,
                }
            ],
        },
        refusals=(NOT_OFFERED, NO_SUCH_COMPANY),
        scope="clearing",
        answered_by=AnsweredBy.BRIDGE,
    ),
)
