"""What HTTP connections are held to: how many there may be, and how long each may take. The decisions are pure."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from enum import Enum, auto
from ipaddress import ip_network
from typing import Protocol

from dmz_front.settings import HttpSection
from protocol.networks import counts_as, within
from protocol.runtime.metrics import Sample

SWEEP_S = 1.0
LINGER_S = 2.0
"""How long what a refused client still sends is read and thrown away."""


class Phase(Enum):
    """What a connection waits for."""

    BETWEEN = auto()
    """Nothing of a (further) request is here yet."""
    HEAD = auto()
    BODY = auto()
    REFUSED = auto()
    """Its end is decided: what still comes is not looked at."""


class Ending(Enum):
    """What is done with an overdue connection."""

    TOO_SLOW = auto()
    """Answered with 408, and closed."""
    CLOSE = auto()
    ABORT = auto()
    """Closed without waiting for the client to read what is written."""


def overdue(phase: Phase, waited_s: float, stuck_s: float, limits: HttpSection) -> Ending | None:
    """What to do with a connection that is in `phase` for `waited_s` seconds, and whose client has read nothing of
    what is written to it for `stuck_s` seconds (0: nothing is unread).
    """
    if stuck_s > limits.write_timeout_s:
        return Ending.ABORT
    match phase:
        case Phase.BETWEEN if waited_s > limits.keep_alive_s:
            return Ending.CLOSE
        case Phase.HEAD if waited_s > limits.header_timeout_s:
            return Ending.TOO_SLOW
        case Phase.BODY if waited_s > limits.body_timeout_s:
            return Ending.TOO_SLOW
        case Phase.REFUSED if waited_s > LINGER_S:
            return Ending.CLOSE
        case _:
            return None


def turned_away(total: int, of_address: int, proxy: bool, idle: int, limits: HttpSection) -> bool:
    """Whether a new connection is refused. `of_address`: how many its address has; `proxy`: a trusted proxy's, which
    many clients share; `idle`: how many connections could be closed to make room.
    """
    if not proxy and of_address >= limits.connections_per_address:
        return True
    return total >= limits.connections and idle == 0


class Held(Protocol):
    """A connection, as far as its limits go."""

    transport: asyncio.Transport
    address: str

    def check(self, now: float) -> None:
        """End it if it is overdue. `now`: the loop's clock."""


class Connections:
    """All connections of a front, and the limits they are held to."""

    def __init__(self, limits: HttpSection) -> None:
        self.limits = limits
        self.larger: dict[bytes, int] = {}
        """Paths to which a POST may have more than `body_limit` bytes, and how many."""
        self.open: set[Held] = set()
        self.idle: dict[Held, None] = {}
        """Nothing is under way on these, the longest idle first: closed when room is needed."""
        self.ended: Counter[str] = Counter()
        """Connections refused or ended by a limit, by reason."""
        self.left_alone: Callable[[str], bool] = lambda _: False
        """Addresses whose new connections are closed without an answer."""
        self._by_address: Counter[str] = Counter()
        self._proxies = [ip_network(network) for network in limits.trusted_proxies]

    def admit(self, connection: Held, address: str) -> bool:
        """Count a new connection, unless it is refused."""
        counted, proxy = counts_as(address), bool(self._proxies) and within(address, self._proxies)
        if turned_away(len(self.open), self._by_address[counted], proxy, len(self.idle), self.limits):
            self.ended["too-many-connections"] += 1
            return False
        if len(self.open) >= self.limits.connections:
            self.ended["made-room"] += 1
            longest = next(iter(self.idle))
            self.forget(longest)
            longest.transport.abort()
        self.open.add(connection)
        self.idle[connection] = None
        self._by_address[counted] += 1
        return True

    def is_proxy(self, address: str) -> bool:
        """Whether what it says of a client is believed."""
        return bool(self._proxies) and within(address, self._proxies)

    def unanswered(self, address: str) -> bool:
        """Whether a new connection is closed without an answer. A proxy's are not: many clients share it."""
        if not self.left_alone(address) or within(address, self._proxies):
            return False
        self.ended["address-paused"] += 1
        return True

    def forget(self, connection: Held) -> None:
        """It is closed. Forgetting twice does nothing."""
        self.idle.pop(connection, None)
        if connection in self.open:
            self.open.remove(connection)
            counted = counts_as(connection.address)
            self._by_address[counted] -= 1
            if not self._by_address[counted]:
                del self._by_address[counted]

    async def watch(self) -> None:
        """End what is overdue, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            now = loop.time()
            for connection in list(self.open):
                connection.check(now)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        yield "dmz_front_connections", "HTTP connections", {}, len(self.open)
        for reason, count in list(self.ended.items()):
            labels = {"reason": reason}
            yield "dmz_front_connections_ended_total", "HTTP connections ended by a limit", labels, count
