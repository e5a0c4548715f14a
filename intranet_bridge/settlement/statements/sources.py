"""The kinds of statements of one installation: each a profile with what is configured of it."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from decimal import ROUND_HALF_UP, Decimal

from intranet_bridge.settlement.file_cursors import digest_of
from intranet_bridge.settlement.statements.life import due_at
from intranet_bridge.settlement.statements.names import said
from intranet_bridge.settlement.statements.profiles import Profile, ProfileError, configured
from intranet_bridge.settlement.statements.verdicts import StatementRefused
from intranet_bridge.settlement_sections.clearing import ClearingSection
from intranet_bridge.settlement_sections.statements import StatementsSection
from protocol.errors import ConfigurationError
from protocol.values import immutable

_LONGEST = 64


@immutable
class Source:
    """A kind of statement: one is expected each day."""

    name: str
    """In `files.profiles`; its files are recorded under it."""
    profile: Profile
    company: str
    merchants: frozenset[str]
    fee_rate: str
    branches: tuple[str, ...] = ()
    """Of each of which a file is expected."""

    @property
    def expected(self) -> tuple[str, ...]:
        """What is expected of a day, by name: the kind's, or `KIND:BRANCH` of each branch."""
        return tuple(f"{self.name}:{branch}" for branch in self.branches) or (self.name,)

    def lacking(self, files: Iterable[tuple[str, str]]) -> tuple[str, ...]:
        """What of it is not there. `files`: name and merchant of each of the day's that is."""
        if not self.branches:
            return () if any(True for _ in files) else self.expected
        came: set[str] = set()
        for name, merchant in files:
            came.add(merchant)
            try:
                named = said(name, self.profile)
            except StatementRefused:
                continue  # no file's: an operator said that the day had nothing
            came |= {named.merchant, named.unit}
        return tuple(f"{self.name}:{branch}" for branch in self.branches if branch not in came)

    @property
    def channel(self) -> str:
        """The payments'."""
        return self.profile.channel

    @property
    def judged_by(self) -> str:
        """A digest of what its files are judged by."""
        return digest_of(self.profile.model_dump(mode="json"), sorted(self.merchants))

    @property
    def due(self) -> time:
        """When it should be there."""
        return self.profile.due

    def due_at(self, day: date) -> datetime:
        """The same, of a day's."""
        return due_at(day, self.due)

    def fee(self, paid: int) -> int | None:
        """What the channel should keep of so much, fen; None: nothing is said of it."""
        if not self.fee_rate:
            return None
        return int((Decimal(paid) * Decimal(self.fee_rate)).quantize(Decimal(1), ROUND_HALF_UP))


def sources_of(section: StatementsSection) -> dict[str, Source]:
    """By name. Raises ConfigurationError for a profile that is not there, or cannot be used."""
    try:
        profiles = configured(section.profiles)
    except ProfileError as error:
        raise ConfigurationError(str(error), place=("settlement", "statements", "profiles")) from None
    found = {}
    for name, file in section.files.items():
        profile = profiles.get(file.profile)
        if profile is None:
            known = ", ".join(sorted(profiles))
            raise ConfigurationError(
                f"there is no profile {file.profile}; there are {known}",
                place=("settlement", "statements", "files", name, "profile"),
            )
        more: dict[str, object] = {"name": name}
        if file.channel is not None:
            more["channel"] = file.channel
        if file.due is not None:
            more["due"] = time.fromisoformat(file.due)
        found[name] = Source(
            name,
            profile.model_copy(update=more),
            file.company,
            frozenset(file.merchants),
            file.fee_rate,
            file.branches,
        )
        for at, branch in enumerate(file.branches):
            place = ("settlement", "statements", "files", name, "branches", at)
            if branch in file.branches[:at]:
                raise ConfigurationError(f"names {branch} twice", place=place)
            if len(found[name].expected[at]) > _LONGEST:
                raise ConfigurationError(f"with the kind's name at most {_LONGEST} characters", place=place)
    return found


def by_channel(sources: Mapping[str, Source]) -> dict[str, list[Source]]:
    """The kinds of each channel."""
    found: dict[str, list[Source]] = {}
    for source in sources.values():
        found.setdefault(source.channel, []).append(source)
    return found


def expected_of(sources: Mapping[str, Source]) -> list[str]:
    """What is expected of a day, of all kinds."""
    return [name for source in sources.values() for name in source.expected]


def check_cleared(section: ClearingSection, sources: Mapping[str, Source]) -> None:
    """Raises ConfigurationError for a channel that is cleared by statements of another one."""
    for name, cleared in section.channels.items():
        for at, kind in enumerate(cleared.statements):
            if kind in sources and sources[kind].channel != name:
                raise ConfigurationError(
                    f"{kind} is a statement of the channel {sources[kind].channel}",
                    place=("settlement", "clearing", "channels", name, "statements", at),
                )
