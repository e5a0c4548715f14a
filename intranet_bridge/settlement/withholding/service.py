"""Withholding, put together: what the settlement starts, asks and shows of it."""

import base64
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime, time
from functools import partial
from time import monotonic
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Connection, func, select, text

from intranet_bridge.own import Handler
from intranet_bridge.pushes.bodies import Push
from intranet_bridge.settlement.days import day_of
from intranet_bridge.settlement.part import Part
from intranet_bridge.settlement.ports import Ports
from intranet_bridge.settlement.withholding import records
from intranet_bridge.settlement.withholding.answering import Answering
from intranet_bridge.settlement.withholding.asking import CONSUMER, Asking
from intranet_bridge.settlement.withholding.desk import WithholdingDesk, counted_held
from intranet_bridge.settlement.withholding.drafting import Drafting
from intranet_bridge.settlement.withholding.life import BatchState, LineState, overdue, waits_long
from intranet_bridge.settlement.withholding.outcomes import NOT_BOOKED, NOT_RELEASED, Outcomes
from intranet_bridge.settlement.withholding.records import Arrangement, B, L
from intranet_bridge.settlement.withholding.rows import ANSWERS, BATCHES, CODED, ISSUED, OPEN
from intranet_bridge.settlement.withholding.sealing import Sealing
from intranet_bridge.settlement_sections import SettlementSection
from protocol.administration import (
    ListWithholdingBatches,
    ListWithholdingLines,
    ReleaseWithholdingLine,
    SealWithholding,
    WithholdingBatchId,
    WithholdingPart,
    asked,
)
from protocol.errors import ConfigurationError
from protocol.operations.notice_kinds import BillIssued
from protocol.reports.settlement import WithholdingBatchReport, WithholdingReport
from protocol.runtime.control import Answer, Peer
from protocol.runtime.jobs import Jobs
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample

log = logger(__name__)

_LOOK_S = 10.0
_SOON_S = 1.0
_HURRY_S = 60.0
"""So long it looks every second, after somebody asked for a batch or a file came."""
_COUNT_S = 30.0
PIECE = 256 * 1024
"""Bytes of a file that are shown at once."""
_REFUSED_MS = 7 * 86_400_000
"""So long `bridgectl status` speaks of an answer that was refused."""


def arrangements_of(section: SettlementSection) -> dict[str, Arrangement]:
    """By name. Raises ConfigurationError for a batch that would be two's."""
    found: dict[str, Arrangement] = {}
    of_unit: dict[tuple[str, str], str] = {}
    for name, one in section.withholding.items():
        other = of_unit.setdefault((one.org, one.unit), name)
        if other != name:
            place = ("settlement", "withholding", name, "unit")
            raise ConfigurationError(f"{other} has the same org and unit", place=place)
        found[name] = Arrangement(name, one, section.companies[one.company].region or "")
    return found


