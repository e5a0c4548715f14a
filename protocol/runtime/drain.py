"""Draining by an administrator's word, before a stop: nothing new is taken, what runs comes to its end.

In memory alone: a daemon that starts takes work. What each daemon stops, and what it has in hand, is its own matter.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from protocol.administration import Drain, asked
from protocol.errors import BridgeError
from protocol.reports.daemon import DrainReport
from protocol.runtime.audit import Act, logged
from protocol.runtime.clock import Clock
from protocol.runtime.control import Answer, Peer


class Draining:
    """Of one daemon."""

    def __init__(
        self,
        *,
        stop: Callable[[], Awaitable[None]],
        go_on: Callable[[], Awaitable[None]],
        running: Callable[[], dict[str, int]],
        clock: Clock,
        act: Act = logged,
    ) -> None:
        """`stop` takes nothing new from then on, `go_on` undoes that; `running`: what is in hand, by its kind. `act`
        writes down who said so.
        """
        self._act = act
        self._stop, self._go_on, self._running, self._clock = stop, go_on, running, clock
        self._since, self._by = 0, ""
        self._turn = asyncio.Lock()
        self.ready = False
        """Everything is started, and nothing is being stopped."""

    @property
    def active(self) -> bool:
        """Whether an administrator said so."""
        return bool(self._since)

    def report(self) -> DrainReport | None:
        """How far it is; None: nobody said so."""
        if not self._since:
            return None
        return DrainReport(since=self._since, by=self._by, running=self._running())

    def answers(self) -> Mapping[str, Answer]:
        """What can be asked."""
        return {"drain": self.drain}

    async def drain(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Begin, ask how far it is, or undo it. Raises BridgeError."""
        question = asked(Drain, request)
        if question.look:
            return self._told()
        if not self.ready:
            raise BridgeError("it is starting or stopping")
        by = peer.behind(question.sudo_user)
        async with self._turn:
            if question.undo and self._since:
                await self._go_on()
                self._since = 0
                await self._act("undo-drain", by, running=self._running())
            elif not question.undo and not self._since:
                self._since, self._by = self._clock(), by
                await self._act("drain", by, running=self._running())
                await self._stop()
        return self._told()

    def _told(self) -> dict[str, Any]:
        report = self.report()
        return {"drain": report.model_dump(mode="json") if report else None, "safe": report.safe if report else False}
