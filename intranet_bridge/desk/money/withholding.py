"""Pages of withholding: the batches of a month, one with what the bank answered, its bytes, its lines, and one line."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import Response

from intranet_bridge.desk.money.common import (
    APPROVE,
    NOT_THERE,
    PAGE,
    READ,
    SETTLE,
    Waiting,
    asked,
    asked_month,
    download,
    id_of,
    next_month,
)  # fmt: skip
from intranet_bridge.settlement.days import day_of
from intranet_bridge.settlement.statements.verdicts import Finding
from intranet_bridge.settlement.withholding.desk import BatchView, LineView, WithholdingDesk, counted_held
from intranet_bridge.settlement.withholding.life import HELD, BatchState, LineState, releasable
from protocol.administration import LONGEST_NOTE
from protocol.desk.pages import NotDone, Page, Visit, see
from protocol.errors import BridgeError
from protocol.people import NO_SECOND
from protocol.runtime.audit import Act
from protocol.runtime.clock import Clock
from protocol.runtime.store import Store

_MOST_ID = 96
NO_NOTE = "Why today: say it, in 1 to 400 characters."
NOT_SEEN = "-"
"""What a form says that was not shown by us."""
_REFUSED_MS = 7 * 86_400_000
"""So long an answer that was refused is spoken of."""
_BATCH_TONES = {
    BatchState.OVERDUE: "bad", BatchState.DRAFTED: "plain", BatchState.SEALED: "accent", BatchState.SENT: "accent",
    BatchState.ANSWERED: "accent", BatchState.APPLIED: "good", BatchState.CLOSED: "good",
}  # fmt: skip
_LINE_TONES = {
    LineState.UNANSWERED: "warn", LineState.REFUSED: "warn", LineState.WRITTEN_OFF: "good",
    LineState.RELEASED: "good", LineState.CHARGED: "accent", LineState.REQUESTED: "accent",
}  # fmt: skip


def of_batch(state: str, findings: object = ()) -> str:
    """How a batch is coloured; one that cannot be sealed is red."""
    return "bad" if findings else _BATCH_TONES.get(BatchState(state), "plain")


def of_line(state: str) -> str:
    """How a line is coloured."""
    return "bad" if LineState(state) in HELD else _LINE_TONES.get(LineState(state), "plain")


class WithholdingPages:
    """The pages."""

    def __init__(self, desk: WithholdingDesk, store: Store, clock: Clock, act: Act) -> None:
        self._desk, self._store, self._clock, self._act = desk, store, clock, act

    def pages(self) -> tuple[Page, ...]:
        """Those there are, by role."""
        return (
            Page("/withholding", self._month, READ, menu="Withholding"),
            Page("/withholding/extra/{id}", self._extra, SETTLE, ("GET", "POST")),
            Page("/withholding/lines", self._lines, READ),
            Page("/withholding/lines/{id:path}", self._line, READ),
            Page("/withholding/lines/{id:path}/release", self._release, READ, ("POST",)),
            Page("/withholding/batches/{id}", self._batch, READ),
            Page("/withholding/batches/{id}/file", self._file, READ),
            Page("/withholding/batches/{id}/resend", self._resend, SETTLE, ("POST",)),
        )

    async def waiting(self) -> list[Waiting]:
        """What needs somebody."""
        counts = await self._store.read(counted_held)
        refused = await self._desk.refused_answers(self._clock() - _REFUSED_MS)
        found = []
        this = day_of(self._clock()).replace(day=1)
        months = (this - timedelta(1)).replace(day=1), this
        batches = [one for month in months for one in await self._desk.batches(month)]
        for words, mine in (
            ("withholding batches cannot be sealed", [one for one in batches if one.findings]),
            (
                "withholding batches have no answer: ask the bank",
                [one for one in batches if one.state == BatchState.OVERDUE],
            ),
        ):
            if mine:
                path = f"/desk/withholding/batches/{mine[0].id}" if len(mine) == 1 else "/desk/withholding"
                found.append(Waiting(words, len(mine), path, amount=sum(one.total for one in mine)))
        if refused:
            found.append(
                Waiting("answers of the bank were refused: ask for right ones", len(refused), "/desk/withholding")
            )
        for state, words in (
            (LineState.AMOUNT_DIFFERS, "withholding lines: the bank charged another amount"),
            (LineState.UNKNOWN_LINE, "withholding lines that we never asked for"),
            (LineState.NOT_WRITTEN_OFF, "withholding lines: charged, and not written off"),
            (LineState.UNANSWERED, "withholding lines that the bank did not answer"),
        ):
            if state in counts:
                count, amount = counts[state]
                path = f"/desk/withholding/lines?state={state}"
                found.append(Waiting(words, count, path, state in HELD, amount or None))
        return found

    # --- looking --------------------------------------------------------------------------------------------

    async def _month(self, visit: Visit) -> Response:
        first = asked_month(visit) or day_of(self._clock()).replace(day=1)
        name = asked(visit, "name")
        return visit.shown(
            "money/withholding.html", "Withholding", batches=await self._desk.batches(first, name), first=first,
            refused=await self._desk.refused_answers(self._clock() - _REFUSED_MS), findings=findings,
            names=self._desk.names, name=name, seals=SETTLE in visit.session.roles,
            earlier=(first - timedelta(1)).replace(day=1), later=next_month(first), tone=of_batch,
        )  # fmt: skip

    async def _batch(self, visit: Visit) -> Response:
        return await self._shown(visit)

    async def _shown(self, visit: Visit, refused: str = "") -> Response:
        id = id_of(visit)
        try:
            batch, answers = await self._desk.batch(id)
        except BridgeError as error:
            raise HTTPException(404, NOT_THERE) from error
        return visit.shown(
            "money/batch.html", "Withholding batch", status=409 if refused else 200, refused=refused, batch=batch,
            answers=answers, findings=findings, tone=of_batch, of_line=of_line,
            resends=_resends(batch) and SETTLE in visit.session.roles,
        )  # fmt: skip

    async def _file(self, visit: Visit) -> Response:
        try:
            name, content = await self._desk.content(id_of(visit))
        except BridgeError as error:
            raise HTTPException(404, NOT_THERE) from error
        await self._act("withholding-downloaded", visit.session.name, batch=id_of(visit))
        return download(content, name, "text/plain; charset=gb18030")

    async def _lines(self, visit: Visit) -> Response:
        batch, state = asked(visit, "batch"), asked(visit, "state")
        after = _line_id(visit.request.query_params.get("after", ""))
        states = (state,) if state in set(LineState) else ()
        found = await self._desk.lines(batch, states, after, PAGE + 1)
        return visit.shown(
            "money/lines.html", "Withholding lines", found=found[:PAGE], more=len(found) > PAGE, batch=batch,
            state=state, states=tuple(LineState), of_line=of_line, first=not after,
        )  # fmt: skip

    async def _found(self, visit: Visit) -> LineView:
        found = await self._desk.line(_line_id(str(visit.request.path_params["id"])))
        if found is None:
            raise HTTPException(404, NOT_THERE)
        return found

    async def _line(self, visit: Visit) -> Response:
        return self._line_shown(visit, await self._found(visit))

    def _line_shown(self, visit: Visit, line: LineView, refused: str = "") -> Response:
        open_to = _open(line)
        said = any(one["who"] == visit.session.name for one in line.said)
        return visit.shown(
            "money/line.html", "Withholding line", status=409 if refused else 200, refused=refused, line=line,
            note=visit.text("note"), owed=visit.text("owed") == "yes",
            of_line=of_line, releases=open_to and not said and _may(visit, line), said=open_to and said,
            second=open_to and bool(line.said), waiting=line.state == LineState.WAITING,
        )  # fmt: skip

    # --- deciding -------------------------------------------------------------------------------------------

    async def _resend(self, visit: Visit) -> Response:
        try:
            await self._desk.resend(id_of(visit), visit.session.name)
        except BridgeError as error:
            return await self._shown(visit, str(error))
        return see(f"/desk/withholding/batches/{id_of(visit)}")

    async def _extra(self, visit: Visit) -> Response:
        """What would be sent today is shown first; then just that is."""
        name, note, refused, status = id_of(visit), visit.text("note"), "", 200
        if name not in self._desk.names:
            raise HTTPException(404, NOT_THERE)
        if visit.request.method == "POST":
            if not 1 <= len(note) <= LONGEST_NOTE:
                refused, status = NO_NOTE, 422
            else:
                try:
                    made = await self._desk.seal(name, visit.session.name, note, visit.text("seen") or NOT_SEEN)
                    return see(f"/desk/withholding/batches/{made.batch}")
                except BridgeError as error:
                    refused, status = str(error), 409
        return visit.shown(
            "money/extra.html", "An extra batch today", status=status, refused=refused, name=name, note=note,
            found=await self._desk.foreseen(name), today=day_of(self._clock()), most=LONGEST_NOTE,
        )  # fmt: skip

    async def _release(self, visit: Visit) -> Response:
        line = await self._found(visit)
        if _open(line) and not _may(visit, line):
            raise NotDone(NO_SECOND, 403)
        owed, second = visit.text("owed") == "yes", APPROVE in visit.session.roles
        try:
            await self._desk.release(line.id, visit.session.name, visit.text("note"), owed=owed, second=second)
        except BridgeError as error:
            return self._line_shown(visit, await self._found(visit), str(error))
        return see(f"/desk/withholding/lines/{quote(line.id)}")


def findings(told: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """As a file's are shown."""
    return [
        Finding(
            str(one.get("what", "")), one.get("line") or None, str(one.get("column") or ""),
            str(one.get("expected") or ""), str(one.get("found") or ""),
        )
        for one in told
    ]  # fmt: skip


def _line_id(text: str) -> str:
    """Of what nobody asked for it ends with what the bank calls it. Raises HTTPException for what can be none."""
    if len(text) > _MOST_ID or not (text.isprintable() or not text):
        raise HTTPException(404, NOT_THERE)
    return text


def _resends(batch: BatchView) -> bool:
    return bool(batch.sealed_at) and batch.state in (BatchState.SEALED, BatchState.SENT, BatchState.OVERDUE)


def _open(line: LineView) -> bool:
    return releasable(LineState(line.state), BatchState(line.batch_state))


def _may(visit: Visit, line: LineView) -> bool:
    """The first may be anybody who reads it, the second has the role for that."""
    return not line.said or APPROVE in visit.session.roles
