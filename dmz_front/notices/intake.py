"""Notices come in: opened by the reply router, written down, and the bridge is told that they are."""

import os
from collections.abc import Callable, Sequence

from dmz_front.notices.ledger import Arrived, NoticeLedger
from protocol.destinations import Route
from protocol.envelope import Kind, Sealer
from protocol.errors import LinkError
from protocol.link.lane import Lane
from protocol.messages import Attributes, GrowingIds
from protocol.notices import MOST_RECEIPTS, RECEIPT, Receipt
from protocol.runtime.applications import NOTICES
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.logs import logger

log = logger(__name__)


class NoticeIntake:
    """Writes down and confirms."""

    def __init__(
        self,
        *,
        ledger: NoticeLedger,
        lane: Lane,
        sealer: Sealer,
        route: Route,
        wire_version: Callable[[], int],
        recorded: Callable[[], None],
        clock: Clock,
    ) -> None:
        """`route`: of the commands' lane. `recorded` is called when there is something new to deliver."""
        self._ledger, self._lane, self._sealer, self._route = ledger, lane, sealer, route
        self._wire_version, self._recorded, self._clock = wire_version, recorded, clock
        self._ids = GrowingIds()

    async def take(self, arrived: Sequence[Arrived]) -> None:
        """Write them down, then tell the bridge. Raises what the database raises, and then nothing is told.

        A receipt that gets lost is made up for: the bridge sends the notice again.
        """
        await self._ledger.record(arrived)
        reach(Point.FRONT_NOTICE_COMMITTED)
        self._recorded()
        for at in range(0, len(arrived), MOST_RECEIPTS):
            self._confirm([one.id for one in arrived[at : at + MOST_RECEIPTS]])

    def _confirm(self, ids: Sequence[str]) -> None:
        now, route = self._clock(), self._route
        about = Attributes(
            self._ids.next(now, os.urandom(10)), f"{route.front}/{NOTICES}", RECEIPT, now, reply_to=route.reply_to,
            version=self._wire_version(),
        )  # fmt: skip
        sealed = self._sealer.seal(Kind.REQUEST, about, Receipt(recorded=tuple(ids)).payload(), now_ms=now)
        try:
            self._lane.post(route.destination, sealed)
        except LinkError:
            log.info("notice-receipt-not-sent", count=len(ids))
