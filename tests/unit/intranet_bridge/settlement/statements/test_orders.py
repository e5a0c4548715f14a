"""Orders of ours beside statements: a payment that a channel has is proof, once; so is a refund nobody asked for."""

import asyncio
from collections.abc import Collection
from datetime import date, datetime

import pytest
from sqlalchemy import update

from intranet_bridge.settlement.order_shares import orders_to_match
from intranet_bridge.settlement.payments.evidence import PaidPart, PaymentProof
from intranet_bridge.settlement.payments.orders import Line, Order, Payment
from intranet_bridge.settlement.payments.records import Made, Stored, create, due, load
from intranet_bridge.settlement.payments.rows import LINES
from intranet_bridge.settlement.rows import BOOKS
from intranet_bridge.settlement.statements import orders
from intranet_bridge.settlement.statements.matching import OrderLine
from intranet_bridge.settlement.statements.orders import Do, Next, lines_of, of_payment, of_refund, proof_of
from protocol.lifecycle import State
from protocol.operations.orders import LineState, Meant, OrderState
from protocol.runtime.books import balances
from protocol.runtime.crash_points import Point
from protocol.times import CHINA
from tests.unit.forked import dies_at
from tests.unit.intranet_bridge.settlement.statements.desks import DAY, Desk, booked, desk

pytestmark = pytest.mark.anyio
NUMBER = "06AZ3KQ8YV7N2M4X6R9S1T5W0B"
T1, T2, T3, T4 = (f"202611242200140000000000000{n}" for n in (1, 2, 3, 4))
ACCOUNT = "3210000000001"
AT = datetime(2026, 11, 24, 8, tzinfo=CHINA)


def order_of(*amounts: int, state: OrderState = OrderState.PAYING, payments: tuple[Payment, ...] = ()) -> Order:
    lines = tuple(Line(n, "power-yunhe", ACCOUNT, fen, (f"2026-{n:02}",)) for n, fen in enumerate(amounts, 1))
    return Order(NUMBER, "alipay", lines, state=state, expires_at=2_000_000_000_000, payments=payments)


async def ordered(at: Desk, *amounts: int) -> None:
    """An order whose payer is at the channel."""
    await at.store.write(
        lambda connection: create(connection, order_of(*amounts or (5000,)), Made("r1", "wechat", "", ()), at.now)
    )


async def turn(at: Desk) -> None:
    """What the loop of orders does."""

    def work(connection) -> None:  # type: ignore[no-untyped-def]
        for number, _ in due(connection, at.now, 10):
            stored = load(connection, number, at.now)
            assert stored is not None
            at.payments(stored).advance()

    await at.store.write(work)


async def stored_of(at: Desk) -> Stored:
    stored = await at.store.read(lambda connection: load(connection, NUMBER, at.now, lock=False))
    assert stored is not None
    return stored


async def states(at: Desk) -> tuple[OrderState, Collection[LineState]]:
    order = (await stored_of(at)).order
    return order.state, [line.state for line in order.lines]


async def left(at: Desk) -> dict[str, int]:
    found = await at.store.read(lambda connection: balances(connection, BOOKS, "", None))
    return {name: fen for name, fen in found.items() if fen}


async def notified(at: Desk, transaction: str = T1, cash: int = 5000) -> Meant:
    """The channel's notification comes."""
    proof = PaymentProof(NUMBER, (PaidPart(transaction, NUMBER, cash),), AT)

    def work(connection) -> Meant:  # type: ignore[no-untyped-def]
        stored = load(connection, NUMBER, at.now)
        assert stored is not None
        return at.payments(stored).prove("alipay", proof, "d" * 64, "front-1/wechat")

    return await at.store.write(work)


async def test_a_statement_is_proof_for_an_order(database_url: str) -> None:
    """The write-off is the order's own, as of the platform's time; the item is done when the order's line is."""
    async with desk(database_url) as at:
        await ordered(at)
        await at.statement(DAY, (T1, NUMBER, "pay", 5000, "08:00:00"))
        assert (await at.given(), await at.items()) == ([], {f"{T1}/pay": ("platform-only", "acting")})
        await turn(at)
        assert await at.given() == [f"{NUMBER}-1"]
        body = at.commands.recorded[f"{NUMBER}-1"].body
        assert body.paid_at == "2026-11-24T08:00:00+08:00"  # type: ignore[attr-defined]
        assert await left(at) == {"channel:alipay": 5000, f"order:{NUMBER}": -5000}
        assert await notified(at) is Meant.REPEATED
        await at.loop.look()
        assert await at.items() == {f"{T1}/pay": ("platform-only", "acting")}
        await at.own_outcome(f"{NUMBER}-1", State.SUCCEEDED)
        await at.loop.look()
        assert await at.items() == {f"{T1}/pay": ("platform-only", "done")}
        [item] = await at.books.items()
        shown = await at.books.item(item.id)
        assert [(one.operation, one.state) for one in shown.actions] == [("payment-proof", "done")]
        [run] = await at.books.runs()
        at.marketing.rows = [booked(T1, 5000, "2026-11-24T08:00:00")]
        await at.books.rerun(run.file, "wang")
        await at.loop.look()
        await turn(at)
        assert await at.given() == [f"{NUMBER}-1"]


