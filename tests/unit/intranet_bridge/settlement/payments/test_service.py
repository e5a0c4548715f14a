"""Payment orders from creation to their end, on both databases: in time, late, twice, refused, unknown, killed."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from intranet_bridge.commands.internal import InternalOutcome
from intranet_bridge.marketing import Refused
from intranet_bridge.settlement.clearing.order_facts import known_orders
from intranet_bridge.settlement.order_shares import orders_to_match
from intranet_bridge.settlement.payments import acting, looking, service
from intranet_bridge.settlement.payments.evidence import RefundProof
from intranet_bridge.settlement.payments.orders import Line
from intranet_bridge.settlement.payments.rows import REFUNDS
from intranet_bridge.settlement.payments.service import measured, number_of
from protocol.errors import BridgeError
from protocol.lifecycle import State
from protocol.times import CHINA
from tests.unit.done_twice import written_twice
from tests.unit.intranet_bridge.settlement.payments.world import (
    CASH,
    GAS,
    MONTH,
    POWER,
    WATER,
    Killed,
    Reaper,
    World,
    expired,
    states,
)

pytestmark = pytest.mark.anyio
PARTS = (
    {"id": "CP0001", "kind": "coupon", "funder": "bank", "amount": 1000},
    {"id": "PT", "kind": "points", "funder": "power", "amount": 333},
)


# --- creating ---------------------------------------------------------------------------------------------


async def test_an_order_of_three_companies_is_paid_and_written_off(make: Callable[..., Any]) -> None:
    async with make() as at:
        order = await at.create(parts=PARTS, payer="wang")
        assert (order.state, order.amount, order.cash) == ("reserved", 20_000, 18_667)
        assert [line.cash for line in order.lines] == [11_522, 6336, 809]
        assert [part.state for part in order.parts] == ["reserved", "reserved"]
        assert (await at.ask("payment-order-pay", order=order.order)).state == "paying"
        assert await at.confirm(order.order, 18_667) == "paid"
        await at.run()
        done = await at.order(order.order)
        assert (done.state, states(done)) == ("completed", ["written-off"] * 3)
        assert [part.state for part in done.parts] == ["posted", "posted"]
        assert await at.left() == {
            "channel:wechat": 18_667, "company:gas": -866, "company:power": -12_345, "company:water": -6789,
            "promo:bank": 1000, "promo:power": 333,
        }  # fmt: skip
        assert at.companies.applied["payment-writeoff", "wechat:t1:2"] == 1


async def test_a_request_makes_one_order_however_often_it_is_asked(make: Callable[..., Any]) -> None:
    async with make() as at:
        lines = ({"company": "power", "account": POWER, "amount": 5000},)  # a prepayment
        id = "01a2b3c4-0000-7000-8000-000000000001"
        first = await at.ask("payment-order-create", id, channel="wechat", lines=lines)
        assert first == await at.ask("payment-order-create", id, channel="wechat", lines=lines)
        assert first.order == number_of(id)
        assert len(first.order) == 26
        assert await at.ask("payment-order", source="front-1/other", order=first.order) == Refused("no-such-order")
        assert at.companies.asked == []  # there is no bill of it
        await at.confirm(first.order, 5000)
        await at.run()
        assert at.companies.applied == {("prepay", "wechat:t1:1"): 1}


NOT_TAKEN: tuple[tuple[dict[str, Any], str], ...] = (
    ({"channel": "cash"}, "no-such-channel"),
    ({"line": {"company": "heat"}}, "no-such-company"),
    ({"line": {"account": "12345"}}, "no-such-account"),
    ({"line": {"account": "3219999999999"}}, "no-such-account"),
    ({"line": {"amount": 12_344}}, "bill-changed"),
    ({"line": {"bills": ("2025-12",)}}, "bill-changed"),
    ({"parts": (PARTS[0], PARTS[0])}, "coupon-invalid"),
    ({"parts": ({**PARTS[0], "amount": 12_345},)}, "coupon-invalid"),
    ({"times": 11}, "too-many-lines"),
    ({"down": True}, "bills-unknown"),
)


async def test_orders_that_are_not_taken(make: Callable[..., Any]) -> None:
    async with make() as at:
        for change, code in NOT_TAKEN:
            line = {"company": "power", "account": POWER, "bills": (MONTH,), "amount": 12_345} | change.get("line", {})
            at.companies.down = change.get("down", False)
            answer = await at.ask(
                "payment-order-create", channel=change.get("channel", "wechat"),
                lines=(line,) * change.get("times", 1), parts=change.get("parts", ()),
            )  # fmt: skip
            assert (isinstance(answer, Refused), answer.code) == (True, code)
        assert not await at.payments._looking.look()  # nothing is there of it


async def test_account_forms(make: Callable[..., Any]) -> None:
    """Each company has its own form of account numbers, and another one's is refused."""
    async with make() as at:
        assert (await at.create([("water", WATER)])).state == "reserved"
        for company, account in (("power", WATER), ("water", "Z1")):
            line = {"company": company, "account": account.ljust(4, "0"), "amount": 100}
            answer = await at.ask("payment-order-create", channel="wechat", lines=(line,))
            assert answer == Refused("no-such-account", "line 1")


