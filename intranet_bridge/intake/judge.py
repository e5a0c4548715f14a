"""What the members of a message of commands are: good ones as rows of the inbox, bad ones for the dead letters."""

from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from hashlib import sha256

from pydantic import BaseModel

from intranet_bridge.ceilings.ceilings import NOT_ADMITTED, Ceilings, Refusal
from intranet_bridge.inbox.rows import Failed, Received
from intranet_bridge.intake.repetition import Likeness, gap_of
from intranet_bridge.intake.verdict import Quarantine, accepted, attachments, authentic_command, meaning, verdict
from intranet_bridge.replies import Replies
from protocol.decisions import TYPE as DECISION
from protocol.decisions import Decision
from protocol.destinations import checked_reply
from protocol.envelope import SKEW_MS, Opened, Opener
from protocol.errors import BridgeError, EnvelopeError, Malformed
from protocol.frames import pack, unpack
from protocol.lifecycle import State
from protocol.link.port import Delivery
from protocol.messages import Attributes, is_front_id
from protocol.notices import RECEIPT, Receipt
from protocol.operations import Kind
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.history import Gap
from protocol.runtime.logs import logger
from protocol.runtime.poison import PoisonMessages
from protocol.runtime.region_inbox import GAP_HEADER, SINCE_HEADER
from protocol.values import immutable

log = logger(__name__)

_COMMAND_REPLIES = "/queue/bridge.reply.command."


@immutable
class FrontDecision:
    """What an operator at a front decided (protocol/decisions.py)."""

    attributes: Attributes
    decision: Decision
    envelope: bytes = field(repr=False)
    """The command's, if it is to be taken again."""


@dataclass(slots=True)
class Judged:
    """What the members of a message are."""

    good: list[Received] = field(default_factory=list)
    bad: list[tuple[bytes, str, str]] = field(default_factory=list)
    """For the dead letters, with the reason and, where it is known, the request's id."""
    decisions: list[FrontDecision] = field(default_factory=list)
    receipts: list[tuple[str, str]] = field(default_factory=list)
    """Ids of notices (protocol/notices.py), each with the front that says it has it."""
    peers: list[bytes] = field(default_factory=list)
    """Of other regions' bridges, closed."""
    since: int = 0
    """Epoch ms: what was sealed before may have been in another inbox, or in this one and is forgotten."""
    gap: Gap | None = None
    """What the front's ledger has forgotten."""

    def unpacked(self, delivery: Delivery) -> list[bytes]:
        """The members; none, and the whole message bad, if it cannot be taken apart."""
        try:
            return unpack(delivery.body)
        except EnvelopeError as error:
            self.bad.append((delivery.body, error.reason, ""))
            return []


