"""Changing values in the shipped configuration files."""

import re
import tomllib
from typing import Any

import tomlkit

_PART = re.compile(r'"([^"]*)"|([^."]+)')


def with_values(text: str, values: dict[str, Any]) -> str:
    """A TOML text with some values replaced (None: removed); comments and all else stay. A part of a dotted name that
    has a dot itself stands in quotes, as in TOML: `operations."bill-query.v2".path`.
    """
    document: Any = tomlkit.parse(text)
    for dotted, value in values.items():
        *tables, key = (quoted or bare for quoted, bare in _PART.findall(dotted))
        table = document
        for name in tables:
            if name not in table:
                table[name] = tomlkit.table()
            table = table[name]
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
    return tomlkit.dumps(document)


def depth(text: str, dotted: str) -> int:
    """How much of a dotted name a TOML text has: so many parts, from the left, are tables or the value there."""
    table: Any = tomllib.loads(text)
    parts = [quoted or bare for quoted, bare in _PART.findall(dotted)]
    for at, name in enumerate(parts):
        if not isinstance(table, dict) or name not in table:
            return at
        table = table[name]
    return len(parts)
