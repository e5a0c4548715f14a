"""What an operator may set for dmz-front (config/dmz_front.toml shows every key with its meaning)."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from dmz_front.callbacks.settings import CallbackSection, NoticesSection
from dmz_front.channels_section import ChannelName, ChannelSection
from dmz_front.files_section import FilesSection
from dmz_front.hot_section import FrontHotSection
from protocol.attachments import MAX_BYTES
from protocol.desk.settings import DeskSection as AnyDeskSection
from protocol.desk.settings import network
from protocol.operations.fields import AccountNumber
from protocol.runtime.audit import AuditSection
from protocol.runtime.backup import BackupSection
from protocol.runtime.control import ControlSection
from protocol.runtime.maintenance import MaintenanceSection, TimeZone
from protocol.runtime.settings import (
    FilePath,
    Host,
    KeysSection,
    LinkSection,
    LogSection,
    MetricsSection,
    Misplaced,
    Name,
    Pattern,
    Port,
    Section,
    StoreSection,
    WireSection,
    all_or_none,
    apart,
)
from protocol.runtime.statistics import StatisticsSection
from protocol.runtime.tracing import TracingSection


class HttpSection(Section):
    """Where applications reach the front."""

    host: Host = "127.0.0.1"
    port: Port = 8080
    """where it listens"""
    certificate: FilePath | None = None
    key: FilePath | None = None
    """the certificate's private key, PEM, unencrypted"""
    client_ca: FilePath | None = None
    """With it, applications also show a certificate of this authority."""
    client_certificates: Literal["required", "optional"] = "required"
    """"optional": who shows none is connected too; then `bridgectl apps certificate required` says who needs one."""
    body_limit: Annotated[int, Field(ge=1024, le=192 * 1024)] = 64 * 1024
    part_limit: Annotated[int, Field(ge=64 * 1024, le=MAX_BYTES)] = 1024 * 1024
    """Bytes of one part of an attachment. It has `body_timeout_s`, as every body; what came of it by then is kept."""
    body_timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0
    header_limit: Annotated[int, Field(ge=1024, le=256 * 1024)] = 16 * 1024
    """Bytes of the request line and all headers together."""
    header_count: Annotated[int, Field(ge=10, le=1000)] = 100
    header_timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0
    """From a request's first byte (or the connection's beginning) to the end of its headers."""
    write_timeout_s: Annotated[float, Field(gt=0, le=300)] = 20.0
    """A client that reads nothing of an answer for so long is disconnected."""
    connections: Annotated[int, Field(ge=1, le=100_000)] = 8_192
    connections_per_address: Annotated[int, Field(ge=1, le=100_000)] = 1_024
    """Not for the addresses of `trusted_proxies`."""
    keep_alive_s: Annotated[int, Field(ge=1, le=3600)] = 75
    docs: bool = True
    trusted_proxies: tuple[Annotated[str, AfterValidator(network)], ...] = ()
    """Networks whose X-Forwarded-For is believed."""
    client_cert_header: bool = False
    """Whether their Client-Cert (RFC 9440) is: they end TLS, and take out what callers send under that name."""

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        all_or_none(self, "certificate", "key")
        if self.client_ca is not None and self.certificate is None:
            raise Misplaced("needs certificate and key", ("client_ca",))
        if self.client_cert_header and not self.trusted_proxies:
            raise Misplaced("needs trusted_proxies: anybody can send such a header", ("client_cert_header",))
        return self


