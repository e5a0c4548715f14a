"""Reads a file by its profile, and accepts it whole or refuses it whole. Streaming: rows go to the caller's sink as
they come and count only once `read` has returned; nothing is held but a number for each row, to see copies.

Bytes become text (opening.py), text the fields of rows (lines.py), fields a row (plans.py, values.py); the rows sum to
what the file says (totals.py), and of those that stand twice some count (copies.py).
"""

from collections.abc import Callable

from intranet_bridge.settlement.statements.copies import judged
from intranet_bridge.settlement.statements.lines import Table
from intranet_bridge.settlement.statements.opening import Source, Text, opened
from intranet_bridge.settlement.statements.plans import Rows
from intranet_bridge.settlement.statements.profiles import Profile
from intranet_bridge.settlement.statements.rows import Expected, Row, Summary
from intranet_bridge.settlement.statements.totals import Totals
from intranet_bridge.settlement.statements.verdicts import Code, Finding, StatementRefused

_SMALL = 4096
"""Bytes of an answer that is no statement."""

Sink = Callable[[Row], None]


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
    return _whole(text, profile, expected, sink)


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


def _whole(text: Text, profile: Profile, expected: Expected, sink: Sink) -> Summary:
    table = Table(text, profile, expected)
    rows = Rows(table)
    totals = Totals(table, rows.values)
    seen: set[int] = set()
    copies: set[int] = set()
    for plan, row, fields in rows:
        mark = hash(plan.key(row, fields))
        if mark in seen:
            copies.add(mark)
        else:
            seen.add(mark)
        totals.add(plan, row, fields)
        sink(row)
    if not table.ended_right:
        raise StatementRefused(Code.INCOMPLETE, Finding("the line that ends it is not there"))
    del seen
    dropped: tuple[int, ...] = ()
    if copies:
        dropped = judged(Table(text, profile, expected), totals, copies)
    elif findings := totals.unlike():
        if not table.ended and not profile.end:
            raise StatementRefused(Code.INCOMPLETE, *findings)  # its last line has no end either
        raise totals.refusal(findings)
    return Summary(
        profile.name, table.layout.name, expected.day, totals.rows, totals.payments, totals.paid, totals.refunds,
        totals.refunded, totals.fee, totals.settled, text.encoding, text.sha1,
        merchant=min(table.merchants, default=""), dropped=dropped,
        warnings=tuple(Finding("a copy of another line, counted once", line) for line in dropped),
    )  # fmt: skip
