"""Asking ahead: when, what, how fast, and what makes it stop."""

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, ValidationError

from intranet_bridge.hot_data.active import ActiveAccounts
from intranet_bridge.hot_data.hot import HotData
from intranet_bridge.hot_data.interfaces import Mark, trouble
from intranet_bridge.hot_data.prequery import LONGEST_REST_S, REST_S, ROUND_S, Prequery
from intranet_bridge.hot_data.section import HotSection, request_of
from intranet_bridge.marketing import Answered, Fault, MarketingRequest, Outcome, Refused, Unknown
from intranet_bridge.marketing.binding import BreakerSection
from intranet_bridge.marketing.breaker import Breaker
from intranet_bridge.marketing.health import Health
from protocol.maintenance import ALL, Schedule, Window

NAME = "arrears-query"
NIGHT = Window(frozenset({ALL}), time(1), time(5), frozenset(range(7)))
SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(hour: int, minute: int = 0, day: int = 2) -> int:
    return int(datetime(2026, 11, day, hour, minute, tzinfo=SHANGHAI).timestamp() * 1000)


class Scene:
    """A pre-query with a marketing system of words, at a time of its own."""

    def __init__(self, **prequery: Any) -> None:
        section = HotSection.model_validate(
            {
                "operations": {NAME: {"lifetime_s": 3600}},
                "prequery": {
                    "requests": {NAME: {}}, "windows": [{"from": "01:00", "to": "05:00"}], "rate": 4, **prequery,
                },
            }
        )  # fmt: skip
        self.runner = asyncio.Runner()
        self.seconds, self.ms = 1_000.0, at(1, 30)
        self.hot = HotData(section, lambda: self.seconds)
        self.health = {NAME: Health(NAME, Breaker(BreakerSection()), "account")}
        self.asked: list[str] = []
        self.answer: Outcome = Answered(b"{}")
        self.busy: set[str] = set()
        self.took_s = 0.01
        self.subscribers = [f"s{n}" for n in range(3)]
        self.living = 1
        self.allowed = True
        self.prequery = Prequery(
            hot=self.hot, ask=self.ask, subscribed=self.page, health=self.health, allowed=lambda: self.allowed,
            living=self.instances, clock=lambda: self.ms, now=lambda: self.seconds, sleep=self.sleep,
        )  # fmt: skip
        self.section = section
        self.use()

    def use(self, *quiet: Window) -> None:
        self.prequery.use(self.section.prequery, Schedule((NIGHT,), SHANGHAI), Schedule(quiet, SHANGHAI))

    async def instances(self) -> int:
        return self.living

    async def sleep(self, _seconds: float) -> None:
        await asyncio.sleep(0)

    async def page(self, after: str, limit: int) -> list[tuple[str, str]]:
        assert limit == 1000
        return [(one, number(one)) for one in self.subscribers if one > after][:2]

    async def ask(self, operation: str, body: BaseModel, share: float) -> Outcome | None:
        question = self.hot.asking(operation, body)
        account = body.account  # type: ignore[attr-defined]
        if account in self.busy or self.hot.good(question, share):
            return None
        self.asked.append(account)
        flight = self.hot.begin(question, MarketingRequest("id", body), ahead=True)
        self.hot.landed(flight, self.answer)
        self.health[operation].heard(self.seconds, MarketingRequest("id", body), self.answer, self.took_s)
        return self.answer

    def turns(self, number: int) -> None:
        self.runner.run(self.go(number))

    async def go(self, number: int) -> None:
        for _ in range(number):
            await self.prequery.turn()
            self.seconds += 1
            self.ms += 1000


def number(name: str) -> str:
    return f"321000000{int(name[1:]):04d}"


def test_active_accounts_come_first_then_those_subscribed_each_once_and_at_the_rate() -> None:
    scene = Scene()
    for one in ("a7", "a8", "a9", "a7"):
        scene.prequery.active.seen(number(one))
    scene.prequery.active.seen(number("s1"))
    scene.turns(1)
    assert scene.asked == [number(one) for one in ("s1", "a7", "a9", "a8")]
    scene.turns(3)
    assert scene.asked[4:] == [number("s0"), number("s2")]
    scene.turns(60)
    assert len(scene.asked) == 6  # what is kept is good
    scene.hot.invalidate(number("a9"))
    scene.turns(int(ROUND_S))
    assert scene.asked[6:] == [number("a9")]
    report = scene.prequery.report()
    assert report is not None
    assert report.now is not None
    assert (report.now.asked, report.now.kept, report.now.rounds > 1, report.active) == (7, 7, True, 4)


