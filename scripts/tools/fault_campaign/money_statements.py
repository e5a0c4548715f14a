"""The channels' statements, each laid down as the platforms do. Those of earlier days come while something is wrong:
the bridge, the front, the broker, a database or a link. In those of the last day differences are planted, and the
bridge dies at each named point of their way; all that follows from them comes to its end.
"""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import date

from scripts.tools.channel_simulator import planting
from scripts.tools.channel_simulator.book import Payment, Refund
from scripts.tools.channel_simulator.planting import Kind, Planted
from scripts.tools.channel_simulator.statements import statement
from scripts.tools.fault_campaign.faults import STATEMENT_POINTS
from scripts.tools.fault_campaign.money_books import Difference
from scripts.tools.fault_campaign.money_callers import PAUSE_S
from scripts.tools.fault_campaign.money_channels import Channels, Paying
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


_UNTOUCHED = frozenset({"callers-front", "marketing-pushes", "front-callbacks", "receiver"})
"""Faults of these do not stand in the way of a statement."""
_LONG_S = 300


def days(seconds: float) -> int:
    """How many settlement days a campaign has."""
    return 3 if seconds >= _LONG_S else 2


class Statements:
    """Of one campaign."""

    def __init__(self, site: Site, channels: Channels, payers: Payers, seconds: float, seed: int) -> None:
        self._site, self._channels, self._payers, self._seed = site, channels, payers, seed
        self._count = days(seconds)
        self._planted: list[Planted] = []
        self.unnotified: list[Difference] = []
        """Payments of which nobody was notified."""
        self._due: list[tuple[str, date]] = []
        """Statements of earlier days that are not laid down yet."""
        self.laid: Counter[str] = Counter()
        """How many, by what was wrong then."""
        self.passing: set[tuple[str, str]] = set()
        """Channel and transaction of orders that were under way when their statement came, or that a later one has the
        refund of: it may say so."""

    @property
    def planted(self) -> list[Difference]:
        """What is to be found."""
        return [
            Difference(one.kind.value, one.channel, str(one.day) if one.kind is Kind.FEE_DIFFERS else one.transaction)
            for one in self._planted
        ]

    # --- under faults ---------------------------------------------------------------------------------------------

    async def run(self, seconds: float) -> None:
        """One settlement day after the other ends, in as many parts of the time."""
        count = days(seconds)
        for _ in range(count - 1):
            await asyncio.sleep(seconds / count)
            over = await self._channels.day_over()
            self._due += [(channel, over) for channel in CHANNELS]

    async def lay_one(self, kind: str, target: str) -> None:
        """Something is about to be wrong: one of those that are due comes just now."""
        if self._due and target not in _UNTOUCHED:
            channel, day = self._due.pop(0)
            self.laid[f"statements laid down under {kind} {target}"] += 1
            await asyncio.to_thread(self._note_passing, channel, day)
            await asyncio.to_thread(self._lay, channel, day)

    async def lay_due(self) -> None:
        """The rest of them."""
        while self._due:
            channel, day = self._due.pop(0)
            self.laid["statements laid down after the load"] += 1
            await asyncio.to_thread(self._note_passing, channel, day)
            await asyncio.to_thread(self._lay, channel, day)

    def _note_passing(self, channel: str, day: date) -> None:
        paid = self._channels.book.payments(channel, day=day)
        later = refunded_later(paid, self._channels.book.refunds(channel))
        for one in paid:
            order = self._payers.paying.get(one.order)
            if order is not None and (one.transaction in later or not _at_its_end(order)):
                self.passing.add((channel, one.transaction))

    def _lay(self, channel: str, day: date) -> None:
        name, content = statement(self._channels.book, channel, day)
        folder = self._site.statements
        (folder / f".{name}").write_bytes(content)
        (folder / f".{name}").rename(folder / name)

    # --- the last day ---------------------------------------------------------------------------------------------

    def plant(self) -> None:
        """Plant differences in the channels' books, in payments of simple orders that are completed."""
        good = [
            order.paid[0]
            for order in self._payers.paying.values()
            if order.state == "completed" and order.notified and len(order.paid) == len(order.told["lines"]) == 1
            and not order.paid_again and not order.told["refunds"] and order.paid[0].day == self._channels.day
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

    async def compared(self, die_at: Callable[[str], Awaitable[bool]]) -> list[str]:
        """Lay down the statements, have the bridge die at each point of their way, and wait until all that follows from
        them has come to its end. Returns what has not. `die_at`: whether the point was reached.
        """
        await asyncio.to_thread(self.plant)
        for channel in CHANNELS:
            await asyncio.to_thread(self._lay, channel, self._channels.day)
        for point in STATEMENT_POINTS:
            await die_at(point)
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
        done = Counter(channel for channel, state, _ in runs if state == "done")
        left = [
            f"{done[channel]} statements of {channel} are compared, not {self._count}"
            for channel in CHANNELS
            if done[channel] < self._count
        ]
        left += [f"a run of {channel} is {state} {code}" for channel, state, code in runs if state != "done"]
        return left + [f"{what} of {channel} {number} is {state}" for what, channel, number, state in items]


def refunded_later(paid: Iterable[Payment], refunds: Iterable[Refund]) -> set[str]:
    """Transactions of which money went back on a later settlement day: their own statement has the payment alone."""
    days = {one.transaction: one.day for one in paid}
    return {back.transaction for back in refunds if (day := days.get(back.transaction)) is not None and back.day > day}


def _at_its_end(order: Paying) -> bool:
    """Whether nothing more will become of it, as far as its caller knows."""
    if order.state not in ("completed", "completed-with-refunds"):
        return False
    if order.how == "paid-twice" and not order.paid_again:
        return False
    return order.asks_for_surplus() and all(one["state"] == "proven" for one in order.told["refunds"])
