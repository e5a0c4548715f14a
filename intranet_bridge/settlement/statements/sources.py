"""The kinds of statements of one installation: each a profile with what is configured of it."""

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import ROUND_HALF_UP, Decimal

from intranet_bridge.settlement.statements.life import due_at
from intranet_bridge.settlement.statements.profiles import Profile, ProfileError, configured
from intranet_bridge.settlement_sections.clearing import ClearingSection
from intranet_bridge.settlement_sections.statements import StatementsSection
from protocol.errors import ConfigurationError
from protocol.values import immutable


@immutable
class Source:
    """A kind of statement: one is expected each day."""

    name: str
    """In `files.profiles`; its files are recorded under it."""
    profile: Profile
    company: str
    merchants: frozenset[str]
    fee_rate: str

    @property
    def channel(self) -> str:
        """The payments'."""
        return self.profile.channel

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
            name, profile.model_copy(update=more), file.company, frozenset(file.merchants), file.fee_rate
        )
    return found


def by_channel(sources: Mapping[str, Source]) -> dict[str, list[str]]:
    """The kinds of each channel."""
    found: dict[str, list[str]] = {}
    for source in sources.values():
        found.setdefault(source.channel, []).append(source.name)
    return found


def check_cleared(section: ClearingSection, sources: Mapping[str, Source]) -> None:
    """Raises ConfigurationError for a channel that is cleared by statements of another one."""
    for name, cleared in section.channels.items():
        for at, kind in enumerate(cleared.statements):
            if kind in sources and sources[kind].channel != name:
                raise ConfigurationError(
                    f"{kind} is a statement of the channel {sources[kind].channel}",
                    place=("settlement", "clearing", "channels", name, "statements", at),
                )
