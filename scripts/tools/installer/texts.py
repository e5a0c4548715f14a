"""Changing values in the shipped configuration files, with nothing but the standard library; comments stay."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from scripts.tools.installer.errors import InstallError

_TABLE = re.compile(r"\s*\[([A-Za-z0-9_.]+)\]\s*(#.*)?$")
_VALUE = re.compile(r'(\s*)(#\s*)?([a-z_]+)(\s*=\s*)("[^"]*"|\[[^\]]*\]|[^\s#]+)(.*)$')


def with_values(text: str, values: Mapping[str, Any]) -> str:
    """A TOML text with some values of one line replaced (`table.key` → value); one that is there as a comment is set.

    Raises InstallError for a key the text has not, and when the result does not say what it should.
    """
    left, table, lines = dict(values), "", []
    for line in text.splitlines():
        if head := _TABLE.match(line):
            table = head.group(1) + "."
        if (found := _VALUE.match(line)) and table + found.group(3) in left:
            value = left.pop(table + found.group(3))
            line = f"{found.group(1)}{found.group(3)}{found.group(4)}{json.dumps(value)}{found.group(6)}"
        lines.append(line)
    if left:
        raise InstallError(f"the shipped file has no {', '.join(sorted(left))}")
    changed = "\n".join(lines) + "\n"
    for dotted, value in values.items():
        found_value: Any = tomllib.loads(changed)
        for part in dotted.split("."):
            found_value = found_value[part]
        if found_value != value:
            raise InstallError(f"{dotted} could not be set in the shipped file")
    return changed


def without_table(text: str, name: str) -> str:
    """A TOML text without one table, and without the lines of it."""
    lines, inside = [], False
    for line in text.splitlines():
        if head := _TABLE.match(line):
            inside = head.group(1) == name
        if not inside:
            lines.append(line)
    return "\n".join(lines) + "\n"
