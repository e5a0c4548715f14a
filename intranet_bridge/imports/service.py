"""All imports of one bridge, by the clock and by an administrator's word (`bridgectl import`)."""

from collections.abc import Callable, Iterator, Mapping
from datetime import tzinfo
from typing import Any

from intranet_bridge.at_rest import AtRest
from intranet_bridge.imports.answering import ImportedOperation, Under
from intranet_bridge.imports.runs import Import
from intranet_bridge.imports.section import ImportSection
from intranet_bridge.imports.sources import source_of
from intranet_bridge.marketing import Adapter
from intranet_bridge.marketing.kind import System
from protocol.administration import RunImport, asked
from protocol.errors import BridgeError
from protocol.operations import CATALOGUE
from protocol.reports.marketing_data import ImportReport
from protocol.runtime import audit
from protocol.runtime.clock import Clock
from protocol.runtime.control import Answer, Peer
from protocol.runtime.jobs import Jobs
from protocol.runtime.metrics import Sample
from protocol.runtime.store import Store

LOOK_S = 2.0


class Imports:
    """Of one bridge."""

    def __init__(
        self, sections: Mapping[str, ImportSection], *, store: Store, at_rest: AtRest, name: str, clock: Clock,
        zone: Callable[[], tzinfo], allowed: Callable[[], bool], quiet: Callable[[], bool],
        system: Callable[[str], System | None], under: Under, changed: Callable[[frozenset[str]], object],
        act: audit.Act = audit.logged,
    ) -> None:  # fmt: skip
        """`system`: a back end, as bound now. `under`: what an operation is bound to. `changed`: told the operations
        whose answers are others now.
        """
        self._under, self._act, self._clock, self._jobs = under, act, clock, Jobs()

        def one(of: str, section: ImportSection) -> Import:
            return Import(
                of, section, source_of(section, system, under, clock), store=store, at_rest=at_rest, runner=name,
                clock=clock, zone=zone, allowed=allowed, quiet=quiet,
                changed=lambda: changed(frozenset(section.answers)),
            )  # fmt: skip

        self.imports = {of: one(of, section) for of, section in sections.items()}

    def adapters(self) -> dict[str, Adapter]:
        """Of the operations that are answered from imports."""
        return {
            operation: ImportedOperation(CATALOGUE[operation], section, imported, self._under)
            for imported in self.imports.values()
            for operation, section in imported.section.answers.items()
        }

    def answers(self) -> Mapping[str, Answer]:
        """What can be asked."""
        return {"imports": self.told, "run-import": self.run}

    async def start(self) -> None:
        """Look now and then what is due."""
        for name, one in self.imports.items():
            self._jobs.every(LOOK_S, f"import {name}", one.look)
        if self.imports:
            self._jobs.start()

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py)."""
        return self._jobs.standing()

    async def close(self) -> None:
        """Run no more: a run that is cut off goes on at the next start."""
        await self._jobs.close()

    def reports(self) -> tuple[ImportReport, ...]:
        """Each as it stands."""
        return tuple(one.report() for one in self.imports.values())

    async def told(self, _request: Mapping[str, Any], _peer: Peer) -> dict[str, Any]:
        """The same for an administrator."""
        return {"now": self._clock(), "imports": [one.model_dump(mode="json") for one in self.reports()]}

    async def run(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Have one run now. Raises BridgeError."""
        question = asked(RunImport, request)
        found = self.imports.get(question.name)
        if found is None:
            known = ", ".join(sorted(self.imports)) or "none"
            raise BridgeError(f"there is no import {question.name}; there are: {known}")
        found.want(full=question.full)
        by = peer.behind(question.sudo_user)
        await self._act("run-import", by, name=question.name, full=question.full)
        return found.report().model_dump(mode="json")

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        for one in self.reports():
            labels = {"import": one.name}
            yield "intranet_bridge_import_rows", "Rows that are answered from", labels, one.rows
            text = "When the run began that brought it up to date; 0: none has"
            yield "intranet_bridge_import_as_of_timestamp_seconds", text, labels, one.as_of / 1000
            text = "Rows that the run under way has read"
            yield "intranet_bridge_import_read_rows", text, labels, one.read
            text = "1: its source cannot be read, or what was read cannot be kept"
            yield "intranet_bridge_import_failing", text, labels, float(bool(one.error))
