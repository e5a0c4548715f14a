"""That no payment orders are taken here: what the catalogue's operations are answered where none are configured."""

from collections.abc import Mapping

from pydantic import BaseModel

from intranet_bridge.marketing import MarketingRequest, Refused
from intranet_bridge.own import Handler
from intranet_bridge.settlement.part import Part
from protocol.operations import orders


async def _refused(asked: MarketingRequest) -> BaseModel | Refused:
    return Refused(orders.NOT_OFFERED.code)


class NotOffered(Part):
    """Stands before the part that takes orders, whose handlers take the place of these."""

    def handlers(self) -> Mapping[str, Handler]:
        """The same no to all of them."""
        return {operation.name: _refused for operation in orders.OPERATIONS}
