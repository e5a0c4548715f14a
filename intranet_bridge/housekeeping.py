"""Housekeeping: what must happen now and then, whoever asks for it or not .

===================  ==============================================================================
sweep                replies without a receipt are offered again; operators' decisions are acted on;
                     deliveries held back by a full backlog are taken; so are the outcomes of the bridge's own commands
notices              what no front has confirmed is sent again
count                rows by state, for the metrics
forget               rows past their retention are deleted
attachments          what belonged to commands that are final, or to none for days, is deleted
ledger               the days of the ledger of money that ended long enough ago are closed
audit                the audit log's head, for presence, and once a day for the journal
adopt                what a dead bridge left is taken over (runtime/lease.py)
maintenance          what is paused begins and ends by the clock, and by what others of one database say
lately               what was counted is marked, for what `bridgectl status` shows of the last minutes
mark                 the database's beat, by which an older copy of it is known (runtime/history.py)
store                while the database is in trouble: whether it still is
check files          whether the certificate ends soon; key files changed since the start
===================  ==============================================================================
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from sqlalchemy import Connection

from intranet_bridge.commands.local import LocalCommands
from intranet_bridge.commands.workers import CommandWorkers
from intranet_bridge.hot_data.changes import Changes
from intranet_bridge.inbox.attachments import AttachmentInbox
from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.inbox.paging import Paging
from intranet_bridge.intake.commands import CommandIntake
from intranet_bridge.notices.outbox import Notices
from intranet_bridge.notices.subscriptions import Subscriptions
from intranet_bridge.pushes.taking import Pushes
from intranet_bridge.settings import BridgeSettings
from intranet_bridge.settlement.ledger import Closing
from intranet_bridge.settlement.service import Settlement
from protocol.envelope import MAX_AGE_MS
from protocol.messages import AHEAD_MS
from protocol.runtime.audit import Audit
from protocol.runtime.backups import LOOK_S as LOOK_BACKUPS_S
from protocol.runtime.backups import Backups
from protocol.runtime.clock import Clock
from protocol.runtime.history import MARK_S, History
from protocol.runtime.jobs import Jobs
from protocol.runtime.lately import MARK_S as LATELY_S
from protocol.runtime.lately import Lately
from protocol.runtime.lease import Lease
from protocol.runtime.logs import logger
from protocol.runtime.maintenance import LOOK_S, Maintenance
from protocol.runtime.outbox import Outbox
from protocol.runtime.poison import PoisonMessages
from protocol.runtime.store import Store
from protocol.runtime.syslog import SyslogForward

log = logger(__name__)

_DAY_MS = 24 * 3_600_000
_UNCLAIMED_MS = MAX_AGE_MS + AHEAD_MS
"""So long after its last message an attachment is kept that no command names: one may still be on its way."""
_WARN_DAYS = 30
NOTICES_S = 1.0
"""How often it is looked for notices that are due; those just published go out at once."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When, and what is looked after."""

    clock: Clock
    sweep_s: float
    adopt_s: float
    retention_days: float
    audit_days: float
    close_after_days: int
    certificate: Path
    keys: tuple[Path, ...]

    @classmethod
    def of(cls, settings: BridgeSettings, clock: Clock) -> "Schedule":
        """As configured."""
        store, keys = settings.store, settings.keys
        return cls(
            clock, settings.commands.sweep_s, store.lease_s / 3, store.retention_days,
            settings.audit.retention_days, settings.settlement.close_after_days, settings.link.certificate,
            (keys.keyring, keys.trusted),
        )  # fmt: skip


