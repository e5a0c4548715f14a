"""Withholding files: the golden request, its answers, and what each refuses."""

import io
import json
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from typing import Any

import pytest

from intranet_bridge.settlement import money
from intranet_bridge.settlement.statements.verdicts import Code, Finding, StatementRefused
from intranet_bridge.settlement.withholding.files import (
    Answer,
    Batch,
    Charge,
    Line,
    NotSealable,
    Outcome,
    answer_name,
    answered_again,
    read_answer,
    retried,
    seal,
)
from intranet_bridge.settlement.withholding.life import BATCH_TRANSITIONS, BatchState, overdue, retry_on
from protocol.times import CHINA
from tests.unit.intranet_bridge.settlement.statements.reads import SAMPLES

FIRST = Batch("SDDL", "37101", date(2026, 11, 25), "013", "1", (
    Charge("D20261125000001", "3210000000003", "37101", "2088000000000013", "120", "R201", "202610", 5860, 120),
    Charge("D20261125000002", "3210000000008", "37101", "2088000000000021", "25", "R202", "202610", 1230, 0),
    Charge("D20261125000003", "0310000000001", "37101", "2088000000000039", "210", "R203", "202610", 10000, 0),
    Charge("D20261125000004", "3210000000003", "37101", "2088000000000013", "14", "R204", "202609", 700, 7),
))  # fmt: skip
SECOND = Batch("SDDL", "37101", date(2026, 11, 26), "013", "0", (
    Charge("D20261126000001", "3210000000001", "37101", "2088000000000054", "88", "R301", "202610", 4300, 0),
    Charge("D20261126000002", "3210000000002", "37101", "2088000000000062", "21", "R302", "202610", 1025, 5),
    Charge("D20261126000003", "0310000000001", "37101", "2088000000000039", "210", "R203", "202610", 10000, 20),
))  # fmt: skip
ANSWER = "SDDL_REDKKK_37101_20261126.txt"


def answered(content: bytes | str, request: Batch) -> Answer:
    data = (SAMPLES / content).read_bytes() if isinstance(content, str) else content
    return read_answer(partial(io.BytesIO, data), request)


def refused(content: bytes | str, request: Batch) -> tuple[Code, tuple[Finding, ...]]:
    with pytest.raises(StatementRefused) as error:
        answered(content, request)
    return error.value.code, error.value.findings


def changed(*steps: tuple[str, str]) -> bytes:
    text = (SAMPLES / ANSWER).read_bytes().decode("gb18030")
    for was, now in steps:
        assert was in text
        text = text.replace(was, now, 1)
    return text.encode("gb18030")


def expected(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / name).read_text())
    return found


@pytest.mark.parametrize("batch", [FIRST, SECOND])
def test_withholding_golden_bytes(batch: Batch) -> None:
    sealed = seal(batch)
    assert sealed.content == (SAMPLES / batch.name).read_bytes()
    assert sealed == seal(batch)
    assert (sealed.count, sealed.total) == (len(batch.lines), batch.total)


@pytest.mark.parametrize(
    ("change", "line", "column"),
    [
        ({"account": "32|1"}, 3, "consNo"),
        ({"pay_account": "20\r88"}, 3, "payAcctNo"),
        ({"quantity": "2\n5"}, 3, "pQ"),
        ({"bill": "R\ud800"}, 3, "rcvblAmtId"),
        ({"det_id": ""}, 3, "detId"),
        ({"det_id": "D20261125000001"}, 3, "detId"),
        ({"account": "3210000000003", "bill": "R201"}, 3, "rcvblAmtId"),
        ({"amount": 0}, 3, "totalAmt"),
        ({"amount": -1, "penalty": 5}, 3, "totalAmt"),
    ],
)
def test_a_value_that_would_break_the_file_keeps_it_drafted(change: dict[str, Any], line: int, column: str) -> None:
    first, second, *rest = FIRST.lines
    with pytest.raises(NotSealable) as error:
        seal(replace(FIRST, lines=(first, replace(second, **change), *rest)))
    assert [(found.line, found.column) for found in error.value.findings] == [(line, column)]


def test_header_and_size_of_a_request() -> None:
    for batch in (
        replace(FIRST, bank="0|3"),
        replace(FIRST, lines=()),
        replace(FIRST, lines=FIRST.lines[:1] * 200_001),
    ):
        with pytest.raises(NotSealable, match="line 1"):
            seal(batch)


def test_characters_whose_bytes_have_separators_are_sealed_and_read() -> None:
    first, *rest = SECOND.lines
    batch = replace(SECOND, lines=(replace(first, pay_account="珅昞玚𠮷"), *rest))
    assert seal(batch).content.decode("gb18030").split("\r\n")[1].split("|")[3] == "珅昞玚𠮷"


