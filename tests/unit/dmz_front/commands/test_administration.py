"""What an administrator asks the running front about commands."""

import json

import pytest

from dmz_front.ledger.ledger import UNDELIVERED_MS
from protocol.errors import BridgeError
from protocol.lifecycle import State
from protocol.runtime.control import Peer
from tests.unit.clock import Clock
from tests.unit.dmz_front.harness import ORDER, Harness, Say

pytestmark = pytest.mark.anyio
ROOT = Peer(0, 1)


async def test_what_is_held_is_listed_without_a_word_of_a_customer(harness: Harness) -> None:
    harness.bridge.script = lambda _: Say(State.HELD, "held", "why")
    await harness.start()
    id = (await harness.order()).json()["request_id"]
    await harness.settle()
    office = harness.front.administration
    [held] = await office.list({}, ROOT)
    assert (held["id"], held["state"], held["decide"], held["source"]) == (id, "held", "bridge", "front-1/wechat")
    assert (held["sends"], held["side"]) == (1, "front")
    assert str(ORDER["address"]) not in json.dumps(held, ensure_ascii=False)
    assert await office.list({"states": ["succeeded"]}, ROOT) == []
    assert (await office.show({"id": id}, ROOT))["command"] == held
    with pytest.raises(BridgeError, match="sealed for the bridge"):
        await office.show({"id": id, "reveal": True}, ROOT)
    with pytest.raises(BridgeError, match="has no request"):
        await office.show({"id": "nobody"}, ROOT)
    with pytest.raises(BridgeError, match="on the bridge's host"):
        await office.resolve({"id": id}, ROOT)


async def test_what_waits_is_sent_now_and_no_outcome_is_asked_for_twice(harness: Harness, clock: Clock) -> None:
    harness.bridge.script = lambda _: None
    await harness.start()
    ids = [
        (await harness.order(key=f"k{n}", prefer="respond-async")).json()["request_id"] for n in range(3)
    ]  # fmt: skip
    await harness.settle()
    office = harness.front.administration
    assert await office.resend({"ids": [ids[1]]}, ROOT) == {"sent": 1, "more": False}
    await harness.settle()
    assert [opened.attributes.id for opened in harness.bridge.taken] == [*ids, ids[1]]
    harness.bridge.script = lambda _: Say(result=b"{}")
    assert await office.resend({}, ROOT) == {"sent": 3, "more": False}
    await harness.settle()
    assert [(await harness.status(id)).json()["status"] for id in ids] == ["succeeded"] * 3
    assert await office.resend({}, ROOT) == {"sent": 0, "more": False}
    with pytest.raises(BridgeError, match="not waiting for an outcome"):
        await office.resend({"ids": [ids[0]]}, ROOT)


async def test_nothing_too_old_is_sent_and_nothing_without_a_broker(harness: Harness, clock: Clock) -> None:
    harness.bridge.script = lambda _: None
    await harness.start()
    await harness.order(prefer="respond-async")
    await harness.settle()
    office = harness.front.administration
    clock.now += UNDELIVERED_MS
    assert await office.resend({}, ROOT) == {"sent": 0, "more": False}
    await harness.front.command_link.close()
    with pytest.raises(BridgeError, match="nothing can be sent now"):
        await office.resend({}, ROOT)
