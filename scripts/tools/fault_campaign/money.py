"""Money in a campaign: orders of one to three lines, some with a coupon; payers pay at the channel simulator, which
notifies the front: some of it is forged, said twice, late, or never said; some is paid twice; a line of a closed
account is refused, and given back. In the end differences are planted, the channels' statements are laid down, and the
bridge dies at each named point of orders and of statements. Then everybody's books are read.
"""

import asyncio
import json
import urllib.request
from collections.abc import Sequence
from typing import Any

from scripts.tools.fault_campaign.money_books import (
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
from scripts.tools.fault_campaign.money_callers import Callers
from scripts.tools.fault_campaign.money_channels import Channels, Paying
from scripts.tools.fault_campaign.money_clearing import Clearing
from scripts.tools.fault_campaign.money_orders import Payers
from scripts.tools.fault_campaign.money_statements import CHANNELS, Statements, days
from scripts.tools.fault_campaign.money_withholding import OPERATIONS as OF_WITHHOLDING
from scripts.tools.fault_campaign.money_withholding import Withholding
from scripts.tools.fault_campaign.site import Site
from scripts.tools.testbed.processes import TestbedError

OPERATIONS = (
    "payment-order-create", "payment-order-pay", "payment-confirm", "refund-confirm", "payment-writeoff", "prepay",
    "payment-reversal", "promotion-reserve", "promotion-post", "promotion-void",
)  # fmt: skip
"""Whose commands are of money."""


class Money:
    """Of one campaign."""

    def __init__(self, site: Site, rate: float, seconds: float, seed: int, deaths: frozenset[str]) -> None:
        """`rate`: orders a second. `deaths`: points at which the bridge dies after the load."""
        self._site, self._seconds = site, seconds
        self.callers = Callers(site)
        self.channels = Channels(site, self.callers, seed, days(seconds))
        self.payers = Payers(self.callers, self.channels, lambda *words: site.testbed.ctl(*words), rate, seconds, seed)
        self.statements = Statements(site, self.channels, self.payers, seconds, seed)
        self.withholding = Withholding(site, self.callers, self.payers, seconds, seed, deaths)
        self.clearing = Clearing(site, self.callers, deaths)
        self._booked: set[str] = set()
        """Payments in the marketing system's book that were there before any order."""
        self.believed: list[str] = []
        """Orders that took a payment that nobody made."""

    async def __aenter__(self) -> "Money":
        await self.callers.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.withholding.close()
        await self.payers.close()
        await self.callers.__aexit__()

    async def prepare(self) -> None:
        """Look what was booked from the start, and ask what the accounts owe, before the faults."""
        self._booked = {one["payment"] for one in await asyncio.to_thread(self._marketing, "/books/payments")}
        await self.payers.prepare()
        self.withholding.prepare()

    async def run(self) -> None:
        """Orders, and lines of withholding, for as long as the load lasts."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.payers.run())
            group.create_task(self.statements.run(self._seconds))
            group.create_task(self.withholding.run())

    def books(self, unsettled: Sequence[str]) -> Books:
        """All there is to compare. Blocks."""
        unread = [*self.callers.failed, *self.clearing.wrong(self._ledger())]
        try:
            self._site.testbed.ctl("ledger", "verify")
        except TestbedError as error:
            unread.append(f"bridgectl ledger verify: {error}")
        ours = {one.transaction for order in self.payers.paying.values() for one in (*order.paid, *order.paid_again)}
        charged = [
            Charged(one.channel, one.transaction, one.order if one.transaction in ours else "", one.cash, one.planted)
            for channel in CHANNELS for one in self.channels.book.payments(channel)
        ]  # fmt: skip
        back = [
            Back(one.channel, one.number, one.transaction, one.cash, one.planted)
            for channel in CHANNELS for one in self.channels.book.refunds(channel)
        ]  # fmt: skip
        never = {order.number for order in self.payers.paying.values() if order.how == "never"}
        paid = {row[0] for row in self._rows("SELECT order_no FROM payments")}
        self.believed = sorted(never & paid)
        return Books(
            [_order_of(order) for order in self.payers.paying.values()],
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
            self._ledger(), self.statements.planted, self.statements.unnotified,
            [Difference(*row) for row in self._rows("SELECT class, channel, transaction_no FROM statement_items")],
            [
                Difference("amount-differs", one.channel, one.transaction)
                for order in self.payers.paying.values() for one in order.differing()
            ],
            frozenset(self.statements.passing), unsettled, unread,
            frozenset(row[0] for row in self._rows("SELECT number FROM payment_orders")),
        )  # fmt: skip

    def requests(self) -> set[str]:
        """Ids of money's commands, in both ledgers: they are none of the work orders. Blocks."""
        names = ", ".join(f"'{name}'" for name in (*OPERATIONS, *OF_WITHHOLDING))
        query = f"WHERE operation IN ({names})"
        front = self._site.rows("front", f"SELECT id FROM requests {query}")  # noqa: S608 - constants
        return {row[0] for row in [*front, *self._rows(f"SELECT id FROM inbox {query}")]}  # noqa: S608 - constants

    def _ledger(self) -> list[Entry]:
        query = (
            "SELECT journal.kind, journal.ref, account.name, entry.amount FROM entry"
            " JOIN journal ON journal.id = entry.journal JOIN account ON account.id = entry.account"
        )
        return [Entry(*row) for row in self._rows(query)]

    def _rows(self, query: str) -> list[Any]:
        return self._site.rows("bridge", query)

    def _marketing(self, path: str) -> Any:
        with urllib.request.urlopen(self._site.testbed.marketing_url + path, timeout=60) as answer:  # noqa: S310
            return json.load(answer)


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
