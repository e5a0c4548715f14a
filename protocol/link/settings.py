"""What a STOMP link is told when it is made, and what it counts while it runs."""

import ssl as tls
from dataclasses import dataclass, field

from protocol.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """How to reach the brokers, and the bounds of everything. Times are seconds unless the name says ms.

    Raises ConfigurationError for values that cannot work together.
    """

    brokers: tuple[tuple[str, int], ...]
    """Failover list of (host, port): tried in this order, from the first again after every loss."""
    ssl: tls.SSLContext | None = field(repr=False)
    """See `tls.client_context`. None only with `insecure`."""
    client_name: str = "link"
    """For logs and errors."""
    heartbeat_ms: tuple[int, int] = (3000, 3000)
    """(send, receive) as offered in CONNECT; the broker may lengthen them. 0 turns a direction off."""
    connect_timeout: float = 10.0
    """From looking up the name to CONNECTED."""
    dial_timeout: float = 2.0
    """For TCP alone, each address; those of one name are tried side by side (dial.py). Short on purpose: the kernel
    repeats an unanswered SYN after 1, 3, 7, 15 s, a new
    attempt sends one at once, so that a way that came back is found soon."""
    receipt_timeout: float = 10.0
    """A send without its receipt for so long has an unknown outcome."""
    close_timeout: float = 5.0
    """`close` waits at most so long for the broker to take what is queued and to confirm DISCONNECT."""
    max_frame_bytes: int = 1024 * 1024
    """Neither sent nor accepted: larger frames. The broker's `wireFormat.maxFrameSize` must not be smaller."""
    max_pending_bytes: int = 8 * 1024 * 1024
    """Bytes queued because the broker does not read; beyond it `send` raises Overloaded."""
    max_outstanding: int = 4096
    """Sends without receipt; beyond it `send` raises Overloaded."""
    backoff_min: float = 0.1
    backoff_max: float = 2.0
    """Between rounds over the failover list. A connection that lasted so long starts the count afresh."""
    insecure: bool = False
    """Allow plain TCP (`ssl=None`): for tests on loopback, never in an installation."""

    def __post_init__(self) -> None:
        if not self.brokers:
            raise ConfigurationError("the link needs at least one broker address")
        if self.ssl is None and not self.insecure:
            raise ConfigurationError("the link needs an SSLContext: plain TCP is refused")
        if not 0 < self.backoff_min <= self.backoff_max:
            raise ConfigurationError("the link needs 0 < backoff_min <= backoff_max")


def _counts(what: str) -> int:
    number: int = field(default=0, metadata={"help": what})
    return number


@dataclass(slots=True)
class LinkCounters:
    """Plain totals since the link was made; the metrics module publishes each with its help."""

    frames_in: int = _counts("STOMP frames received")
    frames_out: int = _counts("STOMP frames sent")
    bytes_in: int = _counts("Bytes received, counted inside TLS")
    bytes_out: int = _counts("Bytes sent, counted inside TLS")
    reconnects: int = _counts("Connections made after the first")
    connect_failures: int = _counts("Connections that could not be made")
    receipts_missed: int = _counts("Sends whose receipt did not come in time: outcome unknown")
    receipts_late: int = _counts("Receipts that came after their time")
    refused: int = _counts("Sends or subscriptions answered by ERROR")
    overloaded: int = _counts("Sends turned away because the queue to the broker was full")
    stale_acks: int = _counts("Acknowledgements dropped because their connection or subscription was gone")
    handler_errors: int = _counts("Exceptions raised by subscription handlers")
