"""Files as customers send them: small, whole and of random content. Imports nothing of the product."""

import hashlib
import io
import os
import struct
import zipfile
import zlib
from dataclasses import dataclass, field


@dataclass(frozen=True)
class File:
    """A file and what is said of it."""

    media_type: str
    content: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def declared(self, **other: object) -> dict[str, object]:
        """The body that begins an upload."""
        return {"length": len(self.content), "sha256": self.sha256, "media_type": self.media_type, **other}


def png(size: int = 1_000) -> File:
    """A PNG of about `size` bytes; its pixels are noise (and more than the header promises, which nobody decodes)."""
    parts = [(b"IHDR", struct.pack("!IIBBBBB", 16, 16, 8, 0, 0, 0, 0)), (b"IDAT", os.urandom(size)), (b"IEND", b"")]
    chunks = [
        struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    return File("image/png", b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def jpeg(size: int = 1_000) -> File:
    """A JPEG of about `size` bytes, with markers of its own in the scan."""
    head = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(9) + b"\xff\xc0\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00"
    scan = os.urandom(size).replace(b"\xff", b"\xff\x00") + b"\xff\xd3" + b"scan"
    return File("image/jpeg", head + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + scan + b"\xff\xd9")


def pdf(size: int = 1_000) -> File:
    """A PDF of about `size` bytes."""
    return File("application/pdf", b"%PDF-1.7\n" + os.urandom(size) + b"\nstartxref\n9\n%%EOF\n")


def xlsx(size: int = 1_000) -> File:
    """A workbook to who looks at its ZIP alone: a stored entry of `size` bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("xl/workbook.xml", os.urandom(size))
    return File("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", content.getvalue())
