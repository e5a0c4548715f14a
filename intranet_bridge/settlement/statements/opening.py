"""A file's text: unpacked, its encoding found, in lines. Streaming: no more than a chunk and a line is in memory.

The encoding is a byte order mark's, else strict UTF-8, else strict gb18030 (not GBK, which lacks characters that names
have). Text is decoded **before** it is split: `|`, `` ` `` and `\\` are also second bytes of Chinese characters. Whole
files are looked through for that once, by an incremental decoder, so that a character may straddle chunks; a file cut
inside one is `incomplete`.

Packed files are hostile: the number of members, their bytes and how tightly they are packed are bounded. A member is
known by its first line; its name is GBK or UTF-8, mostly without saying which, and is never used for anything.
"""

import codecs
import errno
import gzip
import hashlib
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import IO, AnyStr

from intranet_bridge.settlement.statements.verdicts import Code, Finding, StatementRefused
from protocol.values import immutable

Source = Callable[[], IO[bytes]]
"""Opens the file anew, from its beginning, seekable."""


@immutable
class Form:
    """How files of one kind come."""

    name: str
    container: Collection[str] = ("plain",)
    """Of plain, gzip and zip."""
    encoding: str = "detect"
    first_line: str = ""
    """A pattern by which a ZIP's member is known."""


MOST_MEMBERS = 100
MOST_UNPACKED = 1 << 30
MOST_RATIO = 100
"""Of unpacked to packed; what is smaller than `_NO_BOMB` unpacked may be packed tighter."""
MOST_LINE = 64 * 1024
_NO_BOMB = 1 << 20
_CHUNK = 1 << 18
_FIRST_LINE = 512
_DAMAGED = (zipfile.BadZipFile, zipfile.LargeZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError,
            RuntimeError, ValueError, LookupError, struct.error)  # fmt: skip
"""What zipfile and gzip raise for files that are cut, damaged or encrypted, whichever byte it is. Not OSError at large:
that is our own disk's, and the file may be read later.
"""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How members may be packed. With others the memory that unpacking takes is the file's to say (LZMA: up to 4 GB)."""


@immutable
class Text:
    """A file that can be read as text."""

    source: Source
    member: str | None
    """Of a ZIP, as zipfile names it."""
    packing: str
    encoding: str
    sha1: str
    """Of the unpacked bytes."""
    size: int
    """Unpacked bytes."""

    def lines(self) -> Iterator[tuple[int, str]]:
        """Each line with its number and its end; decoded strictly. Raises StatementRefused."""
        with unpacked(self.source, self.packing, self.member) as raw:
            text = io.TextIOWrapper(raw, self.encoding, newline="\n")
            number = 0
            while line := text.readline(MOST_LINE):
                number += 1
                yield number, _whole(line, number, "\n")

    def raw_lines(self) -> Iterator[tuple[int, bytes]]:
        """The same, as bytes: for widths that count them."""
        mark = len(codecs.BOM_UTF8) if self.encoding == "utf-8-sig" else 0
        with unpacked(self.source, self.packing, self.member) as raw:
            raw.read(mark)
            number = 0
            while line := raw.readline(MOST_LINE):
                number += 1
                yield number, _whole(line, number, b"\n")

    def begins(self) -> str:
        """The first characters, for answers that are no statement."""
        with unpacked(self.source, self.packing, self.member) as raw:
            return raw.read(4096).decode(self.encoding, "replace")


def opened(source: Source, form: Form) -> Text:
    """The one text of a file. Raises StatementRefused."""
    try:
        packing = _packing(source, form)
        member = _member(source, form) if packing == "zip" else None
        encoding, sha1, size = _looked_through(source, packing, member, form)
    except _DAMAGED:
        raise _damaged() from None
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise _damaged() from None  # a place in the file before its beginning
    return Text(source, member, packing, encoding, sha1, size)


def _damaged() -> StatementRefused:
    return StatementRefused(Code.INCOMPLETE, Finding("the packed file is cut off or damaged"))


@contextmanager
def unpacked(source: Source, packing: str, member: str | None = None) -> Iterator[IO[bytes]]:
    """The bytes of the text."""
    with source() as raw:
        if packing == "gzip":
            with gzip.GzipFile(fileobj=raw) as inside:
                yield inside  # type: ignore[misc] # a GzipFile reads as any file does
        elif packing == "zip":
            with zipfile.ZipFile(raw) as archive, archive.open(member or "") as part:
                yield part
        else:
            yield raw


