"""Attachments go to the bridge a few messages at a time, each until the bridge has said that it has it."""

from dataclasses import dataclass, field

import pytest

from protocol import destinations
from protocol.attachments import MIN_CHUNK_BYTES, TYPE, Receipt, parsed_id
from protocol.envelope import Kind, Opened
from protocol.frames import unpack
from protocol.link.memory import MemoryLink
from protocol.link.port import AckMode, Delivery, Subscription
from protocol.media import Fault
from tests.support.files import File, png
from tests.unit.attaching import REPORT
from tests.unit.dmz_front.attachments.test_uploads import begin, part, report, stored, uploaded
from tests.unit.dmz_front.harness import Harness, Say, code_of, turns

pytestmark = pytest.mark.anyio
WINDOW = 3


@dataclass
class Storage:
    """The bridge's end of the lane: takes what comes, and answers when it is told to."""

    harness: Harness
    taken: list[Opened] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def start(self) -> None:
        link = self.link = MemoryLink(self.harness.broker)
        link.subscribe(Subscription(destinations.attachments("main"), self.take, AckMode.INDIVIDUAL, 100))
        await link.start()
        await link.ready()

    def take(self, delivery: Delivery) -> None:
        self.headers.append(dict(delivery.headers))
        for envelope in unpack(delivery.body):
            opened = self.harness.bridge._opener.open(envelope, now_ms=self.harness.clock(), expect=Kind.REQUEST)
            self.taken.append(opened)
        self.link.ack(delivery)

    @property
    def ids(self) -> list[str]:
        return [one.attributes.id for one in self.taken]

    async def answer(self, *asked: Opened, whole: bool = False, fault: Fault | None = None) -> None:
        result = Receipt(whole=whole, fault=fault).model_dump_json().encode()
        for one in asked:
            self.harness.bridge.reply(one, Say(result=result))
        await settled(self.harness)


async def settled(harness: Harness) -> None:
    for _ in range(3):
        await turns()
        await harness.front.router.drain()
        pumping = harness.front.sender._pumping
        if pumping is not None:
            await pumping
        await turns()


@pytest.fixture
async def storage(harness: Harness) -> Storage:
    harness.catalogue["report"] = REPORT
    harness.options = {"attachments": {"window": WINDOW}, "delivery": {"resend_after_s": 30}}
    await harness.start()
    harness.bridge.script = lambda _: None
    harness.bridge.announce(inbox="01a20058-c569-7555-97ad-5f35eb5182d8", inbox_shared=False)
    await turns()
    await harness.front._read_inbox()
    storage = Storage(harness)
    await storage.start()
    return storage


async def small_parts(harness: Harness, file: File) -> str:
    """Uploaded so that it has many chunks."""
    id = await begin(harness, file)
    for at in range(0, len(file.content), MIN_CHUNK_BYTES):
        answer = await part(harness, id, at, file.content[at : at + MIN_CHUNK_BYTES])
    assert answer.json()["status"] == "complete"
    return id


async def test_a_few_at_a_time_in_their_order_each_until_it_is_there(harness: Harness, storage: Storage) -> None:
    id = await small_parts(harness, png(MIN_CHUNK_BYTES * 7 - 100))
    await settled(harness)
    assert [parsed_id(one)[1] for one in storage.ids] == [0, 1, 2]
    assert {header["inbox"] for header in storage.headers} == {"01a20058-c569-7555-97ad-5f35eb5182d8"}
    await storage.answer(storage.taken[1])
    assert [parsed_id(one)[1] for one in storage.ids] == [0, 1, 2, 3]
    assert f"{id}:1" not in stored(harness)
    for at in (0, 2, 3, 4, 5, 6, 7):
        await storage.answer(storage.taken[at])
    assert [parsed_id(one)[1] for one in storage.ids] == list(range(8))
    assert stored(harness) == {}


async def test_what_is_not_complete_stays_here(harness: Harness, storage: Storage) -> None:
    file = png(200_000)
    id = await begin(harness, file)
    await part(harness, id, 0, file.content[:100_000])
    await harness.front.sender.sweep()
    await settled(harness)
    assert storage.ids == []


