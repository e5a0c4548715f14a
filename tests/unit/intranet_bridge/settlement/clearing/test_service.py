"""Clearing on real databases: from accepted statements to money that arrived, and the books beside it."""

import base64
import json
import os
from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel

from intranet_bridge.marketing import MarketingRequest, NotApplied, Refused
from intranet_bridge.settlement.clearing.answering import NotOffered
from intranet_bridge.settlement.clearing.counting import OrderLine
from intranet_bridge.settlement.clearing.rows import WAITING
from intranet_bridge.settlement.clearing.sheets import NotCleared, SheetState
from intranet_bridge.settlement.events import Paid, Part, RefundDue, Reversed, Surplus, WrittenOff
from protocol.errors import BridgeError
from protocol.operations.clearing import ClearingDay, ClearingOfDay
from protocol.runtime.control import Peer
from tests.unit.intranet_bridge.settlement.clearing.world import DAY, NEXT, SECTION, income, pay, refund, world

pytestmark = pytest.mark.anyio
POWER, WATER = "power.wechat.20261124", "water.wechat.20261124"


async def test_a_day_is_cleared_approved_paid_out_and_arrives(database_url: str) -> None:
    async with world(database_url) as at:
        await at.statement([pay("T1", 10_000, fee=60_000), pay("T2", 5_000, fee=30_400), refund("T0", 2_000, "R1")])
        await at.look()
        await at.look()
        found = await at.sheets()
        assert list(found) == [POWER]
        sheet = found[POWER]
        assert (sheet.gross, sheet.refunds, sheet.fee, sheet.net, sheet.state) == (
            15_000,
            2_000,
            90,
            12_910,
            "computed",
        )
        assert await at.balances() == {"channel:wechat": 13_000, "company:power": -13_000}
        assert (await at.clearing.approve(POWER, "wang")).state is SheetState.APPROVED
        assert await at.balances() == {"channel:wechat": 12_910, "company:power": -12_910}
        name, content = await at.clearing.file(POWER)
        assert (name, content[:3]) == ("clearing_power_20261124_1.csv", b"\xef\xbb\xbf")
        assert "合计,3,150.00,0.00,-20.00,-0.90,0.00,129.10" in content.decode("utf-8-sig")
        assert (await at.clearing.paid_out(POWER, "wang")).state is SheetState.PAID_OUT
        assert await at.balances() == {"channel:wechat": 12_910, "transit:power": -12_910}
        done = await at.clearing.arrived(POWER, 12_910, "ICBC-1", NEXT, "wang")
        assert (done.state, done.outstanding) == (SheetState.ARRIVED, 0)
        assert not any((await at.balances()).values())
        assert (await at.clearing.arrived(POWER, 12_910, "ICBC-1", NEXT, "wang")).arrived == 12_910  # told twice
        await at.look()
        assert await at.sheets() == {POWER: done}
        assert [act for _, act, _, _ in (await at.clearing.sheet(POWER)).acts] == [
            "computed", "approve", "pay-out", "arrive"
        ]  # fmt: skip
        await at.whole()


async def test_a_day_waits_for_all_its_statements(database_url: str) -> None:
    async with world(database_url) as at:
        await at.statement([pay("A1", 100)], channel="alipay")
        await at.look()
        assert await at.sheets() == {}
        await at.statement([], channel="alipay", profile="alipay-refund", state="empty-confirmed")
        await at.look()
        assert list(await at.sheets()) == ["power.alipay.20261124"]
        await at.statement([pay("A2", 100)], channel="alipay", day=NEXT)
        at.tomorrow(3)
        await at.look()
        assert at.clearing.report().late == (
            f"alipay {NEXT} (alipay-refund)",
            "alipay 2026-11-26 (alipay-refund, alipay-trade)",
        )