async def test_a_bill_is_in_one_order_that_is_being_paid(make: Callable[..., Any]) -> None:
    async with make() as at:
        first, second = await at.create([("power", POWER)]), await at.create([("power", POWER)])
        assert (await at.ask("payment-order-pay", order=first.order)).state == "paying"
        assert await at.ask("payment-order-pay", order=second.order) == Refused("bill-in-use")
        assert (await at.create([("power", POWER)])).code == "bill-in-use"
        with pytest.raises(IntegrityError):  # the database itself
            await at.store.write(lambda connection: connection.execute(text("UPDATE payment_bills SET in_use = true")))
        assert (await at.ask("payment-cancel", order=first.order)).state == "cancelled"
        assert (await at.ask("payment-order-pay", order=second.order)).state == "paying"


async def test_what_the_promotion_service_does_not_reserve_ends_the_order(make: Callable[..., Any]) -> None:
    async with make() as at:
        id = "request-of-a-coupon"
        number = number_of(id)
        at.companies.outcomes[f"{number}-P1-V1-reserve"] = ["coupon-invalid"]
        lines = ({"company": "power", "account": POWER, "bills": (MONTH,), "amount": 12_345},)
        asking = asyncio.ensure_future(at.ask("payment-order-create", id, channel="wechat", lines=lines, parts=PARTS))
        while not asking.done():
            await at.turn()
            await asyncio.sleep(0)
        assert await asking == Refused("coupon-invalid")
        assert await at.ask("payment-order-create", id, channel="wechat", lines=lines, parts=PARTS) == Refused(
            "coupon-invalid"
        )
        await at.run()
        order = await at.order(number)
        assert (order.state, [part.state for part in order.parts]) == ("cancelled", [None, "voided"])


async def test_risk_refuses_the_sixth_order_of_a_payer_and_holds_what_is_large(make: Callable[..., Any]) -> None:
    async with make(risk=True) as at:
        for _ in range(5):
            await at.create([("power", POWER)], payer="wang")
        assert await at.create([("power", POWER)], payer="wang") == Refused("risk-refused")
        at.companies.owed[GAS] = 5_000_001
        large = await at.create([("gas", GAS)], payer="li")
        await at.confirm(large.order, 5_000_001)
        await at.run()
        held = await at.order(large.order)
        assert (held.state, states(held)) == ("held", ["open"])
        await at.told("orders-settle", order=large.order, verdict="go-on", note="seen at the channel")
        await at.run()
        assert (await at.order(large.order)).state == "completed"


async def test_only_what_pays_bills_is_measured_against_them(make: Callable[..., Any]) -> None:
    """A small bill with a large prepayment is an ordinary order."""
    async with make(risk=True) as at:
        bill = {"company": "gas", "account": GAS, "bills": (MONTH,), "amount": 866}
        prepaid = {"company": "power", "account": POWER, "amount": 50_000}
        order = await at.ask("payment-order-create", channel="wechat", lines=(bill, prepaid))
        assert (order.state, order.amount) == ("reserved", 50_866)