async def test_an_order_that_changes_after_the_clock_was_set_back_is_seen(database_url: str) -> None:
    async with desk(database_url) as at:
        await ordered(at)
        await at.statement(DAY, (T1, NUMBER, "pay", 5000, "08:00:00"))
        await turn(at)
        at.now -= 3_600_000
        await at.own_outcome(f"{NUMBER}-1", State.SUCCEEDED)
        await at.loop.look()
        assert await at.items() == {f"{T1}/pay": ("platform-only", "done")}


async def test_a_line_that_the_order_holds_holds_the_item(database_url: str) -> None:
    async with desk(database_url) as at:
        await ordered(at)
        await at.statement(DAY, (T1, NUMBER, "pay", 5000, "08:00:00"))
        await turn(at)
        await at.own_outcome(f"{NUMBER}-1", State.HELD)
        await at.loop.look()
        [item] = await at.books.items()
        assert (item.state, item.code) == ("held", "line-held")


async def test_a_payment_of_another_amount_writes_nothing_off(database_url: str) -> None:
    async with desk(database_url) as at:
        await ordered(at)
        await at.statement(DAY, (T1, NUMBER, "pay", 4000, "08:00:00"))
        [item] = await at.books.items()
        assert (item.what, item.state, item.code) == ("amount-differs", "held", "amount-mismatch")
        await turn(at)
        assert (await at.given(), await states(at)) == ([], (OrderState.HELD, [LineState.OPEN]))


async def test_a_second_payment_is_surplus_and_refunded(database_url: str) -> None:
    async with desk(database_url) as at:
        await ordered(at)
        await notified(at)
        await turn(at)
        await at.own_outcome(f"{NUMBER}-1", State.SUCCEEDED)
        at.marketing.rows = [booked(T1, 5000, "2026-11-24T08:00:00")]
        await at.statement(DAY, (T1, NUMBER, "pay", 5000, "08:00:00"), (T2, NUMBER, "pay", 5000, "08:01:00"))
        assert await at.items() == {f"{T2}/pay": ("paid-twice", "done")}
        assert [one.number for one in (await stored_of(at)).order.refunds] == [f"{NUMBER}-0-R1"]
        assert await at.given() == [f"{NUMBER}-1"]


async def test_what_was_paid_back_already_is_not_written_off(database_url: str) -> None:
    """One of two lines came back by hand: nobody told the order, and a person has to."""
    async with desk(database_url) as at:
        await ordered(at, 3000, 2000)
        back = (T1, NUMBER, f"{NUMBER}-1-R1", 3000, "09:00:00")
        await at.statement(DAY, (T1, NUMBER, "pay", 5000, "08:00:00"), back)
        await turn(at)
        assert await at.given() == []
        [held] = [item for item in await at.books.items() if item.state == "held"]
        assert (held.what, held.code) == ("platform-only", "refunded-already")


async def test_a_combined_payment_is_proven_by_all_of_its_rows(database_url: str) -> None:
    async with desk(database_url) as at:
        await ordered(at, 3000, 2000)
        await at.statement(DAY, (T1, f"{NUMBER}-1", "pay", 3000, "23:59:59"))
        await turn(at)
        assert (await at.given(), await at.items()) == ([], {f"{T1}/pay": ("platform-only", "acting")})
        await at.statement(date(2026, 11, 25), (T2, f"{NUMBER}-2", "pay", 2000, "00:00:00"))
        await turn(at)
        assert await at.given() == [f"{NUMBER}-1", f"{NUMBER}-2"]
        bodies = [at.commands.recorded[f"{NUMBER}-{line}"].body for line in (1, 2)]
        assert [body.transaction for body in bodies] == [T1, T2]  # type: ignore[attr-defined]
        lines = await at.store.read(lambda connection: lines_of(connection, "alipay", [T1, T2, T3]))
        assert lines == {T1: [1], T2: [2]}
        for line in (1, 2):
            await at.own_outcome(f"{NUMBER}-{line}", State.SUCCEEDED)
        await at.loop.look()
        assert await at.items() == {f"{one}/pay": ("platform-only", "done") for one in (T1, T2)}


