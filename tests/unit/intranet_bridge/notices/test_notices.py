"""Subscriptions, and notices on their way to the front, with a whole bridge on an in-memory broker."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from intranet_bridge.notices.outbox import put_back
from intranet_bridge.notices.rows import NOTICES, SUBSCRIPTIONS
from protocol.lifecycle import State
from protocol.messages import Reply
from protocol.notices import EXAMPLES, TYPE, Dispatch, Notice, Receipt
from tests.unit.intranet_bridge.harness import Stage, scene, until, wall

CONSENT = {"version": "2026-01", "at": "2026-07-02T09:00:00+08:00"}
ACCOUNT = "3210000000001"


def notice(kind: str = "bill-issued", **changes: Any) -> Notice:
    return Notice.of(kind, "2026-07-01T08:00:00+08:00", EXAMPLES[kind] | changes)  # type: ignore[index]


async def subscribe(stage: Stage, *kinds: str, account: str = ACCOUNT, application: str = "wechat") -> Reply:
    body = json.dumps({"account": account, "kinds": kinds, "consent": CONSENT}).encode()
    id = await stage.command("notice-subscribe", body=body, source=f"front-1/{application}")
    return await stage.reply(id)


async def publish(stage: Stage, push: str, **changes: Any) -> int:
    notices = stage.bridge.notices
    count = await stage.bridge.store.write(lambda connection: notices.publish_in(connection, notice(**changes), push))
    notices.hurry()
    return count


def came(stage: Stage) -> list[tuple[str, Dispatch]]:
    return [
        (one.attributes.id, Dispatch.from_payload(one.result)) for one in stage.replies if one.attributes.type == TYPE
    ]


async def confirm(stage: Stage, *ids: str) -> None:
    _, envelope = stage.envelope("notice-receipt", Receipt(recorded=ids).payload())
    await stage.send(envelope)


@scene
async def test_a_subscription_is_kept_by_account_and_application_and_nobody_can_read_whose(stage: Stage) -> None:
    await stage.start()
    reply = await subscribe(stage, "bill-issued", "outage-notice")
    assert reply.state is State.SUCCEEDED
    assert [one["kind"] for one in json.loads(reply.result)["subscriptions"]] == ["bill-issued", "outage-notice"]
    await subscribe(stage, "bill-issued", application="alipay")
    body = json.dumps({"account": ACCOUNT, "kinds": ["bill-issued", "arrears-reminder"]}).encode()
    ended = await stage.reply(await stage.command("notice-unsubscribe", body=body, source="front-1/wechat"))
    assert [one["kind"] for one in json.loads(ended.result)["subscriptions"]] == ["outage-notice"]
    id, asked = stage.envelope("notice-subscriptions", b'{"account":"3210000000001"}', source="front-1/alipay")
    await stage.ask(asked)
    listed = json.loads((await stage.reply(id)).result)
    assert [(one["kind"], one["consent_version"]) for one in listed["subscriptions"]] == [("bill-issued", "2026-01")]
    rows = await stage.bridge.store.read(lambda connection: connection.execute(select(SUBSCRIPTIONS)).all())
    assert len(rows) == 2
    assert ACCOUNT not in repr(rows)
    assert [account for _, account in await stage.bridge.notice_subscriptions.accounts()] == [ACCOUNT]


@scene
async def test_an_application_has_no_more_subscriptions_than_it_may(stage: Stage) -> None:
    stage.changes["notices"] = {"subscriptions": 2}
    await stage.start()
    assert (await subscribe(stage, "bill-issued", "outage-notice")).state is State.SUCCEEDED
    refused = await subscribe(stage, "arrears-reminder")
    assert (refused.state, refused.code) == (State.REFUSED, "subscriptions-full")


@scene
async def test_one_that_cannot_be_read_keeps_back_none_of_another_stream(stage: Stage) -> None:
    await stage.start()
    for application in ("alipay", "wechat"):
        await subscribe(stage, "bill-issued", application=application)
    notices, spoilt = stage.bridge.notices, NOTICES.update().where(NOTICES.c.application == "alipay").values(body=b"x")

    def work(connection: Any) -> None:
        notices.publish_in(connection, notice(), "p1")
        connection.execute(spoilt)

    await stage.bridge.store.write(work)
    notices.hurry()
    await until(lambda: came(stage))
    assert [dispatch.application for _, dispatch in came(stage)] == ["wechat"]


@scene
async def test_a_push_is_published_once_and_only_to_who_subscribed_to_its_kind(stage: Stage) -> None:
    await stage.start()
    await subscribe(stage, "bill-issued")
    await subscribe(stage, "bill-issued", application="alipay")
    await subscribe(stage, "outage-notice", application="kiosk")
    assert await publish(stage, "push-1") == 2
    assert await publish(stage, "push-1") == 0
    assert await publish(stage, "push-1", account="3210000000002") == 0
    await until(lambda: len(came(stage)) == 2)
    assert {(one.application, one.sequence, one.kind) for _, one in came(stage)} == {
        ("wechat", 1, "bill-issued"), ("alipay", 1, "bill-issued"),
    }  # fmt: skip
    [wechat] = [one for _, one in came(stage) if one.application == "wechat"]
    assert wechat.data == {key: value for key, value in EXAMPLES["bill-issued"].items() if value is not None}  # type: ignore[index]
    assert ACCOUNT not in wechat.stream
    rows = await stage.bridge.store.read(lambda connection: connection.execute(select(NOTICES)).all())
    assert ACCOUNT not in repr(rows)


@scene
async def test_of_a_stream_the_next_leaves_when_the_front_has_the_one_before(stage: Stage) -> None:
    await stage.start()
    await subscribe(stage, "bill-issued")
    await subscribe(stage, "bill-issued", account="3210000000002")
    for number in range(3):
        await publish(stage, f"push-{number}")
    await publish(stage, "other", account="3210000000002")
    await until(lambda: len(came(stage)) == 2)  # the first of each account
    assert sorted(one.sequence for _, one in came(stage)) == [1, 1]
    for sequence in (1, 2, 3):
        await until(lambda: any(one.sequence == sequence for _, one in came(stage)))  # noqa: B023
        await confirm(stage, *(id for id, one in came(stage) if one.sequence == sequence))
    mine = [one.sequence for _, one in came(stage) if one.data["account"] == ACCOUNT]
    assert mine == [1, 2, 3]
    statement = select(NOTICES.c.confirmed_at, NOTICES.c.body)

    async def rows() -> list[Any]:
        return await stage.bridge.store.read(lambda connection: list(connection.execute(statement)))

    for _ in range(1000):
        if all(row.confirmed_at for row in await rows()):
            break
        await asyncio.sleep(0.005)  # what confirms it is written by another thread
    assert all(row.confirmed_at and row.body == b"" for row in await rows())
    await stage.bridge.notices.count()
    assert stage.bridge.notices.report().waiting == 0


@scene
async def test_what_no_front_confirms_is_sent_again_by_the_next_life_too(stage: Stage) -> None:
    stage.changes["notices"] = {"resend_after_s": 0.05}
    await stage.start()
    await subscribe(stage, "bill-issued")
    await publish(stage, "push-1")
    await until(lambda: came(stage))
    await stage.kill()
    await stage.start()
    await until(lambda: len(came(stage)) >= 2)
    assert len({id for id, _ in came(stage)}) == 1
    await publish(stage, "push-1")
    await publish(stage, "push-2")
    await confirm(stage, came(stage)[0][0])
    await until(lambda: {one.sequence for _, one in came(stage)} == {1, 2})


@scene
async def test_a_dead_bridge_leaves_its_notices_to_another(stage: Stage) -> None:
    bridge = await stage.start()
    await subscribe(stage, "bill-issued")
    of = NOTICES.c.owner

    def publish_elsewhere(connection: Any) -> int:
        bridge.notices.publish_in(connection, notice(), "push-1")
        connection.execute(NOTICES.update().values(owner="bridge-2"))
        return bridge.notices.adopt(connection, ["bridge-2"])

    assert await bridge.store.write(publish_elsewhere) == 1
    owners = await bridge.store.read(lambda connection: list(connection.execute(select(of)).scalars()))
    assert owners == ["bridge-1"]
    bridge.notices.hurry()
    await until(lambda: came(stage))


@scene
async def test_a_database_that_was_put_back_gives_no_number_twice(stage: Stage) -> None:
    await stage.start()
    await subscribe(stage, "bill-issued")
    await stage.bridge.store.write(put_back)
    await publish(stage, "push-1")
    await until(lambda: came(stage))
    assert came(stage)[0][1].sequence > 1_000


def test_rows_are_forgotten_when_they_are_old_and_confirmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(stage: Stage) -> None:
        await stage.start()
        await subscribe(stage, "bill-issued")
        await publish(stage, "push-1")
        await until(lambda: came(stage))
        await stage.bridge.notices.forget(wall() + 1000)
        statement = select(NOTICES.c.id)
        assert await stage.bridge.store.read(lambda connection: connection.execute(statement).all())
        await stage.bridge.notices.confirmed([(came(stage)[0][0], "front-1")])
        await stage.bridge.notices.forget(wall() + 1000)
        assert not await stage.bridge.store.read(lambda connection: connection.execute(statement).all())

    scene(play)(tmp_path, monkeypatch)
