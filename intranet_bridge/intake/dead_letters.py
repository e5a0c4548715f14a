"""What cannot be acted on, sent to the dead letters."""

from collections import Counter
from collections.abc import Iterator

from protocol.link.dead_letter import dead_letter
from protocol.link.port import Link
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample

log = logger(__name__)


class DeadLetters:
    """Sends members to the dead letters of the queue they came from, and counts them by reason."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.by_reason: Counter[str] = Counter()

    async def send(self, queue: str, body: bytes, reason: str, request: str = "") -> None:
        """Returns when the broker has it on its disk. Raises LinkError. `request` is its id, where that is known."""
        await self._link.send(dead_letter(queue, body, reason))
        self.by_reason[reason] += 1
        log.warning("quarantined", queue=queue, reason=reason, request_id=request)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for reason, number in dict(self.by_reason).items():
            yield "intranet_bridge_quarantined_total", "Envelopes sent to the dead letters", {"reason": reason}, number
