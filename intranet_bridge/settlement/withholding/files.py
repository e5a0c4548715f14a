"""Withholding files: the request a bank charges by, and its answer. Pure; gb18030, CRLF, a `|` after every field.

Request `ORG_DKKK_UNIT_YYYYMMDD.txt`: `count|total|day|bank|inTransit|`, then a bill a line. Answer
`ORG_REDKKK_UNIT_YYYYMMDD.txt`: `count|total|okCount|okTotal|day|bank|inTransit|`, where count and total repeat the
**request's**, and the second pair is what was charged; then the same lines with what became of them. A line's `detId`
decides whose answer it is. The layout was seen in public integrations only; confirm it with the bank.

======================  ============================================================================================
line                    what follows
======================  ============================================================================================
`charged`               written off, paid on the answer's day
`refused`               the bill is released; tried again under a new `detId`, then a notice
`amount-differs`        held: what was charged is not what was asked
`unknown-line`          held: nobody asked for it
`unanswered`            its bill stays frozen until a statement, a second answer or an operator settles it
======================  ============================================================================================
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta
from enum import StrEnum

from intranet_bridge.settlement import money
from intranet_bridge.settlement.statements.names import day as day_of
from intranet_bridge.settlement.statements.names import tidy
from intranet_bridge.settlement.statements.opening import Form, Source, opened
from intranet_bridge.settlement.statements.verdicts import Code, Finding, StatementRefused
from protocol.errors import BridgeError
from protocol.values import immutable

MOST_LINES = 200_000
ENCODING = "gb18030"
CHARGED_FLAGS: Mapping[str, bool] = {"1": True, "0": False}
"""What `accountedFlag` says; a bank with others has a table of its own."""

_FORM = Form("a withholding answer", encoding=ENCODING)
_ASKED = (
    "detId", "consNo", "acctOrgNo", "payAcctNo", "pQ", "rcvblAmtId", "rcvblYm", "rcvblAmt", "rcvblPenalty", "totalAmt",
    "reqDay",
)  # fmt: skip
_ANSWERED = (*_ASKED, "resDay", "debitAmt", "accountedFlag", "billNo", "extend")
_HEADER = ("count", "total", "okCount", "okTotal", "day", "bank", "inTransit")
_COUNT = re.compile(r"[0-9]{1,9}")
_FORBIDDEN = re.compile(r"[|\r\n]")
_CHARGED_WITHIN = timedelta(366)
"""Of the request's day: a day of another year is a mistake, whatever our clock says."""
_ANSWER_NAME = re.compile(r"([A-Za-z0-9]+)_([A-Za-z0-9]+)_([A-Za-z0-9]+)_([0-9]{8})\.txt")
ANSWER_WORDS = ("REDKKK", "REDK")
"""What stands in the middle of an answer's name."""


@immutable
class Charge:
    """A bill to be charged. Amounts in fen."""

    det_id: str
    account: str
    unit: str
    pay_account: str
    quantity: str
    bill: str
    month: str
    amount: int
    penalty: int

    @property
    def total(self) -> int:
        """What the bank is asked for."""
        return self.amount + self.penalty


@immutable
class Batch:
    """What one unit asks a bank for on a day."""

    org: str
    unit: str
    day: date
    bank: str
    in_transit: str
    lines: tuple[Charge, ...]

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.org}_DKKK_{self.unit}_{self.day:%Y%m%d}.txt"

    @property
    def total(self) -> int:
        """Fen."""
        return sum(line.total for line in self.lines)


@immutable
class Sealed:
    """A request as it is sent, and sent again: the same bytes."""

    name: str
    content: bytes
    sha256: str
    count: int
    total: int


