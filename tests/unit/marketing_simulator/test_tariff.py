"""The tiers at their borders, to the fen, and the late-payment penalty."""

import pytest

from scripts.tools.marketing_simulator.tariff import charge_for, penalty_fen


@pytest.mark.parametrize(
    ("kwh", "amount_fen", "tier_kwh"),
    [
        (0, 0, []),
        (1, 49, [1]),  # 0.4883 yuan
        (240, 11719, [240]),  # 117.192
        (241, 11773, [240, 1]),  # + 0.5383 → 54
        (400, 20332, [240, 160]),  # + 86.128 → 8613
        (401, 20411, [240, 160, 1]),  # + 0.7883 → 79
        (1000, 67630, [240, 160, 600]),  # + 472.98
    ],
)
def test_a_bill_is_the_sum_of_its_tiers(kwh: int, amount_fen: int, tier_kwh: list[int]) -> None:
    charge = charge_for(kwh)
    assert charge.amount_fen == amount_fen == sum(tier.amount_fen for tier in charge.tiers)
    assert [tier.kwh for tier in charge.tiers] == tier_kwh


def test_half_a_fen_is_rounded_up() -> None:
    assert charge_for(50).amount_fen == 2442  # 24.415 yuan, exactly half a fen


def test_consumption_is_never_negative() -> None:
    with pytest.raises(ValueError, match="-1 kWh"):
        charge_for(-1)


@pytest.mark.parametrize(
    ("arrears_fen", "days", "penalty"),
    [
        (10_000, 0, 0),
        (10_000, -3, 0),
        (10_000, 1, 10),
        (10_000, 30, 300),
        (499, 1, 0),
        (500, 1, 1),
        (0, 90, 0),
    ],
)
def test_penalty_is_a_thousandth_a_day(arrears_fen: int, days: int, penalty: int) -> None:
    assert penalty_fen(arrears_fen, days) == penalty