async def test_a_combined_payment_too_many_is_surplus_part_by_part(database_url: str) -> None:
    """Only the statement has the second one, beside the first that is known."""
    async with desk(database_url) as at:
        await ordered(at, 3000, 2000)
        paid = {T1: (1, 3000), T2: (2, 2000)}
        parts = tuple(PaidPart(name, f"{NUMBER}-{line}", fen) for name, (line, fen) in paid.items())

        def work(connection) -> None:  # type: ignore[no-untyped-def]
            stored = load(connection, NUMBER, at.now)
            assert stored is not None
            at.payments(stored).prove("alipay", PaymentProof(NUMBER, parts, AT), "d" * 64, "front-1/alipay")

        await at.store.write(work)
        await turn(at)
        for line in (1, 2):
            await at.own_outcome(f"{NUMBER}-{line}", State.SUCCEEDED)
        at.marketing.rows = [
            booked(name, fen, "2026-11-24T08:00:00", line=line) for name, (line, fen) in paid.items()
        ]  # fmt: skip
        again = {T3: (1, 3000), T4: (2, 2000)}
        rows = [(name, f"{NUMBER}-{line}", "pay", fen, "08:00:00") for name, (line, fen) in (paid | again).items()]
        await at.statement(DAY, *rows)
        await at.loop.look()
        refunds = [(one.number, one.transaction, one.cash) for one in (await stored_of(at)).order.refunds]
        assert refunds == [(f"{NUMBER}-0-R1", T3, 3000), (f"{NUMBER}-0-R2", T4, 2000)]
        assert {state for _, state in (await at.items()).values()} == {"done"}


async def test_lines_that_are_not_in_the_books_are_found(database_url: str) -> None:
    """One that the order has written off before the books were asked is a person's."""
    async with desk(database_url) as at:
        await ordered(at, 3000, 2000)
        await notified(at)
        await turn(at)
        for line in (1, 2):
            await at.own_outcome(f"{NUMBER}-{line}", State.SUCCEEDED)
        at.now -= 86_400_000
        at.marketing.rows = [booked(T1, 3000, "2026-11-24T08:00:00")]
        await at.store.write(lambda connection: connection.execute(update(LINES).values(ended_at=at.now)))
        await at.statement(DAY, (T1, NUMBER, "pay", 5000, "08:00:00"))
        [item] = await at.books.items()
        assert (item.what, item.state, item.code) == ("lines-incomplete", "held", "not-in-the-books")


async def test_a_refund_that_nobody_asked_us_for_is_reversed_by_the_order(database_url: str) -> None:
    async with desk(database_url) as at:
        await ordered(at)
        await at.statement(DAY, (T1, NUMBER, "pay", 5000, "08:00:00"))
        await turn(at)
        await at.own_outcome(f"{NUMBER}-1", State.SUCCEEDED)
        at.marketing.rows = [booked(T1, 5000, "2026-11-24T08:00:00")]
        await at.statement(DAY.replace(day=25), (T1, NUMBER, "CONSOLE-1", 5000, "09:00:00"))
        assert await at.given() == [f"{NUMBER}-1", f"{NUMBER}-1-X"]
        assert (await at.items())[f"{T1}/refund"] == ("refund-not-reversed", "acting")
        await at.own_outcome(f"{NUMBER}-1-X", State.SUCCEEDED)
        # at once, in the same transaction: the money is back, and nobody is told that a refund is still to be done
        assert await states(at) == (OrderState.COMPLETED_WITH_REFUNDS, [LineState.REFUNDED])
        assert await left(at) == {}
        await at.loop.look()
        assert (await at.items())[f"{T1}/refund"] == ("refund-not-reversed", "done")