async def test_negative_net_carried(database_url: str) -> None:
    async with world(database_url) as at:
        await at.statement([pay("T1", 300), refund("T0", 800, "R1")])
        await at.look()
        await at.statement([pay("T2", 900)], day=NEXT)
        await at.look()
        later = "power.wechat.20261125"
        assert (await at.sheets())[later].net == 900
        with pytest.raises(NotCleared, match=r"power\.wechat\.20261124 comes first: its net is negative"):
            await at.clearing.approve(later, "wang")
        carried = await at.clearing.approve(POWER, "wang")
        assert (carried.state, carried.net) == (SheetState.CARRIED, -500)
        sheet = (await at.sheets())[later]
        assert (sheet.carried, sheet.net, sheet.adjustments) == (-500, 400, 0)
        with pytest.raises(NotCleared, match="a sheet that is carried cannot pay-out"):
            await at.clearing.paid_out(POWER, "wang")
        await at.clearing.approve(later, "wang")
        await at.clearing.paid_out(later, "wang")
        assert await at.balances() == {"channel:wechat": 400, "transit:power": -400}
        assert "结转,0,0.00,0.00,0.00,0.00,-5.00,-5.00" in (await at.clearing.file(later))[1].decode()
        await at.look()
        assert at.clearing.report().carried == ()


async def test_carried_while_there_is_no_later_sheet_is_told(database_url: str) -> None:
    async with world(database_url) as at:
        await at.statement([refund("T0", 800, "R1")])
        await at.look()
        await at.clearing.approve(POWER, "wang")
        await at.look()
        assert at.clearing.report().carried == (POWER,)
        await at.statement([pay("T2", 800)], day=NEXT)
        await at.look()
        assert at.clearing.report().carried == ()
        assert (await at.clearing.approve("power.wechat.20261125", "wang")).state is SheetState.CLOSED  # nothing to pay
        assert await at.balances() == {"channel:wechat": 0, "company:power": 0} or not any(
            (await at.balances()).values()
        )


async def test_arrival_short_and_over(database_url: str) -> None:
    async with world(database_url) as at:
        await at.statement([pay("T1", 1_000)])
        await at.look()
        await at.clearing.approve(POWER, "wang")
        with pytest.raises(NotCleared, match="a sheet that is approved cannot arrive"):
            await at.clearing.arrived(POWER, 1_000, "B1", NEXT, "wang")
        await at.clearing.paid_out(POWER, "wang")
        short = await at.clearing.arrived(POWER, 900, "B1", NEXT, "wang")
        assert (short.state, short.outstanding) == (SheetState.SHORT, 100)
        with pytest.raises(NotCleared, match="another amount"):
            await at.clearing.arrived(POWER, 800, "B1", NEXT, "wang")
        await at.look()
        assert at.clearing.report().differing == (POWER,)
        await at.clearing.adjust(POWER, "next-sheet", "银行退回", "wang")
        with pytest.raises(NotCleared, match="by two people"):
            await at.clearing.adjust(POWER, "next-sheet", "银行退回", "wang")
        assert (
            await at.clearing.adjust(POWER, "channel", "银行手续费", "li")
        ).state is SheetState.SHORT  # said otherwise
        with pytest.raises(NotCleared, match="has the role approve"):
            await at.clearing.adjust(POWER, "channel", "", "sun", second=False)
        assert (await at.clearing.adjust(POWER, "channel", "", "wang")).state is SheetState.CLOSED
        assert not any((await at.balances()).values())

        await at.statement([pay("T2", 2_000)], day=NEXT)
        await at.look()
        later = "power.wechat.20261125"
        await at.clearing.approve(later, "wang")
        await at.clearing.paid_out(later, "wang")
        over = await at.clearing.arrived(later, 2_050, "B2", NEXT, "wang")
        assert (over.state, over.outstanding) == (SheetState.OVER, -50)
        await at.clearing.adjust(later, "next-sheet", "多付", "wang")
        assert (await at.clearing.adjust(later, "next-sheet", "多付", "li")).state is SheetState.CLOSED
        assert await at.balances() == {"channel:wechat": -50, "company:power": 50} or (
            (await at.balances())["company:power"] == 50
        )
        third = date(2026, 11, 26)
        await at.statement([pay("T3", 500)], day=third)
        at.tomorrow()
        await at.look()
        await at.look()
        sheet = (await at.sheets())["power.wechat.20261126"]
        assert (sheet.adjustments, sheet.net) == (-50, 450)
        await at.whole()


