"""What becomes of a bill whose agreement ends, or whose bank says nothing: it is charged by one side, or free again."""

from pathlib import Path
from typing import Any

import pytest

from intranet_bridge.marketing import Refused
from protocol.keyring import Keyring
from protocol.lifecycle import State
from protocol.operations.notice_kinds import NoticeKind
from tests.unit.intranet_bridge.settlement.withholding.test_bills_in_orders import told
from tests.unit.intranet_bridge.settlement.withholding.world import BATCH, FIRST, World, at, world

pytestmark = pytest.mark.anyio
ANSWER = "SDDL_REDKKK_37101_20261125.txt"


def agreed(*bills: tuple[Any, ...]) -> list[dict[str, Any]]:
    """The agreements of these bills' accounts."""
    return [
        {"account": bill[0], "agreement": "WH000000000001", "bank": "ccb", "bank_account": bill[6]} for bill in bills
    ]


def owed(*bills: tuple[Any, ...], **more: Any) -> list[dict[str, Any]]:
    """These bills, open."""
    return [
        {
            "account": account, "month": month, "bill": bill, "amount": fen, "penalty": penalty,
            "due_on": "2026-11-25", **more,
        }
        for account, month, bill, fen, penalty, *_ in bills
    ]  # fmt: skip


def answer(
    it: World, debited: str, flag: str, name: str = "SDDL_DKKK_37101_20261125.txt", day: str = "20261125"
) -> bytes:
    """The bank says the same of every line."""
    header, *rows = it.files.sent[name].decode("gb18030").splitlines()
    count, total, *rest = header.split("|")
    charged = (count, total) if flag == "1" else ("0", "0.00")
    lines = ["|".join((count, total, *charged, *rest)), *(f"{row}{day}|{debited}|{flag}|||" for row in rows)]
    return "".join(f"{line}\r\n" for line in lines).encode("gb18030")


async def frozen(it: World) -> None:
    """Two lines are frozen on their day, and a third's value keeps their batch from being sealed."""
    it.marketing.bills, it.marketing.agreements = owed(*FIRST[:3]), agreed(*FIRST[:3])
    it.marketing.freezes = True
    for bill in FIRST[:2]:
        await it.charge(bill)
    await it.charge((*FIRST[2][:5], "1", FIRST[2][6]))
    await it.store.write(lambda c: c.exec_driver_sql("UPDATE withholding_lines SET quantity='1|2' WHERE bill='R203'"))
    it.clock.now = at(25, 6)
    await it.part.look()
    for number in (1, 2, 3):
        await it.commands.comes(f"D2026112500000{number}-F")
    await it.part.look()
    assert {(row.state, row.hold) for row in (await it.lines()).values()} == {("waiting", "held")}
    assert it.files.sent == {}
    for one in it.marketing.bills:
        one["frozen"] = BATCH


