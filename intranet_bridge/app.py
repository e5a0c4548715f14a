"""Composition root of intranet-bridge: which part is made of which, the order of starting, and of stopping.

Start: store → lease → control socket → reply links → outbox → systems → inbox recovered, housekeeping → workers →
intake → metrics → presence. Stop, on SIGTERM, is the reverse:

1. presence says that this bridge leaves: the fronts stop counting on it;
2. intake takes nothing more; commands being recorded are recorded and acknowledged, then the subscriptions and
   their links end, and the broker gives what was not acknowledged to another bridge;
3. running calls finish, for `drain_s` at most, and their outcomes are stored; a call cut off then is an unknown
   outcome, and the next start treats it so;
4. replies go out and their receipts are recorded;
5. the reply links close; 6. the lease is given back and the store closes. What is unfinished stays in the inbox, and
   is resumed by the next start, or by another bridge.

Nothing here listens, but on loopback the metrics, if they are turned on; for the marketing system the pushes' port, if
one is set: beyond loopback only for callers with certificates; and for staff the desk, if it is enabled: beyond
loopback by https alone, and only for its networks.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from intranet_bridge.at_rest import AtRest
from intranet_bridge.bound import Bindings, Bound
from intranet_bridge.ceilings.ceilings import Ceilings
from intranet_bridge.circuits import Circuits
from intranet_bridge.commands.administration import Administration
from intranet_bridge.commands.forwarding import Forwarding
from intranet_bridge.commands.local import LocalCommands
from intranet_bridge.commands.rulings import Rulings
from intranet_bridge.commands.workers import CommandWorkers, Policy
from intranet_bridge.content.service import Content
from intranet_bridge.files.service import Files
from intranet_bridge.hot_data.administration import HotAdministration
from intranet_bridge.hot_data.changes import Changes
from intranet_bridge.hot_data.hot import HotData
from intranet_bridge.hot_data.prequery import Prequery
from intranet_bridge.housekeeping import Housekeeping, Schedule
from intranet_bridge.imports.service import Imports
from intranet_bridge.inbox.attachments import AttachmentInbox
from intranet_bridge.inbox.handover import Handover
from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.inbox.local import LocalRows
from intranet_bridge.inbox.ordering import Ordering
from intranet_bridge.inbox.paging import Paging
from intranet_bridge.inbox.predecessors import Predecessors
from intranet_bridge.inbox.rows import AUDIT, HISTORY, INSTANCES, MAINTENANCE, POISON, STORE_KEY
from intranet_bridge.intake.attachments import AttachmentIntake
from intranet_bridge.intake.commands import CommandIntake
from intranet_bridge.intake.conflict import InboxConflict, of_a_front
from intranet_bridge.intake.dead_letters import DeadLetters
from intranet_bridge.intake.judge import CommandJudge
from intranet_bridge.intake.queries import QueryIntake
from intranet_bridge.intake.repetition import Likeness, Repetitions
from intranet_bridge.intake.subscriptions import Subscriptions
from intranet_bridge.links import SUBMISSION_LINK
from intranet_bridge.marketing import NotApplied, Outcome
from intranet_bridge.marketing.calls import MarketingCalls
from intranet_bridge.notices.outbox import Notices
from intranet_bridge.notices.subscriptions import Subscriptions as NoticeSubscriptions
from intranet_bridge.own import Handler, own
from intranet_bridge.peers import Peers
from intranet_bridge.presence import Announcer
from intranet_bridge.pushes.port import PushPort
from intranet_bridge.pushes.tables import PushTables, tables_of
from intranet_bridge.pushes.taking import Pushes
from intranet_bridge.qr.service import Qr, offer_of
from intranet_bridge.queries.workers import QueryWorkers
from intranet_bridge.reloading import Change, Reload
from intranet_bridge.replies import Replies
from intranet_bridge.reporting import Reporter, certificate_files, counts, software
from intranet_bridge.settings import BridgeSettings
from intranet_bridge.settlement.assembly import assembled, calendar_of
from intranet_bridge.settlement.ledger import Closing
from intranet_bridge.settlement.ports import Ports
from intranet_bridge.store import put_back, store_of
from intranet_bridge.trial.doubt import Doubts
from intranet_bridge.trial.probe import Probe
from protocol.backoff import Backoff
from protocol.envelope import Opener, Sealer
from protocol.keyring import Keyring
from protocol.lifecycle import State
from protocol.link.lane import Lane
from protocol.link.port import Link
from protocol.maintenance import Pause, by_operation
from protocol.messages import Role
from protocol.presence import Availability, Presence
from protocol.reports.files import FilesReport
from protocol.runtime import daemon, logs, metrics
from protocol.runtime.audit import Audit, forward_of
from protocol.runtime.backup import Owner
from protocol.runtime.backups import Backups
from protocol.runtime.clock import Clock, wall_clock
from protocol.runtime.control import Answer, ControlSocket
from protocol.runtime.drain import Draining
from protocol.runtime.history import History
from protocol.runtime.lately import Lately
from protocol.runtime.lease import Lease
from protocol.runtime.links import LinkStates, renew
from protocol.runtime.maintenance import Maintenance
from protocol.runtime.outbox import Outbox
from protocol.runtime.poison import PoisonMessages
from protocol.runtime.reload import Reloader
from protocol.runtime.request_log import RequestLog

if TYPE_CHECKING:
    from intranet_bridge.traced import Traced

log = logs.logger(__name__)

STOP_S = 30.0
"""What each step of the drain may take beyond `drain_s` before systemd's patience ends (TimeoutStopSec)."""
LEAVE_S = 1.0
"""So long after its presence says that it leaves a drained bridge takes what is on its way."""
REPLIED_LINGER_S = 0.2
"""So long the receipts of replies are gathered before they are recorded."""
FLUSH_S = 5.0
"""How long stopping waits for the receipts of replies."""


