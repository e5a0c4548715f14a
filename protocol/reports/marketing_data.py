"""What is pushed by the marketing system, imported from it, asked ahead and kept of it."""

from typing import Literal

from pydantic import Field

from protocol.reports.part import Part


class PushTableReport(Part):
    """A table of the marketing system's, from which pushes are read."""

    name: str
    read: int = 0
    """When it was last read without an error; 0: not since the start."""
    lag_s: float = 0
    """How old the last row is that was read, while there are more; 0: it was read to its end."""
    error: str = ""
    """Why the last reading failed."""
    failing_since: int = 0
    """Since when every reading fails; 0: the last did not."""


class PushesReport(Part):
    """What the marketing system says unasked, since the start."""

    listens: bool = False
    last: int = 0
    """When the last took effect; 0: none."""
    accepted: int = 0
    repeated: int = 0
    refused: int = 0
    lately: int = 0
    """Accepted in the last minute."""
    tables: tuple[PushTableReport, ...] = ()


class ImportReport(Part):
    """Data that is fetched by the clock, and answered from."""

    name: str
    mode: Literal["full", "incremental"] = "full"
    answers: tuple[str, ...] = ()
    """The operations that are answered from it."""
    rows: int = 0
    """That are answered from."""
    as_of: int = 0
    """When the run began that brought it up to date; 0: none has."""
    fresh: bool = False
    """Whether it is new enough to be answered from."""
    running: bool = False
    """A run is unfinished."""
    read: int = 0
    """Rows that it has read."""
    began: int = 0
    moved: int = 0
    """When it began, and wrote last."""
    runner: str = ""
    """The bridge that wrote last."""
    quiet: bool = False
    """The marketing system's quiet hours: nothing is read."""
    error: str = ""
    """Why the last reading of this bridge failed."""
    following: int = 0
    """When the next run is due; 0: at once."""


class PrequeryWindowReport(Part):
    """What was asked ahead in one window."""

    since: int
    until: int
    """When it ended, or is to end."""
    asked: int = 0
    kept: int = 0
    """Of them, answered."""
    refused: int = 0
    failed: int = 0
    rested_s: float = 0
    """So long nothing was asked because an interface did not do well."""
    rounds: int = 0
    """So often every account had its turn. 0 after its end: there was not time enough."""
    reason: str = ""
    """Why it rested last."""


class PrequeryReport(Part):
    """What a bridge asks before anybody does."""

    active: int = 0
    """Accounts that asked for something lately."""
    bridges: int = 1
    """So many share the rate."""
    spared: int = 0
    """Answers asked ahead that somebody was given since the start."""
    now: PrequeryWindowReport | None = None
    """The window that it is in."""
    last: PrequeryWindowReport | None = None
    """The latest that has ended."""
    following: int = 0
    """When the next one begins; 0: none is set."""
    rests: str = ""
    """Why it asks nothing now, though in a window."""


class HotOperationReport(Part):
    """The kept answers of one operation, and its queries since the start by how they were answered."""

    operation: str
    lifetime_s: float
    kept: int
    bytes: int
    hit: int = 0
    joined: int = 0
    """Waited for the answer to an identical query."""
    miss: int = 0
    stale: int = 0
    bypassed: int = 0
    """The caller wanted no kept answer."""

    @property
    def spared(self) -> float:
        """The share of queries that cost no call."""
        asked = self.hit + self.joined + self.miss + self.stale + self.bypassed
        return (self.hit + self.joined) / asked if asked else 0.0


class HotReport(Part):
    """The kept answers of a bridge."""

    operations: tuple[HotOperationReport, ...] = ()
    kept: int = 0
    bytes: int = 0
    limit: int = 0
    """Bytes."""
    evicted: int = 0
    """For want of room."""
    invalidated: dict[str, int] = Field(default_factory=dict)
    """By what: command, operator, push, reload."""
    prequery: PrequeryReport | None = None