class GuessingSection(Section):
    """How long callers must wait who guess at what the catalogue says can be guessed at. Of each front by itself."""

    value_failures: Annotated[int, Field(ge=1, le=1_000)] = 5
    """So many refusals in `window_s` of one application about one value, such as an identity number or an account: a
    pause follows the last of them, and each further one."""
    user_failures: Annotated[int, Field(ge=0, le=1_000_000)] = 20
    """So many to one user of an application; 0 sets no limit."""
    application_failures: Annotated[int, Field(ge=0, le=1_000_000)] = 1_000
    """So many to one application; 0 sets no limit."""
    address_failures: Annotated[int, Field(ge=0, le=1_000_000)] = 1_000
    """So many to one client address; 0 sets no limit."""
    window_s: Annotated[float, Field(gt=0, le=7 * 86_400)] = 3_600
    """So many are forgiven, evenly, in this time."""
    pause_s: Annotated[float, Field(gt=0, le=3_600)] = 5
    """The first pause; each further refusal doubles it."""
    pause_max_s: Annotated[float, Field(gt=0, le=86_400)] = 900


class AddressesSection(Section):
    """Who keeps exceeding `limits.ip_rate` is left alone for a time that grows. In memory, of each front by itself."""

    strikes: Annotated[int, Field(ge=0, le=1_000_000)] = 100
    """After so many refusals within `penalty_s` the address is paused; 0: it is never."""
    penalty_s: Annotated[float, Field(gt=0, le=3_600)] = 60
    """The first pause; each further one within `penalty_max_s` is twice as long."""
    penalty_max_s: Annotated[float, Field(gt=0, le=86_400)] = 3_600
    allow: tuple[Annotated[str, AfterValidator(network)], ...] = ()
    """Networks that `ip_rate` is not for."""


def _store_url(value: str) -> str:
    parts = urlsplit(value)
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the port is not one") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("the address has neither user nor password: set user and password_file")
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or port == 0:
        raise ValueError("redis://HOST:PORT/NUMBER, or rediss:// for TLS")
    if not re.fullmatch(r"/?[0-9]{0,3}", parts.path) or parts.query or parts.fragment:
        raise ValueError("after host and port comes the number of the database, 0 without one")
    return value


class AdmissionStoreSection(Section):
    """A Redis or Valkey by which fronts count rates, pauses of addresses and nonces together."""

    url: Annotated[str, AfterValidator(_store_url)]
    """`redis://HOST:PORT/NUMBER`, or `rediss://` for TLS; no password in it"""
    user: str = ""
    """as the server knows the front; default: the server's `default`"""
    password_file: FilePath | None = None
    """holds the password; readable by this service alone"""
    ca: FilePath | None = None
    """Authorities of the server's certificate. Default: the system's."""
    certificate: FilePath | None = None
    """shown to the server, PEM"""
    key: FilePath | None = None
    """the certificate's private key, PEM, unencrypted"""
    every_s: Annotated[float, Field(ge=0.05, le=10)] = 0.25
    """How often fronts tell one another."""
    timeout_s: Annotated[float, Field(gt=0, le=10)] = 0.5
    """For an answer. No request waits for one, but those that are signed."""

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        all_or_none(self, "certificate", "key")
        if (self.ca or self.certificate) and urlsplit(self.url).scheme != "rediss":
            raise Misplaced("with ca or certificate it begins with rediss://", ("url",))
        return self


class AdmissionSection(Section):
    """Where fronts count together."""

    store: AdmissionStoreSection | None = None
    """Default: each front counts by itself."""


class SignaturesSection(Section):
    """Requests that are signed instead of carrying a key (RFC 9421)."""

    window_s: Annotated[float, Field(gt=0, le=3_600)] = 120
    """How old a signature may be. Each counts once in this time."""
    skew_s: Annotated[float, Field(ge=0, le=3_600)] = 30
    """How far a caller's clock may be ahead."""


