"""A fault that repeats is said once, and then once a minute with its count: a log must not be filled by one cause.

Which events, and what tells one fault from another, is `once_by` in events.py.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from protocol.runtime.events import EVENTS

WINDOW_S = 60.0
_MOST = 1_000
"""Faults kept apart at once; of more, each is a line."""

Emit = Callable[[dict[str, Any]], None]
"""Logs a line as it is; it has `event`, `level` and `logger`."""


@dataclass(slots=True)
class _Fault:
    until: float
    repeated: int = 0
    latest: dict[str, Any] = field(default_factory=dict)


class Repetitions:
    """A structlog processor. Whatever was counted is told when its minute is over, by a timer of its own."""

    def __init__(
        self,
        emit: Emit,
        *,
        now: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        """`later`: calls once after so many seconds; default: a daemon thread's timer."""
        self._emit, self._now, self._later = emit, now, later or _timer
        self._faults: dict[tuple[Any, ...], _Fault] = {}
        self._lock = threading.Lock()
        self._timed = False

    def __call__(self, _: object, __: str, line: Mapping[str, Any]) -> Mapping[str, Any]:
        """The line itself, or DropEvent if it is only counted."""
        event = EVENTS.get(line.get("event", ""))
        if event is None or event.once_by is None or "repeated" in line:
            return line
        key = (line["event"], *(str(line.get(name)) for name in event.once_by))
        with self._lock:
            known = self._faults.get(key)
            now = self._now()
            if known is None or (now >= known.until and not known.repeated):
                if known is not None or len(self._faults) < _MOST:
                    self._faults[key] = _Fault(now + WINDOW_S)
                    self._time()
                return line
            known.repeated += 1
            known.latest = {name: value for name, value in line.items() if name not in ("exc_info", "timestamp")}
        raise structlog.DropEvent

    def flush(self, *, all_of_them: bool = False) -> None:
        """Tell what was counted and is due."""
        told = []
        with self._lock:
            self._timed = False
            now = self._now()
            for key, known in list(self._faults.items()):
                if not all_of_them and now < known.until:
                    continue
                if known.repeated:
                    told.append(known.latest | {"repeated": known.repeated})
                    self._faults[key] = _Fault(now + WINDOW_S)
                else:
                    del self._faults[key]
            if self._faults and not all_of_them:
                self._time()
        for line in told:
            self._emit(line)

    def _time(self) -> None:
        if not self._timed:
            self._timed = True
            self._later(WINDOW_S, self.flush)


def _timer(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()
