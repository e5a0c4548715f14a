"""What an operator may set for intranet-bridge (config/intranet_bridge.toml shows every key with its meaning)."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from intranet_bridge.marketing.binding import Binding, BreakerSection, MarketingSection, Seconds
from intranet_bridge.marketing.check import complaints
from protocol.envelope import MAX_AGE_MS
from protocol.messages import AHEAD_MS
from protocol.operations import CATALOGUE
from protocol.operations.operation import Kind, UnknownOutcome
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
)


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
    order_patience_s: Seconds = 45.0
    """How long a command waits for its predecessor, an earlier one of the same key, when that has not arrived. More
    than the front's `resend_after_s`, or a command that was lost once is overtaken."""


def _catalogued(name: str) -> str:
    if name not in CATALOGUE:
        raise ValueError(f"{name!r} is not an operation of the catalogue ({', '.join(sorted(CATALOGUE))})")
    return name


def _inquirable(bindings: dict[str, Binding]) -> dict[str, Binding]:
    for name, binding in bindings.items():
        operation = CATALOGUE[name]
        asks = operation.kind is Kind.COMMAND and operation.unknown_outcome is UnknownOutcome.INQUIRE
        if asks and binding.inquire is None:
            raise ValueError(f"{name} needs [operations.{name}.inquire]: its unknown outcomes are inquired about")
    return bindings


def _fitting(bindings: dict[str, Binding]) -> dict[str, Binding]:
    for name, binding in bindings.items():
        for complaint in complaints(CATALOGUE[name], binding):
            if complaint.fatal:
                raise Misplaced(complaint.message, ("operations", name, *complaint.setting))
    return bindings


OperationName = Annotated[str, AfterValidator(_catalogued)]


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
    wire: WireSection = WireSection()
    metrics: MetricsSection = MetricsSection()
    log: LogSection = LogSection()
    marketing: MarketingSection
    operations: Annotated[
        dict[OperationName, Binding], Field(min_length=1), AfterValidator(_inquirable), AfterValidator(_fitting)
    ]

    def doubts(self) -> list[str]:
        """What is allowed in the bindings, and may not be what was meant."""
        return [
            f"{'.'.join(('operations', name, *complaint.setting))}: {complaint.message}"
            for name, binding in self.operations.items()
            for complaint in complaints(CATALOGUE[name], binding)
        ]

    @model_validator(mode="after")
    def _remembers_longer_than_messages_live(self) -> Self:
        # A row deleted while its message can still come back would let the command be applied twice
        if self.store.retention_days * 24 * 3_600_000 < MAX_AGE_MS + AHEAD_MS:
            raise ValueError("store.retention_days must be at least 7.5: messages are accepted for so long")
        return self
