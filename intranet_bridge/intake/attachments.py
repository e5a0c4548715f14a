"""Attachments from the broker: opened, judged, written down, acknowledged, and the front is told that it is here."""

from collections import Counter
from collections.abc import Iterator

from intranet_bridge.ceilings.ceilings import Ceilings
from intranet_bridge.inbox.attachments import AttachmentInbox, Message, Share, Stage, message_of
from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.intake.dead_letters import DeadLetters
from intranet_bridge.intake.stored import StoredIntake
from intranet_bridge.intake.verdict import authentic_command
from intranet_bridge.replies import Replies
from protocol.attachments import TYPE, Receipt
from protocol.destinations import checked_reply
from protocol.envelope import Opener
from protocol.errors import EnvelopeError, LinkError, Malformed, NotAdmitted, OutOfRange
from protocol.lifecycle import State
from protocol.link.lane import Lane
from protocol.link.port import Link
from protocol.messages import Attributes
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample

log = logger(__name__)

_REPLIES = "/queue/bridge.reply.command."


class AttachmentIntake(StoredIntake[tuple[Message, str], Receipt]):
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
        super().__init__(link, inbox, dead_letters)
        self._opener, self._attachments = opener, attachments
        self._replies, self._lane, self._clock = replies, lane, clock
        self._ceilings = ceilings
        self.taken: Counter[str] = Counter()
        """Files that were all here, by what they were found to be: `whole`, or their fault."""

    def _judged(self, envelope: bytes) -> tuple[Attributes, tuple[Message, str]]:
        """The message, and its source. Raises EnvelopeError for what no front sends."""
        opened = authentic_command(self._opener, envelope, self._clock())
        if opened.attributes.type != TYPE:
            raise Malformed("no attachment on the lane of attachments")
        if not checked_reply(opened.attributes.reply_to).startswith(_REPLIES):
            raise Malformed("reply_to is not for attachments")
        a, ceilings = opened.attributes, self._ceilings
        if ceilings.refused(a.source, TYPE, a.group) is not None or not ceilings.may_answer(a.reply_to, a.group):
            raise NotAdmitted("the bridge's configuration does not admit its front or application")
        return a, (message_of(opened, envelope), a.source)

    async def _stored(self, received: tuple[Message, str]) -> Receipt | EnvelopeError:
        """What the front is told; or why it is not taken, which trying again at once would not mend."""
        message, source = received
        front, most = self._ceilings.attachments(source)
        try:
            standing = await self._attachments.store(message, Share(front, most, self._ceilings.others(front)))
        except OutOfRange as error:
            return error
        except NotAdmitted as error:
            self._ceilings.met_by_attachments(source)
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

    def _for_another_inbox(self, own: str) -> None:
        log.error("attachment-for-another-inbox", inbox=own)

    def _failed(self, reason: str, failures: int) -> None:
        log.error("attachment-not-stored", reason=reason, failures=failures)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for outcome, number in dict(self.taken).items():
            text = "Files that were all here, by what they are"
            yield "intranet_bridge_attachments_total", text, {"outcome": outcome}, number
