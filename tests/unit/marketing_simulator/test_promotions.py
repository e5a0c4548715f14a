"""The promotion service: what is reserved is kept, and a reservation ends once."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.marketing_simulator.promotions import Promotions, book
from tests.unit.marketing_simulator.inside import Inside, outcomes

COUPON: dict[str, Any] = {
    "reqId": "p-1", "rsvNo": "PO1-CP-V1", "promNo": "CP0001", "amt": 1000, "payer": "demo-user",
    "expTime": "2026-01-15 09:20:00",
}  # fmt: skip
PACKET = COUPON | {"promNo": "HB0001", "amt": 600}
NAMED = {"reqId": "q-1", "rsvNo": "PO1-CP-V1"}


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    inside = Inside(tmp_path / "marketing.sqlite3")
    yield inside
    inside.close()


@pytest.fixture
def promotions(inside: Inside) -> Promotions:
    return Promotions(inside.effects, inside.clock)


def states(inside: Inside) -> list[Any]:
    return [one["state"] for one in book(inside.reading, inside.clock.now())]


def test_a_coupon_is_reserved_and_used_up_once(inside: Inside, promotions: Promotions) -> None:
    first, again = outcomes(promotions.reserve, COUPON, COUPON | {"reqId": "p-2"})
    assert first["rsvStatus"] == again["rsvStatus"] == "01"
    assert inside.applied("p-2") == 0
    assert outcomes(promotions.reserve, COUPON | {"rsvNo": "PO2"}) == ["1112"]  # somebody has it
    first, again = outcomes(promotions.post, NAMED, NAMED | {"reqId": "q-2"})
    assert (first["amt"], first["rsvStatus"]) == (again["amt"], again["rsvStatus"]) == (1000, "02")
    assert inside.applied("q-2") == 0
    assert outcomes(promotions.void, NAMED) == ["1115"]
    assert outcomes(promotions.reserve, COUPON | {"rsvNo": "PO2"}) == ["1112"]
    assert states(inside) == ["posted"]


def test_what_is_voided_is_free_again_and_not_posted(inside: Inside, promotions: Promotions) -> None:
    outcomes(promotions.reserve, COUPON)
    assert [one["amt"] for one in outcomes(promotions.void, NAMED, NAMED | {"reqId": "q-2"})] == [1000, 1000]
    assert inside.applied("q-2") == 0
    assert outcomes(promotions.post, NAMED) == ["1114"]
    assert outcomes(promotions.reserve, COUPON) == ["1114"]  # a late repetition
    assert outcomes(promotions.reserve, COUPON | {"rsvNo": "PO1-CP-V2"})[0]["rsvStatus"] == "01"
    assert states(inside) == ["voided", "reserved"]


def test_a_reservation_is_over_at_its_time(inside: Inside, promotions: Promotions) -> None:
    outcomes(promotions.reserve, COUPON)
    inside.moment += timedelta(minutes=20)
    assert states(inside) == ["expired"]
    assert outcomes(promotions.post, NAMED) == ["1114"]
    late = {"rsvNo": "PO2", "expTime": "2026-01-15 10:00:00"}
    assert outcomes(promotions.reserve, COUPON | late)[0]["rsvStatus"] == "01"
    assert outcomes(promotions.void, NAMED)[0]["rsvStatus"] == "09"


def test_who_voids_what_never_was_keeps_it_from_being_reserved(inside: Inside, promotions: Promotions) -> None:
    assert outcomes(promotions.void, NAMED)[0]["amt"] == 0
    assert outcomes(promotions.reserve, COUPON) == ["1114"]
    assert outcomes(promotions.post, NAMED | {"rsvNo": "PO9"}) == ["1116"]


def test_balances_are_kept(promotions: Promotions) -> None:
    told = outcomes(promotions.reserve, PACKET, PACKET | {"rsvNo": "PO2"}, PACKET | {"rsvNo": "PO3", "amt": 288})
    assert [one if isinstance(one, str) else one["amt"] for one in told] == [600, "1112", 288]


@pytest.mark.parametrize(
    "change",
    [
        {"promNo": "CP9999"},
        {"promNo": "CP0002", "amt": 500},  # its own time is over
        {"payer": "somebody"},
        {"payer": None},
        {"promNo": "JF0004", "amt": 100},  # another account's
        {"amt": 1001},
        {"expTime": "2026-01-15 09:00:00"},
    ],
)
def test_what_cannot_be_used(promotions: Promotions, change: dict[str, Any]) -> None:
    assert outcomes(promotions.reserve, COUPON | change) == ["1112"]


def test_one_name_with_another_content(promotions: Promotions) -> None:
    outcomes(promotions.reserve, COUPON)
    assert outcomes(promotions.reserve, COUPON | {"amt": 999}) == ["1113"]
    points = {"rsvNo": "PO4", "promNo": "JF0004", "consNo": "3210000000004", "amt": 5000}
    assert outcomes(promotions.reserve, COUPON | points)[0]["amt"] == 5000
