"""High-frequency control by client address: a rate, and who keeps exceeding it is left alone, longer each time.

First each request too many is 429. After `strikes` of them within `penalty_s` the address is paused: its connections
are closed without an answer, what comes through a trusted proxy in its name is 429. In memory,
bounded; seconds of a monotonic clock.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from dmz_front.admission.allowances import Allowances
from dmz_front.problems.details import Problem
from dmz_front.settings import LimitsSection
from protocol.administration import LiftAddress, asked
from protocol.errors import BridgeError
from protocol.networks import counts_as, within
from protocol.runtime.audit import Audit
from protocol.runtime.control import Answer, Peer
from protocol.runtime.metrics import Sample

_SAME_S = 1.0
"""Ends of a pause that are no further apart are one."""


@dataclass(slots=True)
class _Penalty:
    since: float
    """Of the strikes; then of the pause."""
    strikes: int = 0
    level: int = 0
    """Each further pause is twice as long."""
    until: float = 0.0


class Addresses:
    """Counts by address, and pauses."""

    def __init__(
        self,
        limits: LimitsSection,
        allowances: Allowances,
        *,
        now: Callable[[], float] = time.monotonic,
        capacity: int = 100_000,
    ) -> None:
        self._allowances, self._now, self._capacity = allowances, now, capacity
        self._penalties: OrderedDict[str, _Penalty] = OrderedDict()
        self._news: dict[str, float] | None = None
        """Pauses that began here and other fronts have not been told of, and their ends; None: nobody tells."""
        self._lifted: list[str] = []
        self._told: tuple[dict[str, float], list[str]] = ({}, [])
        self.refused = 0
        """Connections and requests of addresses that are paused."""
        self.use(limits)

    def use(self, limits: LimitsSection) -> None:
        """Go by these from now on. What is paused stays so."""
        self._rate, self._limits = limits.ip_rate, limits.addresses
        self._allow = [ip_network(network) for network in limits.addresses.allow]

    def check(self, address: str, operation: str) -> None:
        """Count a request. Raises Problem 429 if there were too many, or the address is paused."""
        if self._allow and within(address, self._allow):
            return
        key, now = counts_as(address), self._now()
        known = self._penalties.get(key)
        if known is not None and now < known.until:
            raise self._refused(known.until - now)
        try:
            self._allowances.rate("address", key, self._rate, "", operation)
        except Problem:
            known = self._strike(key, known, now)
            if now < known.until:
                raise self._refused(known.until - now) from None
            raise

    def _refused(self, left_s: float) -> Problem:
        self.refused += 1
        return Problem(429, "address-paused", retry_after_s=left_s, headers=[(b"connection", b"close")])

    def left_alone(self, address: str) -> bool:
        """Whether a new connection of this address is closed without an answer."""
        if not self._penalties:
            return False
        known = self._penalties.get(counts_as(address))
        paused = known is not None and self._now() < known.until and not within(address, self._allow)
        self.refused += paused
        return paused

    def _strike(self, key: str, known: _Penalty | None, now: float) -> _Penalty:
        limits = self._limits
        if known is None or now > max(known.until, known.since) + limits.penalty_max_s:  # long enough ago
            known = _Penalty(now)
        elif now > max(known.until, known.since) + limits.penalty_s:
            known.since, known.strikes = now, 0
        known.strikes += 1
        if limits.strikes and known.strikes >= limits.strikes:
            pause_s = min(limits.penalty_max_s, limits.penalty_s * 2.0 ** min(known.level, 30))
            known.since, known.until, known.strikes, known.level = now, now + pause_s, 0, known.level + 1
            if self._news is not None:
                self._news[key] = known.until
        self._keep(key, known)
        return known

    def _keep(self, key: str, known: _Penalty) -> None:
        self._penalties[key] = known
        self._penalties.move_to_end(key)
        if len(self._penalties) > self._capacity:
            self._penalties.popitem(last=False)

    def share(self) -> None:
        """Note from now on what other fronts are to be told."""
        self._news = {}

    def to_tell(self) -> tuple[list[tuple[str, float]], list[str]]:
        """Pauses that began here, with their seconds left, and those that were lifted; until `learn` the same again."""
        now = self._now()
        self._told = (dict(self._news or {}), list(self._lifted))
        return [(key, until - now) for key, until in self._told[0].items() if until > now], self._told[1]

    def learn(self, paused: Mapping[str, float], lifted: Mapping[str, float]) -> None:
        """What all fronts know: seconds left of pauses, and when addresses were lifted (seconds, negative). What this
        one had to tell is told.
        """
        now, (news, told) = self._now(), self._told
        self._told = {}, []
        self._lifted = self._lifted[len(told) :]
        self._news = {key: until for key, until in (self._news or {}).items() if news.get(key) != until}
        for key, left_s in paused.items():
            known = self._penalties.get(key)
            if key in self._lifted:
                continue
            if known is None:
                self._keep(key, _Penalty(now, level=1, until=now + left_s))
            elif now + left_s > known.until + _SAME_S:
                known.since, known.until, known.level = now, now + left_s, known.level + 1
        for key, at_s in lifted.items():
            known = self._penalties.get(key)
            if known is not None and known.since < now + at_s and key not in self._news:
                del self._penalties[key]

    def paused(self) -> list[dict[str, Any]]:
        """Those that are paused now, the longest first: `address`, `seconds` left, `times` it was paused."""
        now = self._now()
        found = [
            {"address": key, "seconds": round(one.until - now), "times": one.level}
            for key, one in self._penalties.items()
            if now < one.until
        ]
        return sorted(found, key=lambda one: (-int(one["seconds"]), str(one["address"])))

    def lift(self, address: str) -> bool:
        """Forget what is held against an address; False if it is not paused."""
        known = self._penalties.get(key := counts_as(address.partition("/")[0]))
        if known is None or self._now() >= known.until:
            return False
        del self._penalties[key]
        if self._news is not None:
            self._news.pop(key, None)
            self._lifted.append(key)
        return True

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread."""
        now = self._now()
        paused = sum(now < one.until for one in list(self._penalties.values()))
        yield "dmz_front_addresses_paused", "Client addresses that are paused now", {}, paused
        yield "dmz_front_address_refused_total", "Connections and requests of paused addresses", {}, self.refused


class AddressAdministration:
    """What an administrator asks about addresses, over the control socket."""

    def __init__(self, addresses: Addresses, audit: Audit) -> None:
        self._addresses, self._audit = addresses, audit

    def answers(self) -> Mapping[str, Answer]:
        """What can be asked."""
        return {"addresses": self.list, "address-lift": self.lift}

    async def list(self, _request: Mapping[str, Any], _peer: Peer) -> list[dict[str, Any]]:
        """Those that are paused."""
        return self._addresses.paused()

    async def lift(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Take one's pause away. Raises BridgeError."""
        question = asked(LiftAddress, request)
        if not self._addresses.lift(question.address):
            raise BridgeError(f"not paused here: {question.address}")
        await self._audit.act("address-lift", peer.behind(question.sudo_user), address=question.address)
        return {"address": question.address}
