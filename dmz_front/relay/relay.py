"""The relay, put together: sources, targets, the two lanes of files, and what an administrator asks of them."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

from dmz_front.files_section import FileSourceSection, FilesSection, FileTargetSection
from dmz_front.ledger.rows import FILES
from dmz_front.relay.inward import Source
from dmz_front.relay.outward import OutwardIntake, Target
from dmz_front.relay.places import LocalPlace, Place
from dmz_front.relay.standing import Standing
from protocol.administration import ListFiles, ResendFile, ShowFile, asked
from protocol.destinations import Route, files, outward_files
from protocol.envelope import Kind, Opener, Sealer
from protocol.errors import BridgeError, ConfigurationError, EnvelopeError, LinkError
from protocol.file_transfer import MAX_BYTES, RECEIPT, TYPE, FileManifest, Progress, checked_chunk, message_id
from protocol.link.lane import Lane
from protocol.link.port import AckMode, Link, Subscription
from protocol.messages import Attributes, GrowingIds, Reply
from protocol.reports.files import FileReportRow, FilesReport
from protocol.runtime.applications import RELAY
from protocol.runtime.audit import Act
from protocol.runtime.clock import Clock
from protocol.runtime.control import Answer, Peer
from protocol.runtime.file_sending import FileSending
from protocol.runtime.file_store import Direction, FileRow, FileState, FileStore
from protocol.runtime.jobs import Jobs
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.store import Store
from protocol.runtime.watchdog import ended

log = logger(__name__)

PREFETCH = 4
_REFUSED_MS = 7 * 86_400_000


class Relay:
    """All of one front."""

    def __init__(
        self,
        *,
        section: FilesSection,
        store: Store,
        lane: Lane,
        link: Link,
        sealer: Sealer,
        opener: Opener,
        opener_of_chunks: Opener,
        route: Route,
        region: str,
        wire_version: Callable[[], int],
        taken: Callable[[], bool],
        resend_after_s: float,
        clock: Clock,
        act: Act,
    ) -> None:
        """`lane`: to the bridge; `link`: from it. `route`: of commands, by whose replies the bridge answers. `taken`:
        whether a bridge is there that takes files. `opener_of_chunks`: one of its own, for it is used in threads.
        """
        self._section, self._lane, self._link, self._sealer, self._opener = (
            section,
            lane,
            link,
            sealer,
            opener_of_chunks,
        )
        self._route, self._region, self._wire_version, self._clock, self._act = route, region, wire_version, clock, act
        self._ids = GrowingIds()
        self.files = FileStore(store, FILES, route.front, clock, self._opened_chunk)
        self.sending = FileSending(
            post=self._post, ready=lambda: lane.connected and taken(), window=section.window,
            resend_after_s=resend_after_s,
        )  # fmt: skip
        self._taken = taken
        self.sources = {name: self._source(name, one) for name, one in section.sources.items()}
        self.targets = {name: self._target(name, one) for name, one in section.targets.items()}
        self.intake = OutwardIntake(
            link=link, opener=opener, files=self.files, targets=lambda: frozenset(self.targets),
            total_bytes=section.total_bytes, tell=self._tell, whole=lambda peer: self.targets[peer].hurry(),
            clock=clock,
        )  # fmt: skip
        self._parts: list[Source | Target] = [*self.sources.values(), *self.targets.values()]
        self._tasks: list[asyncio.Task[None]] = []
        self._jobs = Jobs()
        self._report = FilesReport(enabled=True)
        self._counts: dict[tuple[str, str], int] = {}

    def _source(self, name: str, section: FileSourceSection) -> Source:
        standing = self._standing(name, "source", section.server)
        source = Source(
            name, section, opened=self._place(section.server, section.folder), standing=standing, files=self.files,
            sending=self.sending, ready=lambda: self._lane.connected and self._taken(),
        )  # fmt: skip
        standing.waiting = lambda: source.waiting
        return source

    def _target(self, name: str, section: FileTargetSection) -> Target:
        return Target(
            name, section, opened=self._place(section.server, section.folder),
            standing=self._standing(name, "target", section.server), files=self.files, front=self._route.front,
            tell=self._tell,
        )  # fmt: skip

    def _standing(self, name: str, use: Any, server: str | None) -> Standing:
        pinned = self._section.servers[server].known_hosts if server else None
        return Standing(name, use, server or "drop", self._clock, pinned)

    def _place(self, server: str | None, folder: str) -> Callable[[], AbstractAsyncContextManager[Place]]:
        if server is None:
            return partial(_local, folder)
        from dmz_front.relay.sftp import opened  # a quarter of a second, which a front without servers does not take

        return partial(opened, self._section.servers[server], folder)

    # --- the daemon's -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take files from the bridge, and look at the sources."""
        self._link.subscribe(
            Subscription(outward_files(self._route.front), self.intake.handle, AckMode.INDIVIDUAL, PREFETCH)
        )
        loop = asyncio.get_running_loop()
        for part in self._parts:
            self._tasks.append(loop.create_task(part.run(), name=f"files {part.name}"))
        await self._jobs.now_and_every(15.0, "count files", self.count)
        self._jobs.every(3600.0, "forget files", self.forget)
        self._jobs.start()

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py)."""
        gone = (ended(task, f"{part.name}'s loop") for task, part in zip(self._tasks, self._parts, strict=False))
        return "; ".join(filter(None, (*gone, self._jobs.standing())))

    async def close(self) -> None:
        """Take nothing more, and begin nothing."""
        await self.intake.close()
        await self._jobs.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def answers_of_bridge(self, replies: Sequence[Reply]) -> None:
        """The bridge has stored messages of ours."""
        for reply in replies:
            try:
                self.sending.heard(Progress.from_payload(reply.result))
            except EnvelopeError as error:
                log.warning("file-receipt-refused", reason=error.reason)

    def _post(self, manifest: FileManifest, number: int, payload: bytes) -> "asyncio.Future[None]":
        return self._lane.post(files(self._region), self._sealed(TYPE, message_id(manifest.file_id, number), payload))

    def _tell(self, progress: Progress) -> None:
        sealed = self._sealed(RECEIPT, self._ids.next(self._clock(), os.urandom(10)), progress.payload())
        try:
            self._lane.post(files(self._region), sealed)
        except LinkError:
            log.info("file-receipt-not-sent", file=progress.file_id)  # the bridge sends again, and hears then

    def _sealed(self, type: str, id: str, payload: bytes) -> bytes:
        now, route = self._clock(), self._route
        attributes = Attributes(
            id, f"{route.front}/{RELAY}", type, now, reply_to=route.reply_to, version=self._wire_version()
        )
        return self._sealer.seal(Kind.REQUEST, attributes, payload, now_ms=now)

    def _opened_chunk(self, sealed: bytes, _id: str, number: int) -> bytes:
        try:
            opened = self._opener.authentic(sealed)
            result = Reply.from_payload(opened.attributes, opened.payload).result
            size = min(MAX_BYTES, int.from_bytes(result[:8], "big") + len(result) - 8)
            return checked_chunk(result, size, number).data
        except EnvelopeError as error:
            raise ValueError(error.reason) from error

    async def forget(self) -> None:
        """Remove what is older than `keep_days`."""
        gone = await self.files.forget(self._clock() - int(self._section.keep_days * 86_400_000))
        if gone:
            log.info("files-forgotten", count=gone)

    async def count(self) -> None:
        """Count for report and metrics."""
        self._counts = await self.files.counts()
        week = self._clock() - _REFUSED_MS
        refused = await self.files.listed(states={FileState.REFUSED}, decided_after=(week, ""), limit=100)
        states = {FileState.SENDING, FileState.RECEIVING, FileState.WHOLE, FileState.ACCEPTED}
        open_ones = [
            row
            for row in await self.files.listed(states=states, limit=1000)
            if row.state is not FileState.ACCEPTED or row.direction is Direction.INWARD
        ]
        self._report = FilesReport(
            enabled=True, refused=tuple(report_of(row) for row in refused[-10:]), refused_count=len(refused),
            waiting=len(open_ones), oldest=open_ones[0].created_at if open_ones else 0,
        )  # fmt: skip

    def report(self) -> FilesReport:
        """Files as counted last, places as they are."""
        places = [part.standing.report() for part in self._parts]
        return self._report.model_copy(update={"places": tuple(places)})

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for (direction, state), count in dict(self._counts).items():
            text = "Files in the database, by direction and state"
            yield "dmz_front_files", text, {"direction": direction, "state": state}, count
        for name, source in self.sources.items():
            text = "Files of a source that the bridge has and that were archived there"
            yield "dmz_front_files_archived_total", text, {"source": name}, source.archived
        for name, target in self.targets.items():
            text = "Files laid down at a target"
            yield "dmz_front_files_laid_down_total", text, {"target": name}, target.laid
        for part in self._parts:
            labels = {"place": part.name, "use": part.standing.use}
            text = "1: a source or target of files was reached when it was last tried, or not tried yet"
            yield "dmz_front_file_place_up", text, labels, float(part.standing.state in ("ok", "not-tried"))
            text = "1: the server of a source or target shows a host key that is not the pinned one"
            changed = float(part.standing.state == "host-key-changed")
            yield "dmz_front_file_place_host_key_changed", text, labels, changed
        yield "dmz_front_file_messages_sent_total", "Messages of files sent to the bridge", {}, self.sending.sent

    # --- an administrator's ---------------------------------------------------------------------------------------

    def answers(self) -> Mapping[str, Answer]:
        """What can be asked."""
        return {"files": self.list, "file": self.show, "resend-file": self.resend}

    async def list(self, request: Mapping[str, Any], _peer: Peer) -> list[dict[str, Any]]:
        """Files, the oldest first."""
        question = asked(ListFiles, request)
        rows = await self.files.listed(
            states=question.states, direction=question.direction, peer=question.peer, limit=question.limit
        )
        return [self._row(row).model_dump(mode="json") for row in rows]

    async def show(self, request: Mapping[str, Any], _peer: Peer) -> dict[str, Any]:
        """One."""
        question = asked(ShowFile, request)
        row = await self.files.find(question.id)
        if row is None:
            raise BridgeError(f"there is no file {question.id}: it never came here, or is forgotten")
        return self._row(row).model_dump(mode="json")

    async def resend(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Send a file to the bridge again that it refused; it is still where it was found."""
        question = asked(ResendFile, request)
        row = await self.files.find(question.id)
        if row is None or row.direction is not Direction.INWARD:
            raise BridgeError("of files for platforms, the bridge sends again: bridgectl files resend, on its host")
        if row.state is not FileState.REFUSED or not await self.files.again(row.id, FileState.SENDING, False):
            raise BridgeError(f"it is {row.state}: only a refused one is sent again")
        await self._act("resend-file", peer.behind(question.sudo_user), file=row.id, name=row.name)
        if (source := self.sources.get(row.peer)) is not None:
            source.forgive(row.id)
        return {"id": row.id}

    def _row(self, row: FileRow) -> FileReportRow:
        have = self.sending.have.get(row.id)
        return report_of(row) if have is None else report_of(row).model_copy(update={"have": have})


def report_of(row: FileRow) -> FileReportRow:
    """What is said of a file to people."""
    return FileReportRow(
        id=row.id, direction=row.direction.value, front=row.front, peer=row.peer, name=row.name, profile=row.profile,
        bytes=row.size, sha256=row.sha256, chunks=row.chunks, have=row.have, state=row.state.value, code=row.code,
        attempt=row.attempt, arrivals=row.arrivals, created=row.created_at, updated=row.updated_at,
        decided=row.decided_at,
    )  # fmt: skip


def check(section: FilesSection) -> None:
    """Read what every server needs. Raises ConfigurationError naming the file."""
    import asyncssh

    for server in section.servers.values():
        for file, read in ((server.key, asyncssh.read_private_key), (server.known_hosts, asyncssh.read_known_hosts)):
            try:
                read(str(file))
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) and error.strerror else "cannot be read"
                raise ConfigurationError(reason, file=str(file)) from error


@asynccontextmanager
async def _local(folder: str) -> AsyncIterator[Place]:
    yield LocalPlace(folder)
