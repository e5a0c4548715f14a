"""What an operator may set for intranet-bridge (config/intranet_bridge.toml shows every key with its meaning)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, tzinfo
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator, model_validator

from intranet_bridge.ceilings.sections import CeilingsSection, FrontSection
from intranet_bridge.content.section import ContentSection
from intranet_bridge.desk_section import DeskSection
from intranet_bridge.files_section import FilesSection
from intranet_bridge.hot_data.section import HotSection
from intranet_bridge.imports.section import ImportSection
from intranet_bridge.marketing.binding import (
    DEFAULT_SYSTEM,
    BreakerSection,
    Expression,
    OperationBinding,
    Seconds,
    SystemSection,
)
from intranet_bridge.marketing.kinds import kind
from intranet_bridge.marketing.sql.binding import SqlSystem
from intranet_bridge.marketing.sql.statement import Reading, parameters
from intranet_bridge.settlement_sections import SettlementSection
from intranet_bridge.settlement_sections.references import check as check_settlement
from protocol.envelope import MAX_AGE_MS
from protocol.maintenance import ALL, Schedule
from protocol.messages import AHEAD_MS
from protocol.networks import is_every, is_loopback
from protocol.operations import CATALOGUE, OFFERED, OWN
from protocol.operations.operation import Kind, UnknownOutcome
from protocol.operations.qr import PageName
from protocol.qr import LEAST_MODULE_MM, UTILITY
from protocol.runtime.audit import AuditSection
from protocol.runtime.backup import BackupSection
from protocol.runtime.control import ControlSection
from protocol.runtime.maintenance import MaintenanceSection, TimesSection
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
    PortOrOff,
    Section,
    StoreSection,
    WireSection,
    all_or_none,
    apart,
    nearest,
    nested,
    toml_path,
)
from protocol.runtime.tracing import TracingSection
from protocol.suites import Suite

_SHORT_S = 900
"""What is asked ahead and kept for less is hardly of use."""


class QueriesSection(Section):
    """How queries are taken."""

    slots: Annotated[int, Field(ge=1, le=4096)] = 64
    """Calls at once. A query that finds none free waits; what waits is bounded by `prefetch`."""
    prefetch: Annotated[int, Field(ge=1, le=4096)] = 64
    """Messages the broker sends ahead; each holds 1 to 64 queries."""


class CommandsSection(Section):
    """How commands are worked on."""

    workers: Annotated[int, Field(ge=1, le=1024)] = 32
    """Calls at once."""
    prefetch: Annotated[int, Field(ge=1, le=4096)] = 64
    """Messages the broker sends before the rows of the earlier ones are on disk."""
    backlog: Annotated[int, Field(ge=1)] = 100_000
    """Unfinished rows in the inbox; past it further commands stay on the broker."""
    retry_min_s: Seconds = 0.5
    retry_max_s: Seconds = 30.0
    """Waits between attempts grow from the one to the other, with jitter."""
    unreadable_max: Annotated[int, Field(ge=1, le=10_000)] = 10
    """So many answers about one command (to calls and inquiries) that cannot be read, or are about something else, and
    it is held for an operator. With the default waits the tenth comes after some two minutes."""
    sweep_s: Seconds = 5.0
    """How often the inbox is searched for replies not yet receipted and for what an operator decided."""
    attachment_patience_s: Annotated[float, Field(gt=0, le=7 * 86_400)] = 3600.0
    """How long a command waits for attachments that have not all arrived; then it is failed, surely not applied."""
    decisions_from_fronts: bool = True
    """Carry out what operators decide at the fronts (`bridgectl requests` there). A front that was taken over could
    decide too: false has commands decided on the bridge's host alone."""
    order_patience_s: Seconds = 45.0
    """How long a command waits for its predecessor, an earlier one of the same key, when that has not arrived. More
    than the front's `resend_after_s`, or a command that was lost once is overtaken."""


class NoticesSection(Section):
    """Notices outward, and who may subscribe to how many."""

    subscriptions: Annotated[int, Field(ge=1, le=100_000_000)] = 5_000_000
    """Of one application: each is an account and a kind of notice. About so many: they are counted every 15 seconds."""
    resend_after_s: Annotated[float, Field(gt=0, le=3_600)] = 30
    """A notice that its front has not confirmed is sent again after this time, then 4, 9 … times as long."""


