"""A back end that a WSDL describes, and an operation bound to one of its operations."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from intranet_bridge.marketing.binding import Expression, OperationBinding, Seconds, SystemSection, TlsSection
from intranet_bridge.marketing.http.binding import AuthenticationSection
from intranet_bridge.marketing.http.headers import Headers
from protocol.runtime.settings import FilePath, Misplaced, Section, checked_url

_QUERY = re.compile(r"([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")
NOT_APPLIED, FAILURE = "not_applied", "failure"


def checked_address(value: str) -> str:
    """`value` itself if it is the address of an endpoint: a URL, its query included. Raises ValueError."""
    path, _, query = value.partition("?")
    checked_url(path)
    if not _QUERY.fullmatch(query):
        raise ValueError("the query holds what must be escaped in a URL")
    return value


EndpointUrl = Annotated[str, AfterValidator(checked_address)]
UserName = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
ElementName = Annotated[str, StringConstraints(pattern=r"^[^\s<>&]+$")]
Verdict = Annotated[str, StringConstraints(pattern=rf"^([a-z0-9]+(-[a-z0-9]+)*|{NOT_APPLIED}|{FAILURE})$")]


class BasicSection(Section):
    """HTTP basic authentication (RFC 7617)."""

    username: UserName
    """who is named in the token"""
    password_file: FilePath
    """holds the password"""

    @model_validator(mode="after")
    def _without_a_colon(self) -> Self:
        if ":" in self.username:
            raise Misplaced("a user name of HTTP basic authentication has no colon", ("username",))
        return self


class UsernameTokenSection(Section):
    """A UsernameToken (OASIS WSS UsernameToken Profile 1.0) in each envelope's header."""

    username: UserName
    """who is named in the token"""
    password_file: FilePath
    """holds the password"""
    digest: bool = False
    """The password as a digest with a nonce and the time; else as text. The machine's clock must be right for it."""
    valid_s: Seconds | None = None
    """Adds a wsu:Timestamp that says how long the message is good for; some servers ask for one."""


class FetchSection(Section):
    """Ask for the WSDL and what it imports at each start. What came last is kept, and used when nothing comes."""

    url: EndpointUrl
    """where it is"""
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    """For all of its documents together."""


class SoapSystem(SystemSection):
    """A back end that speaks SOAP 1.1 or 1.2 over HTTP."""

    wsdl: FilePath
    """The WSDL. Documents it imports by URL are looked for beside it, by the last part of their URL."""
    fetch: FetchSection | None = None
    """Without it, nothing is ever fetched."""
    service: str | None = None
    """By name; needed where the WSDL has several."""
    port: str | None = None
    """By name; needed where the service has several SOAP ports."""
    url: EndpointUrl | None = None
    """Where the endpoint is; default: what the WSDL says."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=60)] = 2.0
    """of a connection's making"""
    connections: Annotated[int, Field(ge=1, le=1024)] = 64
    """at most, kept open between calls"""
    idle_s: Seconds = 4.0
    """A kept connection is not used again after so long: below the server's own keep-alive."""
    answer_limit: Annotated[int, Field(ge=1024, le=16 * 1024 * 1024)] = 1024 * 1024
    """Bytes; a longer answer is not read."""
    headers: Headers = Field(default_factory=dict)
    """sent with each request"""
    authentication: AuthenticationSection | None = None
    """A secret HTTP header."""
    basic: BasicSection | None = None
    username_token: UsernameTokenSection | None = None
    tls: TlsSection = TlsSection()

    @model_validator(mode="after")
    def _one_authorization(self) -> Self:
        if self.basic and self.authentication and self.authentication.header.lower() == "authorization":
            raise Misplaced("authentication sets the header Authorization already", ("basic",))
        return self


class InquireSection(Section):
    """How to ask what became of a request id."""

    operation: ElementName
    """the WSDL's, or of a catalogue entry"""
    request: Expression = "{}"
    """expression: the body, of the request's fields and `request_id`"""
    header: Expression | None = None
    """the header that carries it"""
    found: Expression
    """True: it was applied, and `response` reads its answer from this one."""
    not_found: Expression | None = None
    """True: there is no such request, surely. Neither: the inquiry is repeated."""
    response: Expression | None = None
    """Default: the operation's own."""
    faults: dict[str, Literal["not_found", "failure"]] = Field(default_factory=dict)
    """As the operation's; `not_found`: there is no such request, surely."""
    timeout_s: Annotated[float, Field(gt=0, le=300)] | None = None
    """of one call, connecting included; default: the system's"""

    @model_validator(mode="after")
    def _can_say_no(self) -> Self:
        if self.not_found is None and "not_found" not in self.faults.values():
            raise Misplaced("needs not_found, or a fault that says so", ())
        return self


class SoapBinding(OperationBinding):
    """One operation at an operation of the WSDL."""

    operation: ElementName
    """the WSDL's, or of a catalogue entry"""
    request: Expression = "{}"
    """Gives the message's fields by their names in the WSDL, from the request's fields and `request_id`."""
    header: Expression | None = None
    """Gives the SOAP headers that the WSDL declares for the operation, in the same way."""
    faults: dict[str, Verdict] = Field(default_factory=dict)
    """What says which fault it is (marketing/soap/faults.py) → a refusal's code, `not_applied`, or `failure`."""
    charset: Literal["utf-8", "gbk", "gb18030"] = "utf-8"
    """Of the request, and of an answer that does not say its own."""
    answer_charset: Literal["utf-8", "gbk", "gb18030"] | None = None
    """Of the answer, whatever its Content-Type and XML declaration say."""
    headers: Headers = Field(default_factory=dict)
    """sent with each request"""
    inquire: InquireSection | None = None

    @property
    def inquires(self) -> bool:
        """Whether it says how to ask what became of a request id."""
        return self.inquire is not None