async def test_above_the_bound_it_takes_two_people(database_url: str) -> None:
    async with world(database_url) as at:
        await at.statement([pay("T1", 1_000_001)])
        await at.look()
        first = await at.clearing.approve(POWER, "wang")
        assert (first.state, first.signed_by) == (SheetState.COMPUTED, ("wang",))
        with pytest.raises(NotCleared, match="wang has signed it already"):
            await at.clearing.approve(POWER, "wang")
        with pytest.raises(NotCleared, match="has signed it already"):
            await at.clearing.approve(POWER, "root (wang)")
        assert (await at.clearing.approve(POWER, "root (li)")).state is SheetState.APPROVED


async def test_what_was_signed_once_and_grew_is_signed_anew(database_url: str) -> None:
    async with world(database_url) as at:
        await at.statement([pay("T1", 1_000_001)])
        await at.look()
        await at.clearing.approve(POWER, "wang")
        await at.statement([pay("T9", 5)])
        await at.look()
        assert (await at.sheets())[POWER].signed_by == ()
        assert (await at.clearing.approve(POWER, "wang")).state is SheetState.COMPUTED


async def test_late_rows_go_into_the_open_day_and_name_theirs(database_url: str) -> None:
    async with world(database_url) as at:
        await at.statement([pay("T1", 100)])
        await at.look()
        await at.sign(POWER)
        await at.statement([pay("T2", 30)])  # of the day that is signed
        await at.look()
        assert (await at.sheets())[POWER].net == 100
        await at.statement([pay("T3", 500)], day=NEXT)
        await at.look()
        await at.look()
        later = "power.wechat.20261125"
        found = await at.clearing.sheet(later)
        assert [(part.kind, part.origin, part.gross) for part in found.parts] == [
            ("late", DAY, 30), ("rows", NEXT, 500)
        ]  # fmt: skip
        assert found.sheet.net == 530


async def test_replaced_before_approval_is_computed_anew(database_url: str) -> None:
    async with world(database_url) as at:
        await at.statement([pay("T1", 100, fee=1000), pay("T2", 50)], name="a.csv")
        await at.look()
        await at.statement([pay("T1", 100, fee=2000), pay("T3", 70), pay("T4", 1)], name="a.csv")
        await at.look()
        await at.look()
        sheet = (await at.sheets())[POWER]
        assert (sheet.count, sheet.gross, sheet.fee, sheet.net) == (3, 171, 2, 169)
        await at.sign(POWER)
        assert (await at.balances())["company:power"] == -169
        assert await at.count(WAITING) == 0


async def test_replaced_after_approval_is_corrected_in_the_open_day(database_url: str) -> None:
    async with world(database_url) as at:
        await at.statement([pay("T1", 100, fee=1000), pay("T2", 50)], name="a.csv")
        await at.look()
        await at.sign(POWER)
        content = (await at.clearing.file(POWER))[1]
        await at.statement([pay("T1", 90, fee=1000), pay("T2", 50), pay("T3", 7)], name="a.csv")
        await at.look()  # no sheet is open
        assert (await at.clearing.file(POWER))[1] == content
        await at.statement([pay("T9", 500)], day=NEXT)
        await at.look()
        await at.look()
        later = "power.wechat.20261125"
        found = await at.clearing.sheet(later)
        assert [(part.kind, part.origin, part.net) for part in found.parts] == [
            ("correction", DAY, -149), ("late", DAY, 146), ("rows", NEXT, 500)
        ]  # fmt: skip
        await at.sign(later)
        assert (await at.clearing.file(POWER))[1] == content
        assert (await at.balances())["company:power"] == -(149 - 3 + 500)
        await at.whole()


async def test_rows_of_a_merchant_are_of_its_company(database_url: str) -> None:
    async with world(database_url) as at:
        await at.statement([pay("T1", 100)])
        await at.statement([pay("T2", 40)], merchant="1900000002")
        await at.look()
        found = await at.sheets()
        assert {id: (one.net, one.sequence) for id, one in found.items()} == {POWER: (100, 1), WATER: (40, 1)}


