"""The fault switches, decided without a network."""

import json
from random import Random

import pytest

from scripts.tools.marketing_simulator.faults import (
    AffectedRequest,
    AfterApplying,
    BeforeAnswering,
    FaultInjector,
    FaultPlan,
    FaultPlanError,
    mixed_up,
)

PATH = "/api/wo/create"


def injector(**switches: object) -> FaultInjector:
    faults = FaultInjector(Random(1))
    faults.set(FaultPlan.parse(switches))
    return faults


def entered(faults: FaultInjector, path: str = PATH) -> AffectedRequest:
    affected = faults.enter(path)
    assert affected is not None
    return affected


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        ({"latency": 5}, "latency"),
        ({"latency_ms": -1}, "latency_ms"),
        ({"latency_ms": float("nan")}, "latency_ms"),
        ({"jitter_ms": "5"}, "jitter_ms"),
        ({"error_rate": 1.1}, "error_rate"),
        ({"error_rate": True}, "error_rate"),
        ({"hang": 1}, "hang"),
        ({"hang_after_applying": None}, "hang_after_applying"),
        ({"die_after_applying": -1}, "die_after_applying"),
        ({"times": 0}, "times"),
        ({"paths": "/api/"}, "paths"),
        ({"paths": ["/journal"]}, "paths"),
        ({"except_paths": ["/journal"]}, "except_paths"),
        ({"drop": 1}, "drop"),
        ({"mix_up": 1}, "mix_up"),
        ([], "(body)"),
    ],
)
def test_a_wrong_plan_is_refused_by_the_fields_name(plan: object, field: str) -> None:
    with pytest.raises(FaultPlanError) as refused:
        FaultPlan.parse(plan)
    assert refused.value.field == field


def test_a_plan_shows_every_switch() -> None:
    plan = FaultPlan.parse({"die_after_applying": True, "paths": ["/api/wo/"], "times": None})
    assert plan.as_json() == {
        "latency_ms": 0,
        "jitter_ms": 0,
        "error_rate": 0,
        "hang": False,
        "hang_after_applying": False,
        "die_after_applying": 1,
        "drop": False,
        "mix_up": False,
        "shorten": False,
        "paths": ("/api/wo/",),
        "except_paths": (),
        "times": None,
    }


def test_without_a_plan_nothing_happens() -> None:
    faults = FaultInjector()
    assert faults.enter(PATH) is None
    assert faults.applied(None) == AfterApplying()


def test_a_plan_keeps_to_its_paths() -> None:
    faults = injector(hang=True, paths=["/api/bill/", "/api/arrears/"])
    assert faults.enter(PATH) is None
    assert entered(faults, "/api/bill/query").hangs
    faults = injector(hang=True, except_paths=["/api/req/"])
    assert faults.enter("/api/req/status") is None
    assert entered(faults).hangs


def test_delay_lies_between_latency_and_latency_plus_jitter() -> None:
    faults = injector(latency_ms=100, jitter_ms=50)
    delays = [entered(faults).delay_seconds for _ in range(200)]
    assert 0.1 <= min(delays) < 0.11
    assert 0.14 < max(delays) <= 0.15


def test_error_rate_is_a_share_of_the_requests() -> None:
    faults = injector(error_rate=0.25)
    failed = sum(entered(faults).fails for _ in range(1000))
    assert 200 < failed < 300
    assert faults.state()["hits"] == failed


def test_after_so_many_hits_the_plan_is_gone() -> None:
    faults = injector(error_rate=1, times=2)
    assert entered(faults).fails
    assert entered(faults).fails
    assert faults.enter(PATH) is None
    assert faults.state() == {"plan": None, "hits": 2}


def test_one_request_is_one_hit() -> None:
    faults = injector(latency_ms=5, hang_after_applying=True, times=1)
    affected = entered(faults)
    assert faults.enter(PATH) is None  # the plan is used up, but not for the request it hit
    assert faults.applied(affected).hangs


def test_what_was_not_applied_is_not_hit_after_applying() -> None:
    faults = injector(hang_after_applying=True, times=1)
    refused, applied, late = entered(faults), entered(faults), entered(faults)
    assert not refused.counted
    assert faults.applied(applied).hangs
    assert faults.applied(late) == AfterApplying()


def test_dies_at_the_nth_application() -> None:
    faults = injector(die_after_applying=3)
    assert [faults.applied(entered(faults)).dies for _ in range(3)] == [False, False, True]


def test_an_answer_that_is_ready_is_lost_or_mixed_up() -> None:
    faults = injector(drop=True, times=1)
    affected = entered(faults)
    assert faults.answering(affected) == BeforeAnswering(drops=True)
    assert faults.state() == {"plan": None, "hits": 1}
    assert faults.answering(None) == BeforeAnswering()
    faults = injector(mix_up=True)
    assert faults.answering(entered(faults)) == BeforeAnswering(mixes_up=True)


def test_what_is_mixed_up_is_what_the_answer_repeats_of_the_request() -> None:
    asked = b'{"consNo": "3210000000001", "reqId": "r-7", "pageNo": "1", "remark": ""}'
    answer = {
        "rtnCode": "0000",
        "data": {"consNo": "3210000000001", "pageNo": 1, "remark": "", "bills": [{"reqId": "r-7"}]},
    }
    assert json.loads(mixed_up(asked, json.dumps(answer).encode())) == {
        "rtnCode": "0000",
        "data": {"consNo": "3210000000002", "pageNo": 2, "remark": "", "bills": [{"reqId": "r-1"}]},
    }
