"""Requests of one interface, rendered: what is the same for all of them is made once, at start-up.

Values in forms, queries and paths are written as JSON writes them (`true`, `7`, `1e22`; texts without quotes); null
leaves a parameter out; an object or a list is a MappingError that names the field. A character that the interface's
charset lacks is written `\\uXXXX` in JSON, and is a MappingError that names the field in a form or query: never
replaced by another. Paths are always UTF-8.
"""

import codecs
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus, urlsplit

from pydantic_core import to_json

from intranet_bridge.marketing import MarketingRequest
from intranet_bridge.marketing.expressions.mapping import MappingError, Tables, optional
from intranet_bridge.marketing.expressions.template import PathTemplate, plain
from intranet_bridge.marketing.http.binding import HttpBinding
from intranet_bridge.marketing.http.headers import merged


class RequestTemplate:
    """Renders requests: everything that is the same for all is made once."""

    def __init__(
        self, url: str, binding: HttpBinding, expression: str | None, headers: Mapping[str, str], tables: Tables
    ) -> None:
        parts = urlsplit(url)
        self._path = PathTemplate(binding.path, tables)
        self._prefix = parts.path.rstrip("/")
        self._query = optional(binding.query, tables)
        self._body = optional(expression, tables)
        self._form, self._charset, self._omit_nulls = binding.encoding == "form", binding.charset, binding.omit_nulls
        kind = "application/x-www-form-urlencoded" if self._form else "application/json"
        # identity: an old system's own compression has nothing to gain on a local network, and one thing to lose
        fixed = {"Host": parts.netloc, "Accept": "application/json", "Accept-Encoding": "identity"}
        if self._body is not None:
            fixed["Content-Type"] = f"{kind}; charset={binding.charset}"
        lines = "".join(f"{name}: {value}\r\n" for name, value in merged(fixed, headers).items())
        self._start = f"{binding.method} ".encode()
        self._headers = f" HTTP/1.1\r\n{lines}X-Request-Id: ".encode()
        self._constant = (self._prefix + self._path.fill({})).encode() if self._path.constant else None

    def render(self, asked: MarketingRequest, values: dict[str, Any]) -> bytes:
        """The whole request. Raises MappingError."""
        target = self._constant or (self._prefix + self._path.fill(values)).encode()
        if self._query is not None:
            target += b"?" + self._encoded_form(self._query(values))
        # request id and trace have been checked at the intake to hold nothing that could end a header line
        tail = asked.request_id.encode()
        if asked.traceparent:
            tail += b"\r\ntraceparent: " + asked.traceparent.encode()
        if self._body is None:
            return b"%b%b%b%b\r\nContent-Length: 0\r\n\r\n" % (self._start, target, self._headers, tail)
        body = self._encoded(self._body(values))
        return b"%b%b%b%b\r\nContent-Length: %d\r\n\r\n%b" % (
            self._start, target, self._headers, tail, len(body), body,
        )  # fmt: skip

    def _encoded(self, value: Any) -> bytes:
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


def _json_escape(error: UnicodeError) -> tuple[str, int]:
    # outside its texts JSON is ASCII, so this is inside one
    assert isinstance(error, UnicodeEncodeError)
    units = error.object[error.start : error.end].encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)), error.end


codecs.register_error("json-escape", _json_escape)
