"""Output for a terminal: customers' values are masked unless they are asked for, secrets always."""

import contextlib
import json
import re
import zlib
from typing import Any

_SECRET = re.compile(r"secret|passw|token|api[-_]?key|authoriz|cookie|signature|credential|session", re.IGNORECASE)
_PLAIN = frozenset({
    "accept", "accept-encoding", "cache-control", "connection", "content-encoding", "content-length", "content-type",
    "date", "host", "keep-alive", "server", "transfer-encoding", "vary",
})  # fmt: skip
_HIDDEN = "***"
_DOCUMENT = re.compile(rb"\s*<(?!!doctype|html)", re.IGNORECASE)
_XML = re.compile(
    r"""(?P<nothing><!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z))|<!\[CDATA\[(?P<cdata>.*?)(?:\]\]>|\Z)|</[^<>]*(?P<end>>)"""
    r"""|<(?P<name>[^\s<>/!?]+)(?P<attributes>(?:\s+[^\s=<>]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(?P<empty>/?)>"""
    r"""|(?P<text>[^<]+)|(?P<other><)""",
    re.DOTALL,
)
"""What begins a section that never ends has all the rest: its end would be looked for anew from each such beginning."""
_ATTRIBUTE = re.compile(r"""\s+([^\s=<>]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_LONGEST = 20_000
_UNPACKED = 4 * 1024 * 1024


class Mask:
    """What may be printed."""

    def __init__(self, *, show: bool) -> None:
        """`show`: whether customers' values are printed."""
        self.show = show
        self._secrets: set[str] = set()
        self._secret_headers: set[str] = set()

    def hide(self, secret: str, header: str = "") -> None:
        """Take a secret out of everything from now on, and never show the value of a header."""
        if secret:
            self._secrets.add(secret)
        if header:
            self._secret_headers.add(header.lower())

    def clean(self, text: str) -> str:
        """Text for a terminal: no secret, no control character, not endless."""
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        if len(text) > _LONGEST:
            text = f"{text[:_LONGEST]}… ({len(text)} characters)"
        return "".join(c if c.isprintable() or c in "\n\t" else f"\\u{ord(c):04x}" for c in text)

    def json(self, value: Any) -> str:
        """A document in one line or, when it is long, several."""
        masked = self._value(value)
        text = json.dumps(masked, ensure_ascii=False)
        return self.clean(text if len(text) <= 100 else json.dumps(masked, ensure_ascii=False, indent=2))

    def _value(self, value: Any) -> Any:
        match value:
            case dict():
                return {
                    str(name): _HIDDEN if _SECRET.search(str(name)) and item is not None else self._value(item)
                    for name, item in value.items()
                }
            case list():
                return [self._value(item) for item in value]
            case str() if not self.show and value:
                return f"<text of {len(value)}>"
            case int() | float() if not self.show and not isinstance(value, bool):
                return f"<{'integer' if isinstance(value, int) else 'decimal'}>"
        return value

    def form(self, text: str) -> str:
        """A form, or a URL's query."""
        return self.clean("&".join(self._pair(pair) for pair in text.split("&")))

    def _pair(self, pair: str) -> str:
        name, equals, value = pair.partition("=")
        if equals and value:
            value = _HIDDEN if _SECRET.search(name) else value if self.show else "<text>"
        return name + equals + value

    def xml(self, text: str) -> str:
        """A document: its elements and attributes, their values as all others."""
        lines: list[str] = []
        within: list[str] = []
        for found in _XML.finditer(text):
            if found["nothing"] is not None:
                if found["nothing"].startswith("<?xml"):
                    lines.append(found["nothing"])
            elif found["end"]:
                lines.append(found[0])
                within = within[:-1]
            elif found["name"]:
                pairs = ((one[1], one[2] if one[2] is not None else one[3]) for one in
                         _ATTRIBUTE.finditer(found["attributes"]))  # fmt: skip
                told = "".join(f' {name}="{self._text(value, [*within, name])}"' for name, value in pairs)
                lines.append(f"<{found['name']}{told}{found['empty']}>")
                if not found["empty"]:
                    within.append(found["name"])
            else:
                content = found["cdata"] if found["cdata"] is not None else found["text"] or found["other"]
                lines.append(self._text(content, within) if content.strip() else content)
        return self.clean("".join(lines))

    def _text(self, text: str, within: list[str]) -> str:
        if within and within[-1].startswith("xmlns"):
            return text
        if any(_SECRET.search(name) for name in within):
            return _HIDDEN
        return text if self.show or not text else f"<text of {len(text.strip())}>"

    def header(self, line: str) -> str:
        """A header line."""
        name, colon, value = line.partition(":")
        key = name.strip().lower()
        if key in self._secret_headers or _SECRET.search(key):
            return self.clean(f"{name}{colon} {_HIDDEN}")
        if self.show or key in _PLAIN:
            return self.clean(line)
        return self.clean(f"{name}{colon} {f'<text of {len(value.strip())}>' if value.strip() else ''}")

    def body(self, body: bytes) -> str:
        """A body: JSON and XML by their structure; anything else only when values are shown."""
        if not body:
            return "(no body)"
        if body.startswith(b"\x1f\x8b"):
            with contextlib.suppress(zlib.error):
                body = zlib.decompressobj(wbits=31).decompress(body, _UNPACKED)
        for charset in ("utf-8-sig", "gb18030"):
            with contextlib.suppress(ValueError, RecursionError):
                return self.json(json.loads(body.decode(charset)))
        if _DOCUMENT.match(body):
            for charset in ("utf-8-sig", "gb18030"):
                with contextlib.suppress(UnicodeDecodeError):
                    return self.xml(body.decode(charset))
        if not self.show:
            return f"({len(body)} bytes that are neither JSON nor XML; --show shows them)"
        try:
            return self.clean(body.decode("utf-8"))
        except UnicodeDecodeError:
            return self.clean(body.decode("gb18030", "replace"))
