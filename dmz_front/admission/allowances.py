"""What applications, accounts and addresses may ask for, and how much of it is left.

What is left is said with every answer of an application that has limits (`RateLimit`, `RateLimit-Policy`:
draft-ietf-httpapi-ratelimit-headers-10), so that a client can slow down before it is refused. Policies:

================  ====================================================================================
application       requests a second of the application
operation         requests a second of the application for this operation
day               requests of the application for this operation in a calendar day
day-all           requests of the application for all operations in a calendar day
accounts          different accounts of the application in an hour
account           requests a second of the application about this account
address           requests a second of the client's address
================  ====================================================================================
"""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil

from dmz_front.admission.quotas import DailyQuotas
from dmz_front.problems.details import Headers, Problem
from dmz_front.settings import LimitsSection
from protocol.rates import RateLimit
from protocol.runtime.applications import ALL_OPERATIONS, Application
from protocol.runtime.metrics import Sample
from protocol.values import immutable

HOUR_S = 3600.0


@immutable
class Standing:
    """How far a limit is used up."""

    policy: str
    quota: int
    window_s: float
    remaining: int
    reset_s: float
    """Seconds until all of it is there again."""


def fields(standings: Iterable[Standing]) -> Headers:
    """The two header fields, lists of RFC 9651 strings with parameters; none without standings."""
    found = list(standings)
    if not found:
        return []
    policies = _policies(tuple([(one.policy, one.quota, one.window_s) for one in found]))
    limits = ", ".join([f'"{one.policy}";r={one.remaining};t={ceil(one.reset_s)}' for one in found])
    return [(b"ratelimit-policy", policies), (b"ratelimit", limits.encode())]


@lru_cache(1000)  # of an application they stay the same: written once, not with each answer
def _policies(told: tuple[tuple[str, int, float], ...]) -> bytes:
    return ", ".join([f'"{policy}";q={quota};w={ceil(window_s)}' for policy, quota, window_s in told]).encode()


@dataclass(slots=True)
class _Hour:
    """The accounts an application has asked about since a first request, as keyed hashes."""

    ends: float
    seen: set[bytes] = field(default_factory=set)


class Allowances:
    """Counts and refuses. `now`: seconds of a monotonic clock."""

    def __init__(
        self, limits: LimitsSection, quotas: DailyQuotas, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.quotas, self._now = quotas, now
        self.rates = RateLimit(limits.burst_s)
        self._secret = os.urandom(32)
        self._hours: dict[str, _Hour] = {}
        self.refused: Counter[tuple[str, str, str]] = Counter()
        """Requests by application, operation and policy; those of an address have no application."""

    def use(self, limits: LimitsSection) -> None:
        """Go by these from now on. What was counted stays."""
        self.rates.burst_s = limits.burst_s
        self.quotas.use(limits.zone)

    def rate(self, policy: str, key: str, rate: float, application: str = "", operation: str = "") -> None:
        """Count a request of `key`. Raises Problem 429 if there were too many."""
        now, kept = self._now(), f"{policy} {key}"
        wait = self.rates.wait(kept, rate, now)
        if wait > 0:
            self.refused[application, operation, policy] += 1
            said = f"more than {rate:g}/s for one {policy}"
            standing = self._standing(policy, kept, rate, now)
            raise Problem(429, "too-many-requests", said, retry_after_s=wait, headers=fields([standing]))

    def take(self, application: Application, operation: str) -> Headers:
        """Count a request that was admitted, and say what is left. Raises Problem 429."""
        now, name, limits = self._now(), application.name, application.limits
        found: list[Standing] = []
        if application.rate:  # counted at its admission
            found.append(self._standing("application", f"application {name}", application.rate, now))
        if limits is None:
            return fields(found)
        if rate := limits.rates.get(operation):
            key = f"operation {name} {operation}"
            wait = self.rates.wait(key, rate, now)
            found.append(self._standing("operation", key, rate, now))
            if wait > 0:
                self.refused[name, operation, "operation"] += 1
                said = f"more than {rate:g}/s of {operation}"
                raise Problem(429, "too-many-requests", said, retry_after_s=wait, headers=fields(found))
        if limits.quotas:
            found.extend(
                self._day(name, operation, limits.quotas.get(operation), limits.quotas.get(ALL_OPERATIONS), found)
            )
        return fields(found)

    def _day(
        self, name: str, operation: str, quota: int | None, of_all: int | None, before: list[Standing]
    ) -> list[Standing]:
        day, now = self.quotas.today(), self.quotas.now()
        window_s, reset_s = (day.ends - day.begins) / 1000, (day.ends - now) / 1000
        asked = [
            (policy, whose, most, self.quotas.used(name, whose))
            for policy, whose, most in (("day", operation, quota), ("day-all", ALL_OPERATIONS, of_all))
            if most
        ]
        over = next((policy for policy, _, most, used in asked if used >= most), None)
        if over is None:
            for _, whose, _, _ in asked:
                self.quotas.count(name, whose)
        standings = [
            Standing(policy, most, window_s, max(0, most - used - (over is None)), reset_s)
            for policy, _, most, used in asked
        ]
        if over is None:
            return standings
        self.refused[name, operation, over] += 1
        most = next(most for policy, _, most, _ in asked if policy == over)
        said = f"{most} requests a day {'of all operations' if over == 'day-all' else f'of {operation}'} are used up"
        raise Problem(429, "quota-used-up", said, retry_after_s=reset_s, headers=fields([*before, *standings]))

    def account(self, application: Application, operation: str, account: str, rate: float) -> None:
        """Count a request about an account; `rate`: of one, a second; 0: no limit. Raises Problem 429."""
        name, most = application.name, application.limits.accounts if application.limits else 0
        if most:
            self._distinct(name, operation, account, most)
        if rate:
            self.rate("account", f"{name} {account}", rate, name, operation)

    def _distinct(self, name: str, operation: str, account: str, most: int) -> None:
        now, hour = self._now(), self._hours.get(name)
        if hour is None or now >= hour.ends:
            hour = self._hours[name] = _Hour(now + HOUR_S)
        digest = hashlib.blake2b(account.encode(), digest_size=8, key=self._secret).digest()
        if digest in hour.seen:
            return
        if len(hour.seen) >= most:
            self.refused[name, operation, "accounts"] += 1
            wait = hour.ends - now
            headers = fields([Standing("accounts", most, HOUR_S, 0, wait)])
            said = f"more than {most} different accounts an hour"
            raise Problem(429, "too-many-accounts", said, retry_after_s=wait, headers=headers)
        hour.seen.add(digest)

    def _standing(self, policy: str, key: str, rate: float, now: float) -> Standing:
        window_s = max(self.rates.burst_s, 1.0 / rate)
        remaining, reset_s = self.rates.standing(key, rate, now)
        return Standing(policy, max(1, int(window_s * rate + 1e-6)), window_s, remaining, reset_s)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for (application, operation, policy), count in list(self.refused.items()):
            labels = {"application": application, "operation": operation, "policy": policy}
            yield "dmz_front_limited_total", "Requests answered 429 because of a limit", labels, count
