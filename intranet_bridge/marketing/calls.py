"""Calls of the marketing system; the operation's health hears what came of each."""

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from intranet_bridge.marketing import (
    Adapter,
    AttachedFile,
    Finding,
    MarketingRequest,
    NotApplied,
    Outcome,
    Unknown,
    always,
)
from intranet_bridge.marketing.concurrency import Places
from intranet_bridge.marketing.health import Health
from protocol.runtime.logs import logger

log = logger(__name__)

NOT_BOUND = "the operation is not bound here any more"
_MAINTENANCE = "paused for maintenance"

Heard = Callable[[str, MarketingRequest, Outcome | Finding, float], None]
"""Told of a command's operation, what was asked, what it came to, and how long the marketing system may still be at
work on it if that is not known."""


def broken(error: Exception, operation: str, asked: MarketingRequest) -> Unknown:
    """What became of a call whose adapter raised, which it promised not to: logged, and unknown."""
    log.error("adapter-failed", request_id=asked.request_id, operation=operation, exc_info=error)
    return Unknown(f"adapter: {type(error).__name__}")


class MarketingCalls:
    """The operations this bridge serves. An operation it does not serve may not be called: its rows wait in the
    inbox until it is bound again.
    """

    def __init__(
        self,
        adapters: Mapping[str, Adapter],
        health: Mapping[str, Health],
        allowed: Callable[[], bool] = always,
        places: Mapping[str, Places] = MappingProxyType({}),
        when_free: Callable[[Callable[[], object]], None] = lambda receiver: None,
    ) -> None:
        """`allowed`: whether commands may be called now, because this bridge's rows are surely still its own.
        `places`: of the operations whose calls at once are limited. A reload changes the three mappings in place.
        `when_free(receiver)`: call it when a command may be admitted that had found no place.
        """
        self.adapters, self.health, self._allowed, self.places = adapters, health, allowed, places
        self.when_free = when_free
        self.heard_by: Heard | None = None
        """Told what each call and inquiry came to, before anybody else is."""

    @property
    def operations(self) -> frozenset[str]:
        """Those that can be called."""
        return frozenset(self.adapters)

    def settle_s(self, operation: str) -> float:
        """How long the marketing system may still be working on a call whose connection is gone."""
        return self.adapters[operation].settle_s

    def request(
        self, id: str, body: Any, traceparent: str, attachments: tuple[AttachedFile, ...] = (), source: str = ""
    ) -> MarketingRequest:
        """A command's request, which is not sent once it is no longer allowed."""
        return MarketingRequest(id, body, traceparent, self._allowed, attachments, source)

    async def call(self, operation: str, asked: MarketingRequest) -> Outcome:
        """Do it. Never raises: what an adapter raises (it promised not to) makes the outcome unknown."""
        if not asked.may_send():
            return NotApplied("the lease may be over", reached=False)
        adapter, started = self.adapters.get(operation), time.monotonic()
        if adapter is None:
            return NotApplied(NOT_BOUND, reached=False)
        if self.paused(operation):
            return NotApplied(_MAINTENANCE, reached=False)
        try:
            outcome = await adapter.call(asked, adapter.timeout_s)
        except Exception as error:
            outcome = broken(error, operation, asked)
        self._heard(operation, asked, outcome, started)
        return outcome

    async def inquire(self, operation: str, asked: MarketingRequest) -> Finding:
        """What became of an earlier call. Never raises."""
        adapter, started = self.adapters.get(operation), time.monotonic()
        if adapter is None:
            return Unknown(NOT_BOUND)
        if self.paused(operation):
            return Unknown(_MAINTENANCE)
        try:
            finding = await adapter.inquire(asked, adapter.timeout_s)
        except Exception as error:
            finding = broken(error, operation, asked)
        self._heard(operation, asked, finding, started)
        return finding

    def admit(self, operation: str) -> bool:
        """Whether a command's call may be made now. Then it has its place, which is to be given back (`release`);
        if the circuit is half open, it is the probe.
        """
        adapter, places = self.adapters.get(operation), self.places.get(operation)
        if adapter is None or (places is not None and not places.for_command()):
            return False
        if not self.health[operation].breaker.admit(time.monotonic(), adapter.timeout_s):
            return False
        return places is None or places.take()

    def release(self, operation: str, took_s: float | None = None) -> None:
        """The place of a command is free again; `took_s`: how long its call took, if one was made."""
        if (places := self.places.get(operation)) is not None:
            places.release(took_s)

    def paused(self, operation: str) -> bool:
        """Whether it is paused for maintenance."""
        return self.health[operation].breaker.suspended

    def admits(self, operation: str) -> bool:
        """Whether `admit` would say yes."""
        return self.wait_s(operation, time.monotonic()) == 0

    def wait_s(self, operation: str, now: float) -> float | None:
        """Seconds until a command's call may be made; None if time alone does not change that: it waits for a place
        (`when_free`), for the end of maintenance, or for another configuration.
        """
        if operation not in self.adapters:
            return None
        places = self.places.get(operation)
        if places is not None and not places.for_command():
            return None
        breaker = self.health[operation].breaker
        return None if breaker.suspended else breaker.wait_s(now)

    def _heard(self, operation: str, asked: MarketingRequest, came_to: Outcome | Finding, started: float) -> None:
        now = time.monotonic()
        if self.heard_by is not None:
            adapter = self.adapters.get(operation)
            self.heard_by(operation, asked, came_to, adapter.settle_s if adapter else 0.0)
        if operation not in self.health:
            return  # it was unbound meanwhile
        self.health[operation].heard(now, asked, came_to, now - started)
