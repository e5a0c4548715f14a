"""Dead letters: what is told of each, and which are meant."""

import pytest

from bridgectl.dead_letters import Letter, chosen, letter
from protocol.envelope import Kind, Sealer
from protocol.errors import BridgeError
from protocol.frames import pack
from protocol.keyring import Keyring
from protocol.link.dead_letter import dead_letter
from protocol.link.port import Delivery
from protocol.messages import Attributes, Role
from tests.unit.clock import NOW

COMMANDS, SECRET = "bridge.command.main", b'{"address":"somewhere"}'


@pytest.fixture
def frame(front_keyring: Keyring) -> bytes:
    sealer = Sealer(front_keyring, to=Role.BRIDGE)
    return pack([
        sealer.seal(Kind.REQUEST, Attributes(id, "front-1/wechat", "work-order", NOW), SECRET, now_ms=NOW)
        for id in ("request-1", "request-2")
    ])  # fmt: skip


def of(queue: str, body: bytes, reason: str, **more: str) -> Letter:
    """As the product sets it aside, and the broker shows it."""
    sent = dead_letter(f"/queue/{queue}", body, reason)
    headers = {**sent.headers, "message-id": "ID:1", "timestamp": str(NOW), **more}
    return letter(queue, Delivery(sent.destination, sent.body, headers, 1, "1"))


def test_what_travels_in_clear_is_told_and_what_is_sealed_stays_so(frame: bytes) -> None:
    one = of(COMMANDS, frame, "kills-worker", inbox="i", inbox_since="0", other="x")
    assert (one.requests, one.operations, one.sources) == (
        ("request-1", "request-2"), ("work-order",), ("front-1/wechat",),
    )  # fmt: skip
    assert (one.reason, one.at, one.size, one.hopeless) == ("kills-worker", NOW, len(frame), "")
    assert one.headers == {"inbox": "i", "inbox_since": "0"}  # or a bridge with another inbox would do it
    assert "somewhere" not in str(one.as_dict())


@pytest.mark.parametrize(
    ("queue", "reason", "body", "why"),
    [
        (COMMANDS, "malformed", b"junk", "only a digest"),
        (COMMANDS, "kills-worker", b"junk", "cannot be read: malformed"),
        (COMMANDS, "kills-worker", b"x" * 600_000, "only its beginning"),
        ("bridge.query.main", "wrong-queue", None, "not asked twice"),
        ("bridge.reply.query.front-1", "wrong-queue", None, "not asked twice"),
    ],
)
def test_what_cannot_be_sent_again_says_why(
    frame: bytes, queue: str, reason: str, body: bytes | None, why: str
) -> None:
    assert why in of(queue, frame if body is None else body, reason).hopeless


def test_the_brokers_own_letters_have_its_reason(frame: bytes) -> None:
    headers = {"message-id": "ID:2", "dlqDeliveryFailureCause": "java.lang.Throwable: redelivery"}
    one = letter(COMMANDS, Delivery("/queue/DLQ." + COMMANDS, frame, headers, 1, "1"))
    assert (one.reason, one.at, one.hopeless) == ("java.lang.Throwable: redelivery", 0, "")


LETTERS = [
    Letter("ID:1", COMMANDS, "kills-worker", NOW, 9, ("request-1",), ("work-order",)),
    Letter("ID:2", COMMANDS, "unwritable", NOW - 60_000, 9, ("request-2",), ("payment-writeoff",)),
    Letter("ID:3", COMMANDS, "malformed", NOW, 9),
]


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (([], "", "", None), ["ID:1", "ID:2", "ID:3"]),
        ((["ID:3", "request-2"], "", "", None), ["ID:2", "ID:3"]),
        (([], "malformed", "", None), ["ID:3"]),
        (([], "", "work-order", None), ["ID:1"]),
        (([], "", "", NOW - 1000), ["ID:2"]),
        ((["ID:1"], "malformed", "", None), []),
    ],
)
def test_which_are_meant(arguments: tuple[list[str], str, str, int | None], ids: list[str]) -> None:
    assert [one.id for one in chosen(LETTERS, *arguments)] == ids


def test_a_letter_that_is_not_there_is_named() -> None:
    with pytest.raises(BridgeError, match="no dead letter ID:9"):
        chosen(LETTERS, ["ID:1", "ID:9"], "", "", None)
