"""A bank's answer arrives, is judged whole, and takes effect line by line.

The verdict is on disk before any line is; then the lines follow, some in a transaction, each with what follows of it:
a write-off, a hold that ends, a retry or the customer's notice. After a crash the file is read again, and only what had
not yet taken effect does.
"""

import asyncio
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, time
from functools import partial
from typing import Any

from sqlalchemy import Connection, select

from intranet_bridge.commands.internal import InternalCommand, InternalCommands
from intranet_bridge.files.service import Files, ReceivedFile
from intranet_bridge.notices.outbox import Notices
from intranet_bridge.settlement import file_cursors
from intranet_bridge.settlement.days import day_of
from intranet_bridge.settlement.statements.verdicts import Code, Finding, StatementRefused
from intranet_bridge.settlement.withholding import holds, records
from intranet_bridge.settlement.withholding.asking import CONSUMER, WRITE_OFF
from intranet_bridge.settlement.withholding.files import (
    Answer,
    Batch,
    Charge,
    Line,
    Outcome,
    answer_name,
    answered_again,
    read_answer,
)
from intranet_bridge.settlement.withholding.life import ANSWERABLE, OF_ANSWER, BatchState, LineState, retry_on
from intranet_bridge.settlement.withholding.records import Arrangement, L
from intranet_bridge.settlement.withholding.rows import ANSWERS, LINES
from intranet_bridge.settlement.withholding.telling import not_paid
from protocol.errors import BridgeError
from protocol.operations.payment import Writeoff
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.logs import logger
from protocol.runtime.store import Store
from protocol.runtime.store_statements import insert_new
from protocol.times import CHINA

log = logger(__name__)

_AT_ONCE = 500
"""Lines of an answer in one transaction."""
_FILES = 100
READER = "withholding"
"""Of the cursors of files."""
_BEFORE_ANSWER = frozenset({LineState.WAITING, LineState.WITHDRAWN, LineState.DROPPED})
_BY_STATE = {
    LineState.REQUESTED: Line.UNANSWERED,
    LineState.UNANSWERED: Line.UNANSWERED,
    LineState.CHARGED: Line.CHARGED,
    LineState.WRITTEN_OFF: Line.CHARGED,
    LineState.NOT_WRITTEN_OFF: Line.CHARGED,
    LineState.REFUSED: Line.REFUSED,
    LineState.AMOUNT_DIFFERS: Line.AMOUNT_DIFFERS,
    LineState.UNKNOWN_LINE: Line.UNKNOWN,
}


