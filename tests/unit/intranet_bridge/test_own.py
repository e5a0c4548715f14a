"""Operations that the bridge itself answers."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy.exc import OperationalError

from intranet_bridge import app, own, settings
from intranet_bridge.at_rest import StoreKeyClosed
from intranet_bridge.marketing import Answered, MarketingRequest, NotApplied, Refused, Unknown
from intranet_bridge.own import Handler, OwnOperation
from intranet_bridge.settings import BridgeSettings
from protocol.errors import ConfigurationError
from protocol.lifecycle import State
from protocol.operations import CATALOGUE, INTERNAL, OFFERED, OWN, AnsweredBy, AnswerMismatch, UnknownOutcome
from protocol.runtime.settings import load
from tests.support.shipped import ANSWERED_BY_THE_BRIDGE, ASKED_BY_THE_BRIDGE, copied, offered
from tests.unit.intranet_bridge.harness import BILL_BODY, DONE, ORDER, Stage, scene

BILLS = replace(CATALOGUE["bill-query"], answered_by=AnsweredBy.BRIDGE)
ANSWER = BILLS.response.model_validate_json('{"account":"3210000000001","bills":[]}')
ASKED = MarketingRequest("01a2-req", BILLS.requests.validate_json(BILL_BODY), source="front-1/wechat")


def called(handler: Handler, asked: MarketingRequest = ASKED, timeout_s: float = 5) -> Any:
    return asyncio.run(OwnOperation(BILLS, handler).call(asked, timeout_s))


def test_what_the_tests_of_whole_installations_take_for_the_bridge_s_own_is() -> None:
    assert ANSWERED_BY_THE_BRIDGE == OWN
    assert ASKED_BY_THE_BRIDGE == INTERNAL
    assert offered() == OFFERED.keys()


def test_without_the_database_s_key_nothing_is_applied_and_a_later_call_may_be() -> None:
    async def handle(asked: MarketingRequest) -> BaseModel:
        raise StoreKeyClosed("the database's own key is not open")

    outcome = called(handle)
    assert isinstance(outcome, NotApplied)
    assert "key" in outcome.reason


def test_a_handler_gives_the_answer_and_is_told_who_asks() -> None:
    heard: list[MarketingRequest] = []

    async def handle(asked: MarketingRequest) -> BaseModel:
        heard.append(asked)
        return ANSWER

    assert called(handle) == Answered(b'{"account":"3210000000001","bills":[]}')
    assert [(one.application, one.request_id) for one in heard] == [("wechat", "01a2-req")]


def test_an_answer_about_something_else_is_never_passed_on() -> None:
    async def handle(asked: MarketingRequest) -> BaseModel:
        return ANSWER.model_copy(update={"account": "3210000000002"})

    with pytest.raises(AnswerMismatch):
        called(handle)  # the caller of adapters makes Unknown of it (marketing/calls.py)


def test_a_no_is_a_no_and_a_failing_store_is_no_answer() -> None:
    async def refuse(asked: MarketingRequest) -> Refused:
        return Refused("no-such-account")

    async def fail(asked: MarketingRequest) -> BaseModel:
        raise OperationalError("x", {}, Exception("database is locked"))

    async def hang(asked: MarketingRequest) -> BaseModel:
        await asyncio.Event().wait()
        return ANSWER

    assert called(refuse) == Refused("no-such-account")
    failed = called(fail)
    assert isinstance(failed, Unknown)
    assert "database is locked" in failed.reason
    assert called(hang, timeout_s=0.01).timed_out


def test_nothing_is_done_when_the_lease_may_be_over() -> None:
    async def handle(asked: MarketingRequest) -> BaseModel:
        raise AssertionError

    assert isinstance(called(handle, replace(ASKED, may_send=lambda: False)), NotApplied)


def test_what_the_bridge_answers_is_repeated_and_not_held() -> None:
    with pytest.raises(ValueError, match="its unknown outcomes are repeated"):
        replace(ORDER, answered_by=AnsweredBy.BRIDGE, unknown_outcome=UnknownOutcome.INQUIRE)


def test_a_binding_for_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "OWN", frozenset({"bill-query"}))
    with pytest.raises(ConfigurationError, match=r"operations\.bill-query: the bridge answers it itself"):
        load(copied(tmp_path), BridgeSettings)


def test_a_bridge_answers_by_itself_beside_what_is_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repeat = UnknownOutcome.REPEAT
    order = replace(ORDER, name="repeatable", answered_by=AnsweredBy.BRIDGE, unknown_outcome=repeat)
    monkeypatch.setattr(own, "CATALOGUE", {"bill-query": BILLS, "repeatable": order})
    done: list[str] = []

    async def bills(asked: MarketingRequest) -> BaseModel:
        return ANSWER

    async def take(asked: MarketingRequest) -> BaseModel:
        done.append(asked.source)
        answer: BaseModel = order.responses.validate_json(DONE)
        return answer

    async def ask(stage: Stage) -> None:
        await stage.start()
        id, envelope = stage.envelope("bill-query", BILL_BODY)
        await stage.ask(envelope)
        reply = await stage.reply(id)
        assert (reply.state, reply.result) == (State.SUCCEEDED, b'{"account":"3210000000001","bills":[]}')
        assert stage.bridge.health["bill-query"].system == "bridge"
        assert (await stage.reply(await stage.command("repeatable"))).state is State.SUCCEEDED
        assert done == ["front-1/test"]
        assert stage.bridge.bindings.bound.adapters.keys().isdisjoint({"bill-query", "repeatable"})

    monkeypatch.setattr(app.Bridge, "handlers", lambda self: {"bill-query": bills, "repeatable": take})
    scene(ask)(tmp_path, monkeypatch)


def test_every_such_operation_of_the_catalogue_has_a_handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(stage: Stage) -> None:
        await stage.start()
        assert set(stage.bridge.handlers()) == OWN

    scene(look)(tmp_path, monkeypatch)
