"""The frame that carries envelopes."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import Malformed, UnknownVersion
from protocol.frames import MAX_ENVELOPES, pack, unpack

envelopes = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=MAX_ENVELOPES)


@given(envelopes)
def test_unpack_undoes_pack(members: list[bytes]) -> None:
    assert unpack(pack(members)) == members


def test_the_bytes_are_as_drawn() -> None:
    assert pack([b"ab", b"c"]) == b"\xd7\x01\x02" + b"\0\0\0\x02ab" + b"\0\0\0\x01c"


@given(envelopes, st.data())
def test_no_part_of_a_frame_is_a_frame(members: list[bytes], data: st.DataObject) -> None:
    frame = pack(members)
    cut = data.draw(st.integers(0, len(frame) - 1))
    with pytest.raises(Malformed):
        unpack(frame[:cut])
    with pytest.raises(Malformed):
        unpack(frame + b"x")


@given(st.binary(max_size=100))
def test_any_bytes_are_a_frame_or_an_envelope_error(data: bytes) -> None:
    with contextlib.suppress(Malformed, UnknownVersion):
        assert pack(unpack(data)) == data
    with contextlib.suppress(Malformed, UnknownVersion):
        assert unpack(b"\xd7\x01" + data)


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (b"\xd7\x02\x01\0\0\0\x01a", UnknownVersion),
        (b"\xd6\x01\x01\0\0\0\x01a", Malformed),
        (b"\xd7\x01\x00", Malformed),
        (b"\xd7\x01\x41" + b"\0\0\0\x01a" * 65, Malformed),
        (b"\xd7\x01\x01\0\0\0\0", Malformed),
        (b"\xd7\x01\x01\xff\xff\xff\xffa", Malformed),
    ],
    ids=["version", "mark", "none", "too-many", "empty-envelope", "huge-length"],
)
def test_what_is_refused(frame: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        unpack(frame)


@pytest.mark.parametrize("members", [[], [b""], [b"x"] * 65], ids=["none", "empty", "too-many"])
def test_what_cannot_be_packed(members: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"envelope"):
        pack(members)