def test_what_is_measured_against_bills() -> None:
    """A prepayment is not, nor a line of a company elsewhere that did not say what is owed."""
    lines = [
        Line(1, "power", POWER, 100, ("2026-01", "2026-02")), Line(2, "power", POWER, 70_000),
        Line(3, "city", "3210000000009", 90_000, (MONTH,)), Line(4, "city", "3210000000008", 500, (MONTH,)),
    ]  # fmt: skip
    owed = {
        ("power", POWER, "2026-01"): 60, ("power", POWER, "2026-02"): 40, ("city", "3210000000008", MONTH): 120,
    }  # fmt: skip
    assert measured(lines, owed) == (220, 600)


async def test_the_combined_bill_names_what_did_not_answer(make: Callable[..., Any]) -> None:
    async with make() as at:
        accounts = tuple(
            {"company": company, "account": account}
            for company, account in (
                ("water", WATER), ("power", POWER), ("city", "3210000000009"), ("heat", POWER),
                ("power", "3219999999999"), ("power", WATER),
            )
        )  # fmt: skip
        bill = await at.ask("combined-bill", accounts=accounts)
        assert (bill.total, [one.account for one in bill.owed]) == (19_134, [WATER, POWER])
        assert [(one.company, one.code) for one in bill.unanswered] == [
            ("city", "unavailable"), ("heat", "no-such-company"), ("power", "no-such-account"),
            ("power", "no-such-account"),
        ]  # fmt: skip
        at.companies.down = True
        bill = await at.ask("combined-bill", accounts=accounts[:1])
        assert (bill.total, bill.unanswered[0].code) == (0, "unavailable")


# --- refused, unknown -------------------------------------------------------------------------------------


async def test_a_refused_line_is_refunded_and_its_proof_ends_the_order(make: Callable[..., Any]) -> None:
    async with make() as at:
        order = await at.paying(parts=PARTS)
        at.companies.outcomes[f"{order.order}-2"] = ["bill-not-open"]
        await at.confirm(order.order, order.cash)
        await at.run()
        waiting = await at.order(order.order)
        assert (waiting.state, states(waiting)) == ("writing-off", ["written-off", "refunding", "written-off"])
        (refund,) = waiting.refunds
        assert (refund.cash, refund.transaction, waiting.lines[1].code) == (6336, "t1", "bill-not-open")
        sent = await at.ask("refund-confirm", refund=refund.refund, said="sent")
        assert sent.state == "sent"
        for said in ("failed", "failed"):
            assert (await at.ask("refund-confirm", refund=refund.refund, said=said)).state == "failed"
        again = await at.ask("refund-request", order=order.order, line=2)
        assert (again.refund.refund, again.refund.state) == (refund.refund, "requested")
        assert await at.prove(refund) == "refund-proven"
        assert await at.prove(refund) == "repeated"
        await at.run()
        done = await at.order(order.order)
        assert (done.state, states(done)[1]) == ("completed-with-refunds", "refunded")
        # the promotion service has both as used whole: what a person sees of it is what the books have
        assert [(part.state, part.returned) for part in done.parts] == [("posted", 340), ("posted", 113)]
        assert await at.left() == {
            "channel:wechat": 12_331, "company:gas": -866, "company:power": -12_345, "promo:bank": 660,
            "promo:power": 220,
        }  # fmt: skip
        assert await at.ask("refund-confirm", refund=refund.refund, said="failed") == Refused("refund-not-so")


async def test_a_refused_line_is_credited_where_that_is_wanted_and_can_be(make: Callable[..., Any]) -> None:
    async with make(credit=("water", "gas")) as at:
        order = await at.paying()
        at.companies.outcomes |= {
            f"{order.order}-2": ["bill-not-open"], f"{order.order}-3": ["bill-not-open"],
            f"{order.order}-3-C": ["account-closed"],
        }  # fmt: skip
        await at.confirm(order.order, CASH)
        await at.run()
        waiting = await at.order(order.order)
        assert states(waiting) == ["written-off", "credited", "refunding"]
        assert at.companies.applied["prepay", "wechat:t1:2"] == 1
        await at.prove(waiting.refunds[0])
        await at.run()
        assert (await at.order(order.order)).state == "completed-with-refunds"
        assert (await at.left())["company:water"] == -6789


