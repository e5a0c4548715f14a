"""Places for calls at once: never too many, nobody who waits is forgotten, and operations take turns."""

import random
from collections import deque
from collections.abc import Callable
from functools import partial

import pytest

from intranet_bridge.marketing.binding import OperationBinding, SystemSection
from intranet_bridge.marketing.concurrency import LONGEST_LINE, Arrangement, Places, SystemPlaces


def in_line(places: Places, served: list[str], name: str) -> Callable[[], None]:
    go = partial(served.append, name)
    assert places.line_up(go)
    return go


def test_an_operation_has_so_many_places_and_the_first_in_line_is_next() -> None:
    places, served = Places(2, SystemPlaces()), list[str]()
    assert places.take()
    assert places.take()
    assert not places.take()
    in_line(places, served, "a")
    gone = in_line(places, served, "b")
    in_line(places, served, "c")
    places.leave(gone)
    places.release()
    assert (served, places.in_use, places.waiting) == (["a"], 2, 1)
    assert not places.take()  # it was handed on, not left lying about
    places.release()
    places.release()
    assert (served, places.in_use, places.waiting) == (["a", "c"], 1, 0)
    assert places.take()


def test_the_operations_of_a_system_take_turns() -> None:
    system, served = SystemPlaces(1), list[str]()
    busy, quiet = Places(None, system), Places(None, system)
    assert busy.take()
    for number in range(3):
        in_line(busy, served, f"busy {number}")
    in_line(quiet, served, "quiet")
    for _ in range(4):
        (busy if not served or served[-1].startswith("busy") else quiet).release()
    assert sorted(served) == ["busy 0", "busy 1", "busy 2", "quiet"]
    assert served.index("quiet") <= 1


def test_one_that_is_full_itself_does_not_keep_the_others_from_the_systems_places() -> None:
    system, served = SystemPlaces(3), list[str]()
    slow, quick = Places(1, system), Places(None, system)
    assert slow.take()
    in_line(slow, served, "slow")
    assert [quick.take(), quick.take(), quick.take()] == [True, True, False]
    in_line(quick, served, "quick")
    quick.release()
    assert served == ["quick"]
    slow.release()
    assert served == ["quick", "slow"]


def test_commands_hear_of_a_place_once_they_found_none_and_queries_have_theirs_between() -> None:
    system, heard, served = SystemPlaces(1), list[str](), list[str]()
    query, command = Places(None, system), Places(None, system)
    waiting = 3

    def pump() -> None:  # as the workers of commands do: what is admitted is taken
        nonlocal waiting
        heard.append("pump")
        while waiting and command.for_command():
            assert command.take()
            waiting -= 1

    system.freed.connect(pump)
    assert query.take()
    query.release()
    assert heard == []  # none had asked
    pump()
    assert waiting == 2
    for number in range(2):
        in_line(query, served, f"query {number}")
    order = []
    for _ in range(4):
        before = len(served)
        (command if command.in_use else query).release()
        order.append("query" if len(served) > before else "command")
    assert sorted(order[:2]) == sorted(order[2:]) == ["command", "query"]
    assert (waiting, system.in_use, system.wanted) == (0, 1, False)


def test_a_command_whose_operation_is_full_makes_no_endless_turn() -> None:
    system = SystemPlaces(2)
    command, query = Places(1, system), Places(None, system)
    system.freed.connect(command.for_command)
    assert command.take()
    assert query.take()
    assert not command.for_command()
    query.release()
    assert system.wanted  # still
    command.release()
    assert command.for_command()


def test_how_long_the_next_waits_follows_the_latest_calls() -> None:
    places = Places(4, SystemPlaces(2))
    assert places.at_once == 2
    assert places.wait_s() == 0.0  # nothing is known
    assert places.take()
    places.release(2.0)
    assert places.wait_s() == 1.0
    places.line_up(lambda: None)
    assert places.wait_s() == 2.0


def test_a_line_has_an_end() -> None:
    places = Places(1, SystemPlaces())
    assert places.take()
    assert all(places.line_up(lambda: None) for _ in range(LONGEST_LINE))
    assert not places.line_up(lambda: None)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_there_are_never_too_many_and_nobody_waits_for_what_is_free(seed: int) -> None:
    chance = random.Random(seed)
    system = SystemPlaces(chance.choice((None, 2, 5)))
    all_places = [Places(chance.choice((1, 3)), system) for _ in range(3)]
    running: deque[Places] = deque()
    for _ in range(400):
        places = chance.choice(all_places)
        if chance.random() < 0.6:
            if places.take():
                running.append(places)
            else:
                places.line_up(partial(running.append, places))
        elif running:
            running.rotate(chance.randrange(9))
            running.popleft().release(chance.random())
        assert system.in_use == len(running) <= (system.most or 9)
        for one in all_places:
            assert one.in_use == running.count(one) <= (one.most or 9)
            assert not (one.waiting and not one.full)
    while running:
        running.popleft().release()
    assert (system.in_use, system.waiting) == (0, 0)


def test_only_what_is_limited_has_places() -> None:
    bound = {
        "bill-query": OperationBinding(response="@", concurrency=3),
        "arrears-query": OperationBinding(response="@"),
        "outlets": OperationBinding(response="@", system="old"),
        "faq": OperationBinding(response="@", system="old", concurrency=9),
    }
    places = Arrangement(bound, {"marketing": SystemSection(), "old": SystemSection(concurrency=2)}).places
    assert {name: one.at_once for name, one in places.items()} == {"bill-query": 3, "outlets": 2, "faq": 2}
    assert places["outlets"].system is places["faq"].system is not places["bill-query"].system


def test_limits_change_under_calls_and_under_who_waits() -> None:
    systems = {"marketing": SystemSection(concurrency=1)}
    bound = {"bill-query": OperationBinding(response="@"), "faq": OperationBinding(response="@")}
    arrangement = Arrangement(bound, systems)
    freed: list[str] = []
    arrangement.when_free(lambda: freed.append("a command"))
    bills, faq = arrangement.places["bill-query"], arrangement.places["faq"]
    got: list[str] = []
    assert bills.take()
    assert faq.line_up(lambda: got.append("faq"))
    assert not bills.for_command()

    two = {**bound, "outlets": OperationBinding(response="@", concurrency=1)}
    arrangement.arrange(two, {"marketing": SystemSection(concurrency=2), "old": SystemSection(concurrency=1)})
    assert arrangement.places["bill-query"] is bills
    assert (got, bills.in_use, faq.in_use) == (["faq"], 1, 1)  # who waited has the place that is new
    assert set(arrangement.places) == {"bill-query", "faq", "outlets"}

    assert faq.line_up(lambda: got.append("faq again"))
    arrangement.arrange(bound, {"marketing": SystemSection()})
    assert arrangement.places == {}
    assert got == ["faq", "faq again"]
    bills.release()
    faq.release()
    arrangement.arrange(bound, {"marketing": SystemSection(concurrency=1)})
    arrangement.places["bill-query"].release()  # of a call that was begun without a limit
    assert arrangement.places["bill-query"].in_use == 0
    assert freed
