"""Fronts with keys by group at a whole bridge: none speaks for another's, and none reads what another is answered."""

import datetime
import json
import os
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from bridgectl import keys
from bridgectl.keys import Whose
from intranet_bridge.marketing import Answered
from intranet_bridge.notices.rows import NOTICES, STREAMS, SUBSCRIPTIONS
from protocol.decisions import Decision, LedgerEntry
from protocol.destinations import command_replies, presence
from protocol.envelope import Kind, Opener, Sealer
from protocol.errors import EnvelopeError, ForAnother
from protocol.frames import unpack
from protocol.keyring import Keyring
from protocol.lifecycle import State
from protocol.link.port import AckMode, Delivery, Subscription
from protocol.messages import Attributes, Reply, Role, uuid7
from protocol.notices import EXAMPLES, RECEIPT, TYPE, Notice, NoticeKind, Receipt
from protocol.runtime.keyfiles import load_keyring
from tests.unit.intranet_bridge.harness import BILL_BODY, LOST, ORDER_BODY, Stage, scene, until, wall

FRONTS = {"city": {"instances": ["front-1", "front-2"]}, "lake": {"instances": ["front-3"]}}


class Groups:
    """The stage's bridge with keys by group, and the fronts of two groups."""

    def __init__(self, stage: Stage) -> None:
        self.stage, folder = stage, stage.folder / "groups"
        keys.init(folder, now=_now(), groups=("city", "lake"))
        stage.ring = load_keyring(keys.keyring_path(folder, Role.BRIDGE), folder / keys.TRUSTED)
        self.city, self.lake = (
            load_keyring(keys.keyring_path(folder, Whose(Role.FRONT, name)), folder / keys.TRUSTED)
            for name in ("city", "lake")
        )
        stage.changes["fronts"] = FRONTS
        stage.marketing["bill-query"].default = Answered(b"{}")
        self.heard: list[Delivery] = []
        stage.replies = []
        stage.opener = Opener(self.city)

    def of(self, id: str) -> list[Reply]:
        """What front-3 reads of the replies about a request."""
        found, _ = opened(self.lake, [one for one in self.heard if one.destination == command_replies("front-3")],
                          Kind.REPLY)  # fmt: skip
        return [Reply.from_payload(one.attributes, one.payload) for one in found if one.attributes.id == id]

    async def start(self) -> None:
        for destination in (command_replies("front-3"), presence("main")):
            self.stage.link.subscribe(Subscription(destination, self.heard.append, AckMode.AUTO, 1000))
        await self.stage.start()

    def sealed(
        self, ring: Keyring, type: str = "work-order", body: bytes = ORDER_BODY, **said: Any
    ) -> tuple[str, bytes]:
        now = wall()
        lane = "query" if type == "bill-query" else "command"
        values: dict[str, Any] = {
            "id": uuid7(now, os.urandom(10)), "source": "front-1/test", "type": type, "time": now, "version": 3,
            "reply_to": f"/queue/bridge.reply.{lane}.front-1", "deadline": now + 5_000 if lane == "query" else 0,
        } | said  # fmt: skip
        attributes = Attributes(**values)
        return attributes.id, Sealer(ring, Role.BRIDGE).seal(Kind.REQUEST, attributes, body, now_ms=now)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def opened(ring: Keyring, deliveries: list[Delivery], kind: Kind) -> tuple[list[Any], set[str]]:
    """What a front reads of these, and why it does not read the others."""
    found, refused = [], set()
    for delivery in deliveries:
        for envelope in unpack(delivery.body):
            try:
                found.append(Opener(ring).open(envelope, now_ms=wall(), expect=kind))
            except EnvelopeError as error:
                refused.add(error.reason)
    return found, refused


