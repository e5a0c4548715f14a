"""A part of the settlement: what it has to offer to the bridge, none of it by default."""

from collections.abc import Iterator, Mapping

from pydantic import BaseModel
from sqlalchemy import Connection

from intranet_bridge.own import Handler
from intranet_bridge.pushes.bodies import Push
from intranet_bridge.settlement_sections import SettlementSection
from protocol.runtime.control import Answer
from protocol.runtime.metrics import Sample


class Part:
    """Orders, statements, withholding, clearing: each is one."""

    def handlers(self) -> Mapping[str, Handler]:
        """Operations of the catalogue that it answers."""
        return {}

    def answers(self) -> Mapping[str, Answer]:
        """What an administrator of this host can ask."""
        return {}

    def use(self, section: SettlementSection) -> None:
        """Go by a changed configuration from now on."""

    async def start(self) -> None:
        """Go on with what was begun, and begin looking for more."""

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py); `""` if nothing."""
        return ""

    async def close(self) -> None:
        """Stop; what is unfinished goes on at the next start."""

    async def forget(self, before: int) -> None:
        """Delete what ended before then, epoch ms, and is not of the books."""

    def pushed(self, connection: Connection, push: Push) -> None:
        """The marketing system tells of something: within the transaction that takes it, once."""

    def reports(self) -> Mapping[str, BaseModel]:
        """What it adds to the bridge's report, by the report's field."""
        return {}

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        yield from ()
