"""Orders as clearing reads them from the tables of payment orders."""

import pytest
from sqlalchemy import Engine, Table

from intranet_bridge.settlement.clearing.counting import OrderFacts, OrderLine
from intranet_bridge.settlement.clearing.order_facts import known_orders
from intranet_bridge.settlement.events import Reversed, WrittenOff, posting
from intranet_bridge.settlement.ledger import book
from intranet_bridge.settlement.payments.rows import LINES, ORDERS, PARTS, TRANSACTIONS
from tests.unit.intranet_bridge.settlement.clearing.world import DAY

EMPTY = {
    "request": "r", "application": "app", "payer": "", "code": "", "late": "", "expires_at": 0, "created_at": 0,
    "updated_at": 0, "asked": "", "credit": False, "refund_request": "", "ended_at": 0, "reversals": 0,
    "promotion": "CP1", "kind": "coupon", "attempt": 1, "reference": "", "cash": 1, "number": 1,
}  # fmt: skip


def put(database: Engine, table: Table, **values: object) -> None:
    with database.begin() as connection:
        connection.execute(table.insert(), {name: EMPTY.get(name) for name in (one.name for one in table.c)} | values)


def order(database: Engine, number: str = "P1", honoured: bool = True) -> None:
    put(database, ORDERS, number=number, request=number, channel="wechat", state="writing-off", honoured=honoured)
    for line, company, amount, state in ((1, "power", 10_000, "written-off"), (2, "water", 5_000, "refunding")):
        put(
            database, LINES, order_no=number, line=line, company=company, account="3210000000003", amount=amount,
            state=state,
        )  # fmt: skip
    put(database, PARTS, order_no=number, part=1, funder="bank", amount=1_501, state="posted")
    for payment in (1, 2):
        put(
            database,
            TRANSACTIONS,
            channel="wechat",
            transaction_no=f"{number}T{payment}",
            order_no=number,
            payment=payment,
        )


def test_an_order_has_its_shares_its_bookings_and_its_first_payment(database: Engine) -> None:
    order(database)
    with database.begin() as connection:
        for event in (WrittenOff("P1", 1, "power", 10_000), WrittenOff("P1", 2, "water", 5_000)):
            book(connection, posting(event, DAY), 1)
        book(connection, posting(Reversed("P1", 2, "water", 5_000), DAY), 1)
        found = known_orders(connection, ["P1", "P1-1", "P9"])
    assert found == {
        "P1": OrderFacts(
            "P1",
            (
                OrderLine(1, "power", 8_999, (("bank", 1_001),), written=True),
                OrderLine(2, "water", 4_500, (("bank", 500),), written=True, reversed=True, gone=True),
            ),
            frozenset({"P1T1"}),
        )
    }


@pytest.mark.parametrize("number", ["P1"])
def test_the_coupons_of_an_order_that_was_not_honoured_paid_nothing(database: Engine, number: str) -> None:
    order(database, number, honoured=False)
    with database.begin() as connection:
        (facts,) = known_orders(connection, [number]).values()
    assert [(line.cash, line.promotions, line.written) for line in facts.lines] == [
        (10_000, (), False), (5_000, (), False)
    ]  # fmt: skip
