"""A page for each code: what a problem's `type` leads to. HTML without script or anything from elsewhere; written
once, at start.
"""

import re
from html import escape

from dmz_front.problems.codes import CODES, Code

PATH = "/problems"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "public, max-age=3600",
}

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .25rem; }
code { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
p { margin: .25rem 0; }
ul { list-style: none; padding: 0; }
li { padding: .5rem 0; border-top: 1px solid #8885; }
a { color: #0b62c4; } a:hover { text-decoration-thickness: 2px; }
@media (prefers-color-scheme: dark) { a { color: #7db8ff; } }
"""


def pages() -> dict[str, bytes]:
    """Every page by its path."""
    found = {f"{PATH}/{code}": _of(code, told) for code, told in CODES.items()}
    return {PATH: _index()} | found


def _of(code: str, told: Code) -> bytes:
    where = (
        f"<p>HTTP status: {', '.join(str(status) for status in told.statuses)}</p>"
        if told.statuses
        else "<p>In the <code>failure</code> of a command's status document</p>"
    )
    return _page(
        told.title,
        f"<p><code>{code}</code></p>{where}"
        f"<h2>What it means</h2><p>{_text(told.meaning)}</p>"
        f"<h2>What you can do</h2><p>{_text(told.remedy)}</p>"
        f'<p style="margin-top:2rem"><a href="{PATH}">All problems</a></p>',
    )


def _index() -> bytes:
    items = "".join(
        f'<li><a href="{PATH}/{code}"><code>{code}</code></a> '
        f"{' '.join(str(status) for status in told.statuses)}<br>{_text(told.title)}</li>"
        for code, told in sorted(CODES.items())
    )
    return _page(
        "Problems",
        "<p>Every error is a document of the type <code>application/problem+json</code> (RFC 9457). Its "
        f"<code>code</code> is one of these and never changes its meaning.</p><ul>{items}</ul>",
    )


def _page(title: str, content: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{content}</main></body></html>\n"
    ).encode()


def _text(text: str) -> str:
    """Escaped, with `code` as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
