"""An upgrade, decided from what is there: what is made ready, the turn itself, and the way back.

The turn is: stop (the daemons drain), save, migrate, switch the link, start, and ask over the control socket. Whatever
fails in it is gone back on, by what was saved; the same way back is open later (`--roll-back`).

Going back never loses a request: once the new release has been started, the database is taken back by its migrations,
with every row in it, and not replaced by the copy; commands may have been accepted since.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from scripts.tools.installer import plan
from scripts.tools.installer.conffiles import digest
from scripts.tools.installer.errors import InstallError
from scripts.tools.installer.facts import Facts
from scripts.tools.installer.layout import KNOWN, Role
from scripts.tools.installer.source import Source
from scripts.tools.installer.steps import Kind, Step, keep, note
from scripts.tools.installer.units import Unit

BACKUPS = "/var/backups/dmz-bridge"
STOP_ORDER = ("front", "bridge", "broker")
KEPT_BACKUPS = 3


@dataclass(frozen=True)
class Service:
    """A role's service as the upgrade finds it."""

    running: bool
    database: str = ""
    """The SQLite file; empty: a server's database, of which no copy is made here, or none."""
    socket: str = ""
    """Where it answers administrators; empty: nowhere."""
    linked: bool = False
    """It had the broker."""


@dataclass
class Turn:
    """What an upgrade has saved: `turn.json` in its folder of BACKUPS, enough to go back without anything else."""

    before: str
    after: str
    folder: str
    services: dict[str, dict[str, object]]
    revisions: dict[str, str] = field(default_factory=dict)
    """Role → its schema's revision under the release before."""
    files: dict[str, str] = field(default_factory=dict)
    """Configuration file that was written → its copy in the folder; empty: there was none."""
    broker_before: str = ""
    started: bool = False
    """The new release has been started, and may have accepted something."""
    done: bool = False
    """It came to its end; else it was cut short."""

    def dump(self) -> bytes:
        """As it is written."""
        return (json.dumps(asdict(self), indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def load(cls, text: str) -> Turn:
        """As it was written."""
        return cls(**json.loads(text))

    def service(self, role: str) -> Service:
        """A role's service, as it was before."""
        return Service(**self.services[role])  # type: ignore[arg-type]


@dataclass(frozen=True)
class Upgrade:
    """The two halves: what fails in the first leaves everything as it was."""

    prepare: tuple[Step, ...]
    turn: tuple[Step, ...]
    state: Turn


def upgrade_plan(facts: Facts, source: Source, prefix: str, services: Mapping[str, Service], folder: str) -> Upgrade:
    """`folder`: in which this upgrade saves. Raises InstallError for what has to be done before."""
    installed = facts.installed
    if not installed.release:
        raise InstallError("nothing is installed here: scripts/install --role ROLE")
    if installed.release == source.release:
        raise InstallError(f"{source.release} is what is installed; there is nothing to do")
    if not facts.manager:
        raise InstallError("an upgrade stops and starts services, and systemd is not PID 1 here")
    roles = [KNOWN[name] for name in STOP_ORDER if name in installed.roles]
    for role in roles:
        plan.obstacles(replace_release(facts, source.release), source, plan.Wanted(role, prefix))
    texts = _texts(facts, source, prefix, roles)
    writes = [step for step in plan.conffiles(facts, texts) if step.kind in (Kind.WRITE, Kind.BESIDE)]
    left = [step for step in plan.conffiles(facts, texts) if step.kind is Kind.KEEP]
    turned = [role for role in roles if role.program or _broker_changes(facts, source, writes)]
    with_program = [role for role in turned if role.program]
    broker = "broker" in installed.roles and bool(source.broker)
    state = Turn(
        before=installed.release, after=source.release, folder=folder,
        services={role.name: asdict(services[role.name]) for role in turned},
        files={step.path: f"files/{number}" if facts.at(step.path) else "" for number, step in enumerate(writes)
               if step.kind is Kind.WRITE},
        broker_before=installed.broker if broker and installed.broker != source.broker_version else "",
    )  # fmt: skip
    record = replace(
        installed, release=source.release, previous=installed.release,
        shipped={**installed.shipped, **{path: digest(text) for path, text in texts.items()}},
        broker=source.broker_version if broker else installed.broker,
    )  # fmt: skip
    prepare = [
        note(f"From {installed.release} to {source.release}. First what can be done while all runs on."),
        *plan.release_steps(facts, source, prefix),
        *(_broker_files(facts, source, prefix) if broker else ()),
        *(checked(role, source, prefix) for role in with_program),
    ]
    turn = [
        note(f"Now the turn. What it saves is in {folder}; if it fails, {installed.release} is put back."),
        *(Step(Kind.STOP, role.unit, "it drains: callers get their answers") for role in turned),
        Step(Kind.SAVE, folder, _saved(state)),
        *writes, *left,
        Step(Kind.RELOAD, "", "the service manager reads its units"),
        *(checked(role, source, prefix) for role in with_program if state.files),
        *(Step(Kind.MIGRATE, role.name, "the schema", target=source.release) for role in with_program),
        Step(Kind.LINK, f"{prefix}/current", target=f"releases/{source.release}"),
        *([Step(Kind.LINK, f"{prefix}/broker/current", target=f"activemq-{source.broker_version}")]
          if state.broker_before else []),
        *_started(turned, services),
        Step(Kind.WRITE, f"{prefix}/installed.json", "what is installed", content=record.dump()),
    ]  # fmt: skip
    return Upgrade(tuple(prepare), tuple(turn), state)


def replace_release(facts: Facts, release: str) -> Facts:
    """As if that release were the installed one."""
    return replace(facts, installed=replace(facts.installed, release=release))


def way_back(state: Turn, prefix: str, record: bytes, changed: frozenset[str] = frozenset()) -> list[Step]:
    """From whatever point the turn had come to. `record`: installed.json as it was. `changed`: configuration files that
    somebody has changed since, which are left.
    """
    roles = [KNOWN[name] for name in STOP_ORDER if name in state.services]
    services = {role.name: state.service(role.name) for role in roles}
    return [
        *(Step(Kind.STOP, role.unit) for role in roles),
        *(Step(Kind.DOWNGRADE, role.name, f"to revision {state.revisions[role.name]}, rows kept", target=state.after)
          for role in roles if role.name in state.revisions),
        *_restored(state, changed),
        Step(Kind.LINK, f"{prefix}/current", target=f"releases/{state.before}"),
        *([Step(Kind.LINK, f"{prefix}/broker/current", target=f"activemq-{state.broker_before}")]
          if state.broker_before else []),
        Step(Kind.WRITE, f"{prefix}/installed.json", "what is installed", content=record),
        Step(Kind.RELOAD, "", "the service manager reads its units"),
        *_started(roles, services),
    ]  # fmt: skip


def _restored(state: Turn, changed: frozenset[str]) -> Iterator[Step]:
    for path, copy in state.files.items():
        if path in changed:
            yield keep(path, f"changed here since; as it was: {state.folder}/{copy}" if copy else "changed here since")
        elif copy:
            yield Step(Kind.COPY, path, "as it was", source=Path(state.folder, copy))
        else:
            yield Step(Kind.REMOVE, path, "it was not there")


def _started(roles: list[Role], services: Mapping[str, Service]) -> Iterator[Step]:
    for role in reversed(roles):
        if services[role.name].running:
            yield Step(Kind.START, role.unit)
            yield Step(Kind.HEALTHY, role.name, "asked over its control socket" if role.program else "its port answers")
        else:
            yield keep(role.unit, "did not run before, and is not started")


def checked(role: Role, source: Source, prefix: str) -> Step:
    """The new program's look at the configuration there is."""
    unit = Unit.read(role.unit, source.files[f"config/systemd/{role.unit}"].decode())
    return plan.check(role, unit, prefix, source.release)


def _texts(facts: Facts, source: Source, prefix: str, roles: list[Role]) -> dict[str, bytes]:
    """All configuration files of this host as the new release ships them."""
    found: dict[str, bytes] = {}
    names = frozenset(facts.installed.roles)
    for role in roles:
        answers = plan.answered(facts.installed, plan.Wanted(role, prefix))
        own = plan.configuration(source, prefix, role, answers, names) | plan.drop_ins(facts, source, role)
        found = {**own, **found}
    return found


def _broker_files(facts: Facts, source: Source, prefix: str) -> Iterator[Step]:
    return (step for step in plan.broker_steps(facts, source, prefix) if step.kind is not Kind.LINK)


def _broker_changes(facts: Facts, source: Source, writes: list[Step]) -> bool:
    """Whether the broker has to be started again: its version, its unit or its configuration is another."""
    own = ("/activemq/", KNOWN["broker"].unit)
    other = bool(source.broker) and source.broker_version != facts.installed.broker
    return other or any(step.kind is Kind.WRITE and any(part in step.path for part in own) for step in writes)


def _saved(state: Turn) -> str:
    what = [f"{role}'s database" for role in state.services if state.service(role).database]
    if state.files:
        what.append(f"{len(state.files)} configuration files")
    return ", ".join(what) or "which revisions the databases have"