class Withholding(Part):
    """All arrangements of one bridge."""

    def __init__(self, arrangements: Mapping[str, Arrangement], ports: Ports) -> None:
        self._arrangements, self._ports = dict(arrangements), ports
        store, clock = ports.store, ports.clock
        self._asking = Asking(ports.calls, clock)
        self.drafting = Drafting(
            self._arrangements, store=store, at_rest=ports.at_rest, asking=self._asking, commands=ports.commands,
            clock=clock,
        )  # fmt: skip
        self.sealing = Sealing(
            self._arrangements, store=store, at_rest=ports.at_rest, asking=self._asking, commands=ports.commands,
            files=ports.files, notices=ports.notices, clock=clock,
        )  # fmt: skip
        self.answering = Answering(
            self._arrangements, store=store, commands=ports.commands, files=ports.files, notices=ports.notices,
            clock=clock,
        )  # fmt: skip
        self._outcomes = Outcomes(self._arrangements, clock)
        self.desk = WithholdingDesk(
            self._arrangements, store=store, sealing=self.sealing, commands=ports.commands, act=ports.act,
            transact=ports.transact, clock=clock,
            hurry=self.hurry,
        )  # fmt: skip
        self._jobs = Jobs()
        self._looked, self._hurried = 0.0, 0.0
        self._report = WithholdingReport()
        self._lines: Mapping[str, int] = Counter()

    # --- the bridge's ---------------------------------------------------------------------------------------

    def handlers(self) -> Mapping[str, Handler]:
        """Operations of the catalogue that it answers."""
        return {
            "withholding-charge": self.drafting.charge,
            "withholding-charge-cancel": self.drafting.cancel,
        }

    def pushed(self, connection: Connection, push: Push) -> None:
        """The marketing system tells of something: within the transaction that takes it, once."""
        if isinstance(push.data, BillIssued):
            self.drafting.issued(connection, push.data)

    def reports(self) -> Mapping[str, BaseModel]:
        """What it adds to the bridge's report, by the report's field."""
        return {"withholding": self._report}

    async def start(self) -> None:
        """Go on with what was begun, and begin looking for more."""
        if not self._arrangements:
            return
        for arrangement in self._arrangements.values():
            await self._ports.store.write(partial(records.named, arrangement=arrangement))
        self._ports.commands().consume(CONSUMER, self._outcomes.take)
        if (files := self._ports.files()) is not None:
            profiles = {one.section.answer_profile for one in self._arrangements.values()}
            files.listeners.append(lambda file: self.hurry() if file.profile in profiles else None)
        await self._jobs.now_and_every(min(_SOON_S, _LOOK_S), "withholding", self._look_if_due)
        await self._jobs.now_and_every(_COUNT_S, "count withholding", self.count)
        self._jobs.start()

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py)."""
        return self._jobs.standing()

    async def close(self) -> None:
        """Stop; what is unfinished goes on at the next start."""
        if self._arrangements:
            await self._jobs.close()

    def hurry(self) -> None:
        """Something is about to happen: look often for a while."""
        self._hurried = monotonic() + _HURRY_S

    async def _look_if_due(self) -> None:
        now = monotonic()
        if now < self._hurried or now - self._looked >= _LOOK_S - _SOON_S / 2:
            self._looked = now
            await self.look()

    async def look(self) -> None:
        """One turn over everything that may be due. Raises what the store raises."""
        if not self._ports.allowed() or not self._ports.at_rest.is_open:
            return
        await self.drafting.make_of_issued()
        await self.drafting.retry()
        await self.sealing.look()
        await self.answering.look()
        await self.answering.settle()
        await self._overdue()

    async def _overdue(self) -> None:
        now = datetime.fromtimestamp(self._ports.clock() / 1000, UTC)
        sent = partial(records.batches_in, wanted={BatchState.SEALED, BatchState.SENT}, names=self._arrangements.keys())
        for batch in await self._ports.store.read(sent):
            section = self._arrangements[batch.name].section
            at = time.fromisoformat(section.overdue_at)
            if overdue(BatchState(batch.state), batch.day, now, section.overdue_days, at):
                late = partial(records.move_batch, id=batch.id, state=BatchState.OVERDUE, now=self._ports.clock())
                if await self._ports.store.write(late):
                    log.error("withholding-overdue", batch=batch.id, day=str(batch.day))

    async def forget(self, before: int) -> None:
        """Bills that were issued, and what became of them: the lines stay."""
        gone = ISSUED.delete().where(ISSUED.c.state != "waiting", ISSUED.c.updated_at < before)
        await self._ports.store.write(lambda connection: connection.execute(gone).rowcount)

    # --- what is shown --------------------------------------------------------------------------------------

    async def count(self) -> None:
        """Count for report and metrics."""
        self._report, self._lines = await self._ports.store.scan(self._counted)

    def _counted(self, connection: Connection) -> tuple[WithholdingReport, Mapping[str, int]]:
        since = self._ports.clock() - _REFUSED_MS
        stuck = select(BATCHES).where(B.state == BatchState.DRAFTED, B.findings != "[]").order_by(B.day).limit(20)
        late = select(BATCHES).where(B.state == BatchState.OVERDUE).order_by(B.day).limit(20)
        drafted = select(BATCHES).where(B.state == BatchState.DRAFTED, B.findings == "[]").order_by(B.day)
        held = counted_held(connection)
        lines = select(L.state, func.count()).where(text(OPEN)).group_by(L.state)
        odd = select(L.code, func.count()).where(text(CODED), L.code.in_([NOT_BOOKED, NOT_RELEASED])).group_by(L.code)
        by_code = {row[0]: row[1] for row in connection.execute(odd)}
        report = WithholdingReport(
            enabled=True,
            stuck=tuple(_about(row) for row in connection.execute(stuck)),
            waiting=tuple(_about(row) for row in connection.execute(drafted) if self._waits_long(row))[:20],
            overdue=tuple(_about(row) for row in connection.execute(late)),
            refused=tuple(f"{row.name}: {row.code}" for row in _in_vain(connection, since)),
            held=sum(count for state, (count, _) in held.items() if state != LineState.UNANSWERED),
            held_fen=sum(fen for _, fen in held.values()),
            unanswered=held.get(LineState.UNANSWERED, (0, 0))[0],
            not_booked=by_code.get(NOT_BOOKED, 0),
            not_released=by_code.get(NOT_RELEASED, 0),
        )
        return report, {row[0]: row[1] for row in connection.execute(lines)}

    def _waits_long(self, batch: Any) -> bool:
        arrangement = self._arrangements.get(batch.name)
        seal_at = time.max if arrangement is None else arrangement.seal_at
        return waits_long(batch.day, seal_at, datetime.fromtimestamp(self._ports.clock() / 1000, UTC))

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        if not self._arrangements:
            return
        counts, text = dict(self._lines), "Lines of withholding that are not ended, by state"
        for state in records.OPEN:
            yield "intranet_bridge_withholding_lines", text, {"state": state}, counts.get(state, 0)
        report = self._report
        text = "Batches of withholding whose answer is overdue"
        yield "intranet_bridge_withholding_overdue", text, {}, len(report.overdue)
        text = "Batches of withholding that cannot be sealed"
        yield "intranet_bridge_withholding_not_sealable", text, {}, len(report.stuck)

    # --- an administrator's ---------------------------------------------------------------------------------

    def answers(self) -> Mapping[str, Answer]:
        """What an administrator of this host can ask."""
        return {
            "withholding-batches": self._told_batches, "withholding-batch": self._told_batch,
            "withholding-lines": self._told_lines, "withholding-part": self._told_part,
            "withholding-resend": self._told_resend, "withholding-release": self._told_release,
            "withholding-seal": self._told_seal,
        }  # fmt: skip

    async def _told_batches(self, request: Mapping[str, Any], _peer: Peer) -> Any:
        question = asked(ListWithholdingBatches, request)
        month = date.fromisoformat(f"{question.month}-01") if question.month else self._today()
        return [_plain(one) for one in await self.desk.batches(month, question.name)]

    async def _told_batch(self, request: Mapping[str, Any], _peer: Peer) -> Any:
        batch, answers = await self.desk.batch(asked(WithholdingBatchId, request).id)
        return {"batch": _plain(batch), "answers": [_plain(one) for one in answers]}

    async def _told_lines(self, request: Mapping[str, Any], _peer: Peer) -> Any:
        question = asked(ListWithholdingLines, request)
        found = await self.desk.lines(question.batch, question.states, question.after, question.limit)
        return [_plain(one) for one in found]

    async def _told_part(self, request: Mapping[str, Any], _peer: Peer) -> Any:
        question = asked(WithholdingPart, request)
        name, content = await self.desk.content(question.id)
        part = content[question.part * PIECE : (question.part + 1) * PIECE]
        return {"name": name, "size": len(content), "data": base64.b64encode(part).decode()}

    async def _told_resend(self, request: Mapping[str, Any], peer: Peer) -> Any:
        question = asked(WithholdingBatchId, request)
        return {"file": await self.desk.resend(question.id, peer.behind(question.sudo_user))}

    async def _told_seal(self, request: Mapping[str, Any], peer: Peer) -> Any:
        question = asked(SealWithholding, request)
        made = await self.desk.seal(question.name, peer.behind(question.sudo_user), question.note)
        return asdict(made)

    async def _told_release(self, request: Mapping[str, Any], peer: Peer) -> Any:
        question = asked(ReleaseWithholdingLine, request)
        who = peer.behind(question.sudo_user)
        return _plain(await self.desk.release(question.id, who, question.note, owed=question.owed))

    def _today(self) -> date:
        return day_of(self._ports.clock())


def _in_vain(connection: Connection, since: int) -> list[Any]:
    """Answers without effect since then, the latest first, of batches that no right one came for later."""
    of = ANSWERS.c
    wanted = select(ANSWERS).where(of.state == "refused", of.received_at > since)
    found = connection.execute(wanted.order_by(of.received_at.desc()).limit(20)).all()
    right = select(of.batch, func.max(of.received_at)).where(of.state == "accepted")
    right = right.where(of.batch.in_({row.batch for row in found})).group_by(of.batch)
    later: dict[str, int] = {row[0]: row[1] for row in connection.execute(right)}
    return [row for row in found if later.get(row.batch, 0) < row.received_at]


def _about(row: Any) -> WithholdingBatchReport:
    return WithholdingBatchReport(id=row.id, day=row.day.isoformat(), state=row.state, findings=row.findings)


def _plain(view: Any) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        return value.isoformat() if isinstance(value, date) else value

    return {name: plain(value) for name, value in asdict(view).items()}
