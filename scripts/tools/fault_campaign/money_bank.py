"""A bank that collects bills by file: it takes requests, and answers each twice and with holes: some lines are refused,
some charged with another amount, some left out and said later, some never, one was asked for by nobody; and the same
bytes come once more.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from protocol.times import CHINA
from scripts.tools.channel_simulator import bank
from scripts.tools.channel_simulator.bank import Asked, Holes
from scripts.tools.fault_campaign.withholding_books import CHARGED, DIFFERS, REFUSED, SILENT, STRANGER, Said

LATER = "later"
"""Charged, and said by the second answer only."""
KINDS = (CHARGED, LATER, SILENT, REFUSED, DIFFERS)
"""One of each while there are lines; of those then come more by chance."""
_MORE = {CHARGED: 6, LATER: 2, REFUSED: 2, SILENT: 1, DIFFERS: 1}
_LOOKS_S = 0.5
_ANSWERS_S, _AGAIN_S = 8.0, 6.0
"""The longest that it takes for its first answer, and for the next."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What it lays down for a request: each a name and bytes; and what it has in its journal then."""

    first: tuple[str, bytes]
    second: tuple[str, bytes]
    journal: tuple[Said, ...]


def answers(name: str, request: bytes, batch: str, now: datetime, seed: int) -> Answers:
    """Two answers to a request. The second one says the rest, and of a refused line something else than the first: it
    was said, so that counts for nothing. Raises BookError.
    """
    rng = random.Random(f"{seed} {name}")  # noqa: S311 - chance for tests, nothing secret
    asked = bank.read(name, request)
    said = _said(list(asked.lines), rng)
    day = now.astimezone(CHINA).date()
    refused = {id: "余额不足" for id, what in said.items() if what == REFUSED}
    debited = {id: asked.fen(id) + rng.randrange(1, 100) for id, what in said.items() if what == DIFFERS}
    missing = {id for id, what in said.items() if what in (LATER, SILENT)}
    stranger = f"X{day:%Y%m%d}{rng.randrange(10**6):06}"
    first = bank.answer(name, request, day, refused, holes=Holes(missing, debited, stranger))
    late = {id for id, what in said.items() if what != LATER and what != REFUSED}
    second = bank.answer(name, request, day, {}, holes=Holes(late), word=_AGAIN)
    journal = [_of(asked, id, what, batch, debited) for id, what in said.items()]
    fen = asked.fen(next(iter(asked.lines)))
    return Answers(first, second, (*journal, Said(stranger, batch, STRANGER, 0, fen)))


_AGAIN = "REDK"
"""Its second answers have another word in their names."""


def _said(lines: Sequence[str], rng: random.Random) -> Mapping[str, str]:
    more = rng.choices(list(_MORE), list(_MORE.values()), k=max(0, len(lines) - len(KINDS)))
    kinds = [*KINDS, *more][: len(lines)]
    rng.shuffle(kinds)
    return dict(zip(lines, kinds, strict=True))


def _of(asked: Asked, id: str, what: str, batch: str, debited: Mapping[str, int]) -> Said:
    fen = asked.fen(id)
    if what in (CHARGED, LATER):
        return Said(id, batch, CHARGED, fen, fen)
    return Said(id, batch, what, fen, debited.get(id, 0))


@dataclass
class Bank:
    """At the platforms' server: requests come to `inbox`, answers are laid into `outbox`."""

    inbox: Path
    outbox: Path
    seed: int
    said: list[Said] = field(default_factory=list)
    """Its journal."""
    changed: list[str] = field(default_factory=list)
    """Requests that came again with other bytes."""
    _requests: dict[str, bytes] = field(default_factory=dict)
    _answered: set[str] = field(default_factory=set)

    def take(self) -> None:
        """Look what came. Blocks."""
        for file in sorted(self.inbox.glob("SDDL_DKKK_*.txt")):
            content = file.read_bytes()
            if self._requests.setdefault(file.name, content) != content and file.name not in self.changed:
                self.changed.append(file.name)

    def request(self, unit: str) -> str:
        """The name of the request of a unit; empty: there is none yet."""
        self.take()
        return next((name for name in self._requests if f"_{unit}_" in name), "")

    def answer(self, name: str) -> Answers:
        """What it says to a request; from now on it has it in its journal. Raises BookError."""
        org, _, unit, day = name.removesuffix(".txt").split("_")
        made = answers(name, self._requests[name], f"{org}-{unit}-{day}", datetime.now(CHINA), self.seed)
        self._answered.add(name)
        self.said += made.journal
        return made

    def lay(self, file: tuple[str, bytes]) -> None:
        """As banks do: under another name first."""
        name, content = file
        (self.outbox / f".{name}").write_bytes(content)
        (self.outbox / f".{name}").rename(self.outbox / name)

    async def deliver(self, file: tuple[str, bytes]) -> None:
        """Lay it down, and wait until it is fetched: a bank does not say more before its first answer was taken."""
        await asyncio.to_thread(self.lay, file)
        while await asyncio.to_thread((self.outbox / file[0]).exists):  # noqa: ASYNC110 - a folder has no event
            await asyncio.sleep(_LOOKS_S)

    async def run(self, units: Sequence[str]) -> None:
        """Answer the requests of some units as they come, whatever is going on meanwhile. Ends with the last."""
        rng = random.Random(f"{self.seed} bank")  # noqa: S311
        left = set(units)
        async with asyncio.TaskGroup() as group:
            while left:
                for unit in sorted(left):
                    if name := await asyncio.to_thread(self.request, unit):
                        left.remove(unit)
                        group.create_task(self._answers(name, rng.random(), rng.random()))
                await asyncio.sleep(_LOOKS_S)

    async def _answers(self, name: str, soon: float, then: float) -> None:
        made = await asyncio.to_thread(self.answer, name)
        await asyncio.sleep(soon * _ANSWERS_S)
        for file in (made.first, made.first, made.second):
            await self.deliver(file)
            await asyncio.sleep(then * _AGAIN_S)
