"""The tables `[settlement.withholding.NAME]`: whose bills which bank is asked to charge, on which days."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from protocol.runtime.settings import Name, Pattern, Section

_Part = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,16}$")]
_Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
_Day = Annotated[int, Field(ge=1, le=28)]


class WithholdingSection(Section):
    """One unit's bills, charged by one bank."""

    org: _Part
    """Of the names of files: `ORG_DKKK_UNIT_YYYYMMDD.txt`."""
    unit: _Part
    """The same; and `acctOrgNo` of every line."""
    bank: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,16}$")]
    """The bank's code in the file's header."""
    company: Name
    """Whose bills: of `settlement.companies`."""
    channel: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")] = "withholding"
    """What a line is written off as paid through, and whose account of the ledger owes it."""
    agreements: Annotated[tuple[str, ...], Field(max_length=50)] = ()
    """The banks, as agreements name them, that this one charges for. Empty: all."""
    accounts: Annotated[Pattern, StringConstraints(max_length=200)] = ""
    """A regular expression that the whole account number matches. Empty: all."""
    days: Annotated[tuple[_Day, ...], Field(min_length=1, max_length=28)] = (5, 10, 15)
    """Days of the month on which a batch is sealed and sent."""
    seal_at: _Clock = "06:00"
    """When, in China; lines that come later are in the next batch."""
    in_transit: Literal["0", "1"] = "1"
    """`inTransit` of the header."""
    line_prefix: Annotated[str, StringConstraints(pattern=r"^[A-Z]{1,4}$")] = "D"
    """What `detId` begins with. Bridges with databases of their own that send to one bank need different ones."""
    target: Name
    """Where the request is handed to: of `files.targets`."""
    request_profile: Name
    """The relay's kind of file of the request."""
    answer_profile: Name
    """The kind of file (of `files.profiles`) that answers come as."""
    answer_words: Annotated[tuple[_Part, ...], Field(min_length=1, max_length=5)] = ("REDKKK", "REDK")
    """What stands in the middle of an answer's name."""
    flags: dict[Annotated[str, StringConstraints(min_length=1, max_length=8)], bool] = Field(
        default_factory=lambda: {"1": True, "0": False}
    )
    """What `accountedFlag` says: true is charged. Another value refuses the whole answer."""
    retry_days: Annotated[tuple[Annotated[int, Field(ge=1, le=60)], ...], Field(max_length=5)] = (3, 7)
    """So many days after a bank's no the bill is asked for again; after the last the customer gets a notice."""
    overdue_days: Annotated[int, Field(ge=1, le=30)] = 2
    """So many days after its own day a batch is to be answered."""
    overdue_at: _Clock = "18:00"
    """By this time of that day, in China."""
    automatic: bool = False
    """Whether a bill that is issued (pushed as `bill-issued`) becomes a line, if its account has an agreement."""

    @field_validator("flags")
    @classmethod
    def _some_line_is_charged(cls, flags: dict[str, bool]) -> dict[str, bool]:
        if True not in flags.values():
            raise ValueError("no value is true, which says that a line was charged: every answer would be refused")
        return flags

    @field_validator("days")
    @classmethod
    def _each_day_once(cls, days: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(days)) < len(days):
            raise ValueError("names a day twice")
        return tuple(sorted(days))

    @field_validator("retry_days")
    @classmethod
    def _growing(cls, days: tuple[int, ...]) -> tuple[int, ...]:
        if list(days) != sorted(set(days)):
            raise ValueError("each is later than the one before")
        return days
