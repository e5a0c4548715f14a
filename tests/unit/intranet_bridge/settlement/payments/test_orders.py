"""Payment orders: states, shares, refunds, and what is next, acted out in a world that refuses, loses and repeats."""

import json
import random
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intranet_bridge.settlement import events
from intranet_bridge.settlement.payments import saga
from intranet_bridge.settlement.payments.evidence import PaidPart, PaymentProof
from intranet_bridge.settlement.payments.orders import (
    LINES,
    ORDERS,
    REFUNDS,
    RESERVATIONS,
    Company,
    Line,
    LineEvent,
    Order,
    OrderEvent,
    OrderRefused,
    Part,
    Payment,
    Refund,
    RefundEvent,
    Refusal,
    ReservationEvent,
    bills_judged,
    fees,
    judged,
    moved,
    paid_by,
    refund,
    repeated,
    returned,
    shared,
)
from intranet_bridge.settlement.payments.saga import Taken
from protocol.errors import IllegalMove
from protocol.operations.orders import LineState, OrderState, RefundState, ReservationState

SAMPLE: dict[str, Any] = json.loads(
    (Path(__file__).parents[4] / "data" / "settlement" / "combined_order.json").read_text()
)
GIVEN, EXPECTED = SAMPLE["given"], SAMPLE["expected"]
ORDER = Order(
    "P1",
    "wechat",
    tuple(
        Line(line["line"], line["company"], line["account"], line["amount_fen"], (f"b{line['line']}",))
        for line in GIVEN["lines"]
    ),
    (Part("coupon", "bank", GIVEN["coupon_fen"]), Part("points", "power", GIVEN["points_fen"])),
    expires_at=1000,
)
COMPANIES = {
    "power": Company("power"),
    "water": Company("water", account_pattern=r"Z?[0-9]{5,11}(-[0-9])?"),
    "gas": Company("gas", "city"),
}
AT = datetime(2026, 11, 24, 4, tzinfo=UTC)
DAY = date(2026, 11, 24)


def proof(cash: int, transaction: str = "t1", order: str = "P1") -> PaymentProof:
    return PaymentProof(order, (PaidPart(transaction, order, cash),), AT)


def reserved(order: Order) -> Order:
    return replace(
        order,
        state=OrderState.PAYING,
        parts=tuple(replace(part, reservation=ReservationState.RESERVED) for part in order.parts),
    )


