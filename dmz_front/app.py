"""The composition root of dmz-front: what it is made of, in the order it starts; the drain is the reverse.

==========  ==============================================  ==================================================
            start                                           drain
==========  ==============================================  ==================================================
store       bring up the schema                             last: finish what is being written, close
lease       take this instance's lease, count the backlog   give it back: other fronts adopt what is not final
control     answer administrators of this host              no more
statistics                                                  write what was counted
links       connect to the broker, for ever                 disconnect
replies     subscribe to replies and presence               write the replies taken
left        read the reply queues of fronts that are gone   stop
outbox      sweep what an earlier run left unsent           wait for receipts in hand
attachments                                                 send nothing more
files       look at the sources, take files of the bridge   stop; what was begun goes on at the next start
callbacks                                                   begin none; those under way end
jobs        resend, adopt, forget, re-read applications     stop
HTTP        listen                                          first: refuse new requests, let callers have answers
==========  ==============================================  ==================================================
"""

import asyncio
import contextlib
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from dmz_front.admission.accounts import AccountForms
from dmz_front.admission.addresses import AddressAdministration
from dmz_front.admission.allowances import Allowances
from dmz_front.admission.quotas import KEEP_S, DailyQuotas
from dmz_front.admission.scans import Scans
from dmz_front.admission.shared import Shared
from dmz_front.attachments.sending import AttachmentSender
from dmz_front.attachments.uploads import Uploads
from dmz_front.commands.administration import Administration
from dmz_front.commands.decisions import Decisions
from dmz_front.commands.region_inbox import RegionInbox
from dmz_front.commands.submission import COMMIT_S, Commands, Policy, Seals
from dmz_front.housekeeping import Housekeeping
from dmz_front.http.api import HttpApi
from dmz_front.http.channels import Channels
from dmz_front.http.landing import Landing
from dmz_front.http.pages import pages
from dmz_front.http.server import HttpServer
from dmz_front.ledger.attachments import AttachmentLedger
from dmz_front.ledger.decisions import DecisionLedger
from dmz_front.ledger.ledger import SENT_LINGER_S, Ledger
from dmz_front.ledger.rows import AUDIT, HISTORY, INSTANCES, MAINTENANCE, POISON, STATISTICS
from dmz_front.links import links_of
from dmz_front.notices.administration import NoticeAdministration
from dmz_front.notices.deliverer import Deliverer
from dmz_front.notices.intake import NoticeIntake
from dmz_front.notices.ledger import NoticeLedger
from dmz_front.notices.reading import reader
from dmz_front.queries.round_trip import Queries
from dmz_front.reloading import Change, Reload
from dmz_front.replies.bridges import Bridges
from dmz_front.replies.orphaned import OrphanedReplies
from dmz_front.replies.responses import told
from dmz_front.replies.router import ReplyRouter, Waiters, nothing_sent
from dmz_front.reporting import Reporter, certificate_files
from dmz_front.sandbox.sandbox import Sandbox
from dmz_front.settings import FrontSettings
from dmz_front.statistics.counting import Statistics
from dmz_front.store import store_of
from dmz_front.submissions import Submissions
from protocol import destinations
from protocol.envelope import Opener, Sealer
from protocol.link.lane import Lane
from protocol.maintenance import Pause
from protocol.messages import Role
from protocol.operations import OFFERED
from protocol.qr import UPLOAD_BYTES
from protocol.reports.files import FilesReport
from protocol.runtime import applications, logs, metrics
from protocol.runtime.audit import Audit, forward_of
from protocol.runtime.backup import Owner
from protocol.runtime.backups import LOOK_S as LOOK_BACKUPS_S
from protocol.runtime.backups import Backups
from protocol.runtime.clock import wall_clock
from protocol.runtime.control import ControlSocket
from protocol.runtime.daemon import Daemon
from protocol.runtime.drain import Draining
from protocol.runtime.history import MARK_S, History
from protocol.runtime.jobs import Jobs
from protocol.runtime.keyfiles import keyring_of
from protocol.runtime.lately import MARK_S as LATELY_S
from protocol.runtime.lease import Lease, only_one
from protocol.runtime.links import LinkStates, receiving_link, renew
from protocol.runtime.maintenance import LOOK_S, Maintenance
from protocol.runtime.outbox import Entry, Outbox
from protocol.runtime.poison import PoisonMessages
from protocol.runtime.reload import Reloader
from protocol.runtime.request_log import RequestLog
from protocol.runtime.tracing import opened

