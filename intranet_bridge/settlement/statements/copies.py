"""Rows that stand more than once: which of them count. The totals decide, and where they cannot, nobody does.

Copies cannot be judged before the totals are known, so a file that has any is read a second time, for those rows alone.
"""

from collections.abc import Container

from intranet_bridge.settlement.statements.lines import Table
from intranet_bridge.settlement.statements.plans import Plan, Rows
from intranet_bridge.settlement.statements.rows import Row
from intranet_bridge.settlement.statements.totals import Totals
from intranet_bridge.settlement.statements.verdicts import Code, Finding, StatementRefused

_MOST_COPIES = 10_000

_Group = list[tuple[Plan, Row, list[str]]]
"""Rows that are alike, with their fields."""


def judged(table: Table, totals: Totals, marks: Container[int]) -> tuple[int, ...]:
    """Which lines are copies that do not count, taken off `totals`. `table`: a pass over the file not begun yet;
    `marks`: hashes of the keys that more than one row has. Raises StatementRefused.
    """
    copied = _groups(table, marks)
    if not copied:  # marks that were alike by chance
        if findings := totals.unlike():
            raise totals.refusal(findings)
        return ()
    _same(table, copied)
    with_all = totals.unlike()
    for group in copied:
        for plan, row, fields in group[1:]:
            totals.add(plan, row, fields, -1)
    once = tuple(row.line for group in copied for _, row, _ in group[1:])
    if totals.stated and not totals.unlike():
        return tuple(sorted(once))
    numbered = any(plan.roles.transaction for group in copied for plan, _, _ in group)
    if totals.stated and not numbered and (kept := _as_often(totals, copied)) is not None:
        return kept
    lines = sorted(row.line for group in copied for _, row, _ in group)
    raise StatementRefused(Code.AMBIGUOUS_DUPLICATE, *(_twice(line) for line in lines), *with_all)


def _groups(table: Table, marks: Container[int]) -> list[_Group]:
    groups: dict[tuple[str, ...], _Group] = {}
    held = 0
    for plan, row, fields in Rows(table):
        key = plan.key(row, fields)
        if hash(key) not in marks:
            continue
        held += 1
        groups.setdefault(key, []).append((plan, row, [field.strip(" \t") for field in fields]))
        if held > _MOST_COPIES:
            copied = [group for group in groups.values() if len(group) > 1]
            raise StatementRefused(
                Code.AMBIGUOUS_DUPLICATE, *(_twice(row.line) for group in copied for _, row, _ in group)
            )
    return [group for group in groups.values() if len(group) > 1]


def _twice(line: int) -> Finding:
    return Finding("stands more than once", line)


def _same(table: Table, copied: list[_Group]) -> None:
    """Rows of one transaction say the same. Raises StatementRefused (`conflicting-duplicate`)."""
    for group in copied:
        _, first, fields = group[0]
        for _, row, others in group[1:]:
            for name, place in table.place.items():
                if fields[place] != others[place]:
                    said = f"line {first.line} says it otherwise"
                    what = Finding(said, row.line, name, fields[place], others[place])
                    raise StatementRefused(Code.CONFLICTING_DUPLICATE, what)


def _as_often(totals: Totals, copied: list[_Group]) -> tuple[int, ...] | None:
    """Rows without a number stand as often as the totals say, where only one answer fits. `totals` has each once."""
    if len(copied) == 1:
        (group,) = copied
        for kept in range(1, len(group)):
            plan, row, fields = group[kept]
            totals.add(plan, row, fields)
            if not totals.unlike():
                return tuple(row.line for _, row, _ in group[kept + 1 :])
        return None
    for group in copied:
        for plan, row, fields in group[1:]:
            totals.add(plan, row, fields)
    return None if totals.unlike() else ()
