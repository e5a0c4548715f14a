"""From an answer's bytes to the value that expressions read: content codings undone, text decoded, JSON or XML parsed.

One bad character must not hide the code that decides what became of a command, so text decodes with replacement
where it is not what it should be; where there is no value at all, `AnswerError` says why without a byte of it.

Which charset (first that applies; labels as the WHATWG Encoding Standard has them, so "gbk", "gb2312" and "cp936"
are all GB18030, with 0x80 for €):

1. a byte order mark (https://encoding.spec.whatwg.org/#decode);
2. the binding's ``answer_charset``;
3. the charset of `Content-Type`, but for ISO-8859-1 and US-ASCII: application servers write those by themselves;
4. the encoding that an XML declaration names (RFC 7303 §3: `Content-Type` comes first);
5. the binding's ``charset``.

If the bytes are not valid in the first of 3 to 5, but are in a later one or in UTF-8, that one is taken; else what is
invalid is U+FFFD.
"""

import codecs
import json
import math
import re
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from pydantic_core import from_json

from intranet_bridge.marketing.http.binding import Formats
from intranet_bridge.marketing.http.connection import Response
from intranet_bridge.marketing.http.xml_object import XmlError, declared_charset, object_of

_LABELS = {
    "utf-8": ("utf-8", "utf8", "unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "x-unicode20utf8"),
    "gb18030": (
        "gbk", "gb18030", "gb2312", "gb_2312", "gb_2312-80", "chinese", "csgb2312", "csiso58gb231280", "iso-ir-58",
        "x-gbk", "cp936", "ms936", "windows-936", "euc-cn",
    ),
    "big5": ("big5", "big5-hkscs", "cn-big5", "csbig5", "x-x-big5"),
    "utf-16-le": ("utf-16", "utf-16le", "ucs-2", "iso-10646-ucs-2", "csunicode", "unicode", "unicodefeff"),
    "utf-16-be": ("utf-16be", "unicodefffe"),
}  # fmt: skip
_CODECS = {label: codec for codec, labels in _LABELS.items() for label in labels}
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF16_LE, "utf-16-le"))
_CHARSET = re.compile(r""";\s*charset\s*=\s*["']?\s*([^\s;"']+)""", re.IGNORECASE)
_AROUND = " \t\r\n\0\N{ZERO WIDTH NO-BREAK SPACE}"
_SURROGATE = re.compile("[\ud800-\udfff]")
_PASSWORD = re.compile(r"""<input\b[^>]{0,300}\btype\s*=\s*["']?password\b""", re.IGNORECASE)
_GZIP = b"\x1f\x8b"
_CODINGS_LIMIT = 3


class AnswerError(Exception):
    """There is no value in the answer. Says nothing of its content: it may be a customer's."""


class AnswerDecoder:
    """How the answers of one binding are read."""

    decode: Callable[[Response], Any]
    """The answer's value. Raises AnswerError."""

    def __init__(
        self, charset: str, answer_charset: str | None = None, limit: int = 1024 * 1024, *, xml: bool = False
    ) -> None:
        """`limit` bounds what an answer unpacks to, in bytes."""
        self._charset = _CODECS[charset]
        self._fixed = _CODECS[answer_charset] if answer_charset else None
        self._limit = limit
        self.decode = self._xml if xml else self._json

    def _xml(self, response: Response) -> Any:
        body = unpacked(response.body, response.codings, self._limit) if response.codings else response.body
        if response.flaw:
            raise AnswerError(f"the answer is not whole: {response.flaw}")
        if body.startswith(_GZIP):
            body = unpacked(body, b"gzip", self._limit)  # unasked and unsaid
        if self._fixed:
            candidates: tuple[str, ...] = (self._fixed,)
        else:
            named = declared_charset(body[:400].decode("latin-1"))
            said = (declared(response.content_type), _CODECS.get(named) if named else None)
            candidates = (*(codec for codec in said if codec), self._charset, "utf-8")
        try:
            return object_of(text_of(body, candidates))
        except XmlError as error:
            more = "; more bytes follow than its Content-Length says" if response.excess else ""
            page = " (an HTML log-in page)" if _PASSWORD.search(text_of(body, candidates)) else ""
            raise AnswerError(f"{error}{page}{more}") from None

    def _json(self, response: Response) -> Any:
        body = response.body
        if response.codings:
            body = unpacked(body, response.codings, self._limit)
        codec = self._fixed or declared(response.content_type) or self._charset
        if codec == "utf-8" or body.isascii():
            try:
                return from_json(body, allow_inf_nan=False)
            except ValueError:
                pass  # slowly, then, and forgiving
        if response.flaw:
            raise AnswerError(f"the answer is not whole: {response.flaw}")
        if body.startswith(_GZIP):
            body = unpacked(body, b"gzip", self._limit)  # unasked and unsaid
        candidates = (codec,) if self._fixed else (codec, self._charset, "utf-8")
        try:
            text = text_of(body, candidates)
            try:
                return from_json(text, allow_inf_nan=False)
            except ValueError:
                return parsed(text)
        except AnswerError as error:
            if response.excess:
                raise AnswerError(f"{error}; more bytes follow than its Content-Length says") from None
            raise


