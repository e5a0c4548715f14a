"""Attachments at the bridge: stored sealed, in any order, however often, and there when their command is called."""

import asyncio
import json
import os
from typing import Any

import pytest
from sqlalchemy import select

from intranet_bridge.inbox import attachments as inbox_attachments
from intranet_bridge.inbox.rows import ATTACHMENT_MESSAGES, ATTACHMENT_USES, ATTACHMENTS
from intranet_bridge.marketing import Answered, AttachedFile, MarketingRequest, NotApplied, Outcome
from protocol.attachments import MIN_CHUNK_BYTES, TYPE, Chunk, Manifest, Receipt, message_id
from protocol.destinations import attachments
from protocol.lifecycle import State
from protocol.link.port import AckMode, Subscription
from protocol.media import Fault, MediaType
from protocol.messages import uuid7
from tests.support.files import File, jpeg, pdf, png
from tests.unit.attaching import REPORT
from tests.unit.intranet_bridge import harness
from tests.unit.intranet_bridge.harness import DONE, Marketing, Stage, scene, until, wall

LANE = attachments("main")


class Collecting(Marketing):
    """Reads what it is given, as an adapter does."""

    def __init__(self) -> None:
        super().__init__(Answered(DONE))
        self.given: list[list[tuple[AttachedFile, bytes]]] = []

    async def call(self, asked: MarketingRequest, timeout_s: float) -> Outcome:
        self.given.append([(file, await file.read()) for file in asked.attachments])
        return await super().call(asked, timeout_s)


@pytest.fixture(autouse=True)
def operation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(harness.OPERATIONS, "report", REPORT)


async def started(stage: Stage, **changes: Any) -> Collecting:
    stage.changes |= changes
    stage.marketing["report"] = marketing = Collecting()
    await stage.start()
    return marketing


def messages(stage: Stage, file: File, size: int = MIN_CHUNK_BYTES, **said: Any) -> tuple[str, list[bytes]]:
    """An attachment's id and its sealed messages."""
    id = uuid7(wall(), os.urandom(10))
    manifest = Manifest.model_validate(file.declared(**said) | {"media_type": MediaType(file.media_type)})
    payloads = [manifest.payload()]
    payloads += [Chunk(at, file.content[at : at + size]).payload() for at in range(0, len(file.content), size)]
    return id, [sealed(stage, message_id(id, number), payload) for number, payload in enumerate(payloads)]


def sealed(stage: Stage, id: str, payload: bytes, **more: Any) -> bytes:
    return stage.envelope(TYPE, payload, id=id, source="front-1/wechat", **more)[1]


def report(stage: Stage, *ids: str, **more: Any) -> tuple[str, bytes]:
    return stage.envelope("report", json.dumps({"content": "x", "files": ids}).encode(), **more)


def receipts(stage: Stage, id: str) -> list[Receipt]:
    return [Receipt.from_result(one.result) for one in stage.replies if one.attributes.id.startswith(id)]


def dead_letters(stage: Stage) -> list[Any]:
    letters: list[Any] = []
    stage.link.subscribe(Subscription("/queue/DLQ.bridge.command.main.files", letters.append, AckMode.AUTO, 100))
    return letters


async def rows(stage: Stage, table: Any) -> int:
    return len(await stage.bridge.store.read(lambda connection: connection.execute(select(table)).all()))


@scene
async def test_a_command_is_called_with_its_files(stage: Stage) -> None:
    marketing = await started(stage)
    files = [png(100_000), jpeg(100_000), pdf(1_000)]
    sent = [messages(stage, file) for file in files]
    for _, envelopes in sent:
        for envelope in envelopes:
            await stage.send(envelope, queue=LANE)
    id, command = report(stage, *(id for id, _ in reversed(sent)))
    await stage.send(command)
    assert (await stage.reply(id)).state is State.SUCCEEDED
    (given,) = marketing.given
    assert [(file.id, file.media_type, file.sha256) for file, _ in given] == [
        (id, file.media_type, file.sha256) for (id, _), file in zip(reversed(sent), reversed(files), strict=True)
    ]
    assert [content for _, content in given] == [file.content for file in reversed(files)]
    for sent_id, envelopes in sent:
        found = receipts(stage, sent_id)
        assert len(found) == len(envelopes)
        assert [receipt.whole for receipt in found].count(True) == 1
        assert {receipt.fault for receipt in found} == {None}