async def test_unknown_line_never_refunded(make: Callable[..., Any]) -> None:
    async with make() as at:
        order = await at.paying()
        at.companies.outcomes[f"{order.order}-2"] = [State.HELD]
        await at.confirm(order.order, CASH)
        await at.run()
        held = await at.order(order.order)
        assert (held.state, states(held), held.refunds) == ("held", ["written-off", "held", "written-off"], ())
        assert await at.ask("refund-request", order=order.order, line=2) == Refused("line-not-refundable", "")
        assert (await at.left())[f"order:{order.order}"] == -6789
        # an operator finds out
        await at.tell(InternalOutcome(f"{order.order}-2", "payment-writeoff", State.SUCCEEDED))
        await at.run()
        assert (await at.order(order.order)).state == "completed"
        await at.tell(InternalOutcome(f"{order.order}-2", "payment-writeoff", State.REFUSED, "x"))  # said once more
        assert (await at.order(order.order)).state == "completed"


async def test_what_is_written_off_otherwise_is_held_and_not_refunded(make: Callable[..., Any]) -> None:
    async with make() as at:
        order = await at.paying()
        at.companies.outcomes[f"{order.order}-2"] = ["transaction-conflict"]
        await at.confirm(order.order, CASH)
        await at.run()
        held = await at.order(order.order)
        assert (held.state, states(held)[1], held.lines[1].code) == ("held", "held", "transaction-conflict")
        assert held.refunds == ()


async def test_what_a_proof_meant_is_told_though_its_commit_seems_to_fail(make: Callable[..., Any]) -> None:
    """The second time it is known already."""
    async with make() as at:
        order = await at.paying()
        written_twice(at.store)
        assert [await at.confirm(order.order, CASH) for _ in range(2)] == ["paid", "repeated"]


# --- late -------------------------------------------------------------------------------------------------


async def test_late_payment_honoured(make: Callable[..., Any]) -> None:
    async with make() as at:
        order = await expired(at, parts=PARTS)
        assert await at.confirm(order.order, order.cash) == "late"
        at.companies.down = True
        await at.payments._looking.look()
        assert (await at.order(order.order)).state == "expired"  # asked again in a while
        at.companies.down = False
        at.clock.now += acting.RETRY_MS
        await at.run()
        done = await at.order(order.order)
        assert (done.state, [part.state for part in done.parts]) == ("completed", ["posted", "posted"])
        assert at.companies.applied["promotion-post", f"{order.order}-P1-V2"] == 1
        assert f"order:{order.order}" not in await at.left()


async def test_late_payment_while_its_coupon_is_being_given_back(make: Callable[..., Any]) -> None:
    """What is still reserved then will not be: it is reserved once more, and used up."""
    async with make() as at:
        order = await at.paying(parts=PARTS)
        at.clock.now += 900_000
        await at.payments._looking.look()  # it has expired; the promotion service has not done anything yet
        assert (await at.order(order.order)).state == "expired"
        assert await at.confirm(order.order, order.cash) == "late"
        await at.payments._looking.look()
        assert (await at.order(order.order)).state == "expired"
        await at.run()
        done = await at.order(order.order)
        assert (done.state, [part.state for part in done.parts]) == ("completed", ["posted", "posted"])
        applied = {name for operation, name in at.companies.applied if operation == "promotion-post"}
        assert applied == {f"{order.order}-P1-V2", f"{order.order}-P2-V2"}
        assert f"order:{order.order}" not in await at.left()


@pytest.mark.parametrize("gone", ["coupon", "bill", "bill in another order"])
async def test_late_payment_coupon_gone(make: Callable[..., Any], gone: str) -> None:
    async with make() as at:
        order = await expired(at, parts=PARTS)
        if gone == "coupon":
            at.companies.outcomes[f"{order.order}-P1-V2-reserve"] = ["coupon-invalid"]
        elif gone == "bill":
            at.companies.owed[WATER] = 0
        else:
            await at.paying(lines=[("water", WATER)])
        await at.confirm(order.order, order.cash)
        await at.run()
        waiting = await at.order(order.order)
        assert {line.code for line in waiting.lines} == {"coupon-invalid" if gone == "coupon" else "bill-changed"}
        for refund in waiting.refunds:
            await at.prove(refund)
        await at.run()
        done = await at.order(order.order)
        assert done.state == "completed-with-refunds"
        assert all(part.state == "voided" for part in done.parts if part.state)
        assert sum(refund.cash for refund in done.refunds) == order.cash
        assert [part.returned for part in done.parts] == [0, 0]  # they were never used
        assert await at.left() == {}
        assert not any(operation in ("payment-writeoff", "promotion-post") for operation, _ in at.companies.applied)


