"""HTTP: one operation bound, by configuration, to an interface of the marketing system.

::

    body ─► request expression ─► POST ─► status ─► not_applied? ─► failure? ─► refusal? ─► response expression
                                                                                         ─► catalogue schema

What an answer means (`reached` and the rest: adapters/__init__.py):

===============================  =====================================================================
no connection                    NotApplied, not reached
written, no whole answer         Unknown
5xx, 408                         Unknown: a gateway says 502 or 504 after the system behind it has acted
429                              NotApplied, reached
401, 403, 407, 3xx               NotApplied, not reached: our credentials or address are wrong, not the request
other 4xx                        Refused if the refusal expression says so, else Rejected
2xx                              by the binding's expressions; an answer that cannot be read is Unknown
===============================  =====================================================================
"""

import ssl
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from intranet_bridge.adapters import Absent, Answered, Asked, Finding, NotApplied, Outcome, Refused, Rejected, Unknown
from intranet_bridge.adapters.http_client import HttpClient, Lost, NotSent, Response
from intranet_bridge.adapters.mapping import Mapped, MappingError, Tables, compiled, truth
from intranet_bridge.adapters.template import PathTemplate
from intranet_bridge.settings import Binding, MarketingSection, RefusalSection
from protocol.errors import ConfigurationError
from protocol.operations.operation import Kind, Operation

_DENIED = frozenset({401, 403, 407})


class HttpAdapter:
    """One operation. Compiled once; a call is: map, write, read, map, validate."""

    def __init__(
        self, operation: Operation, binding: Binding, marketing: MarketingSection, client: HttpClient, secret: str = ""
    ) -> None:
        tables = binding.values
        headers = dict(marketing.headers) | dict(binding.headers)
        if marketing.authentication:
            headers[marketing.authentication.header] = marketing.authentication.prefix + secret
        self._operation = operation
        self._client = client
        self.timeout_s = binding.timeout_s or marketing.timeout_s
        self.settle_s = self.timeout_s if binding.settle_s is None else binding.settle_s
        self._charset = binding.charset
        self._refusal = _Refusal(binding.refusal, tables) if binding.refusal else None
        self._failure = _optional(binding.failure, tables)
        self._not_applied = _optional(binding.not_applied, tables)
        self._response = compiled(binding.response, tables)
        self._request = _Request(marketing.url, binding, binding.request, headers, tables)
        inquire = binding.inquire
        self._inquiry: _Request | None = None
        if inquire:
            inquiry = binding.model_copy(
                update={"method": inquire.method, "path": inquire.path, "query": inquire.query}
            )
            self._inquiry = _Request(marketing.url, inquiry, inquire.request, headers, tables)
            self._found, self._absent = compiled(inquire.found, tables), compiled(inquire.not_found, tables)
            self._found_response = compiled(inquire.response or binding.response, tables)
            self.inquiry_timeout_s = inquire.timeout_s or self.timeout_s

    async def call(self, asked: Asked, timeout_s: float) -> Outcome:
        """Do it. See the table above."""
        try:
            request = self._request.render(asked, self._values(asked))
        except MappingError as error:
            return Rejected(f"request not mapped: {error}")
        try:
            try:
                response = await self._client.exchange(request, timeout_s, may_send=asked.may_send)
            except Lost as lost:
                if not lost.stale or self._operation.kind is Kind.COMMAND:
                    raise
                response = await self._client.exchange(request, timeout_s, fresh=True)
        except NotSent as error:
            return NotApplied(str(error), reached=False)
        except Lost as lost:
            return Unknown(lost.reason, timed_out=lost.timed_out)
        return self._outcome(response)

    async def inquire(self, asked: Asked, timeout_s: float) -> Finding:
        """What became of this request id."""
        if self._inquiry is None:
            return Unknown("no inquiry is configured")
        try:
            request = self._inquiry.render(asked, self._values(asked))
            response = await self._client.exchange(request, min(timeout_s, self.inquiry_timeout_s))
            if response.status >= 500:
                return Unknown(f"HTTP {response.status}")
            answer = self._decoded(response)
            if truth(self._absent(answer)):
                return Absent()
            if not truth(self._found(answer)):
                return Unknown(f"undecided inquiry, HTTP {response.status}")
            return self._answered(self._found_response, answer)
        except (MappingError, ValueError, NotSent) as error:
            return Unknown(f"inquiry: {_safe(error)}")
        except Lost as lost:
            return Unknown(f"inquiry: {lost.reason}")

    def _values(self, asked: Asked) -> dict[str, Any]:
        values: dict[str, Any] = self._operation.requests.dump_python(asked.body, mode="json")
        values["request_id"] = asked.request_id
        return values

    def _outcome(self, response: Response) -> Outcome:
        status = response.status
        if status >= 500 or status == 408:
            return Unknown(f"HTTP {status}")
        if status in _DENIED or 300 <= status < 400:
            return NotApplied(f"HTTP {status}", reached=False)
        if status == 429:
            return NotApplied("HTTP 429", reached=True)
        try:
            answer = self._decoded(response)
            if self._not_applied is not None and truth(self._not_applied(answer)):
                return NotApplied("declined for the moment", reached=True)
            if self._failure is not None and truth(self._failure(answer)):
                return Unknown("failure answer")
            if self._refusal is not None and truth(self._refusal.when(answer)):
                return self._refusal.read(answer)
            if status >= 400:
                return Rejected(f"HTTP {status}")
            return self._answered(self._response, answer)
        except (MappingError, ValueError) as error:
            return Rejected(f"HTTP {status}") if status >= 400 else Unknown(f"answer: {_safe(error)}")

    def _decoded(self, response: Response) -> Any:
        body = response.body
        return from_json(body if self._charset == "utf-8" else body.decode(self._charset), allow_inf_nan=False)

    def _answered(self, mapping: Mapped, answer: Any) -> Answered:
        # By way of JSON because the schemas are strict: what JSON cannot say (a tuple) a dict cannot either
        adapter = self._operation.responses
        return Answered(adapter.dump_json(adapter.validate_json(to_json(mapping(answer)))))


