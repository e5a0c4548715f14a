"""Requests, by operation: at the front, and at the interfaces of the marketing system."""

from typing import Literal

from protocol.reports.part import Part


class LatelyReport(Part):
    """One operation in the last minutes."""

    seconds: float
    """So long ago they began."""
    count: int
    failures: int
    latency: tuple[int, ...] = ()
    """As in `OperationReport`."""


class OperationReport(Part):
    """What callers of one operation got since the front's start."""

    operation: str
    answers: int
    failures: int
    """Of them, those with a status of 500 or more."""
    turned_away: int = 0
    """Of them, those with a status of 400 to 499."""
    latency: tuple[int, ...] = ()
    """How many answers took how long: below 0.1 ms, and each further number below twice the time of the one before;
    the last without a bound."""
    lately: LatelyReport | None = None
    """None: an older daemon."""


class InterfaceReport(Part):
    """One operation's interface at the marketing system, as the bridge finds it."""

    operation: str
    system: str
    circuit: Literal["closed", "half-open", "open"]
    failing_since: int = 0
    """Since when no call succeeded; 0: the last one did, or there was none."""
    reason: str = ""
    """Of the last failure. Never a word of an answer's content."""
    calls: int = 0
    failures: int = 0
    """Since the start."""
    last_success: int = 0
    failed: int = 0
    """When the last failure was, since then."""
    fault: str = ""
    """Of the last failure: `interface` (no usable connection, time or status), `answer` (came, cannot be read),
    `mismatch` (about something else)."""
    opened: int = 0
    """Since when the circuit is not closed; 0: it is."""
    next_probe: int = 0
    """When the next call is let through to see whether it is well again; 0: at once, or the circuit is closed."""
    timeout_ms: int = 0
    """So long a call may take; 0: it does not say."""
    at_once: int = 0
    """How many calls there may be at once; 0: no limit but the workers."""
    in_use: int = 0
    """How many there are."""
    waiting: int = 0
    """How many requests wait for one of them to end."""
    latency: tuple[int, ...] = ()
    """How many calls took how long, as in `OperationReport`; empty too of an older daemon."""
    lately: LatelyReport | None = None
    """None: an older daemon."""


class DiagnosisReport(Part):
    """What the bridge found when it tried a system in doubt by itself, with a query of the catalogue's example."""

    system: str
    operation: str
    at: int
    took_ms: int
    limit_ms: int
    """So long a call may take."""
    patience_ms: int
    """So long it was waited for."""
    outcome: str
    """As `bridgectl probe` says it."""
    reason: str = ""
    """Why there was no usable answer."""

    @property
    def well(self) -> bool:
        """It was answered as it should be, and in time."""
        return self.outcome in ("answered", "refused") and self.took_ms <= self.limit_ms
