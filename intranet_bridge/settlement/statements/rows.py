"""What a statement says, whoever wrote it. Pure."""

from datetime import date

from intranet_bridge.settlement import money
from intranet_bridge.settlement.statements.profiles import Kind, Status
from intranet_bridge.settlement.statements.verdicts import Finding
from protocol.values import immutable


@immutable
class Row:
    """One row. Amounts are fen and positive: the kind says which way."""

    line: int
    kind: Kind
    transaction: str
    """The payment's number at the platform; a refund has that of its payment."""
    order: str
    """Our number, where the row has it."""
    refund: str
    """Our number of the refund."""
    gross: int
    settled: int
    """What the platform owes us for it: negative for a refund."""
    fee: int
    """Thousandths of a fen; what we pay is positive."""
    at: date
    """A datetime with its zone, where the platform says the time."""
    status: Status = Status.PROVEN
    account: str = ""
    month: str = ""
    bills: tuple[tuple[str, str], ...] = ()
    """Bill and month."""
    penalty: int | None = None
    platform_refund: str = ""
    merchant: str = ""
    """Whose, where rows of a file say it."""


@immutable
class Expected:
    """What we know of a file before it is read."""

    day: date
    merchants: frozenset[str] = frozenset()
    """Any, when empty."""
    rows: int = 0
    """Payments of that day we know of: then "no statement" is not believed."""
    sha1: str = ""
    """Of the unpacked text, where the platform gives one."""


@immutable
class Summary:
    """A file that is accepted, in figures."""

    profile: str
    layout: str
    day: date
    rows: int
    payments: int
    paid: int
    """Fen."""
    refunds: int
    """Revocations too."""
    refunded: int
    fee: int
    """Thousandths of a fen, summed exactly."""
    settled: int
    encoding: str
    sha1: str
    merchant: str = ""
    no_statement: bool = False
    """The platform says the day had nothing."""
    dropped: tuple[int, ...] = ()
    """Lines that are copies of others, and do not count: whoever took their rows takes them out again."""
    warnings: tuple[Finding, ...] = ()

    @property
    def fee_fen(self) -> int:
        """Rounded once, half up."""
        return money.rounded(self.fee)
