"""Tables in Markdown."""

from collections.abc import Iterable, Sequence

MADE = "<!-- Made of the code by `python -m scripts.tools.reference`; do not edit. -->\n"


def page(title: str, introduction: str, rest: str) -> str:
    """A whole page."""
    return f"# {title}\n\n{MADE}\n{introduction.strip()}\n\n{rest.rstrip()}\n"


def table(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a cell is one line, and may hold anything."""
    titles = list(heads)
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def code(text: str) -> str:
    """As code."""
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
