"""Kept answers by a clock that is set: how long, what ends them, and what is never kept."""

from typing import Any

import pytest
from pydantic import ValidationError

from intranet_bridge.hot_data import hot as module
from intranet_bridge.hot_data.hot import HotData, Joined
from intranet_bridge.hot_data.section import HotSection
from intranet_bridge.marketing import Answered, MarketingRequest, NotApplied, Outcome, Refused, Rejected, Unknown
from protocol.freshness import Freshness, Way, heard
from protocol.messages import Attributes
from protocol.operations import CATALOGUE

ACCOUNT = "3210000000001"
BILLS = Answered(b'{"account":"3210000000001","bills":[]}')
ORDER = CATALOGUE["work-order"]


def section(**more: Any) -> HotSection:
    operations = {"bill-query": {"lifetime_s": 60, "no_cache": True}, "work-order-list": {"lifetime_s": 60}}
    return HotSection.model_validate({"operations": operations} | more)


class Asks:
    """Hot data, a clock, and queries of one account."""

    def __init__(self, **more: Any) -> None:
        self.now = 100.0
        self.hot = HotData(section(**more), lambda: self.now)

    def query(self, account: str = ACCOUNT, operation: str = "bill-query", after: str = "") -> Joined:
        entry = CATALOGUE[operation]
        body = entry.requests.validate_python({**entry.example, "account": account})
        attributes = Attributes("q1", "front-1/app", operation, 0, after=after, version=2)
        return Joined(attributes, MarketingRequest("q1", body), 0.0)

    def flight(self, query: Joined) -> module.Flight:
        question = self.hot.question(query.request, query.asked)
        assert self.hot.kept(question) is None
        return self.hot.begin(question, query.asked)

    def asked(self, query: Joined, outcome: Outcome = BILLS) -> Freshness | None:
        return heard(self.hot.landed(self.flight(query), outcome))

    def kept(self, query: Joined) -> tuple[bytes, Freshness] | None:
        return self.hot.kept(self.hot.question(query.request, query.asked))

    def commanded(self, came_to: Outcome, settle_s: float = 5.0) -> None:
        body = ORDER.requests.validate_python({**ORDER.example, "account": ACCOUNT})
        self.hot.heard("work-order", MarketingRequest("c1", body), came_to, settle_s)


def test_an_answer_is_given_again_until_its_time_is_over() -> None:
    asks = Asks()
    assert asks.asked(asks.query()) == Freshness(Way.MISS, left_s=60, stored=True)
    asks.now += 59.5
    assert asks.kept(asks.query()) == (BILLS.result, Freshness(Way.HIT, 59, 0))
    assert asks.kept(asks.query("3210000000002")) is None
    asks.now += 0.5
    assert asks.asked(asks.query()) == Freshness(Way.STALE, left_s=60, stored=True)
    assert asks.hot.counts == {("bill-query", "miss"): 1, ("bill-query", "hit"): 1, ("bill-query", "stale"): 1}


def test_the_time_runs_from_when_it_was_asked_for() -> None:
    asks = Asks()
    flight = asks.flight(asks.query())
    asks.now += 10
    assert heard(asks.hot.landed(flight, BILLS)) == Freshness(Way.MISS, left_s=50, stored=True)
    late = asks.flight(asks.query("3210000000002"))
    asks.now += 60
    assert heard(asks.hot.landed(late, BILLS)) == Freshness(Way.MISS)
    assert asks.hot.size[0] == 1


@pytest.mark.parametrize(
    "outcome", [Refused("no-such-account"), Rejected("HTTP 404"), NotApplied("down", reached=False), Unknown("?"), None]
)
def test_only_answers_are_kept(outcome: Any) -> None:
    asks = Asks()
    asks.asked(asks.query(), outcome)
    assert asks.hot.size == (0, 0)


@pytest.mark.parametrize("came_to", [Answered(b'{"work_order":"W1"}'), Unknown("connection lost")])
def test_a_command_drops_what_is_kept_of_its_account_alone(came_to: Outcome) -> None:
    asks = Asks()
    asks.asked(asks.query())
    asks.asked(asks.query("3210000000002"), Answered(b'{"account":"3210000000002","bills":[]}'))
    asks.now += 1
    asks.commanded(came_to)
    assert asks.kept(asks.query()) is None
    assert asks.kept(asks.query("3210000000002")) is not None
    assert asks.hot.invalidated == {"command": 1}


@pytest.mark.parametrize("came_to", [Refused("x"), Rejected("x"), NotApplied("x", reached=True)])
def test_a_command_that_had_no_effect_drops_nothing(came_to: Outcome) -> None:
    asks = Asks()
    asks.asked(asks.query())
    asks.commanded(came_to)
    assert asks.kept(asks.query()) is not None