@scene
async def test_each_group_is_answered_under_its_own_key_in_every_version(stage: Stage) -> None:
    groups = Groups(stage)
    await groups.start()
    for version in (1, 2, 3):
        for type, body in (("work-order", ORDER_BODY), ("bill-query", BILL_BODY)):
            id, envelope = groups.sealed(groups.city, type, body, version=version)
            await (stage.send if type == "work-order" else stage.ask)(envelope)
            reply = await stage.reply(id)
            assert (reply.state, reply.attributes.version) == (State.SUCCEEDED, version)
            assert reply.attributes.group == ("city" if version == 3 else "")
    to_lake = "/queue/bridge.reply.command.front-3"
    id, envelope = groups.sealed(groups.lake, source="front-3/test", reply_to=to_lake)
    await stage.send(envelope)
    await until(lambda: [one for one in groups.heard if one.destination == to_lake])
    mine = [one for one in groups.heard if one.destination == to_lake]
    assert opened(groups.city, mine, Kind.REPLY) == ([], {ForAnother.reason})
    (reply,), _ = opened(groups.lake, mine, Kind.REPLY)
    assert (reply.attributes.id, reply.attributes.group) == (id, "lake")


@scene
async def test_what_the_bridge_sends_of_itself_is_for_the_group_of_the_front_it_goes_to(stage: Stage) -> None:
    """A notice, or the outcome of a command that is not opened again."""
    groups = Groups(stage)
    await groups.start()
    now = wall()
    for about in (
        Attributes("id", "bridge-1", "notice", now, reply_to=command_replies("front-3")),
        Attributes("id", "", "work-order", now, reply_to=command_replies("front-3")),
        Attributes("id", "front-3/wechat", "work-order", now),
    ):
        sealed = stage.bridge.replies.sealed(about, State.SUCCEEDED)
        assert Opener(groups.lake).open(sealed, now_ms=wall()).attributes.id == "id"


@scene
async def test_each_group_hears_of_the_bridge(stage: Stage) -> None:
    groups = Groups(stage)
    await groups.start()
    await until(lambda: groups.heard)
    for ring in (groups.city, groups.lake):
        found, refused = opened(ring, groups.heard[:1], Kind.PRESENCE)
        assert (len(found), refused) == (1, {ForAnother.reason})


@scene
async def test_a_group_speaks_for_its_own_fronts_alone(stage: Stage) -> None:
    groups = Groups(stage)
    await groups.start()
    own, other = "/queue/bridge.reply.command.front-1", "/queue/bridge.reply.command.front-3"
    for version in (1, 2, 3):  # in the name of the other group's front, answered to itself
        id, envelope = groups.sealed(groups.city, source="front-3/test", reply_to=own, version=version)
        await stage.send(envelope)
        reply = await stage.reply(id)
        assert (reply.state, reply.code) == (State.FAILED, "not-admitted")
    query, envelope = groups.sealed(groups.city, "bill-query", BILL_BODY, source="front-3/test")
    await stage.ask(envelope)
    assert (await stage.reply(query)).code == "not-admitted"
    await stage.send(groups.sealed(groups.city, reply_to=other)[1])  # its answer to the other's queue
    await stage.send(groups.sealed(replace(groups.city, group="lake"), source="front-3/test", reply_to=other)[1])
    await until(lambda: len(stage.dead_letters) == 2)
    assert [letter.headers["reason"] for letter in stage.dead_letters] == ["not-admitted", "wrong-group"]
    assert stage.marketing["work-order"].calls == stage.marketing["bill-query"].calls == []
    told = {(one.front, one.ceiling) for one in stage.bridge.ceilings.report()}
    assert told == {("city", "front")}  # who has that key is to be looked at, not the one whose name it used


@scene
async def test_what_no_table_names_is_not_admitted_however_it_is_signed(stage: Stage) -> None:
    groups = Groups(stage)
    stage.changes["fronts"] = {}
    await groups.start()
    id, envelope = groups.sealed(groups.city)
    await stage.send(envelope)
    await until(lambda: stage.dead_letters)
    assert (stage.dead_letters[0].headers["reason"], stage.marketing["work-order"].calls) == ("not-admitted", [])
    assert await stage.row(id) is None


