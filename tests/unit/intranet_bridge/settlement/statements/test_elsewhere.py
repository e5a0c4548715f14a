"""Lines behind another bridge: our own record says what is written off there."""

import pytest

from intranet_bridge.settlement.payments.orders import Line, Order
from intranet_bridge.settlement.payments.records import Made, create
from intranet_bridge.settlement.statements.elsewhere import elsewhere
from protocol.operations.orders import LineState, OrderState
from tests.unit.intranet_bridge.settlement.statements.desks import DAY, booked, desk

pytestmark = pytest.mark.anyio
NUMBER, T1 = "06AZ3KQ8YV7N2M4X6R9S1T5W0B", "2026112422001400000000000001"
LINES = (
    Line(1, "power-yunhe", "3210000000001", 5000, ("2026-10",), LineState.WRITTEN_OFF),
    Line(2, "water-yunhe", "Z05396-0", 700, (), LineState.WRITTEN_OFF),
    Line(3, "gas-yunhe", "5500012345", 300, (), LineState.REFUNDED),
    Line(4, "gas-yunhe", "5500012346", 300, (), LineState.OPEN),
)
THEIRS = frozenset({"water-yunhe", "gas-yunhe"})


async def test_it_is_said_by_order_and_by_line(database_url: str) -> None:
    async with desk(database_url) as at:
        order = Order(NUMBER, "alipay", LINES, state=OrderState.WRITING_OFF)
        await at.store.write(lambda connection: create(connection, order, Made("r1", "wechat", "", ()), at.now))

        async def said(*names: str, companies: frozenset[str] = THEIRS) -> list[tuple[str, int, int, int, str]]:
            found = await at.store.read(lambda connection: elsewhere(connection, names, companies))
            return [(one.order, one.line, one.amount, one.reversed, one.account) for one in found]

        assert await said(NUMBER) == [(NUMBER, 2, 700, 0, "Z05396-0"), (NUMBER, 3, 300, 300, "5500012345")]
        assert await said(f"{NUMBER}-2", "PO1") == [(f"{NUMBER}-2", 2, 700, 0, "Z05396-0")]
        assert await said(NUMBER, companies=frozenset()) == []


async def test_a_payment_of_two_companies_agrees(database_url: str) -> None:
    async with desk(database_url, elsewhere=THEIRS) as at:
        order = Order(NUMBER, "alipay", LINES[:2], state=OrderState.WRITING_OFF)
        await at.store.write(lambda connection: create(connection, order, Made("r1", "wechat", "", ()), at.now))
        at.marketing.rows = [booked(T1, 5000, "2026-11-24T08:00:06")]
        await at.statement(DAY, (T1, NUMBER, "pay", 5700, "08:00:00"))
        assert await at.items() == {}
        [run] = await at.books.runs()
        assert run.counts == {"matched": (1, 0)}