def test_answer_of_the_25th() -> None:
    wanted = expected("SDDL_REDKKK_37101_20261125.expected.json")["lines"]
    answer = answered("SDDL_REDKKK_ 37101_20261125.txt", FIRST)
    assert answer.lines.keys() == wanted.keys()
    for det_id, line in wanted.items():
        outcome = answer.lines[det_id]
        assert outcome.state == line["state"]
        assert outcome.debited == line.get("debited_fen", line.get("fen", 0))
        assert outcome.reason == line.get("reason", "")
        if "asked_fen" in line:
            assert outcome.asked == line["asked_fen"]
        if "paid_at" in line:
            assert outcome.paid_at is not None
            assert outcome.paid_at.isoformat() == line["paid_at"]
    assert [outcome.det_id for outcome in answer.write_offs] == ["D20261125000001"]
    assert answer.warnings == ()


def test_answer_of_the_26th() -> None:
    wanted = expected("SDDL_REDKKK_37101_20261126.expected.json")["lines"]
    answer = answered(ANSWER, SECOND)
    for det_id, line in wanted.items():
        outcome = answer.lines[det_id]
        assert (outcome.state, outcome.debited) == (line["state"], line.get("fen", 0))
        assert outcome.reason == line.get("reason", "")
        assert outcome.extend == line.get("extend", line.get("reason"))
    split_first = (SAMPLES / ANSWER).read_bytes().split(b"\r\n")[2].split(b"|")
    assert len(split_first) == 18  # which is why text is decoded first


def test_answer_repeats_request_totals() -> None:
    code, findings = refused("wrong_batch/SDDL_REDKKK_37101_20261126.txt", SECOND)
    assert code is Code.WRONG_BATCH
    said = {found.column: (found.found, found.expected) for found in findings}
    assert said == {"count": ("4", "3"), "total": ("179.17", "153.50")}
    code, findings = refused("ok_total_wrong/SDDL_REDKKK_37101_20261126.txt", SECOND)
    assert (code, findings[0].expected, findings[0].found) == (Code.TOTALS_MISMATCH, "143.00", "143.20")
    assert refused(changed(("|20261126|013", "|20261127|013")), SECOND)[0] is Code.WRONG_BATCH
    assert refused(changed(("3|153.50|2|", "3|153.50|3|")), SECOND)[0] is Code.TOTALS_MISMATCH


def test_answer_unknown_missing_partial() -> None:
    states = {
        det_id: outcome.state for det_id, outcome in answered("SDDL_REDKKK_ 37101_20261125.txt", FIRST).lines.items()
    }
    assert states["D20261125000009"] is Line.UNKNOWN
    assert states["D20261125000004"] is Line.UNANSWERED
    assert states["D20261125000002"] is Line.AMOUNT_DIFFERS


def test_refused_and_yet_charged_is_held() -> None:
    answer = answered(changed(("|0.00|0||账户名", "|0.01|0||账户名")), SECOND)
    assert answer.lines["D20261126000002"].state is Line.AMOUNT_DIFFERS


@pytest.mark.parametrize(
    ("was", "now", "code", "column"),
    [
        ("|0||账户名", "|2||账户名", Code.LAYOUT, "accountedFlag"),
        ("|43.00|1|", "|43,00|1|", Code.BAD_VALUE, "debitAmt"),
        ("20261126|43.00|1", "2026112x|43.00|1", Code.BAD_VALUE, "resDay"),
        ("20261126|43.00|1", "20261131|43.00|1", Code.BAD_VALUE, "resDay"),
        ("D20261126000002|", "|", Code.BAD_VALUE, "detId"),
        ("|李昞 玚|", "|李昞 玚", Code.LAYOUT, ""),
        ("|88|", "|88||", Code.LAYOUT, ""),
        ("3|153.50|2|", "3|153.50|x|", Code.BAD_VALUE, "okCount"),
    ],
)
def test_answers_that_cannot_be_read(was: str, now: str, code: Code, column: str) -> None:
    found, findings = refused(changed((was, now)), SECOND)
    assert (found, findings[0].column) == (code, column)


def test_answer_cut_off_is_incomplete() -> None:
    whole = (SAMPLES / ANSWER).read_bytes()
    assert refused(whole[:-20], SECOND)[0] is Code.INCOMPLETE
    assert refused(b"", SECOND)[0] is Code.INCOMPLETE


def test_answer_with_a_line_twice() -> None:
    whole = (SAMPLES / ANSWER).read_bytes()
    line = whole.split(b"\r\n")[1] + b"\r\n"
    answer = answered(whole + line, SECOND)
    assert (answer.warnings[0].line, len(answer.write_offs)) == (5, 2)
    both = whole.replace(b"|2|143.20|", b"|3|186.20|", 1) + line
    code, findings = refused(both, SECOND)
    assert (code, [found.line for found in findings]) == (Code.AMBIGUOUS_DUPLICATE, [2, 5])
    code, findings = refused(whole + line.replace(b"|43.00|1|", b"|43.01|1|"), SECOND)
    assert (code, findings[0].column) == (Code.CONFLICTING_DUPLICATE, "debitAmt")


