"""The part of the settlement that clears: jobs that make sheets, and what people do with them."""

import base64
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Connection, func, select

from intranet_bridge.own import Handler
from intranet_bridge.settlement.clearing import acting, reading
from intranet_bridge.settlement.clearing.answering import OPERATION, handler
from intranet_bridge.settlement.clearing.arriving import arrived as arrived_by_statement
from intranet_bridge.settlement.clearing.books import Orders
from intranet_bridge.settlement.clearing.computing import Computing, missing
from intranet_bridge.settlement.clearing.desk import AdjustmentView, ClearingDesk, SheetDetail, SheetView
from intranet_bridge.settlement.clearing.rows import ADJUSTMENTS, FILES, SHEETS, WAITING
from intranet_bridge.settlement.clearing.sheets import NotCleared, SheetState, file_name
from intranet_bridge.settlement.days import SHIPPED, BankCalendar, day_of, ends, extended
from intranet_bridge.settlement.part import Part
from intranet_bridge.settlement.ports import Ports
from intranet_bridge.settlement.statements.sources import Source
from intranet_bridge.settlement_sections import SettlementSection
from intranet_bridge.settlement_sections.clearing import ClearingSection
from protocol.administration import asked
from protocol.errors import BridgeError
from protocol.reports.settlement import ClearingReport
from protocol.runtime.control import Answer, Peer
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.jobs import Jobs
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.values import immutable

log = logger(__name__)

LOOK_S = 30.0
PROFILE = "clearing"
"""What the relay is told that a company's file is."""
_HOUR_MS = 3_600_000
_LATE_DAYS = 31
"""So far back it is looked for days that are not cleared."""
_PART = 512 * 1024
_S, _F, _W = SHEETS.c, FILES.c, WAITING.c


class _Question(BaseModel):
    model_config = ConfigDict(extra="ignore")
    sudo_user: Annotated[str, Field(max_length=64)] = ""


class _List(_Question):
    first: date
    last: date
    company: Annotated[str, Field(max_length=64)] = ""
    channel: Annotated[str, Field(max_length=32)] = ""


class _Sheet(_Question):
    sheet: Annotated[str, Field(max_length=128)]


class _File(_Sheet):
    offset: Annotated[int, Field(ge=0)] = 0


class _Arrived(_Sheet):
    amount: int
    row: Annotated[str, StringConstraints(pattern="^[!-~]{1,64}$")]
    day: date


class _Adjust(_Sheet):
    against: Annotated[str, Field(max_length=12)]
    note: Annotated[str, Field(max_length=1000)]


class _Owe(_Question):
    company: Annotated[str, Field(max_length=64)]
    channel: Annotated[str, Field(max_length=32)]
    amount: int
    note: Annotated[str, Field(max_length=1000)]


@immutable
class LateDay:
    """A day that should be cleared by now, and is not."""

    channel: str
    day: date
    statements: tuple[str, ...]
    """That are not accepted."""


