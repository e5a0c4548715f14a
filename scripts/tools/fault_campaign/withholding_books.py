"""The four books of withholding: the lines that callers were told of, the bridge's lines and ledger, what the marketing
system has written off, what banks were asked and have charged. Pure.

Each line is asked of a bank once. What the bank charged as it was asked is written off once, by its amount, and nothing
else is; what it refused is free again, and what it left out, or charged otherwise, waits for a person.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from scripts.tools.fault_campaign.reconcile import Violation

CHANNEL = "withholding"
CHARGED, REFUSED, SILENT, DIFFERS, STRANGER = "charged", "refused", "silent", "differs", "stranger"
"""What a bank may have said of a line in the end."""
STATES = {
    CHARGED: "written-off", REFUSED: "refused", SILENT: "unanswered", DIFFERS: "amount-differs",
    STRANGER: "unknown-line",
}  # fmt: skip
"""And what the bridge must have made of it."""
NOT_ASKED = frozenset({"waiting", "withdrawn", "dropped"})
NOT_HELD = frozenset({"released", ""})
"""Of the hold on a bill that is free."""


@dataclass(frozen=True, slots=True)
class Told:
    """A line, as its caller was told."""

    line: str
    account: str
    amount: int
    """Fen, with the penalty."""


@dataclass(frozen=True, slots=True)
class Said:
    """A line in a bank's journal."""

    line: str
    batch: str
    what: str
    asked: int
    debited: int


@dataclass(frozen=True, slots=True)
class BridgeLine:
    """A line in the bridge's database. `line`: the bank's number of it."""

    line: str
    batch: str
    state: str
    debited: int
    hold: str


@dataclass(frozen=True, slots=True)
class Settled:
    """A payment in the marketing system's book."""

    transaction: str
    account: str
    amount: int
    reversed: bool


@dataclass(frozen=True, slots=True)
class WithholdingBooks:
    """All that is compared."""

    told: Sequence[Told]
    said: Sequence[Said]
    lines: Sequence[BridgeLine]
    settled: Sequence[Settled]
    ledger: Sequence[tuple[str, int]]
    """What a journal is about, and what it books on the account of the channel."""
    changed: Sequence[str] = ()
    """Requests that came to a bank again with other bytes."""


@dataclass(slots=True)
class WithholdingVerdict:
    """The result. Money is fen."""

    lines: int = 0
    said: Counter[str] = field(default_factory=Counter)
    charged: int = 0
    written_off: int = 0
    in_doubt: int = 0
    """Charged otherwise than it was asked: a person has it."""
    lost: int = 0
    doubled: int = 0
    violations: list[Violation] = field(default_factory=list)

    def add(self, kind: str, what: str) -> None:
        """Record a violation."""
        self.violations.append(Violation(kind, what))


def check(books: WithholdingBooks) -> WithholdingVerdict:
    """Compare all of them."""
    verdict = WithholdingVerdict(len(books.told), Counter(one.what for one in books.said))
    for name in books.changed:
        verdict.add("fen-twice", f"the request {name} came to the bank again, with other bytes")
    _check_lines(books, verdict)
    said = {one.line: one for one in books.said}
    for line, times in Counter(one.line for one in books.said if one.what != STRANGER).items():
        if times > 1:
            verdict.add("fen-twice", f"line {line} was asked of the bank {times} times")
    settled: dict[str, list[Settled]] = {}
    for one in books.settled:
        if not one.reversed:
            settled.setdefault(one.transaction, []).append(one)
    booked = Counter[str]()
    for about, amount in books.ledger:
        booked[about] += amount
    accounts = {one.line: one.account for one in books.told}
    for line, of in said.items():
        due = of.debited if of.what == CHARGED else 0
        verdict.charged += of.debited
        verdict.in_doubt += of.debited - due
        _check_money(of, due, settled.pop(line, []), accounts.get(line, ""), verdict)
        if booked.pop(line, 0) != due:
            verdict.add("money-books", f"line {line}: the ledger has another amount than the {due} fen that are due")
    for line, of_line in settled.items():
        amount = sum(one.amount for one in of_line)
        verdict.doubled += amount
        verdict.add("fen-twice", f"{amount} fen are written off under {line}, which no bank was asked for")
    for about, amount in booked.items():
        if amount:
            verdict.add("money-books", f"the ledger has {amount} fen of {about}, which no bank was asked for")
    return verdict


def _check_lines(books: WithholdingBooks, verdict: WithholdingVerdict) -> None:
    said = {(one.batch, one.line): one for one in books.said}
    ours = {(one.batch, one.line): one for one in books.lines}
    told = {one.line: one for one in books.told}
    for line in sorted(told.keys() - {one.line for one in books.lines}):
        verdict.add("lost", f"line {line} was told to its caller, and is not in the bridge's database")
    for key in sorted(said.keys() - ours.keys()):
        verdict.add("lost", f"line {key[1]} of batch {key[0]} is with the bank, and not in the bridge's database")
    for key, row in ours.items():
        of = said.get(key)
        if row.line not in told and (of is None or of.what != STRANGER):
            verdict.add("stranger", f"line {row.line} is the bridge's, and no caller's")
        if of is None:
            if row.state not in NOT_ASKED:
                verdict.add("money-books", f"line {row.line} is {row.state}, and no bank was asked for it")
            continue
        if row.state != STATES[of.what]:
            verdict.add("difference-missed", f"line {row.line} is {row.state}, the bank's last word was {of.what}")
        elif row.debited != of.debited:
            verdict.add("money-books", f"line {row.line}: {row.debited} fen debited, the bank says {of.debited}")
        if of.what == REFUSED and row.hold not in NOT_HELD:
            verdict.add("money-books", f"line {row.line} is refused, and the hold on its bill is {row.hold}")
        if (caller := told.get(row.line)) is not None and of.asked != caller.amount:
            verdict.add("money-books", f"line {row.line}: {caller.amount} fen were told, {of.asked} asked of the bank")


def _check_money(of: Said, due: int, settled: Sequence[Settled], account: str, verdict: WithholdingVerdict) -> None:
    amount = sum(one.amount for one in settled)
    verdict.written_off += amount
    name = f"line {of.line}, {of.what} by the bank"
    if amount > due or len(settled) > 1:
        verdict.doubled += amount - due
        verdict.add("fen-twice", f"{name}: {due} fen are due, {amount} written off {len(settled)} times")
    elif amount < due:
        verdict.lost += due - amount
        verdict.add("fen-lost", f"{name}: {due} fen are due, {amount} written off")
    elif settled and settled[0].account != account:
        verdict.add("money-books", f"{name}: written off for another account")
