"""What people see of clearing, and do: `bridgectl clearing`, and the accountant's pages. Values, and who gives them."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from intranet_bridge.settlement.clearing.sheets import SheetState
from protocol.values import immutable


@immutable
class SheetView:
    """A sheet as it stands. Amounts are fen."""

    id: str
    """`power-yunhe.wechat.20261124`."""
    company: str
    channel: str
    day: date
    sequence: int
    """Of the company's sheets of that day, from 1."""
    state: SheetState
    count: int
    """Rows of statements."""
    gross: int
    refunds: int
    fee: int
    promotions: int
    adjustments: int
    carried: int
    """Set off: from sheets of before whose net was negative."""
    net: int
    arrived: int
    signed_by: tuple[str, ...]
    """Who approved it; one name while a second is needed."""
    waiting: int
    """Rows of its day that are not cleared yet: nobody knows yet whether their lines are written off."""
    changed_at: int
    """Epoch ms."""

    @property
    def outstanding(self) -> int:
        """Paid out, and not arrived; negative: too much came."""
        paid_out = (SheetState.PAID_OUT, SheetState.SHORT, SheetState.OVER)
        return self.net - self.arrived if self.state in paid_out else 0


@immutable
class PartView:
    """A part of a sheet: rows of a statement, what a replaced one had otherwise, an adjustment, what is set off."""

    kind: str
    """`rows`, `late`, `correction`, `adjustment` or `carried`."""
    origin: date
    """The day it is of."""
    source: str
    """The statement's file name, or the sheet or the adjustment that it comes from."""
    count: int
    gross: int
    refunds: int
    fee: int
    promotions: int
    adjustments: int
    net: int


@immutable
class ArrivalView:
    """Money that came in."""

    row: str
    """Of the bank: its number there, or what the operator named it."""
    day: date
    amount: int
    who: str
    """`statement`: a row of the bank's."""
    at: int


@immutable
class AdjustmentView:
    """What two people said of a difference, or of what a company is owed besides."""

    id: str
    company: str
    channel: str
    amount: int
    """What the company is owed more, fen; negative: less."""
    against: str
    """`next-sheet`: with the company's next sheet; `channel`: the channel bears it, and nothing follows."""
    note: str
    sheet: str
    """Whose difference it closes; empty: none."""
    said_by: tuple[str, ...]
    """One name: it waits for the second."""
    at: int


@immutable
class SheetDetail:
    """All of a sheet."""

    sheet: SheetView
    parts: tuple[PartView, ...]
    arrivals: tuple[ArrivalView, ...]
    adjustments: tuple[AdjustmentView, ...]
    acts: tuple[tuple[int, str, str, str], ...]
    """When (epoch ms), what, who, and with which words."""


class ClearingDesk(Protocol):
    """What the bridge's clearing does for people. `who` is written down. All raise NotCleared with words to show."""

    async def sheets(self, first: date, last: date, company: str = "", channel: str = "") -> Sequence[SheetView]:
        """Those of some days, the latest first."""

    async def sheet(self, id: str) -> SheetDetail:
        """One with all there is of it."""

    async def file(self, id: str) -> tuple[str, bytes]:
        """Its name and bytes: the company's file. Of an approved sheet always the same; before, as it stands."""

    async def adjustments(self) -> Sequence[AdjustmentView]:
        """Those that one person has said, and that wait for a second, the oldest first."""

    async def approve(self, id: str, who: str) -> SheetView:
        """Sign it. Above the bound it takes two people: it is still `computed` after the first."""

    async def paid_out(self, id: str, who: str) -> SheetView:
        """The money is on its way."""

    async def arrived(self, id: str, amount: int, row: str, day: date, who: str) -> SheetView:
        """So much came; `row` names the bank's, which counts once."""

    async def adjust(self, id: str, against: str, note: str, who: str, *, second: bool = True) -> SheetView:
        """Say what the difference of a sheet is. The first says it, a second confirms just that; `second`: whether this
        one may be the second.
        """

    async def owe(
        self, company: str, channel: str, amount: int, note: str, who: str, *, second: bool = True
    ) -> AdjustmentView:
        """Say that a company is owed more, or (negative) less, with its next sheet: two people, the same."""
