"""How people read them."""

from bridgectl.language import noted
from bridgectl.statistics.figures import By, Came

NAMES = {
    Came.SUCCEEDED: noted("succeeded"),
    Came.ACCEPTED: noted("accepted"),
    Came.REFUSED: noted("refused"),
    Came.TURNED_AWAY: noted("turned away"),
    Came.FAILED: noted("failed"),
}
"""What people read."""

GROUPS = {By.DAY: noted("day"), By.OPERATION: noted("operation"), By.APPLICATION: noted("application")}
"""Headings."""


def duration(seconds: float) -> str:
    """Three digits are within the sketches' accuracy."""
    if seconds >= 0.9995:
        return f"{seconds:.3g} s"
    return f"{seconds * 1000:.3g} ms"


def share(number: int, of: int) -> str:
    """A number and how much that is of all."""
    if not number:
        return "0"
    percent = 100 * number / of
    return f"{number:,} ({percent:.1f}%)" if percent >= 0.05 else f"{number:,}"
