"""Of a whole statement: its fee, what a run would do, and when it does not do it by itself."""

from collections.abc import Iterable, Mapping
from datetime import date

from intranet_bridge.settlement import money
from intranet_bridge.settlement.statements.differences import ACTING, Action, Class, Item
from intranet_bridge.settlement.statements.profiles import Kind
from protocol.values import immutable

FEE_TOLERANCE = 1
"""Fen, of a statement."""
BRAKE_ACTIONS = 20
BRAKE_SHARE = 200
"""One action for so many rows: 0.5 %."""
BRAKE_AMOUNT = 5_000_000
"""Fen."""


def fee_item(channel: str, day: date, stated: int, expected: int) -> Item | None:
    """What the platform took beside what it should take: only the fee is held. `stated`: thousandths of a fen, rounded
    once; `expected`: fen.
    """
    said = money.rounded(stated)
    if abs(said - expected) <= FEE_TOLERANCE:
        return None
    return Item(
        Class.FEE_DIFFERS, Action.HOLD, channel, day.isoformat(), "", Kind.PAY, amount=abs(said - expected),
        field="fee", platform=said, books=expected,
    )  # fmt: skip


@immutable
class Brake:
    """Why a run does not act by itself."""

    actions: int
    amount: int
    """Fen."""
    most_actions: int


def brake(items: Iterable[Item], rows: int) -> Brake | None:
    """Whether a run would do so much that somebody approves it first: a wrong file looks like a day full of work."""
    most = max(BRAKE_ACTIONS, rows // BRAKE_SHARE)
    actions = amount = 0
    for item in items:
        if item.action in ACTING:
            actions += 1
            amount += item.amount
    return Brake(actions, amount, most) if actions > most or amount > BRAKE_AMOUNT else None


def counted(items: Iterable[Item]) -> Mapping[Class, tuple[int, int]]:
    """How many items of each class, and the fen in them."""
    found: dict[Class, tuple[int, int]] = {}
    for item in items:
        count, amount = found.get(item.what, (0, 0))
        found[item.what] = (count + 1, amount + item.amount)
    return found
