"""Attachments go to the bridge: a few messages at a time, each until the bridge has said that it has it.

::

    store ──the first `window`──► lane ──► bridge ──receipt──► deleted here, and the next one goes

Not more than `window` are on the broker or on their way at any time, and on a connection of their own: commands wait
for none of them, and a bridge that is away fills no broker. What is not answered in time goes out again under the same
id, after a restart all that is left does; the bridge knows it by its id.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence

from dmz_front.ledger.attachments import AttachmentLedger
from protocol.attachments import FAULT_CODES, Receipt, parsed_id
from protocol.errors import EnvelopeError, LinkError
from protocol.link.lane import Lane
from protocol.messages import Reply
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample

log = logger(__name__)


class AttachmentSender:
    """Keeps a few messages on their way."""

    def __init__(
        self,
        *,
        ledger: AttachmentLedger,
        lane: Lane,
        destination: str,
        addressed: Callable[[], bool],
        window: int,
        resend_after_s: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`addressed`: whether it is known which inbox the region has. `now`: seconds, never put back."""
        self._ledger, self._lane, self._destination, self._addressed = ledger, lane, destination, addressed
        self.window, self.resend_after_s, self._now = window, resend_after_s, now
        self._in_hand: dict[str, float] = {}
        """Message → when it was sent."""
        self._pumping: asyncio.Task[None] | None = None
        self._again = False
        self.sent = self.arrived = 0

    def pump(self) -> None:
        """Send what there is room for, soon."""
        if self._pumping is not None and not self._pumping.done():
            self._again = True
            return
        self._pumping = asyncio.get_running_loop().create_task(self._pump(), name="attachments")

    async def sweep(self) -> None:
        """Give up waiting for what was sent long ago, so that it goes out again; and send."""
        before = self._now() - self.resend_after_s
        self._in_hand = {id: at for id, at in self._in_hand.items() if at > before}
        self.pump()

    async def receipts(self, replies: Sequence[Reply]) -> None:
        """The bridge has stored these."""
        ids: list[str] = []
        verdicts: dict[str, str] = {}
        for reply in replies:
            try:
                attachment, _ = parsed_id(reply.attributes.id)
                receipt = Receipt.from_result(reply.result)
            except EnvelopeError as error:
                log.warning("attachment-receipt-refused", reason=error.reason)
                continue
            ids.append(reply.attributes.id)
            if receipt.whole:
                verdicts[attachment] = FAULT_CODES[receipt.fault] if receipt.fault else ""
        if ids:
            await self._ledger.arrived(ids, verdicts)
            self.arrived += len(ids)
            for id in ids:
                self._in_hand.pop(id, None)
            self.pump()

    async def close(self) -> None:
        """Send nothing more."""
        self.window = 0
        if self._pumping is not None:
            await asyncio.gather(self._pumping, return_exceptions=True)

    async def _pump(self) -> None:
        while True:
            self._again = False
            room = self.window - len(self._in_hand)
            if room > 0 and self._lane.connected and self._addressed():
                for message in await self._ledger.due(list(self._in_hand), room):
                    try:
                        self._lane.post(self._destination, message.envelope).add_done_callback(
                            self._on_broker(message.id)
                        )
                    except LinkError:
                        break
                    self._in_hand[message.id] = self._now()
                    self.sent += 1
            if not self._again:
                return

    def _on_broker(self, id: str) -> "Callable[[asyncio.Future[None]], None]":
        def receipted(receipt: "asyncio.Future[None]") -> None:
            if receipt.cancelled() or receipt.exception() is not None:
                # full, refused or lost: not at once again, but with the next sweep
                self._in_hand.pop(id, None)

        return receipted

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        text = "Messages of attachments without the bridge's receipt"
        yield "dmz_front_attachments_in_flight", text, {}, len(self._in_hand)
        yield "dmz_front_attachments_sent_total", "Messages of attachments sent", {}, self.sent
        yield "dmz_front_attachments_arrived_total", "Messages of attachments that the bridge has", {}, self.arrived
