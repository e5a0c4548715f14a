"""What the bridge says of itself to an administrator (`bridgectl status`)."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from intranet_bridge.ceilings.ceilings import Ceilings
from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.inbox.ordering import Ordering
from intranet_bridge.intake.conflict import InboxConflict
from intranet_bridge.marketing import Adapter
from intranet_bridge.marketing.concurrency import Places
from intranet_bridge.marketing.health import Health
from intranet_bridge.notices.outbox import Notices
from intranet_bridge.settings import BridgeSettings
from intranet_bridge.trial.doubt import Doubts
from protocol.messages import Role
from protocol.operations import OFFERED
from protocol.reports.bridge import BridgeReport
from protocol.reports.calls import InterfaceReport, LatelyReport
from protocol.reports.daemon import CommandsReport
from protocol.reports.files import FilesReport
from protocol.reports.marketing_data import ImportReport, PrequeryReport, PushesReport
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
from protocol.runtime.store import Store
from protocol.runtime.store_health import Ill, illness, said

_STORE_S = 1.5
"""How long a write may take before it is trouble; an administrator is answered within three seconds."""


class Reporter:
    """Makes reports of one bridge."""

    def __init__(
        self,
        *,
        settings: BridgeSettings,
        links: LinkStates,
        store: Store,
        backups: Backups,
        history: History,
        inbox: Inbox,
        health: Mapping[str, Health],
        adapters: Mapping[str, Adapter],
        places: Mapping[str, Places],
        ordering: Ordering,
        conflict: InboxConflict,
        maintenance: Maintenance,
        draining: Draining,
        doubts: Doubts,
        lately: Lately,
        notices: Notices,
        clock: Clock,
        ceilings: Ceilings,
        pushes: Callable[[], PushesReport],
        across: Callable[[], FilesReport],
        prequery: Callable[[], PrequeryReport | None],
        imports: Callable[[], tuple[ImportReport, ...]],
        more: Callable[[], Mapping[str, BaseModel]] = dict,
    ) -> None:
        """Everything it reads from."""
        self.settings, self._links, self._store = settings, links, store
        self._inbox, self._health, self._conflict, self._clock = inbox, health, conflict, clock
        self._adapters = adapters
        self._places, self._ordering, self._maintenance = places, ordering, maintenance
        self._backups, self._history = backups, history
        self._draining, self._doubts, self._ceilings, self._notices = draining, doubts, ceilings, notices
        self._started = clock()
        self._lately, self._pushes, self._prequery, self._imports = lately, pushes, prequery, imports
        self._across, self._more = across, more

        self.files: FilesRead | None = None
        """What the daemon has read, to tell what has changed since."""

    async def report(self, _request: Mapping[str, object], _peer: Peer) -> dict[str, object]:
        """How the bridge stands now."""
        settings, files = self.settings, self.files
        store, commands = await self._store.report(_STORE_S), CommandsReport(by_state={})
        if not store.trouble:
            try:
                commands = await self._inbox.report()
            except SQLAlchemyError as error:
                store = store.model_copy(update={"ill": illness(error) or Ill.FAILING, "trouble": said(error)})
        now, lately = time.monotonic(), self._lately.report()
        report = BridgeReport(
            name=settings.name, region=settings.region, software=software(), pid=os.getpid(),
            started=self._started, now=self._clock(), links=self._links.reports(), store=store, commands=commands,
            backup=await asyncio.to_thread(self._backups.report), forgotten=self._forgotten(),
            certificates=await asyncio.to_thread(
                judged_reports, list(certificate_files(settings)), settings.link, Role.BRIDGE, self._clock()
            ),
            inbox=self._inbox.id, interfaces=tuple(
                self._interface(one, now, lately.get(one.operation)) for one in list(self._health.values())
            ),
            maintenance=self._maintenance.pauses, next_window=self._maintenance.next_window,
            drain=self._draining.report(), notices=self._notices.report(),
            changed_files=await asyncio.to_thread(files.changed) if files else (),
            waiting_settings=files.waiting if files else (), diagnoses=tuple(self._doubts.diagnoses.values()),
            conflict=self._conflict.active, meant=self._conflict.meant[:36],
            unbound=tuple(name for name in OFFERED if name not in self._health),
            ceilings=self._ceilings.report(), pushes=self._pushes(), prequery=self._prequery(), imports=self._imports(),
            files=self._across(), **self._more(),
        )  # fmt: skip
        return report.model_dump(mode="json")

    def _forgotten(self) -> tuple[int, int]:
        gap = self._history.gap
        return (gap.since, gap.until) if gap else (0, 0)

    def _interface(self, health: Health, now: float, lately: LatelyReport | None) -> InterfaceReport:
        report, places = health.report(now).model_copy(update={"lately": lately}), self._places.get(health.operation)
        adapter = self._adapters.get(health.operation)
        if adapter is not None:
            report = report.model_copy(update={"timeout_ms": round(adapter.timeout_s * 1000)})
        if places is None:
            return report
        waiting = places.waiting + self._ordering.ready(health.operation)
        return report.model_copy(update={"at_once": places.at_once, "in_use": places.in_use, "waiting": waiting})


@cache
def software() -> str:
    """The release; empty when run from a source tree."""
    try:
        return version("dmz-bridge")
    except PackageNotFoundError:
        return ""


def counts(health: Mapping[str, Health]) -> dict[str, Counts]:
    """What each interface has done since the start."""
    return {
        one.operation: Counts(one.calls, one.failures.total(), tuple(one.latency.buckets))
        for one in list(health.values())
    }


def certificate_files(settings: BridgeSettings) -> Iterator[tuple[str, Path | None]]:
    """(use, file) of each certificate that this bridge shows to others."""
    yield BROKER, settings.link.certificate
    if settings.pushes.port and settings.pushes.certificate is not None:
        yield "pushes", settings.pushes.certificate
    if settings.desk.enabled and settings.desk.certificate is not None:
        yield "desk", settings.desk.certificate
    for name, system in settings.all_systems.items():
        yield f"system {name}", getattr(getattr(system, "tls", None), "certificate", None)