@pytest.mark.parametrize("reversed_before", [False, True])
async def test_what_went_back_and_is_in_the_books_still_is_a_persons(database_url: str, reversed_before: bool) -> None:
    """The order says refused, or reversed; the books were asked after it, and have the payment: both have the money."""
    async with desk(database_url) as at:
        at.now -= 60_000  # before the statement comes
        await ordered(at)
        await notified(at)
        await turn(at)
        if reversed_before:
            await at.own_outcome(f"{NUMBER}-1", State.SUCCEEDED)

            def reverse(connection) -> None:  # type: ignore[no-untyped-def]
                stored = load(connection, NUMBER, at.now)
                assert stored is not None
                at.payments(stored).reverse(stored.order.line(1))

            await at.store.write(reverse)
            await at.own_outcome(f"{NUMBER}-1-X", State.SUCCEEDED)
        else:
            await at.own_outcome(f"{NUMBER}-1", State.REFUSED)
        at.marketing.rows = [booked(T1, 5000, "2026-11-24T08:00:00")]
        rows = (T1, NUMBER, "pay", 5000, "08:00:00"), (T1, NUMBER, f"{NUMBER}-1-R1", 5000, "09:00:00")
        await at.statement(DAY, *rows)
        [item] = [one for one in await at.books.items() if one.what == "refund-not-reversed"]
        assert (item.state, item.code) == ("held", "still-in-the-books")


async def test_of_a_combined_payment_one_part_went_back(database_url: str) -> None:
    """Its line is reversed and its refund proven; the other part is as it was."""
    async with desk(database_url) as at:
        await ordered(at, 3000, 2000)
        rows = (T1, f"{NUMBER}-1", "pay", 3000, "08:00:00"), (T2, f"{NUMBER}-2", "pay", 2000, "08:00:00")
        await at.statement(DAY, *rows)
        await turn(at)
        for line in (1, 2):
            await at.own_outcome(f"{NUMBER}-{line}", State.SUCCEEDED)
        at.marketing.rows = [
            booked(T1, 3000, "2026-11-24T08:00:00"), booked(T2, 2000, "2026-11-24T08:00:00", line=2),
        ]  # fmt: skip
        await at.statement(DAY.replace(day=25), (T2, f"{NUMBER}-2", "CONSOLE-1", 2000, "09:00:00"))
        await at.own_outcome(f"{NUMBER}-2-X", State.SUCCEEDED)
        assert await states(at) == (
            OrderState.COMPLETED_WITH_REFUNDS, [LineState.WRITTEN_OFF, LineState.REFUNDED],
        )  # fmt: skip
        assert await left(at) == {"channel:alipay": 3000, "company:power-yunhe": -3000}


async def test_a_reversal_that_is_refused_is_held(database_url: str) -> None:
    async with desk(database_url) as at:
        await ordered(at)
        await notified(at)
        await turn(at)
        await at.own_outcome(f"{NUMBER}-1", State.SUCCEEDED)
        at.marketing.rows = [booked(T1, 5000, "2026-11-24T08:00:00")]
        rows = (T1, NUMBER, "pay", 5000, "08:00:00"), (T1, NUMBER, "CONSOLE-1", 5000, "09:00:00")
        await at.statement(DAY, *rows)
        await at.own_outcome(f"{NUMBER}-1-X", State.REFUSED)
        await at.loop.look()
        [item] = [one for one in await at.books.items() if one.what == "refund-not-reversed"]
        assert (item.state, item.code) == ("held", "refused")


async def test_notification_and_statement_at_the_same_moment(database_url: str) -> None:
    async with desk(database_url) as at:
        await ordered(at)
        await asyncio.gather(notified(at), at.statement(DAY, (T1, NUMBER, "pay", 5000, "08:00:00")), notified(at))
        await turn(at)
        assert await at.given() == [f"{NUMBER}-1"]
        assert await left(at) == {"channel:alipay": 5000, f"order:{NUMBER}": -5000}
        assert len((await stored_of(at)).order.payments) == 1


POINTS = [
    Point.BRIDGE_STATEMENT_MATCHED_UNCOMMITTED, Point.BRIDGE_PROOF_UNCOMMITTED,
    Point.BRIDGE_STATEMENT_ACTING_UNCOMMITTED, Point.BRIDGE_STATEMENT_ACTING_COMMITTED,
    Point.BRIDGE_STATEMENT_ORDER_UNCOMMITTED,
]  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
async def test_killed_on_the_way_a_payment_is_written_off_once(database_url: str, point: str) -> None:
    """Whoever is killed with the statement's proof, another bridge has the notification, and goes on with both."""

    async def order() -> None:
        async with desk(database_url) as at:
            await ordered(at)

    async def prove() -> None:
        async with desk(database_url) as at:
            await proven(at)

    dies_at(point, prove, first=order)  # the order is there in any case
    async with desk(database_url, name="bridge-2") as at:
        await asyncio.gather(notified(at), proven(at))
        at.now += 180_000  # the claim of who was killed is over
        await at.loop.look()
        await turn(at)
        assert await at.given() == [f"{NUMBER}-1"]
        await at.own_outcome(f"{NUMBER}-1", State.SUCCEEDED)
        await at.loop.look()
        assert await states(at) == (OrderState.COMPLETED, [LineState.WRITTEN_OFF])
        assert await left(at) == {"channel:alipay": 5000, "company:power-yunhe": -5000}
        assert await at.items() == {f"{T1}/pay": ("platform-only", "done")}