class Clearing(Part, ClearingDesk):
    """All of one bridge."""

    def __init__(
        self, section: ClearingSection, ports: Ports, orders: Orders, calendar: BankCalendar = SHIPPED,
        companies: Collection[str] = (), sources: Mapping[str, Source] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        """`orders`: who knows the orders of ours. `calendar`: of the banks. `companies`: that lines may be of.
        `sources`: the kinds of statements, by name.
        """
        self._sources = sources
        self._known = frozenset(companies)
        self.section, self._ports, self._calendar = section, ports, calendar
        self._store, self._clock = ports.store, ports.clock
        self._computing = Computing(ports.store, lambda: self.section, orders, ports.allowed, ports.clock, sources)
        self._jobs = Jobs()
        self._states: Mapping[str, int] = {}
        self._waiting = 0
        self._report = ClearingReport()
        self.counts: Counter[str] = Counter()
        """Acts of people, by what was done."""

    def handlers(self) -> Mapping[str, Handler]:
        """`clearing-day`."""
        return {OPERATION: handler(self, self._companies)}

    def _companies(self) -> frozenset[str]:
        channels = self.section.channels.values()
        return self._known | {name for one in channels for name in (one.company, *one.merchants.values())}

    # --- the bridge's -----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Look what is to be cleared, from now on."""
        self._jobs.every(LOOK_S, "clearing", self.look)
        self._jobs.every(LOOK_S, "clearing files", self.send)
        self._jobs.start()

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py)."""
        return self._jobs.standing()

    async def close(self) -> None:
        """Stop."""
        await self._jobs.close()

    async def look(self) -> None:
        """Compute what can be computed, and take what arrived. Raises SQLAlchemyError."""
        await self._computing.look()
        if self._ports.allowed():
            now = self._clock()
            await self._store.write(partial(arrived_by_statement, arrivals=self.section.arrivals, now=now))
            await self._store.write(partial(acting.close_arrived, now=now))
        await self._count()

    async def send(self) -> None:
        """Hand the files of signed sheets to their target. Raises SQLAlchemyError, BridgeError: there is none."""
        target, files = self.section.target, self._ports.files()
        if target is None or files is None or not self._ports.allowed():
            return
        waits = select(_S.id, _S.company, _S.day, _S.sequence, _S.file).where(_S.file.is_not(None), _S.submitted == "")
        for row in await self._store.read(lambda connection: connection.execute(waits.order_by(_S.day)).all()):
            name = file_name(row.company, row.day, row.sequence)
            id = await files.submit(target, PROFILE, name, bytes(row.file))  # the same twice is one
            await self._store.execute(SHEETS.update().where(_S.id == row.id).values(submitted=id), {})

    async def _count(self) -> None:
        def count(connection: Connection) -> tuple[dict[str, int], int]:
            states = select(_S.state, func.count()).group_by(_S.state)
            waiting = connection.execute(select(func.count()).select_from(WAITING)).scalar_one()
            return {row[0]: row[1] for row in connection.execute(states)}, waiting

        self._states, self._waiting = await self._store.read(count)
        self._report = await self._store.read(self._reported)

    def _reported(self, connection: Connection) -> ClearingReport:
        late = self._late(connection)
        open_ = (SheetState.SHORT, SheetState.OVER)
        differing = [row.id for row in connection.execute(select(_S.id).where(_S.state.in_(open_)).order_by(_S.day))]
        carried = select(_S.id).where(_S.state == SheetState.CARRIED, _S.carried_into == "").order_by(_S.day)
        return ClearingReport(
            late=tuple(f"{one.channel} {one.day} ({', '.join(one.statements)})" for one in late),
            differing=tuple(differing),
            carried=tuple(connection.execute(carried).scalars()),
            waiting=self._waiting,
            calendar_ends=str(ends(self._calendar, day_of(self._clock())) or ""),
        )

    def _late(self, connection: Connection) -> list[LateDay]:
        last = day_of(self._clock() - self.section.late_hours * _HOUR_MS) - timedelta(1)
        found = []
        for channel, cleared in self.section.channels.items():
            begun = connection.execute(select(func.min(_F.day)).where(_F.channel == channel)).scalar_one()
            since = max(filter(None, (self.section.since, begun, last - timedelta(_LATE_DAYS))), default=last)
            day = since
            while begun is not None and day <= last:
                if lacking := missing(connection, channel, cleared, day, self._sources):
                    found.append(LateDay(channel, day, tuple(lacking)))
                day += timedelta(1)
        return found

    def report(self) -> ClearingReport:
        """What an operator has to look at."""
        return self._report

    def reports(self) -> Mapping[str, BaseModel]:
        """The same, in the bridge's report."""
        return {"clearing": self._report}

    def use(self, section: SettlementSection) -> None:
        """Go by a changed configuration from now on."""
        self.section, self._calendar = section.clearing, extended(section.holidays, section.workdays)
        self._known = frozenset(section.companies)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        for state in SheetState:
            text = "Clearing sheets, by where they stand"
            yield "intranet_bridge_clearing_sheets", text, {"state": state}, self._states.get(state, 0)
        yield "intranet_bridge_clearing_waiting_rows", "Rows of statements that no sheet has yet", {}, self._waiting
        text = "Days whose statements are not all accepted in time to be cleared"
        yield "intranet_bridge_clearing_late_days", text, {}, len(self._report.late)
        for act in ("approve", "paid-out", "arrived", "adjust", "owe"):
            text = "What people did with clearing sheets"
            yield "intranet_bridge_clearing_acts_total", text, {"act": act}, self.counts[act]

    # --- people's ---------------------------------------------------------------------------------------------

    async def sheets(self, first: date, last: date, company: str = "", channel: str = "") -> Sequence[SheetView]:
        """Those of some days, the latest first."""
        return await self._store.read(
            partial(reading.between, first=first, last=last, company=company, channel=channel)
        )

    async def sheet(self, id: str) -> SheetDetail:
        """One with all there is of it."""
        return await self._store.snapshot(partial(reading.detail, id=id))

    async def file(self, id: str) -> tuple[str, bytes]:
        """The company's file."""
        return await self._store.snapshot(partial(reading.file, id=id))

    async def adjustments(self) -> Sequence[AdjustmentView]:
        """Those that wait for a second person."""
        return [one for one in await self._store.read(reading.open_adjustments) if len(one.said_by) == 1]

    async def approve(self, id: str, who: str) -> SheetView:
        """Sign it."""
        bound, now = self.section.two_people_above, self._clock()
        return await self._done("approve", id, who, lambda one: acting.approve(one, id, who, bound, now))

    async def paid_out(self, id: str, who: str) -> SheetView:
        """The money is on its way."""
        now = self._clock()
        return await self._done("paid-out", id, who, lambda one: acting.pay_out(one, id, who, now))

    async def arrived(self, id: str, amount: int, row: str, day: date, who: str) -> SheetView:
        """So much came."""
        now = self._clock()
        if day > day_of(now):
            raise NotCleared("day: is not over, nor begun")
        return await self._done("arrived", id, who, lambda one: acting.arrive(one, id, amount, row, day, who, now))

    async def adjust(self, id: str, against: str, note: str, who: str, *, second: bool = True) -> SheetView:
        """Say what the difference of a sheet is."""
        now = self._clock()
        return await self._done(
            "adjust", id, who, lambda one: acting.adjust(one, id, against, note, who, now, second=second)
        )

    async def owe(
        self, company: str, channel: str, amount: int, note: str, who: str, *, second: bool = True
    ) -> AdjustmentView:
        """Say that a company is owed more, or less, with its next sheet."""
        if channel not in self.section.channels:
            raise NotCleared(f"channel: {channel} is not cleared here")
        if company not in self._companies():
            raise NotCleared(f"company: {company} is not cleared here")
        now = self._clock()
        id = await self._ports.transact(
            lambda one: acting.owe(one, company, channel, amount, note, who, now, second=second), "clearing-owe", who,
            lambda id: {"adjustment": id},
        )  # fmt: skip
        self.counts["owe"] += 1
        return await self._store.read(partial(_adjustment, id=id))

    async def _done(self, act: str, id: str, who: str, work: Callable[[Connection], object]) -> SheetView:
        await self._ports.transact(work, f"clearing-{act}", who, lambda _: {"sheet": id})
        reach(Point.BRIDGE_SHEET_COMMITTED, id)
        self.counts[act] += 1
        return await self._store.snapshot(partial(reading.one, id=id))

    # --- an administrator's -----------------------------------------------------------------------------------

    def answers(self) -> Mapping[str, Answer]:
        """`bridgectl clearing`."""
        return {
            "clearing-list": self._asked_list,
            "clearing-show": self._asked_show,
            "clearing-file": self._asked_file,
            "clearing-approve": self._answer(_Sheet, lambda q, who: self.approve(q.sheet, who)),
            "clearing-paid-out": self._answer(_Sheet, lambda q, who: self.paid_out(q.sheet, who)),
            "clearing-arrived": self._answer(
                _Arrived, lambda q, who: self.arrived(q.sheet, q.amount, q.row, q.day, who)
            ),
            "clearing-adjust": self._answer(_Adjust, lambda q, who: self.adjust(q.sheet, q.against, q.note, who)),
            "clearing-owe": self._answer(_Owe, lambda q, who: self.owe(q.company, q.channel, q.amount, q.note, who)),
        }

    def _answer(self, model: type[Any], do: Callable[[Any, str], Awaitable[SheetView | AdjustmentView]]) -> Answer:
        async def answer(request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
            question = asked(model, request)
            return told(await do(question, peer.behind(question.sudo_user)))

        return answer

    async def _asked_list(self, request: Mapping[str, Any], _peer: Peer) -> dict[str, Any]:
        question = asked(_List, request)
        if question.last < question.first:
            raise BridgeError("last: is before first")
        found = await self.sheets(question.first, question.last, question.company, question.channel)
        open_ = await self._store.read(reading.open_adjustments)
        return {"sheets": [told(one) for one in found], "adjustments": [told(one) for one in open_]}

    async def _asked_show(self, request: Mapping[str, Any], _peer: Peer) -> dict[str, Any]:
        return told(await self.sheet(asked(_Sheet, request).sheet))

    async def _asked_file(self, request: Mapping[str, Any], _peer: Peer) -> dict[str, Any]:
        question = asked(_File, request)
        name, content = await self.file(question.sheet)
        part = content[question.offset : question.offset + _PART]
        return {"name": name, "length": len(content), "data": base64.b64encode(part).decode()}


def told(value: Any) -> dict[str, Any]:
    """A view as JSON can say it."""
    fields = {name: _plain(one) for name, one in asdict(value).items()}
    if isinstance(value, SheetView):
        fields["outstanding"] = value.outstanding
    if isinstance(value, SheetDetail):
        fields["sheet"]["outstanding"] = value.sheet.outstanding
    return fields


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _adjustment(connection: Connection, id: str) -> AdjustmentView:
    return reading.adjustment(connection.execute(select(ADJUSTMENTS).where(ADJUSTMENTS.c.id == id)).one())