class PushTableSection(Section):
    """A table in which the marketing system writes what it has to say."""

    system: Name
    """One of adapter "sql", whose database it is in."""
    query: Reading
    """SQL that gives the rows after `:cursor` in the order of their column `cursor`, `:batch` at most."""
    push: Expression = "{id: id, kind: kind, at: at, data: data}"
    """Gives the push of a row. `cursor` is a column too."""
    json_columns: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")], ...] = ()
    """Columns whose text is JSON, to be read as what it says."""
    start: int | Annotated[str, StringConstraints(max_length=64)] = 0
    """The first `:cursor`: what is after it is read at the first start."""
    every_s: Annotated[float, Field(ge=0.1, le=3_600)] = 5.0
    """How often it is looked at; while there is more than a batch, at once."""
    batch: Annotated[int, Field(ge=1, le=1_000)] = 500
    """Rows read at a time."""
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0
    """of one reading"""

    @field_validator("query")
    @classmethod
    def _names(cls, value: str) -> str:
        names = parameters(value)
        if "cursor" not in names or names - {"cursor", "batch"}:
            raise ValueError("has :cursor, may have :batch, and no other :name")
        return value


class PushesSection(Section):
    """What the marketing system says unasked: an endpoint for it, and tables that are read. Off by default."""

    host: Host = "127.0.0.1"
    port: PortOrOff = 0
    """0: nothing listens. Beyond loopback callers must show a certificate (`client_ca`, `clients`)."""
    token_file: FilePath | None = None
    """holds the token that callers show: `Authorization: Bearer ...`"""
    certificate: FilePath | None = None
    """shown to callers, PEM"""
    key: FilePath | None = None
    """the certificate's private key, PEM, unencrypted"""
    client_ca: FilePath | None = None
    """With it a caller must show a certificate of this authority. Best one of its own: not that of the broker."""
    clients: tuple[Annotated[str, StringConstraints(min_length=1, max_length=64)], ...] = ()
    """The common names (CN) that such a certificate may have."""
    body_limit: Annotated[int, Field(ge=1_024, le=16 * 1024 * 1024)] = 1024 * 1024
    """Bytes of a request's body."""
    body_timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0
    """from its beginning to its end"""
    connections: Annotated[int, Field(ge=1, le=1_000)] = 64
    """At once."""
    rate: Annotated[float, Field(gt=0, le=1_000_000)] = 2_000
    """Pushes a second, of all callers together; more are refused with 429."""
    burst_s: Annotated[float, Field(gt=0, le=3_600)] = 10
    """How many seconds' worth of it may come at once."""
    tables: dict[Name, PushTableSection] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_callers(self) -> Self:
        all_or_none(self, "certificate", "key")
        if self.client_ca is not None and self.certificate is None:
            raise Misplaced("needs certificate and key", ("client_ca",))
        if (self.client_ca is None) != (not self.clients):
            place = ("client_ca",) if self.client_ca is not None else ("clients",)
            raise Misplaced("client_ca and clients belong together: of that authority only those named may call", place)
        if not self.port:
            return self
        if self.token_file is None and self.client_ca is None:
            raise Misplaced("callers must be known: needs token_file, or client_ca and clients", ("port",))
        if self.host != "localhost" and not is_loopback(self.host):
            if is_every(self.host):
                raise Misplaced("name one address of the intranet, not every interface of this host", ("host",))
            if self.client_ca is None:
                raise Misplaced(
                    "beyond loopback callers must show a certificate: set client_ca, clients, certificate and key",
                    ("host",),
                )
        return self


_HTTPS = re.compile(r"https://([A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?)(/[A-Za-z0-9._~/-]{0,100})?")


def _page(value: str) -> str:
    if not _HTTPS.fullmatch(value):
        raise ValueError("must be https://host/path, without a query: the ticket is put after it")
    return value


