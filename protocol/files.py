"""Reading an operator's files: errors that name the file, and no byte order mark.

Editors and shells of Windows put a UTF-8 byte order mark (U+FEFF as EF BB BF) in front of what they save; it is part
of no format we read, and it makes a secret another secret.
"""

from pathlib import Path

from protocol.errors import ConfigurationError

BOM = b"\xef\xbb\xbf"


def read_bytes(path: Path) -> bytes:
    """The file's content without a byte order mark. Raises ConfigurationError naming it."""
    try:
        return path.read_bytes().removeprefix(BOM)
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", file=str(path)) from error


def read_text(path: Path) -> str:
    """The same as text. Raises ConfigurationError naming it, also when it is not UTF-8."""
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError("is not UTF-8 text", file=str(path)) from error