class World:
    """Acts on steps as the shell will: rows are written, others asked, events booked."""

    def __init__(self, order: Order, outcomes: dict[int, list[LineEvent]]) -> None:
        """`outcomes`: what each line's write-off, and then its inquiries, come to; then it is written off."""
        self.order, self.outcomes = order, outcomes
        self.books: dict[str, int] = {}
        self.keys: set[str] = set()
        self.asked: list[saga.Step] = []
        self.returned = [0] * len(order.parts)

    def book(self, event: events.Event | None) -> None:
        if event is None:
            return
        posting = events.posting(event, DAY)
        assert posting.event_key not in self.keys
        self.keys.add(posting.event_key)
        for entry in posting.entries:
            self.books[entry.account] = self.books.get(entry.account, 0) + entry.amount

    def left(self) -> dict[str, int]:
        return {name: amount for name, amount in sorted(self.books.items()) if amount}

    def take(self, channel: str, payment: PaymentProof) -> Taken:
        taking = saga.on_proof(self.order, channel, payment)
        if taking.payment:
            self.order = replace(self.order, payments=(*self.order.payments, taking.payment))
        self.order = replace(self.order, refunds=(*self.order.refunds, *taking.refunds))
        if taking.event:
            self.order = replace(self.order, state=moved(ORDERS, self.order.state, taking.event))
        for event in taking.book:
            self.book(event)
        return taking.taken

    def decide_late(self, *, bills_open: bool, coupons: bool) -> None:
        parts = tuple(
            replace(part, reservation=ReservationState.RESERVED if coupons else part.reservation, attempt=2)
            for part in self.order.parts
        )
        found = saga.late(self.order, self.order.channel, bills_open, coupons)
        order = replace(self.order, parts=parts, state=moved(ORDERS, self.order.state, found.event))
        if found.refused:
            lines = tuple(
                replace(line, state=moved(LINES, line.state, LineEvent.REFUSE), code=found.refused)
                for line in order.lines
            )
            order = replace(order, honoured=False, lines=lines)
        self.order = order
        self.book(found.book)

    def prove(self, number: str) -> None:
        (one,) = (each for each in self.order.refunds if each.number == number)
        proven = replace(one, state=moved(REFUNDS, one.state, RefundEvent.PROVE))
        refunds = tuple(proven if each is one else each for each in self.order.refunds)
        self.order = replace(self.order, refunds=refunds)
        self.book(saga.refund_proven(proven))
        if one.line:
            self._line(one.line, LineEvent.PROVE)

    def run(self, now: int = 0, chance: random.Random | None = None, credits: set[int] | None = None) -> None:
        """Do what is next until nothing is, refunds proven at once."""
        for _ in range(500):
            found = saga.steps(self.order, now, lambda line: line.number in (credits or ()))
            todo = [step for step in found if not isinstance(step, saga.Alarm)]
            waiting = [one for one in self.order.refunds if one.state is not RefundState.PROVEN]
            if not todo and not waiting:
                return
            if todo:
                self._do(chance.choice(todo) if chance else todo[0])
            else:
                self.prove(waiting[0].number)
        raise AssertionError("it never ends")

    def _do(self, step: saga.Step) -> None:
        self.asked.append(step)
        match step:
            case saga.Reserve(part, _, _, _):
                self._part(part, ReservationState.RESERVED)
            case saga.Post(part, _):
                self._part(part, ReservationState.POSTED)
            case saga.Void(part, _):
                self._part(part, ReservationState.VOIDED)
            case saga.WriteOff(line, _, _) | saga.Inquire(line, _):
                events_ = self.outcomes.get(line, [])
                self._line(line, events_.pop(0) if events_ else LineEvent.APPLY)
            case saga.Credit(line, _):
                self._line(line, LineEvent.CREDIT)
            case saga.RequestRefund(back, parts, book):
                self.order = replace(self.order, refunds=(*self.order.refunds, back))
                self._line(back.line, LineEvent.REFUND)
                self.book(book)
                for at, of in enumerate(parts):
                    self.returned[at] += of
            case saga.Move(event):
                self.order = replace(self.order, state=moved(ORDERS, self.order.state, event))

    def _line(self, number: int, event: LineEvent) -> None:
        line = self.order.line(number)
        state = moved(LINES, line.state, event)
        self.book(saga.line_booked(self.order, line, state))
        lines = tuple(replace(one, state=state) if one is line else one for one in self.order.lines)
        self.order = replace(self.order, lines=lines)

    def _part(self, id: str, state: ReservationState) -> None:
        for part in self.order.parts:
            if part.id == id and part.reservation is not None:
                moved(RESERVATIONS, part.reservation, _RESOLVES[state])
        parts = tuple(replace(part, reservation=state) if part.id == id else part for part in self.order.parts)
        self.order = replace(self.order, parts=parts)


_RESOLVES = {ReservationState.POSTED: ReservationEvent.POST, ReservationState.VOIDED: ReservationEvent.VOID}


# --- states, shares, creation -----------------------------------------------------------------------------


def test_what_has_ended_moves_no_more() -> None:
    with pytest.raises(IllegalMove, match="what is completed cannot expire"):
        moved(ORDERS, OrderState.COMPLETED, OrderEvent.EXPIRE)
    for event in LineEvent:
        with pytest.raises(IllegalMove):
            moved(LINES, LineState.REFUNDED, event)
    for state in (ReservationState.POSTED, ReservationState.VOIDED):  # resolved at most once
        for resolved in ReservationEvent:
            with pytest.raises(IllegalMove):
                moved(RESERVATIONS, state, resolved)
    assert all(OrderEvent.PROVE in ORDERS[state] for state in list(OrderState)[:3])
    assert moved(ORDERS, OrderState.EXPIRED, OrderEvent.PROVE) is OrderState.PAID


