"""Signals between parts that should not know each other."""

from collections.abc import Callable


class Signal:
    """Tells those connected that something has happened, but not what: they look for themselves. So two in a row may be
    taken for one, and one too many does no harm.
    """

    def __init__(self) -> None:
        self._receivers: list[Callable[[], object]] = []

    def connect(self, receiver: Callable[[], object]) -> None:
        """Call `receiver` at each `send`, after those connected before."""
        self._receivers.append(receiver)

    def send(self) -> None:
        """It has happened. What a receiver raises is raised here."""
        for receiver in self._receivers:
            receiver()