async def test_a_frozen_bill_whose_agreement_ends_before_its_batch_is_sealed_is_let_go(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await frozen(it)
        it.marketing.agreements = agreed(FIRST[0], FIRST[2])
        await it.part.desk.release("D20261125000003", "li", "户名有误")
        it.marketing.down = True
        it.clock.now = at(25, 9)
        await it.turn()
        assert it.files.sent == {}  # what was said in the morning is not believed any more
        it.marketing.down = False
        await it.turn()
        lines = await it.lines()
        assert {bill: (row.state, row.hold, row.code) for bill, row in lines.items()} == {
            "R201": ("requested", "held", ""), "R202": ("dropped", "releasing", "no-such-agreement"),
            "R203": ("withdrawn", "releasing", ""),
        }  # fmt: skip
        assert set(await it.commands.given("bill-release")) == {"D20261125000002-R", "D20261125000003-R"}
        body = (await it.commands.given())["D20261125000002-R"]
        assert body == {"account": FIRST[1][0], "months": ["2026-10"], "batch": BATCH}
        assert len(await it.commands.given("bill-freeze")) == 3  # nothing is frozen once more
        (content,) = it.files.sent.values()
        assert (b"|R201|" in content, b"|R202|" in content) == (True, False)
        assert it.told.notices == []  # no bank was asked for it
        await it.commands.comes("D20261125000002-R")
        assert (await it.lines())["R202"].hold == "released"


async def test_a_frozen_bill_that_is_corrected_before_its_batch_is_sealed_goes_as_it_is(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await frozen(it)
        it.marketing.bills = [{**one, "amount": 5000} for one in it.marketing.bills or () if one["bill"] != "R202"]
        await it.part.desk.release("D20261125000003", "li", "户名有误")
        it.clock.now = at(25, 9)
        await it.turn()
        lines = await it.lines()
        assert (lines["R201"].state, lines["R201"].amount) == ("requested", 5000)
        assert (lines["R202"].state, lines["R202"].code, lines["R202"].hold) == (
            "dropped",
            "bill-not-open",
            "releasing",
        )


async def test_a_frozen_line_is_taken_back_until_its_batch_is_sealed(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await frozen(it)
        cancel = {"account": FIRST[1][0], "line": "D20261125000002"}
        assert (await it.ask("withholding-charge-cancel", **cancel)).batch == BATCH
        assert (await it.ask("withholding-charge-cancel", **cancel)).batch == BATCH
        row = (await it.lines())["R202"]
        assert (row.state, row.hold) == ("withdrawn", "releasing")
        assert list(await it.commands.given("bill-release")) == ["D20261125000002-R"]
        await it.part.desk.release("D20261125000003", "li", "户名有误")
        await it.turn()
        (content,) = it.files.sent.values()
        assert b"|R202|" not in content
        cancel = {"account": FIRST[0][0], "line": "D20261125000001"}
        assert await it.ask("withholding-charge-cancel", **cancel) == Refused("line-sealed")


async def test_a_hold_that_is_still_asked_for_is_ended_after_it(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        it.marketing.freezes = True
        it.marketing.agreements = agreed(FIRST[0])
        await it.charge(FIRST[0])
        it.clock.now = at(25, 6)
        await it.turn()
        assert (await it.lines())["R201"].hold == "asked"
        it.marketing.agreements = []
        it.clock.now = at(25, 8)
        await it.turn()
        row = (await it.lines())["R201"]
        assert (row.state, row.hold) == ("dropped", "releasing")
        await it.commands.comes("D20261125000001-F")
        await it.commands.comes("D20261125000001-R")
        row = (await it.lines())["R201"]
        assert (row.state, row.hold, (await it.batch()).state) == ("dropped", "released", "dropped")


async def test_what_is_sealed_is_asked_for_and_honoured_though_its_agreement_has_ended(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    """The bytes are on record, and may be with the bank: the bill is no order's until the bank has said what it did."""
    async with world(database_url, bridge_keyring, tmp_path) as it:
        it.marketing.bills, it.marketing.agreements = owed(FIRST[0]), agreed(FIRST[0])
        await it.charge(FIRST[0])
        it.clock.now = at(25, 6)
        await it.part.look()
        assert (await it.batch()).state == "sealed"
        it.marketing.agreements = []
        it.clock.now = at(25, 12)
        await it.turn()
        assert ((await it.batch()).state, await it.states()) == ("sent", {"R201": "requested"})
        assert await told(it) == "bill-in-use, line 1"
        await it.answered(ANSWER, answer(it, "59.80", "1"))
        assert await it.states() == {"R201": "charged"}
        assert list(await it.commands.given("payment-writeoff")) == ["D20261125000001"]


@pytest.mark.parametrize("paid", [False, True])
async def test_a_refused_bill_whose_agreement_has_ended_is_not_asked_for_again_and_its_customer_is_told(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path, paid: bool
) -> None:
    """Who has paid it meanwhile is told nothing."""
    async with world(database_url, bridge_keyring, tmp_path) as it:
        it.marketing.bills, it.marketing.agreements = owed(FIRST[0]), agreed(FIRST[0])
        await it.sealed(FIRST[:1])
        await it.answered(ANSWER, answer(it, "0.00", "0"))
        assert (await it.states(), await told(it)) == ({"R201": "refused"}, "")  # to be paid from now on
        it.marketing.agreements = []
        if paid:
            it.marketing.bills = []
        for hour in (5, 6):
            it.clock.now = at(28, hour)
            await it.turn()
        (retry,) = await it.part.desk.lines("SDDL-37101-20261128")
        assert (retry.state, retry.code) == ("dropped", "bill-not-open" if paid else "no-such-agreement")
        assert len(it.files.sent) == 1
        assert [(one.kind, one.data.tries, one.data.amount_fen) for _, one in it.told.notices] == (
            [] if paid else [(NoticeKind.WITHHOLDING_FAILED, 1, 5980)]
        )
        it.clock.now = at(10, 6, month=12)
        await it.turn()
        assert (len(it.files.sent), len(it.told.notices)) == (1, 0 if paid else 1)


async def overdue(it: World) -> None:
    """Two lines, frozen, and no answer."""
    it.marketing.freezes = True
    for bill in FIRST[:2]:
        await it.charge(bill)
    it.clock.now = at(25, 6)
    await it.part.look()
    for number in (1, 2):
        await it.commands.comes(f"D2026112500000{number}-F")
    await it.turn()
    assert "is waited for" in await it.refused(it.part.desk.release("D20261125000001", "li", "no"))
    it.clock.now = at(27, 18)
    await it.turn()
    assert (await it.batch()).state == "overdue"


async def test_bills_of_a_batch_that_no_bank_answers_are_free_when_a_person_says_so(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await overdue(it)
        assert await told(it) == "bill-in-use, line 1"
        released = await it.part.desk.release("D20261125000001", "li", "银行称未处理该文件")
        assert (released.state, released.hold, released.batch_state) == ("released", "releasing", "overdue")
        assert list(await it.commands.given("bill-release")) == ["D20261125000001-R"]
        assert await told(it) == ""
        await it.turn()
        assert (await it.batch()).state == "overdue"  # the other one is still asked for
        await it.part.desk.release("D20261125000002", "li", "银行称未处理该文件")
        await it.turn()
        assert (await it.batch()).state == "closed"


@pytest.mark.parametrize("released", [1, 2])
async def test_a_late_answer_is_honoured_after_a_person_had_released_the_lines(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path, released: int
) -> None:
    """What was charged is written off; a no asks for nothing again, as the person has settled it."""
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await overdue(it)
        for number in range(1, released + 1):
            await it.part.desk.release(f"D2026112500000{number}", "li", "银行称未处理该文件")
        await it.turn()
        rows = it.files.sent["SDDL_DKKK_37101_20261125.txt"].decode().splitlines()
        text = f"2|72.10|1|59.80|20261125|013|1|\r\n{rows[1]}20261128|59.80|1|B1||\r\n{rows[2]}20261128|0.00|0||x|\r\n"
        it.clock.now = at(28, 9)
        await it.answered(ANSWER, text.encode())
        states = {line.id: line.state for line in await it.part.desk.lines(BATCH)}
        assert states == {
            "D20261125000001": "charged", "D20261125000002": "released" if released == 2 else "refused",
        }  # fmt: skip
        assert (await it.batch()).state == "answered"
        await it.commands.comes("D20261125000001", State.REFUSED, "bill-not-open")  # the customer has paid it since
        row = (await it.lines())["R201"]
        assert (row.state, row.debited) == ("not-written-off", 5980)  # held: it is owed to the payer
        await it.part.desk.release("D20261125000001", "li", "退款", owed=True)
        await it.turn()
        assert (await it.batch()).state == "closed"


async def test_an_unreadable_answer_changes_nothing_and_its_batch_is_overdue_all_the_same(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await it.sealed(FIRST[:1])
        await it.answered(ANSWER, b"\xff\xfe nothing")
        assert ((await it.batch()).state, await it.states()) == ("sent", {"R201": "requested"})
        it.clock.now = at(27, 18)
        await it.turn()
        assert (await it.batch()).state == "overdue"
        assert (await it.part.desk.release("D20261125000001", "li", "银行称未扣")).state == "released"


async def charged_after_release(it: World, *, again: bool) -> None:
    """Of an overdue batch a line is released, its bill perhaps asked for again; then the bank says that it charged."""
    await overdue(it)
    await it.part.desk.release("D20261125000001", "li", "银行称未处理该文件")
    if again:
        await it.charge(FIRST[0])
    rows = it.files.sent["SDDL_DKKK_37101_20261125.txt"].decode().splitlines()
    text = f"2|72.10|1|59.80|20261125|013|1|\r\n{rows[1]}20261128|59.80|1|B1||\r\n{rows[2]}20261128|0.00|0||x|\r\n"
    await it.answered(ANSWER, text.encode())


@pytest.mark.parametrize("again", [False, True])
async def test_what_was_charged_after_a_release_waits_for_people_when_it_is_not_written_off(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path, again: bool
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await charged_after_release(it, again=again)
        if not again:
            assert await told(it) == "bill-in-use, line 1"  # its write-off is under way
        await it.commands.comes("D20261125000001", State.REFUSED, "bill-not-open")
        await it.part.count()
        report = it.part.reports()["withholding"].model_dump()
        assert (report["held"], report["held_fen"]) == (1, 5980)
        (line,) = await it.part.desk.lines(states=["not-written-off"])
        await it.part.desk.release(line.id, "li", "退款", owed=True)
        await it.part.count()
        assert it.part.reports()["withholding"].model_dump()["held"] == 0
