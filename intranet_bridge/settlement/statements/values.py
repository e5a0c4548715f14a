"""What a text of a statement says: fen, thousandths of a fen, a count, a time. Refused with its line and column."""

import re
from datetime import date, datetime

from intranet_bridge.settlement import money
from intranet_bridge.settlement.statements.profiles import Profile, Unit
from intranet_bridge.settlement.statements.rows import Expected
from intranet_bridge.settlement.statements.verdicts import Code, Finding, StatementRefused
from protocol.times import CHINA

_ISO = "%Y-%m-%d %H:%M:%S"
COUNT = re.compile(r"[0-9]{1,9}")
_FEN = re.compile(r"[0-9]{1,13}")
_SIGNED = re.compile(r"([CD])([0-9]{1,13})")
_MOST_KEPT = 100_000
"""Texts of amounts and times whose meaning is remembered: most rows say what another said."""


class Values:
    """Reads the texts of one pass."""

    def __init__(self, profile: Profile, expected: Expected) -> None:
        self._profile, self._day = profile, expected.day
        self._money: dict[tuple[str, bool], int] = {}
        self._times: dict[str, date] = {}

    def fen(self, number: int, column: str, text: str) -> int:
        """Of an amount, in the column's unit."""
        return self._amount(number, column, text, fine=False)

    def thousandths(self, number: int, column: str, text: str) -> int:
        """The same in thousandths of a fen: fees have five decimals."""
        return self._amount(number, column, text, fine=True)

    def _amount(self, number: int, column: str, text: str, fine: bool) -> int:
        unit = self._profile.units.get(column, Unit.YUAN)
        if unit is not Unit.YUAN:
            return _digits(number, column, text, unit) * (1000 if fine else 1)
        known = self._money.get((text, fine))
        if known is None:
            thousands = self._profile.thousands
            try:
                known = money.fee(text, thousands=thousands) if fine else money.fen(text, thousands=thousands)
            except money.AmountRefused as refused:
                what = Finding(str(refused), number, column, found=text.strip())
                raise StatementRefused(Code.BAD_VALUE, what) from None
            if len(self._money) >= _MOST_KEPT:
                self._money.clear()
            self._money[text, fine] = known
        return known

    @staticmethod
    def count(number: int, column: str, text: str) -> int:
        if not COUNT.fullmatch(text):
            raise StatementRefused(Code.BAD_VALUE, Finding("no count", number, column, found=text))
        return int(text)

    def time(self, number: int, column: str, text: str) -> date:
        known = self._times.get(text)
        if known is None:
            try:
                known = _moment(text, self._profile.time_format, self._day)
            except ValueError:
                raise StatementRefused(Code.BAD_VALUE, Finding("no time", number, column, found=text)) from None
            if len(self._times) >= _MOST_KEPT:
                self._times.clear()
            self._times[text] = known
        return known


def _moment(text: str, form: str, day: date) -> date:
    """What a text says of time. Raises ValueError."""
    if form == _ISO:
        if len(text) != 19 or text[7] != "-" or text[10] != " " or not text.isascii():
            raise ValueError(text)
        return datetime.fromisoformat(text).replace(tzinfo=CHINA)
    if not text.isascii():
        raise ValueError(text)
    if "%Y" in form or "%y" in form:
        said = datetime.strptime(text, form)
    else:
        years = [
            datetime.strptime(f"{year}{text}", f"%Y{form}")
            for year in (day.year - 1, day.year, day.year + 1)
            if _is_a_day(f"{year}{text}", f"%Y{form}")
        ]
        if not years:
            raise ValueError(text)
        said = min(years, key=lambda one: abs(one.date() - day))
    return said.replace(tzinfo=CHINA) if "%H" in form else said.date()


def _is_a_day(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def _digits(number: int, column: str, text: str, unit: Unit) -> int:
    bare = text.strip(" \t")
    if unit is Unit.FEN and _FEN.fullmatch(bare):
        return int(bare)
    if unit is Unit.SIGNED_FEN and (found := _SIGNED.fullmatch(bare)):
        return int(found[2]) if found[1] == "C" else -int(found[2])
    raise StatementRefused(Code.BAD_VALUE, Finding("no amount", number, column, found=bare))
