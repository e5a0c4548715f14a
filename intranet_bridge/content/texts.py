"""Texts in Markdown (CommonMark with tables): as sanitised HTML, and as plain text.

Raw HTML in a text stands there as it is written; what comes out is cleaned once more, whatever the renderer did.
Pictures are not shown: they would be fetched from elsewhere.
"""

from collections.abc import Iterator, Sequence

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

TAGS = frozenset({
    "a", "blockquote", "br", "code", "em", "h2", "h3", "h4", "hr", "li", "ol", "p", "pre", "s", "strong",
    "table", "tbody", "td", "th", "thead", "tr", "ul",
})  # fmt: skip
SCHEMES = frozenset({"http", "https", "mailto", "tel"})
_MARKDOWN = (
    MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"]).disable("image")
)
_HEADINGS = {"h1": "h2", "h5": "h4", "h6": "h4"}
"""The page that a text stands in has its own first heading."""


def html(markdown: str) -> str:
    """Its HTML, of these tags alone, with links that tell nothing of who follows them."""
    tokens = _MARKDOWN.parse(markdown)
    for token in tokens:
        token.tag = _HEADINGS.get(token.tag, token.tag)
    rendered = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    return nh3.clean(
        rendered,
        tags=set(TAGS),
        attributes={"*": set(), "a": {"href"}, "ol": {"start"}},
        url_schemes=set(SCHEMES),
        link_rel="noopener noreferrer nofollow",
    ).strip()


def plain(markdown: str) -> str:
    """Its words: a line feed after each paragraph, heading, item and row; where a link leads stands in brackets."""
    lines: list[str] = []
    marks: list[str] = []
    joins = False
    """The next words stand after the mark of their item, or beside the cell before."""
    for token in _MARKDOWN.parse(markdown):
        match token.type:
            case "bullet_list_open":
                marks.append("")
            case "ordered_list_open":
                marks.append(str(token.attrs.get("start", 1)))
            case "bullet_list_close" | "ordered_list_close":
                marks.pop()
            case "list_item_open":
                number = marks[-1]
                lines.append("  " * (len(marks) - 1) + (f"{number}. " if number else "- "))
                joins = True
                if number:
                    marks[-1] = str(int(number) + 1)
            case "tr_open":
                lines.append("")
            case "td_open" | "th_open":
                joins = True
                if lines[-1]:
                    lines[-1] += "  "
            case "inline":
                words = "".join(_words(token.children or ()))
                if joins:
                    lines[-1] += words
                else:
                    lines.append(words)
                joins = False
            case "fence" | "code_block":
                lines.append(token.content.rstrip("\n"))
            case _:
                pass
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _words(tokens: Sequence[Token]) -> Iterator[str]:
    links: list[str] = []
    said = ""
    for token in tokens:
        match token.type:
            case "text" | "code_inline":
                said += token.content
                yield token.content
            case "softbreak" | "hardbreak":
                yield "\n"
            case "link_open":
                links.append(str(token.attrs.get("href", "")))
                said = ""
            case "link_close":
                target = links.pop()
                if target != said:
                    yield f"（{target}）"
            case _:
                pass
