"""How one operation's interface does: what each call came to is told to the breaker, the log and the metrics.

===============================================  =========================================================
a call came to                                   for the breaker
===============================================  =========================================================
an answer (a refusal, a rejection too)           the interface works
no connection, time-out, 5xx, log-in redirect    the interface failed
a request that could not even be made            nothing
an answer that cannot be read, or is about       this account's answer is odd: counted by different accounts
something else than was asked
===============================================  =========================================================

Failures are logged as warnings, with their number: the first at once, then a line every SAY_S at most.
"""

import math
import os
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from intranet_bridge.marketing import Fault, Finding, MarketingRequest, NotApplied, Outcome, Rejected, Unknown
from intranet_bridge.marketing.breaker import Breaker, Circuit
from protocol.reports.calls import InterfaceReport
from protocol.runtime.clock import Clock, wall_clock
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Latency, Sample

log = logger(__name__)

SAY_S = 5.0
"""Seconds between two lines about the same operation's failures."""
_CIRCUIT = {Circuit.CLOSED: 0, Circuit.HALF_OPEN: 1, Circuit.OPEN: 2}


class Health:
    """One operation's."""

    def __init__(
        self, operation: str, breaker: Breaker, about: str | None = None, system: str = "", clock: Clock = wall_clock
    ) -> None:
        """`about`: the request field that says whose data it is. `system`: the back end it is bound to."""
        self.system, self._clock = system, clock
        self.operation, self.breaker, self._about = operation, breaker, about
        self._key = os.urandom(16)
        self.failures: Counter[Fault] = Counter()
        """By whose fault."""
        self._unsaid: Counter[Fault] = Counter()
        self._said_at: dict[Fault, float] = {}
        self.calls = 0
        self.latency = Latency()
        """Of the calls that were made, inquiries too."""
        self.slow_s = math.inf
        """What takes longer is counted as slow; set by who wants to know."""
        self.slow = 0
        self.last_success = 0
        """Epoch ms; 0: none yet."""
        self.failing_since = 0
        """Epoch ms since when no call was answered; 0: the last one was."""
        self.reason = ""
        """Of the last failure since then."""
        self.failed_at = 0
        """Epoch ms of the last failure."""
        self.fault: Fault | None = None
        """Whose fault that was."""
        self.opened_at = 0
        """Epoch ms since when the circuit is not closed; 0: it is."""

    def heard(self, now: float, asked: MarketingRequest, came_to: Outcome | Finding, took_s: float) -> None:
        """What a call, or an inquiry, came to. `now` by any monotonic clock."""
        breaker = self.breaker
        self.calls += 1
        self.latency.add(took_s)
        if took_s > self.slow_s:
            self.slow += 1
        match came_to:
            case Unknown(reason, fault=Fault.INTERFACE) | NotApplied(reason):
                changed = breaker.record(now, good=False)
                self._failed(now, Fault.INTERFACE, reason, asked.request_id)
            case Unknown(reason, fault=fault):
                changed = breaker.odd(now, self._who(asked.body))
                self._failed(now, fault, reason, asked.request_id)
            case Rejected(asked=False):
                breaker.not_asked()
                return
            case _:
                self.last_success, self.failing_since, self.reason, self.fault = self._clock(), 0, "", None
                if breaker.watching:
                    breaker.plain(self._who(asked.body))
                changed = breaker.record(now, good=True, took_s=took_s)
        if changed:
            self._changed(now, came_to, took_s)

    def close(self) -> None:
        """Close the circuit, by an administrator's word."""
        self.breaker.close()
        self.opened_at = 0

    def _who(self, body: Any) -> bytes:
        """Stands for the account in memory: a hash that only this process can make. All without one are one."""
        value = getattr(body, self._about, None) if self._about else None
        return blake2b(repr(value).encode(), digest_size=8, key=self._key).digest()

    def _failed(self, now: float, fault: Fault, reason: str, request_id: str) -> None:
        self.failures[fault] += 1
        self.failed_at = self._clock()
        self.failing_since, self.reason, self.fault = self.failing_since or self.failed_at, reason, fault
        if fault is Fault.MISMATCH:  # each of them: it was nearly somebody else's data
            total = self.failures[fault]
            log.error("answer-mismatch", request_id=request_id, operation=self.operation, reason=reason, in_all=total)
            return
        self._unsaid[fault] += 1
        if now - self._said_at.get(fault, -SAY_S) < SAY_S:
            return
        of, unsaid, total = self.operation, self._unsaid.pop(fault), self.failures[fault]
        if fault is Fault.INTERFACE:
            log.warning("interface-failing", operation=of, fault=fault, reason=reason, failures=unsaid, in_all=total)
        else:
            accounts = self.breaker.odd_accounts
            log.warning(
                "answers-odd",
                operation=of,
                fault=fault,
                reason=reason,
                failures=unsaid,
                in_all=total,
                accounts=accounts,
            )
        self._said_at[fault] = now

    def _changed(self, now: float, came_to: Outcome | Finding, took_s: float) -> None:
        wait_s = self.breaker.wait_s(now)
        self.opened_at = (self.opened_at or self._clock()) if wait_s else 0
        if wait_s == 0:
            log.warning("circuit-closed", operation=self.operation, failures=self.failures.total())
            return
        if isinstance(came_to, Unknown | NotApplied):
            why = came_to.reason
        else:
            why = self.reason = f"slow: {took_s:.1f} s"
        seconds, accounts = round(wait_s, 1), self.breaker.odd_accounts
        log.warning("circuit-open", operation=self.operation, seconds=seconds, reason=why, odd_accounts=accounts)

    def report(self, now: float) -> InterfaceReport:
        """For an administrator. `now` as for `heard`."""
        wait_s = self.breaker.wait_s(now)
        return InterfaceReport(
            operation=self.operation, system=self.system, circuit=self.breaker.circuit(now).value,
            failing_since=self.failing_since, reason=self.reason, calls=self.calls,
            failures=self.failures.total(), last_success=self.last_success, fault=self.fault or "",
            latency=tuple(self.latency.buckets),
            failed=self.failed_at if self.failing_since else 0,
            opened=self.opened_at, next_probe=self._clock() + round(wait_s * 1000) if 0 < wait_s < math.inf else 0,
        )  # fmt: skip

    def samples(self, now: float) -> Iterator[Sample]:
        """The numbers of the metrics. `now` as for `heard`."""
        labels = {"operation": self.operation}
        # what is paused for maintenance wakes nobody: how its circuit stood is told again afterwards
        circuit = 0 if self.breaker.suspended else _CIRCUIT[self.breaker.circuit(now)]
        yield "intranet_bridge_circuit", "0 closed, or paused; 1 half open, 2 open", labels, circuit
        if self.calls:
            text = "How long a call of the marketing system took"
            yield "intranet_bridge_interface_duration_seconds", text, labels, self.latency
        text = "Answers about something else than was asked; not passed on"
        yield "intranet_bridge_answer_mismatches_total", text, labels, self.failures[Fault.MISMATCH]
        for fault in (Fault.INTERFACE, Fault.ANSWER):
            by_fault = {**labels, "fault": str(fault)}
            text = "Calls without a usable answer"
            yield "intranet_bridge_interface_failures_total", text, by_fault, self.failures[fault]
