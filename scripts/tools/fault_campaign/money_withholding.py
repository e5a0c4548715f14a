"""Bills that banks collect by file: customers sign, their bills become lines of batches, one of which is sealed by the
clock and one on a person's word while faults go on; the bank answers with holes (money_bank.py). The other batches are
sealed and answered after the load, while the bridge dies at each named point of that way.
"""

import asyncio
import json
import random
import sqlite3
import time
import urllib.request
from collections.abc import Callable, Coroutine, Sequence
from itertools import zip_longest
from typing import Any

from scripts.tools.fault_campaign.faults import WITHHOLDING_POINTS
from scripts.tools.fault_campaign.money_bank import Bank
from scripts.tools.fault_campaign.money_callers import PAUSE_S, TRY_S, Callers, code_of
from scripts.tools.fault_campaign.money_orders import LONGEST_S, Payers
from scripts.tools.fault_campaign.site import BY_CLOCK, BY_PERSON, LATER, Site, company_of, unit_of
from scripts.tools.fault_campaign.withholding_books import (
    CHANNEL,
    BridgeLine,
    Settled,
    Told,
    WithholdingBooks,
)
from scripts.tools.testbed.processes import TestbedError

OPERATIONS = ("withholding-sign", "withholding-charge", "bill-freeze", "bill-release")
EACH = 6
"""Lines of a batch at least, so that a bank has something of every kind to say."""
MORE_A_MINUTE = 1.5
OFFERED_BY, SEALED_AT = 0.45, 0.5
"""Shares of the campaign's time: all lines are asked for by then; so does the person."""
NOTE = "the bank asks for an extra batch"
ONE_A_DAY, NOTHING = "there is one a day", "no line waits"