class NotSealable(BridgeError):
    """The batch stays drafted; each finding names a line of the file that would be."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__(f"line {self.findings[0].line}, column {self.findings[0].column}: {self.findings[0].what}")


def seal(batch: Batch) -> Sealed:
    """The request's bytes. Raises NotSealable: a value that would break the file, a bill or a number twice, no line at
    all or too many.
    """
    findings = _faults(batch)
    if findings:
        raise NotSealable(findings)
    day = f"{batch.day:%Y%m%d}"
    rows = [_row((str(len(batch.lines)), money.text(batch.total), day, batch.bank, batch.in_transit))]
    rows += [_row(_values(line, day)) for line in batch.lines]
    content = b"".join(rows)
    return Sealed(batch.name, content, hashlib.sha256(content).hexdigest(), len(batch.lines), batch.total)


def _row(values: Iterable[str]) -> bytes:
    return ("".join(f"{value}|" for value in values) + "\r\n").encode(ENCODING)


def _values(line: Charge, day: str) -> tuple[str, ...]:
    return (
        line.det_id, line.account, line.unit, line.pay_account, line.quantity, line.bill, line.month,
        money.text(line.amount), money.text(line.penalty), money.text(line.total), day,
    )  # fmt: skip


def _faults(batch: Batch) -> list[Finding]:
    if not 0 < len(batch.lines) <= MOST_LINES:
        return [Finding(f"not 1 to {MOST_LINES} lines", 1, "count", found=str(len(batch.lines)))]
    findings = [fault for name, value in (("bank", batch.bank), ("inTransit", batch.in_transit))
                if (fault := _fault(1, name, value))]  # fmt: skip
    ids: dict[str, int] = {}
    bills: dict[tuple[str, str], int] = {}
    for number, line in enumerate(batch.lines, start=2):
        for name, value in zip(_ASKED, _values(line, ""), strict=True):
            if fault := _fault(number, name, value):
                findings.append(fault)
        for needed, value in (("detId", line.det_id), ("consNo", line.account), ("rcvblAmtId", line.bill)):
            if not value.strip():
                findings.append(Finding("is empty", number, needed))
        if line.amount < 0 or line.penalty < 0 or line.total == 0:
            findings.append(Finding("nothing to charge", number, "totalAmt"))
        if (first := ids.setdefault(line.det_id, number)) != number:
            findings.append(Finding(f"the number of line {first}", number, "detId"))
        if (first := bills.setdefault((line.account, line.bill), number)) != number:
            findings.append(Finding(f"the bill of line {first}", number, "rcvblAmtId"))
    return findings


def _fault(number: int, name: str, value: str) -> Finding | None:
    if _FORBIDDEN.search(value):
        return Finding("has a | or a line end in it", number, name)
    try:
        value.encode(ENCODING)
    except UnicodeEncodeError:
        return Finding(f"has a character outside {ENCODING}", number, name)
    return None


@immutable
class AnswerName:
    """What an answer's name says."""

    name: str
    """Without the blanks that have been seen in it."""
    tidied: bool
    org: str
    unit: str
    day: date


def answer_name(name: str, words: Collection[str] = ANSWER_WORDS) -> AnswerName:
    """Reads an answer's name. Raises StatementRefused (`wrong-name`)."""
    bare, changed = tidy(name)
    found = _ANSWER_NAME.fullmatch(bare)
    day = day_of(found[4]) if found else None
    if found is None or day is None or found[2] not in words:
        raise StatementRefused(Code.WRONG_NAME, Finding("no name of a withholding answer", found=bare))
    return AnswerName(bare, changed, found[1], found[3], day)


class Line(StrEnum):
    """What became of a line."""

    CHARGED = "charged"
    REFUSED = "refused"
    AMOUNT_DIFFERS = "amount-differs"
    UNKNOWN = "unknown-line"
    UNANSWERED = "unanswered"


@immutable
class Outcome:
    """What the bank says of a line."""

    det_id: str
    state: Line
    asked: int = 0
    """Fen."""
    debited: int = 0
    reason: str = ""
    """The bank's words, of a refusal."""
    paid_at: date | None = None
    """The day it was charged, which fixes the penalty."""
    bank_number: str = ""
    extend: str = ""
    line: int = 0
    """In the file."""


@immutable
class Answer:
    """An answer that is accepted."""

    lines: dict[str, Outcome]
    """By `detId`; every line asked for is there."""
    warnings: tuple[Finding, ...] = ()

    @property
    def write_offs(self) -> list[Outcome]:
        """What is written off, under its `detId`."""
        return [outcome for outcome in self.lines.values() if outcome.state is Line.CHARGED]