def test_every_state_has_its_moves() -> None:
    for table, states in ((ORDERS, OrderState), (LINES, LineState), (REFUNDS, RefundState)):
        assert set(table) == set(states)


def test_shares_of_the_combined_order() -> None:
    found = shared(ORDER.lines, ORDER.parts)
    assert ORDER.cash == EXPECTED["cash_fen"]
    of_fee = fees(EXPECTED["fee_fen"], found)
    for share, fee, line in zip(found, of_fee, EXPECTED["lines"], strict=True):
        assert (share.line, share.cash, share.parts, fee) == (
            line["line"], line["cash_fen"], (line["coupon_fen"], line["points_fen"]), line["fee_fen"],
        )  # fmt: skip


def test_part_payments_that_pay_nearly_all_leave_no_line_less_than_nothing() -> None:
    lines = (Line(1, "power", "1", 1), Line(2, "power", "1", 1), Line(3, "power", "1", 1))
    found = shared(lines, (Part("a", "x", 1), Part("b", "x", 1)))
    assert [(share.cash, share.parts) for share in found] == [(0, (1, 0)), (0, (0, 1)), (1, (0, 0))]
    with pytest.raises(ValueError, match=r"exceed|split"):
        shared(lines, (Part("a", "x", 2), Part("b", "x", 2)))


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=8), st.lists(st.integers(1, 400), max_size=5))
def test_shares_property(amounts: list[int], parts: list[int]) -> None:
    lines = [Line(number, "power", "1", amount) for number, amount in enumerate(amounts, 1)]
    given_ = [Part(str(number), "x", amount) for number, amount in enumerate(parts)]
    if sum(parts) > sum(amounts):
        return
    found = shared(lines, given_)
    for line, share in zip(lines, found, strict=True):
        assert share.cash >= 0
        assert share.cash + sum(share.parts) == line.amount
    for at, part in enumerate(given_):
        assert sum(share.parts[at] for share in found) == part.amount


def test_account_forms() -> None:
    """Each company's own; the default is ten to thirteen digits."""
    judged(ORDER, COMPANIES)
    for company, account, good in (
        ("power", "3210000000001", True), ("power", "54114172", False), ("power", "32100000000０1", False),
        ("power", "3210000000001\n", False), ("water", "54114172", True), ("water", "Z05396-0", True),
        ("water", "z05396-0", False),
    ):  # fmt: skip
        order = replace(ORDER, lines=(Line(1, company, account, 5000),))
        if good:
            judged(order, COMPANIES)
        else:
            with pytest.raises(OrderRefused, match="no-such-account, line 1"):
                judged(order, COMPANIES)


@pytest.mark.parametrize(
    ("change", "code", "line"),
    [
        ({"lines": ()}, Refusal.TOO_MANY_LINES, None),
        ({"lines": ORDER.lines * 20}, Refusal.TOO_MANY_LINES, None),
        ({"lines": (Line(1, "oil", "5500012345", 5000),)}, Refusal.NO_SUCH_COMPANY, 1),
        ({"lines": (replace(ORDER.lines[0], amount=0),)}, Refusal.AMOUNT_MISMATCH, 1),
        ({"lines": (*ORDER.lines, replace(ORDER.lines[0], number=4))}, Refusal.BILL_IN_USE, 4),
        ({"lines": (replace(ORDER.lines[0], bills=("b", "b")),)}, Refusal.BILL_IN_USE, 1),
        ({"parts": (Part("a", "x", 20_000),)}, Refusal.COUPON_INVALID, None),
        ({"parts": (Part("a", "x", -1),)}, Refusal.COUPON_INVALID, None),
        ({"parts": (Part("a", "x", 1), Part("a", "x", 1))}, Refusal.COUPON_INVALID, None),
        ({"parts": tuple(Part(str(number), "x", 1) for number in range(6))}, Refusal.COUPON_INVALID, None),
    ],
)
def test_orders_that_cannot_be(change: dict[str, Any], code: Refusal, line: int | None) -> None:
    with pytest.raises(OrderRefused) as found:
        judged(replace(ORDER, **change), COMPANIES)
    assert (found.value.code, found.value.line) == (code, line)


