"""Values that cross the boundary: payloads read back, ids in the order of time."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import Malformed, OutOfRange
from protocol.lifecycle import State
from protocol.messages import (
    CODE_LENGTH,
    DETAIL_LENGTH,
    Attributes,
    GrowingIds,
    Reply,
    Request,
    fitted,
    uuid7,
)

ABOUT = Attributes("id-1", "bridge-1", "bill-query", 1)
CODES = st.from_regex(r"[a-z-]{0,30}", fullmatch=True)


@given(st.sampled_from(sorted(State)), CODES, st.text(), st.binary())
def test_a_reply_is_read_as_it_was_written(state: State, code: str, detail: str, result: bytes) -> None:
    if any(0xD800 <= ord(character) <= 0xDFFF for character in detail):
        return
    found = Reply.from_payload(ABOUT, Reply(ABOUT, state, code, detail, result).payload())
    assert (found.state, found.code, found.result) == (state, code, result)
    assert found.detail == fitted(" ".join(detail.split()), DETAIL_LENGTH)


@given(st.text(max_size=100), st.text(max_size=5_000))
def test_whatever_words_a_reply_is_made_of_the_other_side_takes_it(code: str, detail: str) -> None:
    found = Reply.from_payload(ABOUT, Reply(ABOUT, State.REFUSED, code, detail, b"{}").payload())
    assert (found.state, found.result) == (State.REFUSED, b"{}")
    assert found.code == fitted(code, CODE_LENGTH)


@pytest.mark.parametrize(
    "payload", ["refused\n" + "c" * 65 + "\n\n", "refused\nc\x00\n\n", f"failed\n\n{'d' * 4_001}\n"]
)
def test_a_code_or_a_detail_beyond_its_limits_is_named_with_its_request(payload: str) -> None:
    with pytest.raises(OutOfRange) as caught:
        Reply.from_payload(ABOUT, payload.encode())
    assert (caught.value.reason, caught.value.request) == ("out-of-range", "id-1")


def test_the_bytes() -> None:
    reply = Reply(ABOUT, State.REFUSED, "no-such-account", "查无\n此户 ", b'{"a":\n1}')
    assert reply.payload() == 'refused\nno-such-account\n查无 此户\n{"a":\n1}'.encode()


@pytest.mark.parametrize(
    "payload", [b"", b"succeeded", b"succeeded\n\n", b"done\n\n\n", b"\n\n\n{}", b"succeeded\n\xff\n\n", b"\xff\n\n\n"]
)
def test_anything_else_is_malformed(payload: bytes) -> None:
    with pytest.raises(Malformed):
        Reply.from_payload(ABOUT, payload)


@given(st.binary(max_size=200))
def test_no_bytes_are_worse_than_malformed(payload: bytes) -> None:
    try:
        reply = Reply.from_payload(ABOUT, payload)
    except Malformed:
        return
    assert reply.state in State


def test_bodies_and_results_stay_out_of_logs() -> None:
    assert "321" not in repr(Request(ABOUT, b'{"account":"3210000000001"}'))
    assert "321" not in repr(Reply(ABOUT, State.FAILED, "code", "account 321", b"321"))


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_uuid7_is_one(now: int, entropy: bytes) -> None:
    found = uuid.UUID(uuid7(now, entropy))
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert found.int >> 80 == now
    assert str(found) == uuid7(now, entropy)


@given(st.integers(0, 2**47), st.integers(1, 10**9), st.binary(min_size=10, max_size=10))
def test_later_ids_sort_later(now: int, later: int, entropy: bytes) -> None:
    assert uuid7(now, b"\xff" * 10) < uuid7(now + later, entropy)


@given(st.sets(st.binary(min_size=10, max_size=10), min_size=2, max_size=20))
def test_74_of_the_80_random_bits_are_kept(entropies: set[bytes]) -> None:
    def kept(entropy: bytes) -> int:
        return int.from_bytes(entropy, "big") & (1 << 74) - 1

    assert len({uuid7(5, entropy) for entropy in entropies}) == len({kept(entropy) for entropy in entropies})


@given(st.lists(st.tuples(st.integers(0, 2**47), st.binary(min_size=10, max_size=10)), max_size=30))
def test_growing_ids_grow_whatever_the_clock_does(readings: list[tuple[int, bytes]]) -> None:
    ids = GrowingIds()
    made = [ids.next(now, entropy) for now, entropy in readings]
    assert made == sorted(set(made))
    assert all(uuid.UUID(id).version == 7 for id in made)


def test_a_growing_id_tells_the_time() -> None:
    assert GrowingIds().next(1_795_302_147_433, b"0123456789") == uuid7(1_795_302_147_433, b"0123456789")
