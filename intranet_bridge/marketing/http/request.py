"""Requests of one interface, rendered: what is the same for all of them is made once, at start-up.

Values in forms, queries and paths are written as JSON writes them (`true`, `7`, `1e22`; texts without quotes); null
leaves a parameter out; an object or a list is a MappingError that names the field. A character that the interface's
charset lacks is written `\\uXXXX` in JSON, and is a MappingError that names the field in a form or query: never
replaced by another; in XML it is a numeric reference (xml_object.py has the rule). Paths are always UTF-8.
"""

import codecs
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote_plus, urlsplit

from pydantic_core import to_json

from intranet_bridge.marketing import MarketingRequest
from intranet_bridge.marketing.expressions.mapping import MappingError, Tables, optional
from intranet_bridge.marketing.expressions.template import PathTemplate, plain
from intranet_bridge.marketing.http.binding import Formats, TokenPlace
from intranet_bridge.marketing.http.headers import merged
from intranet_bridge.marketing.http.signature import Signer
from intranet_bridge.marketing.http.xml_object import document_of

_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded", "xml": "text/xml"}
_ACCEPTED = {"json": "application/json", "xml": "text/xml, application/xml"}


class Asking(Protocol):
    """What a request is made of: a binding, its inquiry, a log-in."""

    @property
    def method(self) -> str:
        """GET, POST ..."""

    @property
    def path(self) -> str:
        """With `{expression}` parts."""

    @property
    def query(self) -> str | None:
        """Expression of the URL's parameters."""

    @property
    def request(self) -> str | None:
        """Expression of the body."""


class RequestTemplate:
    """Renders requests: everything that is the same for all is made once."""

    def __init__(
        self,
        url: str,
        asking: Asking,
        formats: Formats,
        headers: Mapping[str, str],
        tables: Tables,
        *,
        place: TokenPlace | None = None,
        signer: Signer | None = None,
    ) -> None:
        """`place`: of the session's token. `signer`: of the whole request."""
        parts = urlsplit(url)
        self._path = PathTemplate(asking.path, tables)
        self._prefix = parts.path.rstrip("/")
        self._query = optional(asking.query, tables)
        self._body = optional(asking.request, tables)
        self._form, self._charset, self._omit_nulls = formats.encoding == "form", formats.charset, formats.omit_nulls
        self._root = formats.root if formats.encoding == "xml" else None
        # identity: an old system's own compression has nothing to gain on a local network, and one thing to lose
        fixed = {"Host": parts.netloc, "Accept": _ACCEPTED[formats.answer], "Accept-Encoding": "identity"}
        if self._body is not None:
            fixed["Content-Type"] = f"{_TYPES[formats.encoding]}; charset={formats.charset}"
        lines = "".join(f"{name}: {value}\r\n" for name, value in merged(fixed, headers).items())
        self._start = f"{asking.method} ".encode()
        self._place, self._signer = place, signer
        self._headers = f" HTTP/1.1\r\n{lines}X-Request-Id: ".encode()
        self._constant = (self._prefix + self._path.fill({})).encode() if self._path.constant else None

    def render(self, asked: MarketingRequest, values: dict[str, Any], token: str = "") -> bytes:
        """The whole request. `token`: the session's. Raises MappingError."""
        target = self._constant or (self._prefix + self._path.fill(values)).encode()
        if self._query is not None:
            target += b"?" + self._encoded_form(self._query(values))
        # request id and trace have been checked at the intake to hold nothing that could end a header line
        tail = asked.request_id.encode()
        if asked.traceparent:
            tail += b"\r\ntraceparent: " + asked.traceparent.encode()
        if self._place is not None:
            target, tail = with_token(self._place, target, tail, token)
        if self._body is None:
            if self._signer is not None:
                tail += self._signer.lines(self._start[:-1], target, b"", asked.request_id.encode())
            return b"%b%b%b%b\r\nContent-Length: 0\r\n\r\n" % (self._start, target, self._headers, tail)
        body = self._encoded(self._body(values))
        if self._signer is not None:
            tail += self._signer.lines(self._start[:-1], target, body, asked.request_id.encode())
        return b"%b%b%b%b\r\nContent-Length: %d\r\n\r\n%b" % (
            self._start, target, self._headers, tail, len(body), body,
        )  # fmt: skip

    def _encoded(self, value: Any) -> bytes:
        if self._root is not None:
            return document_of(value, self._root, self._charset, omit_nulls=self._omit_nulls)
        if self._omit_nulls and type(value) is dict:
            value = {name: item for name, item in value.items() if item is not None}
        if self._form:
            return self._encoded_form(value)
        try:
            encoded = to_json(value)
        except ValueError:  # half a surrogate pair
            raise MappingError("the body holds what is no text") from None
        return encoded if self._charset == "utf-8" else encoded.decode().encode(self._charset, "json-escape")

    def _encoded_form(self, value: Any) -> bytes:
        if type(value) is not dict:
            raise MappingError("form and query parameters need an object")
        pairs = [f"{self._quoted(name, name)}={self._quoted(name, item)}" for name, item in value.items()
                 if item is not None]  # fmt: skip
        return "&".join(pairs).encode()

    def _quoted(self, name: str, value: Any) -> str:
        try:
            return quote_plus(plain(value, name), encoding=self._charset, errors="strict")
        except UnicodeEncodeError:
            raise MappingError(f"{name}: a character that {self._charset} does not have") from None


def with_token(place: TokenPlace, target: bytes, tail: bytes, token: str) -> tuple[bytes, bytes]:
    if place.query is not None:
        return target + f"{'&' if b'?' in target else '?'}{place.query}={quote_plus(token)}".encode(), tail
    if place.cookie is not None:
        return target, tail + f"\r\nCookie: {place.cookie}={token}".encode()
    if place.header is not None:
        return target, tail + f"\r\n{place.header}: {place.prefix}{token}".encode()
    return target, tail


def _json_escape(error: UnicodeError) -> tuple[str, int]:
    # outside its texts JSON is ASCII, so this is inside one
    assert isinstance(error, UnicodeEncodeError)
    units = error.object[error.start : error.end].encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)), error.end


codecs.register_error("json-escape", _json_escape)
