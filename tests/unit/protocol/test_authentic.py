"""What is authentic is not yet true: attributes of a sender that has the keys and keeps no rule."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmz_front.ledger.rows import REQUESTS
from intranet_bridge.inbox.rows import INBOX
from protocol.envelope import Opener
from protocol.errors import EnvelopeError, OutOfRange
from protocol.keyring import Keyring
from protocol.messages import CODE_LENGTH, HORIZON_MS, MAX_TIME_MS, Attributes, Reply
from tests.unit.clock import NOW
from tests.unit.hostile import SAID, hostile

COLUMNS = {
    "id": "id",
    "type": "operation",
    "source": "source",
    "subject": "subject",
    "reply_to": "reply_to",
    "after": "after",
}


def check(attributes: Attributes) -> None:
    assert attributes.id
    for name, value in dataclasses.asdict(attributes).items():
        if isinstance(value, str):
            assert value == "" or (value.isascii() and value.isprintable()), name
            assert len(value) <= 160, name
        else:
            assert 0 <= value <= MAX_TIME_MS + HORIZON_MS < 2**63, name
    for name, column in COLUMNS.items():
        assert len(getattr(attributes, name)) <= INBOX.c[column].type.length, name  # type: ignore[attr-defined]
    assert attributes.deadline <= attributes.time + HORIZON_MS
    assert len(attributes.traceparent) <= 64


@given(SAID, st.booleans())
def test_what_is_opened_is_within_its_limits_or_refused(
    front_keyring: Keyring, bridge_keyring: Keyring, said: dict[str, Any], asked: bool
) -> None:
    sender, receiver = (front_keyring, bridge_keyring) if asked else (bridge_keyring, front_keyring)
    sealed = hostile(sender, now=NOW, **said)
    try:
        attributes = Opener(receiver).authentic(sealed).attributes
    except EnvelopeError:
        return
    check(attributes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("deadline", 10**25),
        ("deadline", NOW + HORIZON_MS + 1),
        ("deadline", -1),
        ("deadline", "1_0"),
        ("deadline", "１"),
        ("time", 10**15),
        ("time", "x"),
        ("id", ""),
        ("id", "x" * 65),
        ("id", "a b"),
        ("source", "s" * 161),
        ("source", "工单"),
        ("type", ""),
        ("type", "t" * 65),
        ("subject", "s" * 161),
        ("traceparent", "0" * 65),
        ("reply_to", "r" * 161),
        ("reply_to", "\x00"),
        ("after", "a" * 65),
    ],
)
def test_what_is_beyond_is_named_with_its_request(
    front_keyring: Keyring, bridge_keyring: Keyring, name: str, value: object
) -> None:
    said: dict[str, Any] = {"id": "request-1", name: value}
    for sender, receiver in ((front_keyring, bridge_keyring), (bridge_keyring, front_keyring)):
        with pytest.raises(OutOfRange, match=f"^{'the ' if value == NOW + HORIZON_MS + 1 else ''}{name} ") as caught:
            Opener(receiver).authentic(hostile(sender, now=NOW, **said))
        assert caught.value.reason == "out-of-range"
        assert caught.value.request == ("" if name == "id" else "request-1")
        assert len(str(value)) < 3 or str(value) not in str(caught.value)


@given(st.binary(max_size=300), SAID)
def test_a_reply_s_words_fit_the_ledger(
    bridge_keyring: Keyring, front_keyring: Keyring, body: bytes, said: dict[str, Any]
) -> None:
    try:
        opened = Opener(front_keyring).authentic(hostile(bridge_keyring, b"refused\n" + body, now=NOW, **said))
        reply = Reply.from_payload(opened.attributes, opened.payload)
    except EnvelopeError:
        return
    assert len(reply.code) <= CODE_LENGTH == REQUESTS.c.code.type.length  # type: ignore[attr-defined]
    assert "\x00" not in reply.code