def test_what_was_asked_for_before_a_command_is_neither_kept_nor_joined_after_it() -> None:
    asks = Asks()
    flight = asks.flight(asks.query())
    asks.now += 1
    asks.commanded(Answered(b"{}"))
    later = asks.query()
    assert not asks.hot.join(asks.hot.question(later.request, later.asked), later)
    asks.now += 1
    fresh = asks.flight(later)
    assert heard(asks.hot.landed(flight, BILLS)) == Freshness(Way.MISS)
    assert asks.kept(asks.query()) is None
    assert heard(asks.hot.landed(fresh, BILLS)) == Freshness(Way.MISS, left_s=60, stored=True)


def test_while_a_call_may_still_take_effect_nothing_of_its_account_is_kept() -> None:
    asks = Asks()
    asks.commanded(Unknown("timeout", timed_out=True), settle_s=5.0)
    asks.now += 4
    assert asks.asked(asks.query()) == Freshness(Way.MISS)
    asks.now += 2
    assert asks.asked(asks.query()) == Freshness(Way.MISS, left_s=60, stored=True)


def test_an_answer_that_names_a_changed_account_is_not_kept_though_its_request_did_not() -> None:
    asks = Asks()
    flight = asks.flight(asks.query("3210000000002"))
    asks.now += 1
    asks.commanded(Answered(b"{}"))
    assert heard(asks.hot.landed(flight, BILLS)) == Freshness(Way.MISS)


def test_more_changes_than_are_remembered_keep_nothing_that_was_begun_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_CHANGED", 3)
    asks = Asks()
    flight = asks.flight(asks.query())
    for number in range(9):
        asks.now += 1
        asks.hot.invalidate(f"A{number}")
    assert len(asks.hot._changed) <= 3
    assert heard(asks.hot.landed(flight, BILLS)) == Freshness(Way.MISS)
    asks.now += 1
    assert asks.asked(asks.query()) == Freshness(Way.MISS, left_s=60, stored=True)


def test_identical_queries_join_however_they_are_written_and_so_many_at_most() -> None:
    asks = Asks(joined=1)
    flight = asks.flight(asks.query())
    adapter = CATALOGUE["bill-query"].requests
    other = asks.query()
    written = b'{ "last_month":"%b", "account":"3210000000001","first_month":"%b"}'
    example = CATALOGUE["bill-query"].example
    other.asked = MarketingRequest(
        "q2", adapter.validate_json(written % (example["last_month"].encode(), example["first_month"].encode()))
    )
    assert asks.hot.join(asks.hot.question(other.request, other.asked), other)
    third = asks.query()
    assert not asks.hot.join(asks.hot.question(third.request, third.asked), third)
    assert (flight.joined, asks.hot.joined) == ([other], 1)
    asks.hot.landed(flight, BILLS)
    assert asks.hot.joined == 0


def test_no_cache_asks_anew_where_that_is_allowed() -> None:
    asks = Asks()
    asks.asked(asks.query())
    asks.now += 10
    assert asks.asked(asks.query(after="no-cache")) == Freshness(Way.REQUEST, left_s=60, stored=True)
    assert asks.kept(asks.query()) == (BILLS.result, Freshness(Way.HIT, 0, 60))
    listed = Answered(b'{"account":"3210000000001","orders":[]}')
    asks.asked(asks.query(operation="work-order-list"), listed)
    assert asks.kept(asks.query(operation="work-order-list", after="no-cache")) is not None


def test_a_reload_keeps_what_may_still_be_kept() -> None:
    asks = Asks()
    asks.asked(asks.query())
    asks.now += 10
    asks.hot.use(section(operations={"bill-query": {"lifetime_s": 30}}), anew=False)
    assert asks.kept(asks.query()) == (BILLS.result, Freshness(Way.HIT, 10, 20))
    flight = asks.flight(asks.query("3210000000002"))
    asks.hot.use(section(), anew=True)
    assert asks.hot.size == (0, 0)
    assert heard(asks.hot.landed(flight, BILLS)) == Freshness(Way.MISS)
    asks.now += 1
    asks.asked(asks.query())
    asks.hot.use(HotSection(), anew=False)
    assert asks.hot.size == (0, 0)


def test_an_operator_clears_one_operation_of_one_account_or_all() -> None:
    asks = Asks()
    asks.asked(asks.query())
    asks.asked(asks.query(operation="work-order-list"), Answered(b'{"account":"3210000000001","orders":[]}'))
    asks.now += 1
    assert asks.hot.invalidate(ACCOUNT, ("bill-query",), "operator") == 1
    assert asks.hot.by_operation() == {"bill-query": (0, 0), "work-order-list": (1, asks.hot.size[1])}
    flight = asks.flight(asks.query())
    assert asks.hot.clear() == 1
    assert heard(asks.hot.landed(flight, BILLS)) == Freshness(Way.MISS)
    assert asks.hot.invalidated == {"operator": 2}


@pytest.mark.parametrize("name", ["bill-qery", "work-order", "account-profile", "qr-resolve"])
def test_only_cacheable_queries_of_the_marketing_system_can_be_named(name: str) -> None:
    with pytest.raises(ValidationError, match=rf"{name}|not an operation|may not be kept"):
        HotSection.model_validate({"operations": {name: {"lifetime_s": 60}}})
