"""What a daemon's control socket says, as bridgectl takes it."""

import socket
import threading
from pathlib import Path

import pytest

from bridgectl.control import NotAllowed, NotAnswered, ask
from protocol.errors import BridgeError, NotAsked, WrongQuestion


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        (b'{"error": "uid 7 may not ask"}\n', NotAllowed, "may not ask"),
        (b'{"error": "there is no such operation"}\n', BridgeError, "no such operation"),
        (b'{"error": "not a question this daemon answers", "unanswered": true}\n', NotAnswered, "not a question"),
        (b'{"error": "states.0: no such state", "wrong": true}\n', WrongQuestion, "states.0"),
        (b"not JSON\n", NotAsked, "another release"),
        (b'{"told": 1}\n', NotAsked, "another release"),
        (b"[]\n", NotAsked, "another release"),
        (b"", NotAsked, "hung up"),
    ],
)
def test_whatever_it_says_is_an_error_with_words(
    tmp_path: Path, line: bytes, error: type[BridgeError], words: str
) -> None:
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(tmp_path / "s"))
        daemon.listen()

        def answer() -> None:
            connection, _ = daemon.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(line)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            with pytest.raises(error, match=words):
                ask(tmp_path / "s", "report", 5)
        finally:
            thread.join()
