"""Files for the rest of the bridge: what was received, to be read; what is to be handed to a platform.

::

    files.listeners.append(told)                 called with each file as it is accepted
    await files.received(profile, after)         those accepted, in the order of their acceptance
    async for data in files.content(file.id):    its bytes
    await files.submit(target, profile, name, content)

A file is accepted once: the same content under the same name from the same place is the same file, however often it
comes. The same name with other content is another file; which of them counts is not decided here.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from intranet_bridge.at_rest import AtRest, StoreKeyClosed
from intranet_bridge.ceilings.ceilings import Ceilings
from intranet_bridge.files.admission import late
from intranet_bridge.files.intake import FileIntake, about
from intranet_bridge.files.rows import FILES
from intranet_bridge.files_section import FilesSection
from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.intake.dead_letters import DeadLetters
from intranet_bridge.replies import Replies
from protocol.administration import ListFiles, ResendFile, ShowFile, asked
from protocol.chunks import CHUNK_BYTES, Chunk
from protocol.destinations import command_replies, files, outward_files
from protocol.envelope import Opener
from protocol.errors import BridgeError
from protocol.file_transfer import MAX_BYTES, TYPE, BadName, FileManifest, Progress, clean_name, message_id
from protocol.lifecycle import State
from protocol.link.lane import Lane
from protocol.link.port import AckMode, Link, Subscription
from protocol.messages import LOWEST_VERSION, Attributes
from protocol.reports.files import FileReportRow, FilesReport, LateFileReport
from protocol.runtime.audit import Act
from protocol.runtime.clock import Clock
from protocol.runtime.control import Answer, Peer
from protocol.runtime.file_sending import FileSending
from protocol.runtime.file_store import Direction, FileRow, FileState, FileStore, Unreadable
from protocol.runtime.jobs import Jobs
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.region_inbox import selector
from protocol.runtime.store import Store
from protocol.values import immutable

log = logger(__name__)

PREFETCH = 4
"""Messages of up to 192 KB that the broker sends before the earlier ones are on disk."""
_SWEEP_S = 5.0
_REFUSED_MS = 7 * 86_400_000
"""So long `bridgectl status` speaks of a refused file."""


@immutable
class ReceivedFile:
    """A file that was accepted."""

    id: str
    source: str
    """The relay's name of where it is from."""
    name: str
    profile: str
    size: int
    sha256: str
    accepted_at: int
    """Epoch ms."""


