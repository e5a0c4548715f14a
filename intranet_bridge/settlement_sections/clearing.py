"""The `[settlement.clearing]` table of the bridge's configuration: what is cleared, and who signs."""

from datetime import date
from typing import Annotated

from pydantic import Field, StringConstraints

from protocol.runtime.settings import Name, Section

Statement = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]


class ClearedChannelSection(Section):
    """A channel whose days are cleared."""

    statements: Annotated[tuple[Statement, ...], Field(min_length=1)]
    """The kinds of statements that a day of it has; it is cleared when all of them are accepted."""
    company: Name
    """Whose the rows are that have no order of ours. Of `settlement.companies`."""
    merchants: dict[str, Name] = Field(default_factory=dict)
    """The same, by the statement's merchant number, where several companies have theirs."""


class ArrivalsSection(Section):
    """A bank statement that says what has arrived."""

    company: Name
    """Whose account it is of."""
    channel: Name | None = None
    """Whose payouts come to it; without one, those of all channels."""


class ClearingSection(Section):
    """Clearing: what each company is owed of a channel's day."""

    channels: dict[Name, ClearedChannelSection] = Field(default_factory=dict)
    """By the name that orders and statements have them under. None: nothing is cleared."""
    since: date | None = None
    """Statements of days before are not cleared."""
    two_people_above: Annotated[int, Field(ge=0)] = 1_000_000
    """Fen. A sheet of more than that, either way, is approved by two people."""
    late_hours: Annotated[int, Field(ge=1, le=240)] = 36
    """So long after the end of a day whose statements are not all accepted `bridgectl status` says so."""
    arrivals: dict[Statement, ArrivalsSection] = Field(default_factory=dict)
    """Kinds of bank statements, by name. Without, operators enter what arrives."""
    target: Name | None = None
    """One of `files.targets`: where a company's file goes when its sheet is approved. Without, nobody is sent it."""