async def test_an_order_is_split_over_its_companies_and_a_coupon_charged_to_its_funder(database_url: str) -> None:
    """Lines of 100.00 and 50.00, a coupon of 15.00 funded by water: 10.00 and 5.00 of it."""
    async with world(database_url) as at:
        at.order(
            "P1", OrderLine(1, "power", 9_000, (("water", 1_000),)), OrderLine(2, "water", 4_500, (("water", 500),)),
            transactions={"T1"},
        )  # fmt: skip
        await at.statement([pay("T1", 13_500, "P1", fee=81_000)])
        await at.book(Paid("P1", "wechat", 13_500, (Part("water", 1_500),)))
        await at.look()
        assert await at.count(WAITING) == 2  # nobody knows yet what became of its lines
        assert {one.net for one in (await at.sheets()).values()} == {-54, -27}
        await at.book(WrittenOff("P1", 1, "power", 10_000), WrittenOff("P1", 2, "water", 5_000))
        for line in (1, 2):
            at.decide("P1", line, written=True)
        await at.look()
        found = await at.sheets()
        assert {id: (one.gross, one.promotions, one.fee, one.net) for id, one in found.items()} == {
            POWER: (9_000, 1_000, 54, 9_946), WATER: (4_500, -1_000, 27, 3_473)
        }  # fmt: skip
        for id in (POWER, WATER):
            await at.sign(id)
        left = await at.balances()
        assert {name: amount for name, amount in left.items() if amount} == {
            "channel:wechat": 13_419, "company:power": -9_946, "company:water": -3_473
        }  # fmt: skip


async def test_a_refused_line_is_no_companys_and_a_reversed_one_is_taken_back(database_url: str) -> None:
    async with world(database_url) as at:
        at.order("P1", OrderLine(1, "power", 900, (("bank", 100),)), OrderLine(2, "water", 400), transactions={"T1"})
        await at.statement([pay("T1", 1_300, "P1"), pay("T2", 1_300, "P1")])  # the second is surplus
        await at.book(
            Paid("P1", "wechat", 1_300, (Part("bank", 100),)), Surplus("wechat", "T2", 1_300),
            WrittenOff("P1", 1, "power", 1_000),
        )  # fmt: skip
        at.decide("P1", 1, written=True)
        at.decide("P1", 2, gone=True)
        await at.look()
        assert {id: one.net for id, one in (await at.sheets()).items()} == {POWER: 1_000, "bank.wechat.20261124": -100}
        await at.statement(
            [
                refund("T1", 400, "P1-2-R1", "P1"),
                refund("T1", 500, "P1-1-R1", "P1"),
                refund("T1", 400, "P1-1-R2", "P1"),
            ],
            day=NEXT,
        )
        await at.look()
        assert await at.count(WAITING) == 2
        await at.book(
            Reversed("P1", 1, "power", 1_000), RefundDue("P1-1-R1", "P1", "wechat", 900, (Part("bank", 100),))
        )
        at.decide("P1", 1, reversed=True, gone=True)
        await at.look()
        assert await at.count(WAITING) == 0
        found = await at.sheets()
        assert {id: one.net for id, one in found.items() if one.day == NEXT} == {
            "power.wechat.20261125": -1_000, "bank.wechat.20261125": 100
        }  # fmt: skip


async def test_what_the_platform_kept_for_its_own_coupon_is_the_companys(database_url: str) -> None:
    async with world(database_url) as at:
        await at.statement([pay("T1", 1_000, settled=900), refund("T0", 500, "R1", settled=-450)])
        await at.look()
        sheet = (await at.sheets())[POWER]
        assert (sheet.gross, sheet.refunds, sheet.promotions, sheet.net) == (1_000, 500, -50, 450)
        await at.sign(POWER)
        assert (await at.balances())["channel:wechat"] == 450


async def test_a_bank_statement_says_what_arrived(database_url: str) -> None:
    async with world(database_url) as at:
        await at.statement([pay("T1", 1_000)])
        await at.statement([pay("T2", 700)], day=NEXT)
        await at.look()
        for id in (POWER, "power.wechat.20261125"):
            await at.sign(id)
            await at.clearing.paid_out(id, "wang")
        rows = [income("B1", 1_000), income("B2", 600, "clearing_power_20261125_1.csv"), income("B3", 55)]
        await at.statement(rows, channel="bank", profile="bank-icbc", day=NEXT)
        await at.look()
        await at.look()
        found = await at.sheets()
        assert {id: (one.state, one.arrived) for id, one in found.items()} == {
            POWER: ("arrived", 1_000), "power.wechat.20261125": ("short", 600)
        }  # fmt: skip
        assert [one.row for one in (await at.clearing.sheet(POWER)).arrivals] == ["B1"]


