"""The broker's configuration files with more fronts than the shipped ones name (activemq/README.md)."""

from collections.abc import Sequence
from pathlib import Path

_NAMED = ("front-1", "front-2")
_MODEL = "front-2"


def name_fronts(folder: Path, fronts: Sequence[str]) -> None:
    """Have the files in this folder name these fronts, which share a ledger."""
    others = [name for name in fronts if name not in _NAMED]
    for name in ("users.properties", "activemq.xml"):
        text = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(with_fronts(text, others), encoding="utf-8")
    groups = (folder / "groups.properties").read_text(encoding="utf-8")
    (folder / "groups.properties").write_text(with_groups(groups, fronts), encoding="utf-8")


def with_fronts(text: str, others: Sequence[str]) -> str:
    """A text with each line that names the second front once more for each of the others."""
    lines = []
    for line in text.splitlines(keepends=True):
        lines.append(line)
        if _MODEL in line:
            lines += [line.replace(_MODEL, name) for name in others]
    return "".join(lines)


def with_groups(text: str, fronts: Sequence[str]) -> str:
    """groups.properties with these fronts, all of one ledger."""
    named = ",".join(dict.fromkeys([*_NAMED, *fronts]))
    lines = [f"front={named}" if line.startswith("front=") else line for line in text.splitlines()]
    return "\n".join([*lines, f"shared-ledger={','.join(fronts)}", ""])
