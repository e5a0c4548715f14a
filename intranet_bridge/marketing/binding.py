"""The marketing system as the configuration describes it: itself, its interfaces, and when to leave one alone."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from intranet_bridge.marketing.headers import distinct, settable
from intranet_bridge.marketing.mapping import compiled
from intranet_bridge.marketing.template import PathTemplate
from protocol.runtime.settings import (
    BaseUrl,
    FilePath,
    Section,
)


def _expression(text: str) -> str:
    compiled(text)
    return text


def _path(text: str) -> str:
    PathTemplate(text)
    return text


Expression = Annotated[str, AfterValidator(_expression)]
"""A JMESPath expression (see marketing/mapping.py)."""
Path = Annotated[str, AfterValidator(_path)]
"""A path with `{expression}` parts (see marketing/template.py)."""
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"), AfterValidator(settable)]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\t\x20-\x7e]*$")]
Headers = Annotated[dict[HeaderName, HeaderValue], AfterValidator(distinct)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class BreakerSection(Section):
    """When an operation is left alone because its interface fails."""

    failures: Annotated[int, Field(ge=1)] = 5
    """So many in a row open it."""
    window: Annotated[int, Field(ge=1, le=1000)] = 50
    failure_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Or this share of the last `window` calls."""
    slow_s: Seconds | None = None
    """A call that takes longer counts as failed; default: none does before its timeout."""
    open_min_s: Seconds = 1.0
    open_max_s: Seconds = 30.0
    """It stays open so long before it lets one call probe; twice as long after each failed probe."""


class AuthenticationSection(Section):
    """A secret header. The secret is in a file of its own, never here."""

    header: HeaderName = "Authorization"
    prefix: HeaderValue = ""
    """For example `Bearer `."""
    token_file: FilePath


class TlsSection(Section):
    """For https: whom to trust and, if the marketing system asks for it, which certificate to show."""

    ca: FilePath | None = None
    """Default: the system's authorities."""
    certificate: FilePath | None = None
    key: FilePath | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        return self


class MarketingSection(Section):
    """The marketing system: what all its interfaces share."""

    url: BaseUrl
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 5.0
    connect_timeout_s: Annotated[float, Field(gt=0, le=60)] = 2.0
    connections: Annotated[int, Field(ge=1, le=1024)] = 64
    idle_s: Seconds = 4.0
    """A kept connection is not used again after so long: below the server's own keep-alive, or a request may
    run into its closing."""
    answer_limit: Annotated[int, Field(ge=1024, le=16 * 1024 * 1024)] = 1024 * 1024
    """Bytes; a longer answer is not read."""
    headers: Headers = Field(default_factory=dict)
    authentication: AuthenticationSection | None = None
    tls: TlsSection = TlsSection()


class RefusalSection(Section):
    """When an answer is the marketing system's business no."""

    when: Expression
    code: Expression
    detail: Expression | None = None
    codes: dict[str, Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]] = Field(
        default_factory=dict
    )
    """Its codes → ours; one that is not listed becomes `marketing-<code>`."""


class InquireSection(Section):
    """How to ask what became of a request id."""

    method: Method = "POST"
    path: Path
    query: Expression | None = None
    request: Expression | None = None
    found: Expression
    """True: it was applied, and `response` reads its answer from this one."""
    not_found: Expression
    """True: there is no such request, surely. Neither: the inquiry is repeated."""
    response: Expression | None = None
    """Default: the operation's own."""
    timeout_s: Annotated[float, Field(gt=0, le=300)] | None = None


class Binding(Section):
    """One operation at the marketing system's HTTP interface."""

    values: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Translation tables for `translate('table', value)`."""
    method: Method = "POST"
    path: Path
    query: Expression | None = None
    """Gives the URL's query parameters: an object; nulls are left out."""
    request: Expression | None = None
    """Gives the body, from the request's fields and `request_id`."""
    encoding: Literal["json", "form"] = "json"
    charset: Literal["utf-8", "gbk", "gb18030"] = "utf-8"
    """Of request and answer; an answer's byte order mark and Content-Type come first (marketing/answer.py)."""
    answer_charset: Literal["utf-8", "gbk", "gb18030"] | None = None
    """Of the answer, whatever its Content-Type says (but not its byte order mark)."""
    omit_nulls: bool = True
    """Leave null fields out of the body's top level."""
    response: Expression
    """Gives the catalogue's response from the answer."""
    request_id: Expression | None = None
    """Gives the request id that the answer names, where the interface repeats ours (an inquiry's answer too): an answer
    to another request is never believed. A refusal, or "not there", need not name it."""
    refusal: RefusalSection | None = None
    failure: Expression | None = None
    """True: a technical failure in a good-looking answer; what was done is unknown."""
    not_applied: Expression | None = None
    """True: surely not applied, try again later ("system busy")."""
    inquire: InquireSection | None = None
    timeout_s: Annotated[float, Field(gt=0, le=300)] | None = None
    settle_s: Annotated[float, Field(ge=0, le=3600)] | None = None
    """How long the marketing system may go on with a call whose connection is gone; default `timeout_s`."""
    headers: Headers = Field(default_factory=dict)

    def expressions(self) -> list[str]:
        """Every expression of the binding."""
        parts: list[str | None] = [self.query, self.request, self.response, self.failure, self.not_applied]
        parts.append(self.request_id)
        if self.refusal:
            parts += [self.refusal.when, self.refusal.code, self.refusal.detail]
        if self.inquire:
            parts += [self.inquire.query, self.inquire.request, self.inquire.found]
            parts += [self.inquire.not_found, self.inquire.response]
        return [part for part in parts if part is not None]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for expression in self.expressions():
            compiled(expression, self.values)
        return self