class QrSection(Section):
    """Customers' QR codes. Without this table none are issued, and none resolved."""

    base: Annotated[str, StringConstraints(max_length=120)]
    """What the address in each code begins with: the front's `/q/` as phones reach it. https, ends in a slash (WeChat's
    rule of sub-paths), and never changes once codes are printed."""
    utility: Annotated[str, StringConstraints(pattern=f"^{UTILITY.pattern}$")]
    """The company, in each code's signature: a code of one is none of another."""
    keys: FilePath
    """The keys that sign codes (`bridgectl qr keys`)."""
    pages: Annotated[dict[PageName, Annotated[str, AfterValidator(_page)]], Field(min_length=1)]
    """Pages that a code may lead to, by name."""
    page: PageName = "bill"
    """The one that codes lead to."""
    account_pattern: Annotated[Pattern, StringConstraints(min_length=1, max_length=200)] = "[0-9]{10,13}"
    """A regular expression that each whole account number matches."""
    account_digits: Annotated[int, Field(ge=4, le=15)] | None = None
    """How many digits each has, if that is fixed: then a number cell of a sheet with just so many is taken."""
    check_accounts: str = ""
    """A query of the catalogue, bound here, that refuses with `no-such-account` or `account-closed`: it is asked before
    a code is issued. Empty: nothing is asked."""
    old_good_days: Annotated[float, Field(ge=0, le=3650)] = 90
    """So long codes stay good after a revocation without --now."""
    ticket_s: Annotated[int, Field(ge=30, le=3600)] = 300
    """So long the ticket of a scanned code can be redeemed."""
    keep_days: Annotated[float, Field(gt=0, le=365)] = 7
    """How long the ZIP of a batch can be downloaded. The record of its codes is kept for good."""
    pixels_per_module: Annotated[int, Field(ge=1, le=40)] = 10
    """Of a picture; a module must be at least 0.33 mm wide."""
    dpi: Annotated[int, Field(ge=72, le=2400)] = 300
    """What pictures say of themselves: with 10 pixels a module, a code is 35 mm wide."""

    @property
    def host(self) -> str:
        """To be printed beside each code."""
        return self.base.split("/")[2]

    @property
    def form(self) -> re.Pattern[str]:
        """Of account numbers."""
        return re.compile(self.account_pattern)

    @field_validator("base")
    @classmethod
    def _base(cls, value: str) -> str:
        if not _HTTPS.fullmatch(value) or not value.endswith("/"):
            raise ValueError("must be https://host/…/, and end in a slash")
        return value

    @field_validator("check_accounts")
    @classmethod
    def _check_accounts(cls, value: str) -> str:
        operation = CATALOGUE.get(value)
        if value and (operation is None or operation.kind is not Kind.QUERY or value in OWN):
            raise ValueError("must name a query of the catalogue that the marketing system answers")
        if operation is not None:
            required = {name for name, one in operation.request.model_fields.items() if one.is_required()}
            if required != {"account"}:
                raise ValueError(f"{value} cannot be asked with an account alone")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.page not in self.pages:
            raise Misplaced(f"{self.page} is not one of pages: {', '.join(sorted(self.pages))}", ("page",))
        width = self.pixels_per_module / self.dpi * 25.4
        if width < LEAST_MODULE_MM:
            message = f"a module of {width:.2f} mm (dpi = {self.dpi}) is too small: at least {LEAST_MODULE_MM} mm"
            raise Misplaced(message, ("pixels_per_module",))
        return self


class BridgeMaintenanceSection(MaintenanceSection):
    """When the marketing system is maintained, and when it is left in peace."""

    quiet: tuple[TimesSection, ...] = ()
    """Its quiet hours: the bridge asks it nothing of its own accord (`hot.prequery`, `imports`), callers go on."""

    @model_validator(mode="after")
    def _quiet_by_which_clocks(self) -> Self:
        if self.quiet and not self.zone:
            raise Misplaced("needs zone: the time zone its times are meant in, such as Asia/Shanghai", ("quiet",))
        return self

    @property
    def clocks(self) -> tzinfo:
        """The company's."""
        return ZoneInfo(self.zone) if self.zone else UTC

    def recurring(self, times: Iterable[TimesSection]) -> Schedule:
        """Times of any table, by these clocks."""
        return Schedule(tuple(one.times() for one in times), self.clocks)

    def is_quiet(self, now: int) -> bool:
        """Whether `now`, epoch ms, is in its quiet hours."""
        return bool(self.quiet) and self.recurring(self.quiet).now(ALL, now) is not None


