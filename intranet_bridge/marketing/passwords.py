"""Passwords, each in a file of its own."""

from pathlib import Path

from protocol.errors import ConfigurationError
from protocol.files import read_bytes


def password_in(file: Path) -> str:
    """The password in a file, without the line's end. Raises ConfigurationError naming the file, never its content."""
    try:
        password = read_bytes(file).decode().strip("\r\n")
    except UnicodeDecodeError:
        raise ConfigurationError("holds no password: it is not UTF-8 text", file=str(file)) from None
    if not password or not password.isprintable():
        raise ConfigurationError("holds no password", file=str(file))
    return password
