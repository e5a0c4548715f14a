"""Money, and the commands that the bridge gives itself."""

from protocol.reports.part import Part


class ClearingReport(Part):
    """What of clearing somebody has to look at."""

    late: tuple[str, ...] = ()
    """Channel, day and statements of days that should be cleared by now."""
    differing: tuple[str, ...] = ()
    """Sheets of which less, or more, arrived than was paid out."""
    carried: tuple[str, ...] = ()
    """Sheets with a negative net that no later one has set off yet."""
    waiting: int = 0
    """Rows of statements that no sheet has yet."""
    calendar_ends: str = ""
    """The last day of the bank calendar, where it ends within the next 30 days, or has ended."""


class PaymentOrdersReport(Part):
    """Payment orders that somebody has to look at."""

    enabled: bool = False
    held: tuple[str, ...] = ()
    """Orders that wait for a person; at most 20 are named."""
    unproven: tuple[str, ...] = ()
    """Refunds that three statements of their channel do not prove; at most 20 are named."""
    unproven_fen: int = 0


class WithholdingBatchReport(Part):
    """A batch of withholding that somebody has to look at."""

    id: str
    day: str
    state: str
    findings: str = ""
    """JSON: line, column and what is wrong there; without anything of a customer."""


class WithholdingReport(Part):
    """Withholding."""

    enabled: bool = False
    stuck: tuple[WithholdingBatchReport, ...] = ()
    """Cannot be sealed: a value would break the file."""
    waiting: tuple[WithholdingBatchReport, ...] = ()
    """Should have been sealed an hour ago: the marketing system does not answer, or holds on bills have no outcome."""
    overdue: tuple[WithholdingBatchReport, ...] = ()
    """The bank has not answered."""
    refused: tuple[str, ...] = ()
    """Answers of the last week without effect: name and code."""
    held: int = 0
    """Lines whose money is in doubt."""
    held_fen: int = 0
    """What was charged of them."""
    unanswered: int = 0
    not_booked: int = 0
    """Written off, and their journal could not be written."""
    not_released: int = 0
    """The marketing system did not end its hold on the bill."""


class StatementsReport(Part):
    """Statements that somebody has to look at. Times are epoch ms; money is fen."""

    late: tuple[str, ...] = ()
    """Kind and day of those that are late."""
    late_since: int = 0
    """When the first of them was due."""
    missing: tuple[str, ...] = ()
    missing_since: int = 0
    refused: tuple[str, ...] = ()
    """Name and code of those that have no effect, of the last two weeks."""
    refused_since: int = 0
    conflicting: tuple[str, ...] = ()
    """Ids of those that came again with other content."""
    conflicting_since: int = 0
    incomplete: tuple[str, ...] = ()
    """Code of each run that could not be done."""
    incomplete_since: int = 0
    approvals: tuple[str, ...] = ()
    """Ids of runs that wait for approval."""
    approvals_since: int = 0
    approvals_fen: int = 0
    held: int = 0
    held_since: int = 0
    held_fen: int = 0
    not_done: int = 0
    """Of those held: what was to be written off or reversed, and was refused."""


class OwnCommandsReport(Part):
    """Commands that the bridge gave itself and that do not go on. Times are epoch ms, 0: none."""

    not_taken: int = 0
    """Outcomes that could not be taken by what gave the command."""
    not_taken_since: int = 0
    elsewhere: int = 0
    """Those whose outcome another region's bridge has not told."""
    elsewhere_since: int = 0
