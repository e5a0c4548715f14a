"""Statistics as one HTML file that opens without a network: plots are SVG in it, and there is no script."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bridgectl.language import chinese, tr
from bridgectl.statistics.figures import SHARES, By, Came, Figures, Key, Statistics, total
from bridgectl.statistics.words import NAMES, duration, share

_PLOT = 100.0
"""Height of a plot, in units of its own."""
_REASONS = 40


@dataclass(frozen=True, slots=True)
class Bar:
    """One part of a day's column, in a plot that is as many units wide as there are days."""

    x: int
    y: float
    height: float
    came: str
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """One percentile over the days: parts of a line, broken where nothing was measured."""

    name: str
    number: int
    points: Sequence[str]
    dots: Sequence[tuple[float, float, str]]


def days(since: str, until: str) -> list[str]:
    """All days of a span, both ends included."""
    first, last = date.fromisoformat(since), date.fromisoformat(until)
    return [(first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)]


def bars(by_day: Mapping[Key, Figures], span: Sequence[str]) -> tuple[list[Bar], int]:
    """Columns of calls, and what the plot's height stands for."""
    most = max((figures.calls for figures in by_day.values()), default=0)
    found = []
    for x, day in enumerate(span):
        figures, at = by_day.get((day,)), _PLOT
        for came in Came:
            number = figures.answers[came] if figures else 0
            if number:
                height = _PLOT * number / most
                at -= height
                title = f"{day}: {number:,} {tr(NAMES[came])}"
                found.append(Bar(x, round(at, 3), round(height, 3), came.value, title))
    return found, most


def lines(by_day: Mapping[Key, Figures], span: Sequence[str]) -> tuple[list[Line], float, float]:
    """Percentiles by day on a logarithmic scale, and the seconds that the plot's bottom and top stand for: powers of
    ten.
    """
    measured = {day: latency for (day,), figures in by_day.items() if (latency := figures.latency_s())}
    seconds = [one for latency in measured.values() for one in latency] or [1.0]
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))
    high = max(high, low + 1)
    found = []
    for number, part in enumerate(SHARES):
        places: list[tuple[float, float, str] | None] = []
        for x, day in enumerate(span):
            latency = measured.get(day)
            if latency is None:
                places.append(None)
            else:
                y = round(_PLOT * (high - math.log10(latency[number])) / (high - low), 3)
                places.append((x + 0.5, y, f"{day}: {duration(latency[number])}"))
        dots = [place for place in places if place]
        found.append(Line(f"{part:.0%}", number, [_points(one) for one in _unbroken(places)], dots))
    return found, 10.0**low, 10.0**high


def _unbroken(places: Sequence[tuple[float, float, str] | None]) -> Iterator[list[tuple[float, float, str]]]:
    part: list[tuple[float, float, str]] = []
    for place in (*places, None):
        if place is not None:
            part.append(place)
        elif part:
            yield part
            part = []


def _points(part: Sequence[tuple[float, float, str]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y, _ in part)


def page(statistics: Statistics, made: str) -> str:
    """The whole file. `made`: when, for people."""
    span = days(statistics.since, statistics.until)
    by_day = statistics.by(By.DAY)
    columns, most = bars(by_day, span)
    curves, low, high = lines(by_day, span)
    environment = Environment(
        loader=PackageLoader("bridgectl.statistics", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    whole = total(by_day.values())
    return environment.get_template("report.html").render(
        language="zh-CN" if chinese() else "en",
        title=tr("Requests from {since} to {until}", since=statistics.since, until=statistics.until),
        made=tr("made {at}", at=made),
        key_figures=_key_figures(whole),
        day_count=len(span),
        first=span[0],
        last=span[-1],
        bars=columns,
        most=f"{most:,}",
        lines=curves,
        low=duration(low),
        high=duration(high),
        came=[(came.value, tr(name)) for came, name in NAMES.items()],
        tables=[
            (tr("By operation"), _table(tr("operation"), statistics.by(By.OPERATION))),
            (tr("By application"), _table(tr("application"), statistics.by(By.APPLICATION))),
            (tr("Commands at their end"), _ends(statistics.by(By.OPERATION))),
            (tr("Why requests came to nothing"), _reasons(statistics)),
        ],
        words={
            "calls": tr("Calls by day"),
            "latency": tr("Latency by day"),
            "none": tr("Nothing was counted on these days."),
            "latency_note": tr("What half, 95 and 99 of 100 callers waited at most. The scale is logarithmic."),
        },
    )


def _key_figures(whole: Figures) -> list[tuple[str, str]]:
    latency = whole.latency_s()
    return [
        (tr("calls"), f"{whole.calls:,}"),
        *((tr(NAMES[came]), share(whole.answers[came], whole.calls)) for came in Came),
        *([(tr("kept answers"), share(whole.kept, whole.calls))] if whole.kept else []),
        *((f"{part:.0%}", duration(one)) for part, one in zip(SHARES, latency or (), strict=False)),
    ]


Grid = dict[str, Any]


def _table(heading: str, groups: Mapping[Key, Figures]) -> Grid:
    most = max((figures.calls for figures in groups.values()), default=0) or 1
    ordered = sorted(groups.items(), key=lambda item: -item[1].calls)
    return {
        "headings": [heading, tr("calls"), *(tr(name) for name in NAMES.values()), *(f"{one:.0%}" for one in SHARES)],
        "rows": [
            (
                name or tr("(none)"),
                round(100 * figures.calls / most, 2),
                [
                    f"{figures.calls:,}",
                    *(f"{figures.answers[came]:,}" for came in Came),
                    *(map(duration, figures.latency_s() or ()) if figures.bins else [""] * len(SHARES)),
                ],
            )
            for (name,), figures in ordered
            if figures.calls
        ],
    }


def _ends(groups: Mapping[Key, Figures]) -> Grid:
    shown = (Came.SUCCEEDED, Came.REFUSED, Came.FAILED)
    most = max((figures.ends.total() for figures in groups.values()), default=0) or 1
    return {
        "headings": [tr("operation"), *(tr(NAMES[came]) for came in shown)],
        "rows": [
            (name, round(100 * figures.ends.total() / most, 2), [f"{figures.ends[came]:,}" for came in shown])
            for (name,), figures in sorted(groups.items(), key=lambda item: -item[1].ends.total())
            if figures.ends.total()
        ],
    }


def _reasons(statistics: Statistics) -> Grid:
    found = statistics.reasons()[:_REASONS]
    most = found[0].number if found else 1
    return {
        "headings": [tr("reason"), tr("times"), tr("outcome"), tr("operation")],
        "rows": [
            (one.reason, round(100 * one.number / most, 2), [f"{one.number:,}", tr(NAMES[one.came]), one.operation])
            for one in found
        ],
    }
