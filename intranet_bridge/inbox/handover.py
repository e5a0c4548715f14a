"""A key handed from bridge to bridge: who waits for a predecessor that another bridge works on is told of its end. ::

    the bridge that waits ── inbox_awaited: ids ──► every bridge of the database remembers them
                          ◄── inbox_settled: ids ── the one that has finished, or holds, one of them
                          ◄── inbox_asked ───────── one that listens from now on, and may have missed who waits

The inbox stays the truth: what is heard only has it asked at once (runtime/notifications.py). Nothing is said while no
bridge waits for another.
"""

from collections.abc import Sequence

from intranet_bridge.inbox.ordering import Ordering
from protocol.backoff import Backoff
from protocol.runtime.notifications import Notifications
from protocol.runtime.store import Store

AWAITED, SETTLED, ASKED = "inbox_awaited", "inbox_settled", "inbox_asked"


class Handover:
    """The thin loop around `Ordering.awaited` and `Ordering.ask_now`."""

    def __init__(self, ordering: Ordering, store: Store, backoff: Backoff) -> None:
        self._ordering = ordering
        heard = {AWAITED: self._remember, SETTLED: self._settled, ASKED: self._asked}
        self.notifications = Notifications(store, heard, self._changed, backoff)
        ordering.ended.connect(self._tell)

    async def start(self) -> None:
        """Listen from now on."""
        self.notifications.start()

    async def close(self) -> None:
        """Hear and say no more."""
        await self.notifications.close()

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py)."""
        return self.notifications.standing()

    def wait_for(self, ids: Sequence[str]) -> None:
        """Have others told that these are waited for here."""
        self.notifications.say(AWAITED, ids)

    def _remember(self, ids: list[str]) -> None:
        self._ordering.awaited(ids)

    def _tell(self) -> None:
        self.notifications.say(SETTLED, self._ordering.take_ended())

    def _settled(self, ids: list[str]) -> None:
        self._ordering.ask_now(ids)
        self._ordering.work.send()

    def _asked(self, _who: list[str]) -> None:
        self.wait_for(self._ordering.missing)

    def _changed(self) -> None:
        self._ordering.told = self.notifications.listening
        self.notifications.say(ASKED, ["here"])
        self._ordering.ask_now(self._ordering.missing)  # of what was said meanwhile nothing is known
        self._ordering.work.send()