async def test_what_a_command_names_goes_first(harness: Harness, storage: Storage) -> None:
    harness.front.sender.window = 0
    first, second = [await uploaded(harness, png()) for _ in range(2)]
    assert (await report(harness, "k", [second])).status_code == 202
    harness.front.sender.window = 2
    await harness.front.sender.sweep()
    await settled(harness)
    assert [parsed_id(one)[0] for one in storage.ids] == [second, second]
    assert first != second


async def test_what_is_not_answered_goes_out_again(harness: Harness, storage: Storage) -> None:
    now = 0.0
    harness.front.sender._now = lambda: now
    await uploaded(harness, png())
    await settled(harness)
    assert len(storage.taken) == 2
    await harness.front.sender.sweep()
    await settled(harness)
    assert len(storage.taken) == 2
    now = 30.5
    await harness.front.sender.sweep()
    await settled(harness)
    assert storage.ids[2:] == storage.ids[:2]


async def test_after_a_restart_what_is_left_goes_out(harness: Harness, storage: Storage) -> None:
    await uploaded(harness, png())
    await settled(harness)
    await storage.answer(storage.taken[0])
    await harness.restart()
    await harness.front.inbox.read()
    await harness.front.sender.sweep()
    await settled(harness)
    assert storage.ids[2:] == storage.ids[1:2]


async def test_a_broker_that_refuses_is_asked_again_later(harness: Harness, storage: Storage) -> None:
    harness.broker.refused.add(destinations.attachments("main"))
    await uploaded(harness, png())
    await settled(harness)
    assert storage.ids == []
    harness.broker.refused.clear()
    await settled(harness)
    await harness.front.sender.sweep()
    await settled(harness)
    assert len(storage.ids) == 2


@pytest.mark.parametrize("fault", [None, Fault.DIGEST, Fault.DAMAGED])
async def test_the_bridge_judges_what_no_front_saw_all_of(
    harness: Harness, storage: Storage, fault: Fault | None
) -> None:
    file = png(200_000)
    id = await begin(harness, file)
    await part(harness, id, 0, file.content[:100_000])
    harness.front.uploads._examinations.clear()  # as after a restart
    assert (await part(harness, id, 100_000, file.content[100_000:])).json()["status"] == "checking"
    await settled(harness)
    await storage.answer(storage.taken[0], storage.taken[1])
    assert (await harness.call("GET", f"/v1/attachments/{id}")).json()["status"] == "checking"
    await storage.answer(storage.taken[2], whole=True, fault=fault)
    told = (await harness.call("GET", f"/v1/attachments/{id}")).json()
    if fault is None:
        assert told["status"] == "complete"
        assert (await report(harness, "k", [id])).status_code == 202
    else:
        assert (told["status"], told["failure"]["code"]) == ("rejected", f"attachment-{fault}")
        assert code_of(await report(harness, "k", [id])) == (422, f"attachment-{fault}")


async def test_an_upload_whose_front_died_before_it_judged_is_left_to_the_bridge(
    harness: Harness, storage: Storage
) -> None:
    file = png(1_000)
    id = await begin(harness, file)
    known = await harness.front.uploads.find("wechat", id)
    envelope = harness.front.uploads._sealed(known, 1, bytes(8) + file.content)
    assert await harness.front.attachments.append(known, len(file.content), envelope, known.expires_at)
    await harness.front.housekeeping.forget_attachments()
    assert (await harness.call("GET", f"/v1/attachments/{id}")).json()["status"] == "uploading"
    harness.clock.now += 61_000
    await harness.front.housekeeping.forget_attachments()
    assert (await harness.call("GET", f"/v1/attachments/{id}")).json()["status"] == "checking"
    await harness.front.sender.sweep()
    await settled(harness)
    assert [one.attributes.type for one in storage.taken] == [TYPE, TYPE]


@pytest.mark.parametrize("result", [b"", b"null", b'{"whole":1}'])
async def test_a_receipt_that_is_none_changes_nothing(harness: Harness, storage: Storage, result: bytes) -> None:
    await uploaded(harness, png())
    await settled(harness)
    harness.bridge.reply(storage.taken[0], Say(result=result))
    await settled(harness)
    assert len(stored(harness)) == 2
