"""Replies come home: written before acknowledged, matched by id, and one bad envelope harms no other."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest
from sqlalchemy.exc import DataError

from dmz_front.ledger.ledger import ReportedOutcome
from dmz_front.replies.router import Waiters
from protocol import destinations
from protocol.envelope import Kind, Sealer
from protocol.errors import Overloaded
from protocol.frames import pack
from protocol.keyring import Keyring
from protocol.lifecycle import State
from protocol.link.dead_letter import digest_of
from protocol.link.memory import MemoryLink
from protocol.link.port import AckMode, Delivery, Outgoing, Subscription
from protocol.messages import Attributes, Reply, Role
from protocol.presence import PRESENCE
from tests.unit.clock import NOW
from tests.unit.dmz_front.harness import DONE, Harness, Say, turns
from tests.unit.hostile import hostile

pytestmark = pytest.mark.anyio

QUERIES = destinations.query_replies("front-1")
COMMANDS = destinations.command_replies("front-1")


@pytest.fixture
async def ids(harness: Harness) -> list[str]:
    """Three commands, sent and not answered."""
    harness.bridge.script = lambda _: None
    await harness.start()
    for number in range(3):
        await harness.order(key=f"order-{number}", prefer="respond-async")
    await harness.settle()
    return [taken.attributes.id for taken in harness.bridge.taken]


async def states(harness: Harness, ids: list[str]) -> list[str]:
    return [(await harness.status(id)).json()["status"] for id in ids]


def dead(harness: Harness, queue: str) -> list[tuple[bytes, str]]:
    """What lies in a queue's dead letters from now on: (body, reason)."""
    found: list[tuple[bytes, str]] = []

    def take(delivery: Delivery) -> None:
        found.append((delivery.body, delivery.headers["reason"]))

    harness.bridge.link.subscribe(Subscription(destinations.dead_letters(queue), take, AckMode.AUTO))
    return found


def digest(body: bytes, reason: str) -> tuple[bytes, str]:
    return digest_of(body, reason), reason


async def test_one_frame_with_many_replies(harness: Harness, ids: list[str]) -> None:
    commits = harness.front.store.commits
    harness.bridge.send(COMMANDS, *(harness.bridge.sealed(id, DONE) for id in ids))
    await harness.settle()
    assert await states(harness, ids) == ["succeeded"] * 3
    assert harness.front.store.commits == commits + 1
    assert harness.broker.depth(COMMANDS) == 0


async def test_a_bad_member_is_quarantined_alone(harness: Harness, ids: list[str]) -> None:
    letters = dead(harness, COMMANDS)
    good = [harness.bridge.sealed(id, DONE) for id in ids]
    tampered = good[1][:-1] + bytes([good[1][-1] ^ 1])
    harness.bridge.send(COMMANDS, good[0], tampered, b"no envelope", good[2])
    await harness.settle()
    assert await states(harness, ids) == ["succeeded", "sent", "succeeded"]
    assert letters == [digest(pack([tampered]), "tampered"), digest(pack([b"no envelope"]), "malformed")]
    assert dict(harness.front.router.refused) == {"tampered": 1, "malformed": 1}
    assert harness.broker.depth(COMMANDS) == 0


async def test_a_frame_of_nothing_but_bad_members_is_acknowledged(harness: Harness, ids: list[str]) -> None:
    letters = dead(harness, COMMANDS)
    harness.bridge.send(COMMANDS, b"x")
    harness.bridge.link.send(Outgoing(COMMANDS, b"not a frame"))
    await harness.settle()
    assert letters == [digest(pack([b"x"]), "malformed"), digest(b"not a frame", "malformed")]
    assert harness.broker.depth(COMMANDS) == 0


@pytest.mark.parametrize("hours", [-24 * 30, 2])
async def test_a_reply_to_a_command_is_taken_whatever_clock_dated_it(
    harness: Harness, ids: list[str], bridge_keyring: Keyring, hours: int
) -> None:
    wrong = NOW + hours * 3_600_000
    attributes = Attributes(ids[0], "bridge-1", "work-order", wrong)
    payload = Reply(attributes, State.SUCCEEDED, result=DONE.result).payload()
    harness.bridge.send(
        COMMANDS, Sealer(bridge_keyring, Role.FRONT).seal(Kind.REPLY, attributes, payload, now_ms=wrong)
    )
    await harness.settle()
    told = (await harness.status(ids[0])).json()
    assert (told["status"], "result" in told) == ("succeeded", True)