def test_a_channel_combines_so_many() -> None:
    with pytest.raises(OrderRefused, match="too-many-lines"):
        judged(ORDER, COMPANIES, max_lines=2)


def test_bills_are_as_the_payer_saw_them_and_in_no_other_order() -> None:
    owed = {(line.company, line.account, bill): line.amount for line in ORDER.lines for bill in line.bills}
    bills_judged(ORDER, owed)
    bills_judged(ORDER, owed, {("water", ORDER.lines[1].account, "b2"): "P1"})
    with pytest.raises(OrderRefused, match="bill-in-use, line 2"):
        bills_judged(ORDER, owed, {("water", ORDER.lines[1].account, "b2"): "P2"})
    gas = ("gas", ORDER.lines[2].account, "b3")
    for changed in ({gas: 867}, {gas: 0}):
        with pytest.raises(OrderRefused, match="bill-changed, line 3"):
            bills_judged(ORDER, owed | changed)
    prepaid = replace(ORDER, lines=(replace(ORDER.lines[0], bills=()),))
    bills_judged(prepaid, {})


# --- lives ------------------------------------------------------------------------------------------------


def test_a_refused_line_of_the_combined_order_is_refunded_alone() -> None:
    world = World(ORDER, {2: [LineEvent.REFUSE]})
    world.run()
    assert world.order.state is OrderState.RESERVED
    assert world.asked[:2] == [
        saga.Reserve("coupon", "P1-coupon-V1", 1000, 1_200_000), saga.Reserve("points", "P1-points-V1", 333, 1_200_000),
    ]  # fmt: skip
    assert world.take("wechat", proof(18_667)) is Taken.PAID
    world.run()
    assert world.order.state is OrderState(EXPECTED["order_state"])
    assert [(one.number, one.cash) for one in world.order.refunds] == [("P1-2-R1", EXPECTED["refund"]["cash_fen"])]
    assert world.returned == [EXPECTED["refund"]["coupon_fen"], EXPECTED["refund"]["points_fen"]]
    assert saga.WriteOff(3, "P1-3", "t1-3") in world.asked
    assert world.left() == {
        "channel:wechat": 18_667 - 6336, "company:gas": -866, "company:power": -12_345, "promo:bank": 660,
        "promo:power": 220,
    }  # fmt: skip


def test_a_refused_line_is_credited_where_that_is_wanted() -> None:
    world = World(ORDER, {2: [LineEvent.REFUSE]})
    world.run()
    world.take("wechat", proof(18_667))
    world.run(credits={2})
    assert world.order.state is OrderState.COMPLETED
    assert saga.Credit(2, "P1-2-C") in world.asked
    assert world.left()["company:water"] == -6789
    assert world.order.refunds == ()


def test_unknown_line_never_refunded() -> None:
    """It is inquired about, then held; the other lines do not wait, and no refund is made, whoever asks for it."""
    world = World(reserved(ORDER), {2: [LineEvent.LOSE, LineEvent.HOLD]})
    world.take("wechat", proof(18_667))
    with pytest.raises(OrderRefused, match="line-not-refundable, line 2"):
        refund(world.order, 2)
    world.run()
    assert saga.Inquire(2, "P1-2") in world.asked
    assert world.order.state is OrderState.HELD
    assert [line.state for line in world.order.lines] == [
        LineState.WRITTEN_OFF, LineState.HELD, LineState.WRITTEN_OFF,
    ]  # fmt: skip
    assert world.order.refunds == ()
    for state in (LineState.OPEN, LineState.UNKNOWN, LineState.HELD, LineState.WRITTEN_OFF):
        lines = tuple(replace(line, state=state) for line in world.order.lines)
        with pytest.raises(OrderRefused, match="line-not-refundable"):
            refund(replace(world.order, lines=lines), 2)
    assert world.left()["order:P1"] == -6789  # it waits for who decides