@scene
async def test_any_order_any_number_of_times_over_a_crash(stage: Stage) -> None:
    marketing = await started(stage)
    file = png(200_000)
    attachment, envelopes = messages(stage, file)
    for envelope in envelopes[:0:-1]:
        await stage.send(envelope, queue=LANE)
        await stage.send(envelope, envelope, queue=LANE)
    await until(lambda: len(receipts(stage, attachment)) == 3 * (len(envelopes) - 1))
    assert not any(receipt.whole for receipt in receipts(stage, attachment))
    await stage.kill()
    await stage.start()
    await stage.send(envelopes[0], queue=LANE)
    await until(lambda: any(receipt.whole for receipt in receipts(stage, attachment)))
    await stage.send(envelopes[2], queue=LANE)
    await until(lambda: len(receipts(stage, attachment)) == 3 * (len(envelopes) - 1) + 2)
    assert receipts(stage, attachment)[-1].whole
    id, command = report(stage, attachment)
    await stage.send(command)
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert marketing.given[0][0][1] == file.content


@scene
async def test_a_command_waits_for_its_files(stage: Stage) -> None:
    marketing = await started(stage)
    attachment, envelopes = messages(stage, png(100_000))
    id, command = report(stage, attachment)
    await stage.send(command)
    for envelope in envelopes[:-1]:
        await stage.send(envelope, queue=LANE)
    await until(lambda: len(receipts(stage, attachment)) == len(envelopes) - 1)
    await asyncio.sleep(0.2)
    assert (marketing.calls, await stage.state(id)) == ([], "received")
    await stage.kill()
    await stage.start()
    await stage.send(envelopes[-1], queue=LANE)
    assert (await stage.reply(id)).state is State.SUCCEEDED


@scene
async def test_and_not_for_ever(stage: Stage) -> None:
    marketing = await started(stage, **{"commands.attachment_patience_s": 0.3})
    id, command = report(stage, messages(stage, png())[0])
    await stage.send(command)
    reply = await stage.reply(id)
    assert (reply.state, reply.code) == (State.FAILED, "attachments-missing")
    assert marketing.calls == []


