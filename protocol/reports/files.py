"""Files across the boundary."""

from typing import Literal

from protocol.reports.part import Part


class FileReportRow(Part):
    """A file across the boundary. Its name is a platform's or ours, and tells nothing of a customer."""

    id: str
    direction: str
    """Seen from the bridge: `in` or `out`."""
    front: str
    """Whose relay has to do with it."""
    peer: str
    """The source it is from, or the target it is for."""
    name: str
    profile: str
    bytes: int
    sha256: str
    chunks: int
    have: int
    """Chunks that are at who receives it, as far as is known here."""
    state: str
    code: str = ""
    """Why it was refused."""
    attempt: int = 0
    arrivals: int = 0
    """How often it was begun."""
    created: int
    updated: int
    decided: int = 0


class LateFileReport(Part):
    """A kind of file that should have come today."""

    profile: str
    due: int


class PlaceReport(Part):
    """Where a relay looks for files, or lays them down."""

    name: str
    use: Literal["source", "target"]
    at: str
    """The server, or `drop`."""
    state: Literal["ok", "not-tried", "unreachable", "host-key-changed", "failing"]
    since: int = 0
    """Since when it is so; 0: since the start."""
    trouble: str = ""
    looked: int = 0
    """When it was last looked at without an error; 0: not since the start."""
    waiting: int = 0
    """Files there that are not complete, or that nobody knows what they are."""


class FilesReport(Part):
    """Files across the boundary."""

    enabled: bool = False
    refused_count: int = 0
    """In the last week."""
    refused: tuple[FileReportRow, ...] = ()
    """The latest of them."""
    waiting: int = 0
    """To be handed over, or to be archived."""
    oldest: int = 0
    """When the oldest of them was recorded; 0: there is none."""
    late: tuple[LateFileReport, ...] = ()
    """Bridge: what is due and has not come."""
    places: tuple[PlaceReport, ...] = ()
    """Front: its sources and targets."""
