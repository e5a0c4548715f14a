"""Where settings stand: every place that tomllib reads is found, on its own line, whatever texts hold."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol.runtime.toml_lines import Place, deepest, places

ROOT = Path(__file__).parents[4]
FILES = sorted([*ROOT.glob("config/**/*.toml"), *ROOT.glob("examples/**/*.toml"), ROOT / "pyproject.toml"])

TEXT = '''\
title = "# [no] a = 1"
words = """
[table]
a = 1
\\"""
"""
path = 'C:\\'  # "
dates = [1979-05-27 07:32:00, 1.5e3, inf]
[table]
a = """x"""
"b.c" . d = { e = 1, "f g" = [2, { h = 3 }] }
rows = [
    # [rows]
    { name = "one" },
    [
        4,
    ],
]
[[list]]
a = 1
[list.within]
a = 2
[[list.more]]
a = 3
[[list.more]]
[[list]]
[list.within]
a = 4
[below."x ] y".z]
'''


def test_each_place_has_its_line() -> None:
    found = dict(reversed(list(places(TEXT))))
    assert found == {
        ("title",): 1, ("words",): 2, ("path",): 7,
        ("dates",): 8, ("dates", 0): 8, ("dates", 1): 8, ("dates", 2): 8,
        ("table",): 9, ("table", "a"): 10,
        ("table", "b.c"): 11, ("table", "b.c", "d"): 11, ("table", "b.c", "d", "e"): 11,
        ("table", "b.c", "d", "f g"): 11, ("table", "b.c", "d", "f g", 0): 11,
        ("table", "b.c", "d", "f g", 1): 11, ("table", "b.c", "d", "f g", 1, "h"): 11,
        ("table", "rows"): 12, ("table", "rows", 0): 14, ("table", "rows", 0, "name"): 14,
        ("table", "rows", 1): 15, ("table", "rows", 1, 0): 16,
        ("list",): 19, ("list", 0): 19, ("list", 0, "a"): 20, ("list", 0, "within"): 21,
        ("list", 0, "within", "a"): 22,
        ("list", 0, "more"): 23, ("list", 0, "more", 0): 23, ("list", 0, "more", 0, "a"): 24,
        ("list", 0, "more", 1): 25,
        ("list", 1): 26, ("list", 1, "within"): 27, ("list", 1, "within", "a"): 28,
        ("below",): 29, ("below", "x ] y"): 29, ("below", "x ] y", "z"): 29,
    }  # fmt: skip


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_all_that_tomllib_reads_is_found(file: Path) -> None:
    text = re.sub(r"(?m)^# (?=[a-z_]+ = |\[\[?[a-z_.]+\]\]?$)", "", file.read_text(encoding="utf-8"))
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # what is shown and what is set are alternatives
        document = tomllib.loads(text := file.read_text(encoding="utf-8"))
    assert {place for place, _ in places(text)} == set(within(document, ()))


def within(value: Any, above: Place) -> Iterator[Place]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, one in inner:
        yield (*above, part)
        yield from within(one, (*above, part))


def test_of_what_is_not_there_the_nearest_is_told() -> None:
    assert deepest(TEXT, ("table", "rows", 0, "size")) == (3, 14)
    assert deepest(TEXT, ("table", "rows", "1", "0")) == (4, 16)
    assert deepest(TEXT, ("none", "a")) == (0, None)
