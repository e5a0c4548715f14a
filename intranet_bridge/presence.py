"""Presence: says to the fronts, every few seconds and at each change, that this bridge is there and what works."""

import asyncio
import contextlib
import os
from collections.abc import Callable

from protocol.destinations import presence
from protocol.envelope import Kind, Sealer
from protocol.errors import LinkError
from protocol.frames import pack
from protocol.link.port import Link, Outgoing
from protocol.maintenance import Pause
from protocol.messages import Attributes, uuid7
from protocol.presence import PRESENCE, Availability, Presence
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.watchdog import ended

log = logger(__name__)

_LOOK_S = 0.25
"""How often changes are looked for: a circuit opens or half-opens by itself."""


_AT_ONCE = 16
"""Envelopes in one message."""


class Announcer:
    """Sends presence. One that gets lost is made up for by the next; the fronts forget a bridge that is silent."""

    def __init__(
        self,
        *,
        link: Link,
        sealer: Sealer,
        region: str,
        interval_s: float,
        clock: Clock,
        read: Callable[[], Presence],
    ) -> None:
        """`read` says how the bridge stands now."""
        self._link, self._sealer, self._destination = link, sealer, presence(region)
        self.interval_s, self._clock, self._read = interval_s, clock, read
        self._task: asyncio.Task[None] | None = None
        self._said: tuple[dict[str, Availability], tuple[Pause, ...], bool] | None = None
        self.sent = 0

    async def start(self) -> None:
        """Begin to announce; also at once when the link comes up."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="presence")

    def standing(self) -> str:
        """What stands still for ever (watchdog.py): fronts would take this bridge for gone."""
        return ended(self._task, "the announcing")

    async def leave(self) -> None:
        """Say that the bridge takes nothing more, and be silent from now on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(LinkError, TimeoutError):
            await asyncio.wait_for(self._send(self._read().model_copy(update={"leaving": True})), 1.0)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due, was_connected = loop.time(), False
        while True:
            connected = self._link.connected
            state = self._read()
            says = (state.operations, state.maintenance, state.leaving)
            changed = says != self._said or (connected and not was_connected)
            was_connected = connected
            if connected and (changed or loop.time() >= due):
                if self._said is not None and state.operations != self._said[0]:
                    log.info("presence-changed", operations=state.operations)
                due = loop.time() + self.interval_s
                self._said = says
                with contextlib.suppress(LinkError):
                    await self._send(state)
            await asyncio.sleep(min(_LOOK_S, self.interval_s))

    async def _send(self, state: Presence) -> None:
        now = self._clock()
        payload, sealed = state.payload(), []
        for group in self._sealer.groups:  # each can read its own alone
            attributes = Attributes(uuid7(now, os.urandom(10)), state.instance, PRESENCE, now, group=group)
            sealed.append(self._sealer.seal(Kind.PRESENCE, attributes, payload, now_ms=now))
        # Without expiry, which the broker judges by its own clock: a bridge a little behind would not be heard of at
        # all, and nobody could see why. The topic keeps nothing for a front that is away.
        for at in range(0, len(sealed), _AT_ONCE):
            await self._link.send(Outgoing(self._destination, pack(sealed[at : at + _AT_ONCE])))
        self.sent += 1
