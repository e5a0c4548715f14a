"""What changed between two looks: rates, shares of failures, latencies; and the last of them as small histories.

Pure. Counts are since a daemon's start, so a daemon that was started in between has no rates until the next look.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

from bridgectl.language import tr
from bridgectl.queues import QueueHealth
from bridgectl.status.observation import Observation
from bridgectl.vocabulary import passed_on
from protocol.maintenance import by_operation
from protocol.reports.bridge import BridgeReport
from protocol.reports.calls import InterfaceReport, OperationReport
from protocol.reports.daemon import Report
from protocol.reports.front import FrontReport

KEPT = 30
"""Samples of a history."""
_BARS = "▁▂▃▄▅▆▇█"

Side = Literal["front", "bridge"]
Key = tuple[str, str]
"""Operation and side; of a queue: its name and nothing."""


@dataclass(frozen=True, slots=True)
class OperationRow:
    """One operation: as callers of the front find it, or as the bridge finds its interface."""

    operation: str
    side: Side
    count: int
    failures: int
    """Both since the daemon's start."""
    rate: float | None
    """A second, between the two looks; None: not known."""
    failed: float | None
    """The share of failures, 0 to 1, between the two looks; None: nothing was asked, or it is not known."""
    p99_ms: float | None = None
    """99 of 100 took at most so long, to the power of two above; None: nothing was asked, or it is not told."""
    circuit: str = ""
    """At the bridge: `closed`, `half-open`, `open`, or `paused` for maintenance."""
    waiting: int = 0
    more: tuple[tuple[str, str], ...] = ()
    """What else is known, for who opens it."""

    @property
    def key(self) -> Key:
        """Tells it from the others."""
        return self.operation, self.side

    @property
    def badness(self) -> tuple[int, float]:
        """Greater is worse."""
        return ("closed", "", "paused", "half-open", "open").index(self.circuit or "closed"), self.failed or 0.0


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One queue."""

    name: str
    depth: int
    consumers: int
    oldest_s: float | None
    dead_letters: int
    rate_in: float | None
    rate_out: float | None
    """Messages a second, of up to 64 requests each."""

    @property
    def key(self) -> Key:
        """Tells it from the others."""
        return self.name, ""


@dataclass(frozen=True, slots=True)
class Sample:
    """Two looks, compared."""

    seconds: float
    """Between them."""
    operations: tuple[OperationRow, ...]
    queues: tuple[QueueRow, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        rows = [
            {**asdict(row), "more": dict(row.more), "rate": _rounded(row.rate), "failed": _rounded(row.failed)}
            for row in self.operations
        ]
        queues = [
            {**asdict(row), "rate_in": _rounded(row.rate_in), "rate_out": _rounded(row.rate_out)} for row in self.queues
        ]
        return {"interval_s": round(self.seconds, 3), "operations": rows, "queues": queues}


def sample(before: Observation | None, now: Observation) -> Sample:
    """`now`, and what changed since `before`. None: the first look."""
    was = before or replace(now, front=None, bridge=None, queues=None)
    rows: list[OperationRow] = []
    if isinstance(now.front, FrontReport):
        rows += _front(was.front if isinstance(was.front, FrontReport) else None, now.front)
    if isinstance(now.bridge, BridgeReport):
        rows += _bridge(was.bridge if isinstance(was.bridge, BridgeReport) else None, now.bridge)
    seconds = max(0, now.now - was.now) / 1000
    earlier = {one.name: one for one in was.queues or ()}
    queues = tuple(_queue(earlier.get(one.name), one, seconds) for one in now.queues or ())
    return Sample(seconds, tuple(rows), queues)


def _front(before: FrontReport | None, now: FrontReport) -> Iterable[OperationRow]:
    seconds = _between(before, now)
    earlier = {one.operation: one for one in before.operations} if before else {}
    for one in now.operations:
        was = earlier.get(one.operation, OperationReport(operation=one.operation, answers=0, failures=0))
        rate, failed = _change(was.answers, one.answers, was.failures, one.failures, seconds)
        yield OperationRow(
            one.operation, "front", one.answers, one.failures, rate, failed,
            p99_ms=_p99(was.latency, one.latency) if rate is not None else None,
            more=(("answers", str(one.answers)), ("5xx", str(one.failures)), ("4xx", str(one.turned_away))),
        )  # fmt: skip


def _bridge(before: BridgeReport | None, now: BridgeReport) -> Iterable[OperationRow]:
    seconds = _between(before, now)
    earlier = {one.operation: one for one in before.interfaces} if before else {}
    paused = by_operation(now.maintenance)
    for one in now.interfaces:
        if not (one.calls or one.waiting or one.circuit != "closed" or one.operation in paused):
            continue
        was = earlier.get(one.operation)
        calls, failures = (was.calls, was.failures) if was else (0, 0)
        rate, failed = _change(calls, one.calls, failures, one.failures, seconds)
        circuit = "paused" if one.operation in paused else one.circuit
        yield OperationRow(
            one.operation, "bridge", one.calls, one.failures, rate, failed, circuit=circuit, waiting=one.waiting,
            p99_ms=_p99(was.latency if was else (), one.latency) if rate is not None else None,
            more=tuple(_known(one, now.now)),
        )  # fmt: skip


def _known(one: InterfaceReport, now: int) -> Iterable[tuple[str, str]]:
    yield tr("system"), one.system
    yield tr("calls"), tr("{calls}, of which {failures} failed", calls=one.calls, failures=one.failures)
    if one.at_once:
        yield (
            tr("at once"),
            tr("{in_use} of {at_once}, {waiting} wait", in_use=one.in_use, at_once=one.at_once, waiting=one.waiting),
        )
    if one.timeout_ms:
        yield tr("may take"), tr("{timeout_ms} ms", timeout_ms=one.timeout_ms)
    yield tr("last success"), _ago(one.last_success, now)
    if one.failing_since:
        yield tr("failing since"), f"{_ago(one.failing_since, now)}: {passed_on(one.reason)}"
    if one.opened:
        yield tr("circuit"), tr("not closed for {seconds} s", seconds=max(0, now - one.opened) // 1000)
    if one.next_probe > now:
        yield tr("next call"), tr("let through in {next_probe:.0f} s", next_probe=(one.next_probe - now) / 1000)


def _ago(at: int, now: int) -> str:
    return tr("{seconds} s ago", seconds=max(0, now - at) // 1000) if at else tr("none yet")


def _between(before: Report | None, now: Report) -> float:
    """Seconds by the daemon's own clock; 0: there is nothing to compare."""
    return (now.now - before.now) / 1000 if before is not None and before.started == now.started else 0


