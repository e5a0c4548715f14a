"""Which bridges are attached, and what they serve, from the presence they announce; and what is paused here."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from protocol.maintenance import Pause, by_operation
from protocol.messages import LOWEST_VERSION, WIRE_VERSION
from protocol.presence import InboxId, Presence
from protocol.runtime.clock import Clock
from protocol.runtime.metrics import Sample
from protocol.runtime.region_inbox import INBOX_HEADER

_LOST_MOST = 100


class Service(StrEnum):
    """Whether an operation can be done at the moment."""

    UP = "up"
    PAUSED = "paused"
    """Served, but the marketing system's interface does not answer (circuit breaker open)."""
    MAINTENANCE = "maintenance"
    """Paused, by an administrator or a schedule, here or at every bridge that serves it."""
    UNSERVED = "unserved"
    """Bridges are attached, and none of them serves it."""
    NO_BRIDGE = "no-bridge"


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the attached bridges can do, by what they announce."""

    slots: int = 0
    """Queries they ask at once; 0: not known."""
    service_s: float = 0.0
    """Mean time of one call to the marketing system; 0: not known."""


@dataclass(frozen=True, slots=True)
class AttachedBridge:
    """The last word of one bridge."""

    presence: Presence
    at: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """Bridges of the region keep different inboxes, or one that is not the region's: commands could be done twice."""

    bound: InboxId
    """The region's; empty if there is none yet."""
    heard: tuple[tuple[InboxId, str], ...]
    """Inbox and bridge, of each attached bridge that says."""
    copied: bool
    """Two bridges keep one inbox that is a file: one of the files is a copy, and nothing can tell them apart."""

    def headers(self) -> dict[str, str]:
        """Of queries while it lasts, so that every bridge hears of it: which inbox is meant; none if that is copied."""
        return {INBOX_HEADER: "" if self.copied else self.bound}


_RANK = {Service.UP: 0, Service.PAUSED: 1, Service.MAINTENANCE: 2}
"""Of several bridges that serve an operation, the one with the lowest counts."""