class LimitsSection(Section):
    """What the front takes on before it says 429 or 503."""

    queries_in_flight: Annotated[int, Field(ge=1)] = 2_000
    deadline_share: Annotated[float, Field(gt=0, le=1)] = 0.7
    """A query whose answer is expected to take more than this share of its deadline is refused with 503."""
    commands_in_flight: Annotated[int, Field(ge=1)] = 1_000
    """Commands whose HTTP caller is waiting."""
    backlog: Annotated[int, Field(ge=1)] = 100_000
    """Commands accepted and not yet final; past it new ones are refused, never accepted and lost."""
    ip_rate: Annotated[float, Field(ge=0)] = 0
    """Requests a second from one address; 0 sets no limit."""
    account_rate: Annotated[float, Field(ge=0)] = 0
    """Requests a second of one application about one account; 0 sets no limit."""
    burst_s: Annotated[float, Field(gt=0, le=3600)] = 10
    """How many seconds' worth of a rate may come at once."""
    zone: TimeZone = ""
    """Whose calendar days the applications' daily quotas are meant by, such as Asia/Shanghai; default: UTC."""
    max_wait_s: Annotated[float, Field(gt=0, le=300)] = 30
    """The most a caller may ask for with `Prefer: wait=N`."""
    addresses: AddressesSection = AddressesSection()
    guessing: GuessingSection = GuessingSection()


class AttachmentsSection(Section):
    """Files that are uploaded before a command names them."""

    unfinished_hours: Annotated[float, Field(gt=0, le=72)] = 6
    """An upload is forgotten so long after its last part, or three days after its first."""
    unused_hours: Annotated[float, Field(gt=0, le=72)] = 24
    """A whole attachment that no command names is forgotten after so long."""
    count: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Attachments of one application that no command names yet; one more is 429."""
    bytes: Annotated[int, Field(ge=MAX_BYTES)] = 500 * 1024 * 1024
    """Of these together, by their declared lengths."""
    total_bytes: Annotated[int, Field(ge=MAX_BYTES)] = 4 * 1024 * 1024 * 1024
    """Of all applications together; past it a new one is 503."""
    window: Annotated[int, Field(ge=1, le=256)] = 8
    """Messages (of at most 192 KB) on the broker or on their way to the bridge at once."""


class DeliverySection(Section):
    """How commands are kept on their way."""

    resend_after_s: Annotated[float, Field(gt=0, le=86_400)] = 30
    """A command sent and not answered is sent again after this time; the bridge knows it by its id."""
    sweep_s: Annotated[float, Field(gt=0, le=3_600)] = 2
    """How often the ledger is searched for rows that are due."""
    repeat_days: Annotated[float, Field(ge=0, le=3650)] = 1
    """How long a caller may ask again, by its Idempotency-Key or the status, for a result it was given. Then the sealed
    result is dropped; the outcome and its code are kept for `store.retention_days`."""
    presence_ttl_s: Annotated[float, Field(gt=0, le=3_600)] = 7
    """A bridge that was silent for this long is taken for gone."""
    when_broker_refuses: Literal["keep", "refuse"] = "keep"
    """New commands while the broker is full or cannot be reached: `keep` accepts them (202) and sends them later, up
    to `limits.backlog`; `refuse` answers 503 before anything is accepted."""
    drain_s: Annotated[float, Field(ge=0, le=600)] = 10
    """How long a stopping front waits for the answers its callers are waiting for."""


class LandingSection(Section):
    """`GET /q/{code}`: where phones arrive that scanned a customer's QR code."""

    enabled: bool = False
    """Whether there is such a path."""
    scans_a_minute: Annotated[float, Field(gt=0, le=10_000)] = 30
    """Of one address; beyond it comes a pause."""
    penalty_s: Annotated[float, Field(gt=0, le=3600)] = 60
    """The first pause; each further one within `penalty_max_s` is twice as long."""
    penalty_max_s: Annotated[float, Field(gt=0, le=86_400)] = 3600


class DeskSection(AnyDeskSection):
    """Pages under `/desk/` for staff (docs/how-to/desk.md)."""


def _of_one(callbacks: dict[str, CallbackSection]) -> dict[str, CallbackSection]:
    first: dict[str, str] = {}
    for name, one in callbacks.items():
        if one.notices and (other := first.setdefault(one.application, name)) != name:
            raise Misplaced(f"{other} gets the notices of {one.application} too: set notices = false in one", (name,))
    return callbacks


def _without_flags(text: str) -> str:
    if re.search(r"\(\?[a-zA-Z-]+[:)]", text):
        raise ValueError("a pattern has no inline flags: JSON Schema, in which callers read it, cannot say them")
    return text


