"""Removing a role, or everything: programs and units go, data and configuration stay without `--purge`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from scripts.tools.installer.errors import InstallError
from scripts.tools.installer.facts import Facts
from scripts.tools.installer.layout import ETC, KNOWN, STATE, TARGET, UNITS
from scripts.tools.installer.plan import BROKER_DATA, COMMANDS
from scripts.tools.installer.steps import Kind, Step, keep, note
from scripts.tools.installer.upgrade import BACKUPS, STOP_ORDER

_DATA = {"front": (STATE,), "bridge": (STATE,), "broker": (BROKER_DATA,)}


def uninstall_plan(facts: Facts, prefix: str, wanted: str, *, purge: bool) -> list[Step]:
    """`wanted`: a role, or empty for all there are. Raises InstallError."""
    installed = facts.installed
    if not installed.roles:
        raise InstallError(f"nothing is installed here: there is no {prefix}/installed.json that names a role")
    if wanted and wanted not in installed.roles:
        raise InstallError(f"the role {wanted} is not installed here; {', '.join(installed.roles)} is")
    gone = [name for name in STOP_ORDER if name in installed.roles and wanted in ("", name)]
    left = {name: answers for name, answers in installed.roles.items() if name not in gone}
    steps = list(_services(facts, gone, last=not left))
    if left:
        removed = tuple(step.path for step in steps if step.kind is Kind.REMOVE)
        shipped = {path: one for path, one in installed.shipped.items() if not path.startswith(removed)}
        record = replace(installed, roles=left, shipped=shipped)  # else a later install takes them for removed here
        steps.append(Step(Kind.WRITE, f"{prefix}/installed.json", f"{', '.join(left)} stays", content=record.dump()))
        steps.append(keep(prefix, f"the programs are those of {', '.join(left)} too"))
    else:
        for program in ("bridgectl", *(KNOWN[name].program for name in gone)):
            found = facts.at(f"{COMMANDS}/{program}") if program else None
            if found is not None and found.target.startswith(f"{prefix}/"):
                steps.append(Step(Kind.REMOVE, f"{COMMANDS}/{program}"))
        steps.append(Step(Kind.REMOVE, prefix, "all releases"))
    return [*steps, *_data(facts, gone, last=not left, purge=purge)]


def _services(facts: Facts, gone: list[str], *, last: bool) -> Iterator[Step]:
    units = [KNOWN[name].unit for name in gone] + ([TARGET] if last else [])
    for unit in units:
        if facts.at(f"{UNITS}/{unit}") is None:
            continue
        if facts.manager:
            yield Step(Kind.STOP, unit)
            yield Step(Kind.DISABLE, unit)
        yield Step(Kind.REMOVE, f"{UNITS}/{unit}")
        if facts.at(f"{UNITS}/{unit}.d") is not None:
            yield Step(Kind.REMOVE, f"{UNITS}/{unit}.d", "its drop-ins")
    if facts.manager:
        yield Step(Kind.RELOAD)


def _data(facts: Facts, gone: list[str], *, last: bool, purge: bool) -> Iterator[Step]:
    data = sorted({folder for name in gone for folder in _DATA[name]}) + ([BACKUPS, ETC] if last else [])
    data = [folder for folder in data if facts.at(folder) is not None]
    for folder in data:
        yield Step(Kind.REMOVE, folder, "--purge") if purge else keep(folder, "data and configuration stay")
    users = sorted({user for user in ("dmz-front", "intranet-bridge", "dmz-broker") if user in facts.users})
    if users:
        yield keep(", ".join(users), "users stay: files elsewhere may be theirs; deluser takes one away")
    if not purge and data:
        yield note(f"To take those away too: rm -r {' '.join(data)}")
