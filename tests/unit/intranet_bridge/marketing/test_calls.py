"""What the breaker of an operation hears of its calls, and that no call raises."""

import asyncio
import time

import pytest

from intranet_bridge.marketing import (
    Absent,
    Answered,
    Finding,
    MarketingRequest,
    NotApplied,
    Outcome,
    Refused,
    Rejected,
    Unknown,
)
from intranet_bridge.marketing.binding import BreakerSection
from intranet_bridge.marketing.breaker import Breaker, Circuit
from intranet_bridge.marketing.calls import MarketingCalls
from intranet_bridge.marketing.health import Health

ASKED = MarketingRequest("id", {})


class Scripted:
    """An adapter that says what it is told to."""

    timeout_s, settle_s = 5.0, 0.5

    def __init__(self, says: Outcome | Finding | Exception) -> None:
        self.says, self.asked = says, 0

    async def call(self, asked: MarketingRequest, timeout_s: float) -> Outcome:
        self.asked += 1
        if isinstance(self.says, Exception):
            raise self.says
        assert not isinstance(self.says, Absent)
        return self.says

    async def inquire(self, asked: MarketingRequest, timeout_s: float) -> Finding:
        self.asked += 1
        if isinstance(self.says, Exception):
            raise self.says
        assert not isinstance(self.says, Rejected | NotApplied)
        return self.says


def calls(adapter: Scripted) -> MarketingCalls:
    return MarketingCalls({"pay": adapter}, {"pay": Health("pay", Breaker(BreakerSection(failures=1, open_min_s=60)))})


@pytest.mark.parametrize(
    ("says", "good"),
    [
        (Answered(b"{}"), True),
        (Refused("no-such-account"), True),
        (Rejected("400"), True),
        (NotApplied("refused", reached=False), False),
        (NotApplied("503", reached=True), False),
        (Unknown("connection lost"), False),
    ],
)
def test_a_call(says: Outcome, good: bool) -> None:
    """A no is an answer: the interface works."""
    made = calls(Scripted(says))
    assert asyncio.run(made.call("pay", ASKED)) == says
    assert made.admits("pay") is good


@pytest.mark.parametrize(("says", "good"), [(Answered(b"{}"), True), (Absent(), True), (Unknown("lost"), False)])
def test_an_inquiry(says: Finding, good: bool) -> None:
    made = calls(Scripted(says))
    assert asyncio.run(made.inquire("pay", ASKED)) == says
    assert made.admits("pay") is good


@pytest.mark.parametrize("what", ["call", "inquire"])
def test_what_an_adapter_raises_makes_the_outcome_unknown(what: str) -> None:
    made = calls(Scripted(RuntimeError("a defect")))
    outcome = asyncio.run(getattr(made, what)("pay", ASKED))
    assert outcome == Unknown("adapter: RuntimeError")
    assert not made.admits("pay")


def test_a_request_that_cannot_be_made_says_nothing_of_the_interface() -> None:
    adapter = Scripted(NotApplied("refused", reached=False))
    health = Health("pay", Breaker(BreakerSection(failures=1, open_min_s=0.001, open_max_s=0.001)))
    made = MarketingCalls({"pay": adapter}, {"pay": health})
    asyncio.run(made.call("pay", ASKED))
    time.sleep(0.002)
    adapter.says = Rejected("request not mapped", asked=False)
    asyncio.run(made.call("pay", ASKED))
    assert health.breaker.circuit(time.monotonic()) is Circuit.HALF_OPEN


def test_nothing_is_called_once_the_lease_may_be_over() -> None:
    adapter = Scripted(Answered(b"{}"))
    made = calls(adapter)
    outcome = asyncio.run(made.call("pay", MarketingRequest("id", {}, may_send=lambda: False)))
    assert outcome == NotApplied("the lease may be over", reached=False)
    assert not adapter.asked
    assert made.admits("pay")  # says nothing of the interface


def test_an_operation_that_is_not_bound_waits_for_another_configuration() -> None:
    made = calls(Scripted(Answered(b"{}")))
    assert not made.admit("refund")
    assert not made.admits("refund")
    assert made.wait_s("refund", 0.0) is None
    assert made.wait_s("pay", 0.0) == 0.0


def test_what_is_paused_is_neither_called_nor_waited_for_by_time() -> None:
    adapter = Scripted(Answered(b"{}"))
    one = calls(adapter)
    one.health["pay"].breaker.suspend(time.monotonic())
    assert (one.wait_s("pay", time.monotonic()), one.admits("pay"), one.admit("pay")) == (None, False, False)
    outcome = asyncio.run(one.call("pay", ASKED))
    assert outcome == NotApplied("paused for maintenance", reached=False)
    assert isinstance(asyncio.run(one.inquire("pay", ASKED)), Unknown)
    assert (adapter.asked, one.health["pay"].calls) == (0, 0)
    one.health["pay"].breaker.resume(time.monotonic())
    assert one.admit("pay")
    assert asyncio.run(one.call("pay", ASKED)) == Answered(b"{}")
