"""A batch on record, from its first line to its end."""

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, select

from intranet_bridge.marketing import NotApplied, Refused
from intranet_bridge.settlement.rows import BOOKS
from intranet_bridge.settlement.withholding.life import (
    BATCH_TRANSITIONS,
    ENDED,
    LINE_TRANSITIONS,
    BatchState,
    LineState,
)
from intranet_bridge.settlement.withholding.records import in_flight, of_request
from intranet_bridge.settlement.withholding.rows import ANSWERS, ISSUED, LINES, RETRIES
from protocol.keyring import Keyring
from protocol.lifecycle import State
from protocol.operations.notice_kinds import NoticeKind
from protocol.runtime.books import balances
from protocol.runtime.file_store import FileState
from tests.unit.done_twice import written_twice
from tests.unit.intranet_bridge.settlement.withholding.world import BATCH, FIRST, SAMPLES, World, at, world

pytestmark = pytest.mark.anyio
REQUEST, ANSWER = "SDDL_DKKK_37101_20261125.txt", "SDDL_REDKKK_ 37101_20261125.txt"
GOLDEN = (SAMPLES / REQUEST).read_bytes()
ALSO = (SAMPLES / ANSWER).read_bytes()
SECOND_ANSWER = "SDDL_REDKKK_37101_20261126.txt"


def said(*lines: tuple[str, str, str, str], header: str = "4|179.17|") -> bytes:
    """An answer to the first batch: the end of the number, what was debited, the flag, the bank's words."""
    rows = {row.split("|")[0][-1]: row for row in GOLDEN.decode("gb18030").splitlines()[1:]}
    charged = [line for line in lines if line[2] == "1"]
    total = sum(round(float(line[1]) * 100) for line in charged)
    out = [f"{header}{len(charged)}|{total / 100:.2f}|20261125|013|1|"]
    out += [f"{rows[end]}20261126|{debited}|{flag}|B{end}|{words}|" for end, debited, flag, words in lines]
    return ("\r\n".join(out) + "\r\n").encode("gb18030")


async def test_withholding_golden_bytes(database_url: str, bridge_keyring: Keyring, tmp_path: Path) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        made = await it.charge(FIRST[0])
        assert (made.line, made.batch, made.day, made.amount) == ("D20261125000001", BATCH, "2026-11-25", 5860)
        for bill in FIRST[1:]:
            await it.charge(bill)
        await it.turn()
        assert it.files.sent == {}  # its day has not come
        it.clock.now = at(25, 6)
        await it.turn()
        assert it.files.sent == {REQUEST: GOLDEN}
        batch = await it.batch()
        assert (batch.state, batch.count, batch.total) == ("sent", 4, 17917)
        assert batch.sha256 == hashlib.sha256(GOLDEN).hexdigest()
        assert set((await it.states()).values()) == {"requested"}
        assert await it.part.desk.content(BATCH) == (REQUEST, GOLDEN)
        await it.part.desk.resend(BATCH, "li")
        assert it.files.sent == {REQUEST: GOLDEN}
        assert len(it.files.again) == 1
        assert ("withholding-resend", "li") in it.acts


async def test_an_answer_takes_effect_line_by_line(database_url: str, bridge_keyring: Keyring, tmp_path: Path) -> None:
    """answer_unknown_missing_partial, name_with_inner_blank: the sample, against its `.expected.json`."""
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await it.sealed()
        await it.answered(ANSWER)
        wanted = json.loads((SAMPLES / "SDDL_REDKKK_37101_20261125.expected.json").read_text())["lines"]
        lines = {row.det_id: row for row in (await it.lines()).values()}
        assert {id: row.state for id, row in lines.items()} == {id: one["state"] for id, one in wanted.items()}
        assert lines["D20261125000003"].reason == wanted["D20261125000003"]["reason"]
        assert lines["D20261125000009"].debited == 537
        given = await it.commands.given()
        assert list(given) == ["D20261125000001"]  # exactly one write-off, under its detId
        body = given["D20261125000001"]
        assert (body["transaction"], body["amount"], body["months"]) == ("D20261125000001", 5980, ["2026-10"])
        assert (body["paid_at"], body["booked_on"]) == ("2026-11-25T00:00:00+08:00", "2026-11-25")
        assert (await it.batch()).state == "answered"
        await it.answered(ANSWER)  # looked at again
        assert await it.commands.given() == given
        await it.commands.comes("D20261125000001", payment="PY000000000001")
        await it.commands.comes("D20261125000001", payment="PY000000000001")
        await it.turn()
        written = (await it.lines())["R201"]
        assert (written.state, written.payment) == ("written-off", "PY000000000001")
        assert (await it.batch()).state == "applied"
        found = await it.store.read(lambda c: balances(c, BOOKS))
        assert dict(found) == {"channel:withholding": 5980, "company:power": -5980}


