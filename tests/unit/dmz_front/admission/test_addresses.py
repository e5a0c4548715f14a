"""Addresses that send too much: 429 first, then pauses that grow, are forgiven, and can be lifted."""

from typing import Any

from dmz_front.admission.addresses import Addresses
from dmz_front.admission.allowances import Allowances
from dmz_front.admission.quotas import DailyQuotas
from dmz_front.problems.details import Problem
from dmz_front.settings import LimitsSection


def addresses(now: list[float], capacity: int = 100, **more: Any) -> Addresses:
    section = {"strikes": 3, "penalty_s": 10, "penalty_max_s": 40} | more
    limits = LimitsSection.model_validate({"ip_rate": 1, "burst_s": 1, "addresses": section})
    quotas = DailyQuotas(None, "front-1", "", lambda: 0)  # type: ignore[arg-type]
    allowances = Allowances(limits, quotas, now=lambda: now[0])
    return Addresses(limits, allowances, now=lambda: now[0], capacity=capacity)


def said(held: Addresses, address: str = "192.0.2.1") -> str:
    try:
        held.check(address, "bill-query")
    except Problem as problem:
        headers = {name.decode(): value.decode() for name, value in problem.headers}
        return f"{problem.code} {headers['retry-after']}"
    return ""


def test_who_goes_on_is_left_alone_longer_each_time_and_forgiven_in_the_end() -> None:
    now, pauses = [0.0], []
    held = addresses(now)
    for _ in range(4):
        while not said(held).startswith("address-paused"):
            assert not held.left_alone("192.0.2.1")
        assert held.left_alone("192.0.2.1")
        assert not held.left_alone("192.0.2.2")
        [one] = held.paused()
        pauses.append(one["seconds"])
        now[0] += one["seconds"]
        assert held.paused() == []
    assert pauses == [10, 20, 40, 40]
    now[0] += 41
    assert [said(held) for _ in range(5)] == ["", *["too-many-requests 1"] * 2, *["address-paused 10"] * 2]


def test_refusals_far_apart_pause_nobody() -> None:
    now = [0.0]
    held = addresses(now)
    for _ in range(20):
        assert [said(held), said(held)] == ["", "too-many-requests 1"]
        now[0] += 11
    never = addresses(now, strikes=0)
    assert {said(never) for _ in range(200)} == {"", "too-many-requests 1"}


def test_a_lifted_address_begins_anew() -> None:
    held = addresses([0.0])
    while not said(held, "2001:db8::1").startswith("address-paused"):
        pass
    assert held.paused() == [{"address": "2001:db8::/64", "seconds": 10, "times": 1}]
    assert not held.lift("192.0.2.1")
    assert held.lift("2001:db8::/64")
    assert not held.lift("2001:db8::/64")
    assert said(held, "2001:db8::2") == "too-many-requests 1"


def test_allowed_networks_are_not_counted() -> None:
    held = addresses([0.0], allow=["10.0.0.0/8", "2001:db8::/32"])
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::9"):
        assert {said(held, address) for _ in range(50)} == {""}
    assert said(held, "a socket") == ""


def test_memory_is_bounded_and_the_metrics_count() -> None:
    held = addresses([0.0], capacity=2)
    for number in range(5):
        while not said(held, f"192.0.2.{number}").startswith("address-paused"):
            pass
    assert len(held._penalties) == 2
    assert [(name, value) for name, _, _, value in held.samples()] == [
        ("dmz_front_addresses_paused", 2),
        ("dmz_front_address_refused_total", 5),
    ]
