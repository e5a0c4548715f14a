"""Money in a campaign: orders of one to three lines, some with a coupon; payers pay at the channel simulator, which
notifies the front: some of it is forged, said twice, late, or never said; some is paid twice; a line of a closed
account is refused, and given back. In the end differences are planted, the channels' statements are laid down, and the
bridge dies at each named point of orders and of statements.
"""

import asyncio
import contextlib
import json
import random
import sqlite3
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from datetime import time as clock
from typing import Any

import aiohttp

from protocol.times import CHINA
from scripts.tools.channel_simulator import notifying, planting
from scripts.tools.channel_simulator.book import FEE, Book, BookError, Payment, Refund
from scripts.tools.channel_simulator.keys import made_or_loaded
from scripts.tools.channel_simulator.notifying import Forgery, Notification
from scripts.tools.channel_simulator.planting import Kind, Planted
from scripts.tools.channel_simulator.statements import statement
from scripts.tools.fault_campaign.faults import STATEMENT_POINTS
from scripts.tools.fault_campaign.load import account_of
from scripts.tools.fault_campaign.money_books import (
    ENDED,
    Back,
    Books,
    Charged,
    Difference,
    Entry,
    Line,
    Order,
    Reservation,
    Written,
)
from scripts.tools.fault_campaign.site import EXPIRES_S, Site
from scripts.tools.fault_campaign.timelines import FINAL
from scripts.tools.testbed.money import COMPANIES, yesterday
from scripts.tools.testbed.processes import TestbedError

FIRST_ACCOUNT, ACCOUNTS = 901, 1000
"""Of money; no other caller uses them."""
CLOSED = 7
"""An account that is closed from the start: what is prepaid to it is refused, and goes back."""
OPERATIONS = (
    "payment-order-create", "payment-order-pay", "payment-confirm", "refund-confirm", "payment-writeoff", "prepay",
    "payment-reversal", "promotion-reserve", "promotion-post", "promotion-void",
)  # fmt: skip
"""Whose commands are of money."""
CHANNELS = ("wechat", "alipay")
PATIENCE_S = 10.0
PAUSE_S = 0.5
LONGEST_S = 240.0
"""Statements and what follows from them must have come to their end by then."""
COUPON_FEN, FIRST_COUPON, COUPONS = 1000, 1001, 1000
FUNDER = "marketing-dept"
HOW = {"plain": 40, "forged": 14, "twice": 12, "late": 10, "unnotified": 8, "paid-twice": 8, "never": 8}
"""How an order is paid and told of, and how often."""
EXPIRED = "no-answer-in-time"
"""A command that was not begun with in its time: nothing was done."""
_TRY_S = 150.0
"""A request, or a notification, is tried for so long; then the order is left as it is."""
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

    @property
    def state(self) -> str:
        """Of the last answer."""
        return str(self.told["state"])


