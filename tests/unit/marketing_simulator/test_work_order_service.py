"""What customers do with work orders of their own: the list, cancelling, rating; and feedback."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.marketing_simulator import journal
from scripts.tools.marketing_simulator.responses import Refusal
from tests.unit.marketing_simulator.harness import NODE_SECONDS, Marketing, data, fields

ORDER = {
    "reqId": "order",
    "consNo": "3210000000002",
    "woType": "01",
    "contactName": "张三",
    "contactTel": "13800000002",
    "addr": "云河市人民路1号",
    "content": "停电",
}


@pytest.fixture
def marketing(tmp_path: Path) -> Iterator[Marketing]:
    marketing = Marketing(tmp_path / "marketing.sqlite3")
    yield marketing
    marketing.close()


@pytest.fixture
def number(marketing: Marketing) -> str:
    [created] = marketing.create(ORDER)
    return str(created["woNo"])


def cancel(marketing: Marketing, number: str, **changes: Any) -> Any:
    body = {"reqId": "cancel", "woNo": number, "consNo": "3210000000002", "cancelReason": "不用了"} | changes
    return marketing.apply(marketing.service.cancel, **body)


def rate(marketing: Marketing, number: str, **changes: Any) -> Any:
    body = {"reqId": "rate", "woNo": number, "consNo": "3210000000002", "score": 5} | changes
    return marketing.apply(marketing.service.rate, **body)


def listed(marketing: Marketing, **body: Any) -> Any:
    return data(marketing.service.list(fields({"consNo": "3210000000002"} | body)))


def refused(marketing: Marketing, call: Any, number: str, **changes: Any) -> str:
    applied = journal.summary(marketing.reading)["applied"]
    with pytest.raises(Refusal) as caught:
        call(marketing, number, **changes)
    assert journal.summary(marketing.reading)["applied"] == applied
    return caught.value.code.code


def test_a_cancelled_order_goes_no_further_and_says_so(marketing: Marketing, number: str) -> None:
    marketing.moment += timedelta(seconds=NODE_SECONDS)
    first = cancel(marketing, number)
    assert first == {"reqId": "cancel", "woNo": number, "woStatus": "40", "cancelTime": "2026-01-15 09:01:00"}
    marketing.moment += timedelta(days=1)
    again = cancel(marketing, number, reqId="again", cancelReason="别的原因")
    assert again["cancelTime"] == first["cancelTime"]
    progress = data(marketing.orders.progress(fields({"woNo": number})))
    assert (progress["woStatus"], progress["curNode"]) == ("40", "撤销")
    assert [node["nodeName"] for node in progress["nodeList"]] == ["受理", "派工", "撤销"]
    assert marketing.reading.execute("SELECT cancel_reason FROM work_order WHERE id = 4").fetchone() == ("不用了",)
    assert refused(marketing, rate, number) == "1042"


def test_an_order_past_its_second_node_cannot_be_cancelled(marketing: Marketing, number: str) -> None:
    marketing.moment += timedelta(seconds=2 * NODE_SECONDS)
    assert refused(marketing, cancel, number) == "1041"
    marketing.moment += timedelta(days=1)
    assert refused(marketing, cancel, number) == "1041"


@pytest.mark.parametrize("call", [cancel, rate])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"consNo": "3210000000003"}, "1008"),
        ({"consNo": None, "contactTel": "13800000003"}, "1008"),
        ({"contactTel": "13800000003"}, "1008"),
        ({"woNo": "202601150000000009"}, "1008"),
        ({"woNo": "x"}, "1008"),
        ({"consNo": None}, "1001"),
        ({"reqId": None}, "1001"),
    ],
)
def test_another_persons_order_is_none(
    marketing: Marketing, number: str, call: Any, changes: dict[str, Any], code: str
) -> None:
    assert refused(marketing, call, number, **changes) == code


@pytest.mark.parametrize("phone", ["13800000002", "138-0000-0002", "+8613800000002", "+86-138-0000-0002"])
def test_a_telephone_number_is_the_same_however_it_is_written(marketing: Marketing, number: str, phone: str) -> None:
    assert cancel(marketing, number, consNo=None, contactTel=phone)["woNo"] == number


def test_a_finished_order_is_rated_once(marketing: Marketing, number: str) -> None:
    assert refused(marketing, rate, number) == "1042"
    marketing.moment += timedelta(days=1)
    first = rate(marketing, number, evalCont="很快")
    marketing.moment += timedelta(days=1)
    again = rate(marketing, number, reqId="again", evalCont="很快")
    assert first["evalTime"] == again["evalTime"] == "2026-01-16 09:00:00"
    assert refused(marketing, rate, number, score=1, evalCont="很快") == "1043"
    assert refused(marketing, rate, number, evalCont="太慢") == "1043"
    assert refused(marketing, rate, number, score=6) == "1001"
    assert refused(marketing, rate, number, score=4.5) == "1001"


def test_two_ratings_at_once_are_one(marketing: Marketing, number: str) -> None:
    marketing.moment += timedelta(days=1)

    async def both() -> list[Any]:
        bodies = (
            {"reqId": str(score), "woNo": number, "contactTel": "13800000002", "score": score} for score in (5, 1)
        )
        return await asyncio.gather(*(marketing.service.rate(fields(body)) for body in bodies), return_exceptions=True)

    first, second = asyncio.run(both())
    assert data(first.body)["score"] == 5
    assert isinstance(second, Refusal)
    assert journal.lines(marketing.reading, "1") == []
    assert len(journal.lines(marketing.reading, "5")) == 1


def test_the_list_has_pages_the_latest_first(marketing: Marketing) -> None:
    numbers = []
    for i in range(5):
        numbers += [created["woNo"] for created in marketing.create(ORDER | {"reqId": f"order-{i}"})]
        marketing.moment += timedelta(days=1)
    numbers.reverse()
    pages = [listed(marketing, pageNo=page, pageSize=2) for page in (1, 2, 3, 4)]
    assert [[order["woNo"] for order in page["woList"]] for page in pages] == [
        numbers[:2],
        numbers[2:4],
        numbers[4:],
        [],
    ]
    assert {(page["totCnt"], page["consNo"]) for page in pages} == {(5, "3210000000002")}
    assert [page["pageNo"] for page in pages] == [1, 2, 3, 4]
    days = listed(marketing, dateFrom="2026-01-16", dateTo="2026-01-17")
    assert [order["acceptTime"] for order in days["woList"]] == ["2026-01-17 09:00:00", "2026-01-16 09:00:00"]


def test_the_list_can_be_of_one_state(marketing: Marketing, number: str) -> None:
    marketing.moment += timedelta(days=1)
    [accepted, gone] = marketing.create(ORDER | {"reqId": "second"}, ORDER | {"reqId": "third"})
    cancel(marketing, gone["woNo"])
    found = {
        status: [one["woNo"] for one in listed(marketing, woStatus=status)["woList"]] for status in ["10", "30", "40"]
    }
    assert found == {"10": [accepted["woNo"]], "30": [number], "40": [gone["woNo"]]}
    assert listed(marketing, woStatus="20")["totCnt"] == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"consNo": "9999999999999"}, "1004"),
        ({"woStatus": "50"}, "1001"),
        ({"pageNo": 0}, "1001"),
        ({"pageSize": 101}, "1001"),
        ({"dateFrom": "2026-01-02", "dateTo": "2026-01-01"}, "1011"),
    ],
)
def test_lists_that_cannot_be_asked_for(marketing: Marketing, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Refusal) as caught:
        listed(marketing, **changes)
    assert caught.value.code.code == code


def test_orders_there_from_the_start_can_be_cancelled_and_rated(marketing: Marketing) -> None:
    assert cancel(marketing, "202511030000000002", consNo=None, contactTel="19900000001")["woStatus"] == "40"
    assert rate(marketing, "202511030000000003", consNo="3210000000001")["score"] == 5


def test_feedback_needs_nobodys_name(marketing: Marketing) -> None:
    opinion = marketing.service.opinion
    first = marketing.apply(opinion, reqId="a", opType="3", content="希望能下载发票")
    second = marketing.apply(
        opinion,
        reqId="b",
        opType="1",
        content="服务好",
        consNo="3210000000001",
        contactName="王芳",
        contactTel="13800000001",
    )
    assert (first["opNo"], second["opNo"]) == ("YJ202601150000000001", "YJ202601150000000002")
    for wrong, code in (({"opType": "5"}, "1044"), ({"content": " "}, "1001"), ({"consNo": "9999999999999"}, "1004")):
        with pytest.raises(Refusal) as caught:
            marketing.apply(opinion, **({"reqId": "c", "opType": "1", "content": "x"} | wrong))
        assert caught.value.code.code == code
