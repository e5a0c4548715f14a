"""The endpoint's port over the bridge's life: opened, changed by a reload, closed. Without one nothing is imported.

A reload binds before anything else changes, and what is bound serves before what was there ends: a changed certificate,
token or rate loses no request, and another port is answered before the old one is not.
"""

import asyncio
from typing import TYPE_CHECKING

from intranet_bridge.pushes.taking import Pushes
from intranet_bridge.settings import PushesSection
from protocol.runtime.logs import logger

if TYPE_CHECKING:
    from intranet_bridge.pushes.http import Prepared, PushServer

log = logger(__name__)


class PushPort:
    """Whatever listens now."""

    def __init__(self, pushes: Pushes) -> None:
        self._pushes = pushes
        self._server: PushServer | None = None
        self._ending: set[asyncio.Task[None]] = set()

    def prepare(self, section: PushesSection) -> "Prepared | None":
        """Read the files and bind; None: nothing is to listen. Raises ConfigurationError, and nothing has changed."""
        if not section.port:
            return None
        from intranet_bridge.pushes.http import Prepared

        return Prepared.of(section, self._server.prepared if self._server is not None else None)

    async def use(self, prepared: "Prepared | None") -> None:
        """Serve this from now on; what was asked before is answered."""
        before, self._server = self._server, None
        if prepared is not None:
            from intranet_bridge.pushes.http import PushServer

            self._server = PushServer(self._pushes, prepared)
            await self._server.start()
        if before is not None:
            before.let_go()
            task = asyncio.get_running_loop().create_task(before.stop())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            if prepared is None:
                log.info("pushes-not-listening")

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py)."""
        return self._server.standing() if self._server is not None else ""

    async def stop(self) -> None:
        """Answer what was asked, for 5 s at most, and take no more."""
        if self._server is not None:
            await self._server.stop()
        if self._ending:
            await asyncio.wait(self._ending)
