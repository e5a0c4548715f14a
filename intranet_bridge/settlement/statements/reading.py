"""Reads a file by its profile, and accepts it whole or refuses it whole. Streaming: rows go to the caller's sink as
they come and count only once `read` has returned; nothing is held but a number for each row, to see copies.

Copies cannot be judged before the totals are known, so a file that has any is read a second time, for those rows alone.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta

from intranet_bridge.settlement import money
from intranet_bridge.settlement.statements.opening import Source, Text, opened
from intranet_bridge.settlement.statements.profiles import Kind, Layout, Profile, Roles, Status, Total, Unit
from intranet_bridge.settlement.statements.rows import Expected, Row, Summary
from intranet_bridge.settlement.statements.verdicts import Code, Finding, StatementRefused
from protocol.money import text as yuan
from protocol.times import CHINA

_ISO = "%Y-%m-%d %H:%M:%S"
_CHINESE = "%Y年%m月%d日 %H:%M:%S"
_COUNT = re.compile(r"[0-9]{1,9}")
_FEN = re.compile(r"[0-9]{1,13}")
_SIGNED = re.compile(r"([CD])([0-9]{1,13})")
_MOST_KEPT = 100_000
"""Texts of amounts and times whose meaning is remembered: most rows say what another said."""
_MOST_COPIES = 10_000
MOST_TEXT = 64
"""Characters of a number or an account: none is longer."""
_SMALL = 4096
"""Bytes of an answer that is no statement."""

Sink = Callable[[Row], None]
Values = dict[str, str]
_Further = tuple[Status, str, str, tuple[tuple[str, str], ...], int | None, str]


def read(source: Source, profile: Profile, expected: Expected, sink: Sink) -> Summary:
    """Reads the whole file; raises StatementRefused when it has no effect. Rows given to `sink` count only when this
    returns, and then without `Summary.dropped`.
    """
    text = opened(source, profile.form())
    if expected.sha1 and text.sha1 != expected.sha1.lower():
        what = Finding("not the digest the platform gave", expected=expected.sha1.lower(), found=text.sha1)
        raise StatementRefused(Code.INCOMPLETE, what)
    if text.size <= _SMALL and (said := _no_statement(text, profile, expected)) is not None:
        return said
    return _Reading(text, profile, expected).whole(sink)


def _no_statement(text: Text, profile: Profile, expected: Expected) -> Summary | None:
    begins = text.begins()
    if any(mark in begins for mark in profile.being_made):
        raise StatementRefused(Code.INCOMPLETE, Finding("the platform is still making it"))
    if not any(mark in begins for mark in profile.no_statement):
        return None
    if expected.rows:
        what = Finding("the platform has no statement of the day", expected=f"{expected.rows} payments", found="none")
        raise StatementRefused(Code.STATEMENT_MISSING, what)
    return Summary(profile.name, "", expected.day, 0, 0, 0, 0, 0, 0, 0, text.encoding, text.sha1, no_statement=True)


class _Reading:
    """One pass over a file."""

    def __init__(self, text: Text, profile: Profile, expected: Expected) -> None:
        self._text, self._profile, self._expected = text, profile, expected
        self._values: Values = {}
        """What the lines around the rows say."""
        self._at: dict[str, int] = {}
        """Where a value of `_values` stands."""
        self._layout = profile.layouts[0]
        self._place: dict[str, int] = {}
        """Index of each column."""
        self._ended = True
        """The line being read has an end."""
        self._ended_right = not (profile.end or any(layout.totals for layout in profile.layouts))
        self._merchants: set[str] = set()
        self._money: dict[tuple[str, bool], int] = {}
        self._times: dict[str, date] = {}

    # Lines

    def cells(self) -> Iterator[tuple[int, list[str]]]:
        """The rows' fields, with the number of their line; what stands around them is kept."""
        try:
            yield from self._sections()
        except StatementRefused as refused:
            if not self._ended and refused.code in (Code.LAYOUT, Code.BAD_VALUE):
                what = Finding("the last line is cut off", refused.findings[0].line if refused.findings else None)
                raise StatementRefused(Code.INCOMPLETE, what) from None
            raise

    def _sections(self) -> Iterator[tuple[int, list[str]]]:
        profile = self._profile
        lines = self._fixed_lines() if not profile.separator else self._text_lines()
        lines = self._head(lines)
        if profile.header:
            self._header(lines)
        else:
            self._place = {name: index for index, name in enumerate(self._layout.columns)}
        end = re.compile(profile.end) if profile.end else None
        totals_first = self._layout.totals[0] if self._layout.totals else None
        wanted, blank = len(self._layout.columns), None
        split = self._split
        for number, line in lines:
            if not line or line.isspace():
                blank = number
                continue
            if "\0" in line:
                raise StatementRefused(Code.LAYOUT, Finding("a character that no text has", number))
            if blank is not None:
                raise StatementRefused(Code.LAYOUT, Finding("an empty line before this one", number))
            if end is not None and line.startswith(profile.comment) and end.fullmatch(line.rstrip()):
                self._tail(lines)
                return
            if totals_first is not None and line.startswith(totals_first):
                self._totals_line(number, line, lines)
                return
            fields = split(number, line)
            if len(fields) != wanted:
                what = Finding("not as many fields as columns", number, "", str(wanted), str(len(fields)))
                raise StatementRefused(Code.LAYOUT, what)
            yield number, fields

    def _text_lines(self) -> Iterator[tuple[int, str]]:
        for number, line in self._text.lines():
            self._ended = line[-1] == "\n"
            yield number, line.rstrip("\r\n")

    def _fixed_lines(self) -> Iterator[tuple[int, str]]:
        """Cut by bytes, then decoded; the fields of a line are put together by a character that text has not."""
        profile, layout = self._profile, self._layout
        head = [field.width for field in profile.head_fields]
        for number, raw in self._text.raw_lines():
            self._ended = raw[-1:] == b"\n"
            line = raw.rstrip(b"\r\n")
            if number == 1 and head:
                yield number, _JOINT.join(self._cut(number, line.ljust(sum(head)), head, 0))
            elif line.strip():
                yield number, _JOINT.join(self._cut(number, line, layout.widths, profile.gap))
            else:
                yield number, ""

    def _cut(self, number: int, line: bytes, widths: Sequence[int], gap: int) -> Iterator[str]:
        whole = sum(widths) + gap * (len(widths) - 1)
        before_last = whole - widths[-1] - gap
        if len(line) != whole:
            # An editor drops the blanks at the end, and with them an empty last field: that alone is made good.
            reaches = before_last - (widths[-2] if len(widths) > 1 else 0)
            if len(line) > whole or len(line) > before_last or len(line) <= reaches:
                what = Finding("not as many bytes as the widths", number, "", str(whole), str(len(line)))
                raise StatementRefused(Code.LAYOUT, what)
            line = line.ljust(whole)
        at = 0
        for index, width in enumerate(widths):
            try:
                yield line[at : at + width].decode(self._text.encoding)
            except UnicodeDecodeError:
                what = Finding("a field that ends inside a character", number, self._layout.columns[index])
                raise StatementRefused(Code.LAYOUT, what) from None
            at += width
            if index < len(widths) - 1 and line[at : at + gap].strip():
                what = Finding("no blank after the field", number, self._layout.columns[index])
                raise StatementRefused(Code.LAYOUT, what)
            at += gap

    def _split(self, number: int, line: str) -> list[str]:
        profile = self._profile
        if not profile.separator:
            return line.split(_JOINT)
        if profile.lead:
            if not line.startswith(profile.lead):
                raise StatementRefused(Code.LAYOUT, Finding(f"a row starts with {profile.lead}", number))
            line = line[len(profile.lead) :]
        if profile.quoted and '"' in line:
            try:
                fields = next(csv.reader([line], delimiter=profile.separator, strict=True))
            except csv.Error:
                raise StatementRefused(Code.LAYOUT, Finding("quotation marks that do not close", number)) from None
        else:
            fields = line.split(profile.separator)
        if profile.trailing:
            if fields[-1].strip(" \t"):
                raise StatementRefused(Code.LAYOUT, Finding(f"a row ends with {profile.separator}", number))
            del fields[-1]
        return fields

    # What stands around the rows

    def _head(self, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        profile = self._profile
        if profile.head_fields:
            for number, line in lines:
                for field, cell in zip(profile.head_fields, line.split(_JOINT), strict=True):
                    self._values[field.name], self._at[field.name] = cell.strip(), number
                break
            else:
                raise StatementRefused(Code.INCOMPLETE, Finding("the file is empty"))
        for pattern in profile.head:
            for number, line in lines:
                found = re.fullmatch(pattern, line.rstrip() if profile.comment else line)
                if found is None:
                    raise StatementRefused(Code.LAYOUT, Finding("not the line that belongs here", number))
                self._take(number, found)
                break
            else:
                raise StatementRefused(Code.INCOMPLETE, Finding("the file ends before its rows"))
        self._check_head()
        return lines

    def _take(self, number: int, found: re.Match[str]) -> None:
        for name, value in found.groupdict().items():
            self._values[name], self._at[name] = (value or "").strip(), number

    def _check_head(self) -> None:
        values, day = self._values, self._expected.day
        if (merchant := values.get("merchant")) is not None:
            self._merchant(self._at["merchant"], "", merchant)
        for name, right in (("from", day), ("to", day + timedelta(days=1))):
            if name in values:
                try:
                    said = datetime.strptime(values[name], _CHINESE)
                except ValueError:
                    raise StatementRefused(Code.BAD_VALUE, Finding("no time", self._at[name])) from None
                if said != datetime(right.year, right.month, right.day):
                    what = Finding("not this day, midnight to midnight", self._at[name], "", str(right), str(said))
                    raise StatementRefused(Code.WRONG_DAY, what)

    def _header(self, lines: Iterator[tuple[int, str]]) -> None:
        profile = self._profile
        for number, line in lines:
            names = [name.strip() for name in line.split(profile.header_separator or profile.separator)]
            if profile.trailing and not names[-1]:
                del names[-1]
            self._layout = _nearest(profile.layouts, names)
            if findings := _differences(number, self._layout.columns, names):
                raise StatementRefused(Code.LAYOUT, *findings)
            self._place = {name: index for index, name in enumerate(names)}
            return
        raise StatementRefused(Code.INCOMPLETE, Finding("the file ends before its rows"))

    def _totals_line(self, number: int, line: str, lines: Iterator[tuple[int, str]]) -> None:
        profile, names = self._profile, self._layout.totals
        said = tuple(name.strip() for name in line.split(profile.header_separator or profile.separator))
        if sorted(said) != sorted(names):
            raise StatementRefused(Code.LAYOUT, *_differences(number, names, said))
        for at, values in lines:
            fields = self._split(at, values)
            if len(fields) != len(said):
                what = Finding("not as many totals as names", at, "", str(len(said)), str(len(fields)))
                raise StatementRefused(Code.LAYOUT, what)
            for name, value in zip(said, fields, strict=True):
                self._values[name], self._at[name] = value.strip(), at
            break
        else:
            return  # cut off
        self._nothing_more(lines)
        self._ended_right = True

    def _tail(self, lines: Iterator[tuple[int, str]]) -> None:
        profile = self._profile
        left = list(profile.tail)
        for number, line in lines:
            bare = line.rstrip()
            for pattern in left:
                if found := re.fullmatch(pattern, bare):
                    self._take(number, found)
                    left.remove(pattern)
                    break
            else:
                if bare and not (profile.comment and bare.startswith(profile.comment)):
                    raise StatementRefused(Code.LAYOUT, Finding("a line after the end", number))
        self._ended_right = not left

    @staticmethod
    def _nothing_more(lines: Iterator[tuple[int, str]]) -> None:
        for number, line in lines:
            if line.strip():
                raise StatementRefused(Code.LAYOUT, Finding("a line after the end", number))

    # Rows

    def whole(self, sink: Sink) -> Summary:
        """Reads it all."""
        book = _Book()
        seen: set[int] = set()
        copies: set[int] = set()
        plans: dict[Kind, _Plan] = {}
        kind_of = self._kind_of()
        for number, fields in self.cells():
            kind = kind_of(number, fields)
            plan = plans.get(kind)
            if plan is None:
                plan = plans[kind] = self._plan(number, kind)
            row = self._row(plan, number, fields)
            mark = hash(self._key(plan, row, fields))
            if mark in seen:
                copies.add(mark)
            else:
                seen.add(mark)
            self._add(book, plan, row, number, fields, 1)
            sink(row)
        if not self._ended_right:
            raise StatementRefused(Code.INCOMPLETE, Finding("the line that ends it is not there"))
        del seen
        dropped: tuple[int, ...] = ()
        if copies:
            dropped = self._judge(book, copies)
        elif findings := self._unlike(book):
            if not self._ended and not self._profile.end:
                raise StatementRefused(Code.INCOMPLETE, *findings)  # its last line has no end either
            raise StatementRefused(*self._mismatch(book, findings))
        return Summary(
            self._profile.name, self._layout.name, self._expected.day, book.rows, book.payments, book.paid,
            book.refunds, book.refunded, book.fee, book.settled, self._text.encoding, self._text.sha1,
            merchant=min(self._merchants, default=""), dropped=dropped,
            warnings=tuple(Finding("a copy of another line, counted once", line) for line in dropped),
        )  # fmt: skip

    def _kind_of(self) -> Callable[[int, list[str]], Kind]:
        """What says of a row's fields which kind it is. The columns are known only once rows come."""
        kinds = self._profile.kinds
        if kinds.only is not None:
            only = kinds.only
            return lambda number, fields: only
        if kinds.column:
            column, values = kinds.column, kinds.values

            def by_value(number: int, fields: list[str]) -> Kind:
                value = fields[self._place[column]].strip(" \t")
                kind = values.get(value)
                if kind is None:
                    raise StatementRefused(Code.LAYOUT, Finding("a value nobody knows", number, column, found=value))
                return kind

            return by_value

        def by_amount(number: int, fields: list[str]) -> Kind:
            filled = [
                kind for name, kind in kinds.filled.items()
                if fields[self._place[name]].strip(" \t") and self._thousandths(number, name, fields)
            ]  # fmt: skip
            if len(filled) != 1:
                what = Finding("one of these has the amount", number, "/".join(kinds.filled), "1", str(len(filled)))
                raise StatementRefused(Code.BAD_VALUE, what)
            return filled[0]

        return by_amount

    def _plan(self, number: int, kind: Kind) -> "_Plan":
        roles = self._layout.rows.get(kind)
        if roles is None:
            what = Finding(f"a row of kind {kind}, which the layout {self._layout.name} has not", number)
            raise StatementRefused(Code.LAYOUT, what)
        return _Plan(self._profile, self._place, kind, roles)

    def _row(self, plan: "_Plan", number: int, fields: list[str]) -> Row:
        profile, roles = self._profile, plan.roles
        transaction = fields[plan.transaction].strip(" \t") if plan.transaction is not None else ""
        order = fields[plan.order].strip(" \t") if plan.order is not None else ""
        refund = fields[plan.refund].strip(" \t") if plan.refund is not None else ""
        for needed, value in ((roles.transaction, transaction), (roles.refund, refund)):
            if needed and (not value or value == "0"):
                raise StatementRefused(Code.BAD_VALUE, Finding("is empty", number, needed))
        if len(transaction) > MOST_TEXT or len(order) > MOST_TEXT or len(refund) > MOST_TEXT:
            raise StatementRefused(Code.BAD_VALUE, Finding("a number longer than any", number))
        gross = self._fen(number, roles.gross, fields)
        if roles.negative:
            gross = -gross
        if gross < 0:
            what = Finding("an amount with the wrong sign", number, roles.gross, found=fields[plan.gross].strip())
            raise StatementRefused(Code.BAD_VALUE, what)
        settled = abs(self._fen(number, roles.settled, fields)) if roles.settled else gross
        fee = self._thousandths(number, roles.fee, fields) if roles.fee else 0
        at = self._time(number, roles.at, fields[plan.at].strip(" \t"))
        if profile.rows_on_the_day and (at.date() if isinstance(at, datetime) else at) != self._expected.day:
            what = Finding("a row of another day", number, roles.at, str(self._expected.day), at.isoformat())
            raise StatementRefused(Code.WRONG_DAY, what)
        if plan.merchant is not None:
            self._merchant(number, profile.merchant_column, fields[plan.merchant].strip(" \t"))
        if plan.currency is not None and (currency := fields[plan.currency].strip(" \t")) != profile.currency:
            what = Finding("another currency", number, profile.currency_column, profile.currency, currency)
            raise StatementRefused(Code.WRONG_CURRENCY, what)
        settled = settled if plan.income else -settled
        fee = -fee if profile.fee_negative else fee
        if not plan.further:
            return Row(number, plan.kind, transaction, order, refund, gross, settled, fee, at)
        further = self._further(plan, number, fields)
        return Row(number, plan.kind, transaction, order, refund, gross, settled, fee, at, *further)

    def _further(self, plan: "_Plan", number: int, fields: list[str]) -> _Further:
        """What few profiles have: status, account, month, bills, penalty, the platform's number of a refund."""
        roles = plan.roles

        def cell(name: str) -> str:
            return fields[self._place[name]].strip(" \t") if name else ""

        if roles.account and not cell(roles.account):
            raise StatementRefused(Code.BAD_VALUE, Finding("is empty", number, roles.account))
        for name, most in ((roles.account, MOST_TEXT), (roles.platform_refund, MOST_TEXT), (roles.month, 6)):
            if len(cell(name)) > most:
                raise StatementRefused(Code.BAD_VALUE, Finding("longer than any", number, name))
        penalty = None
        if roles.penalty:
            penalty = self._fen(number, roles.penalty, fields) if cell(roles.penalty) else 0
        status: Status | None = Status.PROVEN
        if roles.status:
            value = cell(roles.status)
            status = self._profile.statuses.get(value)
            if status is None:
                what = Finding("a value nobody knows", number, roles.status, found=value)
                raise StatementRefused(Code.LAYOUT, what)
        assert status is not None
        bills = self._bills(number, roles.bills, cell(roles.bills), fields) if roles.bills else ()
        return status, cell(roles.account), cell(roles.month), bills, penalty, cell(roles.platform_refund)

    def _bills(self, number: int, column: str, cell: str, fields: list[str]) -> tuple[tuple[str, str], ...]:
        profile = self._profile
        found = []
        for part in cell.split("#"):
            if not part:
                continue
            match = re.fullmatch(profile.bills, part)
            if match is None:
                raise StatementRefused(Code.BAD_VALUE, Finding("no bill", number, column))
            found.append((match["bill"], match["month"]))
        if profile.bills_count:
            said = self._count(number, profile.bills_count, fields[self._place[profile.bills_count]].strip(" \t"))
            if said != len(found):
                what = Finding("not as many bills as it says", number, column, str(said), str(len(found)))
                raise StatementRefused(Code.BAD_VALUE, what)
        return tuple(found)

    def _merchant(self, number: int, column: str, merchant: str) -> None:
        if merchant in self._merchants:
            return
        wanted = self._expected.merchants
        if wanted and merchant not in wanted:
            what = Finding("another merchant", number, column, ", ".join(sorted(wanted)), merchant)
            raise StatementRefused(Code.WRONG_MERCHANT, what)
        self._merchants.add(merchant)

    # Values

    def _fen(self, number: int, column: str, fields: list[str]) -> int:
        return self._amount(number, column, fields[self._place[column]], fine=False)

    def _thousandths(self, number: int, column: str, fields: list[str]) -> int:
        return self._amount(number, column, fields[self._place[column]], fine=True)

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
    def _count(number: int, column: str, text: str) -> int:
        if not _COUNT.fullmatch(text):
            raise StatementRefused(Code.BAD_VALUE, Finding("no count", number, column, found=text))
        return int(text)

    def _time(self, number: int, column: str, text: str) -> date:
        known = self._times.get(text)
        if known is None:
            try:
                known = _moment(text, self._profile.time_format, self._expected.day)
            except ValueError:
                raise StatementRefused(Code.BAD_VALUE, Finding("no time", number, column, found=text)) from None
            if len(self._times) >= _MOST_KEPT:
                self._times.clear()
            self._times[text] = known
        return known

    # Totals and copies

    def _key(self, plan: "_Plan", row: Row, fields: list[str]) -> tuple[str, ...]:
        """What tells a row from another."""
        if not plan.roles.transaction:
            return tuple(field.strip(" \t") for field in fields)
        key = (row.kind, row.transaction, row.refund)
        return key + tuple(fields[place].strip(" \t") for place in plan.key) if plan.key else key

    def _add(self, book: "_Book", plan: "_Plan", row: Row, number: int, fields: list[str], times: int) -> None:
        book.rows += times
        if plan.kind in (Kind.REFUND, Kind.REVOKE):
            book.refunds += times
            book.refunded += times * row.gross
        elif plan.kind is Kind.PAY:
            book.payments += times
            book.paid += times * row.gross
        book.fee += times * row.fee
        book.settled += times * row.settled
        book.counts[plan.kind] = book.counts.get(plan.kind, 0) + times
        for at, column in plan.sums:
            book.sums[at] = book.sums.get(at, 0) + times * self._thousandths(number, column, fields)

    def _unlike(self, book: "_Book", swapped: bool = False) -> list[Finding]:
        """Totals that are not what the rows sum to."""
        findings = []
        values = self._values
        if swapped:
            values = values | {"count": values["amount"], "amount": values["count"]}
        for at, total in enumerate(self._profile.totals):
            if total.value not in values:
                continue  # of another layout
            text, number = values[total.value], self._at[total.value]
            if total.count:
                right = sum(book.counts.get(kind, 0) for kind in total.of)
                if not _COUNT.fullmatch(text) or int(text) != right:
                    findings.append(Finding("count of rows", number, total.value, text, str(right)))
                continue
            right = book.sums.get(at, 0)
            try:
                said = self._stated(total, text)
            except money.AmountRefused:
                said = None
            if said != right:
                findings.append(Finding("sum of rows", number, total.value, text, _written(right)))
        return findings

    def _stated(self, total: Total, text: str) -> int:
        return money.fee(text, thousands=self._profile.thousands)

    def _mismatch(self, book: "_Book", findings: list[Finding]) -> tuple[Code, *tuple[Finding, ...]]:
        if {"count", "amount"} <= self._values.keys() and not self._unlike(book, swapped=True):
            count, amount = self._values["count"], self._values["amount"]
            what = Finding(
                "count and amount are swapped", self._at["count"], "", f"{amount}, {count}", f"{count}, {amount}"
            )
            return Code.HEADER_ORDER, what
        return Code.TOTALS_MISMATCH, *findings

    def _judge(self, book: "_Book", marks: set[int]) -> tuple[int, ...]:
        """Which lines are copies that do not count, taken off `book`. Raises StatementRefused."""
        again = _Reading(self._text, self._profile, self._expected)
        groups: dict[tuple[str, ...], list[tuple[_Plan, Row, list[str]]]] = {}
        plans: dict[Kind, _Plan] = {}
        kind_of, held = again._kind_of(), 0
        for number, fields in again.cells():
            kind = kind_of(number, fields)
            plan = plans.get(kind) or plans.setdefault(kind, again._plan(number, kind))
            row = again._row(plan, number, fields)
            key = again._key(plan, row, fields)
            if hash(key) in marks:
                held += 1
                groups.setdefault(key, []).append((plan, row, [field.strip(" \t") for field in fields]))
                if held > _MOST_COPIES:
                    raise StatementRefused(
                        Code.AMBIGUOUS_DUPLICATE,
                        *(
                            Finding("stands more than once", row.line)
                            for group in groups.values() if len(group) > 1 for _, row, _ in group
                        ),
                    )  # fmt: skip
        copied = [group for group in groups.values() if len(group) > 1]
        if not copied:  # marks that were alike by chance
            if findings := self._unlike(book):
                raise StatementRefused(*self._mismatch(book, findings))
            return ()
        self._same(copied)
        with_all = self._unlike(book)
        for group in copied:
            for plan, row, fields in group[1:]:
                self._add(book, plan, row, row.line, fields, -1)
        numbered = any(plan.roles.transaction for group in copied for plan, _, _ in group)
        once = tuple(row.line for group in copied for _, row, _ in group[1:])
        stated = any(total.value in self._values for total in self._profile.totals)
        if stated and not self._unlike(book):
            return tuple(sorted(once))
        if stated and not numbered and (kept := self._as_often(book, copied)) is not None:
            return kept
        lines = sorted(row.line for group in copied for _, row, _ in group)
        findings = [Finding("stands more than once", line) for line in lines]
        raise StatementRefused(Code.AMBIGUOUS_DUPLICATE, *findings, *with_all)

    def _same(self, copied: "list[list[tuple[_Plan, Row, list[str]]]]") -> None:
        """Rows of one transaction say the same. Raises StatementRefused (`conflicting-duplicate`)."""
        for group in copied:
            _, first, fields = group[0]
            for _, row, others in group[1:]:
                for name, place in self._place.items():
                    if fields[place] != others[place]:
                        what = Finding(
                            f"line {first.line} says it otherwise", row.line, name, fields[place], others[place]
                        )
                        raise StatementRefused(Code.CONFLICTING_DUPLICATE, what)

    def _as_often(self, book: "_Book", copied: "list[list[tuple[_Plan, Row, list[str]]]]") -> tuple[int, ...] | None:
        """Rows without a number stand as often as the totals say, where only one answer fits. `book` has each once."""
        if len(copied) == 1:
            (group,) = copied
            for kept in range(1, len(group)):
                plan, row, fields = group[kept]
                self._add(book, plan, row, row.line, fields, 1)
                if not self._unlike(book):
                    return tuple(row.line for _, row, _ in group[kept + 1 :])
            return None
        for group in copied:
            for plan, row, fields in group[1:]:
                self._add(book, plan, row, row.line, fields, 1)
        return None if self._unlike(book) else ()


_JOINT = "\n"


class _Plan:
    """Where a kind of row keeps what, as indices."""

    def __init__(self, profile: Profile, place: dict[str, int], kind: Kind, roles: Roles) -> None:
        def index(name: str) -> int | None:
            return place.get(name)

        self.kind, self.roles = kind, roles
        self.transaction, self.order, self.refund = index(roles.transaction), index(roles.order), index(roles.refund)
        self.gross, self.at = place[roles.gross], place[roles.at]
        self.merchant, self.currency = index(profile.merchant_column), index(profile.currency_column)
        self.income = kind in (Kind.PAY, Kind.INCOME)
        self.further = any(
            (roles.account, roles.month, roles.platform_refund, roles.penalty, roles.status, roles.bills)
        )
        self.key = [place[name] for name in profile.key if name in place]
        self.sums = [
            (at, total.sum) for at, total in enumerate(profile.totals)
            if total.sum and total.sum in place and kind in total.of
        ]  # fmt: skip


class _Book:
    """What the rows sum to."""

    def __init__(self) -> None:
        self.rows = self.payments = self.paid = self.refunds = self.refunded = self.fee = self.settled = 0
        self.counts: dict[Kind, int] = {}
        self.sums: dict[int, int] = {}


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


def _nearest(layouts: Sequence[Layout], names: Sequence[str]) -> Layout:
    return min(layouts, key=lambda layout: len(set(layout.columns) ^ set(names)))


def _differences(number: int, columns: Sequence[str], names: Sequence[str]) -> list[Finding]:
    """Which names of a header are not those of the layout."""
    findings = [Finding("an unknown column", number, name) for name in names if name not in columns]
    findings += [Finding("a column is missing", number, name) for name in columns if name not in names]
    twice = sorted({name for name in names if names.count(name) > 1})
    return findings + [Finding("a column stands twice", number, name) for name in twice]


def _written(thousandths: int) -> str:
    """An amount as a statement writes it: two decimals, or the five it has."""
    if thousandths % 1000 == 0:
        return yuan(thousandths // 1000)
    sign = "-" if thousandths < 0 else ""
    whole, rest = divmod(abs(thousandths), 100_000)
    return f"{sign}{whole}.{rest:05d}"
