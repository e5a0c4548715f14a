"""The last hand on all that goes into a support bundle: secrets, and what looks like a customer's number, are masked.

It errs on the safe side. What it lets pass on purpose: UUIDs (request ids), ids of keys (16 hex digits), dates.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

MASK = "[masked]"
SHORTEST_SECRET = 4
"""Characters. A shorter one would be found in every word."""

_NAMES = (
    r"(?:secret|password|passwd|pwd|passphrase|(?<![a-z])pass(?=\\?[\"']?\s*[:=])|token|api[_-]?key|app[_-]?key"
    r"|authorization|cookie|signature|密码|口令)"
)
SECRET_KEY = re.compile(_NAMES + r"|credential|private", re.I)
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.S)
_IN_URL = re.compile(r"(?P<before>[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@\"']*:)[^\s\"']+@")
_NAMED = re.compile(
    rf"(?P<before>{_NAMES}[\w-]*(?<!file)(?<!path)(?<!url)(?<!_s)(?<!_ms)\\?[\"']?\s*[:=]\s*)"
    r"(?!(?:true|false|null)\b)"
    r"(?P<value>\\\"(?:[^\"\\]|\\[^\"])*\\\"|\"(?:[^\"\\]|\\.)*\"|'[^']*'|(?:Bearer|Basic|Digest)\s+[^\s\"',;]+"
    r"|(?<==)[\[{][^\s,;&\"'\\]*|[^\s,;}\]&\"'\[{\\][^\s,;}\]&\"'\\]*)",
    re.I,
)
_SCHEME = re.compile(r"\b(?P<before>(?:Bearer|Basic|Digest)\s+)[A-Za-z0-9._~+/=-]{6,}", re.I)
_WORD = re.compile(r"[A-Za-z0-9_+=-]{20,}|[A-Za-z0-9_+/=-]{40,}")
_HEX = re.compile(r"[0-9A-Fa-f]{32,}")
_NUMBER = re.compile(
    r"(?P<uuid>(?<![0-9A-Za-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9A-Za-z]))"
    r"|(?P<key>(?<![0-9A-Za-z])[0-9a-f]{16}(?![0-9A-Za-z]))"
    r"|(?<!\d)\d{3,4}(?:[ -]\d{3,4}){2,}(?!\d)"  # 138-0013-8000, 6222 0000 1111 2222
    r"|\d{7,}[Xx]?"
)
_TOKEN = re.compile(r"[0-9A-Za-z-]{4,20}")
_TIMES_MS = range(1_450_000_000_000, 2_150_000_000_000)
_LONG = 1_000_000
"""Integers from it on are written with separators, so that they are not taken for numbers of customers."""


@dataclass(slots=True)
class Scrubber:
    """Masks texts and values. `masked` counts what it did."""

    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Known ones, masked wherever they stand."""
    accounts: tuple[re.Pattern[str], ...] = ()
    """Forms of account numbers."""
    masked: int = 0
    _known: re.Pattern[str] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Prepare the search for known secrets, in the ways they are written."""
        forms = {form for one in self.secrets if len(one) >= SHORTEST_SECRET for form in _forms(one)}
        if forms:
            self._known = re.compile("|".join(re.escape(one) for one in sorted(forms, key=len, reverse=True)))

    def text(self, text: str) -> str:
        """The text, masked."""
        if self._known is not None:
            text = self._replace(self._known, text)
        text = self._replace(_PEM, text)
        for pattern, after in ((_IN_URL, "@"), (_SCHEME, "")):
            text, count = pattern.subn(lambda found, after=after: f"{found['before']}{MASK}{after}", text)  # type: ignore[misc]
            self.masked += count
        text = _NAMED.sub(self._named, text)
        text = _WORD.sub(self._word, text)
        text = self._replace(_HEX, text)
        if self.accounts:
            text = _TOKEN.sub(self._account, text)
        return _NUMBER.sub(self._number, text)

    def value(self, value: Any, name: str = "") -> Any:
        """A value as JSON has it, masked: what is named like a secret whole, whatever it holds.

        Times in epoch milliseconds become ISO 8601, other long numbers get separators.
        """
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(one, str(key)) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(one, name) for one in value]
        if value is None or isinstance(value, bool):
            return value
        if name and SECRET_KEY.search(name) and not name.lower().endswith(("file", "path", "url", "_s", "_ms")):
            self.masked += 1
            return MASK
        if isinstance(value, int | float):
            return _readable(value, name)
        return self.text(str(value))

    def _replace(self, pattern: re.Pattern[str], text: str) -> str:
        text, count = pattern.subn(MASK, text)
        self.masked += count
        return text

    def _named(self, found: re.Match[str]) -> str:
        value = found["value"]
        mark = next((one for one in ('\\"', '"', "'") if value.startswith(one)), "")
        self.masked += 1
        return f"{found['before']}{mark}{MASK}{mark}"

    def _word(self, found: re.Match[str]) -> str:
        word = found[0]
        mixed = any(one.isupper() for one in word) and any(one.islower() for one in word)
        if not mixed or (len(word) < 40 and not any(one.isdigit() for one in word)):
            return word
        self.masked += 1
        return MASK

    def _account(self, found: re.Match[str]) -> str:
        word = found[0]
        if any(one.isdigit() for one in word) and any(form.fullmatch(word) for form in self.accounts):
            self.masked += 1
            return MASK
        return word

    def _number(self, found: re.Match[str]) -> str:
        word = found[0]
        if found["uuid"] or (found["key"] and sum(one.isalpha() for one in word) >= 2):
            return word
        self.masked += 1
        return MASK


def _forms(secret: str) -> Iterable[str]:
    """The ways a secret is written: as it is, in JSON, in a URL."""
    return secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], quote(secret, safe="")


def _readable(value: float, name: str) -> int | float | str:
    if isinstance(value, int):
        if value in _TIMES_MS and "bytes" not in name:
            return datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="milliseconds")
        return value if abs(value) < _LONG else f"{value:,}"
    short = float(f"{value:.6g}")
    return f"{value:.5e}" if re.search(r"\d{7}", repr(short)) else short


def metrics(text: str) -> str:
    """Metrics in Prometheus's text format, each value to six digits: a longer one would look like a number of a
    customer's.
    """
    return "".join(_measured(line) + "\n" for line in text.splitlines())


def _measured(line: str) -> str:
    series, blank, value = line.rpartition(" ")
    if line.startswith("#") or not blank:
        return line
    try:
        return f"{series} {float(value):.6g}"
    except ValueError:
        return line
