"""What is said of a whole file that is not accepted, and where the reason stands. Pure.

A file takes effect whole or not at all, so one bad line refuses it; the line, the column and both values are named for
whoever asks the platform. What a file says of customers is in `Finding.found`: it is shown to the accountant, and never
logged.
"""

from enum import StrEnum

from protocol.errors import BridgeError
from protocol.values import immutable

MOST_FINDINGS = 100
"""Of one file: who reads them has understood by then."""


class Code(StrEnum):
    """Why a file has no effect."""

    INCOMPLETE = "incomplete"
    """It is cut off, or not made yet: looked at again until the day's end."""
    DUPLICATE = "duplicate"
    """The same bytes under the same name came before."""
    CONFLICTING_RESEND = "conflicting-resend"
    """Other bytes under a name that is accepted already: an operator decides."""
    TOTALS_MISMATCH = "totals-mismatch"
    HEADER_ORDER = "header-order"
    """Count and amount of the header fit only when swapped."""
    LAYOUT = "layout"
    """Columns, lines or members that the profile does not know."""
    BAD_VALUE = "bad-value"
    """An amount, a time or a count that is none."""
    AMBIGUOUS_DUPLICATE = "ambiguous-duplicate"
    CONFLICTING_DUPLICATE = "conflicting-duplicate"
    WRONG_MERCHANT = "wrong-merchant"
    WRONG_CURRENCY = "wrong-currency"
    WRONG_DAY = "wrong-day"
    WRONG_NAME = "wrong-name"
    WRONG_BATCH = "wrong-batch"
    """The answer is of another withholding request."""
    STATEMENT_MISSING = "statement-missing"
    """The platform says there is no statement, and we have payments of that day: critical."""
    TOO_LARGE = "too-large"
    """More members, more bytes, or packed more tightly than a statement can be."""
    UNREADABLE = "unreadable"
    """What is kept of the file is not whole any more: it has to come again."""


LOOK_AGAIN = frozenset({Code.INCOMPLETE})
"""What a later look may heal."""


@immutable
class Finding:
    """One reason, and where it stands."""

    what: str
    """In words; without anything of a customer."""
    line: int | None = None
    """As an editor counts: the first is 1."""
    column: str = ""
    expected: str = ""
    found: str = ""

    def __str__(self) -> str:
        """For the operator's screen."""
        place = ", ".join(
            part
            for part in (f"line {self.line}" if self.line else "", f"column {self.column}" if self.column else "")
            if part
        )
        values = f" (expected {self.expected!r}, found {self.found!r})" if self.expected or self.found else ""
        return f"{place}: {self.what}{values}" if place else f"{self.what}{values}"


class StatementRefused(BridgeError):
    """The file has no effect; `code` says why, `findings` where."""

    def __init__(self, code: Code, *findings: Finding) -> None:
        """The error's own text has no value from the file: it may be logged."""
        self.code, self.findings = code, findings[:MOST_FINDINGS]
        lines = [str(one.line) for one in self.findings if one.line]
        super().__init__(f"{code}{': line ' + ', '.join(lines[:5]) if lines else ''}")
