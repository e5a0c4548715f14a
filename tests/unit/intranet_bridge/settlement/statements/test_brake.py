"""Of a whole statement: its fee, and the brake."""

from intranet_bridge.settlement.statements.matching import (
    Action,
    Class,
    Item,
    brake,
    counted,
    fee_item,
)  # fmt: skip
from tests.unit.intranet_bridge.settlement.statements.differences import DAY, paid, run


def test_fee_differs() -> None:
    assert fee_item("wechat", DAY, 707_940, 707) is None
    item = fee_item("wechat", DAY, 709_500, 708)
    assert item is not None
    assert (item.what, item.platform, item.books, item.action) == (Class.FEE_DIFFERS, 710, 708, Action.HOLD)


def test_brake_stops_wrong_file() -> None:
    def many(count: int, gross: int = 100) -> list[Item]:
        return run([paid(gross, f"PO{n}", f"T{n}") for n in range(count)])

    assert brake(many(20), 20) is None
    stopped = brake(many(21), 21)
    assert stopped is not None
    assert (stopped.actions, stopped.most_actions, stopped.amount) == (21, 20, 2100)
    assert brake(many(21), 4199) is not None
    assert brake(many(21), 4200) is None
    assert brake(many(1, 5_000_000), 1) is None
    assert brake(many(1, 5_000_001), 1) is not None
    assert counted(many(3)) == {Class.PLATFORM_ONLY: (3, 300)}
