"""Scans of one address: a rate, then pauses that grow and are forgiven."""

from dmz_front.admission.scans import Scans
from dmz_front.settings import LandingSection

LIMITS = LandingSection(scans_a_minute=2, penalty_s=60, penalty_max_s=600)


def test_pauses_grow_up_to_a_bound_and_are_forgiven() -> None:
    now = [0.0]
    scans = Scans(LIMITS, now=lambda: now[0])
    pauses = []
    for _ in range(6):
        while not (wait := scans.wait_s("192.0.2.1")):
            pass
        pauses.append(wait)
        assert scans.wait_s("192.0.2.1") == wait  # asking meanwhile makes it no longer
        now[0] += wait
    assert pauses == [60, 120, 240, 480, 600, 600]
    now[0] += 601
    assert [bool(scans.wait_s("192.0.2.1")) for _ in range(3)] == [False, False, True]
    assert scans.wait_s("192.0.2.1") == 60


def test_one_address_pauses_no_other_and_memory_is_bounded() -> None:
    scans = Scans(LIMITS, now=lambda: 0.0, capacity=2)
    for address in ("a", "b", "c", "d"):
        assert [bool(scans.wait_s(address)) for _ in range(3)] == [False, False, True]
    assert len(scans._penalties) <= 2


def test_a_network_of_ipv6_that_one_customer_has_counts_as_one_address() -> None:
    scans = Scans(LIMITS, now=lambda: 0.0)
    waits = [scans.wait_s(f"2001:db8:1:2::{number:x}") for number in range(1, 5)]
    assert [bool(wait) for wait in waits] == [False, False, True, True]
    assert not scans.wait_s("2001:db8:1:3::1")
