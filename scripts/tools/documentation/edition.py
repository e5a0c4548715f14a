"""Which pages an edition of the site has, and where its links lead.

Pages of `docs/` keep their addresses, those of `docs/zh/` have the same ones in the Chinese edition. They name files
outside of docs/ (other pages, configuration, code); those come in too, so that a reader without the repository can
follow every link.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from scripts.tools.documentation import http_api
from scripts.tools.documentation.links import joined, relinked, targets

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
DOCS_ZH = DOCS / "zh"
MADE_OF = ROOT / "protocol/operations"

Language = Literal["en", "zh"]

PLACES = {
    "README.md": "about.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "activemq/README.md": "reference/broker.md",
    "certs/README.md": "reference/certificates-and-keys.md",
    "config/nftables/README.md": "reference/packet-filter.md",
    "protocol/README.md": "reference/wire.md",
    "protocol/runtime/MIGRATIONS.md": "reference/migrations.md",
    "scripts/tools/marketing_simulator/README.md": "reference/marketing-simulator.md",
}
"""Pages outside docs/ that have a place in the navigation. Whatever else is named stands under source/."""

_LEXERS = {".mts": "ts", ".py": "python", ".service": "ini", ".target": "ini", ".yml": "yaml"}
_ENGLISH_ONLY = '\n!!! note "本页暂无中文版，以下为英文原文"\n'


class UnknownTargetError(Exception):
    """A page names a file that is not there."""


@dataclass(frozen=True)
class Page:
    """One page: the file or folder of the repository that it shows, or is made of."""

    path: Path
    language: Language = "en"
    written: str | None = None
    """What stands on it, if it is made of code and there is no file."""

    @property
    def is_source(self) -> bool:
        """Shown as it stands, not as a page."""
        return self.path.suffix != ".md"


Pages = dict[str, Page]
"""By address within the edition: `how-to/rotate.md`."""


def twin(path: Path) -> Path:
    """Where the Chinese of an English page is, if there is one: below docs/zh/, or beside it."""
    return DOCS_ZH / path.relative_to(DOCS) if DOCS in path.parents else path.with_suffix(".zh.md")


def is_translation(path: Path) -> bool:
    """A Chinese page."""
    return DOCS_ZH in path.parents or path.name.endswith(".zh.md")


def _markdown(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.md")):
        if folder == DOCS_ZH or DOCS_ZH not in path.parents:
            yield path


def address(path: Path) -> str:
    """Of a file or folder, in the English edition."""
    name = path.relative_to(ROOT).as_posix()
    if DOCS in path.parents:
        return path.relative_to(DOCS).as_posix()
    return PLACES.get(name) or f"source/{_visible(name.removesuffix('.md'))}.md"


def _visible(name: str) -> str:
    """mkdocs leaves out what begins with a dot."""
    return re.sub(r"(^|/)\.", r"\1_", name)


def resolved(page: Path, target: str) -> tuple[Path, str] | None:
    """The file or folder, and the heading, a target on this page names; None if it leads out of the repository.

    Raises UnknownTargetError if nothing is there.
    """
    if "://" in target or target.startswith(("#", "mailto:")):
        return None
    name, _, fragment = target.partition("#")
    path = Path(os.path.normpath(page.parent / name))
    if path.is_dir() and (path / "README.md").is_file():
        path /= "README.md"
    if not path.exists() or ROOT not in path.parents:
        raise UnknownTargetError(f"{page.relative_to(ROOT)}: {target}")
    return path, fragment


def _named(page: Path) -> Iterator[Path]:
    """The files and folders that a page, or the list of a folder, names."""
    if page.is_dir():
        yield from shown(page)
    elif page.suffix == ".md":
        for target in targets(page.read_text(encoding="utf-8")):
            if found := resolved(page, target):
                yield found[0]


def shown(folder: Path) -> list[Path]:
    """What the page of a folder leads to: of what an operator installs, everything."""
    installed = ROOT / "config" in [folder, *folder.parents]
    inside = sorted(path for path in folder.iterdir() if path.name != "__pycache__" and not is_translation(path))
    return inside if installed else []


@cache
def english() -> Pages:
    """Every page of `docs/`, those in PLACES, and what any of them names, of either language."""
    outside = [ROOT / name for name in PLACES]
    beside = [twin(path) for path in outside if twin(path).is_file()]
    waiting = [*_markdown(DOCS), *outside, *beside, *_markdown(DOCS_ZH)]
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += _named(path)
    return {address(path): Page(path) for path in seen if not is_translation(path)} | _made("en")


def _made(language: Language) -> Pages:
    return {at: Page(MADE_OF, language, written) for at, written in http_api.pages(language).items()}


@cache
def chinese() -> Pages:
    """The same addresses without source/; a page without translation is the English one."""
    pages = {at: page for at, page in english().items() if not at.startswith("source/")} | _made("zh")
    for at, page in pages.items():
        if page.written is not None:
            continue
        if twin(page.path).is_file():
            pages[at] = Page(twin(page.path), "zh")
    alone = {path.relative_to(DOCS_ZH).as_posix() for path in _markdown(DOCS_ZH)} - set(pages)
    if alone:
        raise UnknownTargetError(f"docs/zh: not of any English page: {', '.join(sorted(alone))}")
    return pages


def pages(language: Language) -> Pages:
    """Of an edition."""
    return english() if language == "en" else chinese()


def text(at: str, page: Page, language: Language) -> str:
    """A page's Markdown, its links as this edition has them: `edition:zh/how-to/rotate.md` where one leads to the
    other edition (`elsewhere` makes an address of it).
    """
    if page.written is not None:
        return page.written
    if page.is_source:
        return _source(page.path)
    written = relinked(page.path.read_text(encoding="utf-8"), lambda target: _link(at, page, target, language))
    if page.language == language:
        return joined(written) if language == "zh" else written
    title, _, rest = written.partition("\n")  # mkdocs takes a title from the first line
    return f"{title}\n{_ENGLISH_ONLY}{rest}"


def _link(at: str, page: Page, target: str, language: Language) -> str:
    found = resolved(page.path, target)
    if found is None:
        return target
    path, fragment = found
    other: Language = "zh" if is_translation(path) else "en"
    place = path.relative_to(DOCS_ZH).as_posix() if DOCS_ZH in path.parents else address(_untranslated(path))
    tail = f"#{fragment}" if fragment else ""
    if place in pages(language) and (language == "zh" or other == "en"):
        # a heading of an English page is no heading of its translation
        kept = tail if pages(language)[place].path == path else ""
        return _relative(place, at) + kept
    return f"edition:{other}/{place}{tail}"


def _untranslated(path: Path) -> Path:
    return path.with_name(path.name.replace(".zh.md", ".md"))


def elsewhere(at: str, language: Language, target: str) -> str:
    """The address, seen from a page of one edition, of `en/how-to/rotate.md#title`: the English edition is the
    site's root, the Chinese one its folder `zh`.
    """
    place, _, fragment = target.partition("#")
    other, _, place = place.partition("/")
    html = place.removesuffix("README.md").removesuffix("index.md")
    html = html.removesuffix(".md") + ".html" if html == place else html + "index.html"
    here, there = ({"en": "", "zh": "zh/"}[edition] for edition in (language, other))
    return _relative(there + html, here + at) + (f"#{fragment}" if fragment else "")


def _relative(place: str, at: str) -> str:
    return os.path.relpath(place, Path(at).parent)


def _source(path: Path) -> str:
    """A file's content, or a folder's, as a page."""
    name = path.relative_to(ROOT).as_posix()
    head = f"---\nsearch: {{exclude: true}}\nhide: [toc]\n---\n# `{name}{'/' if path.is_dir() else ''}`\n\n"
    if path.is_dir():
        linked = shown(path)
        lines = [
            f"- [`{entry.name}`]({_relative(address(entry), address(path))})"
            if entry in linked
            else f"- `{entry.name}`"
            for entry in sorted(path.iterdir())
            if entry.name != "__pycache__"
        ]
        return head + "\n".join(lines) + "\n"
    lexer = _LEXERS.get(path.suffix, path.suffix.removeprefix(".") or "sh")
    return f"{head}``````{lexer}\n{path.read_text(encoding='utf-8').rstrip()}\n``````\n"
