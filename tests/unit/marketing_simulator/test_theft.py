"""Reports of theft: anonymous or with a whole contact, and progress for whoever has the number."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.marketing_simulator import journal
from scripts.tools.marketing_simulator.responses import Refusal
from tests.unit.marketing_simulator.harness import NODE_SECONDS, Marketing, data, fields

REPORT = {"reqId": "report", "addr": "云河市建设路88号", "content": "绕过电表接线"}


@pytest.fixture
def marketing(tmp_path: Path) -> Iterator[Marketing]:
    marketing = Marketing(tmp_path / "marketing.sqlite3")
    yield marketing
    marketing.close()


def report(marketing: Marketing, **changes: Any) -> Any:
    return marketing.apply(marketing.thefts.report, **REPORT | changes)


def progress(marketing: Marketing, number: str) -> Any:
    return data(marketing.thefts.progress(fields({"rptNo": number})))


def test_an_anonymous_report_can_be_asked_for_by_its_number_alone(marketing: Marketing) -> None:
    with pytest.raises(Refusal, match="1072"):
        report(marketing, attachIds=["a", "b"])
    marketing.keep_files("a", "b")
    told = report(marketing, attachIds=["a", "b"])
    number = told["rptNo"]
    assert number.startswith("JB20260115000002")
    assert progress(marketing, number)["rptStatus"] == "10"
    marketing.moment += timedelta(seconds=NODE_SECONDS)
    assert progress(marketing, number)["rptStatus"] == "20"
    marketing.moment += timedelta(days=1)
    whole = progress(marketing, number)
    assert whole["rptStatus"] == "30"
    assert [node["nodeName"] for node in whole["nodeList"]] == ["受理", "现场核查", "处理", "归档"]
    assert whole.keys() == {"rptNo", "rptStatus", "rptStatusName", "nodeList"}  # nothing of place or people
    files = marketing.reading.execute("SELECT report, file FROM theft_report_file ORDER BY file").fetchall()
    assert files == [(2, "a"), (2, "b")]


def test_numbers_cannot_be_counted_up(marketing: Marketing) -> None:
    numbers = [report(marketing, reqId=f"report-{i}")["rptNo"] for i in range(5)]
    assert len({number[-8:] for number in numbers}) == 5
    for number in (f"{numbers[0][:-8]}00000000", "JB20260115", "JB2025110300000173104826"):
        with pytest.raises(Refusal) as caught:
            progress(marketing, number)
        assert caught.value.code.code == "1060"


def test_a_contact_is_whole_or_absent(marketing: Marketing) -> None:
    report(marketing, informName="张伟", informTel="13800000001")
    for part in ({"informName": "张伟"}, {"informTel": "13800000001"}, {"content": ""}, {"attachIds": ["x", "x"]}):
        with pytest.raises(Refusal) as caught:
            report(marketing, reqId="other", **part)
        assert caught.value.code.code == "1001"
    assert journal.summary(marketing.reading)["applied"] == 1


def test_the_report_of_the_examples_is_there_and_finished(marketing: Marketing) -> None:
    assert progress(marketing, "JB2025110300000173104825")["rptStatus"] == "30"
