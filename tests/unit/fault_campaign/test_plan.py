"""The schedule follows from the seed alone, and keeps to what is promised."""

from dataclasses import replace
from itertools import pairwise

import pytest

from protocol.runtime.crash_points import POINTS
from scripts.tools.fault_campaign.faults import (
    AFTER_LOAD,
    BY_NAME,
    KINDS,
    ORDER_POINTS,
    SETTLE_S,
    STATEMENT_POINTS,
    deaths,
    table,
)
from scripts.tools.fault_campaign.plan import CLOCK_FAR_S, FAR_NEEDS_S, Fault, counts, plan

SEEDS = range(1, 31)


def test_the_same_seed_gives_the_same_plan_and_another_seed_another() -> None:
    assert plan(7, 300) == plan(7, 300)
    assert plan(7, 300) != plan(8, 300)


@pytest.mark.parametrize("minutes", [2, 5, 20])
def test_faults_follow_one_another_and_end_before_the_load(minutes: int) -> None:
    for seed in SEEDS:
        faults = plan(seed, minutes * 60)
        for before, after in pairwise(faults):
            assert before.start_s + before.duration_s + 1 < after.start_s
        assert faults[-1].start_s + faults[-1].duration_s < minutes * 60


def test_every_kind_comes_in_two_minutes_with_the_seed_of_the_tests() -> None:
    assert counts(plan(1, 120)).keys() == BY_NAME.keys()


def test_a_long_plan_has_every_kind_on_every_target() -> None:
    had = {(fault.kind, fault.target) for fault in plan(3, 3600)}
    assert had == {(kind.name, target) for kind in KINDS for target in kind.targets}


def test_no_fault_is_longer_than_its_kind_allows_nor_than_the_marketing_system_may_go_on() -> None:
    for seed in SEEDS:
        for fault in plan(seed, 1200):
            assert BY_NAME[fault.kind].shortest_s <= fault.duration_s <= BY_NAME[fault.kind].limit_s(fault.target)
            if (fault.kind, fault.target) in (("stop", "marketing"), ("hold", "bridge-marketing")):
                assert fault.duration_s < SETTLE_S
            if fault.kind == "slow":
                assert fault.parameters["ms"] + fault.parameters["jitter_ms"] < SETTLE_S * 1000


def test_a_far_jump_of_a_clock_leaves_time_to_wait_for_it() -> None:
    jumps = [
        (fault.start_s, abs(fault.parameters["seconds"]))
        for seed in SEEDS
        for fault in plan(seed, 1500)
        if fault.kind == "clock"
    ]
    far = [start for start, jump in jumps if jump == CLOCK_FAR_S]
    assert far
    assert max(far) <= 1500 - FAR_NEEDS_S


def test_what_a_machine_cannot_do_is_left_out_and_the_rest_stays_where_it_is() -> None:
    with_all, without = plan(5, 600), plan(5, 600, skip={"clock", "disk-full"})
    assert without == [fault for fault in with_all if fault.kind not in ("clock", "disk-full")]


def test_only_some_kinds() -> None:
    assert counts(plan(5, 120, only=["kill", "stop"])).keys() == {"kill", "stop"}


def test_money_adds_points_of_orders_and_changes_nothing_else() -> None:
    plain, money = plan(5, 3600), plan(5, 3600, money=True)
    assert [replace(one, parameters={}) for one in plain] == [replace(one, parameters={}) for one in money]
    points = {
        one.parameters["point"] for seed in SEEDS for one in plan(seed, 3600, money=True) if one.kind == "dies-at"
    }
    assert set(ORDER_POINTS) < points
    assert set(ORDER_POINTS) | set(STATEMENT_POINTS) < POINTS
    assert not {one.parameters["point"] for one in plain if one.kind == "dies-at"} & set(ORDER_POINTS)


def test_faults_read_well() -> None:
    assert str(Fault(4.0, 2.5, "delay", "front-broker", {"ms": 50})) == (
        "    4.0 s  delay         front-broker        2.5 s  ms=50"
    )
    assert all(name in table() for name in BY_NAME)


def test_where_the_bridge_dies_after_the_load_follows_from_the_seed() -> None:
    assert deaths(1, None) == set(AFTER_LOAD) <= POINTS
    assert deaths(1, 4) == deaths(1, 4) != deaths(2, 4)
    assert (len(deaths(1, 4)), len(deaths(1, 0))) == (4, 0)
    assert deaths(1, 1000) == set(AFTER_LOAD)
