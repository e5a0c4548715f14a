"""The batcher, over a link whose receipts the test gives by hand."""

import asyncio
import gc
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LinkDown, OutcomeUnknown, Overloaded, SendRefused
from protocol.frames import unpack
from protocol.link.lane import Lane
from protocol.link.memory import MemoryBroker, MemoryLink
from protocol.link.port import Link, Outgoing

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class HandLink:
    """Keeps what is sent; the test settles the receipts."""

    def __init__(self) -> None:
        self.sent: list[tuple[Outgoing, asyncio.Future[None]]] = []
        self.error: Exception | None = None

    def send(self, message: Outgoing) -> "asyncio.Future[None]":
        if self.error is not None:
            raise self.error
        receipt: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent.append((message, receipt))
        return receipt

    def frames(self) -> list[tuple[str, list[bytes]]]:
        return [(message.destination, unpack(message.body)) for message, _ in self.sent]


async def turns(count: int = 4) -> None:
    """Let the event loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


def make(**options: Any) -> tuple[HandLink, Lane]:
    link = HandLink()
    return link, Lane(cast(Link, link), persistent=False, **options)


async def test_at_rest_an_envelope_goes_alone_and_waits_for_nobody() -> None:
    link, lane = make()
    receipt = lane.post("/queue/a", b"1")
    await turns(1)
    assert link.frames() == [("/queue/a", [b"1"])]
    assert not receipt.done()
    link.sent[0][1].set_result(None)
    await receipt
    assert (lane.outstanding, lane.pending_bytes) == (0, 0)


async def test_what_one_turn_posts_goes_in_one_frame_with_one_receipt() -> None:
    link, lane = make()
    receipts = {lane.post("/queue/a", b"%d" % n) for n in range(10)}
    await turns(1)
    assert link.frames() == [("/queue/a", [b"%d" % n for n in range(10)])]
    assert len(receipts) == 1


async def test_receipts_clock_the_frames() -> None:
    link, lane = make(window=2)
    for n in range(6):
        lane.post("/queue/a", b"%d" % n)
        await turns()
    assert [members for _, members in link.frames()] == [[b"0"], [b"1"]]
    link.sent[0][1].set_result(None)
    await turns()
    assert [members for _, members in link.frames()] == [[b"0"], [b"1"], [b"2", b"3", b"4", b"5"]]
    assert lane.outstanding == 2


async def test_a_frame_is_bounded_in_members_and_in_bytes() -> None:
    link, lane = make(window=10, max_members=3, max_bytes=100)
    for n in range(4):
        lane.post("/queue/a", b"%d" % n)
    lane.post("/queue/b", b"x" * 60)
    lane.post("/queue/b", b"y" * 60)
    lane.post("/queue/b", b"z" * 500)
    await turns()
    assert sorted(link.frames()) == [
        ("/queue/a", [b"0", b"1", b"2"]),
        ("/queue/a", [b"3"]),
        ("/queue/b", [b"x" * 60]),
        ("/queue/b", [b"y" * 60]),
        ("/queue/b", [b"z" * 500]),
    ]


async def test_destinations_take_turns() -> None:
    link, lane = make(window=1, max_members=1)
    for n in range(3):
        lane.post("/queue/busy", b"%d" % n)
    lane.post("/queue/calm", b"0")
    for n in range(4):
        await turns()
        link.sent[n][1].set_result(None)
    assert [destination for destination, _ in link.frames()] == [
        "/queue/busy",  # full, so sent at once
        "/queue/busy",
        "/queue/calm",
        "/queue/busy",
    ]


async def test_a_full_frame_goes_out_at_once_while_the_window_has_room() -> None:
    link, lane = make(window=2, max_members=3)
    for n in range(8):
        lane.post("/queue/a", b"%d" % n)
    assert [members for _, members in link.frames()] == [[b"0", b"1", b"2"], [b"3", b"4", b"5"]]
    link.sent[0][1].set_result(None)
    await turns()
    assert [members for _, members in link.frames()][2:] == [[b"6", b"7"]]


@pytest.mark.parametrize(("members", "frame"), [([5], 5), ([5, 9, 7], 9), ([5, 0], 0), ([0, 5], 0), ([0], 0)])
async def test_a_frame_lives_as_long_as_its_longest_lived_member(members: list[int], frame: int) -> None:
    link, lane = make()
    for expires in members:
        lane.post("/queue/a", b"x", expires)
    await turns()
    assert link.sent[0][0].expires == frame


@pytest.mark.parametrize("error", [OutcomeUnknown("x"), LinkDown("x"), SendRefused("x")])
async def test_every_member_hears_of_the_links_failure(error: Exception) -> None:
    link, lane = make()
    receipts = [lane.post("/queue/a", b"1"), lane.post("/queue/a", b"2")]
    await turns()
    link.sent[0][1].set_exception(error)
    for receipt in receipts:
        with pytest.raises(type(error)):
            await receipt
    lane.post("/queue/a", b"3")
    await turns()
    assert len(link.sent) == 2


async def test_an_overloaded_link_fails_the_frame_and_not_the_lane() -> None:
    link, lane = make()
    link.error = Overloaded("full")
    receipt = lane.post("/queue/a", b"1")
    with pytest.raises(Overloaded):
        await receipt
    await lane.drain()
    assert (lane.outstanding, lane.pending_bytes) == (0, 0)


async def test_a_full_lane_turns_away_at_once() -> None:
    link, lane = make(window=1, max_pending_bytes=100)
    lane.post("/queue/a", b"x" * 90)
    with pytest.raises(Overloaded):
        lane.post("/queue/a", b"y" * 90)
    await turns()
    lane.post("/queue/a", b"z" * 90)  # the first is with the link now
    assert lane.pending_bytes == 94
    assert len(link.sent) == 1


async def test_a_cancelled_waiter_harms_no_other_member() -> None:
    link, lane = make()
    shared = lane.post("/queue/a", b"1")

    async def wait() -> None:
        await shared

    task = asyncio.create_task(wait())
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await shared
    assert shared.cancel() is False
    assert not shared.done()
    link.sent[0][1].set_result(None)
    await shared
    await shared  # a second look is fine


async def test_a_receipt_nobody_waits_for_is_not_complained_about() -> None:
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    link, lane = make()
    lane.post("/queue/a", b"1")
    await turns()
    link.sent.pop()[1].set_exception(OutcomeUnknown("x"))
    await turns()
    gc.collect()
    assert complaints == []


async def test_drain_waits_for_every_receipt() -> None:
    link, lane = make(window=1, max_members=1)
    await lane.drain()  # nothing to wait for
    for n in range(3):
        lane.post("/queue/a", b"%d" % n)
    drain = asyncio.create_task(lane.drain())
    for n in range(3):
        await turns()
        assert not drain.done()
        link.sent[n][1].set_result(None)
    await asyncio.wait_for(drain, 30)


async def test_an_empty_envelope_is_a_mistake_of_the_caller() -> None:
    _, lane = make()
    with pytest.raises(ValueError, match="empty"):
        lane.post("/queue/a", b"")


@pytest.mark.parametrize("options", [{"window": 0}, {"max_members": 0}, {"max_members": 65}])
async def test_senseless_bounds_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="lane"):
        make(**options)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.binary(min_size=1, max_size=50), st.booleans())))
def test_nothing_is_lost_doubled_or_reordered(posts: list[tuple[str, bytes, bool]]) -> None:
    """Over the in-memory broker: whatever is posted arrives once, in its destination's order."""

    async def scenario() -> None:
        broker = MemoryBroker()
        link = MemoryLink(broker)
        await link.start()
        await link.ready()
        lane = Lane(link, persistent=True, window=2, max_members=3, max_bytes=80)
        for destination, envelope, pause in posts:
            lane.post(destination, envelope)
            if pause:
                await asyncio.sleep(0)
        await lane.drain()
        for destination in "abc":
            arrived = [stored.message.body for stored in broker.stored(destination)]
            members = [member for body in arrived for member in unpack(body)]
            assert members == [envelope for to, envelope, _ in posts if to == destination]
        await link.close()

    asyncio.run(scenario())
