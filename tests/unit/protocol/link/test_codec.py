"""Frames to bytes and back, however the bytes are cut."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.link.codec import (
    MAX_HEADER_BYTES,
    ProtocolViolation,
    Received,
    Splitter,
    encode,
    escape,
    unescape,
)
from protocol.link.stomppy import BaseTransport, Frame, Protocol12

LIMIT = 1_000_000

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
keys = texts.filter(lambda key: key and key not in {"content-length", "destination", "receipt"})
frames = st.tuples(st.dictionaries(keys, texts, max_size=4), st.binary(max_size=60))


class Wire(BaseTransport):  # type: ignore[misc]  # stomp.py is untyped
    """Collects what Protocol12 sends."""

    def __init__(self) -> None:
        super().__init__(auto_decode=False)
        self.sent = b""

    def transmit(self, frame: Frame) -> None:
        self.sent += encode(frame)


def through_protocol12(headers: dict[str, str], body: bytes) -> bytes:
    wire = Wire()
    Protocol12(wire).send("/queue/a", body, headers={**headers, "content-length": str(len(body))})
    return wire.sent


def split(data: bytes, sizes: list[int]) -> list[Received]:
    """Feed `data` in pieces of these sizes (the last one repeats)."""
    splitter, result, at = Splitter(LIMIT), list[Received](), 0
    for size in [*sizes, *([sizes[-1]] * len(data))]:
        if at >= len(data):
            break
        result += splitter.feed(data[at : at + size])
        at += size
    return result


@given(st.lists(frames, max_size=4), st.lists(st.integers(1, 90), min_size=1, max_size=8), st.booleans())
def test_what_protocol12_sends_is_what_arrives(
    messages: list[tuple[dict[str, str], bytes]], sizes: list[int], beats: bool
) -> None:
    data = b"".join(through_protocol12(*message) + (b"\n\r\n" if beats else b"") for message in messages)
    received = split(data, sizes)
    assert [(frame.cmd, frame.body) for frame in received] == [("SEND", body) for _, body in messages]
    for frame, (headers, body) in zip(received, messages, strict=True):
        assert frame.headers == {**headers, "destination": "/queue/a", "content-length": str(len(body))}


@given(texts)
def test_unescape_undoes_escape(text: str) -> None:
    assert unescape(escape(text)) == text
    assert not set(escape(text)) & set("\r\n:")


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_are_frames_or_a_violation(data: bytes, size: int) -> None:
    with contextlib.suppress(ProtocolViolation):
        split(data, [size])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_line_ends_may_have_carriage_returns(size: int) -> None:
    data = b"MESSAGE\r\na:1\r\nb:x\\cy\r\n\r\nbody\n\n\0\r\nRECEIPT\nreceipt-id:7\n\n\0"
    one, two = split(data, [size])
    assert (one.cmd, one.headers, one.body) == ("MESSAGE", {"a": "1", "b": "x:y"}, b"body\n\n")
    assert (two.cmd, two.headers, two.body) == ("RECEIPT", {"receipt-id": "7"}, b"")


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_without_a_content_length_the_body_ends_at_nul(size: int) -> None:
    one, two = split(b"ERROR\nmessage:no\n\ntext\0\nERROR\n\n\0", [size])
    assert (one.body, two.headers, two.body) == (b"text", {}, b"")


def test_the_first_of_repeated_headers_counts() -> None:
    [frame] = split(b"MESSAGE\nfoo:World\nfoo:Hello\n\n\0", [100])
    assert frame.headers == {"foo": "World"}


def test_the_values_of_connected_are_not_unescaped() -> None:
    [frame] = split(b"CONNECTED\nserver:a\\cb\n\n\0", [100])
    assert frame.headers == {"server": "a\\cb"}


VIOLATIONS = {
    "no colon": b"MESSAGE\nheader\n\n\0",
    "not utf-8": b"MESSAGE\na:\xff\n\n\0",
    "unknown escape": b"MESSAGE\na:\\t\n\n\0",
    "trailing backslash": b"MESSAGE\na:\\\n\n\0",
    "length with sign": b"MESSAGE\ncontent-length:+1\n\nx\0",
    "length with underscore": b"MESSAGE\ncontent-length:1_0\n\nx\0",
    "length too long": b"MESSAGE\ncontent-length:" + b"9" * 13 + b"\n\nx\0",
    "no nul after body": b"MESSAGE\ncontent-length:1\n\nxy\0",
    "frame too large, announced": b"MESSAGE\ncontent-length:%d\n\n" % LIMIT,
    "frame too large, unannounced": b"MESSAGE\n\n" + b"x" * LIMIT,
    "header too large": b"MESSAGE\n" + b"a:b\n" * MAX_HEADER_BYTES,
    "command without end": b"x" * (MAX_HEADER_BYTES + 1),
}


@pytest.mark.parametrize("data", VIOLATIONS.values(), ids=VIOLATIONS.keys())
@pytest.mark.parametrize("size", [7, 4096, 2 * LIMIT])
def test_what_is_not_stomp_is_a_violation(data: bytes, size: int) -> None:
    with pytest.raises(ProtocolViolation):
        split(data, [size])


def test_frames_before_a_violation_are_delivered() -> None:
    got: list[str] = []
    with pytest.raises(ProtocolViolation):
        got.extend(f.cmd for f in Splitter(LIMIT).feed(b"RECEIPT\nreceipt-id:1\n\n\0BAD\nx\n\n\0"))
    assert got == ["RECEIPT"]


def test_a_large_frame_in_small_pieces_costs_linear_time() -> None:
    """900 KB in pieces of 9 bytes: seconds if any piece were to cost a scan of what is kept, about 50 ms if not."""
    for head in (b"MESSAGE\n\n", b"MESSAGE\ncontent-length:900000\n\n"):
        data = head + b"x" * 900_000 + b"\0"
        began = time.process_time()
        [frame] = split(data, [9])
        assert len(frame.body) == 900_000
        assert time.process_time() - began < 2.0


def test_memory_is_bounded_by_one_frame() -> None:
    splitter = Splitter(LIMIT)
    list(splitter.feed(b"MESSAGE\ncontent-length:1000\n\nabc"))
    assert splitter.buffered == 32
    [frame] = splitter.feed(b"d" * 997 + b"\0\n")
    assert (len(frame.body), splitter.buffered) == (1000, 0)


def test_a_key_is_escaped_too() -> None:
    data = through_protocol12({"a:b\n": "c"}, b"")
    assert b"a\\cb\\n:c\n" in data