class Files:
    """All of one bridge."""

    def __init__(
        self,
        *,
        section: FilesSection,
        store: Store,
        links: Mapping[str, Link],
        opener: Opener,
        inbox: Inbox,
        at_rest: AtRest,
        replies: Replies,
        dead_letters: DeadLetters,
        ceilings: Ceilings,
        name: str,
        region: str,
        clock: Clock,
        act: Act,
    ) -> None:
        """`links`: `files`, `outward-files` and `command-replies`."""
        self.section, self._name, self._region, self._clock, self._act = section, name, region, clock, act
        self._links, self._inbox, self._replies, self._at_rest = links, inbox, replies, at_rest
        self._store = store
        self.files = FileStore(
            store, FILES, "", clock, lambda content, id, number: at_rest.unseal(content, about(id, number))
        )
        self._lane = Lane(links["outward-files"], persistent=True, max_members=1)
        self._window, self._resend_after_s = section.window, section.resend_after_s
        self._sending: dict[str, FileSending] = {}
        """By front: one whose relay does not answer keeps no other's files back."""
        self.intake = FileIntake(
            link=links["files"], opener=opener, inbox=inbox, files=self.files, at_rest=at_rest,
            section=lambda: self.section, replies=replies,
            lane=Lane(links["command-replies"], persistent=True), dead_letters=dead_letters, clock=clock,
            ceilings=ceilings, received=self._tell, heard=self._heard,
        )  # fmt: skip
        self.listeners: list[Callable[[ReceivedFile], None]] = []
        self._fronts: dict[str, str] = {}
        """Of the files on their way outward."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._unsubscribe: Callable[[], None] | None = None
        self._jobs = Jobs()
        self._counts: dict[tuple[str, str], int] = {}
        self._report, self._started = FilesReport(), clock()

    # --- for the rest of the bridge -----------------------------------------------------------------------------

    async def received(
        self, profile: str = "", after: tuple[int, str] = (0, ""), limit: int = 100
    ) -> list[ReceivedFile]:
        """Files of a profile (empty: of any) accepted after one (its `accepted_at` and `id`), in the order of their
        acceptance.
        """
        rows = await self.files.listed(
            states={FileState.ACCEPTED}, direction=Direction.INWARD, profile=profile, decided_after=after, limit=limit
        )
        return [_received(row) for row in rows]

    async def content(self, id: str) -> AsyncIterator[bytes]:
        """The bytes of a file, in pieces. Raises BridgeError for one that is not here, or not whole any more."""
        row = await self.files.find(id)
        if row is None or row.state not in (FileState.ACCEPTED, FileState.SENDING):
            raise BridgeError(f"there is no file {id}")
        try:
            async for data in self.files.content(row):
                yield data
        except Unreadable as error:
            raise BridgeError(str(error)) from error

    async def submit(self, target: str, profile: str, name: str, content: bytes) -> str:
        """Hand a file to the relay of a target; returns its id once it is on disk. The same file twice is one.

        Raises BridgeError for a target or a name that is none, or for a file that is too long.
        """
        front = self.section.targets.get(target)
        if front is None:
            raise BridgeError(f"files.targets: there is no {target}")
        if len(content) > MAX_BYTES:
            raise BridgeError(f"{name} is longer than {MAX_BYTES} bytes")
        try:
            manifest = FileManifest.of(target, clean_name(name), profile, len(content), _sha256(content))
        except BadName as error:
            raise BridgeError(f"not a name of a file: {error}") from None
        # receiving from ourselves, so that a kill on the way leaves nothing that looks whole
        row = await self.files.begin(manifest, Direction.OUTWARD, FileState.RECEIVING, front=front)
        if row.state is FileState.RECEIVING:
            for number in range(row.have + 1, row.chunks + 1):
                data = content[(number - 1) * CHUNK_BYTES : number * CHUNK_BYTES]
                await self.files.add(row.id, number, self._at_rest.seal(data, about(row.id, number)))
            await self.files.move(row.id, {FileState.RECEIVING}, FileState.SENDING)
            log.info("file-submitted", file=row.id, name=row.name, peer=target, bytes=row.size)
        await self.sweep()
        return row.id

    # --- the daemon's -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take files, and send those that wait."""
        if not self.section.enabled:
            return
        self._subscribe()
        for name in ("files", "outward-files"):
            await self._links[name].start()
        await self._jobs.now_and_every(_SWEEP_S, "files", self.sweep)
        await self._jobs.now_and_every(15.0, "count files", self.count)
        self._jobs.every(3600.0, "forget files", self.forget)
        self._jobs.start()

    async def rest(self) -> None:
        """Take nothing."""
        if not self.section.enabled:
            return
        await self.intake.close()
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def go_on(self) -> None:
        """Take again."""
        if self.section.enabled and self._unsubscribe is None:
            self.intake.reopen()
            self._subscribe()

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py)."""
        return self._jobs.standing()

    async def close(self) -> None:
        """Take and send nothing more."""
        if not self.section.enabled:
            return
        await self.rest()
        await self._jobs.close()
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for name in ("files", "outward-files"):
            await self._links[name].close()

    def _subscribe(self) -> None:
        self._unsubscribe = self._links["files"].subscribe(
            Subscription(
                files(self._region), self.intake.handle, AckMode.INDIVIDUAL, PREFETCH,
                {"selector": selector(self._inbox.id)},
            )
        )  # fmt: skip

    async def sweep(self) -> None:
        """Begin to send what is not being sent. Another bridge of the database may do so too: the relay has each chunk
        once all the same.
        """
        if not self.section.enabled:
            return
        waiting = await self.files.listed(states={FileState.SENDING}, direction=Direction.OUTWARD, limit=1000)
        for row in waiting:
            if row.id not in self._tasks and list(self._fronts.values()).count(row.front) < self._window:
                task = asyncio.get_running_loop().create_task(self._send(row), name=f"file {row.id}")
                self._tasks[row.id], self._fronts[row.id] = task, row.front
                task.add_done_callback(lambda _, id=row.id: self._ended(id))  # type: ignore[misc]

    def _ended(self, id: str) -> None:
        del self._tasks[id], self._fronts[id]

    async def _send(self, row: FileRow) -> None:
        sending = self._sending.get(row.front)
        if sending is None:
            sending = self._sending[row.front] = FileSending(
                post=self._post, ready=lambda: self._lane.connected and self._at_rest.is_open, window=self._window,
                resend_after_s=self._resend_after_s,
            )  # fmt: skip
        try:
            answer = await sending.send(row.manifest(), lambda number: self._payload(row.id, number))
        except (Unreadable, StoreKeyClosed) as error:
            log.error("file-unreadable", file=row.id, reason=str(error))
            return
        await self.files.heard(answer)
        log.info("file-handed-over", file=row.id, name=row.name, peer=row.peer, stage=answer.stage, code=answer.code)

    def _heard(self, progress: Progress) -> None:
        front = self._fronts.get(progress.file_id)
        if front in self._sending:
            self._sending[front].heard(progress)

    async def _payload(self, id: str, number: int) -> bytes:
        return Chunk((number - 1) * CHUNK_BYTES, await self.files.chunk(id, number)).payload()

    def _post(self, manifest: FileManifest, number: int, payload: bytes) -> "asyncio.Future[None]":
        front, now = self._fronts[manifest.file_id], self._clock()
        about = Attributes(
            message_id(manifest.file_id, number), self._name, TYPE, now, reply_to=command_replies(front),
            version=LOWEST_VERSION,
        )  # fmt: skip
        return self._lane.post(outward_files(front), self._replies.sealed(about, State.SUCCEEDED, result=payload))

    def _tell(self, row: FileRow) -> None:
        for listener in self.listeners:
            listener(_received(row))

    async def forget(self) -> None:
        """Remove what is older than `keep_days`."""
        gone = await self.files.forget(self._clock() - int(self.section.keep_days * 86_400_000))
        if gone:
            log.info("files-forgotten", count=gone)

    async def count(self) -> None:
        """Count for report and metrics."""
        self._counts = await self.files.counts()
        self._report = await self._counted()

    async def _counted(self) -> FilesReport:
        section, now = self.section, self._clock()
        latest: dict[str, int] = {}
        accepted = await self.files.listed(
            states={FileState.ACCEPTED}, direction=Direction.INWARD, decided_after=(now - 2 * 86_400_000, ""),
            limit=10_000,
        )  # fmt: skip
        for row in accepted:
            latest[row.profile] = max(row.decided_at, latest.get(row.profile, 0))
        refused = await self.files.listed(states={FileState.REFUSED}, decided_after=(now - _REFUSED_MS, ""), limit=100)
        waiting = await self.files.listed(states={FileState.SENDING}, direction=Direction.OUTWARD, limit=1000)
        return FilesReport(
            enabled=True, refused=tuple(report_of(row) for row in refused[-10:]), refused_count=len(refused),
            waiting=len(waiting), oldest=waiting[0].created_at if waiting else 0,
            late=tuple(
                LateFileReport(profile=profile, due=due)
                for profile, due in late(section.profiles, latest, now, section.zone, self._started)
            ),
        )  # fmt: skip

    def report(self) -> FilesReport:
        """As counted last."""
        return self._report

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for (direction, state), count in dict(self._counts).items():
            text = "Files in the database, by direction and state"
            yield "intranet_bridge_files", text, {"direction": direction, "state": state}, count
        for outcome, count in dict(self.intake.taken).items():
            text = "Files from relays, by what was decided"
            yield "intranet_bridge_files_received_total", text, {"outcome": outcome}, count
        for one in self._report.late:
            text = "When a file was due that has not come"
            yield "intranet_bridge_file_late_due_timestamp_seconds", text, {"profile": one.profile}, one.due / 1000
        text = "Messages of files sent outward"
        number = sum(sending.sent for sending in list(self._sending.values()))
        yield "intranet_bridge_file_messages_sent_total", text, {}, number

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
        return [report_of(row).model_dump(mode="json") for row in rows]

    async def show(self, request: Mapping[str, Any], _peer: Peer) -> dict[str, Any]:
        """One."""
        question = asked(ShowFile, request)
        row = await self.files.find(question.id)
        if row is None:
            raise BridgeError(f"there is no file {question.id}: it never came here, or is forgotten")
        return report_of(row).model_dump(mode="json")

    async def resend(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Hand a file over again that its relay refused."""
        question = asked(ResendFile, request)
        row = await self.files.find(question.id)
        if row is None or row.direction is not Direction.OUTWARD:
            raise BridgeError("of files from platforms, the relay sends again: bridgectl files resend, on its host")
        if row.state is not FileState.REFUSED or not await self.files.again(row.id, FileState.SENDING, True):
            raise BridgeError(f"it is {row.state}: only a refused one is sent again")
        await self._act("resend-file", peer.behind(question.sudo_user), file=row.id, name=row.name)
        await self.sweep()
        return {"id": row.id}


def report_of(row: FileRow) -> FileReportRow:
    """What is said of a file to people."""
    return FileReportRow(
        id=row.id, direction=row.direction.value, front=row.front, peer=row.peer, name=row.name, profile=row.profile,
        bytes=row.size, sha256=row.sha256, chunks=row.chunks, have=row.have, state=row.state.value, code=row.code,
        attempt=row.attempt, arrivals=row.arrivals, created=row.created_at, updated=row.updated_at,
        decided=row.decided_at,
    )  # fmt: skip


def _received(row: FileRow) -> ReceivedFile:
    return ReceivedFile(row.id, row.peer, row.name, row.profile, row.size, row.sha256, row.decided_at)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
