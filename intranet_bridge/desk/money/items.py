"""Pages of items: the differences, one with both values side by side, and how people resolve it."""

import asyncio
from collections.abc import Collection
from datetime import date
from functools import partial
from typing import TypedDict

from starlette.exceptions import HTTPException
from starlette.responses import Response

from intranet_bridge.desk.money import tables
from intranet_bridge.desk.money.common import (
    APPROVE,
    NOT_THERE,
    PAGE,
    READ,
    Waiting,
    asked,
    asked_day,
    clock,
    download,
    id_of,
    yuan,
)  # fmt: skip
from intranet_bridge.desk.money.runs import of_class
from intranet_bridge.desk.money.spoken import answered, spoken
from intranet_bridge.desk.money.tables import Fen
from intranet_bridge.settlement.statements.desk import MOST, NoSuchItem, StatementBooks, StatementItem
from intranet_bridge.settlement.statements.items import ItemState, NotResolved
from intranet_bridge.settlement.statements.matching import Class
from protocol.desk.pages import NotDone, Page, Visit, see
from protocol.people import NO_SECOND, among
from protocol.runtime.audit import Act

MOST_COUNTED = 1_000
"""Of what waits: more than that is as much."""
_TONES = {
    ItemState.HELD: "bad", ItemState.REFUSED: "bad", ItemState.OPEN: "plain", ItemState.ACTING: "accent",
    ItemState.DONE: "good", ItemState.RESOLVED: "good",
}  # fmt: skip
MOST_IN_A_FILE = 20_000
"""Items: a spreadsheet is slow with more, and the bridge has other work."""
TOO_MANY = "More than 20,000 items: choose a state, a class or a day, or ask the administrator for an export."
COLUMNS = (
    "State", "Class", "Day", "Channel", "Statement", "Transaction", "Order", "Kind", "Amount, yuan", "What differs",
    "Platform says", "Books say", "Paid at", "Reason", "Found at", "Changed at", "Item no.",
)  # fmt: skip
"""Of a file with items."""


def tone(state: ItemState) -> str:
    """How a state is coloured."""
    return _TONES[state]


def value(one: int | str | None) -> str:
    """One of the two values: an amount, or a text."""
    return yuan(one) if isinstance(one, int) else one if one else "–"


class Items:
    """The pages."""

    def __init__(self, books: StatementBooks, act: Act) -> None:
        self._books, self._act = books, act

    def pages(self) -> tuple[Page, ...]:
        """Those there are, by role."""
        return (
            Page("/items", self._list, READ, menu="Items"),
            Page("/items/file/{kind}", self._file, READ),
            Page("/items/{id}", self._item, READ),
            Page("/items/{id}/resolve", self._resolve, READ, ("POST",)),
        )

    async def waiting(self) -> list[Waiting]:
        """What needs somebody."""
        found = await self._books.items(states=(ItemState.HELD,), limit=MOST_COUNTED)
        if not found:
            return []
        amount = sum(one.amount for one in found)
        return [Waiting("differences are held: somebody decides", len(found), "/desk/items?state=held", amount=amount)]

    async def _list(self, visit: Visit) -> Response:
        which, after = _which(visit), asked(visit, "after")
        found = await self._books.items(**which, after=after, limit=PAGE + 1)
        state, what = next(iter(which["states"]), ""), next(iter(which["classes"]), "")
        return visit.shown(
            "money/items.html", "Items", found=found[:PAGE], more=len(found) > PAGE, tone=tone, of_class=of_class,
            value=value, run=which["run"], day=which["day"], state=state, what=what, channel=which["channel"],
            states=tuple(ItemState), classes=tuple(Class), first=not after,
            channels=sorted({*self._books.channels, which["channel"]} - {""}),
        )  # fmt: skip

    async def _file(self, visit: Visit) -> Response:
        """The same items as a table."""
        kind = str(visit.request.path_params["kind"])
        if kind not in tables.KINDS:
            raise HTTPException(404, NOT_THERE)
        which = _which(visit)
        found: list[StatementItem] = []
        while page := await self._books.items(**which, after=found[-1].id if found else "", limit=MOST):
            found += page
            if len(found) > MOST_IN_A_FILE:
                raise NotDone(TOO_MANY)
            if len(page) < MOST:
                break
        header, rows = [visit.said(name) for name in COLUMNS], [_row(visit, one) for one in found]
        make = partial(tables.xlsx, visit.said("Items")) if kind == "xlsx" else tables.csv
        content = await asyncio.to_thread(make, header, rows)
        about = [str(which["day"] or ""), *which["states"], *which["classes"]]
        await self._act("items-downloaded", visit.session.name, rows=len(found), kind=kind)
        return download(content, "-".join(["items", *filter(None, about)]) + f".{kind}", tables.KINDS[kind])

    async def _found(self, visit: Visit) -> StatementItem:
        try:
            return await self._books.item(id_of(visit))
        except NoSuchItem as error:
            raise HTTPException(404, NOT_THERE) from error

    async def _item(self, visit: Visit) -> Response:
        return self._shown(visit, await self._found(visit))

    def _shown(self, visit: Visit, item: StatementItem, refused: str = "") -> Response:
        held = item.state is ItemState.HELD
        said = among(visit.session.name, (one.who for one in item.resolutions))
        return visit.shown(
            "money/item.html", "Item", status=409 if refused else 200, refused=refused, item=item, tone=tone,
            note=visit.text("note"),
            of_class=of_class, value=value, held=held, said=held and said,
            resolves=held and not said and _may(visit, item), second=held and bool(item.resolutions),
        )  # fmt: skip

    async def _resolve(self, visit: Visit) -> Response:
        item = await self._found(visit)
        if item.state is ItemState.HELD and not _may(visit, item):
            raise NotDone(NO_SECOND, 403)
        try:
            second = APPROVE in visit.session.roles
            await self._books.resolve(item.id, visit.session.name, visit.text("note"), second=second)
        except NotResolved as error:
            return self._shown(visit, await self._found(visit), str(error))
        return see(f"/desk/items/{item.id}")


def _may(visit: Visit, item: StatementItem) -> bool:
    """The first may be anybody who reads it, the second has the role for that."""
    return not item.resolutions or APPROVE in visit.session.roles


class _Which(TypedDict):
    run: str
    day: date | None
    states: Collection[str]
    classes: Collection[str]
    channel: str


def _which(visit: Visit) -> _Which:
    """Of which items the address speaks; of none in particular: of those that are held, what somebody comes for."""
    state, what = asked(visit, "state"), asked(visit, "class")
    if not visit.request.query_params.keys() - {"lang"}:
        state = ItemState.HELD.value
    return {
        "run": asked(visit, "run"), "day": asked_day(visit), "states": (state,) if state in set(ItemState) else (),
        "classes": (what,) if what in set(Class) else (), "channel": asked(visit, "channel"),
    }  # fmt: skip


def _row(visit: Visit, one: StatementItem) -> list[tables.Cell]:
    said = visit.said
    why = answered(said, one.code) if one.code else spoken(said, one.why)
    return [
        said(f"item-{one.state}"), said(f"class-{one.what}"), str(one.day), one.channel, one.source, one.transaction,
        one.order if ":" not in one.order else "", said(f"row-{one.kind}"), Fen(one.amount),
        said(f"field-{one.field}") if one.field else "", _side(one.platform), _side(one.books),
        one.paid_at.replace("T", " ")[:19], why, clock(one.created_at), clock(one.updated_at), one.id,
    ]  # fmt: skip


def _side(one: int | str | None) -> tables.Cell:
    return Fen(one) if isinstance(one, int) else one or ""
