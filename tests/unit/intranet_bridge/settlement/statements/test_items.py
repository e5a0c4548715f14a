"""Who may resolve an item."""

import pytest

from intranet_bridge.settlement.statements.items import (
    TRANSITIONS,
    ItemState,
    NotResolved,
    Resolution,
    resolve,
)  # fmt: skip
from tests.unit.intranet_bridge.settlement.statements.differences import at


def test_item_is_resolved_by_two_people_above_the_bound() -> None:
    first, second = Resolution("wang", "platform confirms", at()), Resolution("li", "seen", at())
    assert resolve(ItemState.HELD, 100_000, (), first)[0] is ItemState.RESOLVED
    state, so_far = resolve(ItemState.HELD, 100_001, (), first)
    assert (state, so_far) == (ItemState.HELD, (first,))
    with pytest.raises(NotResolved, match="two people"):
        resolve(state, 100_001, so_far, first)
    assert resolve(state, 100_001, so_far, second) == (ItemState.RESOLVED, (first, second))
    for wrong in (Resolution("wang", " ", at()), Resolution("", "x", at()), Resolution("wang", "x" * 501, at())):
        with pytest.raises(NotResolved):
            resolve(ItemState.HELD, 1, (), wrong)
    with pytest.raises(NotResolved, match="not held"):
        resolve(ItemState.ACTING, 1, (), first)
    assert TRANSITIONS[ItemState.DONE] == frozenset()
