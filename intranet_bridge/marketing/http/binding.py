"""A back end that speaks HTTP as the configuration describes it, and an operation bound to one of its interfaces."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from intranet_bridge.marketing.binding import (
    Expression,
    OperationBinding,
    RefusalSection,
    Seconds,
    SystemSection,
    TlsSection,
)
from intranet_bridge.marketing.expressions.template import PathTemplate
from intranet_bridge.marketing.http.headers import HeaderName, Headers, HeaderValue
from intranet_bridge.marketing.http.signature import SignatureSection
from intranet_bridge.marketing.http.xml_object import is_name
from protocol.runtime.settings import BaseUrl, FilePath, Misplaced, Section, one_of, toml_path
from protocol.runtime.toml_lines import Place


def _path(text: str) -> str:
    PathTemplate(text)
    return text


Path = Annotated[str, AfterValidator(_path)]
"""A path with `{expression}` parts (see marketing/expressions/template.py)."""
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Lifetime = Annotated[float, Field(ge=1, le=365 * 86_400)]
_TOKEN = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"  # noqa: S105 - the token of RFC 9110
Charset = Literal["utf-8", "gbk", "gb18030"]


def _element(text: str) -> str:
    if not is_name(text):
        raise ValueError("is not the name of an element")
    return text


class FormatSection(Section):
    """How bodies and answers are written. What a binding leaves out is its system's, else the default."""

    encoding: Literal["json", "form", "xml"] | None = None
    """Of bodies; default: json."""
    root: Annotated[str, AfterValidator(_element)] | None = None
    """The root element of XML bodies; default: request."""
    answer: Literal["json", "xml"] | None = None
    """What answers are; default: xml where bodies are xml, else json."""
    charset: Charset | None = None
    """Of request and answer, default utf-8; what an answer says of itself comes first (marketing/http/answer.py)."""
    answer_charset: Charset | None = None
    """Of the answer, whatever it says (but not its byte order mark)."""
    omit_nulls: bool | None = None
    """Leave null fields out of the body's top level, of XML at every level. Default: yes."""


@dataclass(frozen=True, slots=True)
class Formats:
    """What a FormatSection comes to."""

    encoding: str = "json"
    root: str = "request"
    answer: str = "json"
    charset: str = "utf-8"
    answer_charset: str | None = None
    omit_nulls: bool = True


def formats(*sections: FormatSection) -> Formats:
    """What is said first counts: the binding before its system."""
    said: dict[str, Any] = {}
    for section in reversed(sections):
        given = {name: getattr(section, name) for name in FormatSection.model_fields}
        said |= {name: value for name, value in given.items() if value is not None}
    if said.get("encoding") == "xml":
        said.setdefault("answer", "xml")
    return Formats(**said)


class AuthenticationSection(Section):
    """A secret header. The secret is in a file of its own, never here."""

    header: HeaderName = "Authorization"
    """the header that carries it"""
    prefix: HeaderValue = ""
    """For example `Bearer `."""
    token_file: FilePath
    """holds the token"""


class TokenPlace(Section):
    """Where a session's token goes. Expressions of requests see it as `session` too, whatever stands here."""

    header: HeaderName | None = None
    """the header that carries it"""
    prefix: HeaderValue = ""
    """before the value in the header"""
    cookie: Annotated[str, StringConstraints(pattern=_TOKEN)] | None = None
    """the cookie that carries it"""
    query: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~-]+$")] | None = None
    """expression: the parameters after `?`"""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        there = [name for name in ("header", "cookie", "query") if getattr(self, name) is not None]
        if len(there) > 1:
            raise Misplaced(f"give one of header, cookie and query: {there[0]} is there", (there[1],))
        return self