async def test_answer_repeats_request_totals(database_url: str, bridge_keyring: Keyring, tmp_path: Path) -> None:
    async with world(database_url, bridge_keyring, tmp_path, retry_days=(1,), in_transit="0") as it:
        await it.sealed(FIRST[2:3])
        await it.answered("SDDL_REDKKK_37101_20261125.txt", _of_one(it, "0.00", "0", "余额不足"))
        await it.retried()
        batch = "SDDL-37101-20261126"
        for folder, code in (("wrong_batch", "wrong-batch"), ("ok_total_wrong", "totals-mismatch")):
            await it.answered(f"{folder}/{SECOND_ANSWER}")
            assert (await it.batch(batch)).state == "sent"
            answers = await it.store.read(lambda c: c.execute(select(ANSWERS).where(ANSWERS.c.batch == batch)).all())
            assert code in {row.code for row in answers}
        assert await it.commands.given() == {}
        await it.part.count()
        report = it.part.reports()["withholding"].model_dump()
        assert len(report["refused"]) == 2
        await it.answered(SECOND_ANSWER)
        assert (await it.batch(batch)).state == "answered"
        await it.part.count()
        assert it.part.reports()["withholding"].refused == ()  # type: ignore[attr-defined]
        (finding,) = json.loads(next(row.findings for row in answers if row.code == "totals-mismatch"))
        assert (finding["expected"], finding["found"]) == ("143.00", "143.20")


def _of_one(it: World, debited: str, flag: str, words: str) -> bytes:
    (content,) = it.files.sent.values()
    header, row = content.decode("gb18030").splitlines()
    count, total, *rest = header.split("|")
    charged = ("1", debited) if flag == "1" else ("0", "0.00")
    first = "|".join((count, total, *charged, *rest))
    return f"{first}\r\n{row}20261125|{debited}|{flag}||{words}|\r\n".encode("gb18030")


async def test_retry_has_new_detid(database_url: str, bridge_keyring: Keyring, tmp_path: Path) -> None:
    """The second golden file: of its three bills one was refused the day before."""
    async with world(database_url, bridge_keyring, tmp_path, retry_days=(1,), in_transit="0") as it:
        await it.sealed(FIRST[2:3])
        await it.answered("SDDL_REDKKK_37101_20261125.txt", _of_one(it, "0.00", "0", "余额不足"))
        assert await it.states() == {"R203": "refused"}
        (due,) = await it.store.read(lambda c: c.execute(select(RETRIES)).all())
        assert due.due == date(2026, 11, 26)
        await it.retried()
        rows = await it.store.read(lambda c: c.execute(select(LINES).where(LINES.c.bill == "R203")).all())
        assert {(row.id, row.tries, row.state) for row in rows} == {
            ("D20261125000001", 0, "refused"), ("D20261126000003", 1, "requested"),
        }  # fmt: skip
        name = "SDDL_DKKK_37101_20261126.txt"
        assert it.files.sent[name] == (SAMPLES / name).read_bytes()


