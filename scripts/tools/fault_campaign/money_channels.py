"""What the channels do: a payer pays, they notify the front, as they should or not; they give back what orders ask
them to.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as clock
from functools import partial
from typing import Any, TypeVar

import aiohttp

from protocol.times import CHINA
from scripts.tools.channel_simulator import notifying
from scripts.tools.channel_simulator.book import FEE, Book, BookError, Payment, Refund
from scripts.tools.channel_simulator.keys import made_or_loaded
from scripts.tools.channel_simulator.notifying import Forgery, Notification
from scripts.tools.fault_campaign.money_callers import PAUSE_S, TRY_S, Callers
from scripts.tools.fault_campaign.site import Site
from scripts.tools.testbed.money import yesterday

T = TypeVar("T")
OTHER_AMOUNT = "other-amount"
"""How an order is paid that is held then, and given back on a person's word."""


@dataclass(slots=True)
class Paying:
    """An order as its caller knows it."""

    number: str
    how: str
    told: dict[str, Any]
    """The last answer."""
    paid: list[Payment] = field(default_factory=list)
    paid_again: list[Payment] = field(default_factory=list)
    notified: bool = False

    def asks_for_surplus(self) -> bool:
        """Whether it asks for the refund of all that is to be given back whole: paid with another amount, or twice. Of
        two payments the order is paid by that of which the bridge hears first.
        """
        asked = {one["transaction"] for one in self.told["refunds"]}
        surplus = [self.paid] if self.how == OTHER_AMOUNT else [self.paid, self.paid_again] if self.paid_again else [[]]
        return any({one.transaction for one in paid} <= asked for paid in surplus)

    def differing(self) -> list[Payment]:
        """What was not paid as it asked for."""
        if self.how != OTHER_AMOUNT:
            return []
        asked = {f"{self.number}-{line['line']}": line["cash"] for line in self.told["lines"]}
        asked[self.number] = self.told["cash"]
        return [one for one in self.paid if one.cash != asked[one.reference]]

    @property
    def state(self) -> str:
        """Of the last answer."""
        return str(self.told["state"])


