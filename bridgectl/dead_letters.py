"""Dead letters as an operator sees them: browsed, sent again to the queue they came from, or taken away for good.

What is in a letter stays sealed. Of each envelope is read what travels in clear: the request's id, its operation and
who sent it; nobody has verified that, for who could would have to have the keys.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bridgectl.language import tr
from protocol import destinations
from protocol.envelope import claimed
from protocol.errors import BridgeError, EnvelopeError
from protocol.frames import unpack
from protocol.link.port import AckMode, Delivery, Link, Outgoing, Subscription
from protocol.runtime.region_inbox import INBOX_HEADER, SINCE_HEADER

NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
"""Of a queue. To ActiveMQ a destination with a comma is several, one with `*` or `>` all that fit, and `?` begins
options.
"""
_KEPT_HEADERS = (INBOX_HEADER, SINCE_HEADER)
LARGEST = 256 << 20
"""Bytes of bodies that are held at once."""
MOST = 2000
"""Letters of one queue that the broker lets be browsed (`maxBrowsePageSize`)."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter."""

    id: str
    """The broker's, of the message."""
    queue: str
    """The queue it came from: `bridge.command.main`."""
    reason: str
    at: int
    """When it was set aside, epoch ms by the broker's clock; 0: not known."""
    size: int
    requests: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    hopeless: str = ""
    """Why it cannot be sent again; empty: it can."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    """As the broker has it, where it was asked for."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        names = ("id", "queue", "reason", "at", "size", "requests", "operations", "sources", "hopeless")
        return {name: getattr(self, name) for name in names}


def letter(queue: str, delivery: Delivery) -> Letter:
    """What can be told of a message of the dead letters of `queue`."""
    headers = delivery.headers
    reason = headers.get("reason") or headers.get("dlqDeliveryFailureCause", "")[:120] or tr("the broker's")
    hopeless, said = "", []
    if headers.get("kept") == "digest":
        hopeless = tr("only a digest was kept: a front sends its command again by itself")
    elif "truncated-from" in headers:
        hopeless = tr("only its beginning was kept")
    elif queue.startswith(("bridge.query.", "bridge.reply.query.")):
        hopeless = tr("whoever asked has its answer: a query is not asked twice")
    if headers.get("kept") != "digest":
        try:
            said = [claimed(envelope) for envelope in unpack(delivery.body)]
        except EnvelopeError as error:
            hopeless = hopeless or tr("it cannot be read: {reason}", reason=error.reason)
    return Letter(
        id=headers.get("message-id", ""), queue=queue, reason=reason, at=int(headers.get("timestamp", "0") or 0),
        size=len(delivery.body), requests=tuple(one.id for one in said),
        operations=tuple(sorted({one.type for one in said})), sources=tuple(sorted({one.source for one in said})),
        hopeless=hopeless, headers={name: headers[name] for name in _KEPT_HEADERS if name in headers},
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters are meant: named by the message's or a request's id, or all; and of this reason, operation, age."""

    named: tuple[str, ...] = ()
    reason: str = ""
    operation: str = ""
    before_ms: int | None = None
    """Set aside no later, epoch ms."""

    def fits(self, one: Letter) -> bool:
        """Whether a letter is meant."""
        return (
            (not self.named or any(name in (one.id, *one.requests) for name in self.named))
            and (not self.reason or one.reason == self.reason)
            and (not self.operation or self.operation in one.operations)
            and (self.before_ms is None or one.at <= self.before_ms)
        )


def chosen(letters: Sequence[Letter], choice: Choice) -> list[Letter]:
    """Those meant. Raises BridgeError for a name that is none of them."""
    missing = [name for name in choice.named if not any(name in (one.id, *one.requests) for one in letters)]
    if missing:
        raise BridgeError(tr("there is no dead letter {missing}", missing=missing[0]))
    return [one for one in letters if choice.fits(one)]


async def browse(link: Link, queue: str, timeout_s: float, whole: Choice | None = None) -> list[Letter]:
    """The dead letters of one queue; they stay. `whole`: those that it means come with their bodies, as many as fit
    into LARGEST. Raises BridgeError if the broker does not show them, or if they do not fit.
    """
    kept = 0
    found: list[Letter] = []
    ended = asyncio.Event()

    def take(delivery: Delivery) -> None:
        nonlocal kept
        if delivery.headers.get("browser") == "end":
            ended.set()
        elif len(found) < MOST:
            one = letter(queue, delivery)
            if whole is not None and whole.fits(one):
                kept += one.size
                if kept > LARGEST:
                    ended.set()
                    return
                one = replace(one, body=delivery.body)
            found.append(one)

    destination = destinations.dead_letters(f"/queue/{queue}")
    unsubscribe = link.subscribe(Subscription(destination, take, AckMode.AUTO, 100, {"browser": "true"}))
    try:
        async with asyncio.timeout(timeout_s):
            await ended.wait()
    except TimeoutError:
        said = tr("either there is no such queue (`bridgectl queues` lists them), or it needs an operator's certificate"
                  " (`operator` of bridgectl.toml)")  # fmt: skip
        raise BridgeError(
            tr("the broker does not show the dead letters of {queue}: {said}", queue=queue, said=said)
        ) from None
    finally:
        unsubscribe()
    if kept > LARGEST:
        said = tr("the dead letters of {queue} that are meant have more than {most} MB: choose fewer",
                  queue=queue, most=LARGEST >> 20)  # fmt: skip
        raise BridgeError(said)
    return found


async def remove(link: Link, one: Letter, timeout_s: float, *, again: bool) -> bool:
    """Take one away; `again`: once the queue it came from has it on disk. False: it was gone already.
    That it is gone is sure when the link is closed.

    Whatever fails between, it is there still: a letter may be sent twice, never lost.
    """
    taken: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()

    def take(delivery: Delivery) -> None:
        if not taken.done():
            taken.set_result(delivery)

    destination = destinations.dead_letters(f"/queue/{one.queue}")
    selector = {"selector": f"JMSMessageID = '{one.id}'"}
    if "'" in one.id:
        raise BridgeError(tr("the broker's id of it cannot be asked for"))
    unsubscribe = link.subscribe(Subscription(destination, take, AckMode.INDIVIDUAL, 1, selector))
    try:
        async with asyncio.timeout(timeout_s):
            delivery = await taken
            if again:
                out = Outgoing(f"/queue/{one.queue}", delivery.body, persistent=True, headers=dict(one.headers))
                await link.send(out)
            if not link.ack(delivery):
                raise BridgeError(tr("the connection was lost meanwhile: look again"))
    except TimeoutError:
        return False
    finally:
        unsubscribe()
    return True
