"""Keys of a terminal as they are pressed, and its modes put back whatever happens."""

import contextlib
import os
import termios
import tty
from collections.abc import Iterator

_SEQUENCES = {
    b"\x1b[A": "up", b"\x1bOA": "up", b"\x1b[B": "down", b"\x1bOB": "down",
    b"\r": "enter", b"\n": "enter", b"\x1b": "escape",
}  # fmt: skip


@contextlib.contextmanager
def keys_at_once(terminal: int) -> Iterator[None]:
    """Keys come without Enter and are not shown, until the end of the block. Ctrl-C still is a signal, Ctrl-Z is none:
    a screen that is left half-way is nobody's.
    """
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSANOW)
        modes = termios.tcgetattr(terminal)
        modes[6][termios.VSUSP] = os.fpathconf(terminal, "PC_VDISABLE").to_bytes()
        termios.tcsetattr(terminal, termios.TCSANOW, modes)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)


def keys(read: bytes) -> list[str]:
    """Names: `enter`, `escape`, `up`, `down`, or the character in lower case; other sequences are dropped."""
    found = []
    while read:
        sequence = next((one for one in _SEQUENCES if read.startswith(one)), None)
        if sequence is None or (sequence == b"\x1b" and len(read) > 1):
            # a longer sequence that we have no use for, or a character
            taken = _length(read)
            if taken == 1:
                found.append(read[:1].decode("latin-1").lower())
            read = read[taken:]
            continue
        found.append(_SEQUENCES[sequence])
        read = read[len(sequence) :]
    return found


def _length(read: bytes) -> int:
    """Of the escape sequence (CSI or SS3) that `read` begins with; 1: there is none."""
    if read[:2] not in (b"\x1b[", b"\x1bO"):
        return 2 if read[:1] == b"\x1b" else 1
    end = next((at for at, byte in enumerate(read[2:], 2) if 0x40 <= byte <= 0x7E), len(read) - 1)
    return end + 1