class Housekeeping:
    """The jobs and their times."""

    def __init__(
        self,
        *,
        store: Store,
        history: History,
        backups: Backups,
        inbox: Inbox,
        attachments: AttachmentInbox,
        maintenance: Maintenance,
        poison: PoisonMessages,
        lease: Lease,
        outbox: Outbox,
        paging: Paging,
        workers: CommandWorkers,
        intake: CommandIntake,
        notices: Notices,
        subscriptions: Subscriptions,
        pushes: Pushes,
        closing: Closing,
        internal: LocalCommands,
        settlement: Settlement,
        changes: Changes,
        audit: Audit,
        forward: SyslogForward | None,
        lately: Lately,
        schedule: Schedule,
    ) -> None:
        self._audit, self._forward, self._lately = audit, forward, lately
        self._store, self._history, self._backups = store, history, backups
        self._inbox, self._poison, self._lease, self._outbox = inbox, poison, lease, outbox
        self._attachments, self._maintenance = attachments, maintenance
        self._paging, self._workers, self._intake = paging, workers, intake
        self._notices, self._subscriptions, self._pushes = notices, subscriptions, pushes
        self._closing, self._settlement, self._internal = closing, settlement, internal
        self._changes = changes
        self.use(schedule)
        self._jobs = Jobs()
        self._took_over = False
        """Rows of dead bridges may have become ours since what is unread was last looked at."""

    def use(self, schedule: Schedule) -> None:
        """Go by this from now on, as far as it is no interval; the key files are in use as they are now."""
        self._schedule = schedule
        self._keys_changed_at = _changed_at(schedule.keys)

    async def start(self) -> None:
        """Do everything once, then by the clock; only forget nothing yet: a clock that is far ahead at the start, until
        the host has asked for the time, must not end what tells that a command was done.
        """
        for name, job, seconds in (
            ("check files", self.check_files, 3600.0),
            ("adopt", self.adopt, self._schedule.adopt_s),
            ("sweep", self.sweep, self._schedule.sweep_s),
            ("notices", self.send_notices, NOTICES_S),
            ("attachments", self.forget_attachments, 60.0),
            ("maintenance", self._maintenance.look, LOOK_S),
            ("count", self.count, 15.0),
            ("store", self._store.prove, 1.0),
            ("mark", self._history.mark, MARK_S),
            ("backup", self._backups.look, LOOK_BACKUPS_S),
            ("ledger", self.close_days, 3600.0),
            ("audit", self.look_at_audit, 60.0),
            ("lately", self._lately.mark, LATELY_S),
        ):
            await self._jobs.now_and_every(seconds, name, job)
        self._jobs.every(3600.0, "forget", self.forget)
        if self._forward is not None:
            self._jobs.every(1.0, "syslog", self._forward.forward)
        self._jobs.start()

    def standing(self) -> str:
        """What stands still for ever (watchdog.py)."""
        return self._jobs.standing()

    def stop(self) -> None:
        """No more jobs."""
        self._jobs.stop()

    async def close(self) -> None:
        """No more jobs; those that run come to their end."""
        await self._jobs.close()
        if self._forward is not None:
            await self._forward.close()

    async def sweep(self) -> None:
        """See above."""
        await self._outbox.sweep()
        self._intake.resume()
        await self._workers.act_on_decisions()
        self._internal.sweep()

    async def adopt(self) -> None:
        """See above."""
        try:
            await self._lease.adopt(self._take_over)
        finally:
            # not by what the transaction gave: one that is done twice finds nothing to take over the second time, and
            # one that failed may have been committed. To read once too often does no harm
            if self._took_over:
                self._paging.adopted()
        self._took_over = False

    def _take_over(self, connection: Connection, owners: Sequence[str]) -> int:
        self._took_over = True
        self._notices.adopt(connection, owners)
        return self._inbox.adopt(connection, owners)

    async def send_notices(self) -> None:
        """See above."""
        self._notices.hurry()

    async def count(self) -> None:
        """See above."""
        await self._inbox.count()
        await self._notices.count()
        await self._subscriptions.count()

    async def close_days(self) -> None:
        """See above."""
        await self._closing.look(self._schedule.close_after_days)

    async def look_at_audit(self) -> None:
        """See above."""
        await self._audit.look()

    async def forget(self) -> None:
        """See above."""
        before = self._schedule.clock() - int(self._schedule.retention_days * _DAY_MS)
        await self._poison.forget(before)
        await self._notices.forget(before)
        await self._pushes.forget(before)
        await self._changes.forget(self._schedule.clock())
        await self._settlement.forget(before)
        await self._audit.forget(self._schedule.audit_days)
        gone = await self._inbox.forget(before)
        if gone:
            log.info("rows-forgotten", count=gone)

    async def forget_attachments(self) -> None:
        """See above."""
        gone = await self._attachments.forget(_UNCLAIMED_MS)
        if gone:
            log.info("attachments-forgotten", count=gone)

    async def check_files(self) -> None:
        """See above."""
        try:
            expires = x509.load_pem_x509_certificate(self._schedule.certificate.read_bytes()).not_valid_after_utc
        except (OSError, ValueError) as error:
            log.error("certificate-unreadable", file=str(self._schedule.certificate), error=type(error).__name__)
        else:
            days = (expires - datetime.fromtimestamp(self._schedule.clock() / 1000, UTC)).days
            if days < _WARN_DAYS:
                log.warning("certificate-expires", file=str(self._schedule.certificate), days=days)
        if _changed_at(self._schedule.keys) != self._keys_changed_at:
            log.warning("key-files-changed", next="bridgectl reload: this daemon uses them from then on")


def _changed_at(files: tuple[Path, ...]) -> tuple[int, ...]:
    return tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files)