def read_answer(source: Source, request: Batch, flags: Mapping[str, bool] = CHARGED_FLAGS) -> Answer:
    """Reads the answer to a request. Raises StatementRefused: it has no effect then."""
    asked = {line.det_id: line for line in request.lines}
    lines = opened(source, _FORM).lines()
    header = _fields(*next(lines, (1, "")), _HEADER)
    _same_batch(header, request)
    found: dict[str, Outcome] = {}
    raw: dict[str, dict[str, str]] = {}
    warnings: list[Finding] = []
    copies: list[tuple[int, str]] = []
    blank = False
    for number, line in lines:
        if not line.strip():
            blank = True
            continue
        if blank:
            raise StatementRefused(Code.LAYOUT, Finding("an empty line before this one", number))
        fields = _fields(number, line, _ANSWERED)
        det_id = fields["detId"]
        if det_id in found:
            _same_line(number, raw[det_id], fields, found[det_id].line)
            copies.append((number, det_id))
            continue
        raw[det_id] = fields
        found[det_id] = _outcome(number, fields, asked.get(det_id), flags)
        paid_at, last = found[det_id].paid_at, request.day + _CHARGED_WITHIN
        if paid_at is not None and not request.day <= paid_at <= last:
            what = Finding("not charged from one of these days to the other", number, "resDay",
                           f"{request.day}, {last}", str(paid_at))  # fmt: skip
            raise StatementRefused(Code.BAD_VALUE, what)
        warnings += _echoes(number, fields, asked.get(det_id), request)
    _charged_as_it_says(header, found, raw, flags, copies)
    warnings += [Finding("a copy of another line, counted once", number, "detId") for number, _ in copies]
    answered = {
        det_id: found.pop(det_id, Outcome(det_id, Line.UNANSWERED, line.total)) for det_id, line in asked.items()
    }
    return Answer(answered | found, tuple(warnings))


def _fields(number: int, line: str, names: tuple[str, ...]) -> dict[str, str]:
    cut = not line.endswith("\n")
    values = line.rstrip("\r\n").split("|")
    if len(values) != len(names) + 1 or values[-1].strip(" \t"):
        if cut:
            raise StatementRefused(Code.INCOMPLETE, Finding("the last line is cut off", number))
        what = Finding("not as many fields", number, "", str(len(names) + 1), str(len(values)))
        raise StatementRefused(Code.LAYOUT, what)
    if "\0" in line:  # no database takes it
        raise StatementRefused(Code.BAD_VALUE, Finding("has a NUL in it", number))
    return {name: value.strip(" \t") for name, value in zip(names, values, strict=False)}


def _amount(number: int, fields: dict[str, str], name: str) -> int:
    try:
        return money.fen(fields[name])
    except money.AmountRefused as refused:
        raise StatementRefused(Code.BAD_VALUE, Finding(str(refused), number, name, found=fields[name])) from None


def _count(number: int, fields: dict[str, str], name: str) -> int:
    if not _COUNT.fullmatch(fields[name]):
        raise StatementRefused(Code.BAD_VALUE, Finding("no count", number, name, found=fields[name]))
    return int(fields[name])


def _same_batch(header: dict[str, str], request: Batch) -> None:
    wanted: dict[str, tuple[int | str, int | str]] = {
        "count": (_count(1, header, "count"), len(request.lines)),
        "total": (_amount(1, header, "total"), request.total),
        "day": (header["day"], f"{request.day:%Y%m%d}"),
        "bank": (header["bank"], request.bank),
    }
    findings = [
        Finding("not the request's", 1, name, _shown(name, asked), _shown(name, said))
        for name, (said, asked) in wanted.items() if said != asked
    ]  # fmt: skip
    if findings:
        raise StatementRefused(Code.WRONG_BATCH, *findings)


def _shown(name: str, value: int | str) -> str:
    return money.text(value) if name.lower().endswith("total") and isinstance(value, int) else str(value)


def _outcome(number: int, fields: dict[str, str], asked: Charge | None, flags: Mapping[str, bool]) -> Outcome:
    charged = flags.get(fields["accountedFlag"])
    if charged is None:
        what = Finding("a value nobody knows", number, "accountedFlag", found=fields["accountedFlag"])
        raise StatementRefused(Code.LAYOUT, what)
    if not fields["detId"]:
        raise StatementRefused(Code.BAD_VALUE, Finding("is empty", number, "detId"))
    debited = _amount(number, fields, "debitAmt") if charged or fields["debitAmt"] else 0
    paid_at = _day(number, fields["resDay"]) if charged or fields["resDay"] else None
    total = asked.total if asked else 0
    if asked is None:
        state = Line.UNKNOWN
    elif charged:
        state = Line.CHARGED if debited == total else Line.AMOUNT_DIFFERS
    else:  # refused, and yet something was taken: an accountant asks the bank
        state = Line.REFUSED if debited == 0 else Line.AMOUNT_DIFFERS
    reason = fields["extend"] if state is Line.REFUSED else ""
    return Outcome(
        fields["detId"], state, total, debited, reason, paid_at if charged else None, fields["billNo"],
        fields["extend"], number,
    )  # fmt: skip


