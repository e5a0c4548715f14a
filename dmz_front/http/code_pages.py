"""A page for each code, in English and Chinese: what a problem's `type` leads to. HTML without script or anything from
elsewhere; written once, at start.
"""

import re
from html import escape

from dmz_front.http.texts import problem, said, switch
from dmz_front.problems.codes import CODES, Code
from protocol.languages import Language

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


def pages() -> dict[tuple[str, Language], bytes]:
    """Every page by its path and language."""
    return {
        (path, language): page
        for language in Language
        for path, page in (
            (PATH, _index(language)),
            *((f"{PATH}/{code}", _of(code, told, language)) for code, told in CODES.items()),
        )
    }


def headers(language: Language) -> dict[str, str]:
    """What goes with a page."""
    return HEADERS | {"Content-Language": language, "Vary": "Accept-Language"}


def _of(code: str, told: Code, language: Language) -> bytes:
    title, meaning, remedy = problem(code, language)
    where = (
        f"{said('HTTP status:', language)} {', '.join(str(status) for status in told.statuses)}"
        if told.statuses
        else said("In the `failure` of a command's status document", language)
    )
    return _page(
        f"{PATH}/{code}",
        title,
        f"<p><code>{code}</code></p><p>{_text(where)}</p>"
        f"<h2>{said('What it means', language)}</h2><p>{_text(meaning)}</p>"
        f"<h2>{said('What you can do', language)}</h2><p>{_text(remedy)}</p>"
        f'<p style="margin-top:2rem"><a href="{PATH}?lang={language}">{said("All problems", language)}</a></p>',
        language,
    )


def _index(language: Language) -> bytes:
    items = "".join(
        f'<li><a href="{PATH}/{code}?lang={language}"><code>{code}</code></a> '
        f"{' '.join(str(status) for status in told.statuses)}<br>{_text(problem(code, language)[0])}</li>"
        for code, told in sorted(CODES.items())
    )
    about = said(
        "Every error is a document of the type `application/problem+json` (RFC 9457). Its `code` is one of these and "
        "never changes its meaning.",
        language,
    )
    return _page(PATH, said("Problems", language), f"<p>{_text(about)}</p><ul>{items}</ul>", language)


def _page(path: str, title: str, content: str, language: Language) -> bytes:
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{switch(path, language)}<main><h1>{escape(title)}</h1>{content}</main></body></html>\n"
    ).encode()


def _text(text: str) -> str:
    """Escaped, with `code` as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