async def test_a_bill_that_is_refused_thrice_is_asked_for_on_d3_and_d7_and_then_its_customer_is_told(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await it.sealed(FIRST[:1])
        for tries, (day, month) in enumerate([(25, 11), (28, 11), (2, 12)]):
            it.clock.now = at(day, 5, month=month)
            await it.turn()
            it.clock.now = at(day, 6, month=month)
            await it.turn()
            name, content = list(it.files.sent.items())[-1]
            name, content = max(it.files.sent.items(), key=lambda one: one[0][-12:])
            header, row = content.decode().splitlines()
            count, total, *rest = header.split("|")
            answer = f"{count}|{total}|0|0.00|{'|'.join(rest)}\r\n{row}2026{month}{day:02}|0.00|0|||\r\n"
            assert it.told.notices == [], tries
            await it.answered(name.replace("DKKK", "REDK"), answer.encode())
        ((push, notice),) = it.told.notices
        assert (push, notice.kind) == ("withholding-D20261202000001", NoticeKind.WITHHOLDING_FAILED)
        assert (notice.data.amount_fen, notice.data.tries, notice.data.month) == (5980, 3, "2026-10")
        it.clock.now = at(20, 6, month=12)
        await it.turn()
        assert len(it.files.sent) == 3


async def test_second_answer_fills_unanswered(database_url: str, bridge_keyring: Keyring, tmp_path: Path) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await it.sealed()
        await it.answered(ANSWER)
        again = said(
            ("1", "0.00", "0", "余额不足"), ("2", "12.30", "1", ""), ("3", "100.00", "1", ""), ("4", "7.07", "1", "")
        )
        await it.answered("SDDL_REDK_37101_20261125.txt", again)
        states = await it.states()
        assert states.pop("D20261125000009") == "unknown-line"
        assert states == {"R201": "charged", "R202": "amount-differs", "R203": "refused", "R204": "charged"}
        assert set(await it.commands.given()) == {"D20261125000001", "D20261125000004"}
        _, answers = await it.part.desk.batch(BATCH)
        assert [(one.state, one.filled) for one in answers] == [("accepted", 4), ("accepted", 1)]
        assert len(answers[1].findings) == 3  # what it says otherwise changes nothing, and is shown


async def test_charged_after_a_person_had_released_it_is_honoured(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await it.sealed()
        await it.answered(ANSWER)
        assert (await it.part.desk.release("D20261125000004", "li", "银行称未扣")).state == "released"
        await it.answered("SDDL_REDK_37101_20261125.txt", said(("4", "7.07", "1", "")))
        assert (await it.states())["R204"] == "charged"
        await it.commands.comes("D20261125000004", State.REFUSED, "bill-not-open")
        row = (await it.lines())["R204"]
        assert (row.state, row.code) == ("not-written-off", "bill-not-open")  # its money is held
        assert (await it.part.desk.release("D20261125000004", "li", "退款", owed=True)).state == "released"
        found = await it.store.read(lambda c: balances(c, BOOKS))
        assert dict(found) == {"channel:withholding": 707, "refund:withholding": -707}


async def test_a_write_off_that_was_held_and_turns_out_done_is_done(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await it.sealed(FIRST[:1])
        await it.answered("SDDL_REDKKK_37101_20261125.txt", _of_one(it, "59.80", "1", ""))
        await it.commands.comes("D20261125000001", State.HELD)
        assert await it.states() == {"R201": "charged"}
        await it.commands.comes("D20261125000001", payment="PY1")
        await it.turn()
        assert await it.states() == {"R201": "written-off"}
        assert (await it.batch()).state == "closed"


async def test_a_charge_that_the_bank_refused_is_taken_back_before_it_is_asked_for_again(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    """Its number stands for the retries of it, too."""
    async with world(database_url, bridge_keyring, tmp_path, retry_days=(1, 3)) as it:
        await it.sealed(FIRST[2:3])
        cancel = {"account": FIRST[2][0], "line": "D20261125000001"}
        assert await it.ask("withholding-charge-cancel", **cancel) == Refused("line-sealed")
        await it.answered("SDDL_REDKKK_37101_20261125.txt", _of_one(it, "0.00", "0", "余额不足"))
        (line,) = await it.part.desk.lines(BATCH)
        assert line.retry_on == date(2026, 11, 26)
        assert (await it.ask("withholding-charge-cancel", **cancel)).batch == BATCH
        assert (await it.ask("withholding-charge-cancel", **cancel)).batch == BATCH
        (line,) = await it.part.desk.lines(BATCH)
        assert (line.state, line.retry_on) == ("refused", None)
        await it.retried()
        assert "R203" not in {one.bill for one in await it.part.desk.lines("SDDL-37101-20261126")}


async def test_a_retry_that_waits_is_taken_back_under_the_first_number(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path, retry_days=(1,)) as it:
        await it.sealed(FIRST[2:3])
        await it.answered("SDDL_REDKKK_37101_20261125.txt", _of_one(it, "0.00", "0", "余额不足"))
        it.clock.now = at(26, 5)
        await it.turn()
        cancel = {"account": FIRST[2][0], "line": "D20261125000001"}
        assert (await it.ask("withholding-charge-cancel", **cancel)).batch == "SDDL-37101-20261126"
        it.clock.now = at(26, 6)
        await it.turn()
        (retry,) = await it.part.desk.lines("SDDL-37101-20261126")
        assert (retry.state, list(it.files.sent)) == ("withdrawn", [REQUEST])


async def test_above_a_thousand_yuan_two_people_release_a_line(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    dear = ("3210000000003", "2026-10", "R201", 100_100, 0, "120", "2088000000000013")
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await it.sealed([dear])
        await it.answered("SDDL_REDKKK_37101_20261125.txt", _of_one(it, "1000.99", "1", ""))
        desk = it.part.desk
        assert (await desk.release("D20261125000001", "li", "银行少扣", owed=True)).state == "amount-differs"
        assert "two people" in await it.refused(desk.release("D20261125000001", "li", "again", owed=True))
        assert "both must agree" in await it.refused(desk.release("D20261125000001", "wang", "no"))
        assert (await desk.release("D20261125000001", "wang", "同意", owed=True)).state == "released"
        assert [one["who"] for one in (await desk.lines(BATCH))[0].said] == ["li", "wang"]
        await it.turn()
        assert (await it.batch()).state == "closed"


async def test_a_bill_is_in_flight_once_and_a_request_makes_one_line(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        made = await it.charge(FIRST[0], id="request-1")
        assert await it.charge(FIRST[0], id="request-1") == made
        assert await it.charge(FIRST[0]) == Refused("bill-in-batch")
        cancel = {"account": FIRST[0][0], "line": made.line}
        assert await it.ask("withholding-charge-cancel", account=FIRST[1][0], line=made.line) == Refused("no-such-line")
        assert (await it.ask("withholding-charge-cancel", **cancel)).batch == BATCH
        assert (await it.ask("withholding-charge-cancel", **cancel)).batch == BATCH
        again = await it.charge(FIRST[0])
        assert again.line == "D20261125000002"  # a number is never given twice
        await it.sealed(())
        assert await it.ask("withholding-charge-cancel", account=FIRST[0][0], line=again.line) == Refused("line-sealed")
        later = await it.charge(FIRST[1])
        assert later.day == "2026-11-26"


async def test_a_charge_whose_commit_seems_to_fail_is_made_and_answered_so(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    """The second time its bill is in flight: in its own line."""
    async with world(database_url, bridge_keyring, tmp_path) as it:
        written_twice(it.store)
        made = await it.charge(FIRST[0], id="request-1")
        assert (made.line, made.day) == ("D20261125000001", "2026-11-25")
        assert await it.charge(FIRST[0]) == Refused("bill-in-batch")
        assert len(await it.states()) == 1


@pytest.mark.parametrize(("quantity", "bad"), [("1|2", "|"), ("1\n", "line end"), ("1\ud800", "outside gb18030")])
async def test_a_value_that_would_break_the_file_keeps_the_batch_drafted_and_names_its_line(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path, quantity: str, bad: str
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        for bill in FIRST[:2]:
            await it.charge(bill)
        if quantity == "1\ud800":  # no database would take it
            quantity, bad = "1|", "|"
        worse = LINES.update().where(LINES.c.bill == "R202").values(quantity=quantity)
        await it.store.execute(worse, {})
        it.clock.now = at(25, 6)
        await it.turn()
        assert it.files.sent == {}
        (batch,) = await it.part.desk.batches(date(2026, 11, 1))
        assert batch.state == "drafted"
        assert [(one["line"], one["column"]) for one in batch.findings] == [("D20261125000002", "pQ")]
        assert bad in batch.findings[0]["what"] or "line end" in batch.findings[0]["what"]
        await it.part.count()
        assert [one.id for one in it.part.reports()["withholding"].stuck] == [BATCH]  # type: ignore[attr-defined]
        await it.part.desk.release("D20261125000002", "li", "户名有误")
        await it.turn()
        assert (await it.batch()).count == 1
        assert list(it.files.sent) == [REQUEST]


async def test_what_the_marketing_system_says_before_it_is_sealed_counts(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        for bill in FIRST:
            await it.charge(bill)
        owed: dict[str, Any] = {"month": "2026-10", "due_on": "2026-10-25", "penalty": 130}
        it.marketing.bills = [
            {**owed, "account": FIRST[0][0], "bill": "R201", "amount": 5860},
            {**owed, "account": FIRST[1][0], "bill": "R202", "amount": 1230, "frozen": "another"},
            {**owed, "account": FIRST[2][0], "bill": "R203", "amount": 10000},
        ]
        one = {"agreement": "WH000000000001", "bank": "ccb", "bank_account": "6217000000000000456"}
        it.marketing.agreements = [{**one, "account": FIRST[0][0]}, {**one, "account": FIRST[1][0]}]
        it.marketing.freezes, it.marketing.down = True, True
        it.clock.now = at(25, 6)
        await it.turn()
        assert set((await it.states()).values()) == {"waiting"}  # it does not answer now
        it.marketing.down = False
        await it.turn()
        codes = {bill: (row.state, row.code) for bill, row in (await it.lines()).items()}
        assert codes == {
            "R201": ("waiting", ""), "R202": ("dropped", "bill-frozen"), "R203": ("dropped", "no-such-agreement"),
            "R204": ("dropped", "bill-not-open"),
        }  # fmt: skip
        assert await it.commands.given("bill-freeze") == {
            "D20261125000001-F": {
                "account": FIRST[0][0], "months": ["2026-10"], "batch": BATCH, "channel": "withholding",
            }
        }  # fmt: skip
        assert it.files.sent == {}  # its hold is waited for
        await it.commands.comes("D20261125000001-F")
        await it.turn()
        (content,) = it.files.sent.values()
        assert b"|6217000000000000456|120|R201|202610|58.60|1.30|59.90|" in content
        await it.answered("SDDL_REDKKK_37101_20261125.txt", _of_one(it, "0.00", "0", ""))
        assert (await it.lines())["R201"].hold == "releasing"
        assert "D20261125000001-R" in await it.commands.given("bill-release")
        await it.commands.comes("D20261125000001-R")
        assert (await it.lines())["R201"].hold == "released"


async def test_a_batch_that_could_not_be_sealed_is_checked_again_before_it_is(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    """Where nothing holds its bills they are paid elsewhere meanwhile: the bank is not asked for those."""
    async with world(database_url, bridge_keyring, tmp_path) as it:
        for bill in FIRST[:3]:
            await it.charge(bill)
        await it.store.execute(LINES.update().where(LINES.c.bill == "R202").values(quantity="1|2"), {})
        owed = {"month": "2026-10", "due_on": "2026-10-25", "penalty": 0}
        it.marketing.bills = [
            {**owed, "account": account, "bill": bill, "amount": fen} for account, _, bill, fen, *_ in FIRST[:3]
        ]
        it.clock.now = at(25, 6)
        await it.turn()
        assert it.files.sent == {}
        del it.marketing.bills[2]
        await it.part.desk.release("D20261125000002", "li", "户名有误")
        it.marketing.down = True
        it.clock.now = at(25, 9)
        await it.turn()
        assert it.files.sent == {}  # what was said in the morning is not believed any more
        it.marketing.down = False
        await it.turn()
        assert await it.states() == {"R201": "requested", "R202": "withdrawn", "R203": "dropped"}
        assert (await it.lines())["R203"].code == "bill-not-open"


async def test_a_hold_that_is_refused_drops_its_line_and_an_empty_batch_is_not_sent(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        it.marketing.freezes = True
        await it.sealed(FIRST[:1])
        await it.commands.comes("D20261125000001-F", State.REFUSED, "bill-not-open")
        await it.turn()
        assert (await it.lines())["R201"].code == "bill-not-open"
        assert (await it.batch()).state == "dropped"
        assert it.files.sent == {}


@pytest.mark.parametrize(("state", "again"), [(State.FAILED, True), (State.EXPIRED, True), (State.REFUSED, False)])
async def test_a_hold_that_failed_says_nothing_against_the_bill_and_the_next_batch_has_it(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path, state: State, again: bool
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        it.marketing.freezes = True
        await it.sealed(FIRST[:1])
        await it.commands.comes("D20261125000001-F", state, "bill-frozen" if state is State.REFUSED else "")
        it.clock.now = at(26, 5)
        await it.turn()
        rows = await it.store.read(lambda c: c.execute(select(LINES).order_by(LINES.c.id)).all())
        code = "bill-frozen" if state is State.REFUSED else state.value
        waits = [("waiting", "", "SDDL-37101-20261126")] if again else []
        assert [(row.state, row.code, row.batch) for row in rows] == [("dropped", code, BATCH), *waits]


async def test_a_batch_that_waits_past_its_day_is_told(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        it.marketing.freezes = True
        await it.sealed(FIRST[:1])  # the outcome of the hold does not come
        for minute, told in ((59, []), (60, [BATCH])):
            it.clock.now = at(25, 6) + minute * 60_000
            await it.turn()
            await it.part.count()
            assert [one.id for one in it.part.reports()["withholding"].waiting] == told  # type: ignore[attr-defined]
        await it.commands.comes("D20261125000001-F")
        await it.turn()
        await it.part.count()
        assert it.part.reports()["withholding"].waiting == ()  # type: ignore[attr-defined]


async def test_a_line_whose_agreement_is_with_another_bank_is_not_sent_to_this_one(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    account = FIRST[0][0]
    async with world(database_url, bridge_keyring, tmp_path, agreements=("ccb",), accounts="3.*") as it:
        assert await it.charge(FIRST[2], arrangement="bank-a") == Refused("no-arrangement")  # not of these accounts
        await it.charge(FIRST[0], arrangement="bank-a")  # nobody says of which bank the agreement is
        it.marketing.agreements = [{"account": account, "agreement": "WH000000000001", "bank": "icbc",
                                    "bank_account": "6217000000000000456"}]  # fmt: skip
        await it.sealed(())
        assert (await it.lines())["R201"].code == "no-arrangement"
        assert it.files.sent == {}


async def test_a_charge_is_completed_or_refused_by_what_the_marketing_system_says(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    account = FIRST[0][0]
    short: dict[str, Any] = {"account": account, "agreement": "WH000000000001", "month": "2026-10"}
    async with world(database_url, bridge_keyring, tmp_path, agreements=("ccb",)) as it:
        missing = await it.ask("withholding-charge", **short)
        assert missing == Refused("invalid-field", "bank_account: must be given, as it cannot be asked for")
        it.marketing.agreements, it.marketing.bills = [], []
        assert await it.ask("withholding-charge", **short) == Refused("no-such-agreement")
        one = {"account": account, "agreement": "WH000000000001", "bank_account": "6217000000000000456"}
        it.marketing.agreements = [{**one, "bank": "icbc"}]
        assert await it.ask("withholding-charge", **short) == Refused("bill-not-open")
        it.marketing.bills = [
            {"account": account, "bill": "R1", "month": "2026-10", "amount": 5, "penalty": 1, "due_on": "2026-10-25"}
        ]
        assert await it.ask("withholding-charge", **short) == Refused("no-arrangement")
        named = {**short, "arrangement": "bank-a"}
        assert await it.ask("withholding-charge", **named) == Refused("no-arrangement")
        it.marketing.agreements = [{**one, "bank": "ccb"}]
        made = await it.ask("withholding-charge", **short)
        assert (made.bill, made.amount, made.penalty) == ("R1", 5, 1)


async def test_a_charge_waits_for_a_marketing_system_that_does_not_say_now_what_is_left_out(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    account = FIRST[0][0]
    short: dict[str, Any] = {"account": account, "agreement": "WH000000000001", "month": "2026-10"}
    async with world(database_url, bridge_keyring, tmp_path, agreements=("ccb",)) as it:
        it.marketing.agreements = [{"account": account, "agreement": "WH000000000001", "bank": "ccb",
                                    "bank_account": "6217000000000000456"}]  # fmt: skip
        it.marketing.bills, it.marketing.down = [], True
        waits = await it.ask("withholding-charge", **short)
        why = "bank_account is not given, and cannot be asked for now: withholding-agreements: not called now"
        assert waits == NotApplied(why, reached=True)
        whole: dict[str, Any] = {"bank_account": "6217000000000000456", "bill": "R2", "amount": 7}
        assert (await it.ask("withholding-charge", **short, **whole)).amount == 7
        assert set(await it.states()) == {"R2"}


async def test_without_any_arrangement_nothing_is_offered(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        it.part.drafting._arrangements = {}
        assert await it.charge(FIRST[0]) == Refused("withholding-not-offered")


async def test_a_bill_that_is_issued_becomes_one_line(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    account = FIRST[0][0]
    async with world(database_url, bridge_keyring, tmp_path, automatic=True) as it:
        issued = {"account": account, "month": "2026-10", "amount_fen": 5860, "bill": "R201"}
        await it.pushed("p1", **issued)
        await it.pushed("p2", **issued)
        await it.pushed("p3", **issued | {"account": FIRST[1][0], "bill": "R202"})
        await it.turn()
        assert await it.states() == {}  # agreements cannot be asked for: they wait
        it.marketing.agreements = [
            {"account": account, "agreement": "WH1234", "bank": "ccb", "bank_account": "6217000000000000456"}
        ]
        await it.turn()
        await it.pushed("p4", **issued)
        await it.turn()
        line = (await it.lines())["R201"]
        assert (line.state, line.source, line.amount, line.agreement) == ("waiting", "issued", 5860, "WH1234")
        rows = await it.store.read(lambda c: c.execute(select(ISSUED).order_by(ISSUED.c.bill)).all())
        assert [(row.state, row.code) for row in rows] == [("line", ""), ("none", "no-agreement")]


async def test_automatic_payment_is_off_by_default(database_url: str, bridge_keyring: Keyring, tmp_path: Path) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await it.pushed("p1", account=FIRST[0][0], month="2026-10", amount_fen=5860, bill="R201")
        assert await it.store.read(lambda c: c.execute(select(ISSUED)).all()) == []


async def test_a_batch_without_an_answer_is_overdue(database_url: str, bridge_keyring: Keyring, tmp_path: Path) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await it.sealed()
        it.clock.now = at(27, 17, 59)
        await it.turn()
        assert (await it.batch()).state == "sent"
        it.clock.now = at(27, 18)
        await it.turn()
        await it.part.count()
        assert [one.id for one in it.part.reports()["withholding"].overdue] == [BATCH]  # type: ignore[attr-defined]
        await it.answered(ANSWER)
        assert (await it.batch()).state == "answered"


async def test_a_batch_is_sent_once_it_is_at_the_banks_place(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        for bill in FIRST:
            await it.charge(bill)
        it.clock.now = at(25, 6)
        for _ in range(3):
            await it.part.look()
        assert (await it.batch()).state == "sealed"
        assert set(it.files.states.values()) == {FileState.SENDING}
        it.files.handed_over()
        await it.part.look()
        assert (await it.batch()).state == "sent"


async def test_an_answer_that_nobody_asked_for_and_one_of_another_name(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await it.answered("SDDL_REDKKK_37101_20261125.txt", ALSO)
        await it.answered("something.txt", ALSO)
        refused = await it.part.desk.refused_answers()
        assert {(one.name, one.code) for one in refused} == {
            ("SDDL_REDKKK_37101_20261125.txt", "wrong-batch"), ("something.txt", "wrong-name"),
        }  # fmt: skip
        assert await it.states() == {}


async def test_an_answer_of_which_not_all_is_kept_is_refused_and_taken_when_it_comes_again(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path, now=at(24)) as it:
        for bill in FIRST:
            await it.charge(bill)
        it.clock.now = at(25, 6)
        await it.turn()
        it.files.damaged.add(it.files.arrives(ANSWER, ALSO))
        await it.turn()
        refused = await it.part.desk.refused_answers()
        assert [(one.name, one.code) for one in refused] == [(ANSWER, "unreadable")]
        assert await it.commands.given() == {}
        it.files.arrives(ANSWER, ALSO, again=True)
        await it.turn()
        assert list(await it.commands.given()) == ["D20261125000001"]


async def test_two_bridges_on_one_database_do_it_once(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("one file has one bridge")
    async with (
        world(database_url, bridge_keyring, tmp_path / "", now=at(24)) as one,
        world(database_url, bridge_keyring, tmp_path, now=at(24)) as two,
    ):
        for bill in FIRST:
            await one.charge(bill)
        one.clock.now = two.clock.now = at(25, 6)
        from asyncio import gather

        await gather(one.turn(), two.turn(), one.turn(), two.turn())
        assert one.files.sent == {REQUEST: GOLDEN}
        for it in (one, two):
            it.files.arrives(ANSWER, ALSO)
        await gather(one.turn(), two.turn())
        assert list(await one.commands.given()) == ["D20261125000001"]
        retries = await one.store.read(lambda c: c.execute(select(RETRIES)).all())
        assert [row.line for row in retries] == ["D20261125000003"]


async def test_what_is_asked_again_and_again_reads_an_index(bridge_keyring: Keyring, tmp_path: Path) -> None:
    """Without, each line of a batch would be looked for among all there ever were."""
    async with world(f"sqlite:///{tmp_path / 'bridge.sqlite3'}", bridge_keyring, tmp_path) as it:
        seen: list[str] = []

        def plans(connection: Connection, work: Any) -> None:
            run: list[tuple[str, Any]] = []

            def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: Any) -> None:
                run.append((statement, parameters))

            event.listen(connection, "before_cursor_execute", note)
            work(connection)
            event.remove(connection, "before_cursor_execute", note)
            for statement, parameters in run:
                told = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
                seen.extend(row[3] for row in told if "withholding_lines" in row[3])

        def looks(connection: Connection) -> None:
            plans(connection, lambda c: in_flight(c, "power", "1", "R1"))
            plans(connection, lambda c: of_request(c, "r"))
            plans(connection, it.part._counted)

        await it.store.read(looks)
        assert len(seen) == 6
        assert all("USING" in plan and "INDEX" in plan for plan in seen), seen


def test_every_state_is_in_the_tables_and_what_has_ended_frees_its_bill() -> None:
    assert set(LINE_TRANSITIONS) == set(LineState)
    assert set(BATCH_TRANSITIONS) == set(BatchState)
    for state, after in LINE_TRANSITIONS.items():
        assert after or state in ENDED


async def test_batches_of_an_arrangement_that_is_given_another_name_go_on(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    """Whose batch it is, its file's name says: org and unit."""
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await it.charge(FIRST[0])
    async with world(database_url, bridge_keyring, tmp_path, name="ccb", now=at(24, 9)) as it:
        await it.part.start()
        await it.part.close()
        it._requests = 10
        await it.sealed(FIRST[1:])
        assert it.files.sent == {REQUEST: GOLDEN}
    async with world(database_url, bridge_keyring, tmp_path, name="bank-of-china", now=at(25, 9)) as it:
        await it.part.start()
        await it.part.close()
        await it.answered(ANSWER)
        assert (await it.batch()).state == "answered"
        await it.commands.comes("D20261125000001", payment="PY000000000001")
        await it.turn()
        assert (await it.batch()).state == "applied"
        assert [one.id for one in await it.part.desk.batches(date(2026, 11, 1), "bank-of-china")] == [BATCH]


async def test_a_batch_that_never_came_to_the_banks_place_is_overdue_and_is_sent_all_the_same(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    """Its file is refused there, say: its bills are frozen, and nobody will answer."""
    async with world(database_url, bridge_keyring, tmp_path) as it:
        for bill in FIRST:
            await it.charge(bill)
        it.clock.now = at(25, 6)
        for _ in range(2):
            await it.part.look()
        it.files.states = dict.fromkeys(it.files.states, FileState.REFUSED)
        it.clock.now = at(27, 18)
        await it.part.look()
        await it.part.count()
        assert [one.id for one in it.part.reports()["withholding"].overdue] == [BATCH]  # type: ignore[attr-defined]
        it.files.handed_over()
        await it.part.look()
        batch = await it.batch()
        assert (batch.state, batch.sent_at) == ("overdue", it.clock.now)
        await it.answered(ANSWER)
        assert (await it.batch()).state == "answered"
