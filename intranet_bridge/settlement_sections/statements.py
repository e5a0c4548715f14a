"""The `[settlement.statements]` table of the bridge's configuration: which files are statements, and whose."""

from datetime import time
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from protocol.runtime.settings import FilePath, Misplaced, Name, Section

ProfileName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
ChannelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Branch = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z._-]{1,32}$")]
Merchant = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,64}$")]


class StatementFileSection(Section):
    """A kind of statement that comes each day."""

    profile: ProfileName
    """What such a file looks like: a shipped profile, or one of your own in `profiles`."""
    company: Name
    """Of `settlement.companies`: whose bills were paid."""
    channel: ChannelName | None = None
    """Under which name the marketing system has the payments' channel, where the profile has another."""
    merchants: Annotated[tuple[Merchant, ...], Field(max_length=100)] = ()
    """Merchant numbers whose statements these are; another's is refused (`wrong-merchant`). Empty: any."""
    branches: Annotated[tuple[Branch, ...], Field(max_length=200)] = ()
    """Of each of which a file is expected every day: merchant numbers, or units, as the files' names or rows have them.
    Empty: one file."""
    due: Clock | None = None
    """When it should be there the day after, China's time, where the profile has another."""
    fee_rate: Annotated[str, StringConstraints(pattern=r"^(|0(\.[0-9]{1,6})?)$")] = ""
    """The channel's fee, of what was paid less what was refunded, such as 0.006: more than a fen off in a statement is
    held. Empty: whatever the statement says."""


class StatementsSection(Section):
    """Statements of platforms and utilities, matched each day with what the marketing system wrote off."""

    profiles: FilePath | None = None
    """A folder with profiles of your own, `NAME.toml`: docs/how-to/statements.md. One of a shipped name replaces it."""
    files: dict[Name, StatementFileSection] = Field(default_factory=dict)
    """By their name in `files.profiles`. None: no statements are taken."""
    late_minutes: Annotated[int, Field(ge=0, le=600)] = 60
    """So long after it is due `bridgectl status` warns that a statement is late."""
    missing_at: Clock = "18:00"
    """From then on, the day after, it is missing: critical."""
    approve: bool = False
    """Every run that would write off or reverse anything is approved by a person first, not only one past the brake."""
    brake_actions: Annotated[int, Field(ge=0, le=1_000_000)] = 20
    """A run with more actions than this, and than 1 for each `brake_rows` rows, is approved by a person first."""
    brake_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    """200: 0.5 % of a statement's rows."""
    brake_yuan: Annotated[int, Field(ge=0, le=1_000_000_000)] = 50_000
    """A run whose actions move more yuan than this is approved by a person first."""
    retry_minutes: Annotated[float, Field(gt=0, le=1440)] = 5
    """Until a run that was incomplete is tried again."""

    @property
    def missing_time(self) -> time:
        """`missing_at`."""
        return time.fromisoformat(self.missing_at)

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.missing_time < time(1):
            raise Misplaced("must not be before 01:00", ("missing_at",))
        return self
