"""The accountant's first page: what is red, what waits for a person, the files of the day, and where the money is."""

from collections.abc import Sequence
from datetime import timedelta

from starlette.responses import Response

from intranet_bridge.desk.money.common import READ, Waits, asked_day
from intranet_bridge.desk.money.files import Files, tone
from intranet_bridge.desk.money.ledger import Ledger
from intranet_bridge.settlement.days import day_of
from protocol.desk.pages import Page, Visit
from protocol.runtime.clock import Clock


class Today:
    """The page."""

    def __init__(self, files: Files | None, ledger: Ledger, waits: Sequence[Waits], clock: Clock) -> None:
        """`waits`: who is asked for what waits, in the order in which it is shown."""
        self._files, self._ledger, self._waits, self._clock = files, ledger, tuple(waits), clock

    def pages(self) -> tuple[Page, ...]:
        """Those there are, by role."""
        return (Page("/today", self._today, READ, menu="Today"),)

    async def _today(self, visit: Visit) -> Response:
        waiting = [one for ask in self._waits for one in await ask()]
        waiting.sort(key=lambda one: not one.grave)
        yesterday = day_of(self._clock()) - timedelta(1)  # whose statements come today
        day = asked_day(visit) or yesterday
        files = await self._files.of_day(day) if self._files is not None else None
        return visit.shown(
            "money/today.html", "Today", waiting=waiting, day=day, yesterday=yesterday, files=files, tone=tone,
            kinds=await self._ledger.kinds(), earlier=day - timedelta(1), later=day + timedelta(1), now=self._clock(),
        )  # fmt: skip
