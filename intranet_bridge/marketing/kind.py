"""What a kind of adapter is: the contract of a plug-in.

A kind reads two tables of the configuration, a system's and an operation's, into models of its own, opens the system,
and makes an adapter for each operation bound to it. `[marketing]` and `[systems.NAME]` say `adapter = "..."`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from intranet_bridge.marketing import Adapter
from intranet_bridge.marketing.binding import OperationBinding, SystemSection
from intranet_bridge.marketing.masking import Mask
from protocol.operations.operation import Operation
from protocol.runtime.metrics import Sample


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong with a binding, or may be."""

    setting: tuple[str, ...]
    """Within the binding: ``("refusal", "when")``."""
    message: str
    fatal: bool = True


class TrialEnds(BaseException):
    """A trial goes no further than the request. No `Exception`, so that no adapter takes it for a failure."""


class Observer(Protocol):
    """Who listens to one operation being tried (`intranet-bridge try`). What it is told is printed: `mask` it."""

    mask: Mask
    """What may be printed. Tell it the system's secrets (`hide`)."""
    sends: bool
    """Whether anything is handed over to the system. If not, its secrets need not be read."""
    saved: bytes | None
    """An answer to be judged in place of the system's, as the system would give it."""
    inquiry: bool
    """Whether the inquiry is tried in place of the call."""

    def request(self, lines: Sequence[str]) -> None:
        """The request as it will be handed over. Call it before anything is. Raises TrialEnds."""

    def answer(self, lines: Sequence[str]) -> None:
        """The answer as it came."""

    def step(self, name: str, gave: Any) -> None:
        """What the expression of a setting gave, or its MappingError."""


class System(Protocol):
    """One back end, opened."""

    def adapter(self, operation: Operation, binding: Any) -> Adapter:
        """The adapter of one operation. Raises ConfigurationError."""

    async def start(self) -> None:
        """Called once in the event loop, before the first call. A system that is away is no reason to fail."""

    async def close(self) -> None:
        """Called once, after the last call."""

    def samples(self) -> Iterator[Sample]:
        """The numbers of its metrics. May be called by another thread."""


class AdapterKind(Protocol):
    """One kind of adapter: what an entry point of the group `dmz_bridge.adapters` names."""

    @property
    def system(self) -> type[SystemSection]:
        """The model of a system's table."""

    @property
    def binding(self) -> type[OperationBinding]:
        """The model of an operation's table."""

    def complaints(self, operation: Operation, binding: Any) -> Iterator[Complaint]:
        """All that is wrong with a binding, as far as a start can know (marketing/check.py helps)."""

    def open(self, name: str, system: Any, observer: Observer | None = None) -> System:
        """A system. Raises ConfigurationError for files that cannot be used; connects to nothing yet.

        `name` is its table's: `marketing`, or NAME of `[systems.NAME]`. `observer` is there in trials.
        """