@pytest.mark.parametrize("state", [State.ACCEPTED, State.SENT, State.RECEIVED, State.CALLING, State.UNKNOWN])
async def test_a_reply_that_reports_no_outcome_is_refused(harness: Harness, ids: list[str], state: State) -> None:
    letters = dead(harness, COMMANDS)
    envelopes = [harness.bridge.sealed(ids[0], Say(state)), harness.bridge.sealed(ids[1], DONE)]
    harness.bridge.send(COMMANDS, *envelopes)
    await harness.settle()
    assert await states(harness, ids) == ["sent", "succeeded", "sent"]
    assert letters == [digest(pack([envelopes[0]]), "wrong-kind")]


async def test_a_payload_that_is_no_reply_is_refused(harness: Harness, ids: list[str], bridge_keyring: Keyring) -> None:
    letters = dead(harness, COMMANDS)
    sealer = Sealer(bridge_keyring, Role.FRONT)
    attributes = Attributes(ids[0], "bridge-1", "work-order", NOW)
    for payload in (b"", b"succeeded", b"done\n\n\n", b"succeeded\n\xff\n\n"):
        harness.bridge.send(COMMANDS, sealer.seal(Kind.REPLY, attributes, payload, now_ms=NOW))
        harness.bridge.send(QUERIES, sealer.seal(Kind.REPLY, attributes, payload, now_ms=NOW))
    await harness.settle()
    assert [reason for _, reason in letters] == ["malformed"] * 4
    assert harness.front.router.refused["malformed"] == 8
    assert await states(harness, ids) == ["sent"] * 3


@pytest.mark.parametrize(("ago_ms", "deadline_ms", "reason"), [(2_000, -1_000, "expired"), (-180_000, 0, "stale")])
async def test_a_querys_answer_out_of_its_time_is_no_dead_letter(
    harness: Harness, ids: list[str], bridge_keyring: Keyring, ago_ms: int, deadline_ms: int, reason: str
) -> None:
    letters = dead(harness, QUERIES)
    deadline = NOW + deadline_ms if deadline_ms else 0
    attributes = Attributes(ids[0], "bridge-1", "arrears-query", NOW - ago_ms, deadline=deadline)
    payload = Reply(attributes, State.SUCCEEDED, result=DONE.result).payload()
    sealed = Sealer(bridge_keyring, Role.FRONT).seal(Kind.REPLY, attributes, payload, now_ms=NOW - ago_ms)
    harness.bridge.send(QUERIES, sealed)
    await harness.settle()
    assert letters == []
    assert harness.front.router.refused == {reason: 1}
    assert harness.broker.depth(QUERIES) == 0


async def test_the_wrong_kind_and_an_unknown_id_change_nothing(harness: Harness, ids: list[str]) -> None:
    letters = dead(harness, COMMANDS)
    harness.bridge.send(COMMANDS, harness.bridge.sealed(ids[0], DONE, kind=Kind.PRESENCE))
    harness.bridge.send(COMMANDS, harness.bridge.sealed("0198c8a1-0000-7000-8000-000000000000", DONE))
    await harness.settle()
    assert await states(harness, ids) == ["sent"] * 3
    assert [reason for _, reason in letters] == ["wrong-kind"]
    assert harness.broker.depth(COMMANDS) == 0


async def test_a_reply_on_the_presence_topic_is_ignored_and_not_dead_lettered(harness: Harness, ids: list[str]) -> None:
    topic = destinations.presence("main")
    letters = dead(harness, topic)
    harness.bridge.send(topic, harness.bridge.sealed(ids[0], DONE))
    await harness.settle()
    assert (harness.front.router.refused["wrong-kind"], letters) == (1, [])
    assert harness.front.bridges.attached == 1


async def test_a_presence_without_its_shape_is_counted(
    harness: Harness, ids: list[str], bridge_keyring: Keyring
) -> None:
    attributes = Attributes("presence-x", "bridge-9", PRESENCE, NOW)
    envelope = Sealer(bridge_keyring, Role.FRONT).seal(Kind.PRESENCE, attributes, b'{"instance":1}', now_ms=NOW)
    harness.bridge.send(destinations.presence("main"), envelope)
    await turns()
    assert harness.front.router.refused["malformed"] == 1
    assert harness.front.bridges.attached == 1