class Money:
    """Of one campaign."""

    def __init__(self, site: Site, rate: float, seconds: float, seed: int) -> None:
        """`rate`: orders a second."""
        self._site, self._rate, self._seconds, self._seed = site, rate, seconds, seed
        self._rng = random.Random(seed ^ 0x3017)  # noqa: S311 - a load is not a secret
        self._open: list[dict[str, Any]] = []
        self._accounts: list[int] = []
        self._coupons = iter(range(FIRST_COUPON, FIRST_COUPON + COUPONS))
        self._tasks: set[asyncio.Task[None]] = set()
        self._given_back: set[str] = set()
        self._by_hand: set[str] = set()
        """Transactions that a channel gave back of its own accord."""
        self._day = yesterday()
        self._evening = datetime.combine(self._day, clock(18, 0), CHINA)
        self._moments = 0
        self._booked: set[str] = set()
        """Payments in the marketing system's book that were there before any order."""
        self._planted: list[Planted] = []
        self._unnotified: list[Difference] = []
        self.paying: dict[str, Paying] = {}
        self.offered = 0
        self.refused: Counter[str] = Counter()
        """Orders that were not made, or not to be paid any more, by why."""
        self.notifications: Counter[str] = Counter()
        """By what they were and how they were answered."""
        self.believed: list[str] = []
        """Orders that took a payment that nobody made."""
        self.failed: list[str] = []
        """What never came to an answer."""
        self.reached: list[str] = []
        """Points at which the bridge died while it worked on statements."""

    async def __aenter__(self) -> "Money":
        self._http = aiohttp.ClientSession(
            self._site.url, connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=PATIENCE_S)
        )
        if self._rate:
            folder = self._site.channels
            self._keys, self._book = made_or_loaded(folder), Book(folder / "book.sqlite3")
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.close()

    # --- the load -------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Look what was booked from the start, and ask what the accounts owe, before the faults."""
        self._booked = {one["payment"] for one in await asyncio.to_thread(self._marketing, "/books/payments")}
        numbers = list(range(FIRST_ACCOUNT, FIRST_ACCOUNT + ACCOUNTS))
        for first in range(0, ACCOUNTS, 50):
            some = [{"company": _company(one), "account": account_of(one)} for one in numbers[first : first + 50]]
            told = await self._until_answered("/v1/combined-bill", {"accounts": some})
            for one in told["result"]["owed"]:
                self._accounts.append(int(one["account"]) - int(account_of(0)))
                self._open += [
                    {"company": one["company"], "account": one["account"], "bills": [bill["bill"]],
                     "amount": bill["amount"] + bill["penalty"]}
                    for bill in one["bills"][-1:] if bill["amount"] > 1_500
                ]  # fmt: skip

    async def run(self) -> None:
        """Offer orders at the rate."""
        begun = time.monotonic()
        while self._rate and (now := time.monotonic() - begun) < self._seconds:
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
            self.failed.append(f"a payer failed: {type(error).__name__}: {error}")

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
        made = await self._command("/v1/payment-order-create", body, rng)
        if made is None or made.get("status") != "succeeded":
            self._refuse("not made", made)
            return
        order = Paying(made["result"]["order"], how, made["result"])
        self.paying[order.number] = order
        if not await self._to_pay(order, rng):
            return
        if how == "never":
            await self._forge(order, self._never_made(order), rng, Forgery.OTHER_KEY)
            await self._forge(order, self._never_made(order), rng, Forgery.CHANGED)
            return
        if how == "late":
            await self._expired(order)
        order.paid = await self._pay(order, rng, combined=channel == "wechat" and len(lines) > 1)
        if how == "unnotified":
            return
        if how == "forged":
            await self._forge(order, order.paid, rng, rng.choice(list(Forgery)))
        times = 2 if how == "twice" else 1
        for _ in range(times):
            order.notified |= await self._notify(order.paid, "genuine")
        if how == "paid-twice" and len(order.paid) == 1:
            order.paid_again = await self._pay(order, rng, combined=False)
            await self._notify(order.paid_again, "second")
        await self._follow(order, _TRY_S)

    def _lines(self, how: str, rng: random.Random) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        for number in rng.sample(self._accounts, rng.choice((1, 1, 2, 3))):
            if self._open and rng.random() < 0.3:
                lines.append(self._open.pop(rng.randrange(len(self._open))))
            else:
                lines.append(_prepayment(number, rng))
        if how in ("plain", "twice", "forged") and rng.random() < 0.12:
            lines[-1] = _prepayment(CLOSED, rng)
        return list({line["account"]: line for line in lines}.values())

    async def _to_pay(self, order: Paying, rng: random.Random) -> bool:
        """Send the payer to the channel. False: the order is not to be paid any more."""
        end = time.monotonic() + _TRY_S
        told: dict[str, Any] | None = None
        while time.monotonic() < end:
            told = await self._command("/v1/payment-order-pay", {"order": order.number}, rng)
            if told is not None and told.get("status") == "succeeded":
                order.told = told["result"]
                return True
            if told is None or _code(told) != "not-reserved":
                break
            await asyncio.sleep(PAUSE_S)
        self._refuse("not paid", told)
        return False

    def _refuse(self, what: str, told: dict[str, Any] | None) -> None:
        self.refused[f"{what}: {'no answer' if told is None else _code(told)}"] += 1

    async def _expired(self, order: Paying) -> None:
        end = time.monotonic() + 3 * EXPIRES_S
        while order.state not in ENDED and time.monotonic() < end:
            await asyncio.sleep(2)
            await self._look(order)

    # --- what the channels do -------------------------------------------------------------------------------------

    def _moment(self) -> datetime:
        self._moments += 1
        return self._evening + timedelta(seconds=self._moments % (5 * 3600))

    async def _pay(self, order: Paying, rng: random.Random, *, combined: bool) -> list[Payment]:
        told = order.told
        parts = [(order.number, told["cash"])]
        if combined:
            parts = [(line["number"], line["cash"]) for line in told["lines"] if line["cash"]]
        return await asyncio.to_thread(self._book.pay, told["channel"], order.number, parts, self._moment())

    def _never_made(self, order: Paying) -> list[Payment]:
        cash, at = order.told["cash"], self._moment()
        return [
            Payment(
                order.told["channel"], f"9{order.number}", order.number, order.number, cash, cash, cash * FEE, at, None,
                False, "", "电费",
            )
        ]  # fmt: skip

    async def _forge(self, order: Paying, paid: Sequence[Payment], rng: random.Random, forgery: Forgery) -> None:
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

    async def _notify(self, paid: Sequence[Payment], what: str) -> bool:
        """Say it until it is taken."""
        return await self._say(
            paid[0].channel, lambda: notifying.of_payment(self._keys, paid, datetime.now(CHINA)), what
        )

    async def _say(self, channel: str, made: Callable[[], Notification], what: str) -> bool:
        end = time.monotonic() + _TRY_S
        while time.monotonic() < end:
            status, body = await self._post(channel, made())
            if status and notifying.acknowledged(channel, status, body):
                self.notifications[f"{what}: taken"] += 1
                return True
            self.notifications[f"{what}: said again"] += 1
            await asyncio.sleep(PAUSE_S)
        self.failed.append(f"{channel} was never acknowledged a notification ({what})")
        return False

    async def _post(self, channel: str, told: Notification) -> tuple[int, bytes]:
        try:
            async with self._http.post(
                f"/channels/{channel}/notifications", data=told.body, headers=dict(told.headers)
            ) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0, b""

    async def _give_back(self, order: Paying) -> None:
        """Do the refunds that an order asks for, and pass on their proofs."""
        for one in order.told["refunds"]:
            if one["refund"] in self._given_back or not one["cash"] or one["state"] == "proven":
                continue
            if one["transaction"] in self._by_hand:  # the channel has given it back already
                continue
            paid = [of for of in (*order.paid, *order.paid_again) if of.transaction == one["transaction"]]
            if not paid:
                self.failed.append(f"order {order.number} asks for the refund of a transaction that it was not paid by")
                continue
            try:
                back = await asyncio.to_thread(
                    self._book.refund, one["channel"], one["transaction"], one["refund"], one["cash"], self._moment()
                )
            except BookError as error:
                self.failed.append(f"{one['channel']} does not do refund {one['refund']}: {error}")
                self._given_back.add(one["refund"])
                continue
            if await self._prove(back, paid[0]):
                self._given_back.add(one["refund"])

    async def _prove(self, back: Refund, paid: Payment) -> bool:
        if back.channel == "wechat":
            return await self._say(
                back.channel, lambda: notifying.of_refund(self._keys, back, paid, datetime.now(CHINA)), "refund"
            )
        # Alipay's own word of a refund does not say of which: its statement will
        sent = {"refund": back.number, "said": "sent"}
        told = await self._command("/v1/refund-confirm", sent, random.Random(f"{self._seed} {back.number}"))  # noqa: S311
        return told is not None

    # --- callers --------------------------------------------------------------------------------------------------

    async def _follow(self, order: Paying, seconds: float) -> None:
        """Look after an order until it has ended and all that it asks for is given back."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await self._look(order)
            await self._give_back(order)
            if order.state in ENDED and self._all_back(order):
                return
            if self._waits_for_statement(order):
                return
            await asyncio.sleep(PAUSE_S)

    def _all_back(self, order: Paying) -> bool:
        due = 1 if order.paid_again else 0
        refunds = order.told["refunds"]
        return sum(one["line"] == 0 for one in refunds) >= due and all(
            one["refund"] in self._given_back or one["state"] == "proven" for one in refunds
        )

    def _waits_for_statement(self, order: Paying) -> bool:
        """Whether only Alipay's statement is waited for: its refunds are done."""
        refunds = order.told["refunds"]
        lines_ended = all(
            line["state"] in ("written-off", "credited", "refunded", "refunding") for line in order.told["lines"]
        )
        return bool(refunds) and order.told["channel"] == "alipay" and lines_ended and self._all_back(order)

    async def _look(self, order: Paying) -> None:
        answer = await self._query("/v1/payment-order", {"order": order.number})
        if answer is not None and answer.get("status") == "succeeded":
            order.told = answer["result"]

    async def _query(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        status, told = await self._asked(self._http.post(path, json=body, headers=self._key()))
        return told if status == 200 else None

    async def _until_answered(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        for _ in range(60):
            told = await self._query(path, body)
            if told is not None:
                return told
            await asyncio.sleep(PAUSE_S)
        raise TestbedError(f"{path} is not answered before any fault")

    async def _command(self, path: str, body: dict[str, Any], rng: random.Random) -> dict[str, Any] | None:
        """Send it under one key until it is accepted, then poll until it is final: the final answer. None: there was
        none.
        """
        key = f"money-{uuid.UUID(int=rng.getrandbits(128))}"
        headers = self._key() | {"Idempotency-Key": key, "Prefer": "wait=5"}
        end = time.monotonic() + 2 * _TRY_S
        place = ""
        while time.monotonic() < end:
            request = self._http.get(place, headers=self._key()) if place else self._http.post(
                path, json=body, headers=headers
            )  # fmt: skip
            status, told = await self._asked(request)
            state = str(told.get("status") or "")
            if state in FINAL and status == 200:
                return told
            if told.get("request_status") in FINAL or told.get("code") == EXPIRED or status in (400, 404, 422):
                return told  # a problem that stays
            if told.get("request_id") and state in ("accepted", "sent") and not place:
                place = f"/v1/requests/{told['request_id']}"
            await asyncio.sleep(PAUSE_S)
        self.failed.append(f"{path} came to no answer under {key}")
        return None

    async def _asked(self, request: Any) -> tuple[int, dict[str, Any]]:
        try:
            async with request as answer:
                told = json.loads(await answer.read())
                return answer.status, told if isinstance(told, dict) else {}
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return 0, {}

    def _key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._site.testbed.app_key}"}

    def progress(self) -> str:
        """For the line that is shown while it runs."""
        ended = sum(order.state in ENDED for order in self.paying.values())
        return f"{ended} of {len(self.paying)} orders ended"

    # --- the end --------------------------------------------------------------------------------------------------

    async def settle(self) -> list[str]:
        """Every order that can end without a statement does; what does not, is told."""
        await self.finish()
        end = time.monotonic() + LONGEST_S
        while (left := await self._unended(before_statements=True)) and time.monotonic() < end:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(PAUSE_S)
        return [f"order {order.number} ({order.how}) is {order.state} before the statements" for order in left]

    async def _unended(self, *, before_statements: bool) -> list[Paying]:
        left = [order for order in self.paying.values() if not self._ended(order, before_statements)]
        for order in left:
            await self._look(order)
            await self._give_back(order)
        return [order for order in left if not self._ended(order, before_statements)]

    def _ended(self, order: Paying, before_statements: bool) -> bool:
        if before_statements:
            if order.how == "unnotified" and order.paid:
                return True
            if self._waits_for_statement(order):
                return True
            return order.state in ENDED and self._all_back(order)
        return order.state in ENDED and all(one["state"] == "proven" for one in order.told["refunds"])

    async def look_at_all(self) -> None:
        """Every caller asks once more."""
        for order in self.paying.values():
            for _ in range(20):
                answer = await self._query("/v1/payment-order", {"order": order.number})
                if answer is not None and answer.get("status") == "succeeded":
                    order.told = answer["result"]
                    break
                await asyncio.sleep(PAUSE_S)
            else:
                self.failed.append(f"nobody says how order {order.number} stands")

    def plant(self) -> None:
        """Plant differences in the channels' books, in payments of simple orders that are completed."""
        good = [
            order.paid[0]
            for order in self.paying.values()
            if order.state == "completed" and order.notified and len(order.paid) == len(order.told["lines"]) == 1
            and not order.paid_again and not order.told["refunds"]
        ]  # fmt: skip
        self._unnotified = [
            Difference(Kind.PLATFORM_ONLY.value, one.channel, one.transaction)
            for order in self.paying.values() if not order.notified
            for one in order.paid
        ]  # fmt: skip
        for channel in CHANNELS:
            mine = [one for one in good if one.channel == channel and one.cash > 100]
            self._book.told([one.transaction for one in mine])
            kinds = _PLANTED_KINDS[channel]
            if len(mine) < sum(kind in _NEEDS_ONE for kind in kinds):  # a very short campaign
                kinds = tuple(kind for kind in kinds if kind not in _NEEDS_ONE)
            self._planted += planting.plant(self._book, channel, self._day, self._seed, len(kinds), kinds)
        self._by_hand = {one.transaction for one in self._planted if one.kind is Kind.REFUND_NOT_REVERSED}

    def lay_down_statements(self) -> None:
        """As the platforms do: under another name first."""
        for channel in CHANNELS:
            name, content = statement(self._book, channel, self._day)
            folder = self._site.statements
            (folder / f".{name}").write_bytes(content)
            (folder / f".{name}").rename(folder / name)

    async def statements(self, die_at: Callable[[str], Awaitable[bool]]) -> list[str]:
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
                for order in await self._unended(before_statements=False)
            ]
            if not left or time.monotonic() > end:
                return left
            await asyncio.sleep(PAUSE_S)

    def _unsettled(self) -> list[str]:
        try:
            runs = self._rows("SELECT channel, state, code FROM statement_runs")
            items = self._rows(
                "SELECT class, channel, transaction_no, state FROM statement_items WHERE state = 'acting' OR"
                " (state = 'open' AND action IN ('write-off', 'reverse', 'redrive', 'prove'))"
            )
        except sqlite3.Error as error:
            return [f"the bridge's database cannot be read: {error}"]
        done = {channel for channel, state, _ in runs if state == "done"}
        left = [f"no statement of {channel} is compared" for channel in CHANNELS if channel not in done]
        left += [f"a run of {channel} is {state} {code}" for channel, state, code in runs if state != "done"]
        return left + [f"{what} of {channel} {number} is {state}" for what, channel, number, state in items]

    def books(self, unsettled: Sequence[str]) -> Books:
        """All there is to compare. Blocks."""
        unread = list(self.failed)
        try:
            self._site.testbed.ctl("ledger", "verify")
        except TestbedError as error:
            unread.append(f"bridgectl ledger verify: {error}")
        ours = {one.transaction for order in self.paying.values() for one in (*order.paid, *order.paid_again)}
        charged = [
            Charged(one.channel, one.transaction, one.order if one.transaction in ours else "", one.cash, one.planted)
            for channel in CHANNELS for one in self._book.payments(channel)
        ]  # fmt: skip
        back = [
            Back(one.channel, one.number, one.transaction, one.cash, one.planted)
            for channel in CHANNELS for one in self._book.refunds(channel)
        ]  # fmt: skip
        planted = [
            Difference(one.kind.value, one.channel, str(one.day) if one.kind is Kind.FEE_DIFFERS else one.transaction)
            for one in self._planted
        ]
        never = {order.number for order in self.paying.values() if order.how == "never"}
        paid = {row[0] for row in self._rows("SELECT order_no FROM payments")}
        self.believed = sorted(never & paid)
        return Books(
            [_order_of(order) for order in self.paying.values()],
            [
                Written(one["request_id"], one["channel"], one["transaction"], one["account"], one["amount"],
                        one["reversed"])
                for one in self._marketing("/books/payments") if one["payment"] not in self._booked
            ],
            [
                Reservation(one["reservation"], one["promotion"], one["amount"], one["state"])
                for one in self._marketing("/books/promotions")
            ],
            charged, back,
            [
                Entry(*row)
                for row in self._rows(
                    "SELECT journal.kind, journal.ref, account.name, entry.amount FROM entry"
                    " JOIN journal ON journal.id = entry.journal JOIN account ON account.id = entry.account"
                )
            ],
            planted, self._unnotified,
            [Difference(*row) for row in self._rows("SELECT class, channel, transaction_no FROM statement_items")],
            unsettled, unread, frozenset(row[0] for row in self._rows("SELECT number FROM payment_orders")),
        )  # fmt: skip

    def requests(self) -> set[str]:
        """Ids of money's commands, in both ledgers: they are none of the work orders. Blocks."""
        names = ", ".join(f"'{name}'" for name in OPERATIONS)
        query = f"WHERE operation IN ({names})"
        front = _rows_of(self._site, "front", f"SELECT id FROM requests {query}")  # noqa: S608 - constants
        return {row[0] for row in [*front, *self._rows(f"SELECT id FROM inbox {query}")]}  # noqa: S608 - constants

    def _rows(self, query: str) -> list[Any]:
        return _rows_of(self._site, "bridge", query)

    def _marketing(self, path: str) -> Any:
        with urllib.request.urlopen(self._site.testbed.marketing_url + path, timeout=60) as answer:  # noqa: S310
            return json.load(answer)


def _rows_of(site: Site, daemon: str, query: str) -> list[Any]:
    file = site.database(daemon)
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as database:
        return database.execute(query).fetchall()


def _code(told: dict[str, Any]) -> str:
    """Why a final answer is none of success."""
    for reason in (told.get("refusal"), told.get("failure"), told):
        if isinstance(reason, dict) and reason.get("code"):
            return str(reason["code"])
    return str(told.get("status"))


def _company(number: int) -> str:
    return COMPANIES[number % 3]


def _prepayment(number: int, rng: random.Random) -> dict[str, Any]:
    return {"company": _company(number), "account": account_of(number), "amount": rng.randint(2_000, 20_000)}


def _order_of(order: Paying) -> Order:
    told = order.told
    parts = told.get("parts", [])
    return Order(
        order.number, told["channel"], told["state"],
        [
            Line(one["line"], one["company"], one["account"], one["amount"], one["cash"], one["state"])
            for one in told["lines"]
        ],
        sum(part["amount"] for part in parts), parts[0]["funder"] if parts else "",
        {one["refund"]: one["state"] for one in told["refunds"]},
    )  # fmt: skip
