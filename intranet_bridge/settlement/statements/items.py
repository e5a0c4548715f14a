"""The life of an item, and who may resolve one. Pure.

`open → acting → done | refused`, `refused → held → resolved`; what nothing can be done about is held at once, and what
waits stays open. Whoever resolves writes why; above a bound a second person does too.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from protocol.errors import BridgeError
from protocol.people import NO_SECOND, among
from protocol.values import immutable

TWO_PEOPLE_ABOVE = 100_000
"""Fen."""
MOST_NOTE = 500


class ItemState(StrEnum):
    """Where an item is."""

    OPEN = "open"
    ACTING = "acting"
    DONE = "done"
    REFUSED = "refused"
    HELD = "held"
    RESOLVED = "resolved"


TRANSITIONS: Mapping[ItemState, frozenset[ItemState]] = {
    ItemState.OPEN: frozenset({ItemState.ACTING, ItemState.HELD, ItemState.DONE}),
    ItemState.ACTING: frozenset({ItemState.DONE, ItemState.REFUSED}),
    ItemState.REFUSED: frozenset({ItemState.HELD}),
    ItemState.HELD: frozenset({ItemState.RESOLVED}),
    ItemState.DONE: frozenset(),
    ItemState.RESOLVED: frozenset(),
}
"""What waited and agrees by a later statement is done."""


class NotResolved(BridgeError):
    """The item stays held; says why."""


@immutable
class Resolution:
    """What one person says of an item."""

    who: str
    note: str
    at: datetime


def resolve(
    state: ItemState, amount: int, so_far: tuple[Resolution, ...], new: Resolution, *, second: bool = True
) -> tuple[ItemState, tuple[Resolution, ...]]:
    """The item's state and what has been said of it, after one more person. `second`: whether that one may come after
    another. Raises NotResolved.
    """
    if state is not ItemState.HELD:
        raise NotResolved(f"an item that is {state} is not held")
    if not new.who.strip():
        raise NotResolved("who resolves it is not said")
    if not new.note.strip() or len(new.note) > MOST_NOTE:
        raise NotResolved(f"the note has 1 to {MOST_NOTE} characters")
    if among(new.who, (one.who for one in so_far)):
        raise NotResolved(f"{new.who} has said so already; above {TWO_PEOPLE_ABOVE // 100} yuan it takes two people")
    if so_far and not second:
        raise NotResolved(NO_SECOND)
    said = (*so_far, new)
    needed = 2 if amount > TWO_PEOPLE_ABOVE else 1
    return (ItemState.RESOLVED if len(said) >= needed else state), said
