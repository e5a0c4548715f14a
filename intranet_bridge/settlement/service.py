"""The settlement, put together: payment orders, statements, withholding, clearing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from pydantic import BaseModel
from sqlalchemy import Connection

from intranet_bridge.own import Handler
from intranet_bridge.pushes.bodies import Push
from intranet_bridge.settlement.part import Part
from intranet_bridge.settlement.payments.channels import Offer
from intranet_bridge.settlement.payments.service import Payments
from intranet_bridge.settlement_sections import SettlementSection
from protocol.runtime.control import Answer
from protocol.runtime.metrics import Sample

P = TypeVar("P", bound=Part)


class Settlement:
    """All its parts, as one."""

    def __init__(self, parts: Sequence[Part], section: SettlementSection | None = None) -> None:
        """In the order they start."""
        self._parts = tuple(parts)
        self.section = section or SettlementSection()
        """What it goes by now."""

    def use(self, section: SettlementSection, offer: Offer | None) -> None:
        """Go by a changed configuration from now on; `offer`: its channels, with their keys."""
        self.section = section
        for part in self._parts:
            part.use(section)
            if isinstance(part, Payments):
                part.offer(offer)

    def part(self, kind: type[P]) -> P | None:
        """The part of that kind, if it is configured."""
        return next((part for part in self._parts if isinstance(part, kind)), None)

    def handlers(self) -> dict[str, Handler]:
        """Who answers the catalogue's operations of settlement."""
        return {name: handle for part in self._parts for name, handle in part.handlers().items()}

    def answers(self) -> Mapping[str, Answer]:
        """What an administrator of this host can ask."""
        return {name: answer for part in self._parts for name, answer in part.answers().items()}

    async def start(self) -> None:
        """Start them."""
        for part in self._parts:
            await part.start()

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py); `""` if nothing."""
        return "; ".join(filter(None, (part.standing() for part in self._parts)))

    async def close(self) -> None:
        """Stop them, the last first."""
        for part in reversed(self._parts):
            await part.close()

    async def forget(self, before: int) -> None:
        """Delete what ended before then, epoch ms, and is not of the books."""
        for part in self._parts:
            await part.forget(before)

    def pushed(self, connection: Connection, push: Push) -> None:
        """The marketing system tells of something: within the transaction that takes it, once."""
        for part in self._parts:
            part.pushed(connection, push)

    def reports(self) -> dict[str, BaseModel]:
        """What is added to the bridge's report, by the report's field."""
        return {name: report for part in self._parts for name, report in part.reports().items()}

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        for part in self._parts:
            yield from part.samples()
