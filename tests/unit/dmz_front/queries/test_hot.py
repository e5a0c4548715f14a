"""Public information kept at the front: what is, for how long, and what of a customer never is."""

import asyncio
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from dmz_front.hot_section import FrontHotSection
from dmz_front.queries.hot import HotQueries
from protocol.lifecycle import State
from protocol.runtime.applications import Limits
from tests.unit.dmz_front.harness import Harness, Say, turns

pytestmark = pytest.mark.anyio

FAQ = b'{"items":[]}'
NAMES = ("faq", "outlets", "outage-notices")


class Now:
    """Seconds, as they are set."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


async def keeping(harness: Harness, now: Now) -> None:
    harness.bridge.script = lambda _: Say(result=FAQ)
    await harness.start()
    section = FrontHotSection.model_validate({"operations": {name: {"lifetime_s": 60} for name in NAMES}})
    api = harness.front.api
    api.hot = HotQueries(section, api._queries, now)
    await harness.grant("all", "*")


async def asked(harness: Harness, body: Any = None, operation: str = "faq", **headers: str) -> httpx.Response:
    answer = await harness.call("POST", f"/v1/{operation}", {} if body is None else body, app="all", **headers)
    assert answer.status_code == 200, answer.text
    return answer


async def test_it_is_asked_for_once_and_given_again_while_it_is_fresh(harness: Harness, now: Now) -> None:
    await keeping(harness, now)
    first = await asked(harness)
    now.seconds += 12
    second = await asked(harness, {"keyword": None})
    assert first.headers["cache-status"] == "dmz-front; fwd=uri-miss; stored; ttl=60"
    assert (second.headers["cache-status"], second.headers["age"]) == ("dmz-front; hit; ttl=48", "12")
    assert second.json()["result"] == first.json()["result"]
    assert second.json()["request_id"] == second.headers["request-id"] != first.json()["request_id"]
    now.seconds += 48
    assert (await asked(harness)).headers["cache-status"] == "dmz-front; fwd=stale; stored; ttl=60"
    assert len(harness.bridge.taken) == 2


async def test_what_is_left_of_a_limit_is_said_with_a_kept_answer_too(harness: Harness, now: Now) -> None:
    await keeping(harness, now)
    await harness.grant("few", "*", limits=Limits(quotas={"*": 5}))
    left = [(await harness.call("POST", "/v1/faq", {}, app="few")).headers["ratelimit"] for _ in range(2)]
    assert [one.partition(";t=")[0] for one in left] == ['"day-all";r=4', '"day-all";r=3']


async def test_it_is_as_old_as_the_bridges(harness: Harness, now: Now) -> None:
    await keeping(harness, now)
    harness.bridge.script = lambda _: Say(detail="cache hit 40 20 -", result=FAQ)
    first = await asked(harness)
    told = "intranet-bridge; hit; ttl=20, dmz-front; fwd=uri-miss; stored; ttl=20"
    assert (first.headers["cache-status"], first.headers["age"]) == (told, "40")
    now.seconds += 5
    second = await asked(harness)
    assert (second.headers["cache-status"], second.headers["age"]) == ("dmz-front; hit; ttl=15", "45")


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("outage-notices", {"account": "3210000000001"}),
        ("outlets", {"near": {"latitude": 30.5, "longitude": 114.4, "datum": "WGS-84"}}),
    ],
)
async def test_what_is_of_a_customer_is_not_kept(harness: Harness, now: Now, operation: str, body: Any) -> None:
    await keeping(harness, now)
    for _ in range(2):
        assert "cache-status" not in (await asked(harness, body, operation)).headers
    assert len(harness.bridge.taken) == 2
    assert len(harness.front.api.hot._kept) == 0


async def test_identical_queries_at_once_are_asked_once(harness: Harness, now: Now) -> None:
    await keeping(harness, now)
    answers = await asyncio.gather(*(asked(harness) for _ in range(20)))
    assert len(harness.bridge.taken) == 1
    told = [answer.headers["cache-status"] for answer in answers]
    assert told.count("dmz-front; fwd=uri-miss; collapsed") == 19
    assert len({answer.json()["request_id"] for answer in answers}) == 20


async def test_a_refusal_is_not_kept_and_not_shared(harness: Harness, now: Now) -> None:
    await keeping(harness, now)
    harness.bridge.script = lambda _: Say(State.REFUSED, "no-such-category", "没有")
    for _ in range(2):
        assert (await asked(harness)).json()["status"] == "refused"
    await asyncio.gather(*(asked(harness) for _ in range(3)))
    assert len(harness.bridge.taken) == 5


async def test_with_other_settings_it_begins_anew_and_without_any_nobody_asks(harness: Harness, now: Now) -> None:
    await keeping(harness, now)
    await asked(harness)
    hot = harness.front.api.hot
    hot.use(FrontHotSection.model_validate({"operations": {"faq": {"lifetime_s": 30}}}))
    assert len(hot._kept) == 0
    hot.use(FrontHotSection())
    hot.ask = hot.keeps = None  # type: ignore[method-assign, assignment]
    assert "cache-status" not in (await asked(harness)).headers
    await turns()


@pytest.mark.parametrize("name", ["bill-query", "work-order", "account-search", "theft-report-progress", "newslist"])
def test_only_public_information_can_be_named(name: str) -> None:
    with pytest.raises(ValidationError, match=r"not an operation|may not be kept"):
        FrontHotSection.model_validate({"operations": {name: {"lifetime_s": 60}}})
