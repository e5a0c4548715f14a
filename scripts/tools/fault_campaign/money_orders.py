"""Payers: orders of one to three lines, some with a coupon, paid and told of in all ways; each is looked after until it
has ended.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from scripts.tools.channel_simulator.notifying import Forgery
from scripts.tools.fault_campaign.load import account_of
from scripts.tools.fault_campaign.money_books import ENDED
from scripts.tools.fault_campaign.money_callers import PATIENCE_S, PAUSE_S, TRY_S, Callers, code_of
from scripts.tools.fault_campaign.money_channels import OTHER_AMOUNT, Channels, Paying
from scripts.tools.fault_campaign.site import EXPIRES_S
from scripts.tools.testbed.money import COMPANIES, yesterday
from scripts.tools.testbed.processes import TestbedError

FIRST_ACCOUNT, ACCOUNTS = 901, 1000
"""Of money; no other caller uses them."""
CLOSED = 7
"""An account that is closed from the start: what is prepaid to it is refused, and goes back."""
LONGEST_S = 480.0
"""Orders, and what follows from statements, must have come to their end by then."""
COUPON_FEN, FIRST_COUPON, COUPONS = 1000, 1001, 1000
GIVEN_BACK = "it is given back already"
"""Says the bridge to whoever says it once more."""
FUNDER = "marketing-dept"
HOW = {
    "plain": 40, "forged": 14, "twice": 12, "late": 10, "unnotified": 8, "paid-twice": 8, "never": 8, OTHER_AMOUNT: 4,
}  # fmt: skip
"""How an order is paid and told of, and how often."""

_LOCAL = (
    "payment-order-create", "payment-order-pay", "payment-cancel", "payment-confirm", "refund-request",
    "refund-confirm",
)  # fmt: skip
_AGAIN = (
    "requests", "resolve", "--all", "--state", "held", *(f"--operation={one}" for one in _LOCAL), "--call-again",
    "--yes", "--note", "the campaign killed the bridge",
)  # fmt: skip
"""The bridge holds a command that it died with for the third time, for it cannot know that it was not the cause."""


class Payers:
    """Of one campaign."""

    def __init__(
        self, callers: Callers, channels: Channels, ctl: Callable[..., str], rate: float, seconds: float, seed: int
    ) -> None:
        """`rate`: orders a second. `ctl`: bridgectl."""
        self._ctl = ctl
        self._callers, self._channels, self._rate, self._seconds = callers, channels, rate, seconds
        self._rng = random.Random(seed ^ 0x3017)  # noqa: S311 - a load is not a secret
        self._open: list[dict[str, Any]] = []
        self._late: set[str] = set()
        """Accounts whose bills cost more each day: they are paid on the day of which they were asked for."""
        self._accounts: list[int] = []
        self._coupons = iter(range(FIRST_COUPON, FIRST_COUPON + COUPONS))
        self._tasks: set[asyncio.Task[None]] = set()
        self.paying: dict[str, Paying] = {}
        self.offered = 0
        self.refused: Counter[str] = Counter()
        """Orders that were not made, or not to be paid any more, by why."""

    async def close(self) -> None:
        """Whoever is still paying goes away."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def prepare(self) -> None:
        """Ask what the accounts owe, before the faults."""
        numbers = list(range(FIRST_ACCOUNT, FIRST_ACCOUNT + ACCOUNTS))
        for first in range(0, ACCOUNTS, 50):
            some = [{"company": _company(one), "account": account_of(one)} for one in numbers[first : first + 50]]
            told = await self._callers.until_answered("/v1/combined-bill", {"accounts": some})
            for one in told["result"]["owed"]:
                self._accounts.append(int(one["account"]) - int(account_of(0)))
                self._open += [
                    {"company": one["company"], "account": one["account"], "bills": [bill["bill"]],
                     "amount": bill["amount"] + bill["penalty"]}
                    for bill in one["bills"][-1:] if bill["amount"] > 1_500
                ]  # fmt: skip
                self._late |= {one["account"] for bill in one["bills"][-1:] if bill["penalty"]}

    def give_up(self, company: str, count: int) -> list[dict[str, Any]]:
        """Bills of a company that are from now on somebody else's, with their accounts."""
        mine = [line for line in self._open if line["company"] == company][:count]
        gone = {line["account"] for line in mine}
        self._open = [line for line in self._open if line["account"] not in gone]
        self._accounts = [number for number in self._accounts if account_of(number) not in gone]
        return mine

    async def run(self) -> None:
        """Offer orders at the rate."""
        begun = time.monotonic()
        while (now := time.monotonic() - begun) < self._seconds:
            while self.offered < now * self._rate:
                self.offer(self._rng.choices(list(HOW), list(HOW.values()))[0])
            await asyncio.sleep(0.1)

    def offer(self, how: str) -> None:
        """One more order."""
        self.offered += 1
        task = asyncio.get_running_loop().create_task(self._order(how, random.Random(self._rng.getrandbits(64))))  # noqa: S311
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._callers.failed.append(f"a payer failed: {type(error).__name__}: {error}")

    async def finish(self) -> None:
        """Every payer comes to an end."""
        while self._tasks:
            await asyncio.wait(list(self._tasks), timeout=PATIENCE_S)

    async def _order(self, how: str, rng: random.Random) -> None:
        channel = rng.choice(("wechat", "wechat", "alipay"))
        lines = self._lines(how, rng)
        body: dict[str, Any] = {"channel": channel, "lines": lines}
        if sum(line["amount"] for line in lines) > 3 * COUPON_FEN and rng.random() < 0.25:
            with contextlib.suppress(StopIteration):
                coupon = f"CP{next(self._coupons)}"
                body["parts"] = [{"id": coupon, "kind": "coupon", "funder": FUNDER, "amount": COUPON_FEN}]
        made = await self._callers.command("/v1/payment-order-create", body, rng)
        if made is None or made.get("status") != "succeeded":
            self._refuse("not made", made)
            return
        order = Paying(made["result"]["order"], how, made["result"])
        self.paying[order.number] = order
        if not await self._to_pay(order, rng):
            return
        if how == "never":
            await self._channels.forge(order, self._channels.never_made(order), rng, Forgery.OTHER_KEY)
            await self._channels.forge(order, self._channels.never_made(order), rng, Forgery.CHANGED)
            return
        if how == "late":
            await self._expired(order)
        combined = channel == "wechat" and len(lines) > 1
        more = rng.choice((-1, 1, 100)) if how == OTHER_AMOUNT else 0
        order.paid = await self._channels.pay(order, combined=combined, more=more)
        if how == "unnotified":
            return
        if how == "forged":
            await self._channels.forge(order, order.paid, rng, rng.choice(list(Forgery)))
        times = 2 if how == "twice" else 1
        for _ in range(times):
            order.notified |= await self._channels.notify(order.paid, "genuine")
        if how == OTHER_AMOUNT:
            await self._person(order)
        if how == "paid-twice":
            order.paid_again = await self._channels.pay(order, combined=combined)
            await self._channels.notify(order.paid_again, "second")
        await self._follow(order, TRY_S)

    async def _person(self, order: Paying) -> None:
        """Whoever looks at held orders has the payment given back."""
        end, said = time.monotonic() + TRY_S, ""
        words = ("orders", "settle", order.number, "give-back", "--note", "paid with another amount")
        while time.monotonic() < end:
            await self._look(order)
            if order.state == "held":
                try:
                    await asyncio.to_thread(self._ctl, *words)
                    return
                except TestbedError as error:
                    said = str(error)
                if GIVEN_BACK in said:  # it was done, and nobody was told
                    return
            elif order.state in ENDED:
                break
            await asyncio.sleep(PAUSE_S)
        self._callers.failed.append(f"order {order.number} was paid with another amount, and is {order.state}: {said}")

    def _lines(self, how: str, rng: random.Random) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        for number in rng.sample(self._accounts, rng.choice((1, 1, 2, 3))):
            at = rng.randrange(len(self._open)) if self._open and rng.random() < 0.3 else None
            if at is not None and (self._channels.day == yesterday() or self._open[at]["account"] not in self._late):
                lines.append(self._open.pop(at))
            else:
                lines.append(_prepayment(number, rng))
        if how in ("plain", "twice", "forged") and rng.random() < 0.12:
            lines[-1] = _prepayment(CLOSED, rng)
        return list({line["account"]: line for line in lines}.values())

    async def _to_pay(self, order: Paying, rng: random.Random) -> bool:
        """Send the payer to the channel. False: the order is not to be paid any more."""
        end = time.monotonic() + TRY_S
        told: dict[str, Any] | None = None
        while time.monotonic() < end:
            told = await self._callers.command("/v1/payment-order-pay", {"order": order.number}, rng)
            if told is not None and told.get("status") == "succeeded":
                order.told = told["result"]
                return True
            if told is None or code_of(told) != "not-reserved":
                break
            await asyncio.sleep(PAUSE_S)
        self._refuse("not paid", told)
        return False

    def _refuse(self, what: str, told: dict[str, Any] | None) -> None:
        self.refused[f"{what}: {'no answer' if told is None else code_of(told)}"] += 1

    async def _expired(self, order: Paying) -> None:
        end = time.monotonic() + 3 * EXPIRES_S
        while order.state not in ENDED and time.monotonic() < end:
            await asyncio.sleep(2)
            await self._look(order)

    async def _follow(self, order: Paying, seconds: float) -> None:
        """Look after an order until it has ended and all that it asks for is given back."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await self._look(order)
            await self._channels.give_back(order)
            if order.state in ENDED and self._channels.all_back(order):
                return
            if self._waits_for_statement(order):
                return
            await asyncio.sleep(PAUSE_S)

    def _waits_for_statement(self, order: Paying) -> bool:
        """Whether only Alipay's statement is waited for: its refunds are done."""
        refunds = order.told["refunds"]
        # one that was paid with another amount has its lines open for ever
        lines_ended = order.how == OTHER_AMOUNT or all(
            line["state"] in ("written-off", "credited", "refunded", "refunding") for line in order.told["lines"]
        )
        return bool(refunds) and order.told["channel"] == "alipay" and lines_ended and self._channels.all_back(order)

    async def _look(self, order: Paying) -> None:
        answer = await self._callers.query("/v1/payment-order", {"order": order.number})
        if answer is not None and answer.get("status") == "succeeded":
            order.told = answer["result"]

    def progress(self) -> str:
        """For the line that is shown while it runs."""
        ended = sum(order.state in ENDED for order in self.paying.values())
        return f"{ended} of {len(self.paying)} orders ended"

    async def settle(self) -> list[str]:
        """Every order that can end without a statement does; what does not, is told."""
        await self._done_again()
        await self.finish()
        end = time.monotonic() + LONGEST_S
        while (left := await self.unended(before_statements=True)) and time.monotonic() < end:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(PAUSE_S)
        return [f"order {order.number} ({order.how}) is {order.state} before the statements" for order in left]

    async def _done_again(self) -> None:
        """Whoever looks at held commands has those done again that the bridge was killed with three times."""
        end = time.monotonic() + TRY_S
        while True:
            try:
                await asyncio.to_thread(self._ctl, *_AGAIN)
                return
            except TestbedError:  # it is being started
                if time.monotonic() > end:
                    raise
            await asyncio.sleep(PAUSE_S)

    async def unended(self, *, before_statements: bool) -> list[Paying]:
        """Those that have not come to their end, after another look at each."""
        left = [order for order in self.paying.values() if not self._ended(order, before_statements)]
        for order in left:
            await self._look(order)
            await self._channels.give_back(order)
        return [order for order in left if not self._ended(order, before_statements)]

    def _ended(self, order: Paying, before_statements: bool) -> bool:
        if before_statements:
            if order.how == "unnotified" and order.paid:
                return True
            if self._waits_for_statement(order):
                return True
            return order.state in ENDED and self._channels.all_back(order)
        return order.state in ENDED and all(one["state"] == "proven" for one in order.told["refunds"])

    async def look_at_all(self) -> None:
        """Every caller asks once more."""
        for order in self.paying.values():
            for _ in range(20):
                answer = await self._callers.query("/v1/payment-order", {"order": order.number})
                if answer is not None and answer.get("status") == "succeeded":
                    order.told = answer["result"]
                    break
                await asyncio.sleep(PAUSE_S)
            else:
                self._callers.failed.append(f"nobody says how order {order.number} stands")


def _company(number: int) -> str:
    return COMPANIES[number % 3]


def _prepayment(number: int, rng: random.Random) -> dict[str, Any]:
    return {"company": _company(number), "account": account_of(number), "amount": rng.randint(2_000, 20_000)}
