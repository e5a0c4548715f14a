"""The site, built as `./scripts/docs` builds it."""

import re
from pathlib import Path

from scripts.tools.documentation.__main__ import write
from scripts.tools.documentation.edition import chinese, english

LOADED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?([^\"' >]+)")
STYLE = re.compile(r"(?:@import|url\()\s*[\"']?(https?:|//)")


def html(at: str) -> str:
    return re.sub(r"(^|/)README\.md$", r"\1index.md", at).removesuffix(".md") + ".html"


def test_it_is_whole_and_needs_no_network(tmp_path: Path) -> None:
    """mkdocs has no complaint (links, headings, navigation), every page is there, none loads anything from outside."""
    site = tmp_path / "site"
    write(site)
    for folder, pages in ((site, english()), (site / "zh", chinese())):
        for at in pages:
            page = (folder / html(at)).read_text(encoding="utf-8")
            assert "edition:" not in re.sub(r"<code.*?</code>", "", page, flags=re.S), at
            for target in LOADED.findall(page):
                assert not re.match(r"(https?:)?//", target), f"{at}: {target}"
    for style in site.rglob("*.css"):
        assert not STYLE.search(style.read_text(encoding="utf-8")), style
    down = (site / "zh/runbooks/down.html").read_text(encoding="utf-8")
    assert 'lang="zh"' in down
    assert 'href="../../runbooks/down.html"' in down, "the same page in the other language"
    assert ">处置手册<" in re.sub(r"\s+", "", down)
