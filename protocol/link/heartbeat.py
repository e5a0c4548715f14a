"""Heart-beats (STOMP 1.2, "Heart-beating"): who promised what, and whether it was kept. Pure: time comes in."""

from dataclasses import dataclass

from protocol.link.codec import ProtocolViolation
from protocol.link.stomppy import calculate_heartbeats

GRACE = 3.0
"""A peer is dead after this many of its own intervals in silence. Not fewer: ActiveMQ looks once an interval whether
it sent anything since its last look, and beats only if not (AbstractInactivityMonitor.writeCheck), so after a frame
its next beat may be two intervals away. A grace of 2 lost healthy connections, measured.
"""

CHECKS = 4
"""Checks in one interval: a beat is sent when half of the interval was idle, so never later than 3/4 of it."""


@dataclass(frozen=True, slots=True)
class Beats:
    """What both sides agreed, in seconds; 0 means not at all."""

    send: float
    receive: float

    @property
    def period(self) -> float:
        """Seconds between checks; 0 if there is nothing to check."""
        intervals = [interval for interval in (self.send, self.receive) if interval]
        return min(intervals) / CHECKS if intervals else 0.0

    def due(self, now: float, last_sent: float) -> bool:
        """Whether to send a heart-beat now."""
        return bool(self.send) and now - last_sent >= self.send / 2

    def dead(self, now: float, last_received: float, last_check: float) -> bool:
        """Whether the peer was silent for too long.

        Not judged when the check itself comes late: then *we* slept (a stopped process, a suspended machine), and
        what the peer sent meanwhile still waits unread in the socket.
        """
        if not self.receive or now - last_check > 2 * self.period:
            return False
        return now - last_received > self.receive * GRACE


def agree(wanted: tuple[int, int], header: str) -> Beats:
    """The intervals that follow from ours (send, receive, ms) and the `heart-beat` header of CONNECTED.

    Raises ProtocolViolation if the header is not two numbers.
    """
    theirs = header.replace(" ", "").split(",")
    if len(theirs) != 2 or not all(part.isascii() and part.isdigit() for part in theirs):
        raise ProtocolViolation("malformed heart-beat header")
    send, receive = calculate_heartbeats((str(int(theirs[0])), str(int(theirs[1]))), wanted)
    return Beats(send / 1000, receive / 1000)