@pytest.mark.parametrize("number", ["", "B1"])
async def test_a_row_of_the_banks_pays_one_sheet(database_url: str, number: str) -> None:
    """It has not paid a later one of the same amount too, without a number or where an operator gave it to a sheet."""
    async with world(database_url) as at:
        await at.statement([pay("T1", 1_000)])
        await at.look()
        await at.sign(POWER)
        await at.clearing.paid_out(POWER, "wang")
        await at.statement([income(number, 1_000)], channel="bank", profile="bank-icbc", day=NEXT)
        if number:
            await at.clearing.arrived(POWER, 1_000, number, NEXT, "wang")
        await at.look()
        assert (await at.sheets())[POWER].state == "arrived"
        await at.statement([pay("T2", 1_000)], day=NEXT)
        await at.look()
        later = "power.wechat.20261125"
        await at.sign(later)
        await at.clearing.paid_out(later, "wang")
        await at.look()
        assert (await at.sheets())[later].state == "paid-out"
        assert (await at.balances())["transit:power"] == -1_000


async def test_a_replaced_statement_of_the_bank_counts_no_row_without_a_number_again(database_url: str) -> None:
    """In another place of the file it is the same; a second one alike is new."""
    async with world(database_url) as at:
        for day in (DAY, NEXT):
            await at.statement([pay(f"T{day}", 1_000)], day=day)
            await at.look()
        later = "power.wechat.20261125"
        await at.sign(POWER)
        await at.clearing.paid_out(POWER, "wang")
        bank: dict[str, Any] = {"channel": "bank", "profile": "bank-icbc", "day": NEXT, "name": "icbc.txt"}
        await at.statement([income("", 1_000)], **bank)
        await at.look()
        assert (await at.sheets())[POWER].state == "arrived"
        await at.sign(later)
        await at.clearing.paid_out(later, "wang")
        await at.statement([income("", 7), income("", 1_000)], **bank)
        await at.look()
        assert (await at.sheets())[later].state == "paid-out"
        await at.statement([income("", 7), income("", 1_000), income("", 1_000)], **bank)
        await at.look()
        assert (await at.sheets())[later].state == "arrived"


async def test_a_row_that_an_operator_gave_otherwise_stops_nothing(database_url: str) -> None:
    """The bank has it with another amount, and names the sheet; the rows after it count."""
    async with world(database_url) as at:
        await at.statement([pay("T1", 1_000)])
        await at.statement([pay("T2", 700)], day=NEXT)
        await at.look()
        later = "power.wechat.20261125"
        for id in (POWER, later):
            await at.sign(id)
            await at.clearing.paid_out(id, "wang")
        await at.clearing.arrived(POWER, 500, "B1", NEXT, "wang")
        rows = [income("B0", 0, POWER), income("B1", 600, POWER), income("B2", 700)]
        await at.statement(rows, channel="bank", profile="bank-icbc", day=NEXT)
        await at.look()
        found = await at.sheets()
        assert [(found[id].state, found[id].arrived) for id in (POWER, later)] == [("short", 500), ("arrived", 700)]


async def test_a_banks_row_is_named_in_one_way(database_url: str) -> None:
    """One that is written with a blank more is no other."""
    async with world(database_url) as at:
        answers = at.clearing.answers()
        for row in (" B1", "B1 ", "B 1", "B1\n", "Ｂ1", "", "B" * 65):
            with pytest.raises(BridgeError, match="row"):
                await answers["clearing-arrived"](
                    {"sheet": POWER, "amount": 1, "row": row, "day": str(NEXT)}, Peer(os.getuid(), 1)
                )