def test_late_payment_honoured() -> None:
    world = World(ORDER, {})
    world.run()
    world.run(now=1000)
    assert world.order.state == "expired"
    assert [part.reservation for part in world.order.parts] == [ReservationState.VOIDED] * 2
    assert world.take("wechat", proof(18_667)) is Taken.LATE
    still = tuple(replace(part, reservation=ReservationState.RESERVED) for part in world.order.parts)
    assert saga.steps(replace(world.order, parts=still), 2000) == ()  # nothing is let go meanwhile
    world.decide_late(bills_open=True, coupons=True)
    world.run(now=2000)
    assert world.order.state is OrderState.COMPLETED
    assert saga.Post("coupon", "P1-coupon-V2") in world.asked
    assert world.left() == {
        "channel:wechat": 18_667, "company:gas": -866, "company:power": -12_345, "company:water": -6789,
        "promo:bank": 1000, "promo:power": 333,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("bills_open", "coupons", "code"), [(True, False, "coupon-invalid"), (False, True, "bill-changed")]
)
def test_late_payment_coupon_gone(bills_open: bool, coupons: bool, code: str) -> None:
    """All of it is refunded: the cash, and nothing to part payments that were never used."""
    world = World(ORDER, {})
    world.run()
    world.run(now=1000)
    world.take("wechat", proof(18_667))
    world.decide_late(bills_open=bills_open, coupons=coupons)
    world.run(now=2000)
    assert world.order.state is OrderState.COMPLETED_WITH_REFUNDS
    assert {line.code for line in world.order.lines} == {code}
    assert sum(one.cash for one in world.order.refunds) == 18_667
    assert (world.returned, world.left()) == ([0, 0], {})
    assert not any(isinstance(step, saga.Post | saga.WriteOff) for step in world.asked)


def test_paid_by_two_channels() -> None:
    """The second payment is surplus, whenever it comes; it is answered as success and refunded by its own channel."""
    world = World(reserved(ORDER), {})
    assert world.take("wechat", proof(18_667)) is Taken.PAID
    assert world.take("alipay", proof(18_667, "a1")) is Taken.SURPLUS
    world.run()
    assert world.order.state is OrderState.COMPLETED
    assert [(one.number, one.cash, one.state) for one in world.order.refunds] == [
        ("P1-0-R1", 18_667, RefundState.PROVEN)
    ]
    assert "channel:alipay" not in world.left()
    assert "refund:alipay" not in world.left()
    assert world.left()["channel:wechat"] == 18_667


def test_double_payment_refunded_once() -> None:
    """However often either is reported."""
    world = World(reserved(ORDER), {})
    said = [world.take("wechat", proof(18_667, name)) for name in ("t1", "t1", "t2", "t2", "t1")]
    assert said == [Taken.PAID, Taken.REPEATED, Taken.SURPLUS, Taken.REPEATED, Taken.REPEATED]
    world.run()
    assert world.take("wechat", proof(18_667, "t2")) is Taken.REPEATED
    assert world.take("wechat", proof(18_667, "t3")) is Taken.SURPLUS
    # the same number at another channel is another payment, and goes back there
    assert world.take("alipay", proof(18_667, "t3")) is Taken.SURPLUS
    assert [(one.number, one.channel) for one in world.order.refunds] == [
        ("P1-0-R1", "wechat"), ("P1-0-R2", "wechat"), ("P1-0-R3", "alipay"),
    ]  # fmt: skip
    world.prove("P1-0-R3")
    world.run()
    assert not any(name.startswith("refund:") or name == "channel:alipay" for name in world.left())


def test_other_cash_is_held_and_nothing_is_written_off() -> None:
    world = World(reserved(ORDER), {})
    assert world.take("wechat", proof(18_666)) is Taken.MISMATCH
    assert world.order.state is OrderState.HELD
    assert saga.steps(world.order, 5) == tuple(saga.Void(one, f"P1-{one}-V1") for one in ("coupon", "points"))
    assert world.left() == {"channel:wechat": 18_666, "order:P1": -18_666}
    going_on = replace(world.order, state=moved(ORDERS, OrderState.HELD, OrderEvent.GO_ON))
    assert saga.steps(going_on, 5) == (saga.Move(OrderEvent.HOLD),)  # not by an operator's slip either


