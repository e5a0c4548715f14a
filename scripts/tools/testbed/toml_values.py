"""Changing values in the shipped configuration files."""

from typing import Any

import tomlkit


def with_values(text: str, values: dict[str, Any]) -> str:
    """A TOML text with some values replaced (None: removed); comments and all else stay."""
    document: Any = tomlkit.parse(text)
    for dotted, value in values.items():
        *tables, key = dotted.split(".")
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
