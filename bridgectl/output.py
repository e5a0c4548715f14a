"""How bridgectl prints: aligned plain tables for people, JSON for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer

from bridgectl.cells import left, width
from bridgectl.language import tr

Json = Annotated[bool, typer.Option("--json", help="for programs")]


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as their widest cell, two spaces apart, headings in capitals, in the language spoken; `none` in
    place of headings without a row, which look as if something were missing.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    if not cells:
        return tr("none")
    lines = [[tr(heading).upper() for heading in headings], *cells]
    widths = [max(width(row[column]) for row in lines) for column in range(len(headings))]
    return "\n".join(
        "  ".join(left(cell, widest) for cell, widest in zip(row, widths, strict=True)).rstrip() for row in lines
    )


def as_json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """`value` as indented JSON, dates and paths as text."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def few(names: Sequence[str], most: int = 4) -> str:
    """Names, or the first of more than `most` and how many more there are."""
    shown = most - 1
    return (
        ", ".join(names)
        if len(names) <= most
        else tr("{names} and {more} more", names=", ".join(names[:shown]), more=len(names) - shown)
    )
