"""Pages for people: what they link to is there, with the names they give it."""

import ast
import re
from pathlib import Path

import pytest

from protocol.operations import OFFERED

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not {".venv", "var", "node_modules", ".pytest_cache"} & set(path.relative_to(ROOT).parts)
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(r"\]\(([^)\s]+\.py)\)\s+((?:`[A-Za-z_][\w.]*`(?:, | and |,\s)?)+)")


def anchor(title: str) -> str:
    """As the repository's host makes it from a heading."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower().replace("`", "")).replace(" ", "-")


def defined(path: Path) -> set[str]:
    """`function`, `Class`, `Class.method` and constants of a module."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
                names |= {inner.name for inner in ast.walk(node) if isinstance(inner, ast.AsyncFunctionDef)}
            case ast.ClassDef(name=name, body=body):
                names.add(name)
                inner = [item.name for item in body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
                names |= {*inner, *(f"{name}.{method}" for method in inner)}
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(re.sub(r"```.*?```", "", page.read_text(), flags=re.S)):
        if "://" in target:
            continue
        name, _, fragment = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        assert found.exists(), target
        if fragment and found.suffix == ".md":
            titles = re.findall(r"^#+ (.*)$", found.read_text(), flags=re.M)
            assert fragment in {anchor(title) for title in titles}, target


def test_the_walk_names_what_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = [(file, name) for file, names in NAMED.findall(text) for name in re.findall(r"`([\w.]+)`", names)]
    assert len(named) > 20
    for file, name in named:
        assert name in defined(ROOT / file), f"{file}: {name}"


def test_the_readme_lists_the_whole_catalogue() -> None:
    table = (ROOT / "README.md").read_text().partition("## What it carries")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([a-z][a-z0-9.-]+)`", table)) == set(OFFERED)
    assert f"{len(OFFERED)} operations" in table