class CommandJudge:
    """Opens and judges; writes nothing but the names of possible poison messages."""

    def __init__(
        self,
        opener: Opener,
        poison: PoisonMessages,
        replies: Replies,
        bound: Container[str],
        clock: Clock,
        ceilings: Ceilings,
        likeness: Likeness | None = None,
        own_gap: Callable[[], Gap | None] = lambda: None,
        of_peer: Callable[[bytes], bool] = lambda _envelope: False,
    ) -> None:
        """`bound`: the operations this bridge serves; `replies` seals the answer to a body that fits no schema;
        `own_gap`: what this inbox has forgotten; `of_peer`: whether another region's bridge signed an envelope.
        """
        self._opener, self._poison, self._replies = opener, poison, replies
        self._ceilings, self._of_peer = ceilings, of_peer
        self._bound, self._clock, self._likeness, self._own_gap = bound, clock, likeness, own_gap

    def careful(self, delivery: Delivery) -> bool:
        """Whether a delivery is for `carefully_judged`."""
        return self._poison.careful(delivery)

    def judged(self, delivery: Delivery) -> Judged:
        judged = self._begun(delivery)
        for envelope in judged.unpacked(delivery):
            self._judge(envelope, judged)
        return judged

    def held(self, row: Received, code: str, reason: str) -> bytes:
        """The sealed reply that says that a command is held."""
        about = self._opener.authentic(row.envelope).attributes
        return self._replies.sealed(about, State.HELD, code, reason)

    def _begun(self, delivery: Delivery) -> Judged:
        own = self._own_gap()
        since = max(_since(delivery), own.until + SKEW_MS if own else 0)
        return Judged(since=since, gap=gap_of(delivery.headers, GAP_HEADER))

    async def carefully_judged(self, delivery: Delivery) -> Judged:
        """The same for what came before: each member is named on disk before it is opened (see poison.py)."""
        async with self._poison.turn():
            judged = self._begun(delivery)
            for envelope in judged.unpacked(delivery):
                try:
                    await self._poison.take(envelope)
                except EnvelopeError as error:
                    judged.bad.append((pack([envelope]), error.reason, error.request))
                    continue
                self._judge(envelope, judged)
        return judged

    def _judge(self, envelope: bytes, judged: Judged) -> None:
        now = self._clock()
        try:
            self._poison.check(envelope)
            if self._of_peer(envelope):
                judged.peers.append(envelope)
                return
            opened = authentic_command(self._opener, envelope, now)
        except EnvelopeError as error:
            judged.bad.append((pack([envelope]), error.reason, error.request))
            return
        attributes = opened.attributes
        if attributes.type == RECEIPT:
            if not self._ceilings.admits_front(attributes.source, attributes.group):
                judged.bad.append((pack([envelope]), NOT_ADMITTED, attributes.id))
                return
            try:
                front = attributes.source.partition("/")[0]
                judged.receipts += ((id, front) for id in Receipt.from_payload(opened.payload).recorded)
            except EnvelopeError as error:
                judged.bad.append((pack([envelope]), error.reason, attributes.id))
            return
        if attributes.type == DECISION:
            if not self._ceilings.admits_front(attributes.source, attributes.group):
                judged.bad.append((pack([envelope]), NOT_ADMITTED, attributes.id))
                return
            try:
                asked = _decision(opened)
            except EnvelopeError as error:
                judged.bad.append((pack([envelope]), error.reason, attributes.id))
                return
            if not self._ceilings.may_answer(attributes.reply_to, attributes.group):
                judged.bad.append((pack([envelope]), NOT_ADMITTED, attributes.id))
                return
            judged.decisions.append(asked)
            return
        reach(Point.BRIDGE_OPENED, attributes.id)
        if not self._ceilings.may_answer(attributes.reply_to, attributes.group):
            self._ceilings.refused(attributes.source, attributes.type, attributes.group)
            judged.bad.append((pack([envelope]), NOT_ADMITTED, attributes.id))
            return
        match verdict(attributes, Kind.COMMAND, self._bound, now):
            case Quarantine(reason):
                judged.bad.append((pack([envelope]), reason, attributes.id))
            case _:
                judged.good.append(self._received(opened, envelope, judged.since))

    def resent(self, envelope: bytes, *, sure: bool) -> Received:
        """The row of a command that a front's operator has taken however old it is. `sure`: it was never here, so it
        may be called; else its outcome is unknown. Raises BridgeError.
        """
        try:
            self._poison.check(envelope)
            opened = self._opener.authentic(envelope)
        except EnvelopeError as error:
            raise BridgeError(f"the sealed request cannot be opened any more: {error.reason}") from None
        if not self._ceilings.may_answer(opened.attributes.reply_to, opened.attributes.group):
            raise BridgeError(f"the bridge does not take it: {NOT_ADMITTED}")
        match verdict(opened.attributes, Kind.COMMAND, self._bound, self._clock()):
            case Quarantine(reason):
                raise BridgeError(f"the bridge does not take it: {reason}")
            case _:
                return self._received(opened, envelope, 0 if sure else opened.attributes.time + 1)

    def _received(self, opened: Opened, envelope: bytes, since: int) -> Received:
        """The row. A body that does not fit its schema is answered at once, and its digest is kept instead of it."""
        a = opened.attributes
        after = a.after if a.version > 1 else None
        state = State.RECEIVED if a.time >= since else State.UNKNOWN
        refusal = self._ceilings.refused(a.source, a.type, a.group)
        if refusal is not None:
            return self._not_admitted(a, envelope, after, state, refusal)
        body = accepted(a, opened.payload)
        row = Received(
            a.id, a.type, a.source, a.subject, a.reply_to, a.deadline, envelope, after, state,
            attachments=attachments(a, body), likenesses=self._likenesses(a.type, body), opened=opened, body=body,
        )  # fmt: skip
        if state is State.UNKNOWN or body is not None:
            return row
        reason = "the bridge's catalogue does not accept this request"
        digest, size = sha256(opened.payload).hexdigest(), len(opened.payload)
        log.warning("command-not-accepted", request_id=a.id, operation=a.type, size=size, sha256=digest)
        sealed = self._replies.sealed(a, State.FAILED, "invalid-request", reason)
        note = f"{reason}; its body was not kept: {size} bytes, SHA-256 {digest}"
        return replace(row, envelope=b"", failed=Failed("invalid-request", note, sealed))

    def _not_admitted(
        self, a: Attributes, envelope: bytes, after: str | None, state: State, refusal: Refusal
    ) -> Received:
        """It is failed from the beginning; held, if it may have been called before."""
        note = f"the bridge's configuration does not admit this {refusal.ceiling} ([fronts], [ceilings])"
        ends = State.FAILED if state is State.RECEIVED else State.HELD
        sealed = self._replies.sealed(a, ends, NOT_ADMITTED, note)
        return Received(
            a.id, a.type, a.source, a.subject, a.reply_to, a.deadline, envelope if ends is State.HELD else b"", after,
            state, failed=Failed(NOT_ADMITTED, note, sealed, ends),
        )  # fmt: skip

    def _likenesses(self, operation: str, body: BaseModel | None) -> tuple[bytes, ...]:
        if self._likeness is None or body is None:
            return ()
        return self._likeness.of(operation, meaning(operation, body))


def _decision(opened: Opened) -> FrontDecision:
    """Raises EnvelopeError for what no front sends."""
    decision, envelope = Decision.from_payload(opened.payload)
    if not is_front_id(decision.request):
        raise Malformed("the request is not a front's")
    for queue in (opened.attributes.reply_to, decision.command.reply_to):  # both are written to
        if not checked_reply(queue).startswith(_COMMAND_REPLIES):
            raise Malformed("reply_to is not for commands")
    return FrontDecision(opened.attributes, decision, envelope)


def _since(delivery: Delivery) -> int:
    """From the front's header; 0 without one, or with one no front wrote."""
    said = delivery.headers.get(SINCE_HEADER, "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 16 else 0
