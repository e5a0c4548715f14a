"""What the table of a subject says of each event."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Level = Literal["debug", "info", "warning", "error", "critical"]


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of line."""

    level: Level
    """The highest that it is logged at."""
    meaning: str
    fields: tuple[str, ...] = ()
    """Those it may have besides `event`, `level`, `logger` and `timestamp`."""
    once_by: tuple[str, ...] | None = None
    """Fields that tell one fault from another: a repetition within a minute is only counted, and then told in one line
    with `repeated` (protocol/runtime/repetitions.py). None: each is a line, because each is about something else, or
    who logs it counts by itself.
    """


Table = Mapping[str, Event]
"""Events by their names."""