@scene
async def test_the_id_of_another_group_s_command_gets_nobody_its_answer(stage: Stage) -> None:
    groups = Groups(stage)
    await groups.start()
    id, envelope = groups.sealed(groups.city)
    await stage.send(envelope)
    await stage.reply(id)
    await stage.until_replied(id)
    stolen = "/queue/bridge.reply.command.front-3"
    _, sealed = groups.sealed(groups.lake, id=id, source="front-3/test", reply_to=stolen)
    await stage.send(sealed)
    own, envelope = groups.sealed(groups.lake, source="front-3/test", reply_to=stolen)
    await stage.send(envelope)
    await until(lambda: [one for one in groups.heard if one.destination == stolen])
    told, _ = opened(groups.lake, [one for one in groups.heard if one.destination == stolen], Kind.REPLY)
    assert [one.attributes.id for one in told] == [own]
    row = await stage.row(id)
    assert (row.reply_to, row.source) == ("/queue/bridge.reply.command.front-1", "front-1/test")


@scene
async def test_a_front_decides_no_command_of_another_group(stage: Stage) -> None:
    groups = Groups(stage)
    stage.marketing["delicate"].default = LOST
    await groups.start()
    id, envelope = groups.sealed(groups.city, "delicate")
    await stage.send(envelope)
    await stage.until_state(id, "held")

    def decided(ring: Keyring, front: str, request: str) -> bytes:
        about = LedgerEntry(
            operation="delicate", source="front-1/test", subject="", accepted_at=wall(), expires_at=0,
            reply_to="/queue/bridge.reply.command.front-1",
        )  # fmt: skip
        decision = Decision(request=request, choice="not-applied", by="eve", note="why", at=wall(), command=about)
        reply_to = f"/queue/bridge.reply.command.{front}"
        return groups.sealed(ring, "decision", decision.payload(b""), source=f"{front}/operator", reply_to=reply_to)[1]

    await stage.send(decided(groups.lake, "front-3", id))
    await until(lambda: [one for one in groups.heard if one.destination == command_replies("front-3")])
    told, _ = opened(groups.lake, [one for one in groups.heard if "front-3" in one.destination], Kind.REPLY)
    said = Reply.from_payload(told[0].attributes, told[0].payload)
    assert (said.state, "another front's" in said.detail) == (State.REFUSED, True)
    assert await stage.state(id) == "held"
    never = uuid7(wall(), os.urandom(10))  # nor one that has not come yet
    await stage.send(decided(groups.lake, "front-3", never))
    await until(lambda: len([one for one in groups.heard if "front-3" in one.destination]) == 2)
    assert await stage.row(never) is None
    await stage.send(decided(groups.city, "front-2", id))
    await stage.until_state(id, "failed")
    await until(lambda: stage.of(id)[-1].state is State.FAILED)  # sealed without its request: to its front's group


@scene
async def test_a_decision_is_answered_on_no_queue_but_those_of_its_group(stage: Stage) -> None:
    groups = Groups(stage)
    await groups.start()

    def decided(answer: str, command: str, choice: str = "not-applied", resent: tuple[str, bytes] | None = None) -> Any:
        about = LedgerEntry(operation="work-order", source="front-3/test", accepted_at=wall(), reply_to=command)
        request, envelope = resent or (uuid7(wall(), os.urandom(10)), b"")
        decision = Decision(request=request, choice=choice, by="eve", note="why", at=wall(), command=about)
        payload = decision.payload(envelope)
        _, sealed = groups.sealed(groups.lake, "decision", payload, source="front-3/operator", reply_to=answer)
        return request, sealed

    own, other = command_replies("front-3"), command_replies("front-1")
    bad = [(other, own), (own, "/queue/bridge.command.main"), (own, "/queue/bridge.reply.query.front-3")]
    rows = [decided(*queues) for queues in bad]
    for _, envelope in rows:
        await stage.send(envelope)
    await until(lambda: len(stage.dead_letters) == len(bad))
    reasons = [letter.headers["reason"] for letter in stage.dead_letters]
    assert reasons == ["not-admitted", "malformed", "malformed"]
    # refused: what would be answered on another's queue, and a request sent again that is another's, or would be
    foreign = groups.sealed(groups.city)
    astray = groups.sealed(groups.lake, source="front-3/test", reply_to=other)
    rows += [decided(own, other), *(decided(own, own, "resend", resent) for resent in (foreign, astray))]
    for _, envelope in rows[-3:]:
        await stage.send(envelope)
    await until(lambda: len([one for one in groups.heard if one.destination == own]) == 3)
    assert [await stage.row(request) for request, _ in rows] == [None] * len(rows)
    assert stage.replies == []