class Bridges:
    """The bridges heard of lately."""

    def __init__(self, ttl_ms: int, clock: Clock, version_max: int = WIRE_VERSION) -> None:
        self.ttl_ms = ttl_ms
        self._version_max = version_max
        self._versions: dict[str, int] = {}
        self._decide: dict[str, bool] = {}
        self.wire_version = LOWEST_VERSION
        """What every bridge reads that may take the next message."""
        self._clock = clock
        self._attached: dict[str, AttachedBridge] = {}
        self._lost: dict[str, AttachedBridge] = {}
        self._services: dict[str, Service] = {}
        self._ends: dict[str, int] = {}
        self.paused: Mapping[str, Pause] = {}
        """Operations that are paused at this front itself."""
        self._otherwise = Service.NO_BRIDGE
        self._fresh_until = 0
        self.bound: InboxId = ""
        """The inbox that commands are addressed to."""
        self.conflict: Conflict | None = None
        """As of the last `service` asked for."""
        self.on_inbox: Callable[[], None] = lambda: None
        """Called when a bridge is heard of whose inbox is not the one that commands are addressed to."""
        self._silent = False
        """A bridge was heard of that does not say which inbox it keeps: an older release."""
        self.capacity = Capacity()
        """What the attached bridges can do together, as of the last `service` asked for."""

    def remember(self, wire_version: int) -> None:
        """What was spoken before this front was started: goes on until a bridge is heard of."""
        self.wire_version = max(LOWEST_VERSION, min(self._version_max, wire_version))

    def heard(self, presence: Presence) -> None:
        """A bridge announced itself, or its leaving. An announcement older than the last is ignored."""
        self._count()
        last = self._attached.get(presence.instance)
        if last is not None and presence.time_ms < last.presence.time_ms:
            return
        # A leaving is remembered too: an announcement it has overtaken must not bring the bridge back.
        self._attached[presence.instance] = AttachedBridge(presence, self._clock())
        self._lost.pop(presence.instance, None)
        self._speaks(presence)
        self._silent = self._silent or not presence.inbox
        self._count()
        if presence.inbox and presence.inbox != self.bound:
            self.on_inbox()

    def bind(self, inbox: InboxId) -> None:
        """Commands are for this inbox."""
        self.bound = inbox
        self._count()

    @property
    def first_inbox(self) -> InboxId:
        """The inbox that was heard of first, of those attached; empty if there is none."""
        says = (seen.presence for seen in self._attached.values() if not seen.presence.leaving)
        return next((presence.inbox for presence in says if presence.inbox), "")

    @property
    def decide(self) -> bool:
        """Whether every bridge that may take the next message takes decisions, and there is one."""
        return bool(self._decide) and all(self._decide.values())

    @property
    def files(self) -> bool:
        """Whether an attached bridge takes files."""
        return any(seen.presence.files for seen in self.present())

    def service(self, operation: str) -> Service:
        """How an operation stands now."""
        if self._clock() >= self._fresh_until:
            self._count()
        return self._services.get(operation, self._otherwise)

    def pause(self, pauses: Sequence[Pause]) -> None:
        """These are paused at this front, whatever bridges say."""
        self.paused = by_operation(pauses)
        self._count()

    def maintenance_s(self, operation: str) -> float | None:
        """Seconds until an operation's maintenance is over; None: nobody said."""
        end = self._ends.get(operation, 0)
        return max(0.0, (end - self._clock()) / 1000) if end else None

    @property
    def addressed(self) -> bool:
        """Whether commands may go out: it is known for which inbox they are, or that there are bridges that do not
        say; and that inbox is one."""
        if self._clock() >= self._fresh_until:
            self._count()
        if self.conflict is not None and self.conflict.copied:
            return False
        return bool(self.bound) or self._silent

    def maintained(self) -> list[str]:
        """Operations that are paused now, here or at every bridge that serves them."""
        return [name for name, service in list(self._services.items()) if service is Service.MAINTENANCE]

    def leaving(self) -> list[AttachedBridge]:
        """The bridges whose last word, not long ago, was that they leave."""
        self._count()
        return [seen for seen in self._attached.values() if seen.presence.leaving]

    def present(self) -> list[AttachedBridge]:
        """The bridges that are attached now."""
        self._count()
        return [seen for seen in self._attached.values() if not seen.presence.leaving]

    def lost(self) -> list[AttachedBridge]:
        """The bridges that fell silent without a word that they leave, and were not heard of since."""
        self._count()
        return list(self._lost.values())

    @property
    def attached(self) -> int:
        """How many bridges are attached; only reads, so that the metrics' thread may ask."""
        since = self._clock() - self.ttl_ms
        return sum(1 for seen in list(self._attached.values()) if seen.at > since and not seen.presence.leaving)

    def _speaks(self, presence: Presence) -> None:
        # One that is silent may be back at any time and takes what is sent now, so it counts until it says that it
        # leaves; what the last one read is remembered even then.
        self._versions[presence.instance] = presence.version
        self._decide[presence.instance] = presence.decides
        if presence.leaving and len(self._versions) > 1:
            del self._versions[presence.instance], self._decide[presence.instance]
        self.wire_version = max(LOWEST_VERSION, min(self._version_max, *self._versions.values()))

    def _count(self) -> None:
        now = self._clock()
        for name, seen in list(self._attached.items()):
            if seen.at + self.ttl_ms <= now:
                del self._attached[name]
                if not seen.presence.leaving and len(self._lost) < _LOST_MOST:
                    self._lost[name] = seen
        self._fresh_until = min((seen.at for seen in self._attached.values()), default=now) + self.ttl_ms
        services: dict[str, Service] = {}
        ends: dict[str, int] = {}
        attached = [seen for seen in self._attached.values() if not seen.presence.leaving]
        for seen in attached:
            maintained = by_operation(seen.presence.maintenance)
            for operation, state in seen.presence.operations.items():
                service = Service.MAINTENANCE if operation in maintained else Service(state)
                known = services.get(operation)
                if known is None or _RANK[service] < _RANK[known]:
                    services[operation] = service
                if operation in maintained and maintained[operation].until:
                    # by our clock: how long it had to go when that was said
                    end = seen.at + maintained[operation].until - seen.presence.time_ms
                    ends[operation] = min(end, ends.get(operation, end))
        for operation, pause in self.paused.items():
            services[operation], ends[operation] = Service.MAINTENANCE, pause.until
        self._services, self._ends = services, ends
        self.conflict = conflict(self.bound, [seen.presence for seen in attached])
        self.capacity = _capacity([seen.presence for seen in attached])
        self._otherwise = Service.UNSERVED if attached else Service.NO_BRIDGE

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        yield "dmz_front_bridges", "Bridges attached", {}, self.attached
        conflict = float(self.conflict is not None)
        yield "dmz_front_inbox_conflict", "1: bridges keep different inboxes, no command is taken", {}, conflict
        yield "dmz_front_wire_version", "Version of the envelopes that are sent", {}, self.wire_version


def conflict(bound: InboxId, attached: Sequence[Presence]) -> Conflict | None:
    """What is wrong with the inboxes of the attached bridges, if anything."""
    says = [presence for presence in attached if presence.inbox]
    if not says:
        return None
    kept = Counter(presence.inbox for presence in says)
    copied = any(kept[presence.inbox] > 1 for presence in says if not presence.inbox_shared)
    if not copied and kept.keys() == {bound or says[0].inbox}:
        return None
    return Conflict(bound, tuple(sorted((presence.inbox, presence.instance) for presence in says)), copied)


def _capacity(attached: list[Presence]) -> Capacity:
    """Slots add up; the mean time of a call is that of the rates together. One that does not say spoils nothing."""
    slots = sum(presence.query_slots for presence in attached)
    measured = [presence for presence in attached if presence.query_slots and presence.query_ms]
    rate = sum(presence.query_slots / presence.query_ms for presence in measured)
    return Capacity(slots, sum(presence.query_slots for presence in measured) / rate / 1000 if rate else 0.0)
