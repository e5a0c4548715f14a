"""The reply queues of fronts that are gone: whoever lives reads them, so that outcomes on their way are not lost.

A command's reply goes to the queue of the front that sealed it. While that front's lease is over, every living front
reads its queue; when it returns, they stop. For a moment both may read: a reply is told to the ledger, which all
share, by whoever gets it, and a final state never changes.

Each queue has a connection of its own: closing it gives back to the broker what was delivered and not yet written.
Replies to queries are left alone: nobody waits for them, and they expire.
"""

from collections.abc import Callable, Sequence

from dmz_front.replies.router import PREFETCH
from protocol import destinations
from protocol.link.port import AckMode, Delivery, Link, Subscription
from protocol.runtime.logs import logger

log = logger(__name__)


class OrphanedReplies:
    """One connection for each front that is gone."""

    def __init__(
        self,
        *,
        link: Callable[[str], Link],
        handler: Callable[[Link], Callable[[Delivery], None]],
    ) -> None:
        """`link(front)` makes a connection, not started; `handler(link)` is what takes command replies."""
        self._link, self._handler = link, handler
        self._links: dict[str, Link] = {}

    @property
    def fronts(self) -> list[str]:
        """Whose queues are read."""
        return sorted(self._links)

    @property
    def links(self) -> dict[str, Link]:
        """Its connections, by the name of the front whose queue each reads."""
        return {f"replies of {front}": link for front, link in self._links.items()}

    async def read(self, fronts: Sequence[str]) -> None:
        """Read the queues of exactly these fronts."""
        for front in self._links.keys() - set(fronts):
            log.info("front-returned", name=front)
            await self._links.pop(front).close()
        for front in fronts:
            if front in self._links:
                continue
            link = self._links[front] = self._link(front)
            queue = destinations.command_replies(front)
            link.subscribe(Subscription(queue, self._handler(link), AckMode.INDIVIDUAL, PREFETCH))
            log.warning("front-gone", name=front, next="its reply queue is read here")
            await link.start()

    async def close(self) -> None:
        """Read none."""
        await self.read(())