def decoder(written: Formats, limit: int) -> AnswerDecoder:
    """What reads answers that are written so."""
    return AnswerDecoder(written.charset, written.answer_charset, limit, xml=written.answer == "xml")


@lru_cache(maxsize=64)
def declared(content_type: bytes) -> str | None:
    """The codec for the charset of a Content-Type; None if it names none that says anything."""
    found = _CHARSET.search(content_type.decode("latin-1"))
    return _CODECS.get(found[1].lower()) if found else None


def unpacked(body: bytes, codings: bytes, limit: int) -> bytes:
    """A body without its content codings (RFC 9110 §8.4). Raises AnswerError: unknown, broken, or over `limit`."""
    names = [name.strip().lower() for name in codings.decode("latin-1").split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if len(names) > _CODINGS_LIMIT:
        raise AnswerError("the answer has too many content codings")
    for name in reversed(names):
        if name in ("gzip", "x-gzip"):
            body = _inflated(body, zlib.MAX_WBITS | 16, limit) if body.startswith(_GZIP) else body
        elif name == "deflate":
            # RFC 9110 §8.4.1.2: zlib's format; some send raw deflate
            wrapped = len(body) > 1 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
            body = _inflated(body, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS, limit) if body else body
        else:
            shown = repr(name) if re.fullmatch("[a-z0-9-]{1,20}", name) else "unknown to us"
            raise AnswerError(f"the answer has a content coding that was not asked for: {shown}")
    return body


def _inflated(body: bytes, window: int, limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit
    while True:
        unpacker = zlib.decompressobj(window)
        try:
            parts.append(unpacker.decompress(body, left + 1))
        except zlib.error:
            raise AnswerError("the answer cannot be unpacked: it is not what its Content-Encoding says") from None
        left -= len(parts[-1])
        if left < 0:
            raise AnswerError("the answer is longer than answer_limit when unpacked")
        if not unpacker.eof:
            raise AnswerError("the answer cannot be unpacked: it ends in the middle")
        body = unpacker.unused_data
        if not body.startswith(_GZIP):  # not a further member (RFC 1952 §2.2): padding
            return b"".join(parts)


def text_of(body: bytes, candidates: tuple[str, ...]) -> str:
    """The text: by its byte order mark, or in the first codec that it is valid in, or the first with replacement."""
    for mark, codec in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(codec, "replace")
    for codec in candidates:
        try:
            return body.decode(codec, "whatwg-strict" if codec == "gb18030" else "strict")
        except UnicodeDecodeError:
            continue
    return body.decode(candidates[0], "whatwg-replace" if candidates[0] == "gb18030" else "replace")


def parsed(text: str) -> Any:
    """The JSON value of a text that may hold raw control characters, NaN or half a surrogate pair.

    NaN and infinities become null, as JavaScript writes them; lone surrogates U+FFFD. Raises AnswerError.
    """
    text = text.strip(_AROUND)
    if not text:
        raise AnswerError("the answer is empty")
    if text[0] == "<":
        raise AnswerError(f"the answer is not JSON: it begins with '<' ({_page(text)})")
    try:
        value = json.loads(text, strict=False, parse_float=_finite, parse_constant=_null)
    except json.JSONDecodeError as error:
        if error.pos >= len(text) or error.msg.startswith("Unterminated"):
            raise AnswerError("the answer is not JSON: it ends in the middle") from None
        where = f"at line {error.lineno}, column {error.colno}"
        raise AnswerError(f"the answer is not JSON: {error.msg[:1].lower()}{error.msg[1:]} {where}") from None
    except RecursionError:
        raise AnswerError("the answer is nested too deeply") from None
    except ValueError:
        raise AnswerError("the answer holds a number that is too long") from None
    try:
        return _without_surrogates(value)
    except RecursionError:
        raise AnswerError("the answer is nested too deeply") from None


def _page(text: str) -> str:
    """What a page is that came in place of an answer. Only for the reason: nothing is decided by it."""
    if text.startswith("<?xml"):
        return "XML?"
    return "an HTML log-in page" if _PASSWORD.search(text) else "HTML?"


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _null(_name: str) -> None:
    return None


def _without_surrogates(value: Any) -> Any:
    match value:
        case str():
            return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
        case list():
            return [_without_surrogates(item) for item in value]
        case dict():
            return {_without_surrogates(name): _without_surrogates(item) for name, item in value.items()}
    return value


def _euro_or_raise(error: UnicodeError) -> tuple[str, int]:
    if isinstance(error, UnicodeDecodeError) and error.object[error.start] == 0x80:
        return "€", error.start + 1
    raise error


def _euro_or_replacement(error: UnicodeError) -> tuple[str, int]:
    # the lead byte alone: what follows it may be the quote that ends the string
    assert isinstance(error, UnicodeDecodeError)
    return "€" if error.object[error.start] == 0x80 else "\N{REPLACEMENT CHARACTER}", error.start + 1


codecs.register_error("whatwg-strict", _euro_or_raise)
codecs.register_error("whatwg-replace", _euro_or_replacement)
