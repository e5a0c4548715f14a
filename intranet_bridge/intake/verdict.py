"""What to do with a request that has arrived: pure, one function for both lanes."""

import re
from collections.abc import Container
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from protocol.attachments import named
from protocol.destinations import checked_reply
from protocol.envelope import MAX_AGE_MS, Opened, Opener
from protocol.envelope import Kind as Envelope
from protocol.errors import Malformed, Stale, WrongKind
from protocol.messages import AHEAD_MS, ID, Attributes, is_front_id
from protocol.operations import CATALOGUE, AskedBy, Kind

QUERY_AHEAD_MS = 3_600_000
"""A query's deadline is at most so far ahead. Its reply and the memory of its id live as long as that."""

_TRACE = re.compile(r"(?:[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})?")


@dataclass(frozen=True, slots=True)
class Take:
    """Act on it."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """A query that can be answered at once: it is in order, but not for us to do."""

    code: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Nobody waits for it any more; counted, not kept."""

    reason: str


@dataclass(frozen=True, slots=True)
class Quarantine:
    """To the dead letters, for an operator."""

    reason: str


Verdict = Take | Refuse | Drop | Quarantine
TAKE = Take()


def verdict(attributes: Attributes, lane: Kind, bound: Container[str], now: int) -> Verdict:
    """What to do with an authentic request that came on a lane."""
    name = attributes.type
    operation = CATALOGUE.get(name)
    if operation is None:
        return Quarantine("unknown-operation")
    if operation.asked_by is AskedBy.BRIDGE:  # no front offers it, so who sends it is not the front it should be
        return Quarantine("internal-operation")
    if operation.kind is not lane:
        return Quarantine("wrong-lane")
    if not ID.fullmatch(attributes.id) or not _TRACE.fullmatch(attributes.traceparent):
        return Quarantine("malformed")  # both are written into header lines of the marketing call
    if lane is Kind.COMMAND and not is_front_id(attributes.id):
        return Quarantine("malformed")  # as of a command that a bridge gives itself, whose place no front may take
    if attributes.after and not ID.fullmatch(attributes.after):
        return Quarantine("malformed")
    try:
        # a reply names a front's queue of its own lane, and nothing else
        if not checked_reply(attributes.reply_to).startswith(f"/queue/bridge.reply.{lane}."):
            return Quarantine("reply-to")
    except Malformed:
        return Quarantine("reply-to")
    if lane is Kind.QUERY:
        if attributes.deadline < now:  # none at all is not a query
            return Drop("expired")
        if attributes.deadline > now + max(QUERY_AHEAD_MS, 2 * operation.deadline_ms):
            return Quarantine("out-of-range")
        if name not in bound:
            return Refuse("marketing-unavailable")
    elif name not in bound:
        return Quarantine("not-bound")
    return TAKE


def accepted(attributes: Attributes, payload: bytes) -> BaseModel | None:
    """The body, if the catalogue accepts it. (The front validates with the same catalogue, so this one does not only
    if the two sides run different versions of it, or the front is not what it was.)
    """
    try:
        body: BaseModel = CATALOGUE[attributes.type].requests.validate_json(payload)
    except ValidationError:
        return None
    return body


def meaning(operation: str, body: BaseModel) -> bytes:
    """What a body says, not how: the same for the same request however its JSON was written."""
    return bytes(CATALOGUE[operation].requests.dump_json(body))


def attachments(attributes: Attributes, body: BaseModel | None) -> tuple[str, ...]:
    """Those that a body names."""
    operation = CATALOGUE[attributes.type]
    return tuple(named(operation, body)) if operation.attachments and body is not None else ()


def authentic_command(opener: Opener, envelope: bytes, now: int) -> Opened:
    """An authentic request, however late: a command past its deadline is answered, not ignored.

    Raises EnvelopeError; Stale when it is older than the inbox remembers, or dated further ahead than AHEAD_MS.
    """
    opened = opener.authentic(envelope)
    if opened.kind is not Envelope.REQUEST:
        raise WrongKind("not a request")
    age = now - opened.attributes.time
    if not -AHEAD_MS <= age <= MAX_AGE_MS:
        raise Stale(f"{age} ms old")
    return opened