async def test_an_amount_that_the_channel_notified_otherwise_waits_for_a_person(database_url: str) -> None:
    async with desk(database_url) as at:
        await ordered(at)
        assert await notified(at) is Meant.PAID
        await turn(at)
        await at.own_outcome(f"{NUMBER}-1", State.SUCCEEDED)
        await turn(at)
        at.marketing.rows = [booked(T1, 5000, "2026-11-24T08:00:00")]
        await at.statement(DAY, (T1, NUMBER, "pay", 5046, "08:00:00"))
        [item] = await at.books.items()
        assert (item.what, item.state, item.code) == ("amount-differs", "held", "amount-differs")
        assert await left(at) == {"channel:alipay": 5000, "company:power-yunhe": -5000}


async def proven(at: Desk) -> None:
    """The statement that has the order's payment."""
    await at.statement(DAY, (T1, NUMBER, "pay", 5000, "08:00:00"))


# --- decisions --------------------------------------------------------------------------------------------

PAID = (Payment("alipay", (PaidPart(T1, NUMBER, 5000),)), Payment("alipay", (PaidPart(T2, NUMBER, 5000),)))


@pytest.mark.parametrize(
    ("state", "lines", "transaction", "more", "expected"),
    [
        (OrderState.WRITING_OFF, ("open", "open"), T3, {}, Next(Do.PROVE)),
        (OrderState.COMPLETED, ("written-off", "written-off"), T2, {}, Next(Do.DONE, "surplus")),
        (OrderState.WRITING_OFF, ("written-off", "open"), T1, {}, Next(Do.WAIT)),
        (OrderState.WRITING_OFF, ("written-off", "open"), T1, {"lines": (1,)}, Next(Do.DONE)),
        (OrderState.WRITING_OFF, ("refunding", "written-off"), T1, {}, Next(Do.WAIT)),
        (OrderState.COMPLETED_WITH_REFUNDS, ("refunded", "credited"), T1, {}, Next(Do.DONE)),
        (OrderState.HELD, ("held", "written-off"), T1, {}, Next(Do.HOLD, "line-held")),
        (OrderState.HELD, ("open", "open"), T1, {"code": "risk-review"}, Next(Do.HOLD, "risk-review")),
        (OrderState.EXPIRED, ("open", "open"), T1, {"late": "bills"}, Next(Do.WAIT)),
        (OrderState.COMPLETED, ("written-off",), T1, {"missed": True}, Next(Do.HOLD, "not-in-the-books")),
        (OrderState.COMPLETED, ("written-off",), T1, {"cash": 5046}, Next(Do.HOLD, "amount-differs")),
        (OrderState.COMPLETED, ("written-off",), T2, {"cash": 5046}, Next(Do.HOLD, "amount-differs")),
        (OrderState.HELD, ("open",), T1, {"cash": 5000, "code": "amount-mismatch"}, Next(Do.HOLD, "amount-mismatch")),
        (OrderState.COMPLETED_WITH_REFUNDS, ("open", "open"), T1, {"cash": 5000}, Next(Do.DONE)),
        (OrderState.WRITING_OFF, ("open", "open"), T1, {}, Next(Do.WAIT)),
    ],
)
def test_what_a_payment_asks_of_its_order(
    state: OrderState, lines: tuple[str, ...], transaction: str, more: dict[str, object], expected: Next
) -> None:
    made = tuple(Line(n, "c", ACCOUNT, 100, (), LineState(one)) for n, one in enumerate(lines, 1))
    order = Order(NUMBER, "alipay", made, state=state, payments=PAID)
    told: dict[str, object] = {"late": "", "code": "", "channel": "alipay", "transaction": transaction, "lines": ()}
    assert of_payment(order, **(told | more)) == expected  # type: ignore[arg-type]
    assert of_payment(order, **(told | more | {"channel": "wechat"})) == Next(Do.PROVE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "code", "asked", "begins", "expected"),
    [
        ("written-off", "", "", True, Next(Do.REVERSE)),
        ("written-off", "", "", False, Next(Do.HOLD, "not-reversed")),
        ("written-off", "period-closed", "", True, Next(Do.HOLD, "period-closed")),
        ("written-off", "", "X", True, Next(Do.WAIT)),
        ("refunding", "", "", False, Next(Do.WAIT)),
        ("refunded", "", "", True, Next(Do.DONE)),
        ("credited", "", "", True, Next(Do.HOLD, "line-credited")),
    ],
)
def test_what_a_refund_asks_of_its_order(state: str, code: str, asked: str, begins: bool, expected: Next) -> None:
    line = Line(1, "c", ACCOUNT, 100, (), LineState(state), code)
    assert of_refund(line, asked, begins=begins) == expected


