"""Business expansion: what an application needs, how it goes on, and papers that come later."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.marketing_simulator import journal
from scripts.tools.marketing_simulator.responses import Refusal
from tests.unit.marketing_simulator.harness import NODE_SECONDS, Marketing, data, fields

NEW = {
    "reqId": "new",
    "appType": "101",
    "custType": "1",
    "custName": "王芳",
    "certNo": "990101199001010019",
    "linkMan": "王芳",
    "linkTel": "19900000001",
    "elecAddr": "云河市人民路1号",
    "elecType": "1",
    "applyCap": 8,
}
MORE = {name: value for name, value in NEW.items() if name not in ("elecAddr", "elecType")} | {
    "reqId": "more",
    "appType": "102",
    "consNo": "3210000000001",
}
TRANSFER = MORE | {"appType": "201", "newCustType": "2", "newCustName": "示范商贸", "newCertNo": "9199010110000000XX"}
COMPANY = {"custType": "2", "certNo": "9199010110000000XX"}


@pytest.fixture
def marketing(tmp_path: Path) -> Iterator[Marketing]:
    marketing = Marketing(tmp_path / "marketing.sqlite3")
    yield marketing
    marketing.close()


def apply(marketing: Marketing, asked: dict[str, Any], **changes: Any) -> Any:
    return marketing.apply(marketing.applications.create, **asked | changes)


def supplement(marketing: Marketing, number: str, **changes: Any) -> Any:
    body = {"reqId": "supplement", "appNo": number, "linkTel": "19900000001", "attachIds": ["file"]} | changes
    marketing.keep_files("file")
    return marketing.apply(marketing.applications.supplement, **body)


def progress(marketing: Marketing, number: str) -> Any:
    return data(marketing.applications.progress(fields({"appNo": number})))


def done(marketing: Marketing, number: str) -> list[str]:
    return [node["nodeName"] for node in progress(marketing, number)["nodeList"] if node["doneDate"]]


def code(call: Any, *args: Any, **changes: Any) -> str:
    with pytest.raises(Refusal) as caught:
        call(*args, **changes)
    return caught.value.code.code


def test_an_application_with_all_its_papers_goes_as_planned(marketing: Marketing) -> None:
    assert code(apply, marketing, NEW, attachIds=["x", "y"]) == "1072"
    marketing.keep_files("x", "y")
    told = apply(marketing, NEW, dataNos=["A01", "A02"], attachIds=["x", "y"])
    assert (told["appNo"], told["lackList"]) == ("SQ202601150000000002", [])
    first = progress(marketing, told["appNo"])
    assert (first["appStatus"], first["waitFor"], done(marketing, told["appNo"])) == ("20", "现场勘查", ["业务受理"])
    marketing.moment += timedelta(seconds=2 * NODE_SECONDS)
    later = progress(marketing, told["appNo"])
    assert [node["doneDate"] for node in later["nodeList"]][:3] == [node["planDate"] for node in later["nodeList"]][:3]
    assert [node["doneDate"] for node in later["nodeList"]][3:] == [None] * 3
    marketing.moment += timedelta(days=1)
    last = progress(marketing, told["appNo"])
    assert (last["appStatus"], last["waitFor"], len(done(marketing, told["appNo"]))) == ("30", None, 6)
    assert code(supplement, marketing, told["appNo"]) == "1051"


def test_it_waits_for_papers_and_is_as_late_as_they_were(marketing: Marketing) -> None:
    number = apply(marketing, NEW, dataNos=["A02"])["appNo"]
    marketing.moment += timedelta(hours=1)
    waiting = progress(marketing, number)
    assert (waiting["appStatus"], waiting["waitFor"]) == ("10", "客户补交资料：有效身份证明")
    assert waiting["lackList"] == [{"dataNo": "A01", "dataName": "有效身份证明"}]
    assert done(marketing, number) == ["业务受理"]
    assert supplement(marketing, number, dataNos=["B03"])["lackList"] == waiting["lackList"]
    assert supplement(marketing, number, reqId="second", dataNos=["A01"])["lackList"] == []
    marketing.moment += timedelta(seconds=NODE_SECONDS)
    node = progress(marketing, number)["nodeList"][1]
    assert (node["planDate"], node["doneDate"]) == ("2026-01-15 09:01:00", "2026-01-15 10:01:00")
    assert marketing.reading.execute("SELECT count(*) FROM application_file").fetchone() == (2,)


def test_another_persons_application_is_none(marketing: Marketing) -> None:
    number = apply(marketing, NEW)["appNo"]
    applied = journal.summary(marketing.reading)["applied"]
    assert code(supplement, marketing, number, linkTel="19900000002") == "1050"
    assert code(supplement, marketing, "SQ202601150000000009") == "1050"
    assert code(supplement, marketing, "SQ202601140000000002") == "1050"
    assert code(supplement, marketing, number, dataNos=["B01"]) == "1053"
    assert code(supplement, marketing, number, attachIds=[]) == "1001"
    assert journal.summary(marketing.reading)["applied"] == applied
    assert marketing.reading.execute("SELECT count(*) FROM application_supplement").fetchone() == (0,)


@pytest.mark.parametrize(
    ("asked", "changes", "refused"),
    [
        (NEW, {"appType": "999"}, "1001"),
        (NEW, {"custType": "3"}, "1001"),
        (NEW, {"certNo": "9199010110000000XX"}, "1001"),
        (NEW, {"elecAddr": None}, "1001"),
        (NEW, {"elecType": "9"}, "1001"),
        (NEW, {"applyCap": None}, "1009"),
        (NEW, {"applyCap": 100_001}, "1009"),
        (NEW, {"dataNos": ["B01"]}, "1053"),
        (NEW, {"linkTel": "x"}, "1001"),
        (NEW, {"attachIds": [str(i) for i in range(11)]}, "1001"),
        (MORE, {"consNo": None}, "1001"),
        (MORE, {"consNo": "9999999999999"}, "1004"),
        (MORE, {"consNo": "3210000000007"}, "1005"),
        (MORE, {"appType": "103"}, "1052"),
        (TRANSFER, {"newCustType": None}, "1001"),
        (TRANSFER, {"newCertNo": "990101199001010019x"}, "1001"),
        (TRANSFER, {"consNo": "3210000000003"}, "1054"),
        (MORE, {"appType": "202", "consNo": "3210000000008"}, "1054"),
    ],
)
def test_what_cannot_be_applied_for(
    marketing: Marketing, asked: dict[str, Any], changes: dict[str, Any], refused: str
) -> None:
    assert code(apply, marketing, asked, **changes) == refused
    assert journal.summary(marketing.reading)["applied"] == 0


@pytest.mark.parametrize(
    ("asked", "changes", "nodes"),
    [
        (NEW, COMPANY, 6),
        (MORE, {}, 6),
        (MORE, COMPANY | {"appType": "103"}, 4),
        (MORE, {"consNo": "3210000000003"}, 6),  # who owes may have more capacity
        (TRANSFER, {}, 5),
        (MORE, {"appType": "202"}, 4),
    ],
)
def test_every_kind(marketing: Marketing, asked: dict[str, Any], changes: dict[str, Any], nodes: int) -> None:
    body = asked | changes
    needed = data(marketing.applications.papers(fields(body)))
    required = [paper for paper in needed["dataList"] if paper["mustFlag"] == "1"]
    told = apply(marketing, body)
    assert told["lackList"] == [{"dataNo": one["dataNo"], "dataName": one["dataName"]} for one in required]
    again = apply(marketing, body, reqId="again", dataNos=[one["dataNo"] for one in needed["dataList"]])
    assert again["lackList"] == []
    assert len(progress(marketing, again["appNo"])["nodeList"]) == nodes


def test_papers_of_what_is_not_offered(marketing: Marketing) -> None:
    assert code(marketing.applications.papers, fields({"appType": "103", "custType": "1"})) == "1052"


def test_the_application_of_the_examples_waits_for_two_papers(marketing: Marketing) -> None:
    waiting = progress(marketing, "SQ202511030000000001")
    assert [paper["dataNo"] for paper in waiting["lackList"]] == ["A02", "C01"]
    assert code(marketing.applications.progress, fields({"appNo": "SQ202511040000000001"})) == "1050"
    assert code(marketing.applications.progress, fields({"appNo": "x"})) == "1050"
