"""A file's life: what follows what, what the clock says, and files that come again."""

from datetime import date, datetime, time

import pytest

from intranet_bridge.settlement.statements.life import (
    TRANSITIONS,
    Event,
    FileState,
    NotInThisState,
    after,
    by_the_clock,
    difference,
    due_at,
    event_of,
    seen_before,
)  # fmt: skip
from intranet_bridge.settlement.statements.verdicts import Code, StatementRefused
from protocol.times import CHINA
from tests.unit.intranet_bridge.settlement.statements.reads import PROFILES, taken

DAY = date(2026, 11, 24)


def at(hour: int, minute: int = 0, day: int = 25) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=CHINA)


@pytest.mark.parametrize(
    ("state", "now", "becomes"),
    [
        ("expected", at(10, 59), "expected"),
        ("expected", at(11), "late"),
        ("late", at(17, 59), "late"),
        ("expected", at(18), "missing"),
        ("late", at(18), "missing"),
        ("incomplete", at(17, 59), "incomplete"),
        ("incomplete", at(18), "missing"),
        ("missing", at(18, day=26), "missing"),
        ("accepted", at(18), "accepted"),
        ("empty-confirmed", at(18), "empty-confirmed"),
        ("arriving", at(17, 59), "arriving"),
        ("arriving", at(18), "missing"),
    ],
)
def test_clock(state: str, now: datetime, becomes: str) -> None:
    assert by_the_clock(FileState(state), DAY, PROFILES["alipay-trade"].due, now) == becomes


def test_due_is_of_the_day_after_in_china() -> None:
    assert due_at(DAY, PROFILES["utility-dsdz"].due).isoformat() == "2026-11-25T09:00:00+08:00"
    assert PROFILES["wechat-trade"].due == time(10)


def test_the_way_of_a_good_file() -> None:
    state = FileState.EXPECTED
    for event in ("begun", "complete", "read", "accept", "match", "close"):
        state = after(state, Event(event))
    assert state is FileState.CLOSED


def test_a_missing_file_is_taken_when_it_comes() -> None:
    assert after(after(FileState.MISSING, Event.BEGUN), Event.COMPLETE) is FileState.RECEIVED


def test_nothing_leaves_refused_and_nothing_unknown_happens() -> None:
    for final in (FileState.REFUSED, FileState.DUPLICATE, FileState.CLOSED, FileState.REPLACED):
        assert not [event for state, event in TRANSITIONS if state is final]
    with pytest.raises(NotInThisState, match="accepted has no read"):
        after(FileState.ACCEPTED, Event.READ)


def test_verdicts_are_events() -> None:
    assert event_of(StatementRefused(Code.INCOMPLETE)) is Event.CUT
    assert event_of(StatementRefused(Code.TOTALS_MISMATCH)) is Event.REFUSED


def test_same_file_twice() -> None:
    assert seen_before("d1", []) is None
    assert seen_before("d1", ["d1"]) is Code.DUPLICATE
    assert after(FileState.RECEIVED, Event.SAME_AGAIN) is FileState.DUPLICATE


def test_conflicting_resend_waits() -> None:
    assert seen_before("d2", ["d1"]) is Code.CONFLICTING_RESEND
    waiting = after(FileState.PARSED, Event.OTHER_BYTES)
    assert waiting is FileState.CONFLICTING
    assert after(waiting, Event.REPLACE) is FileState.ACCEPTED
    assert after(FileState.MATCHED, Event.SUPERSEDED) is FileState.REPLACED
    with pytest.raises(NotInThisState):
        after(FileState.CLOSED, Event.SUPERSEDED)


def test_operator_is_shown_the_rows_that_differ() -> None:
    _, before = taken("SDDL_DSDZ_37101_20261124.txt", "utility-dsdz")
    _, now = taken("resend/SDDL_DSDZ_37101_20261124.txt", "utility-dsdz")
    shown = difference(before.values(), now.values())
    assert [(row.account, row.gross) for row in shown.added] == [("3210000000004", 800)]
    assert (shown.gone, shown.changed) == ((), ())
    back = difference(now.values(), before.values())
    assert [row.gross for row in back.gone] == [800]
    first = now[2]
    first.gross = 1  # type: ignore[misc]
    assert [(was.gross, row.gross) for was, row in difference(before.values(), now.values()).changed] == [(12050, 1)]
