"""The ceilings: who may ask at all, and how much.

A front signs what it asks, so a front that was taken over signs too, in whichever application's name and under
whichever front's. What it cannot do is to be let in under a name that the bridge's configuration does not know, or
beyond what is set there. Until fronts are named in it, all that come share one front's ceilings: a name costs an enemy
nothing.

==============  ======================================  ======================================================
ceiling         what is asked                           a query is answered    a command
==============  ======================================  ======================================================
`front`         in the name of a front nobody knows     `not-admitted`         is failed, surely not applied
`application`   in that of an application nobody knows  `not-admitted`         the same
`operation`     for what may not be asked for           `not-admitted`         the same
`rate`          more in a second than may be            `ceiling-met`          waits in the inbox for its turn
`accounts`      about more accounts in an hour          `ceiling-met`          waits in the inbox for the next hour
`attachments`   more bytes of files kept at once        –                      its files wait until there is room
==============  ======================================  ======================================================

A command that was accepted is not lost for a ceiling: a front that was cut off for hours sends all it kept at once.
What waits there can be looked at and taken back (`bridgectl requests list`, `requests cancel`).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from intranet_bridge.ceilings.allowance import Rate, Window
from intranet_bridge.ceilings.met import Met
from intranet_bridge.ceilings.sections import ApplicationSection, CeilingsSection, FrontSection, allowed
from protocol.operations import CATALOGUE
from protocol.reports.admission import CeilingReport
from protocol.runtime.clock import Clock
from protocol.runtime.metrics import Sample

NOT_ADMITTED = "not-admitted"
CEILING_MET = "ceiling-met"
_MOST_APPLICATIONS = 256
"""So many applications of a front whose configuration names none have ceilings of their own; the others share one."""
_MOST_SOURCES = 4_096
ANY_FRONT = "*"
OTHERS = "(others)"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something is not done, or not yet."""

    code: str
    ceiling: str
    retry_s: float = 0.0
    """So long until it would be; 0: never."""


@dataclass(slots=True, eq=False)
class _Front:
    """A front, or several that share a ledger."""

    name: str
    queries: Rate
    commands: Rate
    accounts: int
    attachment_bytes: int
    window: Window
    instances: frozenset[str]
    """Empty: any."""
    closed: bool
    """It has the applications of its configuration and no others."""
    section: FrontSection
    applications: dict[str, "_Application"] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Application:
    """One application of a front."""

    front: _Front
    name: str
    queries: Rate
    commands: Rate
    accounts: int
    operations: frozenset[str]
    counted: int = 0
    """Different accounts in this window."""
    window: int = 0


