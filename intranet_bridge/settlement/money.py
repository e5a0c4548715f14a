"""Amounts: text that others wrote becomes whole fen, and fen are split and rounded. Pure; nothing here is a float.

What `int()`, `Decimal()` and `\\d` take is wider than what an amount may be: full-width and Arabic digits, `1_000`,
`1.2E+3`, a final line feed. So the text, blanks and tabs around it aside, must be matched whole by the pattern.
"""

import re
from collections.abc import Sequence
from enum import StrEnum

from protocol.errors import BridgeError
from protocol.money import text

__all__ = ["AmountRefused", "Why", "fee", "fen", "rounded", "shares", "text"]

MOST_DIGITS = 11
"""Of the yuan."""
_AMOUNT = re.compile(r"(-?)([0-9]{1,11})(?:\.([0-9]{1,2}))?")
_FEE = re.compile(r"(-?)([0-9]{1,11})(?:\.([0-9]{1,5}))?")
_GROUPS = re.compile(r"(-?[0-9]{1,3}(?:,[0-9]{3})+)(\.[0-9]*)?")
_LONG = re.compile(r"-?[0-9]{12,}(?:\.[0-9]*)?")
_FINE = re.compile(r"-?[0-9]{1,11}\.[0-9]+")
_FEE_UNIT = 1000
"""Parts of a fen in which fees are counted: 5 decimals of a yuan."""


class Why(StrEnum):
    """What is wrong with a text that should be an amount."""

    EMPTY = "empty"
    THOUSANDS = "thousands-separator"
    DECIMALS = "too-many-decimals"
    TOO_LARGE = "too-large"
    NO_AMOUNT = "no-amount"


_WORDS = {
    Why.EMPTY: "is empty, where an amount belongs",
    Why.THOUSANDS: "has a thousands separator, which this profile does not allow",
    Why.DECIMALS: "has more decimals than an amount may have",
    Why.TOO_LARGE: f"has more than {MOST_DIGITS} digits before the point",
    Why.NO_AMOUNT: "is no amount such as 12.30",
}


class AmountRefused(BridgeError):
    """A text that is no amount. Says where it stands, and never the text."""

    def __init__(self, reason: Why, line: int | None = None, column: str | None = None) -> None:
        place = ", ".join(
            said for said in (f"line {line}" if line is not None else "", f"column {column}" if column else "") if said
        )
        super().__init__(f"{place}: {_WORDS[reason]}" if place else _WORDS[reason])
        self.reason, self.line, self.column = reason, line, column


def fen(written: str, *, thousands: bool = False, line: int | None = None, column: str | None = None) -> int:
    """An amount in yuan, as text, in fen: `12.3` is 1230.

    `thousands`: groups of three digits, `1,234.56`, are taken too. `line` and `column` say where it stands, for the
    error. Raises AmountRefused.
    """
    return _units(written, _AMOUNT, 2, thousands, line, column)


def fee(written: str, *, thousands: bool = False, line: int | None = None, column: str | None = None) -> int:
    """A row's fee in yuan, which may have 5 decimals, in thousandths of a fen: exact, to be summed, and the sum
    `rounded`. Arguments and error as of `fen`.
    """
    return _units(written, _FEE, 5, thousands, line, column)


def rounded(thousandths: int) -> int:
    """A sum of fees in fen, half up: half a fen is one more, away from zero."""
    whole, rest = divmod(abs(thousandths), _FEE_UNIT)
    whole += rest * 2 >= _FEE_UNIT
    return -whole if thousandths < 0 else whole


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """`total` split over `weights` by largest remainder: the parts sum to it, and none is a fen or more off.

    Each gets floor(total·weight/Σ); the fen left over go to the largest remainders, among equal ones to the earlier. So
    no part exceeds its weight where `total` does not exceed their sum, and a weight of 0 gets 0. Raises ValueError for
    what is negative, and for a total over nothing.
    """
    if total < 0 or any(weight < 0 for weight in weights):
        raise ValueError("neither what is split nor a weight may be negative")
    whole = sum(weights)
    if whole == 0:
        if total:
            raise ValueError("there is nothing to split it over")
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda at: (-(total * weights[at] % whole), at))
    for at in by_remainder[: total - sum(parts)]:
        parts[at] += 1
    return parts


def _units(
    written: str, pattern: re.Pattern[str], decimals: int, thousands: bool, line: int | None, column: str | None
) -> int:
    bare = written.strip(" \t")
    plain = bare.replace(",", "") if thousands and _GROUPS.fullmatch(bare) else bare
    found = pattern.fullmatch(plain)
    if found is None:
        raise AmountRefused(_why(plain), line, column)
    sign, yuan, rest = found.groups()
    units: int = int(yuan) * 10**decimals + int((rest or "").ljust(decimals, "0"))
    return -units if sign else units


def _why(plain: str) -> Why:
    if not plain:
        return Why.EMPTY
    if _GROUPS.fullmatch(plain):
        return Why.THOUSANDS
    if _LONG.fullmatch(plain):
        return Why.TOO_LARGE
    return Why.DECIMALS if _FINE.fullmatch(plain) else Why.NO_AMOUNT
