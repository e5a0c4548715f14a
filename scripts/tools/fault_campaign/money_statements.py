"""The channels' statements: differences are planted in their books, and they are laid down as the platforms do; the
bridge dies at each named point of their way, and all that follows from them comes to its end.
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable

from scripts.tools.channel_simulator import planting
from scripts.tools.channel_simulator.planting import Kind, Planted
from scripts.tools.channel_simulator.statements import statement
from scripts.tools.fault_campaign.faults import STATEMENT_POINTS
from scripts.tools.fault_campaign.money_books import Difference
from scripts.tools.fault_campaign.money_callers import PAUSE_S
from scripts.tools.fault_campaign.money_channels import Channels
from scripts.tools.fault_campaign.money_orders import LONGEST_S, Payers
from scripts.tools.fault_campaign.site import Site

CHANNELS = ("wechat", "alipay")
_PLANTED_KINDS = {
    "wechat": tuple(Kind),
    "alipay": tuple(kind for kind in Kind if kind not in (Kind.REFUND_PENDING, Kind.FEE_DIFFERS)),
}  # fmt: skip
"""Alipay's statement has no rate of fees here, and no refunds that are pending."""
_NEEDS_ONE = frozenset(
    {
        Kind.REFUND_NOT_REVERSED, Kind.PARTIAL_REFUND, Kind.REFUND_PENDING, Kind.POOLED, Kind.AMOUNT_DIFFERS,
        Kind.FEE_DIFFERS,
    }
)  # fmt: skip


class Statements:
    """Of one campaign."""

    def __init__(self, site: Site, channels: Channels, payers: Payers, seed: int) -> None:
        self._site, self._channels, self._payers, self._seed = site, channels, payers, seed
        self._planted: list[Planted] = []
        self.unnotified: list[Difference] = []
        """Payments of which nobody was notified."""
        self.reached: list[str] = []
        """Points at which the bridge died while it worked on statements."""

    @property
    def planted(self) -> list[Difference]:
        """What is to be found."""
        return [
            Difference(one.kind.value, one.channel, str(one.day) if one.kind is Kind.FEE_DIFFERS else one.transaction)
            for one in self._planted
        ]

    def plant(self) -> None:
        """Plant differences in the channels' books, in payments of simple orders that are completed."""
        good = [
            order.paid[0]
            for order in self._payers.paying.values()
            if order.state == "completed" and order.notified and len(order.paid) == len(order.told["lines"]) == 1
            and not order.paid_again and not order.told["refunds"]
        ]  # fmt: skip
        self.unnotified = [
            Difference(Kind.PLATFORM_ONLY.value, one.channel, one.transaction)
            for order in self._payers.paying.values() if not order.notified
            for one in order.paid
        ]  # fmt: skip
        for channel in CHANNELS:
            mine = [one for one in good if one.channel == channel and one.cash > 100]
            self._channels.book.told([one.transaction for one in mine])
            kinds = _PLANTED_KINDS[channel]
            if len(mine) < sum(kind in _NEEDS_ONE for kind in kinds):  # a very short campaign
                kinds = tuple(kind for kind in kinds if kind not in _NEEDS_ONE)
            self._planted += planting.plant(
                self._channels.book, channel, self._channels.day, self._seed, len(kinds), kinds
            )
        self._channels.by_hand = {one.transaction for one in self._planted if one.kind is Kind.REFUND_NOT_REVERSED}

    def lay_down_statements(self) -> None:
        """As the platforms do: under another name first."""
        for channel in CHANNELS:
            name, content = statement(self._channels.book, channel, self._channels.day)
            folder = self._site.statements
            (folder / f".{name}").write_bytes(content)
            (folder / f".{name}").rename(folder / name)

    async def compared(self, die_at: Callable[[str], Awaitable[bool]]) -> list[str]:
        """Lay down the statements, have the bridge die at each point of their way, and wait until all that follows from
        them has come to its end. Returns what has not. `die_at`: whether the point was reached.
        """
        await asyncio.to_thread(self.plant)
        await asyncio.to_thread(self.lay_down_statements)
        for point in STATEMENT_POINTS:
            if await die_at(point):
                self.reached.append(point)
        end = time.monotonic() + LONGEST_S
        while True:
            left = await asyncio.to_thread(self._unsettled)
            left += [
                f"order {order.number} ({order.how}) is {order.state} after the statements, its refunds"
                f" {[one['state'] for one in order.told['refunds']]}"
                for order in await self._payers.unended(before_statements=False)
            ]
            if not left or time.monotonic() > end:
                return left
            await asyncio.sleep(PAUSE_S)

    def _unsettled(self) -> list[str]:
        try:
            runs = self._site.rows("bridge", "SELECT channel, state, code FROM statement_runs")
            items = self._site.rows(
                "bridge",
                "SELECT class, channel, transaction_no, state FROM statement_items WHERE state = 'acting' OR"
                " (state = 'open' AND action IN ('write-off', 'reverse', 'redrive', 'prove'))",
            )
        except sqlite3.Error as error:
            return [f"the bridge's database cannot be read: {error}"]
        done = {channel for channel, state, _ in runs if state == "done"}
        left = [f"no statement of {channel} is compared" for channel in CHANNELS if channel not in done]
        left += [f"a run of {channel} is {state} {code}" for channel, state, code in runs if state != "done"]
        return left + [f"{what} of {channel} {number} is {state}" for what, channel, number, state in items]