def test_what_grows_old_is_asked_again_before_it_is_too_old() -> None:
    scene = Scene(subscribed=False)
    scene.prequery.active.seen(number("a1"))
    scene.turns(1)
    scene.seconds += 2300
    scene.turns(1)
    assert len(scene.asked) == 1
    scene.seconds += 101  # less than a third of the hour is left
    scene.turns(int(ROUND_S) + 1)
    assert len(scene.asked) == 2


@pytest.mark.parametrize(("rate", "living", "turns", "asked"), [(4, 2, 3, 6), (0.5, 1, 6, 3), (1, 4, 8, 2)])
def test_bridges_share_the_rate(rate: float, living: int, turns: int, asked: int) -> None:
    scene = Scene(rate=rate)
    scene.subscribers, scene.living = [f"s{n:03d}" for n in range(50)], living
    scene.turns(turns)
    assert len(scene.asked) == asked


def test_nothing_is_asked_outside_a_window_in_quiet_hours_or_without_leave() -> None:
    scene = Scene()
    scene.ms = at(12)
    scene.turns(3)
    scene.ms = at(1, 30)
    scene.use(Window(frozenset({ALL}), time(1, 15), time(1, 45), frozenset(range(7))))
    scene.turns(3)
    scene.ms, scene.allowed = at(2), False
    scene.turns(3)
    assert scene.asked == []
    scene.allowed = True
    scene.turns(1)
    assert len(scene.asked) == 3


def test_it_rests_while_an_interface_is_slow_for_longer_each_time_and_goes_on() -> None:
    scene = Scene(slow_ms=500)
    scene.subscribers, scene.took_s = [f"s{n:03d}" for n in range(900)], 0.6
    scene.turns(1)
    first = len(scene.asked)
    assert first in (2, 3)  # the second slow call is one too many
    scene.turns(int(REST_S))
    assert len(scene.asked) == first
    report = scene.prequery.report()
    assert report is not None
    assert report.rests == f"{NAME}: slow"
    scene.turns(4)  # asked again, slow again
    second = len(scene.asked)
    assert second > first
    scene.turns(int(REST_S) + 10)
    assert len(scene.asked) == second  # the second rest is twice as long
    scene.took_s = 0.01
    scene.turns(int(2 * REST_S))
    assert len(scene.asked) > second + 20
    assert scene.prequery.report().rests == ""  # type: ignore[union-attr]


def test_customers_slow_calls_keep_it_at_rest_without_calls_of_its_own() -> None:
    scene = Scene(slow_ms=500)
    health = scene.health[NAME]

    async def night() -> None:
        await scene.go(1)
        for _ in range(100):
            health.heard(scene.seconds, ASKED_OF, Answered(b"{}"), 2.0)
            await scene.go(1)

    ASKED_OF = MarketingRequest("id", request_of(NAME, {}, "3210000000001", date(2026, 11, 2)))
    scene.subscribers = [f"s{n:03d}" for n in range(900)]
    scene.runner.run(night())
    assert len(scene.asked) <= 12  # until two slow ones were seen
    assert scene.prequery._rest_s <= LONGEST_REST_S


def test_an_open_circuit_stops_it_and_it_is_the_probe_afterwards() -> None:
    scene = Scene()
    scene.subscribers = [f"s{n:03d}" for n in range(99)]
    scene.answer = Unknown("HTTP 500")
    scene.turns(3)
    failed = len(scene.asked)
    assert failed <= 4
    scene.answer = Answered(b"{}")
    scene.turns(int(REST_S) + 5)
    assert len(scene.asked) > failed


def test_who_waits_for_a_place_goes_first_and_what_gave_way_is_asked_later() -> None:
    scene = Scene(subscribed=False)
    scene.prequery.active.seen(number("a1"))
    scene.busy = {number("a1")}
    scene.turns(2)
    assert scene.asked == []
    scene.busy = set()
    scene.turns(1)
    assert scene.asked == [number("a1")]


def test_an_account_that_is_refused_is_no_active_one() -> None:
    scene = Scene(subscribed=False)
    scene.answer = Refused("no-such-account")
    scene.prequery.active.seen(number("a1"))
    scene.turns(50)
    assert (scene.asked, len(scene.prequery.active)) == ([number("a1")], 0)


