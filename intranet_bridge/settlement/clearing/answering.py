"""`clearing-day` of the catalogue, as the bridge answers it."""

from collections.abc import Callable, Mapping
from datetime import date

from pydantic import BaseModel

from intranet_bridge.marketing import MarketingRequest, Refused
from intranet_bridge.own import Handler
from intranet_bridge.settlement.clearing.desk import ClearingDesk, SheetView
from intranet_bridge.settlement.part import Part
from protocol.operations import clearing as catalogue
from protocol.operations.clearing import ClearingDay, ClearingOfDay, ClearingSheet, ClearingState
from protocol.operations.orders import NO_SUCH_COMPANY

OPERATION = "clearing-day"


class NotOffered(Part):
    """Where nothing is cleared."""

    def handlers(self) -> Mapping[str, Handler]:
        """A no to all of it."""
        return {OPERATION: _refused}


async def _refused(asked: MarketingRequest) -> BaseModel | Refused:
    return Refused(catalogue.NOT_OFFERED.code)


def handler(desk: ClearingDesk, companies: Callable[[], frozenset[str]]) -> Handler:
    """Who answers it; `companies`: whose sheets there are."""

    async def handle(asked: MarketingRequest) -> BaseModel | Refused:
        question = asked.body
        assert isinstance(question, ClearingDay)
        if question.company not in companies():
            return Refused(NO_SUCH_COMPANY.code)
        day = date.fromisoformat(question.day)
        found = await desk.sheets(day, day, question.company, question.channel or "")
        return ClearingOfDay(company=question.company, day=question.day, sheets=tuple(map(_told, found)))

    return handle


def _told(one: SheetView) -> ClearingSheet:
    return ClearingSheet(
        sheet=one.id, channel=one.channel, state=ClearingState(one.state), rows=one.count, gross=one.gross,
        refunds=one.refunds, fee=one.fee, promotions=one.promotions, adjustments=one.adjustments, carried=one.carried,
        net=one.net, arrived=one.arrived, waiting=one.waiting,
    )  # fmt: skip
