"""The backups a daemon makes by itself (`[backup]` of its configuration): when one is due, and which are kept."""

import asyncio

from protocol.errors import BridgeError
from protocol.reports.daemon import BackupReport
from protocol.runtime.backup import BackupManifest, BackupSection, Owner, back_up, kept, prune
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.settings import StoreSection

log = logger(__name__)

LOOK_S = 60.0
"""How often it is looked whether one is due; after one that failed, the next is tried then."""


class Backups:
    """One daemon's. One copy is made at a time, in a thread."""

    def __init__(self, section: BackupSection, store: StoreSection, owner: Owner, clock: Clock) -> None:
        self._section, self._store, self._owner, self._clock = section, store, owner, clock
        self._trouble = ""
        self._making = asyncio.Lock()

    async def look(self) -> None:
        """Make one, if it is due."""
        if self._section.folder is None:
            return
        newest = await asyncio.to_thread(self._newest)
        if newest is None or self._clock() - newest.taken_at >= self._section.every_hours * 3_600_000:
            await self._make()

    def report(self) -> BackupReport:
        """How they are."""
        if self._section.folder is None:
            return BackupReport()
        newest = self._newest()
        return BackupReport(
            folder=str(self._section.folder), every_hours=self._section.every_hours,
            last=newest.taken_at if newest else 0, trouble=self._trouble,
        )  # fmt: skip

    async def _make(self) -> None:
        async with self._making:
            try:
                await asyncio.to_thread(self._made)
            except (BridgeError, OSError) as error:
                if str(error) != self._trouble:  # said once
                    log.error("backup-failed", reason=str(error))
                self._trouble = str(error)
            else:
                self._trouble = ""

    def _made(self) -> None:
        folder = self._section.folder
        assert folder is not None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file, manifest = back_up(self._store, self._owner, folder, self._clock())
        gone = prune(folder, self._owner, self._section.keep)
        log.info("backup-made", file=str(file), bytes=manifest.bytes, commands=manifest.commands, removed=len(gone))

    def _newest(self) -> BackupManifest | None:
        folder = self._section.folder
        found = kept(folder, self._owner) if folder is not None and folder.is_dir() else []
        return found[0][1] if found else None
