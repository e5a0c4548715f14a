"""The tables of the configuration that say which fronts there are, and what each may ask."""

from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, Field

from protocol.operations import OFFERED
from protocol.runtime.settings import Name, Section, nearest

ALL = ("*",)
_ALIKE = 1_000
"""So many different patterns and lists are looked up once: of thousands of applications most may ask for the same."""


@lru_cache(_ALIKE)
def _operations(pattern: str) -> str:
    if not any(fnmatchcase(name, pattern) for name in OFFERED):
        near = nearest(pattern, OFFERED)
        raise ValueError(f"no operation is {pattern!r}" + (f"; did you mean {near}?" if near else ""))
    return pattern


Rate = Annotated[float, Field(gt=0, le=1_000_000)]
Accounts = Annotated[int, Field(ge=1, le=1_000_000)]
AttachmentBytes = Annotated[int, Field(ge=64 << 20, le=1 << 50)]
Operations = Annotated[tuple[Annotated[str, AfterValidator(_operations)], ...], Field(min_length=1)]


class CeilingsSection(Section):
    """What a front, and one application of it, may ask at most, where its own table says nothing else.

    The rates are of queries, and once more of commands. A query beyond them is refused, a command waits in the inbox.
    """

    front_rate: Rate = 5_000.0
    """Requests a second of a front, all its applications together."""
    application_rate: Rate = 2_000.0
    """Requests a second of one application."""
    burst_s: Annotated[float, Field(ge=0, le=3_600)] = 10.0
    """How many seconds' worth of a rate may come at once."""
    front_accounts: Accounts = 100_000
    """Different accounts an hour of a front; one that two applications ask about counts twice."""
    application_accounts: Accounts = 50_000
    """Different accounts an hour of one application."""
    front_attachment_bytes: AttachmentBytes = 8 << 30
    """Bytes of a front's attachments that are kept at once, all its applications together; each is taken for 16 KB at
    least. What is beyond them is set aside, and taken when it comes again and there is room."""
    operations: Operations = ALL
    """What may be asked for: names of operations, `*` in them for any characters."""


class ApplicationSection(Section):
    """One application. What is not set is as [ceilings] says."""

    rate: Rate | None = None
    """Requests a second."""
    accounts: Accounts | None = None
    """Different accounts an hour."""
    operations: Operations = ALL
    """Which of its front's operations it may ask for."""


class FrontSection(Section):
    """A front, or several that share a ledger. What is not set is as [ceilings] says."""

    instances: tuple[Name, ...] = ()
    """The fronts' names; default: the table's."""
    applications: dict[Name, ApplicationSection] = Field(default_factory=dict)
    """Those that are known; no others are admitted. Default: any."""
    rate: Rate | None = None
    """Requests a second, all applications together."""
    accounts: Accounts | None = None
    """Different accounts an hour, all applications together."""
    attachment_bytes: AttachmentBytes | None = None
    """Bytes of attachments kept at once, all applications together."""
    operations: Operations | None = None
    """What may be asked for; default: as [ceilings] says."""


@lru_cache(_ALIKE)
def allowed(*patterns: tuple[str, ...]) -> frozenset[str]:
    """The operations of the catalogue that each of these lists lets through."""
    return frozenset(
        name for name in OFFERED if all(any(fnmatchcase(name, one) for one in several) for several in patterns)
    )
