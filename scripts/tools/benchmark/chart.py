"""A page of curves that stands alone: HTML with inline SVG, nothing loaded, nothing executed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 560, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 16, 44
_COLOURS = ("#0b5cad", "#b3430a", "#1f7a3d", "#7a2f9e", "#9a6b00", "#444444", "#a3164f")
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1200px; padding: 16px; color: #1a1a1a; }
main { display: grid; gap: 24px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); }
section { min-width: 0; } h2 { font-size: 1.1em; } svg { width: 100%; height: auto; }
table { border-collapse: collapse; font-size: .85em; } .wide { overflow-x: auto; }
th, td { padding: 2px 8px; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
"""


@dataclass(frozen=True, slots=True)
class Curve:
    """One plot: lines of points (x, y), x by its logarithm, y from zero."""

    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]


def page(title: str, about: str, curves: Sequence[Curve]) -> str:
    """The whole document: each plot with its figures as a table."""
    sections = "\n".join(
        f"<section><h2>{escape(curve.title)}</h2>{_plot(curve)}{_table(curve)}</section>" for curve in curves
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n'
        f"<body><h1>{escape(title)}</h1><p>{escape(about)}</p>\n<main>{sections}</main></body></html>\n"
    )


def ceiling(value: float) -> float:
    """The axis's end: the next of 1, 2, 5 times a power of ten."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 2, 5, 10) if step * unit >= value * (1 - 1e-9))


def _plot(curve: Curve) -> str:
    points = [point for line in curve.lines.values() for point in line]
    low, high = (math.log10(end(x for x, _ in points)) for end in (min, max))
    top = ceiling(max(y for _, y in points))

    def across(x: float) -> float:
        share = (math.log10(x) - low) / (high - low) if high > low else 0.5
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def down(y: float) -> float:
        return _HEIGHT - _BOTTOM - y / top * (_HEIGHT - _TOP - _BOTTOM)

    parts = []
    for number in range(5):
        y = top * number / 4
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{down(y):.1f}" y2="{down(y):.1f}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 8}" y="{down(y) + 4:.1f}" text-anchor="end">{y:g}</text>'
        )
    for x in sorted({x for x, _ in points}):
        parts.append(f'<text x="{across(x):.1f}" y="{_HEIGHT - 22}" text-anchor="middle">{_short(x)}</text>')
    for at, line in enumerate(curve.lines.values()):
        colour = _COLOURS[at % len(_COLOURS)]
        path = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="3.5" fill="{colour}"/>' for x, y in line]
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 4}" text-anchor="end">{escape(curve.x)}</text>')
    parts.append(f'<text x="4" y="{_TOP - 3}">{escape(curve.y)}</text>')
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(curve.title)}" font-size="12">'
        f"{''.join(parts)}</svg>"
    )


def _table(curve: Curve) -> str:
    sizes = sorted({x for line in curve.lines.values() for x, _ in line})
    head = "".join(f"<th>{_short(x)}</th>" for x in sizes)
    rows = []
    for at, (name, line) in enumerate(curve.lines.items()):
        found = dict(line)
        cells = "".join(f"<td>{found[x]:.3g}</td>" if x in found else "<td></td>" for x in sizes)
        mark = f'<span style="color:{_COLOURS[at % len(_COLOURS)]}">&#9679;</span>'
        rows.append(f"<tr><td>{mark} {escape(name)}</td>{cells}</tr>")
    return f'<div class="wide"><table><tr><th>{escape(curve.y)}</th>{head}</tr>{"".join(rows)}</table></div>'


def _short(number: float) -> str:
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:g}{letter}"
    return f"{number:g}"