class Answering:
    """What takes answers."""

    def __init__(
        self, arrangements: Mapping[str, Arrangement], *, store: Store, commands: Callable[[], InternalCommands],
        files: Callable[[], Files | None], notices: Callable[[], Notices], clock: Clock,
    ) -> None:  # fmt: skip
        self._arrangements, self._store, self._clock = arrangements, store, clock
        self._commands, self._files, self._notices = commands, files, notices

    async def look(self) -> None:
        """Take what came since the last look, and what a crash has left. Raises what the store raises."""
        files = self._files()
        if files is None:
            return
        for profile in sorted({one.section.answer_profile for one in self._arrangements.values()}):
            await self._look(files, profile)

    async def _look(self, files: Files, profile: str) -> None:
        """What came of one profile; all of it that had no effect, when it is judged by something else now."""
        judged_by = self._judged_by(profile)
        cursor = await self._store.read(partial(file_cursors.read, reader=READER, profile=profile))
        anew = bool(cursor.judged_by) and cursor.judged_by != judged_by
        after, taken = (
            file_cursors.BEGINNING if anew else cursor.to,
            {None, "applying"} | ({"refused"} if anew else set()),
        )
        again = 0
        while came := await files.received(profile, after, _FILES):
            states = await self._store.read(partial(_known, ids=[file.id for file in came]))
            for file in came:
                if (state := states.get(file.id)) in taken:
                    again += state == "refused"
                    await self.take(files, file)
            after = (came[-1].accepted_at, came[-1].id)
            await self._store.write(partial(file_cursors.advance, reader=READER, profile=profile, to=after))
        if cursor.judged_by != judged_by:
            await self._store.write(partial(file_cursors.judge_by, reader=READER, profile=profile, judged_by=judged_by))
        if again:
            log.info("files-judged-again", reader=READER, profile=profile, count=again)

    def _judged_by(self, profile: str) -> str:
        """A digest of what answers of a profile are judged by."""
        return file_cursors.digest_of(
            sorted(
                (one.org, one.unit, one.bank, sorted(one.flags.items()), sorted(one.answer_words))
                for one in (each.section for each in self._arrangements.values())
                if one.answer_profile == profile
            )
        )

    async def take(self, files: Files, file: ReceivedFile) -> None:
        """One answer: judged, and what it says done."""
        try:
            content = b"".join([piece async for piece in files.content(file.id)])
        except BridgeError as error:
            await self._refused(file, StatementRefused(Code.UNREADABLE, Finding(str(error))))
            return
        try:
            arrangement, batch, answer, known = await self._judged(file, content)
        except StatementRefused as refused:
            await self._refused(file, refused)
            return
        if answer is None:
            await self._store.write(partial(self._written, file=file, batch=batch.id, state="duplicate"))
            return
        filled, findings = answered_again(known, answer)
        said = [*answer.warnings, *findings]
        await self._store.write(partial(self._accepted, file=file, batch=batch, filled=len(filled), findings=said))
        reach(Point.BRIDGE_ANSWER_JUDGED, batch.id)
        for part in _parts([*filled.values(), *_unanswered(known, answer)]):
            await self._store.write(partial(self._apply, arrangement=arrangement, batch=batch, outcomes=part))
            reach(Point.BRIDGE_ANSWER_COMMITTED, batch.id)
            self._commands().begin()
        self._notices().hurry()
        await self._store.write(partial(self._done, file=file.id))
        log.info(
            "withholding-answered", batch=batch.id, file=file.id, lines=len(answer.lines), filled=len(filled),
            findings=len(said),
        )  # fmt: skip

    # --- judging --------------------------------------------------------------------------------------------

    async def _judged(
        self, file: ReceivedFile, content: bytes
    ) -> tuple[Arrangement, Any, Answer | None, Mapping[str, Outcome]]:
        """The batch, what the answer says (None: it was said before, in the same bytes), and what was known. Raises
        StatementRefused.
        """
        of_profile = [
            one for one in self._arrangements.values() if one.section.answer_profile == file.profile
        ]  # fmt: skip
        named = answer_name(file.name, {word for one in of_profile for word in one.section.answer_words})
        if named.tidied:
            log.warning("withholding-name-tidied", file=file.id, name=named.name)
        arrangement = next(
            (one for one in of_profile if (one.section.org, one.section.unit) == (named.org, named.unit)), None
        )
        batch = None
        if arrangement is not None:
            id = arrangement.batch(named.day)
            batch = await self._store.read(partial(records.batch_of, id=id))
        if arrangement is None or batch is None or not batch.file:
            raise StatementRefused(Code.WRONG_BATCH, Finding("no request was sent of this name", found=named.name))
        if await self._store.read(partial(_came_before, batch=batch.id, sha256=file.sha256, but=file.id)):
            return arrangement, batch, None, {}
        lines = await self._store.scan(partial(_asked, batch=batch.id))
        request, known = _request(batch, lines), _outcomes(lines)
        flags = arrangement.section.flags
        answer = await asyncio.to_thread(read_answer, partial(io.BytesIO, content), request, flags)
        return arrangement, batch, answer, known

    async def _refused(self, file: ReceivedFile, refused: StatementRefused) -> None:
        try:
            named = answer_name(file.name, {w for one in self._arrangements.values() for w in one.section.answer_words})
            batch = f"{named.org}-{named.unit}-{named.day:%Y%m%d}"
        except StatementRefused:
            batch = ""
        findings = _json(refused.findings)
        await self._store.write(partial(self._refused_in, file=file, batch=batch, code=refused.code, findings=findings))
        log.error("withholding-answer-refused", batch=batch, file=file.id, reason=str(refused))

    def _refused_in(self, connection: Connection, file: ReceivedFile, batch: str, code: str, findings: str) -> None:
        # what was judged before a crash, and cannot be read again, goes on when it comes again
        self._written(connection, file, batch, "refused", code, findings, over=("refused", "applying"))

    def _written(
        self, connection: Connection, file: ReceivedFile, batch: str, state: str, code: str = "",
        findings: str = "[]", filled: int = 0, over: Sequence[str] = ("refused",),
    ) -> None:  # fmt: skip
        """The verdict on a file, the first or one in place of a verdict of these."""
        now = self._clock()
        values = {
            "file": file.id, "batch": batch, "name": file.name, "sha256": file.sha256, "state": state, "code": code,
            "findings": findings, "filled": filled, "received_at": file.accepted_at, "updated_at": now,
        }  # fmt: skip
        if not insert_new(connection, ANSWERS, [values]):
            before = ANSWERS.c.file == file.id, ANSWERS.c.state.in_(over)
            connection.execute(ANSWERS.update().where(*before).values(values))

    def _accepted(
        self, connection: Connection, file: ReceivedFile, batch: Any, filled: int, findings: Sequence[Finding]
    ) -> None:
        now = self._clock()
        self._written(connection, file, batch.id, "applying", "", _json(findings), filled)
        records.move_batch(connection, batch.id, BatchState.SENT, now, sent_at=now)  # it has come, whoever says so
        if filled or batch.state != BatchState.CLOSED:
            records.move_batch(connection, batch.id, BatchState.ANSWERED, now, answered_at=now)

    def _done(self, connection: Connection, file: str) -> None:
        mine = ANSWERS.c.file == file, ANSWERS.c.state == "applying"
        connection.execute(ANSWERS.update().where(*mine).values(state="accepted", updated_at=self._clock()))

    # --- lines ----------------------------------------------------------------------------------------------

    def _apply(self, connection: Connection, arrangement: Arrangement, batch: Any, outcomes: Sequence[Outcome]) -> None:
        now = self._clock()
        unknown = [outcome for outcome in outcomes if outcome.state is Line.UNKNOWN]
        if unknown:
            insert_new(connection, LINES, [_unasked(arrangement, batch, one, now) for one in unknown])
        ids = sorted(outcome.det_id for outcome in outcomes if outcome.state is not Line.UNKNOWN)
        found = connection.execute(select(LINES).where(L.id.in_(ids)).order_by(L.id).with_for_update()).all()
        rows = {
            row.id: row for row in found
            if row.batch == batch.id and row.state in ANSWERABLE and not (row.debited and row.ended_at)
        }  # fmt: skip
        commands: list[InternalCommand] = []
        for outcome in outcomes:
            row = rows.get(outcome.det_id)
            if row is None or outcome.state is Line.UNKNOWN:
                continue
            values: dict[str, Any] = {
                "debited": outcome.debited, "paid_on": outcome.paid_at, "bank_number": outcome.bank_number[:64],
                "reason": records.shortened(outcome.reason or outcome.extend),
            }  # fmt: skip
            if outcome.state is Line.REFUSED and row.hold in holds.HELD:
                values["hold"] = "releasing"
            if row.state == LineState.RELEASED:
                values |= _charged_after_release(connection, row)
            if not records.move(connection, row.id, OF_ANSWER[outcome.state], now, **values):
                continue
            if outcome.state is Line.CHARGED:
                commands.append(self._write_off(arrangement, row, outcome, now))
            elif outcome.state is Line.REFUSED:
                if "hold" in values:
                    commands.append(holds.release(arrangement, row))
                self._refused_line(connection, arrangement, row, now)
        if commands:
            self._commands().record(connection, commands)
        reach(Point.BRIDGE_ANSWER_UNCOMMITTED, batch.id)

    def _write_off(self, arrangement: Arrangement, row: Any, outcome: Outcome, now: int) -> InternalCommand:
        assert outcome.paid_at is not None, "a charged line says when"
        paid = datetime.combine(outcome.paid_at, time.min, CHINA)
        body = Writeoff(
            account=row.account, amount=outcome.debited, channel=arrangement.section.channel, transaction=row.id,
            paid_at=paid.isoformat(), booked_on=max(day_of(now), outcome.paid_at).isoformat(), months=(row.month,),
        )  # fmt: skip
        return InternalCommand(row.id, WRITE_OFF, body, CONSUMER, arrangement.region)

    def _refused_line(self, connection: Connection, arrangement: Arrangement, row: Any, now: int) -> None:
        due = retry_on(row.first_day, row.tries, arrangement.section.retry_days)
        if due is not None:
            records.again(connection, row.id, due, now)
            return
        not_paid(connection, self._notices, row, row.tries + 1, now)

    # --- batches --------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Batches whose lines have come to an end: applied when nothing is being written off, closed when no line is
        open any more; of one that no bank has answered, when people have released them all.
        """
        wanted = {BatchState.ANSWERED, BatchState.APPLIED, BatchState.OVERDUE}
        names = self._arrangements.keys()
        for batch in await self._store.read(partial(records.batches_in, wanted=wanted, names=names)):
            await self._store.write(partial(self._settled, id=batch.id))

    def _settled(self, connection: Connection, id: str) -> None:
        applying = select(ANSWERS.c.file).where(ANSWERS.c.batch == id, ANSWERS.c.state == "applying")
        counted = records.states(connection, id)
        now = self._clock()
        if connection.execute(applying).first() or counted.keys() & {LineState.REQUESTED, LineState.CHARGED}:
            return
        records.move_batch(connection, id, BatchState.APPLIED, now)
        if not counted.keys() & set(records.OPEN):
            records.move_batch(connection, id, BatchState.CLOSED, now, closed_at=now)


def _charged_after_release(connection: Connection, row: Any) -> dict[str, Any]:
    """What changes of a released line that was charged all the same: it is open again, and its bill nobody else's;
    unless that has been asked for under another number since.
    """
    other = records.in_flight(connection, row.company, row.account, row.month)
    return {"ended_at": None} if other is None else {"code": records.ASKED_AGAIN}


def _unanswered(known: Mapping[str, Outcome], answer: Answer) -> Iterable[Outcome]:
    return (one for one in answer.lines.values() if one.state is Line.UNANSWERED and one.det_id in known)


def _parts(outcomes: Sequence[Outcome]) -> Iterable[Sequence[Outcome]]:
    for first in range(0, len(outcomes), _AT_ONCE):
        yield outcomes[first : first + _AT_ONCE]


def _unasked(arrangement: Arrangement, batch: Any, outcome: Outcome, now: int) -> dict[str, Any]:
    return {
        "id": f"{batch.id}/{outcome.det_id}"[:96], "det_id": outcome.det_id[:32], "batch": batch.id,
        "state": LineState.UNKNOWN_LINE, "company": arrangement.section.company, "account": "", "agreement": "",
        "pay_account": b"", "quantity": "", "bill": "", "month": "", "amount": 0, "penalty": 0, "request": "",
        "source": "bank", "tries": 0, "first_day": batch.day, "checked_at": 0, "hold": "", "code": "",
        "reason": records.shortened(outcome.extend), "debited": outcome.debited, "paid_on": outcome.paid_at,
        "bank_number": outcome.bank_number[:64], "payment": "", "said": "[]", "created_at": now, "updated_at": now,
    }  # fmt: skip


def _request(batch: Any, lines: Sequence[Any]) -> Batch:
    """What was asked, as far as an answer is compared with it: without bank accounts."""
    asked = (line for line in lines if line.id == line.det_id)
    charges = tuple(
        Charge(
            line.det_id, line.account, batch.unit, "", line.quantity, line.bill, line.month.replace("-", ""),
            line.amount, line.penalty,
        )
        for line in asked
    )  # fmt: skip
    return Batch(batch.org, batch.unit, batch.day, batch.bank, batch.in_transit, charges)


def _outcomes(lines: Sequence[Any]) -> dict[str, Outcome]:
    """What an earlier answer, or a person, has said of each line."""
    return {line.det_id: Outcome(line.det_id, _said(line), debited=line.debited, line=0) for line in lines}


def _said(line: Any) -> Line:
    if line.state != LineState.RELEASED:
        return _BY_STATE[LineState(line.state)]
    if line.id != line.det_id:
        return Line.UNKNOWN
    # what a person released unanswered, and was charged all the same, is honoured; what is settled stays so
    return Line.AMOUNT_DIFFERS if line.debited else Line.UNANSWERED


def _asked(connection: Connection, batch: str) -> Sequence[Any]:
    columns = (
        L.id, L.det_id, L.account, L.quantity, L.bill, L.month, L.amount, L.penalty, L.state, L.debited,
    )  # fmt: skip
    wanted = select(*columns).where(L.batch == batch, L.state.not_in(sorted(_BEFORE_ANSWER)))
    return connection.execute(wanted).all()


def _known(connection: Connection, ids: Sequence[str]) -> Mapping[str, str]:
    wanted = select(ANSWERS.c.file, ANSWERS.c.state).where(ANSWERS.c.file.in_(ids))
    return {row.file: row.state for row in connection.execute(wanted)}


def _came_before(connection: Connection, batch: str, sha256: str, but: str) -> bool:
    same = ANSWERS.c.batch == batch, ANSWERS.c.sha256 == sha256, ANSWERS.c.file != but
    return connection.execute(select(ANSWERS.c.file).where(*same, ANSWERS.c.state == "accepted")).first() is not None


def _json(findings: Iterable[Finding]) -> str:
    return json.dumps(
        [
            {
                "line": one.line, "column": one.column, "what": one.what, "expected": one.expected,
                "found": one.found,
            }
            for one in list(findings)[:100]
        ],
        ensure_ascii=False,
    )  # fmt: skip