def _day(number: int, text: str) -> date:
    try:
        found = day_of(text) if len(text) == 8 and text.isdecimal() and text.isascii() else None
    except StatementRefused:
        found = None
    if found is None:
        raise StatementRefused(Code.BAD_VALUE, Finding("no day", number, "resDay", found=text))
    return found


def _echoes(number: int, fields: dict[str, str], asked: Charge | None, request: Batch) -> list[Finding]:
    """What a line repeats otherwise than it was asked; `detId` decides all the same."""
    if asked is None:
        return []
    sent = dict(zip(_ASKED, _values(asked, f"{request.day:%Y%m%d}"), strict=True))
    return [
        Finding("not as it was asked", number, name, sent[name], fields[name])
        for name in ("consNo", "rcvblAmtId", "totalAmt") if fields[name] != sent[name]
    ]  # fmt: skip


def _same_line(number: int, first: dict[str, str], fields: dict[str, str], at: int) -> None:
    for name, value in fields.items():
        if first[name] != value:
            what = Finding(f"line {at} says it otherwise", number, name, first[name], value)
            raise StatementRefused(Code.CONFLICTING_DUPLICATE, what)


def _charged_as_it_says(
    header: dict[str, str],
    found: Mapping[str, Outcome],
    raw: Mapping[str, dict[str, str]],
    flags: Mapping[str, bool],
    copies: Iterable[tuple[int, str]],
) -> None:
    """The header's second pair is of the charged lines; copies count only if they must, and then nobody knows."""
    charged = {det_id: outcome.debited for det_id, outcome in found.items() if flags[raw[det_id]["accountedFlag"]]}
    said = (_count(1, header, "okCount"), _amount(1, header, "okTotal"))
    right = (len(charged), sum(charged.values()))
    if said == right:
        return
    again = [charged[det_id] for _, det_id in copies if det_id in charged]
    if again and said == (right[0] + len(again), right[1] + sum(again)):
        lines = sorted({number for number, _ in copies} | {found[det_id].line for _, det_id in copies})
        raise StatementRefused(
            Code.AMBIGUOUS_DUPLICATE, *(Finding("stands more than once", line, "detId") for line in lines)
        )
    findings = [
        Finding("of the charged lines", 1, name, _shown(name, header_says), _shown(name, lines_say))
        for name, header_says, lines_say in zip(("okCount", "okTotal"), said, right, strict=True)
        if header_says != lines_say
    ]
    raise StatementRefused(Code.TOTALS_MISMATCH, *findings)


def answered_again(known: Mapping[str, Outcome], answer: Answer) -> tuple[dict[str, Outcome], tuple[Finding, ...]]:
    """What a second answer adds: it fills only what is `unanswered`. With it, what it says otherwise of other lines,
    which changes nothing.
    """
    filled: dict[str, Outcome] = {}
    findings: list[Finding] = []
    for det_id, outcome in answer.lines.items():
        before = known.get(det_id)
        if before is None or before.state is Line.UNANSWERED:
            if outcome.state is not Line.UNANSWERED:
                filled[det_id] = outcome
        elif outcome.state is not Line.UNANSWERED and (outcome.state, outcome.debited) != (
            before.state,
            before.debited,
        ):
            was, now = (f"{one.state} {money.text(one.debited)}" for one in (before, outcome))
            findings.append(Finding("answered before, and otherwise", outcome.line, "detId", was, now))
    return filled, tuple(findings)


def retried(line: Charge, det_id: str, penalty: int) -> Charge:
    """The bill asked for again, with the penalty of the day: under a new number, as an answer to the old one may yet
    come. Raises ValueError when the number is not new.
    """
    if det_id == line.det_id:
        raise ValueError("a retry has a number of its own")
    return Charge(
        det_id, line.account, line.unit, line.pay_account, line.quantity, line.bill, line.month, line.amount, penalty
    )
