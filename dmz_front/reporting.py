"""What the front says of itself to an administrator (`bridgectl status`)."""

import asyncio
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from dmz_front.admission.addresses import Addresses
from dmz_front.admission.denials import Denials
from dmz_front.admission.shared import Shared
from dmz_front.ledger.ledger import Ledger
from dmz_front.replies.bridges import AttachedBridge, Bridges, Service
from dmz_front.settings import FrontSettings
from protocol.messages import Role
from protocol.operations import OFFERED
from protocol.reports.calls import LatelyReport, OperationReport
from protocol.reports.daemon import CommandsReport, NoticesReport
from protocol.reports.files import FilesReport
from protocol.reports.front import AttachedReport, FrontReport, UnroutedReport
from protocol.runtime.backups import Backups
from protocol.runtime.certificate_reports import BROKER, judged_reports
from protocol.runtime.clock import Clock
from protocol.runtime.control import Peer
from protocol.runtime.drain import Draining
from protocol.runtime.files_read import FilesRead
from protocol.runtime.history import History
from protocol.runtime.lately import Counts, Lately
from protocol.runtime.links import LinkStates
from protocol.runtime.maintenance import Maintenance
from protocol.runtime.metrics import Latency
from protocol.runtime.store import Store
from protocol.runtime.store_health import Ill, illness, said

_STORE_S = 1.5
"""How long a write may take before it is trouble; an administrator is answered within three seconds."""


class Reporter:
    """Makes reports of one front."""

    def __init__(
        self,
        *,
        settings: FrontSettings,
        links: LinkStates,
        store: Store,
        backups: Backups,
        history: History,
        ledger: Ledger,
        bridges: Bridges,
        readiness: Callable[[], Mapping[str, str]],
        denials: Denials,
        active: Callable[[], Collection[str]],
        answered: Mapping[tuple[str, int], int],
        latency: Mapping[str, Latency],
        maintenance: Maintenance,
        draining: Draining,
        notices: Callable[[], NoticesReport],
        addresses: Addresses,
        shared: Shared | None,
        across: Callable[[], FilesReport],
        unrouted: Callable[[], tuple[UnroutedReport, ...]],
        clock: Clock,
    ) -> None:
        """Everything it reads from."""
        self.settings, self._links, self._store, self._ledger = settings, links, store, ledger
        self._bridges, self._readiness, self._denials, self._clock = bridges, readiness, denials, clock
        self._active = active
        self._backups, self._history, self._answered, self._latency = backups, history, answered, latency
        self._maintenance, self._draining, self._started = maintenance, draining, clock()
        self.lately = Lately(lambda: counts(answered, latency))

        self.files: FilesRead | None = None
        """What the daemon has read, to tell what has changed since."""
        self._notices, self._addresses, self._shared = notices, addresses, shared
        self._across, self._unrouted = across, unrouted

    async def report(self, _request: Mapping[str, object], _peer: Peer) -> dict[str, object]:
        """How the front stands now."""
        settings, files = self.settings, self.files
        store, commands = await self._store.report(_STORE_S), CommandsReport(by_state={})
        if not store.trouble:
            try:
                commands = await self._ledger.report(self._bridges.maintained())
            except SQLAlchemyError as error:
                store = store.model_copy(update={"ill": illness(error) or Ill.FAILING, "trouble": said(error)})
        conflict = self._bridges.conflict
        served = [name for name in OFFERED if self._bridges.service(name) is not Service.UNSERVED]
        report = FrontReport(
            name=settings.name, region=settings.region, software=version("dmz-bridge"), pid=os.getpid(),
            started=self._started, now=self._clock(), links=self._links.reports(), store=store, commands=commands,
            backup=await asyncio.to_thread(self._backups.report), forgotten=self._forgotten(),
            certificates=await asyncio.to_thread(
                judged_reports, list(certificate_files(settings)), settings.link, Role.FRONT, self._clock()
            ),
            maintenance=self._maintenance.pauses, next_window=self._maintenance.next_window,
            drain=self._draining.report(), notices=self._notices(), files=self._across(),
            changed_files=await asyncio.to_thread(files.changed) if files else (),
            waiting_settings=files.waiting if files else (),
            leaving_bridges=tuple(_attached(one) for one in self._bridges.leaving()),
            readiness=dict(self._readiness()),
            bridges=tuple(_attached(one) for one in self._bridges.present()),
            lost_bridges=tuple(_attached(one) for one in self._bridges.lost()),
            conflict=conflict.heard if conflict else (), bound=self._bridges.bound,
            unserved=tuple(name for name in OFFERED if name not in served),
            denied=self._denials.reports(self._active()),
            operations=tuple(operations(self._answered, self._latency, self.lately.report())),
            admission_store=self._shared.report() if self._shared else None,
            paused_addresses=len(self._addresses.paused()), unrouted=self._unrouted(),
        )  # fmt: skip
        return report.model_dump(mode="json")

    def _forgotten(self) -> tuple[int, int]:
        gap = self._history.gap
        return (gap.since, gap.until) if gap else (0, 0)


def counts(answered: Mapping[tuple[str, int], int], latency: Mapping[str, Latency]) -> dict[str, Counts]:
    """Of each operation that was called; failures are statuses of 500 or more. `answered`: by operation and status."""
    found: dict[str, tuple[int, int]] = {}
    for (name, status), count in answered.items():
        answers, failures = found.get(name, (0, 0))
        found[name] = answers + count, failures + count * (status >= 500)
    return {name: Counts(*numbers, tuple(latency[name].buckets)) for name, numbers in found.items()}


def operations(
    answered: Mapping[tuple[str, int], int], latency: Mapping[str, Latency], lately: Mapping[str, LatelyReport]
) -> Iterator[OperationReport]:
    """Each operation that was called. `answered`: by operation and status."""
    for name in sorted({name for name, _ in answered}):
        by_status = {status: count for (of, status), count in answered.items() if of == name}
        yield OperationReport(
            operation=name, answers=sum(by_status.values()), latency=tuple(latency[name].buckets),
            failures=sum(count for status, count in by_status.items() if status >= 500),
            turned_away=sum(count for status, count in by_status.items() if 400 <= status < 500),
            lately=lately.get(name),
        )  # fmt: skip


def certificate_files(settings: FrontSettings) -> Iterator[tuple[str, Path | None]]:
    """(use, file) of each certificate that this front shows to others."""
    yield BROKER, settings.link.certificate
    yield "http", settings.http.certificate


def _attached(seen: AttachedBridge) -> AttachedReport:
    presence = seen.presence
    return AttachedReport(
        name=presence.instance, heard=seen.at, said=presence.time_ms, software=presence.software, inbox=presence.inbox,
        maintenance=presence.maintenance,
        operations={name: state.value for name, state in presence.operations.items()},
    )  # fmt: skip
