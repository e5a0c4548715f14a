"""What an operator may set for intranet-bridge (config/intranet_bridge.toml shows every key with its meaning)."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from intranet_bridge.ceilings.sections import CeilingsSection, FrontSection
from intranet_bridge.marketing.binding import (
    DEFAULT_SYSTEM,
    BreakerSection,
    OperationBinding,
    Seconds,
    SystemSection,
)
from intranet_bridge.marketing.kinds import kind
from protocol.envelope import MAX_AGE_MS
from protocol.maintenance import ALL
from protocol.messages import AHEAD_MS
from protocol.operations import CATALOGUE, OWN
from protocol.operations.operation import Kind, UnknownOutcome
from protocol.runtime.audit import AuditSection
from protocol.runtime.backup import BackupSection
from protocol.runtime.control import ControlSection
from protocol.runtime.maintenance import MaintenanceSection
from protocol.runtime.settings import (
    KeysSection,
    LinkSection,
    LogSection,
    MetricsSection,
    Misplaced,
    Name,
    Section,
    StoreSection,
    WireSection,
    nearest,
    nested,
    toml_path,
)
from protocol.runtime.tracing import TracingSection


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


def _opened(table: object, place: tuple[str, ...], info: ValidationInfo) -> SystemSection:
    """A system's table, read by the adapter it names."""
    name = table.get("adapter", "http") if isinstance(table, dict) else "http"
    try:
        found = kind(name)
    except (ValueError, TypeError) as error:
        raise Misplaced(str(error), (*place, "adapter")) from None
    return nested(found.system, table, place, info)


def _bound(name: str, table: object, systems: Mapping[str, SystemSection], info: ValidationInfo) -> OperationBinding:
    """An operation's table, read by the adapter of its system and held against the catalogue."""
    place = ("operations", name)
    operation = CATALOGUE.get(name)
    if operation is None:
        near = nearest(name, CATALOGUE)
        meant = f"did you mean {near}?" if near else f"there are {', '.join(sorted(CATALOGUE))}"
        raise Misplaced(f"is not an operation of the catalogue; {meant}", place)
    if name in OWN:
        raise Misplaced("the bridge answers it itself: nothing binds it", place)
    system = table.get("system", DEFAULT_SYSTEM) if isinstance(table, dict) else DEFAULT_SYSTEM
    if system not in systems:
        near = nearest(str(system), systems)
        meant = f"did you mean {near}?" if near else f"there are: {', '.join(sorted(systems)) or 'none'}"
        raise Misplaced(f"there is no system {system!r}; {meant}", (*place, "system"))
    found = kind(systems[system].adapter)
    binding = nested(found.binding, table, place, info)
    if operation.kind is Kind.COMMAND and operation.unknown_outcome is UnknownOutcome.INQUIRE and not binding.inquires:
        raise Misplaced(
            f"{name} needs [{toml_path((*place, 'inquire'))}]: its unknown outcomes are inquired about", place
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
    link: LinkSection
    keys: KeysSection
    store: StoreSection
    queries: QueriesSection = QueriesSection()
    commands: CommandsSection = CommandsSection()
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
    maintenance: MaintenanceSection = MaintenanceSection()
    marketing: SystemSection | None = None
    """The system of the operations that name none."""
    systems: dict[Name, SystemSection] = Field(default_factory=dict)
    """Further ones, by name."""
    operations: Annotated[dict[str, OperationBinding], Field(min_length=1)]

    @property
    def all_systems(self) -> dict[str, SystemSection]:
        """Every system by its name."""
        return ({DEFAULT_SYSTEM: self.marketing} if self.marketing else {}) | self.systems

    def doubts(self) -> list[str]:
        """What is allowed in the bindings, and may not be what was meant."""
        systems = self.all_systems
        named = {name for window in self.maintenance.windows for name in window.operations if name != ALL}
        windows = [
            f"maintenance.windows: {name} is not bound here, so that it is not paused"
            for name in sorted(named - self.operations.keys() - OWN)
        ]
        return windows + [
            f"{toml_path(('operations', name, *complaint.setting))}: {complaint.message}"
            for name, binding in self.operations.items()
            for complaint in kind(systems[binding.system].adapter).complaints(CATALOGUE[name], binding)
        ]

    def unbound(self) -> list[str]:
        """The catalogue's operations that nobody answers, for no table binds them: callers of them get 502."""
        return sorted(set(CATALOGUE) - OWN - set(self.operations))

    @field_validator("marketing", mode="before")
    @classmethod
    def _default_system(cls, table: object, info: ValidationInfo) -> object:
        return _opened(table, (DEFAULT_SYSTEM,), info)

    @field_validator("systems", mode="before")
    @classmethod
    def _further_systems(cls, tables: object, info: ValidationInfo) -> object:
        if not isinstance(tables, dict):
            return tables
        if DEFAULT_SYSTEM in tables:
            raise Misplaced(f"the table of this one is [{DEFAULT_SYSTEM}]", ("systems", DEFAULT_SYSTEM))
        return {name: _opened(table, ("systems", str(name)), info) for name, table in tables.items()}

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
                    raise Misplaced(f"{instance} is of [fronts.{owner[instance]}] too", ("fronts", name, "instances"))
        return fronts

    @model_validator(mode="after")
    def _remembers_longer_than_messages_live(self) -> Self:
        # A row deleted while its message can still come back would let the command be applied twice
        if self.store.retention_days * 24 * 3_600_000 < MAX_AGE_MS + AHEAD_MS:
            raise ValueError("store.retention_days must be at least 7.5: messages are accepted for so long")
        return self
