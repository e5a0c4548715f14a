"""How a place stands: reached, or what is wrong with it and since when. After a host key that is not the pinned one the
place is left alone until the pinned file has changed."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from dmz_front.relay.places import HostKeyChanged, PlaceError, Unreachable
from protocol.reports.files import PlaceReport
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.retry import now_and_then
from protocol.runtime.store_health import said

log = logger(__name__)

State = Literal["ok", "not-tried", "unreachable", "host-key-changed", "failing"]


class Standing:
    """Of one source or target."""

    def __init__(
        self,
        name: str,
        use: Literal["source", "target"],
        at: str,
        clock: Clock,
        pinned: Path | None = None,
        waiting: Callable[[], int] = lambda: 0,
    ) -> None:
        """`at`: the server's name, or `drop`. `pinned`: the file with its host key. `waiting`: files that lie there."""
        self.name, self.use, self._at, self._clock, self._pinned = name, use, at, clock, pinned
        self.waiting = waiting
        self.state: State = "not-tried"
        self._since, self._looked, self._trouble, self._failures = 0, 0, "", 0
        self._stopped_with = b""
        """Digest of the pinned file when the host key was found to be another."""

    async def may_try(self) -> bool:
        """Whether to try at all."""
        if self.state != "host-key-changed":
            return True
        return await asyncio.to_thread(self._digest) != self._stopped_with

    def worked(self) -> None:
        """It was reached, and did what was asked."""
        now = self._clock()
        if self.state not in ("ok", "not-tried"):
            log.info("file-place-reached", peer=self.name, use=self.use)
        if self.state != "ok":
            self._since = now
        self.state, self._trouble, self._looked, self._failures = "ok", "", now, 0

    def failed(self, error: Exception) -> None:
        """It was not."""
        after: State
        match error:
            case HostKeyChanged():
                after, trouble = "host-key-changed", str(error)
                self._stopped_with = self._digest()
            case Unreachable():
                after, trouble = "unreachable", str(error)
            case PlaceError():
                after, trouble = "failing", str(error)
            case _:
                after, trouble = "failing", said(error)
        self._failures += 1
        if after != self.state:
            self._since = self._clock()
        if after == "host-key-changed":
            log.critical("file-host-key-changed", peer=self.name, use=self.use, server=self._at)
        elif after != self.state or trouble != self._trouble or now_and_then(self._failures):
            log.warning("file-place-fails", peer=self.name, use=self.use, state=after, reason=trouble)
        self.state, self._trouble = after, trouble

    def report(self) -> PlaceReport:
        """For an administrator."""
        return PlaceReport(
            name=self.name, use=self.use, at=self._at, state=self.state, since=self._since, trouble=self._trouble,
            looked=self._looked, waiting=self.waiting(),
        )  # fmt: skip

    def _digest(self) -> bytes:
        try:
            return hashlib.sha256(self._pinned.read_bytes() if self._pinned else b"").digest()
        except OSError:
            return b""
