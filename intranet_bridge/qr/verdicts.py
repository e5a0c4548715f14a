"""What each cell of an uploaded sheet of account numbers is worth. Pure.

Excel keeps a number as a float and shows it as it likes, so what was typed is not always what is stored: a leading zero
is lost, the 16th digit too. A cell is therefore judged by the type it is *stored* with, and what may have lost
something gets no code:

==================  ====================================================================================================
`ok`                text of the company's form; or a number with just `account_digits` digits, where that is fixed
`number-cell`       a number, and a leading zero may be lost
`precision-lost`    a number of 16 digits or more (10¹⁵ on): Excel keeps 15
`scientific`        text such as `3.21E+12`
`formula`           a formula
`not-digits`        text that is not of the form: full-width digits, path characters, too few
`not-text`          a truth value, a date, an error
`empty`             nothing, while later rows have something
`duplicate`         the account was there already; one code is made
==================  ====================================================================================================

`no-such-account` and `account-closed` are the marketing system's to say, later. Bad rows never stop good ones; a file
that is no sheet, or is not to be trusted, is refused whole (`SheetRefused`).
"""

import re
from enum import StrEnum

from protocol.values import immutable

MOST_TEXT = 64
"""Characters of a cell that are kept: no account is longer."""
BLANKS = " \t\r\n\u00a0\u200b"
_EXACT = 10**15
_SCIENTIFIC = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?[eE][+-]?[0-9]+")


class Verdict(StrEnum):
    """What became of a row."""

    OK = "ok"
    NUMBER_CELL = "number-cell"
    PRECISION_LOST = "precision-lost"
    SCIENTIFIC = "scientific"
    FORMULA = "formula"
    NOT_DIGITS = "not-digits"
    NOT_TEXT = "not-text"
    EMPTY = "empty"
    DUPLICATE = "duplicate"
    NO_SUCH_ACCOUNT = "no-such-account"
    ACCOUNT_CLOSED = "account-closed"
    NOT_CHECKED = "not-checked"
    """The marketing system did not say whether there is such an account."""


class Doubt(StrEnum):
    """Why it is not known whether there is such an account."""

    LATER = "later"
    """Nothing could be asked now: the circuit is open, or there is maintenance. It says nothing of the account."""
    INTERFACE = "interface"
    """It was asked, and the interface failed."""
    ANSWER = "answer"
    """The answer about this account cannot be used."""


MEANINGS = {
    Verdict.OK: "已生成",
    Verdict.NUMBER_CELL: "单元格为数字格式，可能丢失前导零，请改为文本",
    Verdict.PRECISION_LOST: "数字超过15位，精度已丢失，请改为文本重新填写",
    Verdict.SCIENTIFIC: "科学计数法，请改为文本重新填写",
    Verdict.FORMULA: "单元格为公式",
    Verdict.NOT_DIGITS: "不是本单位的户号格式",
    Verdict.NOT_TEXT: "不是文本（日期、逻辑值或错误值）",
    Verdict.EMPTY: "空白",
    Verdict.DUPLICATE: "与前面的行重复",
    Verdict.NO_SUCH_ACCOUNT: "户号不存在",
    Verdict.ACCOUNT_CLOSED: "户号已销户",
    Verdict.NOT_CHECKED: "暂时无法核实户号",
}
"""For the people who filled in the sheet."""


class SheetRefused(Exception):
    """The file is not taken at all; `code` says why, for programs."""

    def __init__(self, code: str) -> None:
        """`code`: `not-xlsx`, `too-large`, `too-many-rows`, `wrong-header` or `no-rows`."""
        super().__init__(code)
        self.code = code


@immutable
class Row:
    """One row of the sheet."""

    number: int
    """As in Excel: the header is 1."""
    verdict: Verdict
    account: str = ""
    """The account number where the verdict is ok or duplicate; else the cell's text, cut off."""


@immutable
class Form:
    """What a company's account numbers look like."""

    pattern: re.Pattern[str]
    digits: int | None = None
    """How many digits each has; then a number cell with just so many has lost nothing."""


def judged(value: object, kind: str, form: Form) -> tuple[Verdict, str]:
    """What a cell says: `ok` with the account, or what is wrong with it. `kind`: openpyxl's data type."""
    if kind == "f":
        return Verdict.FORMULA, ""
    if value is None:
        return Verdict.EMPTY, ""
    if isinstance(value, bool) or kind in ("b", "e", "d"):
        return Verdict.NOT_TEXT, str(value)[:MOST_TEXT]
    if isinstance(value, (int, float)):
        return _number(value, form)
    if not isinstance(value, str):
        return Verdict.NOT_TEXT, str(value)[:MOST_TEXT]
    text = value.strip(BLANKS).removeprefix("'")
    if not text:
        return Verdict.EMPTY, ""
    if form.pattern.fullmatch(text):
        return Verdict.OK, text
    verdict = Verdict.SCIENTIFIC if _SCIENTIFIC.fullmatch(text) else Verdict.NOT_DIGITS
    return verdict, text[:MOST_TEXT]


def _number(value: float, form: Form) -> tuple[Verdict, str]:
    if abs(value) >= _EXACT:
        return Verdict.PRECISION_LOST, str(value)[:MOST_TEXT]
    text = str(int(value)) if value == int(value) else str(value)
    fits = form.digits is not None and len(text) == form.digits and form.pattern.fullmatch(text)
    return (Verdict.OK if fits else Verdict.NUMBER_CELL), text[:MOST_TEXT]
