"""The suite finds an adapter that does not keep the contract."""

import asyncio
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from intranet_bridge.contract import AdapterContract, Peer
from intranet_bridge.marketing import Answered, MarketingRequest, NotApplied, Outcome, Unknown
from intranet_bridge.marketing.http.adapter import HttpAdapter
from intranet_bridge.marketing.judgement import Judgement
from tests.support.peers.http import http_peer

Call = Callable[[HttpAdapter, MarketingRequest, float], Any]
_call = HttpAdapter.call


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    with http_peer(tmp_path) as peer:
        yield peer


async def takes_a_lost_answer_for_not_applied(one: HttpAdapter, asked: MarketingRequest, timeout_s: float) -> Outcome:
    outcome = await _call(one, asked, timeout_s)
    return NotApplied(outcome.reason, reached=False) if isinstance(outcome, Unknown) else outcome


async def takes_its_time(one: HttpAdapter, asked: MarketingRequest, timeout_s: float) -> Outcome:
    return await _call(one, asked, timeout_s + 1.5)


async def asks_nobody(one: HttpAdapter, asked: MarketingRequest, timeout_s: float) -> Outcome:
    return await _call(one, dataclasses.replace(asked, may_send=lambda: True), timeout_s)


async def calls_twice(one: HttpAdapter, asked: MarketingRequest, timeout_s: float) -> Outcome:
    await _call(one, asked, timeout_s)
    return await _call(one, asked, timeout_s)


async def tells_whose_it_is(one: HttpAdapter, asked: MarketingRequest, timeout_s: float) -> Outcome:
    outcome = await _call(one, asked, timeout_s)
    return dataclasses.replace(outcome, reason=f"{asked.body}") if isinstance(outcome, Unknown) else outcome


async def raises(one: HttpAdapter, asked: MarketingRequest, timeout_s: float) -> Outcome:
    raise OSError("no route to host")


@pytest.mark.parametrize(
    ("call", "test"),
    [
        (takes_a_lost_answer_for_not_applied, "a_call_that_was_applied_without_an_answer_is_unknown_and_found"),
        (takes_its_time, "a_late_answer_is_never_the_next_requests"),
        (asks_nobody, "what_may_not_be_sent_is_not"),
        (calls_twice, "a_command_is_applied_once_and_answered"),
        (tells_whose_it_is, "a_technical_failure_leaves_the_outcome_unknown"),
        (raises, "nobody_there_is_surely_not_applied"),
    ],
)
def test_an_adapter_that_lies_fails_it(peer: Peer, call: Call, test: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HttpAdapter, "call", call)
    monkeypatch.setattr("intranet_bridge.contract.bench.SLACK_S", 0.3)
    with pytest.raises((AssertionError, OSError)):
        getattr(AdapterContract(), f"test_{test}")(peer)


def test_an_adapter_that_believes_any_answer_fails_it(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    def believed(self: Judgement, asked: MarketingRequest, answer: Any, turned_down: str = "") -> Outcome:
        return Answered(b"{}")

    monkeypatch.setattr(Judgement, "outcome", believed)
    with pytest.raises(AssertionError):
        AdapterContract().test_an_answer_about_another_account_or_request_is_never_believed(peer)


def test_a_log_line_with_a_customers_value_fails_it(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    import logging

    async def logs(one: HttpAdapter, asked: MarketingRequest, timeout_s: float) -> Outcome:
        await asyncio.sleep(0)
        logging.getLogger("some.driver").debug("asked: %s", asked.body)
        return await _call(one, asked, timeout_s)

    monkeypatch.setattr(HttpAdapter, "call", logs)
    with pytest.raises(AssertionError, match="a value of the request or the answer is told"):
        AdapterContract().test_a_query_is_answered_with_what_the_system_has(peer)
