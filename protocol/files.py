"""Reading an operator's files: errors that name the file, and no byte order mark.

Editors and shells of Windows put a UTF-8 byte order mark (U+FEFF as EF BB BF) in front of what they save; it is part
of no format we read, and it makes a secret another secret.
"""

import codecs
import os
import stat
from pathlib import Path

from protocol.errors import ConfigurationError

BOM = b"\xef\xbb\xbf"
_LARGEST = 16 << 20
"""Bytes; a WSDL may be long."""


def read_bytes(path: Path) -> bytes:
    """The file's content without a byte order mark. Raises ConfigurationError naming it."""
    try:
        # non-blocking, so that a FIFO in the file's place is an error and not a start that never ends
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigurationError("is not a regular file", file=str(path))
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", file=str(path)) from error
    if len(data) > _LARGEST:
        raise ConfigurationError("is far too large", file=str(path))
    return data.removeprefix(BOM)


def read_text(path: Path) -> str:
    """The same as text. Raises ConfigurationError naming it, also when it is not UTF-8, with what it seems to be."""
    data = read_bytes(path)
    try:
        if b"\0" not in data:
            return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"is not UTF-8 text{_encoding(data)}", file=str(path), line=line) from error
    raise ConfigurationError(f"is not UTF-8 text{_encoding(data)}", file=str(path))


def _encoding(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data[:4]:
        return ' but UTF-16 (Windows calls it "Unicode"): save it as UTF-8'
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        return ": save it as UTF-8"
    chinese = any("\u4e00" <= character <= "\u9fff" for character in text)
    return ' but GBK (Windows calls it "ANSI"): save it as UTF-8' if chinese else ": save it as UTF-8"