class Channels:
    """WeChat Pay and Alipay, of one campaign."""

    def __init__(self, site: Site, callers: Callers, seed: int, days: int) -> None:
        """`days`: how many settlement days there are; the last of them is yesterday."""
        self._callers, self._seed = callers, seed
        self._keys, self.book = made_or_loaded(site.channels), Book(site.channels / "book.sqlite3")
        self.day = yesterday() - timedelta(days - 1)
        """On which payers pay and channels give back."""
        self._moments = 0
        self._writing: Counter[date] = Counter()
        self._given_back: set[str] = set()
        self.by_hand: set[str] = set()
        """Transactions that a channel gave back of its own accord."""
        self.notifications: Counter[str] = Counter()
        """By what they were and how they were answered."""

    async def day_over(self) -> date:
        """The next day begins; returns the one before it, of which nothing more will be written into the book."""
        over, self.day = self.day, self.day + timedelta(1)
        while self._writing[over]:  # noqa: ASYNC110 - threads, each for some milliseconds
            await asyncio.sleep(0.05)
        return over

    async def _written(self, write: Callable[[datetime], T]) -> T:
        """Write into the book, on the day that it is."""
        at, day = self._moment(), self.day
        self._writing[day] += 1
        try:
            return await asyncio.shield(asyncio.to_thread(write, at))
        finally:
            self._writing[day] -= 1

    def _moment(self) -> datetime:
        self._moments += 1
        evening = datetime.combine(self.day, clock(18, 0), CHINA)
        return evening + timedelta(seconds=self._moments % (5 * 3600))

    async def pay(self, order: Paying, *, combined: bool, more: int = 0) -> list[Payment]:
        """A payer pays it whole; combined, its lines one by one. `more`: so much more than it asks for, or less."""
        told = order.told
        parts = [(order.number, told["cash"])]
        if combined:
            parts = [(line["number"], line["cash"]) for line in told["lines"] if line["cash"]]
        (first, cash), *others = parts
        parts = [(first, cash + more), *others]
        return await self._written(lambda at: self.book.pay(told["channel"], order.number, parts, at))

    def never_made(self, order: Paying) -> list[Payment]:
        """What a forger says of it."""
        cash, at = order.told["cash"], self._moment()
        return [
            Payment(
                order.told["channel"], f"9{order.number}", order.number, order.number, cash, cash, cash * FEE, at, None,
                False, "", "电费",
            )
        ]  # fmt: skip

    async def forge(self, order: Paying, paid: Sequence[Payment], rng: random.Random, forgery: Forgery) -> None:
        """Somebody else says it, in the channel's name."""
        told = notifying.of_payment(self._keys, paid, datetime.now(CHINA), forgery)
        status = 0
        for _ in range(5):
            status, body = await self._post(order.told["channel"], told)
            if status == 400 or (status == 200 and body == b"failure"):
                self.notifications["forged: refused"] += 1
                return
            if status == 200:
                break
            await asyncio.sleep(PAUSE_S)
        # 200: it is written down while the bridge does not answer, and refused later; the books tell
        self.notifications[f"forged: {'written down' if status == 200 else 'not taken'}"] += 1

    async def notify(self, paid: Sequence[Payment], what: str) -> bool:
        """Say it until it is taken."""
        return await self._say(
            paid[0].channel, lambda: notifying.of_payment(self._keys, paid, datetime.now(CHINA)), what
        )

    async def _say(self, channel: str, made: Callable[[], Notification], what: str) -> bool:
        end = time.monotonic() + TRY_S
        while time.monotonic() < end:
            status, body = await self._post(channel, made())
            if status and notifying.acknowledged(channel, status, body):
                self.notifications[f"{what}: taken"] += 1
                return True
            self.notifications[f"{what}: said again"] += 1
            await asyncio.sleep(PAUSE_S)
        self._callers.failed.append(f"{channel} was never acknowledged a notification ({what})")
        return False

    async def _post(self, channel: str, told: Notification) -> tuple[int, bytes]:
        try:
            async with self._callers.http.post(
                f"/channels/{channel}/notifications", data=told.body, headers=dict(told.headers)
            ) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0, b""

    async def give_back(self, order: Paying) -> None:
        """Do the refunds that an order asks for, and pass on their proofs."""
        for one in order.told["refunds"]:
            if one["refund"] in self._given_back or not one["cash"] or one["state"] == "proven":
                continue
            if one["transaction"] in self.by_hand:  # the channel has given it back already
                continue
            paid = [of for of in (*order.paid, *order.paid_again) if of.transaction == one["transaction"]]
            if not paid:
                self._callers.failed.append(
                    f"order {order.number} asks for the refund of a transaction that it was not paid by"
                )
                continue
            try:
                back = await self._written(partial(self._refunded, one))
            except BookError as error:
                self._callers.failed.append(f"{one['channel']} does not do refund {one['refund']}: {error}")
                self._given_back.add(one["refund"])
                continue
            if await self._prove(back, paid[0]):
                self._given_back.add(one["refund"])

    def _refunded(self, one: Mapping[str, Any], at: datetime) -> Refund:
        return self.book.refund(one["channel"], one["transaction"], one["refund"], one["cash"], at)

    async def _prove(self, back: Refund, paid: Payment) -> bool:
        if back.channel == "wechat":
            return await self._say(
                back.channel, lambda: notifying.of_refund(self._keys, back, paid, datetime.now(CHINA)), "refund"
            )
        # Alipay's own word of a refund does not say of which: its statement will
        sent = {"refund": back.number, "said": "sent"}
        told = await self._callers.command("/v1/refund-confirm", sent, random.Random(f"{self._seed} {back.number}"))  # noqa: S311
        return told is not None

    def all_back(self, order: Paying) -> bool:
        """Whether all that it asks for is given back, and it asks for all that was paid once too often."""
        refunds = order.told["refunds"]
        return order.asks_for_surplus() and all(
            one["refund"] in self._given_back or one["state"] == "proven" for one in refunds
        )
