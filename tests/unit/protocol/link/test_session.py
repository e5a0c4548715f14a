"""The session against a broker that misbehaves. (How it behaves with a good one: tests/contract.)"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from protocol.errors import ConfigurationError, OutcomeUnknown, SendRefused
from protocol.link.codec import Received, encode
from protocol.link.port import Delivery, Outgoing, Subscription
from protocol.link.session import StompLink, tried
from protocol.link.settings import LinkSettings
from protocol.link.stomppy import Frame
from tests.support.fake_broker import PATIENCE, FakeBroker

pytestmark = pytest.mark.anyio
Answer = Callable[[FakeBroker, Received], list[Any]]


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


def link_to(*brokers: FakeBroker, **changes: Any) -> StompLink:
    values: dict[str, Any] = {
        "brokers": tuple(("localhost", broker.port) for broker in brokers),
        "ssl": None,
        "insecure": True,
        "heartbeat_ms": (0, 0),
        "backoff_min": 0.01,
        "backoff_max": 0.02,
        "close_timeout": 0.1,
        "client_name": "unit",
    }
    return StompLink(LinkSettings(**{**values, **changes}), chance=lambda: 0.0)


async def up(link: StompLink) -> StompLink:
    await link.start()
    await asyncio.wait_for(link.ready(), PATIENCE)
    return link


async def test_the_handshake_offers_version_host_and_heart_beats() -> None:
    async with FakeBroker() as broker:
        link = await up(link_to(broker, heartbeat_ms=(4000, 6000)))
        connect = broker.received[0]
        assert connect.cmd == "STOMP"
        assert connect.headers == {"accept-version": "1.2", "host": "localhost", "heart-beat": "4000,6000"}
        assert link.server == "Fake/1"
        await link.close()
        assert broker.commands() == ["STOMP", "DISCONNECT"]


async def test_a_subscription_says_all_that_the_broker_must_know() -> None:
    async with FakeBroker() as broker:
        link = await up(link_to(broker))
        link.subscribe(Subscription("/queue/a", print, prefetch=7, headers={"selector": "x = 'a:b'"}))
        await broker.until(lambda: "SUBSCRIBE" in broker.commands())
        headers = broker.received[1].headers
        assert headers.pop("receipt")
        assert headers == {
            "destination": "/queue/a",
            "id": "1",
            "ack": "client-individual",
            "activemq.prefetchSize": "7",
            "selector": "x = 'a:b'",
        }
        await link.close()


async def test_a_silent_broker_is_given_up_and_called_again() -> None:
    async with FakeBroker() as broker:
        broker.heartbeat = "20,0"
        link = await up(link_to(broker, heartbeat_ms=(0, 20)))
        await broker.until(lambda: broker.connections >= 2)
        await link.close()


async def test_an_idle_link_sends_heart_beats() -> None:
    async with FakeBroker() as broker:
        broker.heartbeat = "0,20"
        link = await up(link_to(broker, heartbeat_ms=(20, 0)))
        await broker.until(lambda: broker.beats >= 3)
        assert (broker.connections, link.epoch) == (1, 1)
        await link.close()


async def test_heart_beats_received_keep_the_link_up() -> None:
    async with FakeBroker() as broker:
        broker.heartbeat = "20,20"
        link = await up(link_to(broker, heartbeat_ms=(20, 20)))
        for count in range(2, 8):  # our own beats are the clock of the broker's
            await broker.until(lambda count=count: broker.beats >= count)  # type: ignore[misc]
            broker.push(b"\n")
        assert (broker.connections, link.epoch) == (1, 1)
        await link.close()


GARBAGE = {
    "not-stomp": b"HTTP/1.1 400 Bad Request\r\n\r\n\0",
    "unknown-frame": b"PING\n\n\0",
    "bad-escape": b"MESSAGE\na:\\t\n\n\0",
    "bad-length": b"MESSAGE\ncontent-length:-1\n\n\0",
    "too-large": b"MESSAGE\ncontent-length:9000000\n\n",
    "connection-error": encode(Frame("ERROR", {"message": "Unexpected ACK"})),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
async def test_after_garbage_or_an_error_the_link_connects_afresh(garbage: bytes) -> None:
    async with FakeBroker() as broker:
        link = await up(link_to(broker))
        lost: list[bool] = []
        link.watch(lost.append)
        broker.push(garbage)
        await broker.until(lambda: broker.connections == 2)
        await asyncio.wait_for(link.ready(), PATIENCE)
        assert link.epoch == 2
        assert lost == [True, False, True]
        await link.close()


def refuse_once(broker: FakeBroker, frame: Received) -> list[Any]:
    if broker.connections == 1:
        return [Frame("ERROR", {"message": "no such user"})]
    return broker.polite(frame)


def wrong_version_once(broker: FakeBroker, frame: Received) -> list[Any]:
    return [Frame("CONNECTED", {"version": "1.1"})] if broker.connections == 1 else broker.polite(frame)


def bad_beats_once(broker: FakeBroker, frame: Received) -> list[Any]:
    headers = {"version": "1.2", "heart-beat": "a,b"}
    return [Frame("CONNECTED", headers)] if broker.connections == 1 else broker.polite(frame)


def mute_once(broker: FakeBroker, frame: Received) -> list[Any]:
    return [] if broker.connections == 1 else broker.polite(frame)


@pytest.mark.parametrize("answer", [refuse_once, wrong_version_once, bad_beats_once])
async def test_a_failed_handshake_is_tried_again(answer: Answer) -> None:
    async with FakeBroker(answer) as broker:
        link = await up(link_to(broker, connect_timeout=PATIENCE))
        assert (broker.connections, link.epoch, link.counters.connect_failures) == (2, 1, 1)
        await link.close()


async def test_a_handshake_that_takes_too_long_is_tried_again() -> None:
    async with FakeBroker(mute_once) as broker:
        link = await up(link_to(broker, connect_timeout=0.1))
        assert link.epoch == 1
        assert link.counters.connect_failures >= 1  # a busy machine's broker may be late once more
        assert broker.connections >= 2
        await link.close()


async def test_the_list_is_begun_again_after_a_loss() -> None:
    async with FakeBroker() as first, FakeBroker() as second:
        link = await up(link_to(first, second))
        assert (first.connections, second.connections) == (1, 0)
        await first.__aexit__()
        await second.until(lambda: second.connections == 1)
        await link.close()


async def test_a_refused_subscription_is_logged_and_the_rest_works() -> None:
    def answer(broker: FakeBroker, frame: Received) -> list[Any]:
        if frame.cmd == "SUBSCRIBE":
            return [Frame("ERROR", {"receipt-id": frame.headers["receipt"], "message": "not authorised"})]
        return broker.polite(frame)

    async with FakeBroker(answer) as broker:
        link = await up(link_to(broker))
        with capture_logs() as logs:
            link.subscribe(Subscription("/queue/secret", print))
            await link.send(Outgoing("/queue/a", b"x"))
        assert [entry["event"] for entry in logs] == ["link-subscription-refused"]
        assert link.epoch == 1
        await link.close()


async def test_a_refusal_carries_the_brokers_words() -> None:
    def answer(broker: FakeBroker, frame: Received) -> list[Any]:
        if frame.cmd == "SEND":
            body = b"java.lang.SecurityException: no\n\tat org.apache"
            return [Frame("ERROR", {"receipt-id": frame.headers["receipt"]}, body)]
        return broker.polite(frame)

    async with FakeBroker(answer) as broker:
        link = await up(link_to(broker))
        with pytest.raises(SendRefused, match=r"^java.lang.SecurityException: no$"):
            await link.send(Outgoing("/queue/a", b"x"))
        await link.close()


async def test_a_body_larger_than_a_frame_is_refused_without_the_broker() -> None:
    async with FakeBroker() as broker:
        link = await up(link_to(broker, max_frame_bytes=10_000))
        with pytest.raises(SendRefused):
            await link.send(Outgoing("/queue/a", bytes(10_000)))
        assert link.epoch == 1
        await link.close()


async def test_a_late_receipt_is_counted_and_harmless() -> None:
    kept: list[Received] = []

    def answer(broker: FakeBroker, frame: Received) -> list[Any]:
        if frame.cmd == "SEND":
            kept.append(frame)
            return []
        return broker.polite(frame)

    async with FakeBroker(answer) as broker:
        link = await up(link_to(broker, receipt_timeout=0.02))
        with pytest.raises(OutcomeUnknown):
            await link.send(Outgoing("/queue/a", b"x"))
        broker.answer = lambda broker, frame: broker.polite(frame)
        broker.push(encode(Frame("RECEIPT", {"receipt-id": kept[0].headers["receipt"]})))
        broker.push(encode(Frame("ERROR", {"receipt-id": kept[0].headers["receipt"]})))
        async with asyncio.timeout(PATIENCE):
            while link.counters.receipts_late < 2:  # noqa: ASYNC110 - a counter has no event
                await asyncio.sleep(0.001)
        assert (link.counters.receipts_missed, link.counters.receipts_late, link.epoch) == (1, 2, 1)
        while True:  # it goes on: on a busy machine another may be late
            with contextlib.suppress(OutcomeUnknown):
                await link.send(Outgoing("/queue/a", b"y"))
                break
        assert link.epoch == 1
        await link.close()


async def test_closing_is_bounded_when_the_broker_does_not_answer() -> None:
    async with FakeBroker(lambda broker, frame: broker.polite(frame) if frame.cmd == "STOMP" else []) as broker:
        link = await up(link_to(broker))
        receipt = link.send(Outgoing("/queue/a", b"x"))
        await asyncio.wait_for(link.close(), PATIENCE)
        with pytest.raises(OutcomeUnknown):
            await receipt


async def test_closing_while_connecting_ends_the_attempts() -> None:
    async with FakeBroker(lambda broker, frame: []) as broker:
        link = link_to(broker)
        await link.start()
        await broker.until(lambda: broker.commands() == ["STOMP"])
        await asyncio.wait_for(link.close(), PATIENCE)
        assert not link.connected


async def test_a_handlers_exception_is_logged_without_the_body() -> None:
    def handler(delivery: Delivery) -> None:
        raise ValueError(f"cannot use {delivery.body!r}")

    async with FakeBroker() as broker:
        link = await up(link_to(broker))
        link.subscribe(Subscription("/queue/a", handler))
        with capture_logs() as logs:
            message = {"subscription": "1", "destination": "/queue/a", "ack": "1", "message-id": "1"}
            broker.push(encode(Frame("MESSAGE", message, b"account 4711")))
            await link.send(Outgoing("/queue/a", b"x"))
            await broker.until(lambda: "SEND" in broker.commands())
        assert [entry["event"] for entry in logs] == ["link-handler-failed"]
        assert logs[0]["error"] == "ValueError"
        assert "4711" not in repr(logs)
        assert link.epoch == 1
        await link.close()


async def test_a_line_end_cannot_enter_the_connect_frame() -> None:
    with pytest.raises(ValueError, match="host"):
        encode(Frame("STOMP", {"host": "a\nlogin:admin"}))


def test_plain_tcp_must_be_asked_for() -> None:
    with pytest.raises(ConfigurationError):
        LinkSettings(brokers=(("localhost", 1),), ssl=None)
    with pytest.raises(ConfigurationError):
        LinkSettings(brokers=(), ssl=None, insecure=True)


def test_settings_keep_the_context_out_of_logs() -> None:
    settings = LinkSettings(brokers=(("localhost", 1),), ssl=None, insecure=True)
    assert "ssl" not in repr(settings)


async def test_a_connection_is_replaced_and_nothing_fails() -> None:
    """By one to another broker, as if it had another certificate: who takes over what can be told apart so."""
    held: list[Any] = []

    def slowly(broker: FakeBroker, frame: Received) -> list[Any]:
        if frame.cmd == "SEND":
            held.append(Frame("RECEIPT", {"receipt-id": frame.headers["receipt"]}))
            return []
        if frame.cmd == "DISCONNECT":  # in order: what was sent before it is answered before it
            return [*held, *broker.polite(frame)]
        return broker.polite(frame)

    got: list[Delivery] = []
    states: list[bool] = []
    async with FakeBroker(slowly) as old, FakeBroker() as new:
        link = await up(link_to(old, close_timeout=5.0))
        link.watch(states.append)

        def handle(delivery: Delivery) -> None:
            got.append(delivery)
            assert link.current(delivery)
            link.ack(delivery)

        link.subscribe(Subscription("/queue/a", handle))
        before = link.send(Outgoing("/queue/b", b"x"))
        await old.until(lambda: "SEND" in old.commands())

        def message(number: int) -> bytes:
            headers = {"subscription": "1", "destination": "/queue/a", "message-id": "m", "ack": str(number)}
            return encode(Frame("MESSAGE", headers, b"y"))

        def still_bringing(broker: FakeBroker, frame: Received) -> list[Any]:
            if frame.cmd == "SUBSCRIBE":
                old.push(message(1))  # the old one is listened to until the new one's subscription stands
            return broker.polite(frame)

        new.answer = still_bringing
        await link.renew(link_to(new).settings)
        await before  # its receipt came by the connection it was sent by
        assert old.commands() == ["STOMP", "SUBSCRIBE", "SEND", "ACK", "UNSUBSCRIBE", "DISCONNECT"]
        new.push(message(2))
        await new.until(lambda: "ACK" in new.commands())
        await link.send(Outgoing("/queue/b", b"x"))
        assert new.commands() == ["STOMP", "SUBSCRIBE", "ACK", "SEND"]
        assert [delivery.epoch for delivery in got] == [1, 2]
        assert states == [True]  # nobody saw it down
        assert not link.ack(got[0])  # that connection is gone
        new.answer = lambda broker, frame: broker.polite(frame)
        new.cut()
        await new.until(lambda: new.connections == 2)
        await link.close()


async def test_settings_that_do_not_work_replace_nothing() -> None:
    async with FakeBroker() as broker, FakeBroker() as gone:
        link = await up(link_to(broker))
        gone._server.close()
        await gone._server.wait_closed()
        with pytest.raises(OSError):  # noqa: PT011 - which one is the kernel's
            await link.renew(link_to(gone).settings)
        assert link.connected
        await link.send(Outgoing("/queue/b", b"x"))
        await link.close()


async def test_what_the_old_connection_never_receipted_is_unknown_and_not_waited_for() -> None:
    def never(broker: FakeBroker, frame: Received) -> list[Any]:
        return [] if frame.cmd in ("SEND", "DISCONNECT") else broker.polite(frame)

    async with FakeBroker(never) as old, FakeBroker() as new:
        link = await up(link_to(old))
        before = link.send(Outgoing("/queue/b", b"x"))
        await link.renew(link_to(new).settings)
        with pytest.raises(OutcomeUnknown):
            await before
        await link.send(Outgoing("/queue/b", b"x"))
        await link.close()


async def test_while_there_is_no_connection_the_next_is_made_with_the_new_settings() -> None:
    async with FakeBroker() as gone, FakeBroker() as new:
        gone._server.close()
        link = link_to(gone)
        await link.start()
        await link.renew(link_to(new).settings)
        await asyncio.wait_for(link.ready(), PATIENCE)
        assert new.connections == 1
        await link.close()


async def test_settings_are_tried_at_every_broker() -> None:
    def turned_away(broker: FakeBroker, frame: Received) -> list[Any]:
        return [Frame("ERROR", {"message": "User name [x] or password is invalid."})]

    async with FakeBroker() as good, FakeBroker() as gone, FakeBroker(turned_away) as bad:
        gone._server.close()
        away = await tried(link_to(good, gone).settings)
        assert list(away) == [f"localhost:{gone.port}"]
        with pytest.raises(ConfigurationError, match=rf"localhost:{bad.port} .*password is invalid"):
            await tried(link_to(good, bad).settings)
