"""Calls of the marketing system for commands; the operation's health hears what came of each."""

import time
from collections.abc import Mapping

from intranet_bridge.marketing import Adapter, Asked, Finding, NotApplied, Outcome, Unknown
from intranet_bridge.marketing.health import Health
from protocol.runtime.logs import logger

log = logger(__name__)


class Calls:
    """The operations this bridge serves. An operation it does not serve may not be called: its rows wait in the
    inbox until it is bound again.
    """

    def __init__(self, adapters: Mapping[str, Adapter], health: Mapping[str, Health]) -> None:
        self._adapters, self._health = adapters, health
        self.operations = frozenset(adapters)

    def settle_s(self, operation: str) -> float:
        """How long the marketing system may still be working on a call whose connection is gone."""
        return self._adapters[operation].settle_s

    async def call(self, operation: str, asked: Asked) -> Outcome:
        """Do it. Never raises: what an adapter raises (it promised not to) makes the outcome unknown."""
        if not asked.may_send():
            return NotApplied("the lease may be over", reached=False)
        adapter, started = self._adapters[operation], time.monotonic()
        try:
            outcome = await adapter.call(asked, adapter.timeout_s)
        except Exception as error:
            log.exception("adapter-failed", request=asked.request_id, operation=operation)
            outcome = Unknown(f"adapter: {type(error).__name__}")
        self._heard(operation, asked, outcome, started)
        return outcome

    async def inquire(self, operation: str, asked: Asked) -> Finding:
        """What became of an earlier call. Never raises."""
        adapter, started = self._adapters[operation], time.monotonic()
        try:
            finding = await adapter.inquire(asked, adapter.timeout_s)
        except Exception as error:
            log.exception("adapter-failed", request=asked.request_id, operation=operation)
            finding = Unknown(f"adapter: {type(error).__name__}")
        self._heard(operation, asked, finding, started)
        return finding

    def admit(self, operation: str) -> bool:
        """Whether a call may be made now; if the circuit is half open, it is the probe."""
        adapter = self._adapters.get(operation)
        return adapter is not None and self._health[operation].breaker.admit(time.monotonic(), adapter.timeout_s)

    def admits(self, operation: str) -> bool:
        """Whether `admit` would say yes."""
        return self.wait_s(operation, time.monotonic()) == 0

    def wait_s(self, operation: str, now: float) -> float | None:
        """Seconds until a call may be made, or None if only another configuration would change that."""
        return self._health[operation].breaker.wait_s(now) if operation in self._adapters else None

    def _heard(self, operation: str, asked: Asked, came_to: Outcome | Finding, started: float) -> None:
        now = time.monotonic()
        self._health[operation].heard(now, asked, came_to, now - started)
