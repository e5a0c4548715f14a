"""What every peer has inside: which commands it applied, what reached it, what it is told to do."""

import threading
from collections import Counter

from intranet_bridge.contract import Behaviour


class Books:
    """A peer's records. For many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._applied: Counter[str] = Counter()
        self._received = 0
        self.behaviour = Behaviour.ANSWER
        self.changed = threading.Event()
        """Set when the behaviour changes: whoever hangs may go on. Replaced then by another."""

    def behave(self, behaviour: Behaviour) -> None:
        """From now on."""
        self.behaviour = behaviour
        hanging, self.changed = self.changed, threading.Event()
        hanging.set()

    def receive(self) -> tuple[Behaviour, threading.Event]:
        """A request has come: what to do with it, and the event that ends its waiting."""
        with self._lock:
            self._received += 1
            return self.behaviour, self.changed

    def apply(self, request_id: str) -> None:
        """A command is applied."""
        with self._lock:
            self._applied[request_id] += 1

    def applied(self, request_id: str) -> int:
        """How often."""
        with self._lock:
            return self._applied[request_id]

    def received(self) -> int:
        """How many requests came."""
        with self._lock:
            return self._received
