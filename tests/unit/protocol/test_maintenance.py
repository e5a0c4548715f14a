"""What is paused: windows by a company's clocks, what administrators said, and which of them counts."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from protocol.maintenance import (
    ALL,
    Instruction,
    Schedule,
    Window,
    after_pause,
    after_resume,
    by_operation,
    in_force,
)

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
EVERY_DAY = frozenset(range(7))
OPERATIONS = ("bill-query", "work-order")
NIGHT = Window(frozenset({"bill-query"}), time(1), time(3, 30), EVERY_DAY, reason="backup")
AT_ONE = 1_795_885_200_000  # 2026-11-29 01:00 in Shanghai
HOUR = 3_600_000


def ms(text: str, zone: ZoneInfo) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def scheduled(window: Window, now: int, zone: ZoneInfo = SHANGHAI) -> tuple[int, int] | None:
    found = Schedule((window,), zone).now("bill-query", now)
    return None if found is None else (found.since, found.until)


def test_the_instant_that_these_tests_are_about() -> None:
    assert ms("2026-11-29T01:00", SHANGHAI) == AT_ONE


def test_a_window_is_from_its_beginning_to_just_before_its_end() -> None:
    end = AT_ONE + 2 * HOUR + HOUR // 2
    assert scheduled(NIGHT, AT_ONE - 1) is None
    assert scheduled(NIGHT, AT_ONE) == scheduled(NIGHT, end - 1) == (AT_ONE, end)
    assert scheduled(NIGHT, end) is None


def test_one_over_midnight_belongs_to_the_day_of_its_beginning() -> None:
    saturday = Window(frozenset({ALL}), time(23), time(2), frozenset({5}))
    began = ms("2026-11-28T23:00", SHANGHAI)  # a Saturday
    assert scheduled(saturday, AT_ONE) == (began, began + 3 * HOUR)
    assert scheduled(saturday, AT_ONE + 24 * HOUR) is None
    assert scheduled(saturday, began - 23 * HOUR) is None  # Saturday at midnight: Friday's is none


@pytest.mark.parametrize(
    ("day", "days", "on"),
    [
        ("2026-11-30", {-1}, True), ("2026-11-29", {-1}, False), ("2028-02-29", {-1}, True), ("2027-02-28", {-1}, True),
        ("2026-12-01", {1, 15}, True), ("2026-12-02", {1, 15}, False), ("2026-12-31", {31, -1}, True),
    ],
)  # fmt: skip
def test_days_of_the_month(day: str, days: set[int], *, on: bool) -> None:
    window = Window(frozenset({ALL}), time(1), time(3), EVERY_DAY, frozenset(days))
    assert (scheduled(window, ms(f"{day}T02:00", SHANGHAI)) is not None) is on


def test_where_clocks_are_changed_a_window_is_longer_or_shorter() -> None:
    night = Window(frozenset({ALL}), time(1), time(4), EVERY_DAY)
    autumn, spring = ms("2026-10-25T01:30", BERLIN), ms("2026-03-29T01:30", BERLIN)
    for now, hours in ((autumn, 4), (spring, 2)):
        found = scheduled(night, now, BERLIN)
        assert found is not None
        assert found[1] - found[0] == hours * HOUR


def test_of_two_windows_the_one_that_ends_last_counts_and_the_next_is_known() -> None:
    longer = Window(frozenset({ALL}), time(0, 30), time(5), EVERY_DAY)
    schedule = Schedule((NIGHT, longer), SHANGHAI)
    now = schedule.now("bill-query", AT_ONE)
    assert now is not None
    assert now.until == ms("2026-11-29T05:00", SHANGHAI)
    coming = schedule.next(OPERATIONS, AT_ONE)
    assert coming is not None
    assert (coming.since, coming.operations) == (ms("2026-11-30T00:30", SHANGHAI), OPERATIONS)
    assert Schedule((NIGHT,), SHANGHAI).next(("work-order",), AT_ONE) is None
    assert Schedule().next(OPERATIONS, AT_ONE) is None


def said(operation: str, *, paused: bool = True, until: int = 0, since: int = AT_ONE) -> dict[str, Instruction]:
    return {operation: Instruction(operation, paused, since, until, "ops")}


def paused(instructions: dict[str, Instruction], now: int = AT_ONE, schedule: Schedule | None = None) -> dict[str, int]:
    """Operation → until when."""
    found = in_force(OPERATIONS, instructions, schedule or Schedule(), now)
    return {name: pause.until for name, pause in by_operation(found).items()}


def test_what_is_said_of_one_counts_more_than_what_is_said_of_all_and_that_more_than_the_schedule() -> None:
    schedule = Schedule((NIGHT,), SHANGHAI)
    night = AT_ONE + 2 * HOUR + HOUR // 2
    assert paused({}, schedule=schedule) == {"bill-query": night}
    assert paused(said(ALL, until=AT_ONE + 1), schedule=schedule) == dict.fromkeys(OPERATIONS, AT_ONE + 1)
    both = said(ALL) | said("bill-query", paused=False)
    assert paused(both, schedule=schedule) == {"work-order": 0}
    assert paused(said("bill-query", paused=False, until=AT_ONE + 5), AT_ONE + 5, schedule) == {"bill-query": night}
    assert paused(said("work-order", until=AT_ONE + 5), AT_ONE + 5) == {}


def test_what_was_paused_together_is_told_together() -> None:
    [all_of_them] = in_force(OPERATIONS, said(ALL), Schedule(), AT_ONE)
    assert all_of_them.operations == OPERATIONS


def test_to_resume_one_leaves_the_others_of_a_pause_of_all() -> None:
    left = after_resume(said(ALL, until=AT_ONE + HOUR), {"bill-query"}, OPERATIONS, Schedule(), AT_ONE, "ops")
    assert paused(left) == {"work-order": AT_ONE + HOUR}
    assert paused(after_resume(left, None, OPERATIONS, Schedule(), AT_ONE, "ops")) == {}


def test_to_resume_in_a_scheduled_window_ends_it_until_the_next() -> None:
    schedule = Schedule((NIGHT,), SHANGHAI)
    left = after_resume({}, None, OPERATIONS, schedule, AT_ONE, "ops")
    assert paused(left, AT_ONE + HOUR, schedule) == {}
    tomorrow = AT_ONE + 24 * HOUR
    assert paused(left, tomorrow, schedule).keys() == {"bill-query"}


def test_a_pause_of_all_ends_what_was_said_against_pauses_and_keeps_longer_ones() -> None:
    before = said("bill-query", paused=False) | said("work-order", until=AT_ONE + 9 * HOUR)
    after = after_pause(before, list(said(ALL, until=AT_ONE + HOUR).values()), AT_ONE)
    assert paused(after) == {"bill-query": AT_ONE + HOUR, "work-order": AT_ONE + 9 * HOUR}


def test_what_is_over_is_not_kept() -> None:
    old = said("bill-query", until=AT_ONE - 1, since=AT_ONE - 2)
    assert after_pause(old, list(said("work-order").values()), AT_ONE).keys() == {"work-order"}
    assert after_resume(old, {"work-order"}, OPERATIONS, Schedule(), AT_ONE, "ops") == {}


def test_a_schedule_without_windows_is_of_no_place() -> None:
    assert Schedule().zone is UTC
