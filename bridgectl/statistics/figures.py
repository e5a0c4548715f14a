"""Figures of what was counted: by day, operation or application, and why requests came to nothing. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from protocol.operations import CATALOGUE
from protocol.operations import Kind as OperationKind
from protocol.runtime.statistics import Bins, Counted, Kind, Took, percentiles

SHARES = (0.5, 0.95, 0.99)
KEPT = "succeeded: kept"
"""An answer's outcome, where the bridge had kept it."""
Key = tuple[str, ...]


class By(StrEnum):
    """What figures are for."""

    DAY = "day"
    OPERATION = "operation"
    APPLICATION = "application"


class Came(StrEnum):
    """What became of a request, coarsely."""

    SUCCEEDED = "succeeded"
    ACCEPTED = "accepted"
    """202: its end is counted when it is known."""
    REFUSED = "refused"
    """The marketing system said no."""
    TURNED_AWAY = "turned-away"
    """Another 4xx: by the front, before it was passed on, or by a ceiling."""
    FAILED = "failed"


@dataclass(slots=True)
class Figures:
    """Of one group of requests."""

    answers: Counter[Came] = field(default_factory=Counter)
    ends: Counter[Came] = field(default_factory=Counter)
    """Of commands that came to their end, whoever waited for it."""
    bins: Bins = field(default_factory=Counter)
    kept: int = 0
    """Successful answers that the bridge had kept (hot data)."""

    @property
    def calls(self) -> int:
        """Answers over HTTP."""
        return self.answers.total()

    def latency_s(self) -> list[float] | None:
        """At SHARES; None where nothing was measured."""
        return percentiles(self.bins, SHARES)

    def as_dict(self) -> dict[str, Any]:
        """For programs: latencies in milliseconds, None where nothing was measured."""
        latency: Sequence[float | None] = self.latency_s() or (None,) * len(SHARES)
        return {
            "calls": self.calls,
            **{came.value.replace("-", "_"): self.answers[came] for came in Came},
            "kept": self.kept,
            **{f"ended_{came.value}": self.ends[came] for came in (Came.SUCCEEDED, Came.REFUSED, Came.FAILED)},
            **{
                f"p{share * 100:g}_ms": None if seconds is None else round(seconds * 1000, 3)
                for share, seconds in zip(SHARES, latency, strict=True)
            },
        }


@dataclass(frozen=True, slots=True)
class Reason:
    """Why so many requests for an operation came to nothing."""

    operation: str
    came: Came
    reason: str
    """A refusal's code, or a problem's."""
    number: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """What was counted on some days."""

    since: str
    until: str
    counted: Sequence[Counted]
    took: Sequence[Took]

    def by(self, *names: By) -> dict[Key, Figures]:
        """Figures by the named columns, in the order of these."""
        found: dict[Key, Figures] = {}

        def of(one: Counted | Took) -> Figures:
            return found.setdefault(tuple(getattr(one, name) for name in names), Figures())

        for one in self.counted:
            figures = of(one)
            (figures.answers if one.kind is Kind.ANSWER else figures.ends)[came(one)] += one.number
            figures.kept += one.number * (one.outcome == KEPT)
        for taken in self.took:
            of(taken).bins.update(taken.bins)
        return dict(sorted(found.items()))

    def reasons(self) -> list[Reason]:
        """The most frequent first."""
        failures = {(one.operation, _reason(one)) for one in self.counted if one.kind is Kind.END}
        numbers: Counter[tuple[str, Came, str]] = Counter()
        for one in self.counted:
            what = _why(one, lambda operation, reason: (operation, reason) in failures)
            if what is not None:
                numbers[one.operation, what, _reason(one)] += one.number
        return [Reason(*key, number) for key, number in sorted(numbers.items(), key=lambda item: (-item[1], item[0]))]


def came(one: Counted) -> Came:
    """What became of it."""
    if one.outcome.startswith("refused"):
        return Came.REFUSED
    if one.kind is Kind.END:
        return Came.SUCCEEDED if one.outcome == "succeeded" else Came.FAILED
    if one.status == 202:
        return Came.ACCEPTED
    if one.status < 400:
        return Came.SUCCEEDED
    return Came.TURNED_AWAY if one.status < 500 else Came.FAILED


def _reason(one: Counted) -> str:
    state, mark, code = one.outcome.partition(": ")
    return code if mark else state


def _why(one: Counted, ended_so: Callable[[str, str], bool]) -> Came | None:
    """What is told of it among reasons. A command's refusal or failure is told when it ends, not with each answer that
    says so.
    """
    became = came(one)
    if became in (Came.SUCCEEDED, Came.ACCEPTED):
        return None
    operation = CATALOGUE.get(one.operation)
    if one.kind is Kind.END or operation is None or operation.kind is OperationKind.QUERY:
        return became
    if became is Came.REFUSED or (became is Came.FAILED and ended_so(one.operation, _reason(one))):
        return None
    return Came.TURNED_AWAY


ROWS = ("day", "operation", "application")
"""The columns that name a row of a file."""


def rows(statistics: Statistics) -> Iterator[dict[str, Any]]:
    """What a file holds: each day, operation and application. `application` is empty for those without a valid key."""
    for key, figures in statistics.by(By.DAY, By.OPERATION, By.APPLICATION).items():
        yield dict(zip(ROWS, key, strict=True)) | figures.as_dict()


def total(figures: Iterable[Figures]) -> Figures:
    """All together."""
    whole = Figures()
    for one in figures:
        whole.answers.update(one.answers)
        whole.ends.update(one.ends)
        whole.bins.update(one.bins)
        whole.kept += one.kept
    return whole
