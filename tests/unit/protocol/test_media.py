"""What a file is, by its content: whole ones are taken however they are cut, everything else is told apart."""

import hashlib
import zlib

import pytest

from protocol import media
from protocol.media import Examination, Fault, MediaType
from tests.support.files import File, jpeg, pdf, png, xlsx

FILES = {"png": png(150_000), "jpeg": jpeg(150_000), "pdf": pdf(5_000), "xlsx": xlsx(5_000)}


def examined(
    file: File, content: bytes | None = None, *, step: int = 65_536, digest: str | None = None
) -> Fault | None:
    content = file.content if content is None else content
    examination = Examination(MediaType(file.media_type))
    for at in range(0, len(content), step):
        examination.update(content[at : at + step])
    right = digest or hashlib.sha256(content).hexdigest()
    return examination.finish(len(content), lambda found: found == right)


@pytest.mark.parametrize("step", [1, 2, 7, 1_000, 1_000_000])
@pytest.mark.parametrize("name", FILES)
def test_a_whole_file_is_sound_however_it_is_cut(name: str, step: int) -> None:
    assert examined(FILES[name], step=step) is None


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_off_is_damaged(name: str) -> None:
    assert examined(FILES[name], FILES[name].content[:-9]) is Fault.DAMAGED


@pytest.mark.parametrize("name", FILES)
def test_another_content_than_declared(name: str) -> None:
    assert examined(FILES[name], digest=FILES[name].sha256[::-1]) is Fault.DIGEST


@pytest.mark.parametrize(
    "content", [b"<html>hello</html>", b"MZ\x90\x00" * 9, b"", b"%PDF-9.9\n" * 9, b"\x89PNG\r\n\x1a\r" * 9]
)
@pytest.mark.parametrize("name", FILES)
def test_what_is_something_else(name: str, content: bytes) -> None:
    wanted = Fault.TYPE if content else Fault.DAMAGED
    assert examined(FILES[name], content) is wanted


def test_one_type_is_not_another() -> None:
    assert examined(FILES["png"], FILES["jpeg"].content) is Fault.TYPE
    assert examined(FILES["jpeg"], FILES["pdf"].content) is Fault.TYPE
    assert examined(FILES["pdf"], FILES["png"].content) is Fault.TYPE
    assert examined(FILES["xlsx"], FILES["pdf"].content) is Fault.TYPE
    assert examined(FILES["png"], FILES["xlsx"].content) is Fault.TYPE


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("png", lambda content: content + b"<script>"),  # something behind its end
        ("png", lambda content: content[:60] + bytes([content[60] ^ 1]) + content[61:]),  # a checksum
        ("png", lambda content: content[:16] + bytes(4) + content[20:]),  # no width
        ("png", lambda content: content[:8] + content[33:]),  # no IHDR
        ("jpeg", lambda content: content.replace(b"\xff\xc0", b"\xff\xe1", 1)),  # a scan without a frame
        ("jpeg", lambda content: content[:2] + b"\xff\xd9"),
        ("pdf", lambda content: content.replace(b"\nstartxref\n9\n", b"\nstartxref\n999999\n")),  # beyond the file
        ("pdf", lambda content: content.replace(b"%%EOF", b"%%BOF")),
    ],
)
def test_what_is_broken_inside(name: str, change: object) -> None:
    assert callable(change)
    changed = change(FILES[name].content)
    assert changed != FILES[name].content
    assert examined(FILES[name], changed) is Fault.DAMAGED


def test_what_phones_write_behind_a_jpeg_is_no_fault() -> None:
    assert examined(FILES["jpeg"], FILES["jpeg"].content + b"\x00\x00\x00\x18ftypmp42 a moving picture") is None


def test_fill_bytes_before_a_marker_are_no_fault() -> None:
    content = FILES["jpeg"].content
    assert examined(FILES["jpeg"], content[:-2] + b"\xff\xff\xff\xd9", step=1) is None


_HEAD = b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x01\x00\x01\x01\x01\x11\x00"
_SCAN = b"\xff\xda\x00\x02"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (_HEAD + _SCAN * media._MOST_SCANS + b"\xff\xd9", None),
        (_HEAD + _SCAN * (media._MOST_SCANS + 1) + b"\xff\xd9", Fault.DAMAGED),
        (_HEAD + b"\xff\xe0\x00\x02" * media._MOST_PARTS + _SCAN + b"\xff\xd9", Fault.DAMAGED),
        (_HEAD + b"\xff" * media._MOST_PARTS + _SCAN + b"\xff\xd9", Fault.DAMAGED),
        (_HEAD + _SCAN + b"\xff\x00" * 300_000 + b"\xff\xd9", None),
        (_HEAD + _SCAN + b"\xff\xd0" * 300_000 + b"\xff\xd9", None),
    ],
)
@pytest.mark.parametrize("step", [65_536, 1 << 30])
def test_a_picture_of_countless_parts_is_none(content: bytes, fault: Fault | None, step: int) -> None:
    """Each is a step of the front's loop, and again of the bridge's."""
    assert examined(FILES["jpeg"], content, step=step) is fault


def test_a_png_of_countless_chunks_is_none() -> None:
    empty = b"\x00\x00\x00\x00tEXt" + zlib.crc32(b"tEXt").to_bytes(4, "big")
    content = FILES["png"].content
    at = 8 + 25  # behind IHDR
    assert examined(FILES["png"], content[:at] + empty * 100 + content[at:]) is None
    assert examined(FILES["png"], content[:at] + empty * media._MOST_PARTS + content[at:]) is Fault.DAMAGED


def test_however_much_comes_at_once_no_more_than_a_piece_is_looked_at_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    put_back: list[int] = []
    real = Examination._back

    def back(self: Examination, data: bytes) -> None:
        put_back.append(len(data))
        real(self, data)

    monkeypatch.setattr(Examination, "_back", back)
    assert examined(FILES["jpeg"], _HEAD + _SCAN * 900 + bytes(1 << 20) + b"\xff\xd9", step=1 << 30) is None
    assert len(put_back) >= 900
    assert max(put_back) <= 2 * media._PIECE