def test_a_window_that_is_too_short_is_told_of_and_each_says_what_it_did(monkeypatch: Any) -> None:
    scene = Scene(rate=1)
    said: list[dict[str, Any]] = []
    monkeypatch.setattr("intranet_bridge.hot_data.prequery.log.info", lambda event, **more: said.append(more))
    scene.subscribers = [f"s{n:03d}" for n in range(99)]
    scene.ms = at(4, 59)
    scene.turns(61)
    last = scene.prequery.report().last  # type: ignore[union-attr]
    assert last is not None
    assert (last.since, last.until, last.asked, last.rounds) == (at(1), at(5), 60, 0)
    assert [one["asked"] for one in said] == [60]
    question = scene.hot.asking(NAME, request_of(NAME, {}, number("s001"), date(2026, 11, 2)))
    for _ in range(3):
        assert scene.hot.kept(question) is not None
    assert scene.hot.spared == Counter({NAME: 1})  # the first was spared its wait; the others are hits like any


def test_it_drives_out_nothing_when_memory_is_short() -> None:
    scene = Scene()
    scene.hot._kept.limit = 1_800
    scene.subscribers = [f"s{n:03d}" for n in range(99)]
    scene.turns(5)
    assert len(scene.asked) <= 2
    assert "memory" in scene.prequery.report().rests  # type: ignore[union-attr]


def test_calls_tell_what_is_wrong_only_when_there_are_enough() -> None:
    zero = Mark(0, 0, 0, 0)
    assert trouble(zero, Mark(1, 5, 1, 1)) == ""
    assert trouble(zero, Mark(1, 300, 0, 3)) == ""
    assert trouble(zero, Mark(1, 299, 0, 3)) == "slow"
    assert trouble(zero, Mark(1, 20, 2, 0)) == ""
    assert trouble(zero, Mark(1, 19, 2, 0)) == "failing"
    assert trouble(Mark(0, 9, 9, 9), zero) == ""


def test_active_accounts_are_bounded_and_grow_old() -> None:
    seconds = 0.0
    active = ActiveAccounts(3, lambda: seconds)
    for one in "abcd":
        active.seen(one)
        seconds += 10
    active.seen("b")
    assert active.latest(100) == ["b", "d", "c"]
    assert active.latest(15) == ["b", "d"]
    active.use(1)
    assert active.latest(100) == ["b"]


def test_requests_name_months_and_days_by_how_far_they_are() -> None:
    today = datetime(2026, 1, 15, tzinfo=UTC).date()
    body = request_of("bill-query", {"first_month": "month-2", "last_month": "month"}, "3210000000001", today)
    assert body.model_dump() == {"account": "3210000000001", "first_month": "2025-11", "last_month": "2026-01"}
    days = request_of("payment-records", {"first_day": "day-15", "last_day": "day"}, "3210000000001", today)
    assert days.model_dump(include={"first_day", "last_day"}) == {"first_day": "2025-12-31", "last_day": "2026-01-15"}


@pytest.mark.parametrize(
    ("prequery", "words"),
    [
        ({"requests": {NAME: {}}}, "windows"),
        ({"requests": {"bill-query": {}}}, "its answers are not kept"),
        ({"requests": {NAME: {"account": "1"}}}, "each request adds"),
        ({"requests": {NAME: {"as_of": "yesterday"}}}, "makes no request"),
        ({"requests": {"outlets": {}}}, "may not be kept"),
    ],
)
def test_what_cannot_be_asked_is_refused(prequery: dict[str, Any], words: str) -> None:
    windows = {} if words == "windows" else {"windows": [{"from": "01:00", "to": "05:00"}]}
    if "bill-query" in prequery["requests"]:
        prequery = {"requests": {"bill-query": {"first_month": "month-1", "last_month": "month"}}}
    with pytest.raises(ValidationError, match=words):
        HotSection.model_validate({"operations": {NAME: {"lifetime_s": 3600}}, "prequery": {**prequery, **windows}})


def test_a_fault_of_one_answer_is_none_of_the_interfaces_yet() -> None:
    health = Health(NAME, Breaker(BreakerSection()), "account")
    body = request_of(NAME, {}, "3210000000001", date(2026, 11, 2))
    health.heard(1, MarketingRequest("id", body), Unknown("odd", fault=Fault.ANSWER), 0.1)
    assert health.slow == 0