async def test_what_the_store_did_not_take_is_not_acknowledged(
    harness: Harness, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_news: object) -> int:
        raise RuntimeError("disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(harness.front.ledger, "record_outcomes", broken)
        harness.bridge.send(COMMANDS, *(harness.bridge.sealed(id, DONE) for id in ids))
        await harness.settle()
    assert harness.broker.depth(COMMANDS) == 1
    assert await states(harness, ids) == ["sent"] * 3
    # the broker delivers it again to the next connection
    cast(MemoryLink, harness.front.links["replies"]).lose("a reconnect")
    await harness.settle()
    assert harness.broker.depth(COMMANDS) == 0
    assert await states(harness, ids) == ["succeeded"] * 3


async def test_a_reply_is_acknowledged_only_after_the_commit(
    harness: Harness, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, commit = harness.front.ledger.record_outcomes, asyncio.Event()
    waiter = harness.front.command_waiters.enter(ids[0])

    async def held_up(news: object) -> int:
        await commit.wait()
        return await told(news)  # type: ignore[arg-type]

    monkeypatch.setattr(harness.front.ledger, "record_outcomes", held_up)
    harness.bridge.send(COMMANDS, harness.bridge.sealed(ids[0], DONE))
    await turns()
    assert (harness.broker.depth(COMMANDS), waiter.done()) == (1, False)
    commit.set()
    await harness.front.router.drain()
    assert (harness.broker.depth(COMMANDS), waiter.done()) == (0, True)
    harness.front.command_waiters.leave(ids[0])


async def test_drain_waits_for_what_is_being_written(harness: Harness, ids: list[str]) -> None:
    harness.bridge.send(COMMANDS, *(harness.bridge.sealed(id, DONE) for id in ids))
    while not harness.front.router._writing:
        await turns(1)
    await harness.front.router.drain()
    assert (await harness.front.ledger.counts()) == {"succeeded": 3}


async def test_a_redelivered_reply_is_acknowledged_again_and_changes_nothing(harness: Harness, ids: list[str]) -> None:
    envelope = harness.bridge.sealed(ids[0], DONE)
    for _ in range(3):
        harness.bridge.send(COMMANDS, envelope, envelope)
    harness.bridge.send(COMMANDS, harness.bridge.sealed(ids[0], Say(State.FAILED, "late")))
    await harness.settle()
    assert await states(harness, ids) == ["succeeded", "sent", "sent"]
    assert harness.broker.depth(COMMANDS) == 0
    assert harness.front.ledger.backlog == 2


async def test_a_frame_a_front_made_itself_is_refused(harness: Harness, ids: list[str], front_keyring: Keyring) -> None:
    """Whoever has a front's keys can seal to bridges, and nothing to fronts."""
    attributes = Attributes(ids[0], "front-1", "work-order", NOW)
    envelope = Sealer(front_keyring, Role.BRIDGE).seal(Kind.REQUEST, attributes, b"{}", now_ms=NOW)
    letters = dead(harness, COMMANDS)
    harness.bridge.send(COMMANDS, envelope)
    await harness.settle()
    assert [reason for _, reason in letters] == ["unknown-key"]


async def test_no_dead_letter_queue_is_no_disaster(
    harness: Harness, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_message: object) -> None:
        raise Overloaded("full")

    monkeypatch.setattr(harness.front.links["replies"], "send", full)
    harness.bridge.send(COMMANDS, b"bad", harness.bridge.sealed(ids[0], DONE))
    await harness.settle()
    assert await states(harness, ids[:1]) == ["succeeded"]
    assert harness.front.router.refused["not-quarantined"] == 1


# --- waiters ----------------------------------------------------------------------------------------------


def reply(id: str) -> Reply:
    return Reply(Attributes(id, "bridge-1", "work-order", NOW), State.SUCCEEDED)


async def test_waiters() -> None:
    waiters = Waiters()
    future = waiters.enter("a")
    assert ("a" in waiters, "b" in waiters, len(waiters)) == (True, False, 1)
    assert waiters.wake(reply("b")) is False
    assert waiters.wake(reply("a")) is True
    assert (await future).attributes.id == "a"
    assert waiters.wake(reply("a")) is False
    waiters.leave("a")
    waiters.leave("a")


async def test_a_waiter_that_gave_up_is_not_woken() -> None:
    waiters = Waiters()
    waiters.enter("a").cancel()
    assert waiters.wake(reply("a")) is False


async def test_none_returns_when_the_last_has_left() -> None:
    waiters = Waiters()
    await waiters.none()
    waiters.enter("a")
    waiters.enter("b")
    none = asyncio.ensure_future(waiters.none())
    for id in "ab":
        await turns(5)
        assert not none.done()
        waiters.leave(id)
    await none


@pytest.mark.parametrize(
    ("ahead_ms", "attached"),
    [(0, True), (100_000, True), (-100_000, True), (130_000, False), (-130_000, False), (-86_400_000, False)],
)
async def test_a_bridges_clock_is_measured_and_one_too_far_off_is_no_bridge(
    harness: Harness, ahead_ms: int, attached: bool
) -> None:
    harness.bridge.clock = lambda: NOW + ahead_ms
    await harness.bridge.start()
    await harness.start(bridge=False)
    harness.bridge.announce()
    await turns()
    assert harness.front.bridges.attached == attached
    assert harness.front.router.refused["stale"] == (not attached)
    measured = [reading for reading in harness.front.samples() if reading[0] == "dmz_front_clock_skew_seconds"]
    assert [(labels, value) for _, _, labels, value in measured] == [({"bridge": "bridge-1"}, ahead_ms / 1000)]


# --- a bridge that has been taken over --------------------------------------------------------------------


async def test_authentic_replies_beyond_their_limits_are_set_aside_alone(
    harness: Harness, ids: list[str], bridge_keyring: Keyring
) -> None:
    letters = dead(harness, COMMANDS)
    good = b"succeeded\n\n\n" + DONE.result
    bad = [
        hostile(bridge_keyring, good, now=NOW, id=ids[0], deadline=10**25),
        hostile(bridge_keyring, good, now=NOW, id=ids[0], source="s" * 161),
        hostile(bridge_keyring, b"refused\n" + b"c" * 65 + b"\n\n", now=NOW, id=ids[0]),
        hostile(bridge_keyring, b"refused\nc\x00\n\n", now=NOW, id=ids[0]),
    ]
    harness.bridge.send(COMMANDS, *bad, harness.bridge.sealed(ids[1], DONE))
    await harness.settle()
    assert await states(harness, ids) == ["sent", "succeeded", "sent"]
    assert [reason for _, reason in letters] == ["out-of-range"] * 4
    assert harness.broker.depth(COMMANDS) == 0


async def test_a_reply_that_cannot_be_written_is_set_aside_alone(
    harness: Harness, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, letters = harness.front.ledger.record_outcomes, dead(harness, COMMANDS)

    async def refuses_one(news: Sequence[ReportedOutcome]) -> int:
        if any(item.id == ids[1] for item in news):
            raise DataError("UPDATE", {}, Exception("value too long"))
        return await told(news)

    monkeypatch.setattr(harness.front.ledger, "record_outcomes", refuses_one)
    harness.bridge.send(COMMANDS, *(harness.bridge.sealed(id, DONE) for id in ids))
    await harness.settle()
    assert await states(harness, ids) == ["succeeded", "sent", "succeeded"]
    assert [reason for _, reason in letters] == ["unwritable"]
    assert harness.broker.depth(COMMANDS) == 0


async def test_presence_with_numbers_beyond_all_measure_is_refused(harness: Harness, bridge_keyring: Keyring) -> None:
    await harness.start()
    known = harness.front.bridges.attached
    for field in ("time_ms", "in_flight", "capacity", "query_slots", "query_ms"):
        body = b'{"instance":"b","operations":{},"time_ms":1,"%b":1%b}' % (field.encode(), b"0" * 400)
        harness.bridge.send(
            destinations.presence("main"),
            hostile(bridge_keyring, body, now=NOW, kind=Kind.PRESENCE, type=PRESENCE),
        )
    await turns()
    assert harness.front.router.refused["malformed"] == 5
    assert harness.front.bridges.attached == known
