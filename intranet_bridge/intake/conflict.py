"""What a bridge hears of a conflict of inboxes: while there is one, fronts write on queries which inbox is meant."""

import time
from collections.abc import Callable, Iterator

from intranet_bridge.ceilings.ceilings import Ceilings
from intranet_bridge.intake.verdict import authentic_command
from protocol.envelope import Opener
from protocol.errors import EnvelopeError
from protocol.presence import InboxId
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample

log = logger(__name__)

_LASTS_S = 10.0
"""After the last query that tells of it: longer than presence is believed by default."""
_AGAIN_S = 60.0


class InboxConflict:
    """Whether there is one, and whether this bridge is on the wrong side of it."""

    def __init__(self, ours: Callable[[], InboxId], now: Callable[[], float] = time.monotonic) -> None:
        """`now` in seconds."""
        self._ours, self._now = ours, now
        self._meant = ""
        self._until = self._said_until = float("-inf")

    @property
    def active(self) -> bool:
        """Fronts hear of bridges with different inboxes."""
        return self._now() < self._until

    @property
    def meant(self) -> str:
        """While there is one: the inbox that fronts mean; empty if there are copies of it."""
        return self._meant if self.active else ""

    @property
    def calls_allowed(self) -> bool:
        """Whether commands may be called: another inbox, or two copies of ours, may hold the same."""
        return not self.active or self._meant == self._ours()

    def heard(self, meant: str) -> None:
        """A front says so; `meant` is the region's inbox, empty if there are copies of it."""
        now = self._now()
        if now >= self._said_until or meant != self._meant:
            self._said_until = now + _AGAIN_S
            right = meant == self._ours()
            log.error(
                "inbox-conflict", inbox=self._ours(), meant=meant[:36] or "(there are copies)",
                meaning="another bridge of this region keeps an inbox of its own: stop it"
                if right
                else "fronts mean another inbox: no command is called here until this bridge is stopped or bound",
            )  # fmt: skip
        self._meant, self._until = meant, now + _LASTS_S

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        yield "intranet_bridge_inbox_conflict", "1: bridges keep different inboxes", {}, float(self.active)


def of_a_front(opener: Opener, ceilings: Ceilings, clock: Clock, envelope: bytes) -> bool:
    """Whether a front that is known signed it: what its message says counts. However late it is: a conflict that is not
    heard of may have a command done twice.
    """
    try:
        said = authentic_command(opener, envelope, clock()).attributes
    except EnvelopeError:
        return False
    return ceilings.admits_front(said.source, said.group)
