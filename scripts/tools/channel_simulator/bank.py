"""A bank that collects bills: it answers a withholding request, line by line, in the layout of answers.

The layout is written down here once more, not taken from the bridge: `count|total|okCount|okTotal|day|bank|inTransit|`,
then each line as it was asked, with the day, what was debited, whether it was, the bank's number and its words.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from scripts.tools.channel_simulator.book import BookError

ANSWER = "REDKKK"
_ENCODING = "gb18030"
_ASKED = 11
"""Fields of a line of the request."""
_TOTAL = 9
"""The one that says what is to be charged."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request file, line by line as it came."""

    header: tuple[str, ...]
    """count, total, day, bank, inTransit."""
    lines: Mapping[str, tuple[str, ...]]
    """By `detId`."""

    def fen(self, id: str) -> int:
        """What a line asks for."""
        return int(Decimal(self.lines[id][_TOTAL]) * 100)


@dataclass(frozen=True, slots=True)
class Holes:
    """What is not as it should be in an answer."""

    silent: Collection[str] = ()
    """Lines that it does not have."""
    debited: Mapping[str, int] | None = None
    """Charged with another amount than was asked for: fen."""
    stranger: str = ""
    """The number of a line that nobody asked for: a copy of the first one, charged."""


def read(name: str, request: bytes) -> Asked:
    """A request. Raises BookError for what is none."""
    word = [*name.split("_", 2), ""][1]
    header, *lines = request.decode(_ENCODING).splitlines() or [""]
    about = header.split("|")
    asked = {line.partition("|")[0]: tuple(line.split("|")[:_ASKED]) for line in lines}
    if word != "DKKK" or len(about) != 6 or len(asked) != int(about[0]):
        raise BookError(f"{name} is no withholding request")
    for id, line in zip(asked, lines, strict=True):
        if line.count("|") != _ASKED:
            raise BookError(f"{name}: line {id} has not {_ASKED} fields")
    return Asked(tuple(about[:5]), asked)


def answer(
    name: str, request: bytes, day: date, refused: Mapping[str, str], *, holes: Holes | None = None,
    word: str = ANSWER,
) -> tuple[str, bytes]:  # fmt: skip
    """Name and bytes of the answer to a request file: all is charged on that day but what is refused (`detId` → why).

    Raises BookError for what is no request, or a refused line that is not in it.
    """
    asked, holes = read(name, request), holes or Holes()
    if unknown := refused.keys() - asked.lines.keys():
        raise BookError(f"{name} has no line {min(unknown)}")
    said: dict[str, tuple[tuple[str, ...], int]] = {
        id: (fields, 0 if id in refused else (holes.debited or {}).get(id, asked.fen(id)))
        for id, fields in asked.lines.items()
        if id not in holes.silent
    }
    if holes.stranger:
        first = next(iter(asked.lines))
        said[holes.stranger] = ((holes.stranger, *asked.lines[first][1:]), asked.fen(first))
    rows = []
    for number, (id, (fields, debited)) in enumerate(said.items(), 1):
        if id in refused:
            result = (f"{day:%Y%m%d}", "0.00", "0", "", refused[id])
        else:
            result = (f"{day:%Y%m%d}", _yuan(debited), "1", f"{day:%Y%m%d}22001400{number:014}", "")
        rows.append("|".join((*fields, *result, "")))
    charged = [debited for id, (_, debited) in said.items() if id not in refused]
    count, total, *others = asked.header
    first_row = "|".join((count, total, str(len(charged)), _yuan(sum(charged)), *others, ""))
    org, _, rest = name.split("_", 2)
    return f"{org}_{word}_{rest}", "".join(f"{row}\r\n" for row in (first_row, *rows)).encode(_ENCODING)


def _yuan(fen: int) -> str:
    return f"{Decimal(fen) / 100:.2f}"
