"""Which inbox this region's commands are for: remembered in the ledger's database, written on every frame of commands.

An inbox is what makes a command be done once. Two of them in one region would each do it when the broker gives a
message to one bridge and then, that bridge being killed, to the other. So the first inbox that is heard of is the
region's until an operator says otherwise (`bridgectl inbox bind`), whatever dies meanwhile; no frame goes out
without it, and a bridge with another inbox does not take it.
"""

from collections.abc import Callable

from dmz_front.replies.bridges import Bridges, Conflict
from protocol.link.lane import Lane
from protocol.runtime import region_inbox
from protocol.runtime.clock import Clock
from protocol.runtime.history import Gap
from protocol.runtime.logs import logger
from protocol.runtime.region_inbox import GAP_HEADER, Address
from protocol.runtime.store import Store

log = logger(__name__)

_AGAIN_MS = 60_000
"""How often a conflict that lasts is logged."""


class RegionInbox:
    """Keeps `bridges.bound` and the headers of the lanes of commands, attachments and files as the database says, and
    says what is wrong."""

    def __init__(
        self,
        store: Store,
        bridges: Bridges,
        lane: Lane,
        queries: Lane,
        front: str,
        clock: Clock,
        attachments: Lane | None = None,
        forgotten: Callable[[], Gap | None] = lambda: None,
        files: Lane | None = None,
    ) -> None:
        """`forgotten`: what the ledger was put back over; said on every frame too."""
        self._forgotten = forgotten
        self._store, self._bridges, self._queries, self._front, self._clock = store, bridges, queries, front, clock
        self._lanes = [one for one in (lane, attachments, files) if one is not None]
        self._said: Conflict | None = None
        self._said_at = 0
        self._addressed = False

    async def read(self) -> bool:
        """Read it, or write the first one heard of; True if commands that waited for it may go out now."""
        bridges = self._bridges
        found = await self._store.read(region_inbox.read)
        heard = bridges.first_inbox
        if found is None and heard:
            now = self._clock()
            found = await self._store.write(lambda connection: region_inbox.first(connection, heard, self._front, now))
            log.info("inbox-bound", inbox=found.inbox)
        headers = {} if found is None else self._headers(found)
        if found is not None and headers != self._lanes[0].headers:
            for lane in self._lanes:
                lane.headers = headers
            bridges.bind(found.inbox)
        self._report(bridges.conflict)
        before, self._addressed = self._addressed, bridges.addressed
        return self._addressed and not before

    def _headers(self, address: Address) -> dict[str, str]:
        gap = self._forgotten()
        return address.headers() | ({GAP_HEADER: f"{gap.since}-{gap.until}"} if gap else {})

    def _report(self, conflict: Conflict | None) -> None:
        now = self._clock()
        self._queries.headers = {} if conflict is None else conflict.headers()
        if conflict is None:
            if self._said is not None:
                log.warning("inbox-conflict-over", inbox=self._bridges.bound)
        elif conflict != self._said or now - self._said_at >= _AGAIN_MS:
            log.error(
                "inbox-conflict",
                bound=conflict.bound,
                heard=[f"{inbox} ({bridge})" for inbox, bridge in conflict.heard],
                copied=conflict.copied,
                meaning="no command is taken; several bridges of a region need one PostgreSQL inbox. "
                "Stop all but one, or say with `bridgectl inbox bind` which inbox is meant",
            )
            self._said_at = now
        self._said = conflict
