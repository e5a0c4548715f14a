"""The `[settlement.payments]` table: payment orders, and the channels that bring the money."""

from collections.abc import Mapping
from enum import StrEnum
from itertools import combinations
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from protocol.operations.orders import MOST_LINES
from protocol.runtime.settings import FilePath, Misplaced, Name, Section

TRUSTED_MOST_FEN = 500_000
"""What an application's word is good for, an order."""
ChannelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


class Plugin(StrEnum):
    """What knows a channel's notifications."""

    WECHAT = "wechat-v3"
    ALIPAY = "alipay-rsa2"
    SIMULATED = "simulated"
    """Signed with a key that both sides have: the simulator's, and a channel's that has no form of its own."""
    TRUSTED = "trusted-app"
    """The word of an application, up to an amount."""


_OF: Mapping[Plugin, frozenset[str]] = {
    Plugin.WECHAT: frozenset({"platform_keys", "api_v3_key", "merchants"}),
    Plugin.ALIPAY: frozenset({"public_keys", "app_ids", "merchants"}),
    Plugin.SIMULATED: frozenset({"key"}),
    Plugin.TRUSTED: frozenset({"applications"}),
}
"""The settings that each must have; the others are none of its."""


class ChannelSection(Section):
    """A channel, under the name that orders and write-offs have it by."""

    plugin: Plugin
    """What knows its notifications: each has settings of its own, and needs all of them."""
    max_lines: Annotated[int, Field(ge=1, le=MOST_LINES)] = MOST_LINES
    """How many lines it combines in one payment (WeChat Pay: 10 of a direct merchant, 50 of a partner)."""
    platform_keys: dict[Annotated[str, StringConstraints(min_length=1, max_length=64)], FilePath] = Field(
        default_factory=dict
    )
    """Of `wechat-v3`: the platform's certificates or public keys (PEM), by serial number or public key id; two during a
    change."""
    api_v3_key: FilePath | None = None
    """Of `wechat-v3`: the merchant's APIv3 key, 32 characters in a file of its own."""
    merchants: tuple[Annotated[str, StringConstraints(min_length=1, max_length=64)], ...] = ()
    """Of `wechat-v3` the merchant numbers that are ours, of `alipay-rsa2` the seller ids."""
    public_keys: tuple[FilePath, ...] = ()
    """Of `alipay-rsa2`: Alipay's public keys (PEM); two during a change."""
    app_ids: tuple[Annotated[str, StringConstraints(min_length=1, max_length=64)], ...] = ()
    """Of `alipay-rsa2`: the applications there that are ours."""
    key: FilePath | None = None
    """Of `simulated`: the key, 32 bytes or more."""
    applications: tuple[Name, ...] = ()
    """Of `trusted-app`: whose word counts."""
    most_fen: Annotated[int, Field(ge=1, le=TRUSTED_MOST_FEN)] = TRUSTED_MOST_FEN
    """Of `trusted-app`: what its word is good for, an order."""

    @model_validator(mode="after")
    def _of_its_plugin(self) -> Self:
        for name in sorted(frozenset[str]().union(*_OF.values())):
            if bool(getattr(self, name)) != (name in _OF[self.plugin]):
                if name in _OF[self.plugin]:
                    raise Misplaced(f"{self.plugin} needs {name}", ("plugin",))
                raise Misplaced(f"is not of {self.plugin}", (name,))
        return self


def _both(one: ChannelSection, other: ChannelSection) -> bool:
    """Whether a notification may be of either of two channels: then one payment could count twice."""
    if one.plugin is not other.plugin:
        return False
    match one.plugin:
        case Plugin.WECHAT:
            return not set(one.merchants).isdisjoint(other.merchants)
        case Plugin.ALIPAY:
            apps = not set(one.app_ids).isdisjoint(other.app_ids)
            return apps and not set(one.merchants).isdisjoint(other.merchants)
        case Plugin.SIMULATED:
            return one.key == other.key
    return False


class PaymentsSection(Section):
    """Payment orders. Without this table none are taken."""

    channels: Annotated[dict[ChannelName, ChannelSection], Field(min_length=1)]
    """By the name that marketing systems know each by (`channel` of a write-off)."""
    expires_s: Annotated[int, Field(ge=60, le=7200)] = 900
    """So long after it was made an order that is not paid has expired."""
    credit: tuple[Name, ...] = ()
    """Companies of which a line that is refused becomes a prepayment there, and is not refunded."""
    keep_days: Annotated[int, Field(ge=31, le=3650)] = 400
    """So many days after its end an order is forgotten, unless something of it is still to be done; the ledger stays.
    Channels refund for a year, and what a statement has of a forgotten order is nobody's."""

    @model_validator(mode="after")
    def _apart(self) -> Self:
        for (name, one), (other, another) in combinations(self.channels.items(), 2):
            if _both(one, another):
                what = "key" if another.plugin is Plugin.SIMULATED else "merchants"
                raise Misplaced(
                    f"notifications are of channel {name} too: one payment would count twice", ("channels", other, what)
                )
        return self