def _whole(line: AnyStr, number: int, end: AnyStr) -> AnyStr:
    if not line.endswith(end) and len(line) >= MOST_LINE:
        raise StatementRefused(Code.LAYOUT, Finding("a line longer than any row", number))
    return line


def _packing(source: Source, form: Form) -> str:
    with source() as raw:
        magic = raw.read(4)
    packing = "zip" if magic == b"PK\x03\x04" else "gzip" if magic[:2] == b"\x1f\x8b" else "plain"
    if packing not in form.container:
        raise StatementRefused(Code.LAYOUT, Finding(f"{form.name} does not come so", found=packing))
    return packing


def _member(source: Source, form: Form) -> str:
    """The member that is the statement. Raises StatementRefused when none is, or several are."""
    with source() as raw, zipfile.ZipFile(raw) as archive:
        members = [member for member in archive.infolist() if not member.filename.endswith("/")]
        size = sum(member.file_size for member in members)
        tight = [
            one for one in members if one.file_size > max(_NO_BOMB, MOST_RATIO * one.compress_size)
        ]  # zipfile unpacks no more of a member than it declares
        if len(members) > MOST_MEMBERS or size > MOST_UNPACKED or tight:
            raise StatementRefused(Code.TOO_LARGE, Finding("more members or bytes than a statement has"))
        if any(member.compress_type not in _METHODS for member in members):
            raise StatementRefused(Code.LAYOUT, Finding("a member packed in another way than stored or deflated"))
        if len({member.filename for member in members}) < len(members):
            raise StatementRefused(Code.LAYOUT, Finding("two members of one name"))
        wanted = re.compile(form.first_line)
        found = []
        for member in members:
            with archive.open(member) as part:
                first = part.read(_FIRST_LINE).split(b"\n", 1)[0].rstrip(b"\r")
            if any(wanted.fullmatch(text) for text in _readings(first)):
                found.append(member.filename)
    if len(found) != 1:
        said = f"{len(members)} members, {len(found)} of them a statement"
        raise StatementRefused(Code.LAYOUT, Finding("not one statement in it", expected="1", found=said))
    return found[0]


def _readings(line: bytes) -> Iterator[str]:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            yield line.decode(encoding)
        except UnicodeDecodeError:
            continue


def _looked_through(source: Source, packing: str, member: str | None, form: Form) -> tuple[str, str, int]:
    """Encoding, digest and size of the text. Raises StatementRefused."""
    wanted = ["utf-8", "gb18030"] if form.encoding == "detect" else [form.encoding]
    fault: StatementRefused | None = None
    for encoding in wanted:
        try:
            return _decodes(source, packing, member, encoding)
        except _NotSo as error:
            what = Finding(f"byte {error.at + 1} is no {encoding}")
            fault = StatementRefused(Code.LAYOUT, what)
    assert fault is not None
    raise fault


class _NotSo(Exception):
    def __init__(self, at: int) -> None:
        self.at = at


def _decodes(source: Source, packing: str, member: str | None, encoding: str) -> tuple[str, str, int]:
    digest = hashlib.sha1(usedforsecurity=False)  # WeChat's own digest of its bills
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    size, packed = 0, _size(source)
    mark = False
    with unpacked(source, packing, member) as raw:
        while chunk := raw.read(_CHUNK):
            if size == 0:
                mark = chunk.startswith(codecs.BOM_UTF8)
                if mark and encoding != "utf-8":
                    raise _NotSo(0)
            digest.update(chunk)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                raise _NotSo(max(0, size - pending) + error.start) from None
            size += len(chunk)
            if packing == "gzip" and size > min(MOST_UNPACKED, max(_NO_BOMB, packed * MOST_RATIO)):
                raise StatementRefused(Code.TOO_LARGE, Finding("more bytes than a statement has"))
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise StatementRefused(Code.INCOMPLETE, Finding("the file ends inside a character")) from None
    return ("utf-8-sig" if mark else encoding), digest.hexdigest(), size


def _size(source: Source) -> int:
    with source() as raw:
        return raw.seek(0, io.SEEK_END)