@scene
async def test_a_front_that_sends_without_end_fills_no_more_than_its_ceiling(stage: Stage) -> None:
    """One that was taken over makes up as many files as it likes; nobody ever names them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inbox_attachments, "_LEAST", 30 << 20)
        await started(stage, **{"ceilings.front_attachment_bytes": 64 << 20})
        letters = dead_letters(stage)
        sent = [messages(stage, png(1_000)) for _ in range(3)]
        for _, envelopes in sent:
            for envelope in envelopes:
                await stage.send(envelope, queue=LANE)
        await until(lambda: len(letters) == 2)
        assert {letter.headers["reason"] for letter in letters} == {"not-admitted"}
        assert await rows(stage, ATTACHMENTS) == 2
        assert receipts(stage, sent[2][0]) == []
        (told,) = stage.bridge.ceilings.report()
        assert (told.front, told.ceiling, told.limit) == ("*", "attachments", 64 << 20)
        id, command = report(stage, sent[0][0])
        await stage.send(command)
        assert (await stage.reply(id)).state is State.SUCCEEDED
        assert await stage.bridge.attachments.forget(10**9) == 1
        for envelope in sent[2][1]:  # as its front does that hears nothing
            await stage.send(envelope, queue=LANE)
        await until(lambda: any(receipt.whole for receipt in receipts(stage, sent[2][0])))


@scene
async def test_what_an_attachment_is_taken_for_is_what_its_messages_take(stage: Stage) -> None:
    """Not what they say of the file: a manifest may have blanks in it, and a chunk one byte."""
    await started(stage)
    attachment, (manifest, *_) = messages(stage, png(1_000))
    padded = sealed(stage, message_id(attachment, 0), b" " * 100_000 + Manifest.model_validate(
        png(1_000).declared() | {"media_type": MediaType("image/png")}
    ).payload())  # fmt: skip
    assert len(padded) > len(manifest) + 99_999
    await stage.send(padded, queue=LANE)
    await until(lambda: receipts(stage, attachment) != [])
    kept = await stage.bridge.store.read(lambda connection: connection.execute(select(ATTACHMENTS.c.kept)).scalar_one())
    assert kept == inbox_attachments._LEAST + len(padded)


@scene
async def test_another_fronts_attachment_is_left_alone(stage: Stage) -> None:
    await started(stage, fronts={"front-1": {}, "front-2": {}})
    letters = dead_letters(stage)
    attachment, envelopes = messages(stage, png(1_000))
    await stage.send(envelopes[0], queue=LANE)
    await until(lambda: len(receipts(stage, attachment)) == 1)
    forged = stage.envelope(TYPE, Chunk(0, b"x").payload(), id=message_id(attachment, 1), source="front-2/wechat")[1]
    await stage.send(forged, queue=LANE)
    await until(lambda: len(letters) == 1)
    for envelope in envelopes[1:]:
        await stage.send(envelope, queue=LANE)
    await until(lambda: any(receipt.whole and not receipt.fault for receipt in receipts(stage, attachment)))


@pytest.mark.parametrize(
    ("file", "said", "fault"),
    [
        (png(50_000), {"sha256": "0" * 64}, Fault.DIGEST),
        (File("image/png", b"no picture at all"), {}, Fault.TYPE),
        (File("image/png", png(50_000).content[:-3]), {}, Fault.DAMAGED),
    ],
)
def test_a_file_that_is_none_fails_its_command(
    tmp_path: Any, monkeypatch: Any, file: File, said: dict[str, Any], fault: Fault
) -> None:
    @scene
    async def run(stage: Stage) -> None:
        marketing = await started(stage)
        attachment, envelopes = messages(stage, file, **said)
        id, command = report(stage, attachment)
        for envelope in envelopes:
            await stage.send(envelope, queue=LANE)
        await until(lambda: any(receipt.whole for receipt in receipts(stage, attachment)))
        assert [receipt.fault for receipt in receipts(stage, attachment) if receipt.whole] == [fault]
        await stage.send(command)
        reply = await stage.reply(id)
        assert (reply.state, reply.code, marketing.calls) == (State.FAILED, f"attachment-{fault}", [])
        assert await rows(stage, ATTACHMENT_MESSAGES) == 0

    run(tmp_path, monkeypatch)


@scene
async def test_they_stay_until_the_command_is_final_and_no_longer(stage: Stage) -> None:
    marketing = await started(stage)
    marketing.script = [NotApplied("busy", reached=True)]
    marketing.gate = asyncio.Event()
    attachment, envelopes = messages(stage, png(100_000))
    for envelope in envelopes:
        await stage.send(envelope, queue=LANE)
    id, command = report(stage, attachment)
    await stage.send(command)
    await until(lambda: marketing.calls)
    await stage.bridge.housekeeping.forget_attachments()
    assert await rows(stage, ATTACHMENT_MESSAGES) == len(envelopes)
    marketing.gate.set()
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert [len(given) for given in marketing.given] == [1, 1]
    await stage.bridge.housekeeping.forget_attachments()
    for table in (ATTACHMENTS, ATTACHMENT_MESSAGES, ATTACHMENT_USES):
        assert await rows(stage, table) == 0


@scene
async def test_what_no_command_names_is_kept_for_as_long_as_one_may_come(stage: Stage) -> None:
    await started(stage)
    attachment, envelopes = messages(stage, png())
    for envelope in envelopes:
        await stage.send(envelope, queue=LANE)
    await until(lambda: any(receipt.whole for receipt in receipts(stage, attachment)))
    day = 24 * 3_600_000
    stage.clock = lambda: wall() + 7 * day
    await stage.bridge.housekeeping.forget_attachments()
    assert await rows(stage, ATTACHMENT_MESSAGES) == len(envelopes)
    stage.clock = lambda: wall() + 8 * day
    await stage.bridge.housekeeping.forget_attachments()
    assert await rows(stage, ATTACHMENTS) == await rows(stage, ATTACHMENT_MESSAGES) == 0


@scene
async def test_what_the_marketing_system_calls_a_file_is_remembered(stage: Stage) -> None:
    marketing = await started(stage)
    marketing.script = [NotApplied("busy", reached=True)]
    attachment, envelopes = messages(stage, png())
    for envelope in envelopes:
        await stage.send(envelope, queue=LANE)

    async def call(asked: MarketingRequest, timeout_s: float) -> Outcome:
        if asked.attachments[0].reference is None:
            await asked.attachments[0].remember("F202607010001")
        return await Collecting.call(marketing, asked, timeout_s)

    marketing.call = call  # type: ignore[method-assign]
    id, command = report(stage, attachment)
    await stage.send(command)
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert [given[0][0].reference for given in marketing.given] == [None, "F202607010001"]


@scene
async def test_what_no_honest_front_sends_is_set_aside_alone(stage: Stage) -> None:
    await started(stage)
    letters = dead_letters(stage)
    attachment, envelopes = messages(stage, png(100_000))
    other, _ = messages(stage, png())
    bad = [
        stage.envelope("work-order")[1],
        sealed(stage, "no-uuid:1", Chunk(0, b"x").payload()),
        sealed(stage, message_id(other, 0), b"{}"),
        sealed(stage, message_id(other, 1), bytes(8)),
        sealed(stage, message_id(other, 1), Chunk(0, b"x").payload(), reply_to="/queue/bridge.reply.query.front-1"),
        sealed(stage, message_id(attachment, 90), Chunk(0, bytes(MIN_CHUNK_BYTES)).payload()),  # more than it has
        b"no envelope",
    ]
    await stage.send(*envelopes[:1], queue=LANE)
    for envelope in [*envelopes[1:], *bad]:
        await stage.send(envelope, queue=LANE)
    await until(lambda: len(letters) == len(bad))
    await until(lambda: any(receipt.whole for receipt in receipts(stage, attachment)))
    await until(lambda: stage.broker.depth(LANE) == 0)
    assert {letter.headers["reason"] for letter in letters} <= {"malformed", "out-of-range"}
