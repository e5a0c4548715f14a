"""A clearing that keeps its sheets in memory, as the pages know it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from intranet_bridge.settlement.clearing.desk import (
    AdjustmentView,
    ArrivalView,
    PartView,
    SheetDetail,
    SheetView,
)  # fmt: skip
from intranet_bridge.settlement.clearing.sheets import (
    NotCleared,
    SheetEvent,
    SheetState,
    adjusted,
    arrival,
    moved,
)

BOUND = 100_000
NOW = 1_795_586_400_000


def sheet(
    company: str, day: date, net: int, state: SheetState = SheetState.COMPUTED, channel: str = "wechat"
) -> SheetView:
    """One of a few rows."""
    id = f"{company}.{channel}.{day:%Y%m%d}"
    return SheetView(id, company, channel, day, 1, state, 3, net + 300, 200, 100, 0, 0, 0, net, 0, (), 0, NOW)


class Sheets:
    """Some sheets, and what was done about them."""

    def __init__(self, *made: SheetView) -> None:
        self.all = {one.id: one for one in made}
        self.arrivals: list[tuple[str, ArrivalView]] = []
        self.said: list[AdjustmentView] = []

    async def sheets(self, first: date, last: date, company: str = "", channel: str = "") -> Sequence[SheetView]:
        """Those of some days."""
        return [
            one for one in self.all.values()
            if first <= one.day <= last and company in ("", one.company) and channel in ("", one.channel)
        ]  # fmt: skip

    async def sheet(self, id: str) -> SheetDetail:
        """One."""
        one = self._one(id)
        part = PartView("rows", one.day, "w.csv", one.count, one.gross, one.refunds, one.fee, 0, 0, one.net)
        acts = tuple((NOW, "sign", who, "") for who in one.signed_by)
        return SheetDetail(
            one, (part,), tuple(row for owner, row in self.arrivals if owner == id),
            tuple(said for said in self.said if said.sheet == id), acts,
        )  # fmt: skip

    async def file(self, id: str) -> tuple[str, bytes]:
        """Its bytes."""
        one = self._one(id)
        return f"clearing_{one.company}_{one.day:%Y%m%d}_1.csv", "\ufeff日期\r\n".encode()

    async def adjustments(self) -> Sequence[AdjustmentView]:
        """That wait."""
        return [one for one in self.said if len(one.said_by) == 1]

    async def approve(self, id: str, who: str) -> SheetView:
        """Sign."""
        one = self._one(id)
        after = moved(one.state, SheetEvent.APPROVE)
        signed = (*one.signed_by, who)
        return self._put(replace(one, signed_by=signed, state=after if len(signed) > (one.net > BOUND) else one.state))

    async def paid_out(self, id: str, who: str) -> SheetView:
        """On its way."""
        return self._put(replace(self._one(id), state=moved(self._one(id).state, SheetEvent.PAY_OUT)))

    async def arrived(self, id: str, amount: int, row: str, day: date, who: str) -> SheetView:
        """So much."""
        one = self._one(id)
        after = moved(one.state, arrival(one.net, one.arrived, amount))
        self.arrivals.append((id, ArrivalView(row, day, amount, who, NOW)))
        return self._put(replace(one, arrived=one.arrived + amount, state=after))

    async def adjust(self, id: str, against: str, note: str, who: str, *, second: bool = True) -> SheetView:
        """What it is."""
        one = self._one(id)
        before = [said for said in self.said if said.sheet == id]
        names = (*(before[0].said_by if before else ()), who)
        if len(names) > 1:
            adjusted(names, note, second=second)
        self.said = [
            AdjustmentView("a", one.company, one.channel, one.net - one.arrived, against, note, id, names, NOW)
        ]
        return self._put(replace(one, state=moved(one.state, SheetEvent.ADJUST))) if len(names) > 1 else one

    async def owe(
        self, company: str, channel: str, amount: int, note: str, who: str, *, second: bool = True
    ) -> AdjustmentView:
        """Besides."""
        if not amount:
            raise NotCleared("an adjustment says why")
        names = (*(self.said[0].said_by if self.said else ()), who)
        if len(names) > 1:
            adjusted(names, note, second=second)
        self.said = [AdjustmentView("o", company, channel, amount, "next-sheet", note, "", names, NOW)]
        return self.said[0]

    def _one(self, id: str) -> SheetView:
        if id not in self.all:
            raise NotCleared(f"there is no sheet {id}")
        return self.all[id]

    def _put(self, one: SheetView) -> SheetView:
        self.all[one.id] = one
        return one
