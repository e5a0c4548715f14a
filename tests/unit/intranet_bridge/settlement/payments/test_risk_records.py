"""Risk on record: decided once, counted, and looked up on lists that name nobody."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Table, func, select

from intranet_bridge.at_rest import AtRest
from intranet_bridge.inbox.rows import STORE_KEY
from intranet_bridge.settlement.payments.risk import Decision, Subject
from intranet_bridge.settlement.payments.risk_records import Asked, NotListed, RiskRecords
from intranet_bridge.settlement.payments.risk_rows import ACCOUNTS, DECISIONS, LISTED, PAYERS
from intranet_bridge.settlement_sections.risk import SHIPPED, Measure, RiskRule, Verdict
from intranet_bridge.store import MIGRATIONS
from protocol.keyring import Keyring
from protocol.runtime.store import Store
from tests.support.postgres import Postgres
from tests.unit.clock import Clock

pytestmark = pytest.mark.anyio
ALLOWED = Decision(Verdict.ALLOW)
DAY_MS = 86_400_000


class World:
    """The records of one bridge, or of one of two."""

    def __init__(self, store: Store, at_rest: AtRest, rules: Sequence[RiskRule], clock: Clock) -> None:
        self.store, self.clock = store, clock
        self.records = RiskRecords(store, at_rest, lambda: rules, clock)

    async def order(self, id: str, payer: str = "wang", amount: int = 100, **more: Any) -> Decision:
        asked = Asked(id, Subject.ORDER, payer, amount, more.pop("bill", amount), amount, **more)
        return await self.store.write(lambda connection: self.records.judged(connection, asked))

    async def refund(self, id: str, payer: str = "wang") -> Decision:
        asked = Asked(id, Subject.REFUND, payer, 100)
        return await self.store.write(lambda connection: self.records.judged(connection, asked))

    async def count(self, table: Table) -> int:
        asked = select(func.count()).select_from(table)
        return await self.store.read(lambda connection: connection.execute(asked).scalar_one())


@asynccontextmanager
async def world(
    url: str, keyring: Keyring, rules: Sequence[RiskRule] = SHIPPED, clock: Clock | None = None
) -> AsyncIterator[World]:
    store = Store(url, MIGRATIONS.prepare)
    await store.start()
    try:
        at_rest = AtRest(store, STORE_KEY, keyring)
        await at_rest.open()
        yield World(store, at_rest, rules, clock or Clock())
    finally:
        await store.close()


async def test_the_sixth_order_in_ten_minutes_is_refused_and_one_asked_again_is_none(
    database_url: str, bridge_keyring: Keyring
) -> None:
    async with world(database_url, bridge_keyring) as at:
        for number in range(5):
            assert await at.order(f"P{number}") == ALLOWED
        assert await at.order("P4") == ALLOWED
        refused = Decision(Verdict.REFUSE, "many-orders")
        assert await at.order("P5") == refused
        assert await at.order("P6", payer="li") == ALLOWED
        at.clock.now += 600_000
        assert await at.order("P5") == refused  # decided once
        assert await at.order("P7") == ALLOWED  # neither those of ten minutes ago nor the refused one count
        found = await at.records.decisions(Verdict.REFUSE, 10)
        assert [(one.id, one.decision.rule) for one in found] == [("P5", "many-orders")]


async def test_accounts_of_a_day_and_refunds_are_counted_by_payer(database_url: str, bridge_keyring: Keyring) -> None:
    async with world(database_url, bridge_keyring) as at:
        many = [("power", f"321000000{number:04}") for number in range(20)]
        assert await at.order("P1", accounts=many) == ALLOWED
        assert await at.order("P2", accounts=many[:3]) == ALLOWED
        assert (await at.order("P3", accounts=[("water", many[0][1])])).rule == "many-accounts"
        for number in range(3):
            assert await at.refund(f"P1-{number}-R1") == ALLOWED
        assert (await at.refund("P1-9-R1")).rule == "many-refunds"
        at.clock.now += DAY_MS
        assert await at.refund("P1-8-R1") == ALLOWED


async def test_two_bridges_do_not_let_one_payer_past_the_bound_together(
    postgres: Postgres, bridge_keyring: Keyring
) -> None:
    clock, url = Clock(), postgres.database()
    async with world(url, bridge_keyring, clock=clock) as one, world(url, bridge_keyring, clock=clock) as two:
        sides = [(one, "A"), (two, "B")]
        found = await asyncio.gather(*(at.order(f"{name}{number}") for number in range(5) for at, name in sides))
    assert sorted(decision.verdict for decision in found) == ["allow"] * 5 + ["refuse"] * 5


async def test_what_is_listed_is_a_hash_with_an_end(database_url: str, bridge_keyring: Keyring) -> None:
    rules = (
        RiskRule(name="trusted", measure=Measure.LISTED, in_list="staff", then=Verdict.ALLOW),
        RiskRule(name="stolen", measure=Measure.LISTED, in_list="stolen", then=Verdict.REFUSE),
        RiskRule(name="new", measure=Measure.AMOUNT, above=50, then=Verdict.REVIEW, dry_run=True),
    )
    async with world(database_url, bridge_keyring, rules) as at:
        for one in (
            at.records.listing("stolen", " 6222020200112345678 ", at.clock() + 1000, "reported", "wang"),
            at.records.listing("staff", "power:3210000000003", None, "ours", "wang"),
        ):
            await at.store.write(partial(at.records.put, one=one))
        card: dict[str, Any] = {"means": ("6222020200112345678",)}
        assert await at.order("P1", **card) == Decision(Verdict.REFUSE, "stolen")
        assert await at.order("P2", accounts=[("power", "3210000000003")], **card) == Decision(Verdict.ALLOW, "trusted")
        assert await at.order("P3") == Decision(Verdict.ALLOW, dry=("new",))
        assert {one.id for one in await at.records.decisions(None, 10)} == {"P1", "P2", "P3"}
        rows = await at.store.read(
            lambda connection: [str(tuple(row)) for table in (LISTED, DECISIONS, ACCOUNTS, PAYERS)
                                for row in connection.execute(select(table))]
        )  # fmt: skip
        assert not [row for row in rows for secret in ("62220202", "32100000") if secret in row]
        at.clock.now += 1000
        assert await at.order("P4", **card) == Decision(Verdict.ALLOW, dry=("new",))
        remove = partial(at.records.remove, list="staff", value="power:3210000000003")
        await at.store.write(remove)
        with pytest.raises(NotListed):
            await at.store.write(remove)
        with pytest.raises(NotListed):
            at.records.listing("stolen", "x", at.clock(), "", "wang")


async def test_old_decisions_are_forgotten_and_none_that_a_rule_may_count(
    database_url: str, bridge_keyring: Keyring
) -> None:
    async with world(database_url, bridge_keyring) as at:
        await at.order("P1", accounts=[("power", "1")])
        at.clock.now += 20 * DAY_MS
        await at.order("P2", payer="li", accounts=[("power", "2")])
        await at.records.forget(at.clock() + DAY_MS)
        assert await at.count(DECISIONS) == 2
        at.clock.now += 12 * DAY_MS
        await at.records.forget(at.clock())
        for table, left in ((DECISIONS, 1), (ACCOUNTS, 1), (PAYERS, 1)):
            assert await at.count(table) == left
