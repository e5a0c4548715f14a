"""A file as rows of fields, by its profile: what stands before the rows, the rows, and what ends them. Nothing here
knows what a field of a row means.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from intranet_bridge.settlement.statements.opening import Text
from intranet_bridge.settlement.statements.profiles import Layout, Profile
from intranet_bridge.settlement.statements.rows import Expected
from intranet_bridge.settlement.statements.verdicts import Code, Finding, StatementRefused

_CHINESE = "%Y年%m月%d日 %H:%M:%S"
_JOINT = "\n"
"""Between the fields of a line of fixed widths: no text has it."""


class Table:
    """One pass over a file."""

    def __init__(self, text: Text, profile: Profile, expected: Expected) -> None:
        self.text, self.profile, self.expected = text, profile, expected
        self.values: dict[str, str] = {}
        """What the lines around the rows say."""
        self.at: dict[str, int] = {}
        """Where a value of `values` stands."""
        self.layout = profile.layouts[0]
        self.place: dict[str, int] = {}
        """Index of each column; known only once rows come."""
        self.ended = True
        """The line being read has an end."""
        self.ended_right = not (profile.end or any(layout.totals for layout in profile.layouts))
        """What ends a file of this profile was read."""
        self.merchants: set[str] = set()
        """Those that the file names."""

    def cells(self) -> Iterator[tuple[int, list[str]]]:
        """The rows' fields, with the number of their line; what stands around them is kept."""
        try:
            yield from self._sections()
        except StatementRefused as refused:
            if not self.ended and refused.code in (Code.LAYOUT, Code.BAD_VALUE):
                what = Finding("the last line is cut off", refused.findings[0].line if refused.findings else None)
                raise StatementRefused(Code.INCOMPLETE, what) from None
            raise

    def _sections(self) -> Iterator[tuple[int, list[str]]]:
        profile = self.profile
        lines = self._fixed_lines() if not profile.separator else self._text_lines()
        lines = self._head(lines)
        if profile.header:
            self._header(lines)
        else:
            self.place = {name: index for index, name in enumerate(self.layout.columns)}
        end = re.compile(profile.end) if profile.end else None
        totals_first = self.layout.totals[0] if self.layout.totals else None
        wanted, blank = len(self.layout.columns), None
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
        for number, line in self.text.lines():
            self.ended = line[-1] == "\n"
            yield number, line.rstrip("\r\n")

    def _fixed_lines(self) -> Iterator[tuple[int, str]]:
        """Cut by bytes, then decoded; the fields of a line are put together by a character that text has not."""
        profile, layout = self.profile, self.layout
        head = [field.width for field in profile.head_fields]
        for number, raw in self.text.raw_lines():
            self.ended = raw[-1:] == b"\n"
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
                yield line[at : at + width].decode(self.text.encoding)
            except UnicodeDecodeError:
                what = Finding("a field that ends inside a character", number, self.layout.columns[index])
                raise StatementRefused(Code.LAYOUT, what) from None
            at += width
            if index < len(widths) - 1 and line[at : at + gap].strip():
                what = Finding("no blank after the field", number, self.layout.columns[index])
                raise StatementRefused(Code.LAYOUT, what)
            at += gap

    def _split(self, number: int, line: str) -> list[str]:
        profile = self.profile
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

    def _head(self, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        profile = self.profile
        if profile.head_fields:
            for number, line in lines:
                for field, cell in zip(profile.head_fields, line.split(_JOINT), strict=True):
                    self.values[field.name], self.at[field.name] = cell.strip(), number
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
            self.values[name], self.at[name] = (value or "").strip(), number

    def _check_head(self) -> None:
        values, day = self.values, self.expected.day
        if (merchant := values.get("merchant")) is not None:
            self.merchant(self.at["merchant"], "", merchant)
        for name, right in (("from", day), ("to", day + timedelta(days=1))):
            if name in values:
                try:
                    said = datetime.strptime(values[name], _CHINESE)
                except ValueError:
                    raise StatementRefused(Code.BAD_VALUE, Finding("no time", self.at[name])) from None
                if said != datetime(right.year, right.month, right.day):
                    what = Finding("not this day, midnight to midnight", self.at[name], "", str(right), str(said))
                    raise StatementRefused(Code.WRONG_DAY, what)

    def _header(self, lines: Iterator[tuple[int, str]]) -> None:
        profile = self.profile
        for number, line in lines:
            names = [name.strip() for name in line.split(profile.header_separator or profile.separator)]
            if profile.trailing and not names[-1]:
                del names[-1]
            self.layout = _nearest(profile.layouts, names)
            if findings := _differences(number, self.layout.columns, names):
                raise StatementRefused(Code.LAYOUT, *findings)
            self.place = {name: index for index, name in enumerate(names)}
            return
        raise StatementRefused(Code.INCOMPLETE, Finding("the file ends before its rows"))

    def _totals_line(self, number: int, line: str, lines: Iterator[tuple[int, str]]) -> None:
        profile, names = self.profile, self.layout.totals
        said = tuple(name.strip() for name in line.split(profile.header_separator or profile.separator))
        if sorted(said) != sorted(names):
            raise StatementRefused(Code.LAYOUT, *_differences(number, names, said))
        for at, values in lines:
            fields = self._split(at, values)
            if len(fields) != len(said):
                what = Finding("not as many totals as names", at, "", str(len(said)), str(len(fields)))
                raise StatementRefused(Code.LAYOUT, what)
            for name, value in zip(said, fields, strict=True):
                self.values[name], self.at[name] = value.strip(), at
            break
        else:
            return  # cut off
        self._nothing_more(lines)
        self.ended_right = True

    def _tail(self, lines: Iterator[tuple[int, str]]) -> None:
        profile = self.profile
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
        self.ended_right = not left

    @staticmethod
    def _nothing_more(lines: Iterator[tuple[int, str]]) -> None:
        for number, line in lines:
            if line.strip():
                raise StatementRefused(Code.LAYOUT, Finding("a line after the end", number))

    def merchant(self, number: int, column: str, merchant: str) -> None:
        if merchant in self.merchants:
            return
        wanted = self.expected.merchants
        if wanted and merchant not in wanted:
            what = Finding("another merchant", number, column, ", ".join(sorted(wanted)), merchant)
            raise StatementRefused(Code.WRONG_MERCHANT, what)
        self.merchants.add(merchant)


def _nearest(layouts: Sequence[Layout], names: Sequence[str]) -> Layout:
    return min(layouts, key=lambda layout: len(set(layout.columns) ^ set(names)))


def _differences(number: int, columns: Sequence[str], names: Sequence[str]) -> list[Finding]:
    """Which names of a header are not those of the layout."""
    findings = [Finding("an unknown column", number, name) for name in names if name not in columns]
    findings += [Finding("a column is missing", number, name) for name in columns if name not in names]
    twice = sorted({name for name in names if names.count(name) > 1})
    return findings + [Finding("a column stands twice", number, name) for name in twice]
