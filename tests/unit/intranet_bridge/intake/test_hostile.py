"""A front that has been taken over sends what is authentic and wrong: each is set aside alone, honest work goes on."""

import re
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from sqlalchemy import select
from sqlalchemy.exc import DataError

from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.inbox.rows import INBOX, METADATA, Received
from protocol import attribute_text
from protocol.destinations import queries
from protocol.frames import pack
from protocol.lifecycle import State
from protocol.link.port import Delivery, Outgoing
from protocol.messages import HORIZON_MS
from protocol.runtime.region_inbox import INBOX_HEADER
from protocol.runtime.store import Store, of_the_row
from tests.unit.clock import Clock
from tests.unit.hostile import SAID, hostile
from tests.unit.intranet_bridge.harness import Stage, scene, until, wall
from tests.unit.intranet_bridge.queries.test_workers import bill, started

COMMANDS = "/queue/bridge.command.main"
FAR = 10**25


def reasons(dead_letters: list[Delivery]) -> set[str]:
    return {letter.headers["reason"] for letter in dead_letters}


@scene
async def test_commands_with_a_deadline_beyond_all_time_stop_no_honest_one(stage: Stage) -> None:
    await stage.start()
    ids = [stage.envelope() for _ in range(2)]
    for _ in range(71):
        await stage.send(hostile(stage.front_ring, deadline=FAR))
    await stage.send(
        hostile(stage.front_ring, source="s" * 161), ids[0][1], hostile(stage.front_ring, subject="s" * 161)
    )
    await stage.send(ids[1][1])
    for id, _ in ids:
        assert (await stage.reply(id)).state is State.SUCCEEDED
    await until(lambda: len(stage.dead_letters) == 73 and stage.broker.depth(COMMANDS) == 0)
    assert reasons(stage.dead_letters) == {"out-of-range"}


@scene
async def test_a_query_with_such_a_deadline_costs_no_other_its_answer(stage: Stage) -> None:
    await started(stage)
    reply_to = "/queue/bridge.reply.query.front-1"
    body = b'{"account":"3210000000001","first_month":"2026-01","last_month":"2026-06"}'
    for deadline in (FAR, 2**63 - 1, wall() + 7_200_000):
        bad = hostile(stage.front_ring, body, type="bill-query", deadline=deadline, reply_to=reply_to)
        await stage.ask(bad)
    good = bill(stage)
    await stage.ask(good[1])
    assert (await stage.reply(good[0])).state is State.SUCCEEDED
    await until(lambda: len(stage.dead_letters) == 3 and stage.broker.depth(queries("main")) == 0)
    assert reasons(stage.dead_letters) == {"out-of-range"}


@scene
async def test_who_has_no_fronts_keys_stops_no_command_by_what_is_written_on_a_message(stage: Stage) -> None:
    """Fronts write on queries which inbox is meant while bridges keep different ones. Nothing seals that."""
    await started(stage)
    said = {INBOX_HEADER: "0" * 36}
    altered = bill(stage)[1][:-1] + b"\0"
    for body in (b"noise" * 100, altered):
        await stage.link.send(Outgoing(queries("main"), pack([body]), headers=said))
    await until(lambda: len(stage.dead_letters) == 2)
    assert not stage.bridge.conflict.active
    good = stage.envelope()
    await stage.send(good[1])
    assert (await stage.reply(good[0])).state is State.SUCCEEDED
    await stage.link.send(Outgoing(queries("main"), pack([bill(stage)[1]]), headers=said))
    await until(lambda: stage.bridge.conflict.active)
    assert not stage.bridge.conflict.calls_allowed