def test_a_combined_payment_has_a_transaction_a_line() -> None:
    cash = saga.cash_of(ORDER)
    parts = tuple(PaidPart(f"t{line}", f"P1-{line}", cash[line]) for line in (1, 2, 3))
    world = World(reserved(ORDER), {})
    assert world.take("wechat", PaymentProof("P1", parts, AT)) is Taken.PAID
    world.run()
    assert saga.WriteOff(2, "P1-2", "t2-2") in world.asked
    # known by any of them, however it is reported
    assert world.take("wechat", proof(cash[2], "t2")) is Taken.REPEATED
    swapped = (replace(parts[0], cash=parts[1].cash), replace(parts[1], cash=parts[0].cash), parts[2])
    assert saga.on_proof(reserved(ORDER), "wechat", PaymentProof("P1", swapped, AT)).taken is Taken.MISMATCH


def test_what_is_proven_before_its_part_payments_are_reserved_is_late() -> None:
    assert saga.on_proof(ORDER, "wechat", proof(18_667)).taken is Taken.LATE
    assert saga.on_proof(replace(ORDER, parts=()), "wechat", proof(20_000)).taken is Taken.PAID


def test_a_whole_payment_goes_back_by_its_transactions() -> None:
    cash = saga.cash_of(ORDER)
    parts = tuple(PaidPart(f"a{line}", f"P1-{line}", cash[line]) for line in (1, 2, 3))
    world = World(reserved(ORDER), {})
    world.take("wechat", proof(18_667))
    assert world.take("alipay", PaymentProof("P1", parts, AT)) is Taken.SURPLUS
    assert [(one.number, one.transaction, one.cash, one.payment) for one in world.order.refunds] == [
        (f"P1-0-R{line}", f"a{line}", cash[line], 2) for line in (1, 2, 3)
    ]
    world.run()
    assert {name for name in world.left() if "alipay" in name} == set()


def test_a_line_is_refunded_of_what_its_own_transaction_brought() -> None:
    """Though the other parts of the payment brought enough; and what coupons alone paid is counted to the first."""
    parts = tuple(PaidPart(f"t{line}", f"P1-{line}", fen) for line, fen in ((3, 809), (2, 6335), (1, 11_523)))
    order = replace(refused_line(), payments=(Payment("wechat", parts),))
    with pytest.raises(OrderRefused, match="refund-too-large, line 2"):
        refund(order, 2)
    assert (refund(order, 3).transaction, paid_by(order, 4).transaction) == ("t3", "t1")


# --- refunds ----------------------------------------------------------------------------------------------


def refused_line(*refunds: Refund) -> Order:
    lines = tuple(replace(line, state=LineState.REFUSED) for line in ORDER.lines)
    paid = Payment("wechat", (PaidPart("t1", "P1", 18_667),))
    return replace(ORDER, state=OrderState.WRITING_OFF, lines=lines, payments=(paid,), refunds=refunds)


def test_second_refund_in_flight_refused() -> None:
    for state in (RefundState.REQUESTED, RefundState.SENT, RefundState.FAILED):
        with pytest.raises(OrderRefused, match="refund-in-flight, line 2"):
            refund(refused_line(Refund(2, "P1-2-R1", 100, state)), 2)
    proven = refused_line(Refund(2, "P1-2-R1", 100, RefundState.PROVEN))
    assert refund(proven, 2) == Refund(2, "P1-2-R2", 6236, channel="wechat", transaction="t1")
    assert refund(proven, 3) == Refund(3, "P1-3-R1", 809, channel="wechat", transaction="t1")


def test_what_went_back_of_part_payments_is_counted_once_a_line() -> None:
    """With the refund that completes a line's cash, by however many it is."""
    shares = {share.line: share.parts for share in shared(ORDER.lines, ORDER.parts)}
    assert returned(refused_line(Refund(2, "P1-2-R1", 100))) == (0, 0)
    two = Refund(2, "P1-2-R1", 100), Refund(2, "P1-2-R2", 6236)
    assert returned(refused_line(*two)) == shares[2]
    both = returned(refused_line(*two, Refund(3, "P1-3-R1", 809), Refund(0, "P1-0-R1", 809)))
    assert both == tuple(a + b for a, b in zip(shares[2], shares[3], strict=True))
    assert returned(replace(refused_line(*two), honoured=False)) == (0, 0)