class LoginSection(FormatSection):
    """How to log in for a session's token. The password is in a file of its own, never here."""

    method: Method = "POST"
    """of the HTTP request"""
    path: Path
    """begins with `/`; expressions in `{}`"""
    query: Expression | None = None
    """expression: the parameters after `?`"""
    request: Expression | None = None
    """Gives the body, from `user`, `password` and `request_id`."""
    user: str = ""
    """who logs in"""
    password_file: FilePath
    """holds the password"""
    token: Expression | None = None
    """Gives the token from the answer."""
    token_cookie: Annotated[str, StringConstraints(pattern=_TOKEN)] | None = None
    """Or the name of the Set-Cookie that holds it."""
    code: Expression | None = None
    """Gives the code of an answer without a token, for the log."""
    place: TokenPlace = TokenPlace()
    lifetime_s: Lifetime | None = None
    """How long a token lives; default: until an answer says that it is expired."""
    expires_in: Expression | None = None
    """Gives that from the answer, in seconds."""
    expired_status: frozenset[Annotated[int, Field(ge=300, le=599)]] = frozenset({401})
    """Answers of these say that the token is expired, and surely nothing was applied."""
    expired: Expression | None = None
    """Or this, true of an answer."""
    timeout_s: Annotated[float, Field(gt=0, le=300)] | None = None
    """of one call, connecting included; default: the system's"""

    def expressions(self) -> Iterator[tuple[str, str]]:
        """The name and text of each that reads an answer."""
        for name in ("token", "code", "expires_in", "expired"):
            if (text := getattr(self, name)) is not None:
                yield name, text

    @model_validator(mode="after")
    def _whole(self) -> Self:
        one_of(self, "token", "token_cookie")
        return self


