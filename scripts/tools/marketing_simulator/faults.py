"""Fault switches: tests turn them on to see how the bridge copes with a failing marketing system.

One plan at a time, held in memory: a restarted simulator has none. It only affects `/api/*`. A request counts
as *hit* (once) when any fault of the plan was applied to it; after `times` hits the plan is removed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from random import Random
from typing import Any

LONGEST_DELAY_MS = 600_000


class FaultPlanError(ValueError):
    """An invalid plan; `field` names what is wrong."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{reason}: {field}")
        self.field = field


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """The switches, all off."""

    latency_ms: float = 0  # wait before anything else
    jitter_ms: float = 0  # wait up to this much longer, evenly spread
    error_rate: float = 0  # the share of requests answered HTTP 500 before anything was applied
    hang: bool = False  # take the request, apply nothing, never answer
    hang_after_applying: bool = False  # apply and commit, never answer
    die_after_applying: int = 0  # exit right after the commit of the n-th request applied, unanswered; 0: never
    drop: bool = False  # do as asked, commit, then lose the connection without an answer
    mix_up: bool = False  # answer about something else: what the answer repeats of the request is another value
    shorten: bool = False  # the last item of the answer's lists is missing, whatever its counts say
    paths: tuple[str, ...] = ()  # only paths that begin with one of these; none: all of /api/
    except_paths: tuple[str, ...] = ()  # and none that begins with one of these
    times: int | None = None  # how many requests it hits; None: until it is cleared

    @classmethod
    def parse(cls, values: object) -> "FaultPlan":
        """A plan from a JSON value; `die_after_applying` may also be true, which means 1."""
        if not isinstance(values, Mapping):
            raise FaultPlanError("(body)", "must be a JSON object")
        known = {field.name for field in fields(cls)}
        for name in values:
            if name not in known:
                raise FaultPlanError(str(name), "unknown field")
        plan: dict[str, Any] = dict(values)
        for name, most in (
            ("latency_ms", LONGEST_DELAY_MS),
            ("jitter_ms", LONGEST_DELAY_MS),
            ("error_rate", 1),
        ):
            _check(
                plan,
                name,
                (int, float),
                f"must be a number from 0 to {most}",
                lambda v, most=most: 0 <= v <= most,
            )
        for name in ("hang", "hang_after_applying", "drop", "mix_up", "shorten"):
            _check(plan, name, (bool,), "must be true or false", lambda v: True)
        if isinstance(plan.get("die_after_applying"), bool):
            plan["die_after_applying"] = int(plan["die_after_applying"])
        _check(plan, "die_after_applying", (int,), "must be true, false or a whole number", lambda v: v >= 0)
        if plan.get("times", 0) is None:
            del plan["times"]
        _check(plan, "times", (int,), "must be a whole number from 1", lambda v: v >= 1)
        for name in ("paths", "except_paths"):
            _check(
                plan,
                name,
                (list, tuple),
                "must be a list of paths that begin with /api/",
                lambda v: all(isinstance(path, str) and path.startswith("/api/") for path in v),
            )
            plan[name] = tuple(plan.get(name, ()))
        return cls(**plan)

    def as_json(self) -> dict[str, object]:
        """Every switch with its value."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def concerns(self, path: str) -> bool:
        """Whether the plan applies to this path."""
        return (not self.paths or path.startswith(self.paths)) and not path.startswith(self.except_paths)


@dataclass(slots=True)
class AffectedRequest:
    """One request under a plan: the faults before it is handled. `counted` once it is a hit."""

    plan: FaultPlan
    delay_seconds: float = 0
    fails: bool = False
    hangs: bool = False
    counted: bool = False


@dataclass(frozen=True, slots=True)
class AfterApplying:
    """The faults after the effect is committed."""

    hangs: bool = False
    dies: bool = False


@dataclass(frozen=True, slots=True)
class BeforeAnswering:
    """The faults of an answer that is ready."""

    drops: bool = False
    mixes_up: bool = False
    shortens: bool = False


class FaultInjector:
    """Holds the plan and decides, request by request, what it does."""

    def __init__(self, random: Random | None = None) -> None:
        self._random = random or Random()  # noqa: S311 - chance for tests, nothing secret
        self._plan: FaultPlan | None = None
        self._hits = 0
        self._applied = 0

    def set(self, plan: FaultPlan) -> None:
        """Replace the plan; the counts start again."""
        self._plan, self._hits, self._applied = plan, 0, 0

    def clear(self) -> None:
        """Remove the plan. A request that already hangs keeps hanging."""
        self._plan = None

    def state(self) -> dict[str, object]:
        """The plan (null when there is none) and the number of hits of it or of the last one."""
        return {"plan": self._plan.as_json() if self._plan else None, "hits": self._hits}

    def enter(self, path: str) -> AffectedRequest | None:
        """A request begins; None when no plan applies to it."""
        plan = self._plan
        if plan is None or not plan.concerns(path):
            return None
        affected = AffectedRequest(plan)
        affected.delay_seconds = (plan.latency_ms + plan.jitter_ms * self._random.random()) / 1000
        affected.hangs = plan.hang
        affected.fails = not plan.hang and plan.error_rate > 0 and self._random.random() < plan.error_rate
        if affected.delay_seconds or affected.fails or affected.hangs:
            self._count(affected)
        return affected

    def applied(self, affected: AffectedRequest | None) -> AfterApplying:
        """A request was applied and committed."""
        if affected is None or (affected.plan is not self._plan and not affected.counted):
            return AfterApplying()  # the plan ended in between, and this request was not one of its hits
        plan = affected.plan
        self._applied += 1
        dies = plan.die_after_applying > 0 and self._applied >= plan.die_after_applying
        if dies or plan.hang_after_applying:
            self._count(affected)
        return AfterApplying(hangs=plan.hang_after_applying, dies=dies)

    def answering(self, affected: AffectedRequest | None) -> BeforeAnswering:
        """A request was done, or found done, and its answer is ready."""
        if affected is None or (affected.plan is not self._plan and not affected.counted):
            return BeforeAnswering()
        plan = affected.plan
        if plan.drop or plan.mix_up or plan.shorten:
            self._count(affected)
        return BeforeAnswering(drops=plan.drop, mixes_up=plan.mix_up, shortens=plan.shorten)

    def _count(self, affected: AffectedRequest) -> None:
        if affected.counted:
            return
        affected.counted = True
        self._hits += 1
        if affected.plan.times is not None and self._hits >= affected.plan.times:
            self._plan = None


def mixed_up(asked: bytes, answer: bytes) -> bytes:
    """A JSON answer as if to another request: what it repeats of this one, by name and value, is changed at its end."""
    said = {name: str(value) for name, value in json.loads(asked).items() if isinstance(value, str | int) and value}

    def changed(value: Any, name: str = "") -> Any:
        match value:
            case dict():
                return {member: changed(item, member) for member, item in value.items()}
            case list():
                return [changed(item, name) for item in value]
            case str() if value and said.get(name) == value:
                return value[:-1] + ("1" if value[-1] != "1" else "2")
            case int() if said.get(name) == str(value):
                return value + 1
        return value

    return json.dumps(changed(json.loads(answer)), ensure_ascii=False).encode()


def shortened(answer: bytes) -> bytes:
    """A JSON answer whose lists end one item too early: an interface that lost a row and does not know it."""
    told = json.loads(answer)
    data = told.get("data") or {}
    told["data"] = {name: value[:-1] if isinstance(value, list) else value for name, value in data.items()}
    return json.dumps(told, ensure_ascii=False).encode()


def _check(plan: dict[str, Any], name: str, kinds: tuple[type, ...], reason: str, holds: Any) -> None:
    if name not in plan:
        return
    value = plan[name]
    wrong_kind = not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)
    if wrong_kind or not holds(value):
        raise FaultPlanError(name, reason)