def _opened(table: object, place: tuple[str, ...], info: ValidationInfo) -> SystemSection:
    """A system's table, read by the adapter it names. `place`: in what the validator validates."""
    name = table.get("adapter", "http") if isinstance(table, dict) else "http"
    if not isinstance(name, str):
        raise Misplaced("must be the name of an adapter", (*place, "adapter"))
    try:
        found = kind(name)
    except ValueError as error:
        raise Misplaced(str(error), (*place, "adapter")) from None
    return nested(found.system, table, place, info)


def _bound(name: str, table: object, systems: Mapping[str, SystemSection], info: ValidationInfo) -> OperationBinding:
    """An operation's table, read by the adapter of its system and held against the catalogue."""
    place = (name,)
    operation = CATALOGUE.get(name)
    if operation is None:
        near = nearest(name, CATALOGUE)
        meant = f"did you mean {near}?" if near else f"there are {', '.join(sorted(CATALOGUE))}"
        raise Misplaced(f"is not an operation of the catalogue; {meant}", place)
    if name in OWN:
        raise Misplaced("the bridge answers it itself: nothing binds it", place)
    system = table.get("system", DEFAULT_SYSTEM) if isinstance(table, dict) else DEFAULT_SYSTEM
    if not isinstance(system, str) or system not in systems:
        near = nearest(str(system), systems)
        meant = f"did you mean {near}?" if near else f"there are: {', '.join(sorted(systems)) or 'none'}"
        raise Misplaced(f"there is no system {system!r}; {meant}", (*place, "system"))
    found = kind(systems[system].adapter)
    binding = nested(found.binding, table, place, info)
    if operation.kind is Kind.COMMAND and operation.unknown_outcome is UnknownOutcome.INQUIRE and not binding.inquires:
        raise Misplaced(
            f"{name} needs [{toml_path(('operations', name, 'inquire'))}]: its unknown outcomes are inquired about",
            place,
        )
    for complaint in found.complaints(operation, binding):
        if complaint.fatal:
            raise Misplaced(complaint.message, (*place, *complaint.setting))
    return binding


