"""The schedule, from the seed alone: the same seed and duration give the same plan on every machine."""

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from scripts.tools.fault_campaign.faults import BY_NAME, KINDS, NOTICE_POINTS, ORDER_POINTS, Kind

FIRST_S = 4.0
"""The load runs without faults for so long at first."""
CLOCK_FAR_S = 600
FAR_NEEDS_S = 900
"""A jump of CLOCK_FAR_S needs so much time after it: messages dated ahead are refused until then."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of the schedule."""

    start_s: float
    """Seconds after the load has begun; never before the previous fault is over."""
    duration_s: float
    kind: str
    target: str
    parameters: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        told = " ".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.start_s:7.1f} s  {self.kind:<13} {self.target:<17} {self.duration_s:5.1f} s  {told}".rstrip()


def plan(
    seed: int, seconds: float, only: Collection[str] = (), skip: Collection[str] = (), *, money: bool = False
) -> list[Fault]:
    """The faults of a campaign of this duration.

    The first round has every kind once, as far as time allows; then every kind on every target follows, in random
    order, repeatedly. A short campaign has short faults and short pauses, so that every kind occurs. `skip` names kinds
    this machine cannot inject: they are removed, and the others keep their times. `money`: the bridge may die in the
    life of a payment order too.
    """
    rng = random.Random(seed)  # noqa: S311 - a schedule is not a secret
    points = random.Random(f"{seed} money")  # noqa: S311 - of its own: the rest of the schedule is the same with money
    room = min(1.0, seconds / 900)  # the share of the longest faults and pauses there is time for
    faults: list[Fault] = []
    now = FIRST_S
    for kind, target in _turns(rng, only):
        longest = kind.shortest_s + (kind.limit_s(target) - kind.shortest_s) * room
        duration = round(rng.uniform(kind.shortest_s, longest), 1)
        pause = rng.uniform(1.5 + 1.5 * room, 2.5 + 5.5 * room)
        fault = Fault(round(now, 1), duration, kind.name, target, _parameters(rng, kind.name, target, seconds - now))
        if now + duration > seconds - 2:
            return faults
        if money and (fault.kind, fault.target) == ("dies-at", "bridge"):
            fault = replace(fault, parameters={"point": points.choice((*NOTICE_POINTS["bridge"], *ORDER_POINTS))})
        if kind.name not in skip:
            faults.append(fault)
        now += duration + pause
    raise AssertionError("turns never end")


def _turns(rng: random.Random, only: Collection[str]) -> Iterator[tuple[Kind, str]]:
    kinds = [kind for kind in KINDS if not only or kind.name in only]
    first = [(kind, rng.choice(kind.targets)) for kind in kinds]
    rng.shuffle(first)
    yield from first
    everything = [(kind, target) for kind in kinds for target in kind.targets]
    rest = [turn for turn in everything if turn not in first]
    while True:
        rng.shuffle(rest)
        yield from rest
        rest = list(everything)


def _parameters(rng: random.Random, kind: str, target: str, left_s: float) -> dict[str, Any]:
    match kind:
        case "delay":
            return {"ms": rng.choice([50, 200, 600, 1500])}
        case "second-inbox":
            return {"beside_s": rng.choice([0.5, 2, 4])}
        case "half-close":
            return {"direction": rng.choice(["up", "down"])}
        case "reset":
            return {"bytes": rng.choice([1, 20, 300, 5000])}
        case "fails":
            return {"share": rng.choice([0.2, 0.6, 1.0])}
        case "slow":
            return {"ms": rng.choice([300, 1500, 3000]), "jitter_ms": rng.choice([0, 1000])}
        case "dies-after":
            return {"calls": rng.choice([1, 2, 10])}
        case "turns-away":
            return {"how": rng.choice(["500", "reset", "hang"])}
        case "dies-at":
            return {"point": rng.choice(NOTICE_POINTS[target])}
        case "clock":
            jumps = [30, -30, 150, -150]
            far = rng.choice([CLOCK_FAR_S, -CLOCK_FAR_S])
            jump = rng.choice([*jumps, far])
            return {"seconds": rng.choice(jumps) if jump == far and left_s < FAR_NEEDS_S else jump}
    return {}


def counts(faults: Collection[Fault]) -> dict[str, int]:
    """How many of each kind."""
    found = {name: sum(fault.kind == name for fault in faults) for name in BY_NAME}
    return {name: count for name, count in found.items() if count}