def test_no_more_is_refunded_than_was_paid() -> None:
    with pytest.raises(OrderRefused, match="refund-too-large, line 2"):
        refund(refused_line(), 2, 6337)
    assert refund(refused_line(), 2, 6336).cash == 6336
    others = [Refund(0, f"P1-0-R{at}", 6000, RefundState.PROVEN, 0, "wechat", "t1") for at in (1, 2, 3)]
    with pytest.raises(OrderRefused, match="refund-too-large"):
        refund(refused_line(*others), 2)
    unpaid = replace(refused_line(), payments=())
    with pytest.raises(OrderRefused, match="line-not-refundable"):
        refund(unpaid, 2)


def test_a_refund_keeps_its_number_over_repeats() -> None:
    failed = Refund(2, "P1-2-R1", 6336, RefundState.FAILED, statements=2)
    assert repeated(failed) == replace(failed, state=RefundState.REQUESTED)
    for state in (RefundState.REQUESTED, RefundState.SENT, RefundState.PROVEN):
        with pytest.raises(IllegalMove):
            repeated(replace(failed, state=state))


def test_a_refund_that_three_statements_do_not_prove_is_said() -> None:
    order = refused_line(Refund(2, "P1-2-R1", 6336, RefundState.SENT, statements=2))
    order = replace(order, lines=tuple(replace(line, state=LineState.REFUNDING) for line in order.lines))
    assert saga.steps(order, 0) == ()
    late = replace(order, refunds=(replace(order.refunds[0], statements=3),))
    assert saga.steps(late, 0) == (saga.Alarm("P1-2-R1"),)


# --- whatever happens -------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(1, 10**6), min_size=1, max_size=6),
    st.lists(st.integers(1, 10**6), max_size=3),
    st.lists(st.sampled_from(["apply", "refuse", "lose-apply", "lose-refuse", "credit"]), min_size=6, max_size=6),
    st.sampled_from(["in-time", "late", "coupon-gone"]),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
def test_every_order_ends_and_its_account_is_zero(
    amounts: list[int], promotions: list[int], outcomes: list[str], when: str, repeats: int, chance: random.Random
) -> None:
    lines = tuple(Line(number, f"u{number % 2}", "3210000000001", amount) for number, amount in enumerate(amounts, 1))
    parts: list[Part] = []
    for number, promotion in zip(count(), promotions, strict=False):
        if sum(part.amount for part in parts) + promotion < sum(amounts):
            parts.append(Part(f"c{number}", f"f{number}", promotion))
    steps = {"lose-apply": [LineEvent.LOSE], "lose-refuse": [LineEvent.LOSE, LineEvent.REFUSE], "apply": []}
    of_line = {number: list(steps.get(word, [LineEvent.REFUSE])) for number, word in enumerate(outcomes, 1)}
    world = World(Order("P1", "wechat", lines, tuple(parts), expires_at=1000), of_line)
    world.run(chance=chance)
    if when != "in-time":
        world.run(now=1000, chance=chance)
    for at in range(repeats + 1):
        world.take("wechat", proof(world.order.cash, f"t{at}"))
        world.take("wechat", proof(world.order.cash, f"t{chance.randrange(at + 1)}"))
    if when != "in-time":
        world.decide_late(bills_open=True, coupons=when == "late")
    credits = {number for number, word in enumerate(outcomes, 1) if word == "credit"}
    world.run(now=2000, chance=chance, credits=credits if when != "coupon-gone" else set())
    assert world.order.state in (OrderState.COMPLETED, OrderState.COMPLETED_WITH_REFUNDS)
    assert sum(world.books.values()) == 0
    left = world.left()
    assert not any(name.startswith(("order:", "refund:")) for name in left)
    written_off = sum(line.amount for line in world.order.lines if line.state is not LineState.REFUNDED)
    assert -sum(amount for name, amount in left.items() if name.startswith("company:")) == written_off