@scene
async def test_the_notices_of_a_group_are_not_another_s_to_take_over_end_or_confirm(stage: Stage) -> None:
    groups = Groups(stage)
    await groups.start()

    async def asked(ring: Keyring, front: str, type: str, body: dict[str, Any]) -> list[str]:
        queue = command_replies(front)
        text = json.dumps({"account": EXAMPLES[NoticeKind.BILL_ISSUED]["account"]} | body).encode()
        id, envelope = groups.sealed(ring, type, text, source=f"{front}/wechat", reply_to=queue)
        await stage.send(envelope)
        await until(lambda: stage.of(id) if front == "front-1" else groups.of(id))
        reply = (stage.of(id) if front == "front-1" else groups.of(id))[-1]
        assert reply.state is State.SUCCEEDED
        return [one["kind"] for one in json.loads(reply.result)["subscriptions"]]

    kinds = ["bill-issued"]
    consent = {"version": "2026-01", "at": "2026-07-02T09:00:00+08:00"}
    assert await asked(groups.city, "front-1", "notice-subscribe", {"kinds": kinds, "consent": consent}) == kinds
    both = [*kinds, "outage-notice"]
    taken = await asked(groups.lake, "front-3", "notice-subscribe", {"kinds": both, "consent": consent})
    assert taken == both  # its own; the other's is its own too, and goes where it went
    assert await asked(groups.lake, "front-3", "notice-unsubscribe", {"kinds": both}) == []
    notices = stage.bridge.notices
    notice = Notice.of("bill-issued", "2026-07-01T08:00:00+08:00", EXAMPLES[NoticeKind.BILL_ISSUED])
    assert await stage.bridge.store.write(lambda connection: notices.publish_in(connection, notice, "push-1")) == 1
    notices.hurry()
    await until(lambda: [one for one in stage.replies if one.attributes.type == TYPE])
    (sent,) = [one.attributes.id for one in stage.replies if one.attributes.type == TYPE]

    async def confirmed(ring: Keyring, by: str, front: str) -> bool:
        payload = Receipt(recorded=(sent,)).payload()
        await stage.send(groups.sealed(ring, RECEIPT, payload, source=f"{by}/front", reply_to="")[1])
        await asked(
            ring, front, "notice-unsubscribe", {"kinds": ["arrears-reminder"]}
        )  # comes after it, on the same lane
        found = select(NOTICES.c.confirmed_at).where(NOTICES.c.id == sent)
        return await stage.bridge.store.read(lambda connection: connection.execute(found).scalar()) is not None

    assert not await confirmed(groups.lake, "front-3", "front-3")
    assert await confirmed(groups.city, "front-2", "front-1")


