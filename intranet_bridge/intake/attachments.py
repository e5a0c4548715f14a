"""Attachments from the broker: opened, judged, written down, acknowledged, and the front is told that it is here."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from functools import partial

from intranet_bridge.ceilings.ceilings import Ceilings
from intranet_bridge.inbox.attachments import AttachmentInbox, Message, Stage, message_of
from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.intake.dead_letters import DeadLetters
from intranet_bridge.intake.verdict import authentic_command
from intranet_bridge.replies import Replies
from protocol.attachments import TYPE, Receipt
from protocol.backoff import Backoff
from protocol.destinations import checked_reply
from protocol.envelope import Opener
from protocol.errors import EnvelopeError, LinkError, Malformed, NotAdmitted, OutOfRange
from protocol.frames import pack, unpack
from protocol.lifecycle import State
from protocol.link.lane import Lane
from protocol.link.port import Delivery, Link
from protocol.messages import Attributes
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.region_inbox import INBOX_HEADER
from protocol.runtime.retry import now_and_then, until_done
from protocol.runtime.store_health import said

log = logger(__name__)

_AGAIN = Backoff(0.1, 5.0, lambda: 0.0)
_REPLIES = "/queue/bridge.reply.command."


class AttachmentIntake:
    """Messages of attachments go to the inbox."""

    def __init__(
        self,
        *,
        link: Link,
        opener: Opener,
        inbox: Inbox,
        attachments: AttachmentInbox,
        replies: Replies,
        lane: Lane,
        dead_letters: DeadLetters,
        clock: Clock,
        ceilings: Ceilings,
    ) -> None:
        """`lane`: on which the fronts are told."""
        self._link, self._opener, self._inbox, self._attachments = link, opener, inbox, attachments
        self._replies, self._lane, self._dead_letters, self._clock = replies, lane, dead_letters, clock
        self._ceilings = ceilings
        self._running: set[asyncio.Task[None]] = set()
        self.closed = False
        self.taken: Counter[str] = Counter()
        """Files that were all here, by what they were found to be: `whole`, or their fault."""

    def handle(self, delivery: Delivery) -> None:
        """The handler of the subscription."""
        if self.closed:
            return
        if delivery.headers.get(INBOX_HEADER, self._inbox.id) != self._inbox.id:
            log.error("attachment-for-another-inbox", inbox=self._inbox.id)
            return  # its broker knows no selectors; its front sends it again until the right one has it
        task = asyncio.get_running_loop().create_task(self._take(delivery))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Take nothing more, and finish what was begun."""
        self.closed = True
        if self._running:
            await asyncio.wait(self._running, timeout=5)

    def reopen(self) -> None:
        """Take again."""
        self.closed = False

    async def _take(self, delivery: Delivery) -> None:
        try:
            envelopes = unpack(delivery.body)
        except EnvelopeError as error:
            await self._set_aside(delivery, delivery.body, error.reason)
            envelopes = []
        for envelope in envelopes:
            try:
                attributes, message = self._judged(envelope)
                receipt = await until_done(partial(self._stored, message), _AGAIN, _not_stored)
                if isinstance(receipt, OutOfRange):
                    raise receipt
            except EnvelopeError as error:
                await self._set_aside(delivery, pack([envelope]), error.reason, error.request)
            else:
                self._tell(attributes, receipt)
        self._link.ack(delivery)

    def _judged(self, envelope: bytes) -> tuple[Attributes, Message]:
        """Raises EnvelopeError for what no front sends."""
        opened = authentic_command(self._opener, envelope, self._clock())
        if opened.attributes.type != TYPE:
            raise Malformed("no attachment on the lane of attachments")
        if not checked_reply(opened.attributes.reply_to).startswith(_REPLIES):
            raise Malformed("reply_to is not for attachments")
        a, ceilings = opened.attributes, self._ceilings
        if ceilings.refused(a.source, TYPE, a.group) is not None or not ceilings.may_answer(a.reply_to, a.group):
            raise NotAdmitted("the bridge's configuration does not admit its front or application")
        return opened.attributes, message_of(opened, envelope)

    async def _stored(self, message: Message) -> Receipt | OutOfRange:
        """What the front is told; returns OutOfRange, which trying again would not mend."""
        try:
            standing = await self._attachments.store(message)
        except OutOfRange as error:
            return error
        if standing.stage is Stage.RECEIVING and standing.all_here:
            fault = await self._attachments.examine(message.attachment)
            self.taken[fault or Stage.WHOLE] += 1
            return Receipt(whole=True, fault=fault)
        return Receipt(whole=standing.stage is not Stage.RECEIVING, fault=standing.fault)

    def _tell(self, attributes: Attributes, receipt: Receipt) -> None:
        result = receipt.model_dump_json().encode()
        sealed = self._replies.sealed(attributes, State.SUCCEEDED, result=result)
        try:
            self._lane.post(attributes.reply_to, sealed)
        except LinkError:
            log.info(
                "attachment-receipt-not-sent", attachment=attributes.id
            )  # the front sends it again, and hears then

    async def _set_aside(self, delivery: Delivery, body: bytes, reason: str, request: str = "") -> None:
        async def send() -> None:
            if self._link.current(delivery):
                await self._dead_letters.send(delivery.destination, body, reason, request)

        await until_done(send, _AGAIN, _not_stored)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for outcome, number in dict(self.taken).items():
            text = "Files that were all here, by what they are"
            yield "intranet_bridge_attachments_total", text, {"outcome": outcome}, number


def _not_stored(error: Exception, failures: int) -> None:
    if now_and_then(failures):
        log.error("attachment-not-stored", reason=said(error), failures=failures)