if TYPE_CHECKING:
    from dmz_front.relay.relay import Relay
    from dmz_front.traced import Traced
    from protocol.desk.pages import Desk

log = logs.logger(__name__)

STOP_S = 30.0
"""What each step of the drain may take beyond `drain_s` before systemd's patience ends (TimeoutStopSec)."""


def _traced(settings: FrontSettings) -> "Traced | None":
    """What makes the parts that tell a tracer of each request; None where that is not configured."""
    tracing = opened(settings.tracing, "dmz-front", settings.name)
    if tracing is None:
        return None
    from dmz_front.traced import Traced

    return Traced(tracing)


class Front:
    """The parts of a front, put together."""

    def __init__(self, settings: FrontSettings) -> None:
        self.settings = settings
        self.clock = wall_clock
        keyring = self.keyring = keyring_of(settings.keys, Role.FRONT)
        self.traced = traced = _traced(settings)
        version_max = settings.wire.version_max
        sealer, opener = Sealer(keyring, Role.BRIDGE), Opener(keyring, version_max=version_max)
        self.sealer, self.opener = sealer, opener
        self.chunk_opener = Opener(keyring, version_max=version_max)

        self.store = store_of(settings.store)
        self.lease = Lease(
            self.store,
            INSTANCES,
            settings.name,
            settings.store.lease_s,
            alone=settings.store.file is not None,
        )
        self.audit = Audit(self.store, AUDIT, settings.name, self.clock)
        self.forward = forward_of(settings.audit, "dmz-front", self.audit)
        self.statistics = Statistics(self.store, STATISTICS, settings.name, self.clock)
        self.ledger = Ledger(
            self.store, self.clock, self.audit, ended=self.statistics.ended,
            linger_s=min(SENT_LINGER_S, settings.delivery.resend_after_s / 30),
        )  # fmt: skip
        self.attachments = AttachmentLedger(self.store, settings.name, self.clock)
        self.history = History(
            self.store, HISTORY, settings.store.file, int(settings.store.retention_days * 86_400_000), self.clock
        )
        owner = Owner(
            program="dmz-front", instance=settings.name, region=settings.region, software=version("dmz-bridge")
        )
        self.backups = Backups(settings.backup, settings.store, owner, self.clock)
        self.applications = applications.NONE
        self.bridges = Bridges(int(settings.delivery.presence_ttl_s * 1000), self.clock, version_max)

        self.links = links_of(settings)
        self.command_link = self.links["commands"]
        query_lane = (traced.lane if traced else Lane)(self.links["queries"], persistent=False)
        command_lane = Lane(self.command_link, persistent=True)
        self.command_lane = command_lane
        self._reading: asyncio.Task[None] | None = None
        attachment_lane = Lane(self.links["attachments"], persistent=True)
        file_lane: Lane | None = None
        if settings.files.enabled:
            file_lane = Lane(self.links["files"], persistent=True, max_members=1)
        self.submissions = self._submissions(settings, opener) if settings.submissions.regions else None
        self.inbox = RegionInbox(
            self.store,
            self.bridges,
            command_lane,
            query_lane,
            settings.name,
            self.clock,
            attachment_lane,
            lambda: self.history.gap,
            file_lane,
        )
        self.outbox = Outbox(
            command_lane, sent=traced.spans.sent(self.ledger.sent) if traced else self.ledger.sent, unsent=self._due
        )
        self.decided = DecisionLedger(self.store, settings.name, self.clock)
        self.decisions_outbox = Outbox(command_lane, sent=self.decided.sent, unsent=self._decisions_due)

        self.notices = NoticeLedger(
            self.store, settings.name, lambda application: self.deliverer.callback_of(application), self.clock
        )
        self.deliverer: Deliverer = Deliverer(
            ledger=self.notices, opener=opener, told=told, notices=settings.notices, callbacks=settings.callbacks,
            clock=self.clock,
        )  # fmt: skip
        self.ledger.told = self.notices.outcomes_in if settings.callbacks else None
        self.notice_intake = NoticeIntake(
            ledger=self.notices, lane=command_lane, sealer=sealer,
            route=destinations.command_route(settings.region, settings.name),
            wire_version=lambda: self.bridges.wire_version, recorded=self.deliverer.hurry, clock=self.clock,
        )  # fmt: skip
        self.query_waiters, self.command_waiters = Waiters(), Waiters()
        if traced:
            self.query_waiters = traced.waiters(destinations.query_replies(settings.name))
            self.command_waiters = traced.waiters(destinations.command_replies(settings.name))
        self.poison = PoisonMessages(self.store, POISON, self.clock)
        self.sender = AttachmentSender(
            ledger=self.attachments,
            lane=attachment_lane,
            destination=destinations.attachments(settings.region),
            addressed=lambda: self.bridges.addressed,
            window=settings.attachments.window,
            resend_after_s=settings.delivery.resend_after_s,
        )
        self.relay = self._relay(settings, file_lane) if file_lane is not None else None
        self.requests = RequestLog("status", settings.log.queries, self.clock)
        self.router = ReplyRouter(
            opener, self.query_waiters, self.command_waiters, self.ledger, self.poison, self.bridges, self.clock,
            self.sender.receipts, lambda reply: self.api.guessing.settled(reply), requests=self.requests,
            decisions=self.decided.answered, notices=self.notice_intake.take,
            files=self.relay.answers_of_bridge if self.relay else nothing_sent,
        )  # fmt: skip
        self.orphaned = OrphanedReplies(
            link=lambda front: receiving_link(self.settings.link, f"{settings.name}-replies-of-{front}"),
            handler=self.router.command_replies,
        )
        self.commands = (traced.commands if traced else Commands)(
            route=destinations.command_route(settings.region, settings.name),
            ledger=self.ledger,
            outbox=self.outbox,
            seals=Seals(keyring, sealer, opener),
            waiters=self.command_waiters,
            bridges=self.bridges,
            attachments=self.attachments,
            policy=Policy.of(settings, self.clock, self._connected),
            forgotten=lambda: self.history.gap,
        )
        self.queries = (traced.queries if traced else Queries)(
            route=destinations.query_route(settings.region, settings.name),
            lane=query_lane,
            sealer=sealer,
            waiters=self.query_waiters,
            bridges=self.bridges,
            limits=settings.limits,
            clock=self.clock,
        )
        self.sandbox = Sandbox(self.clock)
        self.quotas = DailyQuotas(self.store, settings.name, settings.limits.zone, self.clock)
        self.uploads = Uploads(
            ledger=self.attachments,
            keyring=keyring,
            sealer=sealer,
            route=destinations.command_route(settings.region, settings.name),
            wire_version=lambda: self.bridges.wire_version,
            limits=settings.attachments,
            clock=self.clock,
            ready=self.sender.pump,
        )
        self.forms = AccountForms(settings.accounts)
        self.desk = self._desk(settings) if settings.desk.enabled else None
        self.landing = Landing(self.queries, Scans(settings.landing), self.clock, counted=self.statistics.answered)
        self.channels = Channels(
            settings.channels, self.commands, self.clock, self.requests, counted=self.statistics.answered,
            draining=lambda: self.api.draining,
        )  # fmt: skip
        self.api: HttpApi = HttpApi(
            catalogue=OFFERED,
            applications=lambda: self.applications,
            queries=self.queries,
            commands=self.commands,
            sandbox=self.sandbox,
            accounts=self.forms,
            allowances=Allowances(settings.limits, self.quotas),
            settings=settings,
            requests=self.requests,
            clock=self.clock,
            counted=self.statistics.answered,
            pages=pages(
                catalogue=OFFERED,
                admit=lambda scope, headers: self.api.admit_to_page(scope, headers),
                status=lambda id, application: self.api.status(id, application),
                readiness=self.readiness,
                accounts=self.forms,
                uploads=self.uploads,
                notices=reader(self.notices, opener),
                clock=self.clock,
                limits=settings.http,
                version=version("dmz-bridge"),
                landing=self.landing if settings.landing.enabled else None,
                channels=self.channels if settings.channels else None,
                desk=self.desk.app if self.desk else None,
            ),
        )

        store = settings.admission.store
        if store is not None:
            self.api.shared = Shared(
                store, self.api.allowances.rates, self.api.addresses, keyring.pseudonym, self.clock
            )
        self.http = HttpServer(traced.api(self.api, OFFERED) if traced else self.api, settings.http)
        if self.desk is not None:
            self.http.connections.larger = {b"/desk/batches": UPLOAD_BYTES}
        self.http.connections.left_alone = self.api.addresses.left_alone
        self.maintenance = Maintenance(
            store=self.store, table=MAINTENANCE, operations=tuple(OFFERED), section=settings.maintenance,
            clock=self.clock, changed=self._maintain, act=self.audit.act,
        )  # fmt: skip
        self.draining = Draining(
            stop=self._rest, go_on=self._go_on, running=self._running, clock=self.clock, act=self.audit.act
        )
        self.reporter = Reporter(
            settings=settings, links=LinkStates(self.links, self.clock), store=self.store, backups=self.backups,
            history=self.history, ledger=self.ledger,
            bridges=self.bridges, readiness=self.readiness, denials=self.api.denials, clock=self.clock,
            active=lambda: self.applications.names,
            answered=self.api.answered, latency=self.api.latency,
            maintenance=self.maintenance, draining=self.draining, notices=lambda: self.housekeeping.notices,
            addresses=self.api.addresses, shared=self.api.shared,
            across=lambda: self.relay.report() if self.relay else FilesReport(),
            unrouted=lambda: self.submissions.report() if self.submissions else (),
        )  # fmt: skip

        self.housekeeping = Housekeeping(
            settings=settings, ledger=self.ledger, attachments=self.attachments, decided=self.decided,
            poison=self.poison, audit=self.audit, lease=self.lease, outbox=self.outbox, orphaned=self.orphaned,
            statistics=self.statistics, bridges=self.bridges, notices=self.notices, clock=self.clock,
        )  # fmt: skip
        self.notice_administration = NoticeAdministration(self.notices, self.audit.act, self.deliverer.hurry)
        self.administration = Administration(
            name=settings.name, store=self.store, ledger=self.ledger, outbox=self.outbox, requests=self.requests,
            sendable=lambda: self.command_link.connected and self.bridges.addressed, paused=lambda: self.bridges.paused,
            decided=self.decided, audit=self.audit,
            decisions=Decisions(
                route=destinations.command_route(settings.region, settings.name), ledger=self.ledger,
                decisions=self.decided, outbox=self.decisions_outbox, sealer=sealer, bridges=self.bridges,
                sendable=self._decisions_go, clock=self.clock, act=self.audit.act,
            ),
        )  # fmt: skip

    def _submissions(self, settings: FrontSettings, opener: Opener) -> Submissions:
        return Submissions(
            link=self.links["submissions"], lane=Lane(self.command_link, persistent=True), opener=opener,
            front=settings.name,
            regions=frozenset(settings.submissions.regions), clock=self.clock,
        )  # fmt: skip

    def _relay(self, settings: FrontSettings, lane: Lane) -> "Relay":
        from dmz_front.relay.relay import Relay

        return Relay(
            section=settings.files, store=self.store, lane=lane, link=self.links["outward-files"], sealer=self.sealer,
            opener=self.opener, opener_of_chunks=self.chunk_opener,
            route=destinations.command_route(settings.region, settings.name),
            region=settings.region, wire_version=lambda: self.bridges.wire_version,
            taken=lambda: self.bridges.addressed and self.bridges.files,
            resend_after_s=settings.delivery.resend_after_s, clock=self.clock, act=self.audit.act,
        )  # fmt: skip

    def _desk(self, settings: FrontSettings) -> "Desk":
        from dmz_front.desk.assembly import assembled

        return assembled(
            settings.desk, queries=self.queries, commands=self.commands, uploads=self.uploads, accounts=self.forms,
            store=self.store, clock=self.clock, act=self.audit.act,
        )  # fmt: skip

    async def compose(self, daemon: Daemon, configuration: Path) -> None:
        """Start everything in the order of the table above. `configuration`: the file to read at a reload."""
        settings = self.settings
        reload = Reload(configuration, settings, self.keyring, self.take_up)
        self.reporter.files = reload.files
        reloader = Reloader(daemon, reload.reload, self.audit.act)
        if settings.store.file is not None:
            lock = only_one(settings.store.file, "dmz-front")
            await daemon.start("lock", None, lock.close)
        if self.traced is not None:
            await daemon.start("tracing", None, self.traced.close)
        await daemon.start("store", self.store.start(), self.store.close)
        await daemon.start("lease", self.lease.take(), self.lease.release)
        if settings.control.socket is not None:
            answers = {
                "report": self.reporter.report, "reload": reloader.answer,
                **self.administration.answers(), **self.notice_administration.answers(),
                **self.maintenance.answers(), **self.draining.answers(),
                **AddressAdministration(self.api.addresses, self.audit).answers(),
                **(self.relay.answers() if self.relay else {}),
            }  # fmt: skip
            control = ControlSocket(settings.control.socket, answers)
            await daemon.start("control", control.start(), control.close)
        await daemon.start("statistics", None, self.statistics.close)
        if self.api.shared is not None:
            await daemon.start("admission store", self.api.shared.start(), self.api.shared.close)
        await self.history.open(lambda _: None)
        await self.lease.know(await self.ledger.fronts())
        await self.ledger.count_backlog(settings.name)
        self.bridges.remember(await self.ledger.wire_version())
        await self.inbox.read()
        self.bridges.on_inbox = self._read_inbox_soon
        await self.poison.start()
        await self.read_applications()
        await self.quotas.open()
        await self.maintenance.look()
        for link in self.links.values():
            await daemon.start("link", link.start(), link.close)
        self.router.subscribe(self.links["replies"], settings.name, settings.region)
        await daemon.start("replies", None, self.router.drain)
        await daemon.start("left", None, self.orphaned.close)
        await daemon.start("outbox", None, self._flush)
        await daemon.start("attachments", None, self.sender.close)
        if self.relay is not None:
            await daemon.start("files", self.relay.start(), self.relay.close, self.relay)
        if self.submissions is not None:
            self.submissions.start()
            await daemon.start("submissions", None, self.submissions.close)
        self.command_link.watch(self._swept_when_connected)

        await daemon.start("callbacks", None, self.deliverer.close)

        jobs = Jobs()
        jobs.every(1, "notices", self.deliverer.sweep)
        jobs.every(settings.delivery.sweep_s, "resend", self.outbox.sweep)
        await jobs.now_and_every(settings.store.lease_s / 3, "adopt", self.housekeeping.adopt)
        jobs.every(1, "applications", self.read_applications)
        jobs.every(KEEP_S, "quotas", self.quotas.keep)
        jobs.every(1, "inbox", self._read_inbox)
        jobs.every(LOOK_S, "maintenance", self.maintenance.look)
        jobs.every(LATELY_S, "lately", self.reporter.lately.mark)
        jobs.every(1, "store", self.store.prove)
        jobs.every(settings.delivery.sweep_s, "decisions", self.decisions_outbox.sweep)
        jobs.every(MARK_S, "mark", self.history.mark)
        jobs.every(LOOK_BACKUPS_S, "backup", self.backups.look)
        jobs.every(settings.delivery.sweep_s, "answered", self.ledger.note_answered)
        jobs.every(settings.delivery.sweep_s, "attachments", self.sender.sweep)
        jobs.every(60, "used attachments", self.housekeeping.forget_attachments)
        jobs.every(settings.statistics.write_s, "statistics", self.statistics.write)
        jobs.every(3600, "forget", self.housekeeping.forget)
        jobs.every(3600, "forget quotas", self.quotas.forget)
        await jobs.now_and_every(60, "audit", self.housekeeping.look_at_audit)
        if self.forward is not None:
            jobs.every(1, "syslog", self.forward.forward)
            await daemon.start("syslog", None, self.forward.close)
        await jobs.now_and_every(15, "count", self.housekeeping.count)
        jobs.start()
        await daemon.start("jobs", None, jobs.close)
        stop_metrics = metrics.serve(settings.metrics, self.samples)
        await daemon.start("metrics", None, stop_metrics)

        await daemon.start("quotas", None, self._keep_quotas)
        await daemon.start("http", self.http.start(), self.http.stop)
        await daemon.start("callers", None, self._answer_callers)
        self.draining.ready = True
        daemon.vitals.update(store=self.store, lease=self.lease, jobs=jobs, http=self.http)
        daemon.vitals.update({f"link {name}": link for name, link in self.links.items()})
        daemon.summary, daemon.patience_s = self.summary, settings.delivery.drain_s + STOP_S

    def summary(self) -> str:
        """One line for `systemctl status`."""
        needs = ", ".join(f"{name} {state}" for name, state in self.readiness().items())
        return f"{needs}; {self.ledger.backlog} commands without an outcome"

    async def take_up(self, change: Change) -> list[str]:
        """Go by a changed configuration from now on (reloading.py). Returns what an administrator should know."""
        new, touched = change.settings, change.touched
        self.settings = self.reporter.settings = self.housekeeping.settings = new
        logs.set_level(new.log.level)
        self.requests.share(new.log.queries)
        if "keys" in touched:
            self.sealer.use(change.keyring)
            self.opener.use(change.keyring)
            self.chunk_opener.use(change.keyring)
        self.api.use(new)
        if "accounts" in touched:
            self.forms.use(new.accounts)
        self.queries.limits, self.uploads.limits = new.limits, new.attachments
        self.commands.policy = Policy.of(new, self.clock, self._connected)
        self.sender.window, self.sender.resend_after_s = new.attachments.window, new.delivery.resend_after_s
        self.maintenance.use(new.maintenance, tuple(OFFERED))
        self.bridges.ttl_ms = int(new.delivery.presence_ttl_s * 1000)
        if touched & {"notices", "callbacks"}:
            self.deliverer.use(new.notices, change.targets)
            self.ledger.told = self.notices.outcomes_in if new.callbacks else None
        if "http" in touched:
            await self.http.renew(new.http, change.context)
        await self.read_applications()
        notes = await renew({**self.links, **self.orphaned.links}, new.link) if "link" in touched else []
        return [*notes, f"{len(self.applications.by_key)} application keys are valid"]

    def readiness(self) -> dict[str, str]:
        """What the front needs, each `"ok"` or what is wrong."""
        up = all(link.connected for link in self.links.values())
        return {
            "broker": "ok" if up else "not connected",
            "bridge": "ok" if self.bridges.attached else "none attached",
            "accepting": "draining" if self.api.draining else self._accepting(),
        }

    def _accepting(self) -> str:
        trouble = self.store.trouble
        return f"no command: the ledger is {trouble.ill}: {trouble.words}" if trouble else "ok"

    def samples(self) -> Iterator[metrics.Sample]:
        """The numbers Prometheus reads: every part's own. Called by the metrics' thread."""
        for part in (
            self.api, self.http.connections, self.queries, self.commands, self.sandbox, self.bridges, self.router,
            self.uploads, self.sender, self.housekeeping, self.landing, self.deliverer,
            self.channels,
        ):  # fmt: skip
            yield from part.samples()
        if self.api.shared is not None:
            yield from self.api.shared.samples()
        for extra in (self.relay, self.submissions):
            if extra is not None:
                yield from extra.samples()
        text = "1: takes nothing new, by an administrator's word"
        yield "dmz_front_draining", text, {}, float(self.draining.active)
        maintained = set(self.bridges.maintained())
        for name in OFFERED:
            text = "1: paused for maintenance, here or at every bridge"
            yield "dmz_front_operation_paused", text, {"operation": name}, float(name in maintained)
        yield from self.maintenance.endless("dmz_front_pause_without_end_start_timestamp_seconds")
        yield from self.requests.samples("dmz_front_request_lines_left_out_total")
        yield "dmz_front_outbox_in_flight", "Commands sent without receipt yet", {}, self.outbox.in_hand
        yield "dmz_front_outbox_failures_total", "Sends that failed and will be repeated", {}, self.outbox.failures
        yield "dmz_front_commits_total", "Transactions committed to the ledger database", {}, self.store.commits
        text = "Rows, or other work, in the transactions committed to the ledger database"
        yield "dmz_front_store_rows_written_total", text, {}, self.store.rows_written
        text = "Transactions of the ledger database that were undone; what was in them may have been done again"
        yield "dmz_front_store_rollbacks_total", text, {}, self.store.rollbacks
        failing = float(self.store.trouble is not None)
        yield "dmz_front_store_failing", "1: the ledger cannot be written, or is damaged", {}, failing
        yield from metrics.of_links("dmz_front_link", self.links)
        yield from metrics.of_certificates("dmz_front", certificate_files(self.settings))

    async def _flush(self) -> None:
        # what a broker that stands still does not receipt by now is sent again after the next start
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.settings.delivery.drain_s):
                await self.outbox.drain()
                await self.decisions_outbox.drain()

    async def _keep_quotas(self) -> None:
        with contextlib.suppress(SQLAlchemyError, TimeoutError):  # the counts of some seconds are not worth more
            async with asyncio.timeout(COMMIT_S):
                await self.quotas.keep()

    async def _due(self, limit: int) -> list[Entry]:
        if not self.command_link.connected or not self.bridges.addressed:
            return []  # they go out when it is: reading them again and again would only keep the disk busy
        after_ms = int(self.settings.delivery.resend_after_s * 1000)
        return await self.ledger.due(self.settings.name, after_ms, limit, self.bridges.paused)

    def _maintain(self, pauses: tuple[Pause, ...]) -> None:
        self.bridges.pause(pauses)
        self._swept_when_connected(self.command_link.connected)

    def _connected(self) -> bool:
        return self.command_link.connected

    def _decisions_go(self) -> bool:
        return self.command_link.connected and self.bridges.addressed and self.bridges.decide

    async def _decisions_due(self, limit: int) -> list[Entry]:
        if not self._decisions_go():
            return []
        return await self.decided.due(int(self.settings.delivery.resend_after_s * 1000), limit)

    def _swept_when_connected(self, connected: bool) -> None:
        if connected:
            self._sweeping = asyncio.get_running_loop().create_task(self.outbox.sweep())

    async def read_applications(self) -> None:
        """The applications and their keys, as the database has them now."""
        before = self.applications
        now = await self.store.read(partial(applications.active, now_ms=self.clock(), before=before))
        if now is before:
            return
        self.applications = now
        for key in now.by_key.keys() - before.by_key.keys():
            self.api.denials.forget(now.by_key[key].name)

    def _read_inbox_soon(self) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read_inbox())

    async def _read_inbox(self) -> None:
        if await self.inbox.read():
            await self.outbox.sweep()

    async def _rest(self) -> None:
        self.api.draining = True

    async def _go_on(self) -> None:
        self.api.draining = False

    def _running(self) -> dict[str, int]:
        return {
            "queries": len(self.query_waiters), "commands": len(self.command_waiters),
            "messages": self.outbox.in_hand,
        }  # fmt: skip

    async def _answer_callers(self) -> None:
        """Refuse what is new, and give who waits a fair time to be answered."""
        self.draining.ready = False
        self.api.draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.settings.delivery.drain_s):
                await asyncio.gather(self.query_waiters.none(), self.command_waiters.none())
        self.api.denials.flush()
