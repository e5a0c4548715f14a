"""Files from relays: each message is opened, judged, sealed anew and written down, and its relay is told how the file
stands. What relays say of files from us comes the same way.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import field

from intranet_bridge.at_rest import AtRest
from intranet_bridge.ceilings.ceilings import Ceilings
from intranet_bridge.files.admission import refusal
from intranet_bridge.files_section import FilesSection
from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.intake.dead_letters import DeadLetters
from intranet_bridge.intake.stored import StoredIntake
from intranet_bridge.intake.verdict import authentic_command
from intranet_bridge.replies import Replies
from protocol.destinations import checked_reply
from protocol.envelope import Opener
from protocol.errors import EnvelopeError, LinkError, Malformed, NotAdmitted, OutOfRange
from protocol.file_transfer import RECEIPT, TYPE, FileManifest, Progress, Stage, checked_chunk, parsed_id
from protocol.lifecycle import State
from protocol.link.lane import Lane
from protocol.link.port import Link
from protocol.messages import Attributes
from protocol.runtime.clock import Clock
from protocol.runtime.file_store import UNFINISHED, Direction, FileRow, FileState, FileStore, Unreadable, progress
from protocol.runtime.logs import logger
from protocol.values import immutable

log = logger(__name__)

_REPLIES = "/queue/bridge.reply.command."


@immutable
class FileMessage:
    """One that is authentic."""

    front: str
    file: str
    number: int
    payload: bytes = field(repr=False)
    said: Progress | None = None
    """What a relay says of a file from us."""


def about(id: str, number: int) -> str:
    """What a chunk is sealed with at rest: it opens in its own place alone."""
    return f"file {id}:{number}"


class FileIntake(StoredIntake[FileMessage, Progress | None]):
    """Messages of files go to the database."""

    def __init__(
        self,
        *,
        link: Link,
        opener: Opener,
        inbox: Inbox,
        files: FileStore,
        at_rest: AtRest,
        section: Callable[[], FilesSection],
        replies: Replies,
        lane: Lane,
        dead_letters: DeadLetters,
        clock: Clock,
        ceilings: Ceilings,
        received: Callable[[FileRow], None],
        heard: Callable[[Progress], None],
    ) -> None:
        """`lane`: on which relays are told. `received`: told of each file that is accepted. `heard`: of what relays say
        of files from us.
        """
        super().__init__(link, inbox, dead_letters)
        self._opener, self._files, self._at_rest, self._section = opener, files, at_rest, section
        self._replies, self._lane, self._clock, self._ceilings = replies, lane, clock, ceilings
        self._received, self._heard = received, heard
        self._deciding = asyncio.Lock()
        self.taken: Counter[str] = Counter()
        """Files that were decided, by `accepted` or the code of their refusal."""

    def _judged(self, envelope: bytes) -> tuple[Attributes, FileMessage]:
        opened = authentic_command(self._opener, envelope, self._clock())
        a = opened.attributes
        if a.type not in (TYPE, RECEIPT):
            raise Malformed("no file on the lane of files")
        if not checked_reply(a.reply_to).startswith(_REPLIES):
            raise Malformed("reply_to is not for files")
        if not self._ceilings.admits_front(a.source, a.group) or not self._ceilings.may_answer(a.reply_to, a.group):
            raise NotAdmitted("the bridge's configuration does not admit its front")
        front = a.reply_to.rpartition(".")[2]
        if a.type == RECEIPT:
            said = Progress.from_payload(opened.payload)
            return a, FileMessage(front, said.file_id, said.number, b"", said)
        file, number = parsed_id(a.id)
        if not number and FileManifest.from_payload(opened.payload).file_id != file:
            raise Malformed("the manifest of another file")
        return a, FileMessage(front, file, number, opened.payload)

    async def _stored(self, message: FileMessage) -> Progress | OutOfRange | None:
        files, said = self._files, message.said
        if said is not None:
            row = await files.find(said.file_id)
            if row is not None and self._ceilings.foreign(message.front, row.front):
                return OutOfRange("it is about another front's file")
            await files.heard(said)
            self._heard(said)
            return None
        if not message.number:
            manifest = FileManifest.from_payload(message.payload)
            section = self._section()
            row = await files.begin(
                manifest, Direction.INWARD, FileState.RECEIVING, front=message.front,
                refusal=lambda held: refusal(manifest, section, held),
            )  # fmt: skip
            if row.state is FileState.REFUSED and row.arrivals == 1:
                self.taken[row.code] += 1
                log.warning("file-refused", file=row.id, name=row.name, profile=row.profile, code=row.code)
        else:
            found = await files.find(message.file)
            if found is None:
                return Progress(file_id=message.file, number=message.number, stage=Stage.UNKNOWN)
            row = found
            if row.state is FileState.RECEIVING and message.number <= row.chunks:
                try:
                    chunk = checked_chunk(message.payload, row.size, message.number)
                except EnvelopeError:
                    return OutOfRange("not a chunk of this file")
                sealed = self._at_rest.seal(chunk.data, about(row.id, message.number))
                row = await files.add(row.id, message.number, sealed) or row
        if row.direction is not Direction.INWARD or self._ceilings.foreign(message.front, row.front):
            return OutOfRange("it is not this front's file")
        if row.state is FileState.RECEIVING and row.have == row.chunks:
            row = await self._decide(row)
        return progress(row, message.number)

    async def _decide(self, row: FileRow) -> FileRow:
        async with self._deciding:  # a file is read once, and one at a time: it may be half a GB
            row = await self._files.find(row.id) or row
            if row.state not in UNFINISHED:
                return row
            try:
                sound = await self._files.sound(row)
            except Unreadable as error:
                log.error("file-unreadable", file=row.id, reason=str(error))
                sound = False
            after, code = (FileState.ACCEPTED, "") if sound else (FileState.REFUSED, "digest")
            moved = await self._files.move(row.id, {FileState.RECEIVING}, after, code)
            row = await self._files.find(row.id) or row
        if moved and sound:
            self.taken["accepted"] += 1
            log.info("file-accepted", file=row.id, name=row.name, profile=row.profile, bytes=row.size)
            self._received(row)
        elif moved:
            self.taken[code] += 1
            await self._files.drop(row.id)
            log.error("file-refused", file=row.id, name=row.name, profile=row.profile, code=code)
        return row

    def _tell(self, attributes: Attributes, answer: Progress | None) -> None:
        if answer is None:
            return
        sealed = self._replies.sealed(attributes, State.SUCCEEDED, result=answer.payload())
        try:
            self._lane.post(attributes.reply_to, sealed)
        except LinkError:
            log.info("file-receipt-not-sent", file=answer.file_id)  # the relay sends it again, and hears then

    def _for_another_inbox(self, own: str) -> None:
        log.error("file-for-another-inbox", inbox=own)

    def _failed(self, reason: str, failures: int) -> None:
        log.error("file-not-stored", reason=reason, failures=failures)
