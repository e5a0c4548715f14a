"""Answers in pages, against a real socket: joined whole, or not at all."""

import json
from typing import Any

import pytest

from intranet_bridge.marketing import Answered, Fault, Refused, Unknown
from intranet_bridge.marketing.http.binding import HttpBinding
from intranet_bridge.marketing.http.check import complaints
from intranet_bridge.marketing.http.paging import with_items
from protocol.operations import CATALOGUE
from tests.unit.intranet_bridge.marketing.http.test_adapter import Server, adapter, asked, hang, http

pytestmark = pytest.mark.anyio

ACCOUNT = "3210000000001"
PAGING = {"items": "data.oweList", "size": 2}


def row(month: int) -> dict[str, Any]:
    return {"month": f"2026-{month:02}", "amount": month, "penalty": 0}


def page(*months: int, account: str = ACCOUNT, **more: Any) -> bytes:
    data = {"consNo": account, "totAmt": 7, "oweList": [row(month) for month in months]}
    return http({"rtnCode": "0000", "data": data} | more)


async def outcome_of(server: Server, paging: dict[str, Any], request: str = "{no: paging}") -> Any:
    return await adapter(server.port, paging=PAGING | paging, request=request).call(asked(), 5)


def bodies(server: Server) -> list[Any]:
    return [json.loads(request.partition(b"\r\n\r\n")[2])["no"] for request in server.requests]


@pytest.mark.parametrize(
    ("request_", "numbers"),
    [
        ("{no: paging.number}", [1, 2, 3]),
        ("{no: paging.offset}", [0, 2, 4]),
        ("{no: paging.size}", [2, 2, 2]),
    ],
)
async def test_pages_are_joined_until_one_is_short(request_: str, numbers: list[int]) -> None:
    async with Server(page(1, 2), page(3, 4), page(5)) as server:
        outcome = await outcome_of(server, {}, request_)
        assert isinstance(outcome, Answered)
        assert [bill["month"] for bill in json.loads(outcome.result)["unpaid"]] == [
            "2026-01", "2026-02", "2026-03", "2026-04", "2026-05",
        ]  # fmt: skip
        assert bodies(server) == numbers


async def test_pages_by_cursor() -> None:
    async with Server(page(1, next="a"), page(2, 3, next="b"), page(4, next="")) as server:
        outcome = await outcome_of(server, {"cursor": "next"}, "{no: paging.cursor || 'first'}")
        assert len(json.loads(outcome.result)["unpaid"]) == 4
        assert bodies(server) == ["first", "a", "b"]


async def test_pages_while_an_answer_says_more() -> None:
    async with Server(page(1, 2, more="Y"), page(3, 4, more="N")) as server:
        outcome = await outcome_of(server, {"more": "more == 'Y'"}, "{no: paging.number}")
        assert len(json.loads(outcome.result)["unpaid"]) == 4
        assert bodies(server) == [1, 2]


async def test_one_short_page_is_one_request() -> None:
    async with Server(page(1)) as server:
        assert isinstance(await outcome_of(server, {}), Answered)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("pages", "paging", "reason", "fault"),
    [
        ([page(1, 2), page(3, 4)], {"pages_max": 2}, "answer: more pages than paging.pages_max", Fault.ANSWER),
        ([page(1, 2), page(3, 4)], {"items_max": 3}, "answer: more items than paging.items_max", Fault.ANSWER),
        ([page(1, 2), page(1, 2)], {}, "answer: a page that was there before came again", Fault.ANSWER),
        ([page(1, next="a"), page(2, next="a")], {"cursor": "next"}, "answer: the cursor stays where it was",
         Fault.ANSWER),
        ([page(1, 2), page(3, account="3210000000002")], {}, "mismatch at account", Fault.MISMATCH),
        ([page(1, 2), http(b"", 500)], {}, "HTTP 500", Fault.INTERFACE),
        ([page(1, 2), http(b"x")], {}, "the answer is not JSON: expecting value at line 1, column 1", Fault.ANSWER),
    ],
)  # fmt: skip
async def test_a_part_of_an_answer_is_none(pages: Any, paging: Any, reason: str, fault: Fault) -> None:
    async with Server(*pages) as server:
        outcome = await outcome_of(server, paging)
        assert outcome == Unknown(reason)
        assert outcome.fault is fault


async def test_a_refusal_on_any_page_is_one() -> None:
    async with Server(page(1, 2), http({"rtnCode": "1004"})) as server:
        assert await outcome_of(server, {}) == Refused("no-such-account")


async def test_all_pages_together_keep_to_the_deadline() -> None:
    async with Server(page(1, 2), hang) as server:
        one = adapter(server.port, paging=PAGING)
        assert await one.call(asked(), 0.2) == Unknown("timeout", timed_out=True)


def test_a_command_has_no_pages() -> None:
    values = {"path": "/a", "response": "@", "paging": PAGING}
    found = [
        one.message for one in complaints(CATALOGUE["work-order"], HttpBinding.model_validate(values)) if one.fatal
    ]
    assert "only a query's answer comes in pages: a command is one call" in found


def test_paging_is_known_to_requests_of_bindings_that_have_it() -> None:
    values = {"path": "/a", "request": "{n: paging.number}", "response": "{account: a, as_of: d, total: b, unpaid: c}"}
    operation = CATALOGUE["arrears-query"]
    assert [one for one in complaints(operation, HttpBinding.model_validate(values)) if one.fatal]
    assert not list(complaints(operation, HttpBinding.model_validate(values | {"paging": PAGING})))


def test_items_are_put_where_they_were() -> None:
    assert with_items({"a": {"b": [1], "c": 2}, "d": 3}, ["a", "b"], [1, 2]) == {"a": {"b": [1, 2], "c": 2}, "d": 3}
    assert with_items({"a": None}, ["a", "b"], [1]) == {"a": {"b": [1]}}
