"""What sheets say is what the books have of each company, to the fen: over days made at random, and through kills."""

import random
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from intranet_bridge.settlement.clearing import acting, computing
from intranet_bridge.settlement.clearing.counting import OrderLine, fees_in_fen
from intranet_bridge.settlement.clearing.rows import WAITING
from intranet_bridge.settlement.clearing.sheets import SheetState
from intranet_bridge.settlement.events import Paid, Part, RefundDue, Reversed, WrittenOff
from intranet_bridge.settlement.money import rounded
from tests.unit.intranet_bridge.settlement.clearing.world import DAY, World, pay, refund, world

pytestmark = pytest.mark.anyio
COMPANIES = ("power", "water", "gas")


class Days:
    """Days made at random."""

    def __init__(self, at: World, rng: random.Random) -> None:
        self.at, self.rng = at, rng
        self.number = 0
        self.open: list[tuple[str, OrderLine]] = []
        """Lines of which nothing is decided."""
        self.written: list[tuple[str, str, OrderLine]] = []
        self.paid: list[tuple[str, int]] = []
        """Payments without an order."""
        self.refunds: list[dict[str, Any]] = []
        """For the next statement."""

    async def rows(self) -> list[dict[str, Any]]:
        rng, found, self.refunds = self.rng, self.refunds, []
        for _ in range(rng.randint(2, 8)):
            self.number += 1
            fee = rng.randint(0, 90_000)
            if rng.random() < 0.5:
                amount = rng.randint(1, 50_000)
                self.paid.append((f"T{self.number}", amount))
                found.append(pay(f"T{self.number}", amount, fee=fee, settled=amount - rng.choice((0, 0, amount // 9))))
            else:
                found.append(await self._order(fee))
        if self.paid and rng.random() < 0.6:
            transaction, amount = self.paid.pop(rng.randrange(len(self.paid)))
            found.append(refund(transaction, amount, f"R{self.number}", fee=-rng.randint(0, 900)))
        return found

    async def _order(self, fee: int) -> dict[str, Any]:
        rng, order = self.rng, f"P{self.number}"
        lines = []
        for number in range(1, rng.randint(2, 4)):
            coupon = rng.choice((0, 0, rng.randint(1, 500)))
            funded = ((rng.choice((*COMPANIES, "bank")), coupon),) if coupon else ()
            lines.append(OrderLine(number, rng.choice(COMPANIES), rng.randint(1, 20_000), funded))
        self.at.order(order, *lines, transactions={f"T{self.number}"})
        cash = sum(line.cash for line in lines)
        parts = tuple(Part(*one) for line in lines for one in line.promotions)
        await self.at.book(Paid(order, "wechat", cash, parts))
        self.open += [(order, line) for line in lines]
        return pay(f"T{self.number}", cash, order, fee=fee)

    async def decide(self, all_of_them: bool = False) -> None:
        """Some lines are written off, some refused, some that were written off are reversed."""
        for order, line in list(self.open):
            if not all_of_them and self.rng.random() < 0.4:
                continue
            self.open.remove((order, line))
            transaction = f"T{order[1:]}"
            whole = line.cash + sum(amount for _, amount in line.promotions)
            if self.rng.random() < 0.75:
                await self.at.book(WrittenOff(order, line.number, line.company, whole))
                self.at.decide(order, line.number, written=True)
                self.written.append((order, transaction, line))
            else:
                await self._back(order, transaction, line)
        if self.written and self.rng.random() < 0.5:
            order, transaction, line = self.written.pop(self.rng.randrange(len(self.written)))
            whole = line.cash + sum(amount for _, amount in line.promotions)
            await self.at.book(Reversed(order, line.number, line.company, whole))
            self.at.decide(order, line.number, reversed=True)
            await self._back(order, transaction, line)

    async def _back(self, order: str, transaction: str, line: OrderLine) -> None:
        number = f"{order}-{line.number}-R1"
        parts = tuple(Part(*one) for one in line.promotions)
        await self.at.book(RefundDue(number, order, "wechat", line.cash, parts))
        self.at.decide(order, line.number, gone=True)
        self.refunds.append(refund(transaction, line.cash, number, order))


@pytest.mark.parametrize("seed", [1, 2])
async def test_sheets_equal_the_ledgers_company_accounts(database_url: str, seed: int) -> None:
    rng = random.Random(seed)
    async with world(database_url) as at:
        days, kept = Days(at, rng), list[tuple[str, date, list[dict[str, Any]]]]()
        for number in range(6):
            day = DAY + timedelta(number)
            rows = await days.rows()
            kept.append((f"{day}.csv", day, rows))
            await at.statement(rows, day=day, name=f"{day}.csv")
            await at.look()
            await days.decide()
            at.tomorrow()
            if rng.random() < 0.5:  # a statement of before comes again, with a payment less and one more
                name, of, before = rng.choice(kept)
                plain = [row for row in before if row["order_no"] or row["kind"] != "pay"]
                kept.remove((name, of, before))
                kept.append((name, of, [*plain, pay(f"X{number}", rng.randint(1, 999), fee=500)]))
                await at.statement(kept[-1][2], day=of, name=name)
            await at.look()
            for sheet in sorted((await at.sheets()).values(), key=lambda one: one.day):
                if sheet.state is SheetState.COMPUTED and rng.random() < 0.5 and not await _first(at, sheet.id):
                    done = await at.sign(sheet.id)
                    if done.state is SheetState.APPROVED and rng.random() < 0.7:
                        await at.clearing.paid_out(done.id, "wang")
                        await at.clearing.arrived(done.id, done.net, "B", day, "wang")
        await days.decide(all_of_them=True)
        await days.decide()
        last = DAY + timedelta(7)
        await at.statement([*days.refunds, pay("LAST", 1)], day=last)
        for _ in range(3):
            await at.look()
        assert await at.count(WAITING) == 0
        for sheet in sorted((await at.sheets()).values(), key=lambda one: one.day):
            if (await at.sheets())[sheet.id].state is SheetState.COMPUTED:
                await at.sign(sheet.id)
        await at.look()
        carried = set(at.clearing.report().carried)
        owed: dict[str, int] = {}
        for sheet in (await at.sheets()).values():
            if sheet.state is SheetState.APPROVED or sheet.id in carried:
                owed[sheet.company] = owed.get(sheet.company, 0) + sheet.net
        left = await at.balances()
        booked = {
            name.removeprefix("company:"): -amount
            for name, amount in left.items() if name.startswith("company:") and amount
        }  # fmt: skip
        assert booked == {company: amount for company, amount in owed.items() if amount}
        assert not any(left[name] for name in left if name.startswith(("transit:", "promo:")))
        assert sum(owed.values()) > 0
        await at.whole()


async def _first(at: World, id: str) -> bool:
    """Whether an earlier sheet of its company must be signed first."""
    found = await at.sheets()
    mine = found[id]
    return any(
        one.company == mine.company and one.day < mine.day and one.state is SheetState.COMPUTED and one.net < 0
        for one in found.values()
    )


class Killed(Exception):
    """The bridge ends here."""


async def test_a_kill_between_and_within_transactions_changes_nothing(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every transaction of the jobs, and of what people do, is cut off before its commit and after it."""
    left = 10**9

    def reached(point: str, id: str = "") -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed

    for module in (computing, acting):
        monkeypatch.setattr(module, "reach", reached)
    async with world(database_url) as at:
        write = at.store.write

        async def written(work: Callable[[Connection], Any]) -> Any:
            nonlocal left
            done = await write(work)
            left -= 1
            if left == 0:
                raise Killed
            return done

        monkeypatch.setattr(at.store, "write", written)

        async def through(do: Callable[[], Any]) -> None:
            """Once more after each kill, each a step later, until nothing is cut off."""
            nonlocal left
            for steps in range(1, 60):
                left = steps
                try:
                    await do()
                except Killed:
                    continue
                left = 10**9
                return
            raise AssertionError("it never ends")

        at.order("P1", OrderLine(1, "power", 900, (("water", 100),)), transactions={"T1"})
        await at.book(Paid("P1", "wechat", 900, (Part("water", 100),)), WrittenOff("P1", 1, "power", 1_000))
        await at.statement([pay("T1", 900, "P1", fee=5_000), pay("T2", 50), pay("T3", 8)], name="a.csv")
        await through(at.look)
        at.decide("P1", 1, written=True)
        await through(at.look)
        await at.statement([pay("T1", 900, "P1", fee=5_000), pay("T2", 60)], name="a.csv")
        await through(at.look)
        sheet, funder = "power.wechat.20261124", "water.wechat.20261124"
        assert {id: one.net for id, one in (await at.sheets()).items()} == {sheet: 1_055, funder: -100}

        async def sign() -> None:
            if (await at.sheets())[sheet].state is SheetState.COMPUTED:
                await at.clearing.approve(sheet, "wang")

        async def pay_out() -> None:
            if (await at.sheets())[sheet].state is SheetState.APPROVED:
                await at.clearing.paid_out(sheet, "wang")

        await through(sign)
        await through(pay_out)
        await through(lambda: at.clearing.arrived(sheet, 1_055, "B1", DAY, "wang"))
        assert {name: amount for name, amount in (await at.balances()).items() if amount} == {
            "channel:wechat": 960 - 5 - 1_055, "promo:water": 100
        }  # fmt: skip
        assert [act for _, act, _, _ in (await at.clearing.sheet(sheet)).acts] == [
            "computed", "approve", "pay-out", "arrive"
        ]  # fmt: skip
        await at.whole()


@pytest.mark.parametrize("seed", range(20))
def test_shares_of_a_fee_sum_to_the_statements(seed: int) -> None:
    rng = random.Random(seed)
    parts = {str(number): rng.randint(-3_000, 90_000) for number in range(rng.randint(1, 9))}
    found = fees_in_fen(parts)
    assert sum(found.values()) == rounded(sum(parts.values()))
    assert all(abs(found[name] * 1000 - parts[name]) < 1000 for name in parts)
