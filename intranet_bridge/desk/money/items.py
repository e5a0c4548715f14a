"""Pages of items: the differences, one with both values side by side, and how people resolve it."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from intranet_bridge.desk.money.common import APPROVE, NOT_THERE, PAGE, READ, Waiting, asked, asked_day, id_of, yuan
from intranet_bridge.desk.money.runs import of_class
from intranet_bridge.settlement.statements.desk import NoSuchItem, StatementBooks, StatementItem
from intranet_bridge.settlement.statements.items import ItemState, NotResolved
from intranet_bridge.settlement.statements.matching import Class
from protocol.desk.pages import NotDone, Page, Visit, see

MOST_COUNTED = 1_000
"""Of what waits: more than that is as much."""
_TONES = {
    ItemState.HELD: "bad", ItemState.REFUSED: "bad", ItemState.OPEN: "plain", ItemState.ACTING: "accent",
    ItemState.DONE: "good", ItemState.RESOLVED: "good",
}  # fmt: skip
SECOND = "The second person has the role approve."


def tone(state: ItemState) -> str:
    """How a state is coloured."""
    return _TONES[state]


def value(one: int | str | None) -> str:
    """One of the two values: an amount, or a text."""
    return yuan(one) if isinstance(one, int) else one if one else "–"


class Items:
    """The pages."""

    def __init__(self, books: StatementBooks) -> None:
        self._books = books

    def pages(self) -> tuple[Page, ...]:
        """Those there are, by role."""
        return (
            Page("/items", self._list, READ, menu="Items"),
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
        run, day, state, what = asked(visit, "run"), asked_day(visit), asked(visit, "state"), asked(visit, "class")
        channel, after = asked(visit, "channel"), asked(visit, "after")
        if not visit.request.query_params.keys() - {"lang"}:
            state = ItemState.HELD.value  # what somebody comes for
        states = (state,) if state in set(ItemState) else ()
        classes = (what,) if what in set(Class) else ()
        found = await self._books.items(
            run=run, classes=classes, states=states, day=day, channel=channel, after=after, limit=PAGE + 1
        )
        return visit.shown(
            "money/items.html", "Items", found=found[:PAGE], more=len(found) > PAGE, tone=tone, of_class=of_class,
            value=value, run=run, day=day, state=state, what=what, channel=channel, states=tuple(ItemState),
            classes=tuple(Class), first=not after,
        )  # fmt: skip

    async def _found(self, visit: Visit) -> StatementItem:
        try:
            return await self._books.item(id_of(visit))
        except NoSuchItem as error:
            raise HTTPException(404, NOT_THERE) from error

    async def _item(self, visit: Visit) -> Response:
        return self._shown(visit, await self._found(visit))

    def _shown(self, visit: Visit, item: StatementItem, refused: str = "") -> Response:
        held = item.state is ItemState.HELD
        said = any(one.who == visit.session.name for one in item.resolutions)
        return visit.shown(
            "money/item.html", "Item", status=409 if refused else 200, refused=refused, item=item, tone=tone,
            of_class=of_class, value=value, held=held, said=held and said,
            resolves=held and not said and _may(visit, item), second=held and bool(item.resolutions),
        )  # fmt: skip

    async def _resolve(self, visit: Visit) -> Response:
        item = await self._found(visit)
        if item.state is ItemState.HELD and not _may(visit, item):
            raise NotDone(SECOND, 403)
        try:
            await self._books.resolve(item.id, visit.session.name, visit.text("note"))
        except NotResolved as error:
            return self._shown(visit, await self._found(visit), str(error))
        return see(f"/desk/items/{item.id}")


def _may(visit: Visit, item: StatementItem) -> bool:
    """The first may be anybody who reads it, the second has the role for that."""
    return not item.resolutions or APPROVE in visit.session.roles