def test_answer_that_repeats_a_line_otherwise_is_told() -> None:
    answer = answered(changed(("|3210000000001|", "|3210000000009|")), SECOND)
    assert [(found.line, found.column) for found in answer.warnings] == [(2, "consNo")]
    assert answer.lines["D20261126000001"].state is Line.CHARGED


def test_second_answer_fills_unanswered() -> None:
    known = answered("SDDL_REDKKK_ 37101_20261125.txt", FIRST).lines
    late = Answer({
        "D20261125000001": Outcome("D20261125000001", Line.REFUSED, 5980, line=2),
        "D20261125000002": known["D20261125000002"],
        "D20261125000003": Outcome("D20261125000003", Line.UNANSWERED, 10000),
        "D20261125000004": Outcome("D20261125000004", Line.CHARGED, 707, 707, line=3),
    })  # fmt: skip
    filled, findings = answered_again(known, late)
    assert filled.keys() == {"D20261125000004"}
    assert [(found.line, found.expected, found.found) for found in findings] == [(2, "charged 59.80", "refused 0.00")]


def test_retry_has_new_detid() -> None:
    line = FIRST.lines[2]
    again = retried(line, "D20261128000001", 20)
    assert (again.bill, again.total, again.det_id) == (line.bill, 10020, "D20261128000001")
    with pytest.raises(ValueError, match="number of its own"):
        retried(line, line.det_id, 0)
    day = date(2026, 11, 25)
    assert [retry_on(day, tries) for tries in range(3)] == [date(2026, 11, 28), date(2026, 12, 2), None]


@pytest.mark.parametrize("name", ["SDDL_REDKKK_ 37101_20261125.txt", "SDDL_REDK_37101_20261125.txt"])
def test_name_with_inner_blank(name: str) -> None:
    found = answer_name(name)
    assert (found.org, found.unit, found.day) == ("SDDL", "37101", date(2026, 11, 25))
    assert found.tidied == (" " in name)
    assert " " not in found.name


@pytest.mark.parametrize(
    "name", ["SDDL_DKKK_37101_20261125.txt", "SDDL_REDKK_37101_20261125.txt", "../REDK", "SDDL_REDK_1_20261131.txt"]
)
def test_names_of_no_answer(name: str) -> None:
    with pytest.raises(StatementRefused):
        answer_name(name)


def test_batch_is_overdue_two_days_on() -> None:
    def at(hour: int) -> datetime:
        return datetime(2026, 11, 27, hour, tzinfo=CHINA)

    assert [overdue(BatchState.SENT, FIRST.day, at(hour)) for hour in (17, 18)] == [False, True]
    assert not overdue(BatchState.ANSWERED, FIRST.day, at(18))
    assert BatchState.DRAFTED not in {to for states in BATCH_TRANSITIONS.values() for to in states}


def test_a_large_batch_is_sealed_and_read() -> None:
    def made(n: int) -> Charge:
        return Charge(f"D{n}", f"32{n:011}", "37101", f"{n}", "1", f"R{n}", "202610", n, 0)

    batch = replace(FIRST, lines=tuple(made(n) for n in range(1, 5001)))
    sealed = seal(batch)
    head, *rows = sealed.content.decode("gb18030").splitlines()
    count, total, *rest = head.split("|")
    answer = "|".join([count, total, count, total, *rest])
    lines = [f"{row}20261125|{money.text(n)}|1|B{n}||" for n, row in enumerate(rows, start=1)]
    found = answered("".join(f"{line}\r\n" for line in (answer, *lines)).encode("gb18030"), batch)
    assert len(found.write_offs) == 5000


@pytest.mark.parametrize(
    ("was", "now", "column"),
    [
        ("|20261126|43.00|1|", "|20261125|43.00|1|", "resDay"),  # before the bank was asked
        ("|20261126|43.00|1|", "|20991126|43.00|1|", "resDay"),
        ("|43.00|1|", "|43.00|1|\0", ""),
    ],
)
def test_a_charged_line_of_another_year_and_a_byte_that_no_database_takes_refuse_the_answer(
    was: str, now: str, column: str
) -> None:
    code, findings = refused(changed((was, now)), SECOND)
    assert code is Code.BAD_VALUE
    assert [(one.line, one.column) for one in findings] == [(2, column)]


def test_a_line_may_be_charged_on_a_later_day() -> None:
    later = answered(changed(("|20261126|43.00|1|", "|20270105|43.00|1|")), SECOND)
    assert later.lines["D20261126000001"].paid_at == date(2027, 1, 5)