# --- twice, otherwise -------------------------------------------------------------------------------------


async def test_paid_by_two_channels(make: Callable[..., Any]) -> None:
    async with make() as at:
        order = await at.paying()
        assert await at.confirm(order.order, CASH) == "paid"
        assert await at.confirm(order.order, CASH, "a1", "alipay") == "surplus"
        await at.run()
        done = await at.order(order.order)
        assert (done.state, [(one.channel, one.line, one.cash) for one in done.refunds]) == (
            "completed", [("alipay", 0, CASH)],
        )  # fmt: skip
        await at.prove(done.refunds[0])
        assert {name for name in await at.left() if not name.startswith("company:")} == {"channel:wechat"}


async def test_double_payment_refunded_once(make: Callable[..., Any]) -> None:
    async with make() as at:
        order = await at.paying()
        said = [await at.confirm(order.order, CASH, name) for name in ("t1", "t1", "t2", "t2", "t1")]
        assert said == ["paid", "repeated", "surplus", "repeated", "repeated"]
        await at.run()
        assert await at.confirm(order.order, CASH, "t2") == "repeated"
        (refund,) = (await at.order(order.order)).refunds
        assert (refund.refund, refund.transaction) == (f"{order.order}-0-R1", "t2")


async def test_other_cash_holds_the_order(make: Callable[..., Any]) -> None:
    async with make() as at:
        order = await at.paying()
        assert await at.confirm(order.order, CASH - 1) == "amount-mismatch"
        await at.run()
        held = await at.order(order.order)
        assert (held.state, states(held)) == ("held", ["open"] * 3)
        assert at.companies.applied == {}
        assert await at.left() == {"channel:wechat": CASH - 1, f"order:{order.order}": 1 - CASH}


async def test_what_other_cash_held_is_free_again_once_that_went_back(make: Callable[..., Any]) -> None:
    """Its bills can be paid by another order, and its coupons are given back at once: nothing uses them up any more."""
    async with make() as at:
        order = await at.paying(lines=[("water", WATER)], parts=PARTS[:1])
        assert await at.confirm(order.order, order.cash - 1) == "amount-mismatch"
        await at.run()
        held = await at.order(order.order)
        assert (held.state, [part.state for part in held.parts]) == ("held", ["voided"])
        other = await at.create(lines=[("water", WATER)])
        assert other == Refused("bill-in-use", "line 1")
        await at.told("orders-settle", order=order.order, verdict="give-back", note="seen at the channel")
        (refund,) = (await at.order(order.order)).refunds
        assert await at.prove(refund) == "refund-proven"
        await at.run()
        assert (await at.order(order.order)).state == "completed-with-refunds"
        assert (await at.paying(lines=[("water", WATER)])).state == "paying"


async def test_coupons_reserved_after_other_cash_came_are_given_back(make: Callable[..., Any]) -> None:
    """The payer was at the channel before the promotion service said yes."""
    async with make() as at:
        order = await at.create(parts=PARTS[:1])
        await at.store.write(lambda connection: connection.execute(text("UPDATE payment_parts SET state = ''")))
        await at.store.write(
            lambda connection: connection.execute(
                text("UPDATE payment_parts SET asked = :id"), {"id": f"{order.order}-P1-V1-reserve"}
            )
        )
        assert await at.confirm(order.order, 1) == "amount-mismatch"
        await at.run()
        assert [part.state for part in (await at.order(order.order)).parts] == [None]
        await at.tell(InternalOutcome(f"{order.order}-P1-V1-reserve", "promotion-reserve", State.SUCCEEDED))
        await at.run()
        assert [part.state for part in (await at.order(order.order)).parts] == ["voided"]


async def test_forged_notification_refused(make: Callable[..., Any]) -> None:
    async with make() as at:
        order = await at.paying()
        said = at.channels["alipay"].notification(order=order.order, transaction="t1", amount_fen=CASH, paid_at=at.at())
        assert (await at.ask("payment-confirm", channel="wechat", **said)).code == "evidence-invalid"
        other = at.channels["wechat"].notification(order=order.order, transaction="t", amount_fen=1, paid_at=at.at())
        swapped = {"headers": said["headers"], "body": other["body"]}
        assert (await at.ask("payment-confirm", channel="wechat", **swapped)).code == "evidence-invalid"
        assert (await at.ask("payment-confirm", channel="wechat", body="e30=")).code == "evidence-invalid"
        assert (await at.order(order.order)).state == "paying"
        assert await at.left() == {}
        assert await at.confirm("01ZZZ", CASH) == "not-ours"
        assert at.payments.meant["wechat", "refused"] == 3