def many(count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    @settings(max_examples=count, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(SAID)
    def collect(said: dict[str, Any]) -> None:
        found.append(said)

    collect()
    return found


@scene
async def test_whatever_an_enemy_says_in_any_attribute_honest_orders_are_done(stage: Stage) -> None:
    await stage.start()
    for said in many(150):
        sealed = hostile(stage.front_ring, **said)
        await stage.send(sealed)
        await stage.ask(sealed)
    good, question = stage.envelope(), bill(stage)
    await stage.send(good[1])
    await stage.ask(question[1])
    assert (await stage.reply(good[0])).state is State.SUCCEEDED
    assert (await stage.reply(question[0])).state is State.SUCCEEDED
    await until(lambda: stage.broker.depth(COMMANDS) == stage.broker.depth(queries("main")) == 0)


@scene
async def test_a_row_that_cannot_be_written_is_set_aside_alone(stage: Stage) -> None:
    """As if a limit were missing: the database is the last to refuse."""
    with pytest.MonkeyPatch.context() as patch:
        loose = re.compile(r"\n".join(["([^\n]*)"] * 9))
        patch.setitem(attribute_text._SHAPES, 2, loose)
        patch.setattr(attribute_text, "HORIZON_MS", 10**30)
        await stage.start()
        good = [stage.envelope(version=2) for _ in range(3)]
        bad = hostile(stage.front_ring, deadline=FAR)
        await stage.send(good[0][1], bad, good[1][1])
        await stage.send(bad)
        await stage.send(good[2][1])
        for id, _ in good:
            assert (await stage.reply(id)).state is State.SUCCEEDED
        await until(lambda: len(stage.dead_letters) == 2 and stage.broker.depth(COMMANDS) == 0)
        assert reasons(stage.dead_letters) == {"unwritable"}


def received(id: str, **changes: Any) -> Received:
    values: dict[str, Any] = {
        "operation": "work-order", "source": "front-1/wechat", "subject": "", "reply_to": "/queue/x",
        "deadline": 0, "envelope": b"sealed", "after": "",
    } | changes  # fmt: skip
    return Received(id, **values)


@pytest.fixture
async def store(database_url: str) -> Any:
    store = Store(database_url, METADATA.create_all)
    await store.start()
    yield store
    await store.close()


@pytest.mark.anyio
async def test_the_longest_that_is_let_in_can_be_written_and_what_cannot_is_known_for_it(store: Store) -> None:
    inbox = Inbox(store, "bridge-1", Clock())
    longest = received(
        "i" * 64, operation="o" * 64, source="s" * 160, subject="s" * 64, reply_to="r" * 160, after="a" * 64,
        deadline=10**15 - 1 + HORIZON_MS,
    )  # fmt: skip
    assert await inbox.record([longest]) == [None]
    bad: list[dict[str, Any]] = [{"deadline": FAR}, {"deadline": 2**63}]
    if "postgresql" in str(store._engine.url):
        bad += [{"source": "s" * 161}, {"subject": "s" * 161}, {"subject": "\x00"}]
    for changes in bad:
        with pytest.raises((DataError, OverflowError)) as caught:
            await inbox.record([received("good"), received("bad", **changes)])
        assert of_the_row(caught.value), changes
    count = await store.read(lambda connection: len(connection.execute(select(INBOX.c.id)).all()))
    assert count == 1


@pytest.mark.anyio
async def test_an_outcome_in_a_marketing_system_s_words_can_be_written(store: Store) -> None:
    inbox = Inbox(store, "bridge-1", Clock())
    await inbox.record([received("id-1")])
    await inbox.finished("id-1", State.REFUSED, 1, "c" * 70 + "\x00", "\x00\ud800" * 300, b"reply")
    row = await store.read(lambda connection: connection.execute(select(INBOX)).one())
    assert (row.state, len(row.code), len(row.note)) == ("refused", 64, 400)


# --- what is kept of what was asked -----------------------------------------------------------------------


@scene
async def test_of_a_body_that_does_not_fit_its_schema_a_digest_is_kept(stage: Stage) -> None:
    await stage.start()
    body = b"\xff" * 190_000
    id, sealed = stage.envelope(body=body)
    await stage.send(sealed)
    reply = await stage.reply(id)
    assert (reply.state, reply.code) == (State.FAILED, "invalid-request")
    row = await stage.row(id)
    assert (row.state, row.envelope, row.attempts) == ("failed", b"", 0)
    assert sha256(body).hexdigest() in row.note
    assert "190000 bytes" in row.note
    await stage.until_replied(id)
    await stage.send(sealed)  # sent again it is answered from its row
    await until(lambda: len(stage.of(id)) == 2)
    assert stage.marketing["work-order"].calls == []


@scene
async def test_the_sealed_request_goes_when_the_front_knows_the_outcome(stage: Stage) -> None:
    await stage.start()
    id, sealed = stage.envelope()
    await stage.send(sealed)
    assert (await stage.reply(id)).state is State.SUCCEEDED
    await stage.until_replied(id)
    row = await stage.row(id)
    assert row.envelope == b""
    assert row.reply
    await stage.send(sealed)
    await until(lambda: len(stage.of(id)) == 2)
    assert stage.marketing["work-order"].calls == [id]


@pytest.mark.anyio
async def test_a_held_one_keeps_its_request_and_yesterdays_rows_lose_theirs(store: Store) -> None:
    inbox = Inbox(store, "bridge-1", Clock())
    await inbox.record([received("held"), received("final"), received("unsent")])
    await inbox.finished("held", State.HELD, 1, "held", "", b"reply")
    await inbox.finished("final", State.REFUSED, 1, "no", "", b"reply")
    await inbox.finished("unsent", State.REFUSED, 1, "no", "", b"reply")
    await inbox.replied(["held/held", "final/refused"])

    async def kept() -> dict[str, bytes]:
        columns = select(INBOX.c.id, INBOX.c.envelope)
        return dict(await store.read(lambda connection: connection.execute(columns).all()))

    assert await kept() == {"held": b"sealed", "final": b"", "unsent": b"sealed"}
    old = INBOX.update().values(envelope=b"as the program before this one left it")
    await store.write(lambda connection: connection.execute(old).rowcount)
    await inbox.forget(0)
    assert {id for id, envelope in (await kept()).items() if not envelope} == {"final"}
