"""Housekeeping: what the front does now and then with what it has written down. When, app.py says.

===================  ==============================================================================
adopt                what a dead front left is taken over (runtime/lease.py), its reply queues are read
count                commands and attachments by state, for the metrics; the backlog, anew
forget               rows past their retention are deleted; commands too old to be sent are held
forget attachments   what no command has named in time is deleted
look at audit        the audit log's head, and once a day those of bridges
===================  ==============================================================================
"""

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection

from dmz_front.ledger.attachments import AttachmentLedger
from dmz_front.ledger.decisions import DecisionLedger
from dmz_front.ledger.ledger import Ledger
from dmz_front.notices.ledger import NoticeLedger
from dmz_front.replies.bridges import Bridges
from dmz_front.replies.orphaned import OrphanedReplies
from dmz_front.settings import FrontSettings
from dmz_front.statistics.counting import Statistics
from protocol.reports.daemon import CommandsReport, NoticesReport
from protocol.runtime.audit import Audit
from protocol.runtime.clock import Clock
from protocol.runtime.lease import Lease
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.outbox import Outbox
from protocol.runtime.poison import PoisonMessages

log = logger(__name__)

_DAY_MS = 86_400_000
_IDLE_MS = 60_000
"""After so long a front that took the last part of an upload has said what the file is, if it lives."""


class Housekeeping:
    """The jobs, see above."""

    def __init__(
        self,
        *,
        settings: FrontSettings,
        ledger: Ledger,
        attachments: AttachmentLedger,
        decided: DecisionLedger,
        poison: PoisonMessages,
        audit: Audit,
        lease: Lease,
        outbox: Outbox,
        orphaned: OrphanedReplies,
        statistics: Statistics,
        bridges: Bridges,
        notices: NoticeLedger,
        clock: Clock,
    ) -> None:
        self.settings, self._clock = settings, clock
        self._ledger, self._attachments, self._decided = ledger, attachments, decided
        self._poison, self._audit, self._lease = poison, audit, lease
        self._outbox, self._orphaned, self._bridges = outbox, orphaned, bridges
        self._statistics = statistics
        self._attachments_by_state: Mapping[str, int] = {}
        self._commands = CommandsReport(by_state={})
        self._notices, self.notices = notices, NoticesReport()
        """How many there are, as counted last."""
        self._notices_by: Mapping[tuple[str, str], int] = {}

    async def adopt(self) -> None:
        """See above."""
        if await self._lease.adopt(self._take_over):  # if that is not heard of, their own jobs do both in seconds
            await self._ledger.count_backlog(self.settings.name)
            await self._outbox.sweep()
        await self._orphaned.read(await self._lease.others())

    def _take_over(self, connection: Connection, fronts: Sequence[str]) -> int:
        return (
            self._notices.adopt(connection, fronts)
            + self._decided.adopt(connection, fronts)
            + self._ledger.adopt(connection, fronts, self.settings.name)
            + self._attachments.adopt(connection, fronts)
        )

    async def count(self) -> None:
        """See above."""
        self._attachments_by_state = await self._attachments.counts()
        self._commands = await self._ledger.report(self._bridges.maintained())
        await self._ledger.count_backlog(self.settings.name)
        self.notices, self._notices_by = await self._notices.report()

    async def forget(self) -> None:
        """See above."""
        now = self._clock()
        before = now - int(self.settings.store.retention_days * _DAY_MS)
        await self._ledger.drop(now - int(self.settings.delivery.repeat_days * _DAY_MS))
        await self._ledger.forget(before)
        await self._audit.forget(self.settings.audit.retention_days)
        await self._decided.forget(before)
        notices = self.settings.notices
        callbacks = {name: one.application for name, one in self.settings.callbacks.items()}
        await self._notices.give_up(now - int(notices.give_up_hours * 3_600_000), callbacks)
        await self._notices.forget(now - int(notices.retention_days * _DAY_MS))
        await self._poison.forget(before)
        await self._statistics.forget(self.settings.statistics.retention_days)
        held = await self._ledger.hold_undelivered(self.settings.name)
        if held:
            log.error("commands-undelivered", count=held)

    async def forget_attachments(self) -> None:
        """See above."""
        await self._attachments.settle(_IDLE_MS)
        await self._attachments.forget()

    async def look_at_audit(self) -> None:
        """See above. What is cut off from a bridge's chain is found by its head in ours."""
        await self._audit.look()
        for bridge in self._bridges.present():
            await self._audit.witness(bridge.presence.audit)

    def samples(self) -> Iterator[Sample]:
        """For Prometheus: as counted last."""
        for state, count in self._attachments_by_state.items():
            yield "dmz_front_attachments", "Attachments by state", {"state": state}, count
        for state, count in self._commands.by_state.items():
            yield "dmz_front_requests", "Commands in the ledger by state", {"state": state}, count
        for (callback, state), count in self._notices_by.items():
            labels = {"callback": callback, "state": state}
            yield "dmz_front_notices", "Notices, and outcomes with a callback, by state", labels, count
        oldest = self._commands.oldest_unfinished / 1000
        text = "When the oldest command without an outcome came; 0: none"
        yield "dmz_front_oldest_unfinished_timestamp_seconds", text, {}, oldest
