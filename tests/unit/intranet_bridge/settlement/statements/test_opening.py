"""Packed files: members known by what they say, and bombs."""

import contextlib
import errno
import gzip
import io
import json
import zipfile
from functools import partial
from pathlib import Path

import pytest

from intranet_bridge.settlement.statements import opening
from intranet_bridge.settlement.statements.opening import Source, opened
from intranet_bridge.settlement.statements.profiles import Profile
from intranet_bridge.settlement.statements.verdicts import Code, StatementRefused
from tests.unit.intranet_bridge.settlement.statements.reads import PROFILES, SAMPLES, refused, taken

TRADE, WECHAT = PROFILES["alipay-trade"], PROFILES["wechat-trade"]
EMPTY = (SAMPLES / "alipay_20261124_empty.csv").read_bytes()


def zipped(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


def named(raw: bytes) -> bytes:
    """A ZIP with an empty bill whose name is these bytes, and nothing that says what they are."""
    stand_in = b"N" * len(raw)
    return zipped(**{stand_in.decode(): EMPTY}).replace(stand_in, raw)


def test_zip_name_bytes() -> None:
    wanted = json.loads((SAMPLES / "zip_names.expected.json").read_text())
    assert taken("alipay_20261124.csv.zip", TRADE)[0].rows == 7
    assert wanted["zip_utf8_without_flag.zip"].startswith("accepted")
    assert taken("zip_utf8_without_flag.zip", TRADE)[0].rows == 0
    half = "李昞明细.csv".encode("gbk")
    assert b"\\" in half
    assert taken(named(half), TRADE)[0].rows == 0
    code, findings = refused("zip_two_details.zip", TRADE)
    assert wanted["zip_two_details.zip"].startswith(f"refused: {code}")
    assert "../" not in str(findings)


def test_zip_with_two_members_of_one_name() -> None:
    twice = zipped(aaaa=EMPTY, aaab=b"#").replace(b"aaab", b"aaaa")
    assert refused(twice, TRADE)[1][0].what == "two members of one name"


def test_zip_without_a_statement() -> None:
    assert refused(zipped(a=b"#\xd6\xa7", b=b""), TRADE)[0] is Code.LAYOUT


@pytest.mark.parametrize("packed", [(SAMPLES / "alipay_20261124.csv.zip").read_bytes(), zipped(a=EMPTY)])
def test_packed_file_cut_off_is_incomplete(packed: bytes) -> None:
    for cut in (packed[:-30], packed[: len(packed) // 2]):
        assert refused(cut, TRADE)[0] is Code.INCOMPLETE
    bill = (SAMPLES / "wechat_20261125_ALL.csv.gz").read_bytes()
    assert refused(bill[:-12], WECHAT)[0] is Code.INCOMPLETE


def test_zip_bomb_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def code(data: bytes, profile: Profile = TRADE) -> Code:
        with pytest.raises(StatementRefused) as error:
            opened(partial(io.BytesIO, data), profile.form())
        return error.value.code

    assert code(zipped(a=EMPTY, bomb=bytes(2 << 20))) is Code.TOO_LARGE
    assert code(zipped(**{f"m{n}": EMPTY for n in range(101)})) is Code.TOO_LARGE
    assert code(gzip.compress(b"\n" * (2 << 20)), WECHAT) is Code.TOO_LARGE
    monkeypatch.setattr(opening, "MOST_UNPACKED", 1000)
    assert code(zipped(a=EMPTY, b=EMPTY)) is Code.TOO_LARGE


def test_encrypted_member_is_not_read() -> None:
    data = bytearray(zipped(a=EMPTY))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    assert refused(bytes(data), TRADE)[0] is Code.INCOMPLETE


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_member_whose_unpacking_takes_what_memory_it_says_is_not_read(method: int) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        archive.writestr("a", EMPTY)
    code, findings = refused(made.getvalue(), TRADE)
    assert (code, findings[0].what) == (Code.LAYOUT, "a member packed in another way than stored or deflated")


def test_zip_with_any_byte_wrong_is_refused_and_raises_nothing_else(tmp_path: Path) -> None:
    """An error of another kind would leave the file without a verdict, and end the look at all others."""
    good = zipped(a=EMPTY, b=b"#")
    directory = good.index(b"PK\x01\x02")
    file = tmp_path / "statement.zip"
    for at in range(directory, len(good)):
        for value in (0x00, 0xFF):
            file.write_bytes(good[:at] + bytes([value]) + good[at + 1 :])
            sources: tuple[Source, ...] = (partial(io.BytesIO, file.read_bytes()), lambda: file.open("rb"))
            for source in sources:
                with contextlib.suppress(StatementRefused):
                    opened(source, TRADE.form())
    nameless = good.replace(b"\x01\x00\x00\x00" + good[directory + 30 : directory + 46], b"")
    with contextlib.suppress(StatementRefused):
        opened(partial(io.BytesIO, nameless), TRADE.form())


def test_disk_that_fails_is_no_damaged_file() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        opened(Failing, TRADE.form())


def test_packing_the_profile_does_not_know() -> None:
    assert refused(gzip.compress(EMPTY), TRADE)[0] is Code.LAYOUT
    assert refused(zipped(a=EMPTY), "utility-dsdz")[0] is Code.LAYOUT


def test_line_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MOST_LINE", 1000)
    head, rest = EMPTY.split(b"\r\n", 1)
    assert refused(head + b" " * 2000 + b"\r\n" + rest, TRADE)[0] is Code.LAYOUT
