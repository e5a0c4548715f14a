"""Sheets that a person signs, pays out and sees arrive, while the bridge dies at each named point of that; whoever got
no answer says it once more. Then the ledger must have each of them once.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from scripts.tools.fault_campaign.faults import SHEET_POINTS
from scripts.tools.fault_campaign.money_books import Entry
from scripts.tools.fault_campaign.money_callers import PAUSE_S, TRY_S, Callers
from scripts.tools.fault_campaign.site import Site
from scripts.tools.testbed.processes import TestbedError

_DONE = {"approve": {"approved"}, "paid-out": {"paid-out"}, "arrived": {"arrived", "closed"}}
"""What a sheet is after each of the three."""
_BOOKED = {"paid-out": ("company", "transit"), "arrived": ("transit", "channel")}
"""Kinds of journals, with what they debit and what they credit."""


class Clearing:
    """Of one campaign."""

    def __init__(self, site: Site, callers: Callers, deaths: frozenset[str]) -> None:
        """`deaths`: points at which the bridge is to die."""
        self._site, self._callers, self._deaths = site, callers, deaths
        self._arrived: dict[str, dict[str, Any]] = {}
        """Sheets that came to their end, by id."""

    async def cleared(self, die_at: Callable[[str], Coroutine[Any, Any, bool]]) -> None:
        """Some sheets go their way, one for each point and act: the bridge dies at each of both of every act."""
        if not self._deaths & set(SHEET_POINTS):
            return
        sheets = [one for one in await asyncio.to_thread(self._sheets) if one["state"] == "computed"]
        wanted = sorted((one for one in sheets if one["net"] > 0), key=lambda one: (one["day"], one["id"]))
        wanted = wanted[: len(SHEET_POINTS)]
        if len(wanted) < len(SHEET_POINTS):
            self._callers.failed.append(f"{len(wanted)} clearing sheets can be signed, not {len(SHEET_POINTS)}")
        for number, sheet in enumerate(wanted):
            for act, states in _DONE.items():
                # of the first sheet one act dies at the second point, of the others at the first; then the other way
                point = SHEET_POINTS[(number + (act == "paid-out")) % len(SHEET_POINTS)]
                dying = asyncio.create_task(die_at(point))
                await asyncio.sleep(PAUSE_S)
                await self._said(sheet, act, states)
                await dying
                await self._said(sheet, act, states)
            self._arrived[sheet["id"]] = sheet

    async def _said(self, sheet: dict[str, Any], act: str, states: set[str]) -> None:
        """Say it until the sheet is so."""
        words = ["clearing", act, sheet["id"]]
        if act == "arrived":
            words += [f"{sheet['net'] // 100}.{sheet['net'] % 100:02}", "--row", f"B{sheet['id']}"]
        end, why = time.monotonic() + TRY_S, ""
        while time.monotonic() < end:
            try:
                await asyncio.to_thread(self._site.testbed.ctl, *words)
            except TestbedError as error:
                why = str(error)
            try:
                now = await asyncio.to_thread(self._sheets)
                if any(one["id"] == sheet["id"] and one["state"] in states for one in now):
                    return
            except TestbedError as error:
                why = str(error)
            await asyncio.sleep(PAUSE_S)
        self._callers.failed.append(f"clearing {act} {sheet['id']} is not done: {why}")

    def _sheets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self._site.testbed.ctl("clearing", "list", "--json"))["sheets"]
        return found

    def wrong(self, ledger: Sequence[Entry]) -> list[str]:
        """Sheets that the ledger does not have as they were signed. Pure but for the sheets."""
        return wrong(self._arrived, ledger)


def wrong(sheets: dict[str, dict[str, Any]], ledger: Sequence[Entry]) -> list[str]:
    """What of these sheets, paid out and arrived, the ledger does not have once, by its amount. Pure."""
    booked: Counter[tuple[str, str, str]] = Counter()
    for entry in ledger:
        if entry.kind in _BOOKED:
            booked[entry.kind, entry.ref, entry.account.partition(":")[0]] += entry.amount
    found = []
    for id, sheet in sheets.items():
        for kind, (debit, credit) in _BOOKED.items():
            for side, amount in ((debit, sheet["net"]), (credit, -sheet["net"])):
                if (has := booked.pop((kind, id, side), 0)) != amount:
                    found.append(f"sheet {id}, {kind}: {has} fen on {side}, not {amount}")
    return found + [f"sheet {id}, {kind}: {amount} fen on {side}, and nobody said so"
                    for (kind, id, side), amount in booked.items()]  # fmt: skip