class Withholding:
    """Of one campaign."""

    def __init__(
        self, site: Site, callers: Callers, payers: Payers, seconds: float, seed: int, deaths: frozenset[str]
    ) -> None:
        """`deaths`: points at which the bridge is to die: there is a batch for each that is among its own."""
        self._site, self._callers, self._payers, self._seconds = site, callers, payers, seconds
        self._rng = random.Random(seed ^ 0xBA2C)  # noqa: S311 - a load is not a secret
        self._tasks: set[asyncio.Task[None]] = set()
        self._later = [(name, pair) for name, pair in zip(LATER, WITHHOLDING_POINTS, strict=True) if deaths & set(pair)]
        self._arrangements = (BY_CLOCK, BY_PERSON, *(name for name, _ in self._later))
        self._bills: list[tuple[str, dict[str, Any]]] = []
        """With the arrangement that each goes to."""
        self._banking: asyncio.Task[None] | None = None
        self.told: list[Told] = []
        self.bank = Bank(site.requests, site.statements, seed)

    async def close(self) -> None:
        """Customers and bank go away."""
        tasks = [*self._tasks, *([self._banking] if self._banking is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- the load -------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Take bills that nobody else pays."""
        each = EACH + int(self._seconds / 60 * MORE_A_MINUTE / len(self._arrangements))
        taken = [[(name, bill) for bill in self._payers.give_up(company_of(name), each)] for name in self._arrangements]
        self._bills = [one for turn in zip_longest(*taken) for one in turn if one is not None]

    async def run(self) -> None:
        """Customers sign and have their bills charged; then a person has a batch sealed; the bank answers."""
        begun = time.monotonic()
        self._banking = asyncio.create_task(self.bank.run([unit_of(name) for name in (BY_CLOCK, BY_PERSON)]))
        every = self._seconds * OFFERED_BY / max(1, len(self._bills))
        for number, (name, bill) in enumerate(self._bills):
            await asyncio.sleep(max(0.0, begun + number * every - time.monotonic()))
            task = asyncio.create_task(self._line(name, bill, random.Random(self._rng.getrandbits(64))))  # noqa: S311
            self._tasks.add(task)
            task.add_done_callback(self._done)
        await asyncio.sleep(max(0.0, begun + self._seconds * SEALED_AT - time.monotonic()))
        await self._seal(BY_CLOCK)  # it takes what waits for later days, and is sealed at its time
        await self._seal(BY_PERSON)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._callers.failed.append(f"a customer of withholding failed: {type(error).__name__}: {error}")

    async def _line(self, arrangement: str, bill: dict[str, Any], rng: random.Random) -> None:
        account = bill["account"]
        terms = {"account": account, "bank": "icbc", "bank_account": f"6222020000{account}"[:19], "holder": "示范户主"}
        signed = await self._callers.command("/v1/withholding-sign", terms, rng)
        if signed is None or signed.get("status") != "succeeded":
            self._no("withholding-sign", signed)
            return
        asked = {
            "account": account, "agreement": signed["result"]["agreement"], "month": bill["bills"][0],
            "arrangement": arrangement,
        }  # fmt: skip
        made = await self._callers.command("/v1/withholding-charge", asked, rng)
        if made is None or made.get("status") != "succeeded":
            self._no("withholding-charge", made)
            return
        line = made["result"]
        self.told.append(Told(line["line"], account, line["amount"] + line["penalty"]))

    def _no(self, what: str, told: dict[str, Any] | None) -> None:
        self._payers.refused[f"{what}: {'no answer' if told is None else code_of(told)}"] += 1

    async def _seal(self, name: str) -> None:
        """Say it until it is done; it may have been, though nobody answered."""
        end, said = time.monotonic() + TRY_S, ""
        while time.monotonic() < end:
            try:
                await asyncio.to_thread(self._site.testbed.ctl, "withholding", "seal", name, "--note", NOTE)
                return
            except TestbedError as error:
                said = str(error)
            if ONE_A_DAY in said or NOTHING in said:
                return
            await asyncio.sleep(PAUSE_S)
        self._callers.failed.append(f"nobody could have {name} sealed: {said}")

    # --- the end --------------------------------------------------------------------------------------------------

    async def finish(self) -> None:
        """Every customer has come to an end."""
        while self._tasks:
            await asyncio.wait(list(self._tasks), timeout=PAUSE_S)

    async def sealed(self, die_at: Callable[[str], Coroutine[Any, Any, bool]]) -> None:
        """The other batches are sealed and answered, while the bridge dies on the way."""
        await self.finish()
        for name, (sealing, answering) in self._later:
            dying = asyncio.create_task(die_at(sealing))
            await asyncio.sleep(PAUSE_S)
            await self._seal(name)
            await dying
            await self._seal(name)  # the bridge may have died before it had heard of it
            request = await self._request(name)
            if not request:
                self._callers.failed.append(f"the request of {name} did not come to the bank")
                continue
            made = await asyncio.to_thread(self.bank.answer, request)
            dying = asyncio.create_task(die_at(answering))
            await asyncio.sleep(PAUSE_S)
            await self.bank.deliver(made.first)
            await dying
            await self.bank.deliver(made.first)
            await self.bank.deliver(made.second)

    async def _request(self, name: str) -> str:
        end = time.monotonic() + LONGEST_S
        while True:
            found = await asyncio.to_thread(self.bank.request, unit_of(name))
            if found or time.monotonic() > end:
                return found
            await asyncio.sleep(PAUSE_S)

    async def settled(self) -> list[str]:
        """All answers have taken effect. Returns what has not."""
        end = time.monotonic() + LONGEST_S
        if self._banking is not None:
            await asyncio.wait([self._banking], timeout=LONGEST_S)
        while True:
            left = await asyncio.to_thread(self._unsettled)
            if not left or time.monotonic() > end:
                return left
            await asyncio.sleep(PAUSE_S)

    def _unsettled(self) -> list[str]:
        try:
            batches = self._rows("SELECT id, state FROM withholding_batches WHERE sealed_at > 0")
            lines = self._rows(
                "SELECT id, state, hold FROM withholding_lines"
                " WHERE state IN ('requested', 'charged') OR hold IN ('asked', 'releasing')"
            )
            answers = self._rows("SELECT batch, state, code FROM withholding_answers WHERE state NOT IN"
                                 " ('accepted', 'duplicate')")  # fmt: skip
        except sqlite3.Error as error:
            return [f"the bridge's database cannot be read: {error}"]
        answered = {id for id, state in batches if state in ("answered", "applied", "closed")}
        left = [
            f"no answer for {name} has taken effect"
            for name in self._arrangements if not any(f"-{unit_of(name)}-" in id for id in answered)
        ]  # fmt: skip
        left += [f"an answer of {batch} is {state} {code}" for batch, state, code in answers]
        left += [f"line {id} is {state}, its bill {hold or 'free'}" for id, state, hold in lines]
        if self._banking is not None and not self._banking.done():
            left.append("the bank's answers are not fetched")
        return left

    def books(self) -> WithholdingBooks:
        """All there is to compare. Blocks."""
        with urllib.request.urlopen(self._site.testbed.marketing_url + "/books/payments", timeout=60) as answer:  # noqa: S310
            payments = json.load(answer)
        return WithholdingBooks(
            list(self.told), list(self.bank.said),
            [
                BridgeLine(*row)
                for row in self._rows("SELECT det_id, batch, state, debited, hold FROM withholding_lines")
            ],
            [
                Settled(one["transaction"], one["account"], one["amount"], one["reversed"])
                for one in payments if one["channel"] == CHANNEL
            ],
            [
                (row[0], row[1])
                for row in self._rows(
                    "SELECT journal.ref, entry.amount FROM entry JOIN journal ON journal.id = entry.journal"
                    " JOIN account ON account.id = entry.account WHERE account.name = 'channel:withholding'"
                )
            ],
            list(self.bank.changed),
        )  # fmt: skip

    def _rows(self, query: str) -> Sequence[Any]:
        return self._site.rows("bridge", query)