def _change(
    count_before: int, count: int, failures_before: int, failures: int, seconds: float
) -> tuple[float | None, float | None]:
    new = count - count_before
    if seconds <= 0 or new < 0:
        return None, None
    return new / seconds, min(1.0, max(0, failures - failures_before) / new) if new else None


def _p99(before: Sequence[int], now: Sequence[int]) -> float | None:
    return percentile_ms([count - (before[at] if at < len(before) else 0) for at, count in enumerate(now)])


def _queue(was: QueueHealth | None, now: QueueHealth, seconds: float) -> QueueRow:
    came = gone = None
    if was is not None and seconds > 0 and now.enqueued >= was.enqueued and now.dequeued >= was.dequeued:
        came, gone = (now.enqueued - was.enqueued) / seconds, (now.dequeued - was.dequeued) / seconds
    return QueueRow(now.name, now.depth, now.consumers, now.oldest_s, now.dead_letters, came, gone)


def percentile_ms(buckets: Sequence[int], share: float = 0.99) -> float | None:
    """The bound, in ms, that so many are below; None: there is nothing, or the last, boundless bucket is needed."""
    total, counted = sum(buckets), 0
    if total <= 0:
        return None
    for power, count in enumerate(buckets[:-1]):
        counted += count
        if counted >= total * share:
            return float(2**power / 10)
    return None


# --- histories ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class History:
    """The last rates of each row."""

    _rates: dict[Key, deque[float]] = field(default_factory=dict)

    def add(self, one: Sample) -> None:
        """Keep a sample's rates; rows that are gone are forgotten."""
        rates: dict[Key, float | None] = {row.key: row.rate for row in one.operations}
        rates |= {row.key: row.rate_in for row in one.queues}
        kept: dict[Key, deque[float]] = {}
        for key, rate in rates.items():
            kept[key] = self._rates.get(key) or deque(maxlen=KEPT)
            if rate is not None:
                kept[key].append(rate)
        self._rates = kept

    def of(self, key: Key) -> Sequence[float]:
        """The oldest first."""
        return self._rates.get(key, ())


def sparkline(values: Iterable[float], width: int = KEPT) -> str:
    """The last `width` values as bars from nothing to the greatest of them."""
    shown = list(values)[-width:]
    most = max(shown, default=0.0)
    if most <= 0:
        return _BARS[0] * len(shown)
    return "".join(_BARS[min(len(_BARS) - 1, int(value / most * len(_BARS)))] for value in shown)


# --- what the keys change ---------------------------------------------------------------------------------


class Order(StrEnum):
    """What rows are sorted by."""

    TROUBLE = "trouble"
    RATE = "rate"
    FAILED = "failed"
    P99 = "p99"
    NAME = "name"


_BY: Mapping[Order, Callable[[OperationRow], Any]] = {
    Order.TROUBLE: lambda row: (*(-part for part in row.badness), -(row.rate or 0)),
    Order.RATE: lambda row: -(row.rate or 0),
    Order.FAILED: lambda row: -(row.failed or 0),
    Order.P99: lambda row: -(row.p99_ms or 0),
    Order.NAME: lambda row: 0,
}


def ordered(rows: Iterable[OperationRow], order: Order) -> list[OperationRow]:
    """The greatest first, equals by name."""
    return sorted(rows, key=lambda row: (_BY[order](row), row.operation, row.side))


@dataclass(frozen=True, slots=True)
class View:
    """What is looked at."""

    order: Order = Order.TROUBLE
    chosen: Key | None = None
    """The row the cursor is on; None: the first."""
    open: bool = False
    """Its details are shown."""


def pressed(key: str, view: View, one: Sample) -> View | None:
    """The view after a key (`q`, `s`, `enter`, `up` ...); None: it is over."""
    rows = [row.key for row in ordered(one.operations, view.order)]
    at = rows.index(view.chosen) if view.chosen in rows else 0
    match key:
        case "q":
            return None
        case "s":
            orders = list(Order)
            return replace(view, order=orders[(orders.index(view.order) + 1) % len(orders)])
        case "up" | "down" | "k" | "j" if rows:
            moved = at - 1 if key in ("up", "k") else at + 1
            return replace(view, chosen=rows[min(len(rows) - 1, max(0, moved))])
        case "enter" | "o" if rows:
            return replace(view, chosen=rows[at], open=not view.open)
        case "escape":
            return replace(view, open=False)
    return view


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)
