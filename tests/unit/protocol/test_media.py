"""What a file is, by its content: whole ones are taken however they are cut, everything else is told apart."""

import hashlib

import pytest

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
