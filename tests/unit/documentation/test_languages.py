"""English and Chinese are in step: the same headings, the same commands and blocks of code, tables of as many rows."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.tools.documentation.edition import DOCS, DOCS_ZH, PLACES, ROOT, chinese, is_translation, resolved, twin
from scripts.tools.documentation.links import targets

UNTRANSLATED = ("changelog.md",)
"""Pages that are read in English."""

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
EXACT = {"sh", "console", "toml", "ini", "python", "json", "xml", "yaml", "sql"}
"""Languages whose lines are the same in both; drawings and screens may be told in Chinese."""


def pairs() -> Iterator[tuple[Path, Path]]:
    for path in (ROOT / name for name in PLACES):
        if twin(path).is_file():
            yield path, twin(path)
    for path in sorted(DOCS_ZH.rglob("*.md")):
        yield DOCS / path.relative_to(DOCS_ZH), path


def headings(text: str) -> list[int]:
    return [len(marks) for marks in re.findall(r"^(#+) ", BLOCK.sub("", text), flags=re.M)]


def rows(text: str) -> list[int]:
    """Of each table how many it has."""
    return [len(lines.splitlines()) for lines in re.findall(r"(?:^\|.*\n)+", BLOCK.sub("", text), flags=re.M)]


def blocks(text: str) -> list[tuple[str, list[str]]]:
    """Of each its language and, where it has to be the same, its lines without comments."""
    return [(name, lines(content) if name in EXACT else []) for name, content in BLOCK.findall(text)]


def lines(content: str) -> list[str]:
    stripped = (re.sub(r"(^|\s+)#(\s.*)?$", "", line).rstrip() for line in content.splitlines())
    return [line for line in stripped if line]


@pytest.mark.parametrize(("english", "chinese"), list(pairs()), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_translation_has_the_same_headings_commands_and_rows(english: Path, chinese: Path) -> None:
    assert english.is_file(), "a translation of nothing"
    one, other = (path.read_text(encoding="utf-8") for path in (english, chinese))
    assert headings(one) == headings(other)
    assert blocks(one) == blocks(other)
    assert rows(one) == rows(other)


def test_what_has_to_be_translated_is() -> None:
    missing = [at for at, page in chinese().items() if page.language == "en" and at not in UNTRANSLATED]
    assert not missing


def test_chinese_pages_lead_to_chinese_ones() -> None:
    named = [
        f"{path.relative_to(ROOT)}: {target}"
        for _, path in pairs()
        for target in targets(path.read_text(encoding="utf-8"))
        if (found := resolved(path, target))
        and found[0].suffix == ".md"
        and not is_translation(found[0])
        and twin(found[0]).is_file()
        and target != path.name.replace(".zh.md", ".md")  # the page's own original
    ]
    assert not named


def test_the_comparison_can_fail() -> None:
    page = "# A\n\n```sh\nbridgectl status  # now\n```\n"
    assert blocks(page) == blocks(page.replace("now", "现在"))
    assert blocks(page) != blocks(page.replace("status", "doctor"))
    assert headings(page) != headings(page.replace("# A", "## A"))
    assert rows("| a |\n|---|\n| 1 |\n") != rows("| a |\n|---|\n")