class Bridge:
    """All parts, put together. Making one opens nothing; `start` does."""

    def __init__(
        self,
        settings: BridgeSettings,
        *,
        keyring: Keyring,
        links: Mapping[str, Link],
        bound: Bound,
        clock: Clock = wall_clock,
        chance: Callable[[], float] = random.random,
        traced: "Traced | None" = None,
    ) -> None:
        """`links`: one for each of LINKS. `bound`: the operations served. `chance`: [0, 1), for jitter. `traced`:
        makes the parts that tell a tracer of each request, in place of the plain ones.
        """
        self.settings, self.links, self.clock, self._chance = settings, links, clock, chance
        self.calls: MarketingCalls
        self.traced = traced
        self.ceilings = Ceilings(settings.ceilings, settings.fronts, clock)
        opener = (traced.opener if traced else Opener)(keyring, version_max=settings.wire.version_max)
        sealer = Sealer(keyring, to=Role.FRONT)
        quick = Backoff(0.05, 1.0, chance)
        self.store = store_of(settings.store)
        self.audit = Audit(self.store, AUDIT, settings.name, clock)
        self.qr = Qr(
            offer_of(settings.qr, settings.suite), store=self.store, calls=lambda: self.calls,
            allowed=self._may_call, name=settings.name, clock=clock, act=self.audit.act,
        )  # fmt: skip
        self.at_rest = AtRest(self.store, STORE_KEY, keyring, settings.suite)
        self.notice_subscriptions = NoticeSubscriptions(
            self.store, self.at_rest, settings.notices.subscriptions, clock, self.ceilings.foreign,
            self.ceilings.group_of,
        )  # fmt: skip
        self.hot = HotData(settings.hot)
        self.content = Content(
            settings.content, store=self.store, hot=self.hot, under=lambda name: self.bindings.under(name),
            allowed=self._may_call, clock=clock, transact=self.audit.transact,
        )  # fmt: skip
        self.imports = Imports(
            settings.imports, store=self.store, at_rest=self.at_rest, name=settings.name, clock=clock,
            zone=lambda: self.settings.maintenance.clocks, allowed=self._may_call,
            quiet=lambda: self.settings.maintenance.is_quiet(clock()), system=lambda name: self.bindings.system(name),
            under=lambda name: self.bindings.under(name), changed=lambda names: self.hot.clear(names, by="import"),
            act=self.audit.act,
        )  # fmt: skip
        self.settlement = assembled(
            settings.settlement,
            Ports(
                store=self.store, at_rest=self.at_rest, commands=lambda: self.internal, calls=lambda: self.calls,
                files=lambda: self.files, notices=lambda: self.notices, elsewhere=self._elsewhere,
                allowed=self._may_call, name=settings.name,
                act=self.audit.act, transact=self.audit.transact, clock=clock,
            ),
        )  # fmt: skip
        itself = {**own(self.handlers()), **self.content.adapters(), **self.imports.adapters()}
        self.bindings = Bindings(settings, bound, itself)
        self.adapters, self.health = self.bindings.adapters, self.bindings.health
        arrangement = self.bindings.arrangement
        self.places = arrangement.places
        alone = settings.store.file is not None
        self.lease = Lease(self.store, INSTANCES, settings.name, settings.store.lease_s, alone=alone)
        self.forward = forward_of(settings.audit, "intranet-bridge", self.audit)
        self.inbox = Inbox(self.store, settings.name, clock, self.audit, self.ceilings.same_front)
        self.history = History(
            self.store, HISTORY, settings.store.file, int(settings.store.retention_days * 86_400_000), clock
        )
        owner = Owner(program="intranet-bridge", instance=settings.name, region=settings.region, software=software())
        self.backups = Backups(settings.backup, settings.store, owner, clock)
        self.poison = PoisonMessages(self.store, POISON, clock)
        self.ordering = Ordering(settings.commands.order_patience_s)
        self.paging = Paging(
            store=self.store, inbox=self.inbox, ordering=self.ordering, owner=settings.name,
            most=settings.commands.backlog, backoff=quick,
        )  # fmt: skip
        opener_of_files = Opener(keyring, version_max=settings.wire.version_max)
        self._likeness = Likeness(keyring)
        self._keyed: tuple[Opener | Sealer | Likeness, ...] = (opener, opener_of_files, sealer, self._likeness)
        self.attachments = AttachmentInbox(self.store, opener_of_files, clock)
        self.outbox = Outbox(
            Lane(self.links["command-replies"], persistent=True),
            sent=traced.spans.sent(self.inbox.replied) if traced else self.inbox.replied, unsent=self.inbox.unsent,
            linger_s=REPLIED_LINGER_S,
        )  # fmt: skip
        self.replies = (traced.replies if traced else Replies)(
            settings.name, sealer, Lane(self.links["query-replies"], persistent=False), clock, self.ceilings.group_of
        )
        self.notices = Notices(
            store=self.store, at_rest=self.at_rest, replies=self.replies,
            lane=Lane(self.links["command-replies"], persistent=True), name=settings.name,
            resend_after_s=lambda: self.settings.notices.resend_after_s, clock=clock, act=self.audit.act,
            foreign=self.ceilings.foreign,
        )  # fmt: skip
        self.changes = Changes(
            store=self.store, at_rest=self.at_rest, hot=self.hot, name=settings.name, clock=clock,
            shared=settings.store.file is None,
        )  # fmt: skip
        self.hot.tell = self.changes.tell if self.changes.shared else None
        self.pushes = Pushes(
            store=self.store, at_rest=self.at_rest, notices=self.notices, clock=clock, hot=self.hot,
            others=self.changes.write_in, told=self.settlement.pushed,
        )  # fmt: skip
        self._tables_of = partial(
            tables_of, pushes=self.pushes, store=self.store, clock=clock, system=self.bindings.system,
            allowed=self._may_call,
        )  # fmt: skip
        self.push_tables, self.push_port = PushTables(self._tables_of(settings.pushes)), PushPort(self.pushes)
        self.dead_letters = DeadLetters(self.links["control"])
        self.conflict = InboxConflict(lambda: self.inbox.id)
        self.requests = RequestLog("attempts", settings.log.queries, clock)
        self.query_intake = QueryIntake(
            self.links["queries"], self.dead_letters, self.conflict, settings.queries.prefetch,
            partial(of_a_front, opener, self.ceilings, clock),
        )  # fmt: skip
        calls = self.calls = (traced.calls if traced else MarketingCalls)(
            self.adapters, self.health, self._may_call, self.places, arrangement.when_free
        )
        self.queries = (traced.queries if traced else QueryWorkers)(
            intake=self.query_intake, opener=opener, calls=calls, replies=self.replies, backoff=quick,
            slots=settings.queries.slots, clock=clock, requests=self.requests, ceilings=self.ceilings,
            hot=self.hot,
        )  # fmt: skip
        self.prequery = Prequery(
            hot=self.hot, ask=self.queries.ahead, subscribed=self.notice_subscriptions.accounts, health=self.health,
            allowed=lambda: self._may_call() and not self.draining.active, living=self.lease.living, clock=clock,
        )  # fmt: skip
        self._use_hot()
        local = LocalRows(self.at_rest, settings.name)
        self.forwarding = self._forwarding(settings, keyring, local)
        self.internal = LocalCommands(
            store=self.store, inbox=self.inbox, ordering=self.ordering, paging=self.paging, local=local,
            name=settings.name,
            region=settings.region, clock=clock, forwarding=self.forwarding,
        )  # fmt: skip
        self.handover = Handover(self.ordering, self.store, quick)
        self.predecessors = Predecessors(
            ordering=self.ordering, settled=self.paging.settled, backoff=quick, wait_for=self.handover.wait_for
        )
        self.workers = (traced.commands if traced else CommandWorkers)(
            ordering=self.ordering, inbox=self.inbox, outbox=self.outbox, opener=opener, calls=calls,
            replies=self.replies, attachments=self.attachments, requests=self.requests, local=local,
            policy=Policy.of(settings.commands, clock, chance), ceilings=self.ceilings,
        )  # fmt: skip
        judge = CommandJudge(
            opener, self.poison, self.replies, self.adapters, clock, self.ceilings, self._likeness,
            lambda: self.history.gap,
            *([self.forwarding.peers.signed] if self.forwarding else []),
        )  # fmt: skip
        self.rulings = Rulings(
            store=self.store, inbox=self.inbox, workers=self.workers, outbox=self.outbox, replies=self.replies,
            judge=judge, lane=Lane(self.links["command-replies"], persistent=True),
            inquires=self.bindings.inquires,
            from_fronts=lambda: self.settings.commands.decisions_from_fronts,
            retention_ms=lambda: int(self.settings.store.retention_days * 86_400_000), clock=clock,
            transact=self.audit.transact, same_front=self.ceilings.same_front, local=local,
        )  # fmt: skip
        self.command_intake = CommandIntake(
            link=self.links["commands"], judge=judge,
            repetitions=Repetitions(self.inbox.likenesses),
            inbox=self.inbox, ordering=self.ordering, paging=self.paging, outbox=self.outbox,
            dead_letters=self.dead_letters,
            backlog=settings.commands.backlog, decide=self.rulings.from_front, confirmed=self.notices.confirmed,
            from_peer=self.forwarding.take if self.forwarding else None,
        )  # fmt: skip
        self.attachment_intake = AttachmentIntake(
            link=self.links["attachments"], opener=opener, inbox=self.inbox, attachments=self.attachments,
            replies=self.replies, lane=Lane(self.links["command-replies"], persistent=True),
            dead_letters=self.dead_letters, clock=clock, ceilings=self.ceilings,
        )  # fmt: skip
        self.files = None if not settings.files.enabled else Files(
            section=settings.files, store=self.store, links=links, opener=opener, inbox=self.inbox,
            at_rest=self.at_rest, replies=self.replies, dead_letters=self.dead_letters, ceilings=self.ceilings,
            name=settings.name, region=settings.region, clock=clock, act=self.audit.act,
        )  # fmt: skip
        self.subscriptions = Subscriptions(
            settings, links, self.inbox, queries=self.query_intake, commands=self.command_intake,
            attachments=self.attachment_intake,
        )  # fmt: skip
        self.maintenance = Maintenance(
            store=self.store, table=MAINTENANCE, operations=tuple(self.adapters), section=settings.maintenance,
            clock=clock, changed=self._maintain, act=self.audit.act,
        )  # fmt: skip
        self.lately = Lately(partial(counts, self.health))
        self.housekeeping = Housekeeping(
            store=self.store, history=self.history, backups=self.backups, inbox=self.inbox,
            attachments=self.attachments, maintenance=self.maintenance,
            poison=self.poison, lease=self.lease, outbox=self.outbox, paging=self.paging,
            workers=self.workers,
            intake=self.command_intake, audit=self.audit, forward=self.forward, lately=self.lately,
            notices=self.notices, subscriptions=self.notice_subscriptions, pushes=self.pushes, changes=self.changes,
            closing=Closing(self.store, clock, self.audit.transact, lambda: calendar_of(self.settings.settlement)),
            settlement=self.settlement, internal=self.internal,
            schedule=Schedule.of(settings, clock),
        )  # fmt: skip
        self.announcer = Announcer(
            link=self.links["control"], sealer=sealer, region=settings.region,
            interval_s=settings.presence_interval_s, clock=clock, read=self.presence,
        )  # fmt: skip
        self.draining = Draining(
            stop=self._rest, go_on=self._go_on, running=self._running, clock=clock, act=self.audit.act
        )
        self.doubts = Doubts(settings, self.health)
        self.circuits = Circuits(self.health, self.ordering.work, self.audit.act)
        self.reporter = Reporter(
            settings=settings, links=LinkStates(links, clock), store=self.store,
            backups=self.backups, history=self.history,
            inbox=self.inbox, health=self.health, places=self.places, ordering=self.ordering, conflict=self.conflict,
            maintenance=self.maintenance, draining=self.draining, doubts=self.doubts, lately=self.lately,
            adapters=self.adapters, notices=self.notices, clock=clock, ceilings=self.ceilings,
            pushes=lambda: self.pushes.report(self.push_tables.reports(), listens=bool(self.settings.pushes.port)),
            prequery=self.prequery.report,
            imports=self.imports.reports,
            across=lambda: self.files.report() if self.files else FilesReport(),
            more=lambda: {**self.settlement.reports(), "own": self.internal.report()},
        )  # fmt: skip
        self.administration = Administration(
            store=self.store, rulings=self.rulings, opener=opener, calls=calls, clock=clock, audit=self.audit,
            requests=self.requests, name=settings.name, local=local,
        )  # fmt: skip
        self.hot_administration = HotAdministration(self.hot, self.audit, self.prequery.report)
        self.probe = Probe(settings)
        self._sweeping: asyncio.Task[int] | None = None

    async def _elsewhere(self, region: str, operation: str, body: BaseModel) -> Outcome:
        """A query of another region's marketing system."""
        if self.forwarding is None:
            return NotApplied("no other region is configured", reached=False)
        return await self.forwarding.ask(region, operation, body)

    def _forwarding(self, settings: BridgeSettings, keyring: Keyring, local: LocalRows) -> Forwarding | None:
        section = settings.settlement
        if section.front is None:
            return None
        return Forwarding(
            store=self.store, inbox=self.inbox, ordering=self.ordering, paging=self.paging, local=local,
            replies=self.replies,
            peers=Peers(keyring, section.peers, name=settings.name, region=settings.region, clock=self.clock),
            lane=Lane(self.links[SUBMISSION_LINK], persistent=True), front=section.front, name=settings.name,
            clock=self.clock, resend_after_s=section.resend_after_s, calls=lambda: self.calls,
        )  # fmt: skip

    def handlers(self) -> dict[str, Handler]:
        """Who answers what the bridge itself answers, by operation (`OWN` of the catalogue)."""
        return {**self.qr.handlers(), **self.notice_subscriptions.handlers(), **self.settlement.handlers()}

    def _use_hot(self) -> None:
        """Commands that nothing is kept of cost nothing."""
        self.calls.heard_by = self.hot.heard if self.hot.policies else None
        hot, maintenance = self.settings.hot, self.settings.maintenance
        windows, quiet = maintenance.recurring(hot.prequery.windows), maintenance.recurring(maintenance.quiet)
        self.prequery.use(hot.prequery, windows, quiet)
        self.queries.seen = self.prequery.active.seen if self.prequery.on else None

    def _may_call(self) -> bool:
        """Whether this bridge's rows are surely its own, all there, and in no other inbox."""
        return self.lease.held() and self.conflict.calls_allowed and not self.store.damaged

    def _maintain(self, pauses: tuple[Pause, ...]) -> None:
        """Call what is paused no more, and go on with what is not."""
        paused = by_operation(pauses)
        self.bindings.pause(paused)
        self.inbox.paused = frozenset(paused)
        self.ordering.work.send()

    async def take_up(self, change: Change) -> list[str]:
        """Go by a changed configuration from now on (reloading.py). Returns what an administrator should know."""
        new, touched = change.settings, change.touched
        notes: list[str] = []
        self.settings = new
        self.reporter.settings = self.probe.settings = self.doubts.settings = new
        logs.set_level(new.log.level)
        self.requests.share(new.log.queries)
        if "keys" in touched:
            for one in self._keyed:
                one.use(change.keyring)
            notes += await self.at_rest.open_or_tell(change.keyring)
        if touched & {"keys", "settlement"} and self.forwarding is not None:
            notes += self.forwarding.peers.use_or_tell(change.keyring, new.settlement.peers)
        if touched & {"marketing", "systems", "operations", "breaker"}:
            self.bindings.use(new, change.rebound)
        self.hot.use(new.hot, anew=bool(touched & {"marketing", "systems", "operations"}))
        self._use_hot()
        self.maintenance.use(new.maintenance, tuple(self.adapters))
        if touched & {"ceilings", "fronts"}:
            self.ceilings.use(new.ceilings, new.fronts)
        self.workers.use(Policy.of(new.commands, self.clock, self._chance))
        self.notice_subscriptions.most = new.notices.subscriptions
        self.command_intake.backlog = self.paging.most = new.commands.backlog
        self.announcer.interval_s = new.presence_interval_s
        self.housekeeping.use(Schedule.of(new, self.clock))
        if "pushes" in touched:
            await self.push_port.use(change.pushes)
            await self.push_tables.use(self._tables_of(new.pushes))
        if self.files is not None:
            self.files.section = new.files
        if "qr" in touched:
            self.qr.use(change.offer)
        if "settlement" in touched:
            self.settlement.use(new.settlement, change.channels)
        notes += await renew(self.links, new.link) if "link" in touched else []
        self.command_intake.resume()
        self.ordering.work.send()
        return notes

    def presence(self) -> Presence:
        """How this bridge stands now."""
        return Presence(
            instance=self.settings.name,
            version=self.settings.wire.version_max,
            software=software(),
            time_ms=self.clock(),
            operations=self.bindings.availability(),
            in_flight=self.queries.in_flight + self.workers.in_flight,
            capacity=self.queries.slots + self.workers.workers,
            query_slots=self.queries.slots,
            query_ms=round(self.queries.service_s * 1000, 3),
            inbox=self.inbox.id,
            inbox_shared=self.settings.store.file is None,
            maintenance=self.maintenance.pauses,
            decides=self.settings.commands.decisions_from_fronts,
            leaving=self.draining.active,
            files=self.files is not None and self.at_rest.is_open,
            audit=str(self.audit.head) if self.audit.head.sequence else "",
        )

    def samples(self) -> Iterator[metrics.Sample]:
        """The numbers Prometheus reads: every part's own. Called by the metrics' thread."""
        text = "1: takes nothing new, by an administrator's word"
        yield "intranet_bridge_draining", text, {}, float(self.draining.active)
        yield from self.maintenance.samples_of("intranet_bridge_operation_paused")
        yield from self.maintenance.endless("intranet_bridge_pause_without_end_start_timestamp_seconds")
        for name, places in list(self.places.items()):
            yield from places.samples(name, self.ordering.ready(name))
        for part in (
            self.query_intake, self.command_intake, self.attachment_intake,
            self.dead_letters, self.conflict, self.inbox, self.ordering,
            self.paging, self.predecessors, self.queries, self.workers, self.replies, self.ceilings, self.qr,
            self.notices, self.notice_subscriptions, self.hot, self.prequery, self.imports, self.pushes,
            self.push_tables, self.content, self.settlement, self.internal,
        ):  # fmt: skip
            yield from part.samples()
        for extra in (self.files, self.forwarding):
            if extra is not None:
                yield from extra.samples()
        yield from self.bindings.samples()
        yield from self.requests.samples("intranet_bridge_request_lines_left_out_total")
        yield "intranet_bridge_outbox_in_flight", "Command replies without a receipt", {}, self.outbox.in_hand
        yield from metrics.of_links("intranet_bridge_link", self.links)
        yield from metrics.of_certificates("intranet_bridge", certificate_files(self.settings))

    async def start(self, parts: daemon.Daemon, configuration: Path | None = None) -> None:
        """Start everything, in the order written above. `configuration`: the file to read at a reload."""
        reloads: dict[str, Answer] = {}
        if configuration is not None:
            reload = Reload(
                configuration, self.settings, lambda: self.bindings.bound, self.take_up, self.push_port.prepare
            )
            self.reporter.files = reload.files
            reloads["reload"] = Reloader(parts, reload.reload, self.audit.act).answer
        if self.traced is not None:
            await parts.start("tracing", None, self.traced.close)
        await parts.start("store", self.store.start(), self.store.close)
        await parts.start("lease", self.lease.take(), self.lease.release)
        if self.settings.control.socket is not None:
            answers = {
                "report": self.reporter.report,
                "probe": self.probe.probe,
                **reloads,
                **self.maintenance.answers(),
                **self.draining.answers(),
                **self.circuits.answers(),
                **self.notices.answers(),
                **self.administration.answers(),
                **self.qr.answers(),
                **self.settlement.answers(),
                **self.content.answers(),
                **self.hot_administration.answers(),
                **self.imports.answers(),
                **(self.files.answers() if self.files else {}),
            }
            control = ControlSocket(self.settings.control.socket, answers)
            await parts.start("control", control.start(), control.close)
        await self.history.open(put_back)
        await self.at_rest.open_or_tell()
        await self.lease.know(await self.inbox.owners())
        for name in ("control", "query-replies", "command-replies"):
            await parts.start(name, self.links[name].start(), self.links[name].close)
        await parts.start("outbox", None, self._flush)
        await parts.start("systems", self.bindings.start(), self.bindings.close)
        await self.poison.start()
        await self.maintenance.look()
        await self.inbox.start()
        await self.paging.start()
        self.links["command-replies"].watch(self._swept_when_connected)
        await parts.start("hot changes", self.changes.start(), self.changes.close, self.changes)
        await parts.start("housekeeping", self.housekeeping.start(), self.housekeeping.close)
        await parts.start("content", self.content.start(), self.content.close, self.content)
        await parts.start("handover", self.handover.start(), self.handover.close, self.handover)
        await parts.start("workers", self._start_workers(), self._drain)
        await parts.start("intake", self.subscriptions.start(), self.subscriptions.close)
        await parts.start("qr", self.qr.start(), self.qr.close, self.qr)
        await parts.start("imports", self.imports.start(), self.imports.close, self.imports)
        await parts.start("prequery", self.prequery.start(), self.prequery.close, self.prequery)
        if self.files is not None:
            await parts.start("files", self.files.start(), self.files.close, self.files)
        await parts.start("settlement", self.settlement.start(), self.settlement.close, self.settlement)
        if self.forwarding is not None:
            link = self.links[SUBMISSION_LINK]
            link.watch(lambda connected: self.internal.begin() if connected else None)
            await parts.start(SUBMISSION_LINK, link.start(), link.close)
        await parts.start("own commands", self.internal.start(), self.internal.close, self.internal)
        await parts.start("push tables", self.push_tables.start(), self.push_tables.close, self.push_tables)
        listening = self.push_port.use(self.push_port.prepare(self.settings.pushes))
        await parts.start("pushes", listening, self.push_port.stop, self.push_port)
        if self.settings.desk.enabled:
            from intranet_bridge.desk.assembly import assembled as desk_of

            desk = self.settings.desk
            server = desk_of(
                desk, settlement=self.settlement, content=self.content, store=self.store, clock=self.clock,
                act=self.audit.act,
            )  # fmt: skip
            await parts.start("desk", server.start(), server.stop, server)
            log.info("desk-listening", host=desk.host, port=desk.port, tls=desk.certificate is not None)
        await parts.start("metrics", None, metrics.serve(self.settings.metrics, self.samples))
        await parts.start("doubts", self.doubts.start(), self.doubts.close)
        await parts.start("presence", self.announcer.start(), self.announcer.leave)
        self.administration.ready = self.draining.ready = True
        parts.vitals.update(
            store=self.store, lease=self.lease, jobs=self.housekeeping, queries=self.queries, presence=self.announcer
        )
        parts.vitals.update({f"link {name}": link for name, link in self.links.items()})
        parts.summary, parts.patience_s = self.summary, self.settings.drain_s + STOP_S

    def summary(self) -> str:
        """One line for `systemctl status`."""
        paused = sorted(name for name, state in self.bindings.availability().items() if state is Availability.PAUSED)
        down = sorted(name for name, link in self.links.items() if not link.connected)
        return "; ".join(
            (
                *(["takes nothing new"] if self.draining.active else []),
                f"not connected: {', '.join(down)}" if down else "connected",
                f"{len(self.adapters)} operations" + (f", paused: {', '.join(paused)}" if paused else ""),
                f"{self.queries.in_flight} queries and {self.workers.in_flight} commands being called",
                f"{self.inbox.by_state.get(State.HELD, 0)} held",
            )
        )

    async def _start_workers(self) -> None:
        self.queries.start()
        self.ordering.work.send()

    async def _rest(self) -> None:
        self.workers.rest()
        await asyncio.sleep(LEAVE_S)  # what the fronts send until they have heard of it is still answered
        await self.subscriptions.rest()
        if self.files is not None:
            await self.files.rest()

    async def _go_on(self) -> None:
        self.subscriptions.go_on()
        if self.files is not None:
            self.files.go_on()
        self.workers.go_on()

    def _running(self) -> dict[str, int]:
        return {
            "queries": self.queries.in_hand, "commands": self.workers.in_flight,
            "replies": self.outbox.in_hand,
        }  # fmt: skip

    async def _drain(self) -> None:
        self.administration.ready = self.draining.ready = False
        seconds = self.settings.drain_s
        self.predecessors.close()
        self.paging.close()
        await asyncio.gather(self.queries.drain(seconds), self.workers.drain(seconds))

    def _swept_when_connected(self, connected: bool) -> None:
        if connected:  # what failed with the last connection goes out now, not at the next sweep
            self._sweeping = asyncio.get_running_loop().create_task(self.outbox.sweep())
            self.notices.hurry()

    async def _flush(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_S):
                await self.outbox.drain()
                await self.replies.drain()
                await self.notices.outbox.drain()
        except TimeoutError:
            log.warning("replies-not-flushed", in_hand=self.outbox.in_hand)