async def test_two_people_say_that_a_company_is_owed_more(database_url: str) -> None:
    async with world(database_url) as at:
        await at.statement([pay("T1", 100)])
        await at.look()
        first = await at.clearing.owe("power", "wechat", -30, "多结", "wang")
        await at.look()
        assert (first.said_by, (await at.sheets())[POWER].net) == (("wang",), 100)
        for again in ("wang", "root (wang)"):
            with pytest.raises(NotCleared, match="by two people"):
                await at.clearing.owe("power", "wechat", -30, "多结", again)
        with pytest.raises(NotCleared, match="has the role approve"):
            await at.clearing.owe("power", "wechat", -30, "多结", "sun", second=False)
        assert (await at.clearing.owe("power", "wechat", -30, "多结", "li")).said_by == ("wang", "li")
        await at.look()
        assert (await at.sheets())[POWER].net == 70
        assert (await at.balances())["company:power"] == -70
        with pytest.raises(NotCleared, match="channel: cash is not cleared here"):
            await at.clearing.owe("power", "cash", 1, "x", "wang")
        with pytest.raises(NotCleared, match="company: powr is not cleared here"):
            await at.clearing.owe("powr", "wechat", 1, "x", "wang")


async def test_files_of_signed_sheets_go_to_their_target_once(database_url: str) -> None:
    async with world(database_url, SECTION.model_copy(update={"target": "bank"})) as at:
        await at.statement([pay("T1", 100)])
        await at.look()
        assert at.submitted == []
        await at.sign(POWER)
        await at.look()
        await at.look()
        ((target, name, content),) = at.submitted
        assert (target, name) == ("bank", "clearing_power_20261124_1.csv")
        assert content == (await at.clearing.file(POWER))[1]


async def test_a_bridge_without_its_lease_computes_nothing(database_url: str) -> None:
    async with world(database_url) as at:
        await at.statement([pay("T1", 100)])
        at.allowed = False
        await at.look()
        assert await at.sheets() == {}


async def test_clearing_day_is_answered_for_companies_that_are_there(database_url: str) -> None:
    async with world(database_url) as at:
        await at.statement([pay("T1", 10_000, fee=60_000)])
        await at.look()
        (answer,) = at.clearing.handlers().values()

        async def asked(**body: str) -> BaseModel | Refused | NotApplied:
            question = MarketingRequest("r1", ClearingDay.model_validate(body))
            return await answer(question)

        found = await asked(company="power", day="2026-11-24")
        assert isinstance(found, ClearingOfDay)
        assert [(one.sheet, one.state, one.gross, one.net) for one in found.sheets] == [
            (POWER, "computed", 10_000, 9_940)
        ]  # fmt: skip
        assert await asked(company="power", day="2026-11-24", channel="alipay") == ClearingOfDay(
            company="power", day="2026-11-24", sheets=()
        )  # fmt: skip
        assert await asked(company="gas", day="2026-11-24") == Refused("no-such-company")
        (refused,) = NotOffered().handlers().values()
        assert await refused(MarketingRequest("r1", None)) == Refused("clearing-not-offered")


async def test_an_administrator_asks_over_the_control_socket(database_url: str) -> None:
    async with world(database_url) as at:
        await at.statement([pay("T1", 1_000_001)])
        await at.look()
        answers, wang = at.clearing.answers(), Peer(0, 1)
        days = {"first": "2026-11-01", "last": "2026-11-30"}
        (listed,) = (await answers["clearing-list"](days, wang))["sheets"]
        assert (listed["id"], listed["net"], listed["day"]) == (POWER, 1_000_001, "2026-11-24")
        first = await answers["clearing-approve"]({"sheet": POWER, "sudo_user": "wang"}, wang)
        assert first["signed_by"] == ["root (wang)"]
        second = await answers["clearing-approve"]({"sheet": POWER, "sudo_user": "li"}, wang)
        assert (second["state"], second["outstanding"]) == ("approved", 0)
        shown = await answers["clearing-show"]({"sheet": POWER}, wang)
        assert json.loads(json.dumps(shown))["acts"][1][1:3] == ["signed", "root (wang)"]
        part = await answers["clearing-file"]({"sheet": POWER, "offset": 3}, wang)
        assert base64.b64decode(part["data"]) == (await at.clearing.file(POWER))[1][3:]
        for wrong in ({"sheet": "x"}, {}, {"sheet": POWER, "amount": "a", "row": "1", "day": "2026-11-25"}):
            with pytest.raises(BridgeError):
                await answers["clearing-arrived" if "row" in wrong else "clearing-show"](wrong, wang)
        with pytest.raises(BridgeError, match="last: is before first"):
            await answers["clearing-list"]({"first": "2026-11-30", "last": "2026-11-01"}, wang)
