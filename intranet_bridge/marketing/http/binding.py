"""A back end that speaks HTTP as the configuration describes it, and an operation bound to one of its interfaces."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from intranet_bridge.marketing.binding import Expression, OperationBinding, Seconds, SystemSection
from intranet_bridge.marketing.expressions.template import PathTemplate
from intranet_bridge.marketing.http.headers import distinct, settable
from protocol.runtime.settings import BaseUrl, FilePath, Section


def _path(text: str) -> str:
    PathTemplate(text)
    return text


Path = Annotated[str, AfterValidator(_path)]
"""A path with `{expression}` parts (see marketing/expressions/template.py)."""
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"), AfterValidator(settable)]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\t\x20-\x7e]*$")]
Headers = Annotated[dict[HeaderName, HeaderValue], AfterValidator(distinct)]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


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


class HttpSystem(SystemSection):
    """A back end that speaks HTTP."""

    url: BaseUrl
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


class HttpBinding(OperationBinding):
    """One operation at an HTTP interface."""

    method: Method = "POST"
    path: Path
    query: Expression | None = None
    """Gives the URL's query parameters: an object; nulls are left out."""
    request: Expression | None = None
    """Gives the body, from the request's fields and `request_id`."""
    encoding: Literal["json", "form"] = "json"
    charset: Literal["utf-8", "gbk", "gb18030"] = "utf-8"
    """Of request and answer; an answer's byte order mark and Content-Type come first (marketing/http/answer.py)."""
    answer_charset: Literal["utf-8", "gbk", "gb18030"] | None = None
    """Of the answer, whatever its Content-Type says (but not its byte order mark)."""
    omit_nulls: bool = True
    """Leave null fields out of the body's top level."""
    inquire: InquireSection | None = None
    headers: Headers = Field(default_factory=dict)

    @property
    def inquires(self) -> bool:
        """Whether it says how to ask what became of a request id."""
        return self.inquire is not None

    def expressions(self) -> list[str]:
        """Every expression of the binding."""
        parts = [self.query, self.request]
        if self.inquire:
            parts += [self.inquire.query, self.inquire.request, self.inquire.found]
            parts += [self.inquire.not_found, self.inquire.response]
        return super().expressions() + [part for part in parts if part is not None]