class BridgeSettings(Section):
    """config/intranet_bridge.toml."""

    include: tuple[str, ...] = ()
    """Further files, read as if they stood in this one (protocol/runtime/settings.py)."""
    name: Name = "bridge-1"
    region: Name = "main"
    presence_interval_s: Annotated[float, Field(gt=0, le=60)] = 2.0
    drain_s: Annotated[float, Field(ge=0, le=600)] = 20.0
    """How long a stopping bridge lets running calls finish."""
    suite: Suite = Suite.AES
    """Of what is stored and printed: `sm` seals by SM4-GCM and hashes, in a new database and new QR codes, by HMAC-SM3
    (GB/T 39786). What was sealed before is opened all the same."""
    link: LinkSection
    keys: KeysSection
    store: StoreSection
    queries: QueriesSection = QueriesSection()
    commands: CommandsSection = CommandsSection()
    notices: NoticesSection = NoticesSection()
    files: FilesSection = FilesSection()
    pushes: PushesSection = PushesSection()
    breaker: BreakerSection = BreakerSection()
    ceilings: CeilingsSection = CeilingsSection()
    fronts: dict[Name, FrontSection] = Field(default_factory=dict)
    """Those there are: with one table, all others are refused. Without any, all share one front's ceilings."""
    wire: WireSection = WireSection()
    metrics: MetricsSection = MetricsSection()
    control: ControlSection = ControlSection()
    backup: BackupSection = BackupSection()
    log: LogSection = LogSection()
    tracing: TracingSection = TracingSection()
    audit: AuditSection = AuditSection()
    maintenance: BridgeMaintenanceSection = BridgeMaintenanceSection()
    qr: QrSection | None = None
    settlement: SettlementSection = SettlementSection()
    hot: HotSection = HotSection()
    """Answers that are kept for a while."""
    content: ContentSection = ContentSection()
    """What is published from here."""
    imports: dict[Name, ImportSection] = Field(default_factory=dict)
    """Data fetched by the clock, that operations are answered from."""
    desk: DeskSection = DeskSection()
    marketing: SystemSection | None = None
    """The system of the operations that name none."""
    systems: dict[Name, SystemSection] = Field(default_factory=dict)
    """Further ones, by name."""
    operations: Annotated[dict[str, OperationBinding], Field(min_length=1)]

    @property
    def all_systems(self) -> dict[str, SystemSection]:
        """Every system by its name."""
        return ({DEFAULT_SYSTEM: self.marketing} if self.marketing else {}) | self.systems

    @property
    def answered(self) -> frozenset[str]:
        """Operations that are bound, or answered from what is published or imported here."""
        return frozenset(self.operations) | frozenset(self.content.operations) | frozenset(self.imported)

    def doubts(self) -> list[str]:
        """What is allowed in the bindings, and may not be what was meant."""
        systems = self.all_systems
        named = {name for window in self.maintenance.windows for name in window.operations if name != ALL}
        windows = [
            f"maintenance.windows: {name} is not bound here, so that it is not paused"
            for name in sorted(named - self.answered - OWN)
        ]
        return [*windows, *self._hot_doubts(), *self._idle()] + [
            f"{toml_path(('operations', name, *complaint.setting))}: {complaint.message}"
            for name, binding in self.operations.items()
            for complaint in kind(systems[binding.system].adapter).complaints(CATALOGUE[name], binding)
        ]

    def _hot_doubts(self) -> Iterator[str]:
        for name in sorted(self.hot.operations.keys() - self.answered):
            yield f"{toml_path(('hot', 'operations', name))}: {name} is not bound here"
        ahead = self.hot.prequery.requests
        for name in sorted(ahead):
            if name in self.hot.operations and self.hot.operations[name].lifetime_s < _SHORT_S:
                yield (
                    f"{toml_path(('hot', 'prequery', 'requests', name))}: its answers live for "
                    f"{self.hot.operations[name].lifetime_s:g} s: asked ahead, most are old before anybody asks"
                )

    def _idle(self) -> Iterator[str]:
        """What is configured, and never does anything as the rest is."""
        settlement, files = self.settlement, self.files
        for place, there in (
            ("settlement.statements.files", settlement.statements.files),
            ("settlement.withholding", settlement.withholding),
            ("settlement.clearing.target", settlement.clearing.target),
        ):
            if there and not files.enabled:
                yield f"{place}: files.enabled is false, so that no file comes or goes"
        if files.enabled and not files.profiles and not files.targets:
            yield "files: there are neither profiles nor targets, so that every file is refused"
        if settlement.payments and not settlement.companies:
            yield "settlement.payments: there are no settlement.companies, so that every order is refused"
        for name, one in settlement.withholding.items():
            if one.automatic and not self.pushes.port and not self.pushes.tables:
                yield f"settlement.withholding.{name}.automatic: pushes are off, so that no bill is heard of"
        for name, source in self.imports.items():
            if not source.answers:
                yield f"imports.{name}: it has no answers, so that it is fetched for nothing"

    def unbound(self) -> list[str]:
        """The catalogue's operations that nobody answers, for no table binds them: callers of them get 502."""
        return sorted(set(OFFERED) - OWN - self.answered)

    @field_validator("marketing", mode="before")
    @classmethod
    def _default_system(cls, table: object, info: ValidationInfo) -> object:
        return _opened(table, (), info)

    @field_validator("systems", mode="before")
    @classmethod
    def _further_systems(cls, tables: object, info: ValidationInfo) -> object:
        if not isinstance(tables, dict):
            return tables
        if DEFAULT_SYSTEM in tables:
            raise Misplaced(f"the table of this one is [{DEFAULT_SYSTEM}]", (DEFAULT_SYSTEM,))
        return {name: _opened(table, (str(name),), info) for name, table in tables.items()}

    @field_validator("operations", mode="before")
    @classmethod
    def _bindings(cls, tables: object, info: ValidationInfo) -> object:
        if not isinstance(tables, dict) or "systems" not in info.data or "marketing" not in info.data:
            return {} if "systems" not in info.data or "marketing" not in info.data else tables
        marketing: SystemSection | None = info.data["marketing"]
        systems: dict[str, SystemSection] = ({DEFAULT_SYSTEM: marketing} if marketing else {}) | info.data["systems"]
        return {name: _bound(str(name), table, systems, info) for name, table in tables.items()}

    @field_validator("fronts")
    @classmethod
    def _each_instance_once(cls, fronts: dict[str, FrontSection]) -> dict[str, FrontSection]:
        owner: dict[str, str] = {}
        for name, front in fronts.items():
            for instance in front.instances or (name,):
                if owner.setdefault(instance, name) != name:
                    raise Misplaced(f"{instance} is of [fronts.{owner[instance]}] too", (name, "instances"))
        return fronts

    @model_validator(mode="after")
    def _checks_what_is_bound(self) -> Self:
        checks = self.qr.check_accounts if self.qr else ""
        if checks and checks not in self.operations:
            raise Misplaced(f"{checks} is not bound here", ("qr", "check_accounts"))
        return self

    @model_validator(mode="after")
    def _settlement_names_what_is_there(self) -> Self:
        check_settlement(self.settlement, self.files, self.region, self.front_names)
        return self

    @property
    def front_names(self) -> frozenset[str]:
        """What a front may be called by, group or instance; empty where no table says which there are."""
        return frozenset(name for group, front in self.fronts.items() for name in (group, *front.instances))

    @property
    def imported(self) -> dict[str, str]:
        """Operation → the import that it is answered from."""
        return {operation: name for name, one in self.imports.items() for operation in one.answers}

    @model_validator(mode="after")
    def _imports_have_their_sources(self) -> Self:
        systems, answered = self.all_systems, dict.fromkeys(self.content.operations, "content")
        for name, one in self.imports.items():
            place = ("imports", name)
            if not self.maintenance.zone:
                raise Misplaced("needs maintenance.zone, the time zone that it is meant in", (*place, "cron"))
            if one.system is not None and not isinstance(systems.get(one.system), SqlSystem):
                raise Misplaced(f'{one.system} is no database (adapter = "sql") that is named', (*place, "system"))
            if one.operation and one.operation not in self.operations:
                raise Misplaced(f"{one.operation} is not bound here", (*place, "operation"))
            for operation in one.answers:
                here = toml_path(place)
                if (other := answered.setdefault(operation, here)) != here:
                    raise Misplaced(f"{other} answers it already", (*place, "answers", operation))
        return self

    @model_validator(mode="after")
    def _listeners_are_apart(self) -> Self:
        apart(
            (("metrics", "port"), self.metrics.host, self.metrics.port),
            (("pushes", "port"), self.pushes.host, self.pushes.port),
            (("desk", "port"), self.desk.host, self.desk.port if self.desk.enabled else 0),
        )
        return self

    @model_validator(mode="after")
    def _other_regions_are_reached(self) -> Self:
        if self.settlement.peers and self.settlement.front is None:
            raise Misplaced("needs settlement.front, which carries what is for them", ("settlement", "peers"))
        return self

    @model_validator(mode="after")
    def _ahead_by_which_clocks(self) -> Self:
        if self.hot.prequery.windows and not self.maintenance.zone:
            place = ("hot", "prequery", "windows")
            raise Misplaced("needs maintenance.zone, the time zone its times are meant in", place)
        return self

    @model_validator(mode="after")
    def _pushes_come_from_databases(self) -> Self:
        systems = self.all_systems
        for name, table in self.pushes.tables.items():
            place = ("pushes", "tables", name, "system")
            if table.system not in systems:
                raise Misplaced(f"there is no system {table.system!r}; there are: {', '.join(sorted(systems))}", place)
            if not isinstance(systems[table.system], SqlSystem):
                raise Misplaced(f'{table.system} is no database (adapter = "sql")', place)
        return self

    @model_validator(mode="after")
    def _remembers_longer_than_messages_live(self) -> Self:
        # A row deleted while its message can still come back would let the command be applied twice
        if self.store.retention_days * 24 * 3_600_000 < MAX_AGE_MS + AHEAD_MS:
            raise Misplaced("must be at least 7.5: messages are accepted for so long", ("store", "retention_days"))
        return self