class _Request:
    """Renders requests: everything that is the same for all is made once."""

    def __init__(
        self, url: str, binding: Binding, expression: str | None, headers: Mapping[str, str], tables: Tables
    ) -> None:
        parts = urlsplit(url)
        self._path = PathTemplate(binding.path, tables)
        self._prefix = parts.path.rstrip("/")
        self._query = _optional(binding.query, tables)
        self._body = _optional(expression, tables)
        self._form, self._charset, self._omit_nulls = binding.encoding == "form", binding.charset, binding.omit_nulls
        kind = "application/x-www-form-urlencoded" if self._form else "application/json"
        fixed = {"Host": parts.netloc, "Accept": "application/json"}
        if self._body is not None:
            fixed["Content-Type"] = f"{kind}; charset={binding.charset}"
        fixed |= headers
        lines = "".join(f"{name}: {value}\r\n" for name, value in fixed.items())
        self._start = f"{binding.method} ".encode()
        self._headers = f" HTTP/1.1\r\n{lines}X-Request-Id: ".encode()
        self._constant = (self._prefix + self._path.fill({})).encode() if self._path.constant else None

    def render(self, asked: Asked, values: dict[str, Any]) -> bytes:
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
        encoded = to_json(value)
        return encoded if self._charset == "utf-8" else encoded.decode().encode(self._charset, "replace")

    def _encoded_form(self, value: Any) -> bytes:
        if type(value) is not dict:
            raise MappingError("form and query parameters need an object")
        pairs = [(name, item) for name, item in value.items() if item is not None]
        return urlencode(pairs, doseq=True, encoding=self._charset).encode()


class _Refusal:
    """Reads the marketing system's no."""

    def __init__(self, section: RefusalSection, tables: Tables) -> None:
        self.when: Callable[[Any], Any] = compiled(section.when, tables)
        self._code, self._codes = compiled(section.code, tables), section.codes
        self._detail = _optional(section.detail, tables)

    def read(self, answer: Any) -> Refused:
        theirs = self._code(answer)
        code = self._codes.get(str(theirs))
        if code is None:
            plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in str(theirs)[:32]).strip("-").lower()
            code = f"marketing-{plain or 'refused'}"
        detail = self._detail(answer) if self._detail is not None else None
        return Refused(code, str(detail)[:300] if detail is not None else "")


def _optional(expression: str | None, tables: Tables) -> Mapped | None:
    return None if expression is None else compiled(expression, tables)


def _safe(error: Exception) -> str:
    """What may be logged of an error: where the answer is wrong, never its text."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['type']}"
    return str(error) if isinstance(error, MappingError | NotSent) else type(error).__name__


def client_of(marketing: MarketingSection) -> HttpClient:
    """The client for the marketing system. Raises ConfigurationError for TLS files that cannot be used."""
    parts = urlsplit(marketing.url)
    context: ssl.SSLContext | None = None
    if parts.scheme == "https":
        try:
            context = ssl.create_default_context(cafile=marketing.tls.ca)
            if marketing.tls.certificate:
                context.load_cert_chain(marketing.tls.certificate, marketing.tls.key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"[marketing.tls] cannot be used: {error}") from error
    assert parts.hostname is not None, "checked by the settings"
    return HttpClient(
        parts.hostname,
        parts.port or (443 if context else 80),
        tls=context,
        connections=marketing.connections,
        connect_timeout_s=marketing.connect_timeout_s,
        idle_s=marketing.idle_s,
        answer_limit=marketing.answer_limit,
    )


def secret_of(marketing: MarketingSection) -> str:
    """The authentication secret. Raises ConfigurationError naming its file, never its content."""
    if marketing.authentication is None:
        return ""
    file = marketing.authentication.token_file
    try:
        secret = file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", file=str(file)) from error
    except UnicodeDecodeError:
        raise ConfigurationError("holds no token: it is not ASCII", file=str(file)) from None
    if not secret or not secret.isprintable():
        raise ConfigurationError("holds no token", file=str(file))
    return secret
