"""Time, passed in wherever it is needed so that tests can say what time it is."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns milliseconds since the epoch."""


def wall_clock() -> int:
    """Now, milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