async def test_the_word_of_an_application_is_audited(make: Callable[..., Any]) -> None:
    async with make() as at:
        order = await at.paying()
        said = at.channels["wechat"].notification(order=order.order, transaction="w1", amount_fen=CASH, paid_at=at.at())
        answer = await at.ask("payment-confirm", source="front-1/other", channel="app", **said)
        assert answer.code == "evidence-invalid"
        assert (await at.ask("payment-confirm", channel="app", **said)).meant == "paid"
        assert [name for name, _ in at.acts] == ["payment-trusted"]


# --- refunds ----------------------------------------------------------------------------------------------


async def test_what_is_written_off_is_reversed_and_then_refunded(make: Callable[..., Any]) -> None:
    async with make() as at:
        order = await at.paying(parts=PARTS)
        await at.confirm(order.order, order.cash)
        await at.run()
        at.companies.outcomes[f"{order.order}-1-X"] = ["no-such-payment"]
        assert (await at.ask("refund-request", order=order.order, line=1)).state == "written-off"
        assert await at.ask("refund-request", order=order.order, line=1) == Refused("refund-in-flight", "")
        await at.run()
        assert (await at.order(order.order)).lines[0].code == "no-such-payment"
        other = await at.ask("refund-request", "the-same", order=order.order, line=3)
        assert await at.ask("refund-request", "the-same", order=order.order, line=3) == other
        await at.run()
        waiting = await at.order(order.order)
        assert (waiting.state, states(waiting)) == ("writing-off", ["written-off", "written-off", "refunding"])
        assert (waiting.refunds[0].cash, await at.prove(waiting.refunds[0])) == (809, "refund-proven")
        await at.run()
        assert (await at.order(order.order)).state == "completed-with-refunds"
        left = await at.left()
        assert "company:gas" not in left
        assert f"order:{order.order}" not in left


async def test_a_reversal_that_did_not_come_off_can_be_asked_for_again(make: Callable[..., Any]) -> None:
    """Each under an id of its own: a command is recorded once an id, so that another one of it would never end."""
    async with make() as at:
        order = await at.paying(lines=[("gas", GAS)])
        await at.confirm(order.order, 866)
        await at.run()
        number = order.order
        at.companies.outcomes |= {f"{number}-1-X": [State.FAILED], f"{number}-1-X2": ["not-today"]}
        for code in ("failed", "not-today"):
            assert (await at.ask("refund-request", order=number, line=1)).state == "written-off"
            await at.run()
            assert (await at.order(number)).lines[0].code == code
        await at.ask("refund-request", order=number, line=1)
        await at.run()
        (refund,) = (await at.order(number)).refunds
        assert (states(await at.order(number)), await at.prove(refund)) == (["refunding"], "refund-proven")
        await at.run()
        assert (await at.order(number)).state == "completed-with-refunds"
        key = "payment-reversal", "wechat:t1:1"
        assert at.companies.applied[key] == 1
        assert await at.left() == {}


async def test_second_refund_in_flight_refused(make: Callable[..., Any]) -> None:
    """By the tables of moves, and by the database itself; nor can more be refunded than was paid."""
    async with make() as at:
        order = await at.paying()
        at.companies.outcomes[f"{order.order}-2"] = ["bill-not-open"]
        await at.confirm(order.order, CASH)
        await at.run()
        assert await at.ask("refund-request", order=order.order, line=2) == Refused("refund-in-flight", "")
        row = {
            "number": f"{order.order}-2-R2", "order_no": order.order, "line": 2, "payment": 1, "channel": "wechat",
            "transaction_no": "t1", "cash": 1, "state": "requested", "statements": 0, "requested_at": 1,
            "updated_at": 1,
        }  # fmt: skip
        with pytest.raises(IntegrityError):
            await at.store.write(lambda connection: connection.execute(REFUNDS.insert(), row))
        await at.store.write(
            lambda connection: connection.execute(
                REFUNDS.insert(), row | {"line": 3, "number": "R3", "cash": CASH - 6789}
            )
        )
        with pytest.raises(DBAPIError, match="more would be refunded"):
            await at.store.write(
                lambda connection: connection.execute(REFUNDS.insert(), row | {"line": 0, "number": "R4"})
            )
        with pytest.raises(DBAPIError, match="more would be refunded"):
            await at.store.write(lambda connection: connection.execute(update(REFUNDS).values(cash=CASH)))