def test_what_rows_prove() -> None:
    one, two = (f"{NUMBER}-1", PaidPart(T1, f"{NUMBER}-1", 3000), AT), (f"{NUMBER}-2", PaidPart(T2, "", 2000), AT)
    order = order_of(3000, 2000)
    assert proof_of(order, f"{NUMBER}-1", [one]) == Next(Do.WAIT)
    assert proof_of(order, f"{NUMBER}-1", [two, one]) == PaymentProof(NUMBER, (one[1], two[1]), AT)
    assert proof_of(order, f"{NUMBER}-1", [two, one, one]) == Next(Do.HOLD, "paid-twice")
    single = (NUMBER, PaidPart(T3, NUMBER, 4999), AT)
    assert proof_of(order, NUMBER, [one, single]) == PaymentProof(NUMBER, (single[1],), AT)


async def test_orders_are_matched_by_what_rows_call_them(database_url: str) -> None:
    async with desk(database_url) as at:
        await ordered(at, 3000, 2000)
        await at.store.write(
            lambda connection: connection.execute(
                update(LINES).where(LINES.c.line == 2).values(company="water", state="written-off")
            )
        )
        names = [NUMBER, f"{NUMBER}-2", "PO1", "06AZ3KQ8YV7N2M4X6R9S1T5W0C"]

        def look(connection) -> list[object]:  # type: ignore[no-untyped-def]
            found = orders_to_match(connection, names)
            return [found(name) for name in (*names, f"{NUMBER}-3")]

        whole, line, *others = await at.store.read(look)
        ours, theirs = OrderLine(1, ACCOUNT, 3000, 3000), OrderLine(2, ACCOUNT, 2000, 2000)
        assert (whole.cash, whole.lines) == (5000, (ours, theirs))  # type: ignore[attr-defined]
        assert (line.number, line.cash, line.lines) == (f"{NUMBER}-2", 2000, (theirs,))  # type: ignore[attr-defined]
        assert others == [None] * 3


async def test_a_line_of_another_bridge_is_what_its_order_says(database_url: str) -> None:
    """No list here has its write-off, and nothing is driven for that."""
    async with desk(database_url) as at:
        await ordered(at, 3000, 2000)
        await notified(at)
        await turn(at)
        for line in (1, 2):
            await at.own_outcome(f"{NUMBER}-{line}", State.SUCCEEDED)
        await at.store.write(
            lambda connection: connection.execute(update(LINES).where(LINES.c.line == 2).values(company="water"))
        )
        at.loop._elsewhere = lambda: frozenset({"water"})
        at.marketing.rows = [booked(T1, 3000, "2026-11-24T08:00:00")]
        await at.statement(DAY, (T1, NUMBER, "pay", 5000, "08:00:00"))
        [run] = await at.books.runs()
        assert run.counts == {"matched": (1, 0)}


async def test_an_order_that_an_item_waits_for_is_looked_at_when_it_changed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at every look: thousands may wait for a company that does not answer."""
    async with desk(database_url) as at:
        await ordered(at)
        await at.statement(DAY, (T1, NUMBER, "pay", 5000, "08:00:00"))
        await turn(at)
        looked: list[str] = []

        def loaded(*said, **more):  # type: ignore[no-untyped-def]
            looked.append(NUMBER)
            return load(*said, **more)

        monkeypatch.setattr(orders, "load", loaded)
        for _ in range(5):
            at.now += 70_000
            await at.loop.look()
        assert len(looked) == 1  # it had changed within the clocks' difference
        await at.own_outcome(f"{NUMBER}-1", State.SUCCEEDED)
        at.now += 10_000
        await at.loop.look()
        assert (len(looked), await at.items()) == (2, {f"{T1}/pay": ("platform-only", "done")})
