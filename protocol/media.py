"""What an uploaded file really is: JPEG, PNG, PDF or XLSX by its content, looked at as it comes. Pure.

=====  =====================================================================  ====================================
       it begins with                                                         and then
=====  =====================================================================  ====================================
JPEG   `FF D8` (ITU-T T.81, B.1)                                              segments, a frame header with a size,
                                                                              a scan, and an end of image
PNG    `89 50 4E 47 0D 0A 1A 0A` (W3C PNG, section 5)                         chunks with right checksums, the first
                                                                              IHDR with a size, data, IEND at the end
XLSX   `50 4B 03 04`, a ZIP's first entry (APPNOTE 4.3.7)                     a ZIP's end of central directory, that
                                                                              lies within the file, at its end
PDF    `%PDF-1.` or `%PDF-2.` (ISO 32000, 7.5)                                `startxref`, an offset within the file
                                                                              and `%%EOF` in its last 1024 bytes
=====  =====================================================================  ====================================

Phones write more behind a JPEG's end (moving pictures, depth), so what follows there is not looked at. This tells a
file from what is none, or is cut off; it is no virus scanner, and decodes no picture.
"""

import hashlib
import re
import zlib
from collections.abc import Callable, Generator
from enum import StrEnum
from struct import Struct


class MediaType(StrEnum):
    """What may be attached."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    PDF = "application/pdf"
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


PICTURES = frozenset({MediaType.JPEG, MediaType.PNG, MediaType.PDF})
"""What commands take unless they say otherwise."""


class Fault(StrEnum):
    """What is wrong with a file."""

    TYPE = "type"
    """It is not of the type it was declared to be."""
    DAMAGED = "damaged"
    """It begins as its type does, and does not go on or end so."""
    DIGEST = "digest"
    """Its length or SHA-256 is not what was declared."""


class _Unsound(Exception):
    def __init__(self, fault: Fault = Fault.DAMAGED) -> None:
        super().__init__(fault)
        self.fault = fault


_Steps = Generator[int, bytes, None]
"""Yields how many bytes it wants next (0: what there is, at least one), is sent them, and returns at the file's end."""
_PDF_TAIL = 1024
_BY_THE_END = frozenset({MediaType.PDF, MediaType.XLSX})
_ZIP_END = Struct("<4sHHHHIIH")
"""APPNOTE 4.3.16: signature, four counts, size and place of the central directory, length of a comment."""
_END = re.compile(rb"startxref\s+([0-9]{1,10})\s+%%EOF")
_PNG_CHUNK = Struct("!I4s")
_PNG_SIZE = Struct("!II")
_JPEG_SIZE = Struct("!HH")
_PIECE = 65_536
_MOST_PARTS = 65_536
"""Chunks of a PNG, or markers and fill bytes of a JPEG. Each is a step in Python: 20 MB of the smallest took 8 s."""
_MOST_SCANS = 1_000
"""Of a JPEG: progressive ones have a dozen. Each looks at what is here anew: a megabyte of empty ones
took 20 s, and twice as much four times as long."""
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7]", re.DOTALL)
"""What ends entropy-coded data (B.1.1.5)."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Start of frame, of any process: 0xC4, 0xC8 and 0xCC mean something else."""
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a segment."""


class Examination:
    """One file, piece by piece from its beginning."""

    def __init__(self, media_type: MediaType) -> None:
        self.length = 0
        """Bytes seen."""
        self.fault: Fault | None = None
        """What is wrong with what was seen."""
        self._media_type = media_type
        self._digest = hashlib.sha256()
        self._buffer = bytearray()
        self._tail = b""
        self._ended = False
        self._steps = _READERS[media_type](self)
        self._wanted = next(self._steps)

    def update(self, data: bytes) -> None:
        """The next bytes."""
        self._digest.update(data)
        self.length += len(data)
        if self._media_type in _BY_THE_END:
            self._tail = (self._tail + data[-_PDF_TAIL:])[-_PDF_TAIL:]
        for at in range(0, len(data), _PIECE):
            if self.fault is not None:
                break
            self._buffer += data[at : at + _PIECE]
            try:
                self._go_on()
            except _Unsound as error:
                self.fault = error.fault
                self._buffer.clear()

    def finish(self, length: int, sha256: Callable[[str], bool]) -> Fault | None:
        """What is wrong with the file, now that it is whole. `sha256` is asked whether a digest (hex) is the right one.

        Called once, at the end.
        """
        if self.length != length or not sha256(self._digest.hexdigest()):
            return self.fault if self.fault is Fault.TYPE else Fault.DIGEST
        if self.fault is not None:
            return self.fault
        if self._media_type is MediaType.PDF:
            ends = list(_END.finditer(self._tail))
            return None if self._ended and ends and int(ends[-1][1]) < length else Fault.DAMAGED
        if self._media_type is MediaType.XLSX:
            return None if self._ends_a_zip(length) else Fault.DAMAGED
        return None if self._ended else Fault.DAMAGED

    def _ends_a_zip(self, length: int) -> bool:
        at = self._tail.rfind(b"PK\x05\x06")
        if not self._ended or at < 0 or at + _ZIP_END.size > len(self._tail):
            return False
        _, _, _, _, _, size, begin, comment = _ZIP_END.unpack_from(self._tail, at)
        end = length - len(self._tail) + at
        return bool(begin + size == end and at + _ZIP_END.size + comment == len(self._tail))

    def _go_on(self) -> None:
        buffer = self._buffer
        while not self._ended and len(buffer) >= max(1, self._wanted):
            taken = bytes(buffer[: self._wanted] if self._wanted else buffer)
            del buffer[: len(taken)]
            try:
                self._wanted = self._steps.send(taken)
            except StopIteration:
                self._ended = True
        if self._ended:
            if buffer and self._media_type is MediaType.PNG:
                raise _Unsound
            buffer.clear()

    def _back(self, data: bytes) -> None:
        """Bytes that were taken and not used."""
        self._buffer[:0] = data

    # --- by type -------------------------------------------------------------------------------------------

    def _pdf(self) -> _Steps:
        if not re.fullmatch(rb"%PDF-[12]\.[0-9]", (yield 8)):
            raise _Unsound(Fault.TYPE)

    def _xlsx(self) -> _Steps:
        if (yield 4) != b"PK\x03\x04":
            raise _Unsound(Fault.TYPE)

    def _png(self) -> _Steps:
        if (yield 8) != b"\x89PNG\r\n\x1a\n":
            raise _Unsound(Fault.TYPE)
        kind, data, parts = b"", False, 0
        while kind != b"IEND":
            first, parts = not kind, parts + 1
            if parts > _MOST_PARTS:
                raise _Unsound
            head = yield _PNG_CHUNK.size
            size, kind = _PNG_CHUNK.unpack(head)
            if size >= 1 << 31 or not kind.isalpha() or first != (kind == b"IHDR") or (first and size != 13):
                raise _Unsound
            crc, left = zlib.crc32(kind), size
            while left:
                piece = yield min(left, _PIECE)
                crc, left = zlib.crc32(piece, crc), left - len(piece)
                if first and 0 in _PNG_SIZE.unpack_from(piece):
                    raise _Unsound
            if (yield 4) != crc.to_bytes(4, "big"):
                raise _Unsound
            data = data or kind == b"IDAT"
        if not data:
            raise _Unsound

    def _jpeg(self) -> _Steps:
        if (yield 2) != b"\xff\xd8":
            raise _Unsound(Fault.TYPE)
        framed, scans, parts = False, 0, 0
        while True:
            lead = yield 1
            if lead != b"\xff":
                raise _Unsound(Fault.DAMAGED if framed else Fault.TYPE)
            while (marker := (yield 1)[0]) == 0xFF:
                parts += 1  # fill bytes
                if parts > _MOST_PARTS:
                    raise _Unsound
            parts += 1
            if parts > _MOST_PARTS:
                raise _Unsound
            if marker == 0xD9 and scans:
                return
            if marker in _ALONE:
                continue
            if marker in (0x00, 0xD8, 0xD9):
                raise _Unsound
            size = int.from_bytes((yield 2), "big") - 2
            if size < 0:
                raise _Unsound
            segment = (yield size) if size else b""
            if marker in _FRAMES:
                if len(segment) < 6 or not _JPEG_SIZE.unpack_from(segment, 1)[1]:  # no height: a later DNL gives it
                    raise _Unsound
                framed = True
            if marker == 0xDA:
                scans += 1
                if not framed or scans > _MOST_SCANS:
                    raise _Unsound
                yield from self._scan()

    def _scan(self) -> _Steps:
        """Entropy-coded data up to the next marker that is none of its own (B.1.1.5)."""
        while True:
            piece = yield 0
            found = _MARKER.search(piece)
            if found is not None:
                self._back(piece[found.start() :])
                return
            if piece.endswith(b"\xff"):  # what the last byte means stands in the next piece
                more = yield 1
                self._back(b"\xff" + more)
                if more != b"\x00" and not 0xD0 <= more[0] <= 0xD7:
                    return
                yield 2


_READERS: dict[MediaType, Callable[[Examination], _Steps]] = {
    MediaType.JPEG: Examination._jpeg,
    MediaType.PNG: Examination._png,
    MediaType.PDF: Examination._pdf,
    MediaType.XLSX: Examination._xlsx,
}