async def test_a_refund_of_another_amount_or_channel_is_no_proof(make: Callable[..., Any]) -> None:
    async with make() as at:
        order = await at.paying()
        at.companies.outcomes[f"{order.order}-2"] = ["bill-not-open"]
        await at.confirm(order.order, CASH)
        await at.run()
        (refund,) = (await at.order(order.order)).refunds
        assert await at.prove(refund.model_copy(update={"cash": 6788})) == "amount-mismatch"
        assert await at.prove(refund.model_copy(update={"channel": "alipay"})) == "not-ours"
        said = at.channels["alipay"].notification(
            refund=refund.refund, transaction="r", amount_fen=6789, refunded_at=at.at()
        )
        assert (await at.ask("refund-confirm", refund=refund.refund, proof=said)).code == "evidence-invalid"
        assert (await at.order(order.order)).state == "writing-off"
        said = at.channels["wechat"].notification(
            refund=refund.refund, transaction="r", amount_fen=6789, refunded_at=at.at()
        )
        assert (await at.ask("refund-confirm", refund=refund.refund, proof=said)).state == "proven"


async def test_a_refund_of_another_transaction_is_no_proof(make: Callable[..., Any]) -> None:
    """Of two equal payments the application gave the wrong one back, under the number of the other's refund."""
    async with make() as at:
        order = await at.paying()
        for transaction in ("t1", "t2"):
            await at.confirm(order.order, CASH, transaction)
        await at.run()
        (refund,) = (await at.order(order.order)).refunds
        assert refund.transaction == "t2"
        day = datetime.fromtimestamp(at.clock.now / 1000, CHINA)

        async def proven(transaction: str) -> str:
            said = RefundProof(refund.refund, transaction, CASH, day)
            channel = at.offer().channels["wechat"]
            return str((await at.payments._proven(channel, said))[0])

        assert await proven("t1") == "not-ours"
        assert [one.state for one in (await at.order(order.order)).refunds] == ["requested"]
        assert [await proven("t2") for _ in range(2)] == ["refund-proven", "repeated"]


async def test_what_clearing_and_statements_are_told_of_an_order(make: Callable[..., Any]) -> None:
    async with make() as at:
        order = await at.paying(parts=PARTS)
        at.companies.outcomes[f"{order.order}-2"] = ["bill-not-open"]
        before = await at.store.read(lambda connection: known_orders(connection, [order.order, "x"]))
        assert [(line.written, line.gone) for line in before[order.order].lines] == [(False, False)] * 3
        await at.confirm(order.order, order.cash)
        await at.run()
        await at.ask("refund-request", order=order.order, line=3)
        await at.run()
        found = await at.store.read(lambda connection: known_orders(connection, [order.order]))
        facts = found[order.order]
        assert facts.transactions == {"t1"}
        assert [(line.cash, line.written, line.reversed, line.gone) for line in facts.lines] == [
            (11_522, True, False, False), (6336, False, False, True), (809, True, True, True),
        ]  # fmt: skip
        assert facts.lines[0].promotions == (("bank", 617), ("power", 206))
        matched = await at.store.read(lambda connection: orders_to_match(connection, [order.order])(order.order))
        assert (matched.cash, [line.amount for line in matched.lines]) == (18_667, [12_345, 6789, 866])


# --- what people decide ------------------------------------------------------------------------------------