class OAuthSection(Section):
    """An access token by OAuth 2.0's client credentials (RFC 6749 §4.4). The secret is in a file of its own."""

    token_url: BaseUrl
    """where tokens are given"""
    client_id: Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]+$")]
    """as it is registered there (RFC 6749)"""
    client_secret_file: FilePath
    """holds its secret"""
    scope: (
        Annotated[str, StringConstraints(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$")] | None
    ) = None
    """asked for with the token"""
    client_authentication: Literal["basic", "post"] = "basic"
    """How the client says who it is: in the header, or in the body."""
    parameters: dict[str, str] = Field(default_factory=dict)
    """Further ones of the token request, for example `resource`."""
    timeout_s: Annotated[float, Field(gt=0, le=300)] | None = None
    """of one call, connecting included; default: the system's"""
    place: TokenPlace = TokenPlace(header="Authorization", prefix="Bearer ")
    expired_status: frozenset[Annotated[int, Field(ge=300, le=599)]] = frozenset({401})
    """such an answer says that the session has expired"""


class HttpSystem(FormatSection, SystemSection):
    """A back end that speaks HTTP."""

    url: BaseUrl
    """where it is"""
    connect_timeout_s: Annotated[float, Field(gt=0, le=60)] = 2.0
    """of a connection's making"""
    connections: Annotated[int, Field(ge=1, le=1024)] = 64
    """at most, kept open between calls"""
    idle_s: Seconds = 4.0
    """A kept connection is not used again after so long: below the server's own keep-alive, or a request may
    run into its closing."""
    answer_limit: Annotated[int, Field(ge=1024, le=16 * 1024 * 1024)] = 1024 * 1024
    """Bytes; a longer answer is not read."""
    headers: Headers = Field(default_factory=dict)
    """sent with each request"""
    authentication: AuthenticationSection | None = None
    login: LoginSection | None = None
    oauth: OAuthSection | None = None
    signature: SignatureSection | None = None
    tls: TlsSection = TlsSection()

    @model_validator(mode="after")
    def _headers_once(self) -> Self:
        if self.login and self.oauth:
            raise Misplaced("give one of login and oauth", ("oauth",))
        first: dict[str, Place] = {}
        for place, header in self._headers_set():
            if (other := first.setdefault(header.lower(), place)) != place:
                raise Misplaced(f"{toml_path(other)} sets the header {header} already", place)
        return self

    def _headers_set(self) -> Iterator[tuple[Place, str]]:
        """Each header that is sent with every request, and the setting that says so."""
        if self.authentication:
            yield ("authentication", "header"), self.authentication.header
        for name, session in (("login", self.login), ("oauth", self.oauth)):
            if session and session.place.header:
                yield (name, "place", "header"), session.place.header
            elif session and session.place.cookie:
                yield (name, "place", "cookie"), "Cookie"
        for name in ("header", "timestamp_header", "nonce_header") if self.signature else ():
            if header := getattr(self.signature, name):
                yield ("signature", name), header
        for header in self.headers:
            yield ("headers", header), header


class InquireSection(Section):
    """How to ask what became of a request id."""

    method: Method = "POST"
    """of the HTTP request"""
    path: Path
    """begins with `/`; expressions in `{}`"""
    query: Expression | None = None
    """expression: the parameters after `?`"""
    request: Expression | None = None
    """expression: the body, of the request's fields and `request_id`"""
    found: Expression
    """True: it was applied, and `response` reads its answer from this one."""
    not_found: Expression
    """True: there is no such request, surely. Neither: the inquiry is repeated."""
    response: Expression | None = None
    """Default: the operation's own."""
    timeout_s: Annotated[float, Field(gt=0, le=300)] | None = None
    """of one call, connecting included; default: the system's"""


class PagingSection(Section):
    """An answer that comes in pages, which are joined. Only of queries.

    Expressions of the request see `paging.number` (from 1), `.offset` (items before it), `.cursor` (null for
    the first page) and `.size`.
    """

    items: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$")]
    """Where a page's items are in an answer, names joined by dots; the joined list is put there."""
    size: Annotated[int, Field(ge=1, le=10_000)]
    """Items a page. One with fewer is the last, if nothing else says so."""
    cursor: Expression | None = None
    """Gives the next page's cursor from an answer; null or empty: it is the last."""
    more: Expression | None = None
    """True of an answer that is not the last."""
    pages_max: Annotated[int, Field(ge=1, le=1000)] = 20
    """past so many pages there is no answer"""
    items_max: Annotated[int, Field(ge=1, le=1_000_000)] = 5000
    """More of either: no answer at all, never a part of one."""

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.cursor is not None and self.more is not None:
            raise Misplaced("give one of cursor and more", ("more",))
        return self


class AttachmentsSection(Section):
    """An interface that files are handed to, one call each, before the command that names them."""

    method: Method = "POST"
    """of the HTTP request"""
    path: Path
    """begins with `/`; expressions in `{}`"""
    query: Expression | None = None
    """Path and query see the request's fields and `file`: id, name, extension, media_type, length, sha256."""
    encoding: Literal["multipart", "raw"] = "multipart"
    """`multipart`: multipart/form-data; `raw`: the file's bytes are the body."""
    request: Expression | None = None
    """Gives the form's other fields: an object of what `path` sees too."""
    file_field: Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{1,64}$")] = "file"
    """the form's field that the file is in"""
    reference: Expression
    """Gives, from the answer, what the marketing system calls the file: a text or an integer."""
    refusal: RefusalSection | None = None
    """Default: the operation's."""
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 30.0
    """Of one file."""


class HttpBinding(FormatSection, OperationBinding):
    """One operation at an HTTP interface."""

    method: Method = "POST"
    """of the HTTP request"""
    path: Path
    """begins with `/`; expressions in `{}`"""
    query: Expression | None = None
    """Gives the URL's query parameters: an object; nulls are left out."""
    request: Expression | None = None
    """Gives the body, from the request's fields and `request_id`."""
    inquire: InquireSection | None = None
    attachments: AttachmentsSection | None = None
    """With it, `request` sees `attachments`: a list of files, each with its `reference`; without, ids alone."""
    paging: PagingSection | None = None
    headers: Headers = Field(default_factory=dict)
    """sent with each request"""

    @property
    def inquires(self) -> bool:
        """Whether it says how to ask what became of a request id."""
        return self.inquire is not None
