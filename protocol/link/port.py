"""What the product asks of a link to a broker. Two links keep this contract: session.py (STOMP 1.2 over TLS)
and memory.py (the in-memory twin); `tests/contract` runs one suite over both.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import field
from enum import StrEnum
from typing import Protocol

from protocol.values import immutable


class AckMode(StrEnum):
    """How deliveries of a subscription are acknowledged (STOMP 1.2, SUBSCRIBE `ack` header)."""

    AUTO = "auto"
    """Taken when delivered; nothing to acknowledge."""
    CUMULATIVE = "client"
    """Acknowledging one delivery acknowledges all before it on the subscription."""
    INDIVIDUAL = "client-individual"
    """Each delivery is acknowledged by itself."""


@immutable
class Outgoing:
    """One message to send."""

    destination: str
    body: bytes = field(repr=False)
    persistent: bool = False
    expires: int = 0
    """Absolute expiry, epoch ms; 0 means none."""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError for an expiry the broker could not read: it would close the connection, for all."""
        if not 0 <= self.expires < 1 << 63:
            raise ValueError("expires is an instant in epoch milliseconds within 64 bits")


@immutable
class Delivery:
    """One message as delivered. Valid for acknowledgement only in the epoch that delivered it."""

    destination: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str]
    epoch: int
    ack_id: str


@immutable
class Subscription:
    """A standing wish to receive: renewed by the link after every reconnect.

    A queue keeps the order of what one link sent, but ActiveMQ keeps persistent and non-persistent messages apart:
    between the two kinds there is no order.

    `handler` is called on the event loop, in order of delivery, and must not block; an exception it raises is
    logged and does not harm the connection. `prefetch` bounds what the broker sends ahead of acknowledgement.
    """

    destination: str
    handler: Callable[[Delivery], None]
    ack: AckMode = AckMode.INDIVIDUAL
    prefetch: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)


class Link(Protocol):
    """A connection to the first reachable of several brokers, kept up for ever.

    All methods belong to one event loop.
    """

    @property
    def connected(self) -> bool:
        """Whether frames can go out now."""

    @property
    def epoch(self) -> int:
        """Counts connections made; grows by one at each (0 before the first)."""

    @property
    def server(self) -> str:
        """What the broker calls itself (CONNECTED `server` header), `""` before the first connection."""

    @property
    def trouble(self) -> str:
        """Why it is not connected, as far as is known; empty while it is."""

    def standing(self) -> str:
        """What stands still for ever, though the loop turns (runtime/watchdog.py); empty while it keeps trying."""

    def watch(self, callback: Callable[[bool], None]) -> None:
        """Call `callback(connected)` at each change, and once now."""

    async def start(self) -> None:
        """Begin connecting, and keep trying with jittered back-off. Returns at once; see `ready`."""

    async def ready(self) -> None:
        """Return when connected (cancel it to stop waiting)."""

    async def close(self) -> None:
        """Flush, disconnect politely (bounded), and fail what is outstanding with LinkDown/OutcomeUnknown."""

    def subscribe(self, subscription: Subscription) -> Callable[[], None]:
        """Subscribe now (if connected) and after every reconnect. Returns the function that unsubscribes."""

    def ack(self, delivery: Delivery) -> bool:
        """Acknowledge; False, and nothing done, if the delivery's connection or subscription is gone (the broker
        redelivers it itself). Acknowledging twice is a mistake: the broker's ERROR ends the connection.
        """

    def current(self, delivery: Delivery) -> bool:
        """Whether the connection that delivered is still the one that is up (or the last one that was). Otherwise
        the broker delivers the message again, and what is done for it here is done for nothing."""

    def send(self, message: Outgoing) -> asyncio.Future[None]:
        """Send with a receipt. The future resolves when the broker's receipt is here.

        It fails with LinkDown (nothing sent), SendRefused (broker's ERROR), OutcomeUnknown (receipt missed its
        deadline, or the connection was lost first). Raises Overloaded at once if the send queue is full.
        """
