"""The residential tiered tariff (居民阶梯电价) and the late-payment penalty (违约金), without floats.

Tariff: Beijing, households with a meter of their own, below 1 kV (一户一表, 不满 1 千伏), published by the
Beijing Municipal Commission of Development and Reform (北京市发展和改革委员会), in force since 1 July 2012:

| tier | kWh a month | yuan per kWh |
|---|---|---|
| 1 | up to 240 | 0.4883 |
| 2 | 241 to 400 | 0.5383 |
| 3 | over 400 | 0.7883 |

Beijing later counts the tiers over the calendar year (2,880 and 4,800 kWh); the simulator bills each month
by itself.

Penalty: 供电营业规则, residential customers: one thousandth of the arrears for each day past the due date.

Rounding: the charge of each tier is rounded to the fen, half up, and the bill is the sum of its tiers, so
that the lines of a bill always add up. The penalty is rounded to the fen, half up, once for each bill.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

FEN_PER_YUAN = 100
PENALTY_RATE_PER_DAY = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class Tier:
    """One step of the tariff."""

    level: int
    up_to_kwh: int | None  # a month's consumption up to which it applies; None: without limit
    yuan_per_kwh: Decimal


TIERS = (
    Tier(1, 240, Decimal("0.4883")),
    Tier(2, 400, Decimal("0.5383")),
    Tier(3, None, Decimal("0.7883")),
)


@dataclass(frozen=True, slots=True)
class TierCharge:
    """What one tier contributes to a bill."""

    level: int
    kwh: int
    yuan_per_kwh: Decimal
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Charge:
    """A month's charge: its tiers (those with consumption) and their sum."""

    tiers: tuple[TierCharge, ...]
    amount_fen: int


def to_fen(yuan: Decimal) -> int:
    """An amount of yuan as whole fen, half up."""
    return int((yuan * FEN_PER_YUAN).quantize(Decimal(1), rounding=ROUND_HALF_UP))


@lru_cache(maxsize=8192)
def charge_for(kwh: int) -> Charge:
    """The charge for one month's consumption in whole kWh."""
    if kwh < 0:
        raise ValueError(f"consumption cannot be negative: {kwh} kWh")
    charges = []
    billed = 0
    for tier in TIERS:
        reached = kwh if tier.up_to_kwh is None else min(kwh, tier.up_to_kwh)
        in_tier = reached - billed
        if in_tier > 0:
            amount = to_fen(tier.yuan_per_kwh * in_tier)
            charges.append(TierCharge(tier.level, in_tier, tier.yuan_per_kwh, amount))
            billed = reached
    return Charge(tuple(charges), sum(charge.amount_fen for charge in charges))


def penalty_fen(arrears_fen: int, days_overdue: int) -> int:
    """The penalty on one unpaid bill so many days past its due date; 0 until it has passed."""
    if days_overdue <= 0:
        return 0
    penalty = arrears_fen * PENALTY_RATE_PER_DAY * days_overdue
    return int(penalty.quantize(Decimal(1), rounding=ROUND_HALF_UP))