@scene
async def test_applications_of_one_name_have_subscriptions_and_numbers_of_their_own_in_each_group(stage: Stage) -> None:
    groups, account = Groups(stage), EXAMPLES[NoticeKind.BILL_ISSUED]["account"]
    await groups.start()
    kinds, consent = ["bill-issued"], {"version": "2026-01", "at": "2026-07-02T09:00:00+08:00"}

    async def subscribe(ring: Keyring, front: str) -> None:
        body = json.dumps({"account": account, "kinds": kinds, "consent": consent}).encode()
        queue = command_replies(front)
        id, envelope = groups.sealed(ring, "notice-subscribe", body, source=f"{front}/wechat", reply_to=queue)
        await stage.send(envelope)
        await until(lambda: stage.of(id) or groups.of(id))

    async def publish(push: str) -> int:
        notice = Notice.of("bill-issued", "2026-07-01T08:00:00+08:00", EXAMPLES[NoticeKind.BILL_ISSUED])
        return await stage.bridge.store.write(
            lambda connection: stage.bridge.notices.publish_in(connection, notice, push)
        )

    async def numbers(fronts: str) -> list[int]:
        statement = select(NOTICES.c.sequence).where(NOTICES.c.fronts == fronts).order_by(NOTICES.c.id)
        return list(await stage.bridge.store.read(lambda connection: connection.execute(statement).scalars().all()))

    await subscribe(groups.city, "front-1")
    assert await publish("push-1") == 1
    await subscribe(groups.lake, "front-3")
    for number in (2, 3):
        assert await publish(f"push-{number}") == 2
    assert await numbers("city") == [1, 2, 3]
    lake = await numbers("lake")
    assert lake == [lake[0], lake[0] + 1]
    # city confirms nothing: what is lake's goes all the same, or the bridge has sent it meanwhile
    due = {entry.destination for entry in await stage.bridge.notices.unsent(100)}
    sent = select(NOTICES.c.front).where(NOTICES.c.sent_at.is_not(None))
    fronts = await stage.bridge.store.read(lambda connection: connection.execute(sent).scalars().all())
    assert due | {command_replies(front) for front in fronts} == {
        command_replies("front-1"),
        command_replies("front-3"),
    }


@scene
async def test_what_was_subscribed_to_before_there_were_groups_goes_on_in_the_group_of_its_front(stage: Stage) -> None:
    groups, account = Groups(stage), EXAMPLES[NoticeKind.BILL_ISSUED]["account"]
    await groups.start()
    stream = stage.bridge.at_rest.pseudonym(account)
    row = {
        "stream": stream, "application": "wechat", "kind": "bill-issued", "front": "front-1", "fronts": "",
        "account": stage.bridge.at_rest.seal(account.encode(), stream), "consent_version": "1", "consent_at": "then",
        "subscribed_at": 1,
    }  # fmt: skip

    def before(connection: Any) -> None:
        connection.execute(SUBSCRIPTIONS.insert(), row)
        connection.execute(STREAMS.insert(), {"stream": stream, "application": "wechat", "fronts": "", "last": 7})

    await stage.bridge.store.write(before)
    kinds, consent = ["bill-issued", "outage-notice"], {"version": "2026-01", "at": "2026-07-02T09:00:00+08:00"}
    body = json.dumps({"account": account, "kinds": kinds, "consent": consent}).encode()
    id, envelope = groups.sealed(
        groups.city, "notice-subscribe", body, source="front-2/wechat", reply_to=command_replies("front-1")
    )
    await stage.send(envelope)
    await until(lambda: stage.of(id))
    found = select(SUBSCRIPTIONS.c.kind, SUBSCRIPTIONS.c.fronts, SUBSCRIPTIONS.c.front, SUBSCRIPTIONS.c.subscribed_at)
    rows = await stage.bridge.store.read(lambda connection: connection.execute(found.order_by("kind")).all())
    assert [tuple(one)[:3] for one in rows] == [(kind, "city", "front-2") for kind in kinds]
    assert rows[0].subscribed_at == 1  # it stays as it was
    notice = Notice.of("bill-issued", "2026-07-01T08:00:00+08:00", EXAMPLES[NoticeKind.BILL_ISSUED])
    notices = stage.bridge.notices
    await stage.bridge.store.write(lambda connection: notices.publish_in(connection, notice, "push-1"))
    number = select(NOTICES.c.sequence)
    assert await stage.bridge.store.read(lambda connection: connection.execute(number).scalar()) == 8