class AccountForm(Section):
    """What one company's account numbers look like."""

    company: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f]{1,64}$")]
    """As callers know it: named in the API's pages and in the error of a number that fits no form."""
    pattern: Annotated[Pattern, StringConstraints(min_length=1, max_length=200), AfterValidator(_without_flags)]
    """A regular expression that the whole number matches."""
    description: Annotated[str, StringConstraints(max_length=200)] = ""
    """For people: `13 digits, the first four the district`."""
    example: AccountNumber
    """a number that fits the pattern"""

    @model_validator(mode="after")
    def _example_fits(self) -> Self:
        if not re.fullmatch(self.pattern, self.example):
            raise Misplaced(f"{self.example} does not match the pattern", ("example",))
        return self


class FrontMaintenanceSection(MaintenanceSection):
    """When the marketing system is maintained, and what callers are told then."""

    commands: Literal["accept", "refuse"] = "accept"
    """Of what is paused: "accept" answers 202, and they are done afterwards; "refuse" is 503."""


class SubmissionsSection(Section):
    """What this front routes to other regions' bridges."""

    regions: tuple[Name, ...] = ()
    """To these. None: this front takes nothing of the kind (it does not ask the broker for `front.submit.<name>`), and
    what a bridge's `settlement.front` gives it stays on the broker. It can read nothing of it."""


class FrontSettings(Section):
    """config/dmz_front.toml."""

    name: Name = "front-1"
    region: Name = "main"
    http: HttpSection = HttpSection()
    link: LinkSection
    keys: KeysSection
    store: StoreSection
    accounts: tuple[AccountForm, ...] = ()
    """Forms of account numbers; a number that fits none is refused. Without any, all that the schema takes is taken."""
    limits: LimitsSection = LimitsSection()
    signatures: SignaturesSection = SignaturesSection()
    admission: AdmissionSection = AdmissionSection()
    attachments: AttachmentsSection = AttachmentsSection()
    landing: LandingSection = LandingSection()
    channels: dict[ChannelName, ChannelSection] = Field(default_factory=dict)
    """Payment channels that call this front, by the name that the bridge has them under."""
    desk: DeskSection = DeskSection()
    hot: FrontHotSection = FrontHotSection()
    """Public information that is kept here for a while."""
    files: FilesSection = FilesSection()
    submissions: SubmissionsSection = SubmissionsSection()
    delivery: DeliverySection = DeliverySection()
    notices: NoticesSection = NoticesSection()
    callbacks: Annotated[dict[Name, CallbackSection], AfterValidator(_of_one)] = Field(default_factory=dict)
    """Where applications are called, by name."""
    wire: WireSection = WireSection()
    metrics: MetricsSection = MetricsSection()
    control: ControlSection = ControlSection()
    backup: BackupSection = BackupSection()
    log: LogSection = LogSection()
    tracing: TracingSection = TracingSection()
    audit: AuditSection = AuditSection()
    statistics: StatisticsSection = StatisticsSection()
    maintenance: FrontMaintenanceSection = FrontMaintenanceSection()

    def doubts(self) -> Iterator[str]:
        """What is allowed, and may not be what was meant."""
        if self.files.enabled and not self.files.sources and not self.files.targets:
            yield "files: there are neither sources nor targets, so that the relay has nothing to do"
        if self.region in self.submissions.regions:
            yield f"submissions.regions: {self.region} is this front's own region, whose bridge does its own"

    @model_validator(mode="after")
    def _listeners_are_apart(self) -> Self:
        apart(
            (("http", "port"), self.http.host, self.http.port),
            (("metrics", "port"), self.metrics.host, self.metrics.port),
        )
        return self

    @model_validator(mode="after")
    def _repeated_while_kept(self) -> Self:
        if self.delivery.repeat_days > self.store.retention_days:
            place = ("delivery", "repeat_days")
            raise Misplaced("must not be longer than store.retention_days: then the row is gone", place)
        return self
