"""Pages of runs: a statement compared with the books, what it came to, and its approval."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from intranet_bridge.desk.money.common import APPROVE, NOT_THERE, READ, SETTLE, Waiting, asked, asked_day, id_of
from intranet_bridge.settlement.statements.desk import NoSuchItem, StatementBooks, StatementRun
from intranet_bridge.settlement.statements.items import TWO_PEOPLE_ABOVE, NotResolved
from intranet_bridge.settlement.statements.matching import Class
from intranet_bridge.settlement.statements.run_records import NotRun, RunState
from protocol.desk.pages import Page, Visit, see
from protocol.people import among

MOST = 100
"""Of a list: who looks further back names a day."""
_TONES = {
    RunState.NEEDS_APPROVAL: "bad", RunState.WAITING: "warn", RunState.MATCHING: "accent", RunState.ACTING: "accent",
    RunState.DONE: "good",
}  # fmt: skip
HELD = frozenset({
    Class.MARKETING_ONLY, Class.AMOUNT_DIFFERS, Class.ACCOUNT_DIFFERS, Class.PENALTY_DIFFERS, Class.PAID_TWICE,
    Class.FEE_DIFFERS, Class.PARTIAL_REFUND,
})  # fmt: skip
"""Classes of which a person may have to decide."""
_QUIET = frozenset({Class.MATCHED, Class.CHARGED_AND_REFUNDED})


def tone(state: RunState) -> str:
    """How a state is coloured."""
    return _TONES.get(state, "plain")


def of_class(name: str) -> str:
    """How a class is coloured."""
    return "bad" if name in HELD else "good" if name in _QUIET else "warn"


class Runs:
    """The pages."""

    def __init__(self, books: StatementBooks) -> None:
        self._books = books

    def pages(self) -> tuple[Page, ...]:
        """Those there are, by role."""
        return (
            Page("/runs", self._list, READ, menu="Runs"),
            Page("/runs/{id}", self._run, READ),
            Page("/runs/{id}/approve", self._approve, APPROVE, ("POST",)),
            Page("/runs/{id}/again", self._again, SETTLE, ("POST",)),
        )

    async def waiting(self) -> list[Waiting]:
        """What needs somebody."""
        found = await self._books.runs(states=(RunState.NEEDS_APPROVAL,), limit=MOST)
        if not found:
            return []
        path = f"/desk/runs/{found[0].id}" if len(found) == 1 else f"/desk/runs?state={RunState.NEEDS_APPROVAL}"
        amount = sum(one.amount for one in found)
        return [
            Waiting(
                "runs want to do more than is done without a person: approve, or find the wrong file",
                len(found),
                path,
                amount=amount,
            )
        ]

    async def _list(self, visit: Visit) -> Response:
        day, state = asked_day(visit), asked(visit, "state")
        states = (RunState(state),) if state in set(RunState) else ()
        found = await self._books.runs(day=day, states=states, limit=MOST)
        return visit.shown(
            "money/runs.html", "Runs", runs=tuple(reversed(found)), tone=tone, day=day, states=tuple(RunState),
            state=state if states else "", most=MOST,
        )  # fmt: skip

    async def _found(self, visit: Visit) -> StatementRun:
        try:
            return await self._books.run(id_of(visit))
        except NoSuchItem as error:
            raise HTTPException(404, NOT_THERE) from error

    async def _run(self, visit: Visit) -> Response:
        return self._shown(visit, await self._found(visit))

    def _shown(self, visit: Visit, run: StatementRun, refused: str = "") -> Response:
        needs = run.state is RunState.NEEDS_APPROVAL
        signed = among(visit.session.name, (one.who for one in run.approvals))
        counts = sorted(run.counts.items(), key=lambda one: ("bad warn good".index(of_class(one[0])), one[0]))
        return visit.shown(
            "money/run.html", "Run", status=409 if refused else 200, refused=refused, run=run, tone=tone,
            note=visit.text("note"),
            of_class=of_class, counts=counts, needs=needs, signed=needs and signed,
            approves=needs and not signed and APPROVE in visit.session.roles, two=run.amount > TWO_PEOPLE_ABOVE,
            again=run.state is RunState.DONE and SETTLE in visit.session.roles,
        )  # fmt: skip

    async def _approve(self, visit: Visit) -> Response:
        run = await self._found(visit)
        try:
            await self._books.approve(run.id, visit.session.name, visit.text("note"))
        except (NotRun, NotResolved) as error:
            return self._shown(visit, await self._found(visit), str(error))
        return see(f"/desk/runs/{run.id}")

    async def _again(self, visit: Visit) -> Response:
        """Compare the file again: what was done is not done again."""
        run = await self._found(visit)
        try:
            made = await self._books.rerun(run.file, visit.session.name)
        except NotRun as error:
            return self._shown(visit, run, str(error))
        return see(f"/desk/runs/{made}")
