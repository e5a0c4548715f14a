"""Asking a daemon on this host, over its control socket (protocol/runtime/control.py)."""

import json
import socket
from pathlib import Path
from typing import Any

from bridgectl.language import tr
from protocol.errors import BridgeError, NotAsked, WrongQuestion
from protocol.runtime.control import short_path

_MOST = 4 * 1024 * 1024


class NotRunning(NotAsked):
    """Nobody answers there: the daemon does not run."""


class Stuck(NotAsked):
    """The daemon is there and does not answer: its event loop stands still."""


class NotAllowed(NotAsked):
    """Only root and the daemon's own user may ask."""


class NotAnswered(NotAsked):
    """No such question is answered there: what answers it is not turned on, or of another release."""


def ask(path: Path, question: str, timeout_s: float, **more: Any) -> dict[str, Any]:
    """The daemon's answer. Raises NotRunning, Stuck, NotAllowed, NotAnswered, WrongQuestion, and BridgeError with what
    it says.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            with short_path(path) as short:
                connection.connect(short)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunning(tr("nothing answers at {path}: {strerror}", path=path, strerror=error.strerror)) from None
        except PermissionError:
            raise NotAllowed(tr("{path}: only root and the daemon's own user may ask", path=path)) from None
        except OSError as error:  # a backlog that is full: nobody takes from it
            raise Stuck(f"{path}: {error.strerror or 'no answer in time'}") from None
        try:
            connection.sendall(json.dumps({"ask": question, **more}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline(_MOST)
        except OSError:
            raise Stuck(tr("no answer within {timeout_s:g} s", timeout_s=timeout_s)) from None
    if not line:
        raise Stuck(tr("it hung up without an answer"))
    try:
        answer: dict[str, Any] = json.loads(line)
        if "error" not in answer:
            found: dict[str, Any] = answer["answer"]
            return found
        said, unanswered, wrong = str(answer["error"]), bool(answer.get("unanswered")), bool(answer.get("wrong"))
    except (ValueError, KeyError, TypeError):
        raise NotAsked(tr("its answer cannot be read: is it of another release?")) from None
    if wrong:
        raise WrongQuestion(said)
    raise (NotAnswered if unanswered else NotAllowed if "may not ask" in said else BridgeError)(said)
