"""What administrators of the bridge's host ask of statements: `bridgectl settle`, over the control socket."""

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from intranet_bridge.settlement.statements.desk import (
    MOST,
    NoSuchItem,
    StatementBooks,
    StatementFile,
    StatementItem,
    StatementRun,
)
from intranet_bridge.settlement.statements.items import MOST_NOTE, ItemState
from intranet_bridge.settlement.statements.life import Difference, FileState
from intranet_bridge.settlement.statements.matching import Class
from intranet_bridge.settlement.statements.run_records import RunState
from protocol.administration import asked
from protocol.runtime.control import Answer, Peer

_JSON: TypeAdapter[Any] = TypeAdapter(StatementFile | StatementRun | StatementItem | Difference)
_ROWS = 200
"""Differing rows that are shown; who needs more asks the platform."""
Id = Annotated[str, Field(min_length=1, max_length=64)]
Note = Annotated[str, Field(max_length=MOST_NOTE)]


class _Question(BaseModel):
    model_config = ConfigDict(extra="ignore")
    sudo_user: Annotated[str, Field(max_length=64)] = ""


class _Files(_Question):
    day: date | None = None


class _Runs(_Question):
    day: date | None = None
    states: tuple[RunState, ...] = ()
    limit: Annotated[int, Field(ge=1, le=MOST)] = 100


class _Items(_Question):
    run: Annotated[str, Field(max_length=64)] = ""
    classes: tuple[Class, ...] = ()
    states: tuple[ItemState, ...] = ()
    day: date | None = None
    after: Annotated[str, Field(max_length=64)] = ""
    limit: Annotated[int, Field(ge=1, le=MOST)] = 100


class _One(_Question):
    id: Id


class _Said(_One):
    note: Note = ""


class _Empty(_Question):
    source: Id
    day: date
    note: Note


class StatementAnswers:
    """Asked by administrators; each change is an act of the audit (desk.py)."""

    def __init__(self, books: StatementBooks) -> None:
        self._books = books

    def answers(self) -> Mapping[str, Answer]:
        """What can be asked."""
        books = self._books
        return {
            "settle-files": self.files, "settle-runs": self.runs, "settle-items": self.items, "settle-show": self.show,
            "settle-resolve": self._change(lambda q, who: books.resolve(q.id, who, q.note)),
            "settle-approve": self._change(lambda q, who: books.approve(q.id, who, q.note)),
            "settle-accept": self._change(lambda q, who: books.accept(q.id, who, q.note)),
            "settle-refuse": self._change(lambda q, who: books.refuse(q.id, who, q.note)),
            "settle-rerun": self.rerun, "settle-empty": self.empty,
        }  # fmt: skip

    async def files(self, request: Mapping[str, Any], _peer: Peer) -> list[dict[str, Any]]:
        """A day's files; without a day those that somebody has to look at, and what is late."""
        question = asked(_Files, request)
        if question.day is not None:
            return [_told(one) for one in await self._books.files(question.day)]
        return [_told(one) for one in (*await self._books.waiting_files(), *await self._books.absent())]

    async def runs(self, request: Mapping[str, Any], _peer: Peer) -> list[dict[str, Any]]:
        """The latest runs."""
        question = asked(_Runs, request)
        found = await self._books.runs(day=question.day, states=question.states, limit=question.limit)
        return [_told(one) for one in found]

    async def items(self, request: Mapping[str, Any], _peer: Peer) -> list[dict[str, Any]]:
        """A page of items."""
        q = asked(_Items, request)
        found = await self._books.items(
            run=q.run, classes=q.classes, states=q.states, day=q.day, after=q.after, limit=q.limit
        )
        return [_told(one) for one in found]

    async def show(self, request: Mapping[str, Any], _peer: Peer) -> dict[str, Any]:
        """A run, an item or a file, whichever has the id; of a file that waits the rows that differ."""
        id = asked(_One, request).id
        for kind, look in (("item", self._books.item), ("run", self._books.run)):
            try:
                return {"is": kind, **_told(await look(id))}
            except NoSuchItem:
                continue
        file = await self._books.file(id)
        found = {"is": "file", **_told(file)}
        if file.state is FileState.CONFLICTING:
            differing = await self._books.difference(id)
            counted = {"added": differing.added, "gone": differing.gone, "changed": differing.changed}
            found["differing"] = {name: len(rows) for name, rows in counted.items()}
            found["difference"] = _told(
                Difference(differing.added[:_ROWS], differing.gone[:_ROWS], differing.changed[:_ROWS])
            )
        return found

    async def rerun(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Compare a file again."""
        question = asked(_One, request)
        return {"run": await self._books.rerun(question.id, peer.behind(question.sudo_user))}

    async def empty(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """A day had nothing."""
        question = asked(_Empty, request)
        who = peer.behind(question.sudo_user)
        await self._books.confirm_empty(question.source, question.day, who, question.note)
        return {"source": question.source, "day": str(question.day)}

    def _change(self, do: Callable[[Any, str], Awaitable[Any]]) -> Answer:
        async def answer(request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
            question = asked(_Said, request)
            return _told(await do(question, peer.behind(question.sudo_user)))

        return answer


def _told(one: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_JSON.dump_json(one))
    if isinstance(one, StatementItem):
        found["people"] = one.people
    return found