class Ceilings:
    """Judges who asks and how much of it there was."""

    def __init__(
        self,
        section: CeilingsSection,
        fronts: Mapping[str, FrontSection],
        clock: Clock,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock`: epoch ms, for reports. `now`: seconds."""
        self._now = now
        self.met = Met(clock)
        self._fronts: dict[str, _Front] = {}
        self._sources: dict[str, _Application] = {}
        self.use(section, fronts)

    def use(self, section: CeilingsSection, fronts: Mapping[str, FrontSection]) -> None:
        """Go by these from now on, as if none had been met; what was counted of who stays is kept."""
        before = self._fronts
        self._section, self._named = section, bool(fronts)
        made = {name: self._front(name, of) for name, of in fronts.items()}
        self._fronts = made or {ANY_FRONT: self._front(ANY_FRONT, FrontSection())}
        self._by_instance = {instance: front for front in self._fronts.values() for instance in front.instances}
        for name, front in self._fronts.items():
            old = before.get(name)
            if old is None:
                continue
            front.window = old.window
            for application in front.applications.values():
                if (was := old.applications.get(application.name)) is not None:
                    application.counted, application.window = was.counted, was.window
        self._sources = {}
        self.met.forget()
        self.met.known = {*self._fronts, *self._by_instance}

    # --- who asks -------------------------------------------------------------------------------------------

    def refused(self, source: str, operation: str, group: str = "") -> Refusal | None:
        """Why what `source` (`front-1/wechat`) asks for is not for it to ask for; counted as met. None: it is.

        `group`: of the key it is signed with, whose fronts alone it speaks for; empty: all fronts share the key.
        """
        application = self._sources.get(source)
        if application is None:
            found = self._found(source)
            if isinstance(found, str):
                front, _, name = source.partition("/")
                self.met.note(front, name, found, 0.0)
                return Refusal(NOT_ADMITTED, found)
            application = found
        if group and application.front.name != group:
            self._not_of(group, source)
            return Refusal(NOT_ADMITTED, "front")
        if operation not in application.operations and operation in CATALOGUE:
            self._note(application, "operation", 0.0, operation)
            return Refusal(NOT_ADMITTED, "operation")
        return None

    def group_of(self, instance: str) -> str:
        """The table that names a front; empty: none does."""
        front = self._by_instance.get(instance)
        return "" if front is None else front.name

    def same_front(self, one: str, other: str) -> bool:
        """Whether two sources are of fronts that share a ledger, as far as the configuration tells."""
        return not self._named or self.group_of(one.partition("/")[0]) == self.group_of(other.partition("/")[0])

    def foreign(self, one: str, other: str) -> bool:
        """Whether a front is known to be of another table than this one. What a front that is gone has left is not."""
        whose = self.group_of(other)
        return bool(whose) and whose != self.group_of(one)

    def admits_front(self, source: str, group: str = "") -> bool:
        """The same for what no application asks, such as an operator's decision: whether its front is known."""
        front = source.partition("/")[0]
        if (self.group_of(front) == group) if group else (not self._named or front in self._by_instance):
            return True
        if group:
            self._not_of(group, source)
        else:
            self.met.note(front, "", "front", 0.0)
        return False

    def may_answer(self, reply_to: str, group: str = "") -> bool:
        """Whether a reply queue is that of a front that is known, and of the group that asks."""
        front = reply_to.rpartition(".")[2]
        if group:
            return self.group_of(front) == group
        return not self._named or front in self._by_instance

    # --- how much -------------------------------------------------------------------------------------------

    def query(self, source: str, operation: str, body: Any) -> Refusal | None:
        """Why a query of an admitted source is not asked now; else it is counted."""
        application = self._application(source)
        front, now = application.front, self._now()
        wait_s = application.queries.wait_s(now)
        if wait_s > 0:
            return self._beyond(application, "rate", application.queries.per_s, wait_s)
        wait_s = front.queries.wait_s(now)
        if wait_s > 0:
            return self._beyond(front, "rate", front.queries.per_s, wait_s)
        account = _account(operation, body)
        if account is not None:
            refusal = self._counted(application, account, now)
            if refusal is not None:
                return refusal
        application.queries.spend(now)
        front.queries.spend(now)
        return None

    def command_wait_s(self, source: str) -> float:
        """How long a command has to wait for its turn. It has that turn: this is asked once for each."""
        application = self._application(source)
        front, now = application.front, self._now()
        of_application, of_front = application.commands.wait_s(now), front.commands.wait_s(now)
        application.commands.spend(now)
        front.commands.spend(now)
        if of_application > 0 and of_application >= of_front:
            self._beyond(application, "rate", application.commands.per_s, of_application)
        elif of_front > 0:
            self._beyond(front, "rate", front.commands.per_s, of_front)
        return max(0.0, of_application, of_front)

    def command_account_wait_s(self, source: str, operation: str, body: Any) -> float:
        """How long a command has to wait because of the account it is about; 0: it is counted."""
        account = _account(operation, body)
        if account is None:
            return 0.0
        refusal = self._counted(self._application(source), account, self._now())
        return 0.0 if refusal is None else refusal.retry_s

    def attachments(self, source: str) -> tuple[str, int]:
        """Whose attachments those of an admitted source are counted with, and how many bytes of these may be kept."""
        front = self._application(source).front
        return front.name, front.attachment_bytes

    def others(self, front: str) -> frozenset[str]:
        """The tables of fronts besides this one."""
        return frozenset(self._fronts) - {front}

    def met_by_attachments(self, source: str) -> None:
        """More of them came than may be kept."""
        front = self._application(source).front
        self._note(front, "attachments", front.attachment_bytes)

    # --- what came of it ------------------------------------------------------------------------------------

    def report(self) -> tuple[CeilingReport, ...]:
        """Those that were met lately."""
        return self.met.report()

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        yield from self.met.samples()

    def _found(self, source: str) -> "_Application | str":
        instance, _, name = source.partition("/")
        front = self._by_instance.get(instance) if self._named else self._fronts[ANY_FRONT]
        if front is None:
            return "front"
        application = front.applications.get(name)
        if application is None:
            if front.closed:
                return "application"
            if len(front.applications) >= _MOST_APPLICATIONS:
                name = OTHERS
            application = front.applications.get(name) or self._open(front, name, ApplicationSection())
        if len(self._sources) >= _MOST_SOURCES:
            self._sources.clear()
        self._sources[source] = application
        return application

    def _application(self, source: str) -> _Application:
        """Of a source that was admitted; one that is not any more, since a reload, has the first front's ceilings."""
        application = self._sources.get(source)
        if application is not None:
            return application
        found = self._found(source)
        if not isinstance(found, str):
            return found
        front = next(iter(self._fronts.values()))
        return front.applications.get(OTHERS) or self._open(front, OTHERS, ApplicationSection())

    def _counted(self, application: _Application, account: str, now: float) -> Refusal | None:
        front = application.front
        window = front.window
        window.look(now)
        if application.window != window.begun:
            application.window, application.counted = window.begun, 0
        key = hash((application.name, account))  # Python's hash of a str is SipHash under a key made at start
        if key in window.seen:
            return None
        if application.counted >= application.accounts:
            return self._beyond(application, "accounts", application.accounts, window.until - now)
        if len(window.seen) >= front.accounts:
            return self._beyond(front, "accounts", front.accounts, window.until - now)
        window.seen.add(key)
        application.counted += 1
        return None

    def _not_of(self, group: str, source: str) -> None:
        """Signed by a group's key, in the name of a front that is not of it: who has the key is the one to look at."""
        self.met.note(group, f"{source} (signed by {group})", "front", 0.0)

    def _beyond(self, whose: "_Application | _Front", ceiling: str, limit: float, retry_s: float) -> Refusal:
        self._note(whose, ceiling, limit)
        return Refusal(CEILING_MET, ceiling, retry_s)

    def _note(self, whose: "_Application | _Front", ceiling: str, limit: float, operation: str = "") -> None:
        if isinstance(whose, _Front):
            self.met.note(whose.name, "", ceiling, limit, operation)
        else:
            self.met.note(whose.front.name, whose.name, ceiling, limit, operation)

    def _front(self, name: str, section: FrontSection) -> _Front:
        common = self._section
        rate = section.rate or common.front_rate
        instances: Iterable[str] = section.instances or (() if name == ANY_FRONT else (name,))
        front = _Front(
            name, Rate(rate, common.burst_s), Rate(rate, common.burst_s), section.accounts or common.front_accounts,
            section.attachment_bytes or common.front_attachment_bytes, Window(), frozenset(instances),
            bool(section.applications), section,
        )  # fmt: skip
        for application, of in section.applications.items():
            self._open(front, application, of)
        return front

    def _open(self, front: _Front, name: str, section: ApplicationSection) -> _Application:
        common = self._section
        rate = section.rate or common.application_rate
        application = front.applications[name] = _Application(
            front, name, Rate(rate, common.burst_s), Rate(rate, common.burst_s),
            section.accounts or common.application_accounts,
            allowed(front.section.operations or common.operations, section.operations),
        )  # fmt: skip
        return application


def _account(operation: str, body: Any) -> str | None:
    """What it is about, in one customer's terms: mostly an account number; None: nothing of a customer."""
    entry = CATALOGUE.get(operation)
    if entry is None or entry.about is None:
        return None
    value = getattr(body, entry.about, None)
    return None if value is None else str(value)