async def test_people_settle_what_is_held(make: Callable[..., Any]) -> None:
    async with make() as at:
        first, second = await at.paying(lines=[("power", POWER)]), await at.paying(lines=[("gas", GAS)])
        at.companies.outcomes |= {f"{first.order}-1": ["transaction-conflict"], f"{second.order}-1": [State.HELD]}
        await at.confirm(first.order, 12_345, "t1")
        await at.confirm(second.order, 866, "t2")
        third = await at.paying(lines=[("water", WATER)])
        await at.confirm(third.order, 6788, "t3")
        await at.run()
        report = await at.payments.desk.report()
        assert set(report.held) == {first.order, second.order, third.order}
        assert (await at.told("orders-list", state="held", limit=2))[1]["state"] == "held"
        for order, verdict, why in (
            (first.order, "go-on", "not held for a look at its risk"),
            (first.order, "give-back", "is the order's"),
            (third.order, "written-off", "that line is not held"),
            ("01ZZZ", "go-on", "no such order"),
        ):
            with pytest.raises(BridgeError, match=why):
                await at.told("orders-settle", order=order, verdict=verdict, note="seen at the channel", line=2)
        assert (
            await at.told("orders-settle", order=first.order, verdict="written-off", note="seen at the channel", line=1)
        )["state"] == "completed"
        await at.told("orders-settle", order=second.order, verdict="refused", note="seen at the channel", line=1)
        await at.told("orders-settle", order=third.order, verdict="give-back", note="seen at the channel")
        with pytest.raises(BridgeError, match="under way"):
            await at.told("orders-settle", order=third.order, verdict="give-back", note="seen at the channel")
        for number in (second.order, third.order):
            (refund,) = (await at.order(number)).refunds
            await at.prove(refund)
            assert (await at.order(number)).state == "completed-with-refunds"
        assert await at.left() == {"channel:wechat": 12_345, "company:power": -12_345}
        assert [name for name, _ in at.acts] == ["order-settle"] * 3
        shown = await at.told("orders-show", order=third.order)
        assert (shown["code"], shown["payments"][0]["transactions"]) == ("amount-mismatch", ["t3"])
        assert (await at.payments.desk.report()).held == ()
        with pytest.raises(BridgeError, match="only of one that is held"):
            await at.told("orders-settle", order=first.order, verdict="refused", note="seen at the channel", line=1)


# --- killed -----------------------------------------------------------------------------------------------


async def scenario(at: World, name: str, reaper: Reaper) -> str:
    """An order with coupons, paid twice, one line refused; each request is asked again until it is answered."""

    async def done(work: Callable[[], Any]) -> None:
        while True:
            try:
                await work()
                return
            except Killed:
                reaper.dead = False
                await at.restarted()

    lines = tuple(
        {"company": company, "account": account, "bills": (MONTH,), "amount": at.companies.owed[account]}
        for company, account in (("power", POWER), ("water", WATER), ("gas", GAS))
    )
    number = number_of(name)
    at.companies.outcomes[f"{number}-2"] = ["bill-not-open"] * 9
    await done(lambda: at.ask("payment-order-create", name, channel="wechat", lines=lines, parts=PARTS))
    await done(at.run)
    await done(lambda: at.ask("payment-order-pay", f"{name}-pay", order=number))
    await done(lambda: at.confirm(number, 18_667, f"{name}-t"))
    await done(lambda: at.confirm(number, 18_667, f"{name}-a", "alipay"))
    await done(at.run)
    for refund in (await at.order(number)).refunds:
        await done(partial(at.prove, refund))
    await done(at.run)
    return number


@pytest.mark.parametrize("point", ["proof-uncommitted", "proof-committed", "order-uncommitted", "order-committed"])
async def test_a_kill_at_any_time_loses_and_doubles_nothing(
    make: Callable[..., Any], point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_RESERVED_WITHIN_S", 0.0)
    reaper = Reaper(f"bridge.{point}")
    for module in (acting, looking, service):
        monkeypatch.setattr(module, "reach", reaper.reach)
    async with make() as at:
        for times in range(1, 3 if point == "order-committed" else 5):  # so often it is reached
            reaper.left = times
            done = await at.order(await scenario(at, f"create-{times}", reaper))
            assert reaper.left <= 0, "it was not killed"
            assert (done.state, states(done)) == ("completed-with-refunds", ["written-off", "refunded", "written-off"])
            assert set(at.companies.applied.values()) == {1}
            assert await at.left() == {
                name: amount * times
                for name, amount in {
                    "channel:wechat": 12_331, "company:gas": -866, "company:power": -12_345, "promo:bank": 660,
                    "promo:power": 220,
                }.items()
            }  # fmt: skip
