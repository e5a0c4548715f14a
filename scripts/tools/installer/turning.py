"""Carrying out an upgrade: the steps that only it has, and what happens when one fails."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import socket
import stat
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from scripts.tools.installer import plan
from scripts.tools.installer.errors import InstallError
from scripts.tools.installer.executor import Executor, command
from scripts.tools.installer.facts import Facts
from scripts.tools.installer.layout import ETC, KNOWN, Role
from scripts.tools.installer.services import Manager, installed, report
from scripts.tools.installer.steps import Kind, Step
from scripts.tools.installer.units import Unit
from scripts.tools.installer.upgrade import BACKUPS, KEPT_BACKUPS, Service, Turn, Upgrade, way_back

PATIENCE_S = 60.0
"""For a service to be well after its start."""
_COPY = """
import sqlite3, sys
database, copy = (sqlite3.connect(name) for name in sys.argv[1:])
database.backup(copy)
table = copy.execute("SELECT name FROM sqlite_master WHERE name GLOB 'alembic_version_*'").fetchone()
print(copy.execute(f'SELECT version_num FROM "{table[0]}"').fetchone()[0] if table else "")
copy.close()
"""


def services_of(facts: Facts, manager: Manager) -> dict[str, Service]:
    """The services of this host as they are now."""
    return {name: _service(KNOWN[name], manager) for name in facts.installed.roles}


def _service(role: Role, manager: Manager) -> Service:
    running = manager.active(role.unit)
    if not role.program:
        return Service(running)
    settings = tomllib.loads(Path(ETC, role.configuration).read_text(encoding="utf-8-sig"))
    file, control = settings.get("store", {}).get("file", ""), settings.get("control", {}).get("socket", "")
    control = str(Path(ETC, control)) if control else ""
    told = report(Path(control)) if control else None
    return Service(running, str(Path(ETC, file)) if file else "", control, bool(told) and _linked(told))


def _linked(told: dict[str, Any] | None) -> bool:
    return bool(told) and all(link.get("connected") for link in (told or {}).get("links", []))


def enough_room(services: dict[str, Service]) -> None:
    """Raises InstallError when there is no room for the copies."""
    for one in services.values():
        if not one.database or not Path(one.database).exists():
            continue
        size = sum(
            Path(one.database + ending).stat().st_size
            for ending in ("", "-wal")
            if Path(one.database + ending).exists()
        )
        for folder in (Path(one.database).parent, next(p for p in Path(BACKUPS, "x").parents if p.exists())):
            free = shutil.disk_usage(folder).free
            if free < size * 1.2 + (64 << 20):
                raise InstallError(
                    f"{folder} has {free >> 20} MB free, and a copy of {one.database} needs {size >> 20} MB"
                )


class Turner(Executor):
    """An executor that also knows how to save, migrate, go back and ask."""

    def __init__(self, prefix: str, manager: Manager, state: Turn, patience_s: float = PATIENCE_S, **more: Any) -> None:
        super().__init__("", prefix, manager, **more)
        self._state, self._patience_s = state, patience_s
        self._manager: Manager = manager

    def _service(self, step: Step) -> None:
        if step.kind is Kind.SAVE:
            self._save()
        elif step.kind is Kind.MIGRATE:
            self._migrate(KNOWN[step.path], step.target, "")
        elif step.kind is Kind.DOWNGRADE:
            self._downgrade(KNOWN[step.path])
        elif step.kind is Kind.HEALTHY:
            self._healthy(KNOWN[step.path])
        else:
            if step.kind is Kind.START and not self._state.started:
                self._state.started = True
                self.keep_state()
            super()._service(step)

    def keep_state(self) -> None:
        """Write down how far it has come."""
        folder = Path(self._state.folder)
        folder.mkdir(parents=True, exist_ok=True)
        for one in (folder.parent, folder):
            one.chmod(0o700)
        self._put(Step(Kind.WRITE, f"{folder}/turn.json", mode=0o600), self._state.dump())

    def _save(self) -> None:
        folder = Path(self._state.folder)
        (folder / "files").mkdir(parents=True, exist_ok=True)
        self.keep_state()
        shutil.copy2(Path(self._prefix, "installed.json"), folder / "installed.json")
        for path, copy in self._state.files.items():
            if copy:
                shutil.copy2(path, folder / copy)
        for name in self._state.services:
            role, service = KNOWN[name], self._state.service(name)
            if not role.program or (service.database and not Path(service.database).exists()):
                continue
            if service.database:
                revision = self._copy_database(Path(service.database), folder / f"{name}.sqlite3")
            else:
                revision = self._migrate(role, self._state.before, "")
            if not revision:
                raise InstallError(f"the database of {role.program} has no revision, so there would be no way back")
            self._state.revisions[name] = revision
        self.keep_state()

    def _copy_database(self, database: Path, copy: Path) -> str:
        """By SQLite itself, as the database's own user: no file of root's is left beside it. Its schema's revision."""
        beside, owner = database.with_name(f"{database.name}.saved"), _status(database).st_uid
        beside.unlink(missing_ok=True)
        said = command([f"{self._prefix}/current/bin/python", "-c", _COPY, str(database), str(beside)],
                       {"PATH": "/usr/bin:/bin"}, _owner(database))  # fmt: skip
        with _opened(beside, owner) as made, _created(copy) as kept:
            shutil.copyfileobj(made, kept)
        beside.unlink()
        return said.strip()

    def _migrate(self, role: Role, release: str, revision: str) -> str:
        """By a release's program, to a revision (empty: its newest). The revision the database is at now."""
        service = self._state.service(role.name)
        folder = plan.release_folder(self._prefix, release)
        words = [f"{folder}/bin/{role.program}", "--config", f"{ETC}/{role.configuration}", "--migrate"]
        file = Path(service.database) if service.database else None
        user = _owner(file) if file is not None and file.exists() else _user(role)
        environment = {"PATH": "/usr/bin:/bin", **dict(plan.credentials(installed(role.unit)))}
        said = command([*words, revision] if revision else words, environment, user)
        found = re.search(r"at revision (\w+)", said)
        if found is None:
            raise InstallError(f"{role.program} --migrate said no revision: {said.strip()[-200:]}")
        return found.group(1)

    def _downgrade(self, role: Role) -> None:
        """The new release takes its changes back; only if nobody can have written since is the copy put in place."""
        wanted = self._state.revisions[role.name]
        try:
            self._migrate(role, self._state.after, wanted)
            return
        except InstallError as error:
            failed = error
        try:  # it may never have been changed, or the new program cannot even say
            if self._migrate(role, self._state.before, "") == wanted:
                return
        except InstallError:
            pass
        service = self._state.service(role.name)
        copy = Path(self._state.folder, f"{role.name}.sqlite3")
        if self._state.started or not service.database or not copy.exists():
            raise InstallError(
                f"the database of {role.program} does not go back to revision {wanted}, and was not replaced by the "
                f"copy, as requests may have been accepted since: {failed}\n"
                f"  the database: {service.database or 'on its server'}; the copy: {copy if copy.exists() else 'none'}"
            )
        database = Path(service.database)
        owner = _status(database)
        for ending in ("-wal", "-shm"):
            database.with_name(database.name + ending).unlink(missing_ok=True)
        scratch = database.with_name(f".{database.name}.restoring")
        with copy.open("rb") as kept, _created(scratch) as made:
            os.fchown(made.fileno(), owner.st_uid, owner.st_gid)
            shutil.copyfileobj(kept, made)
        scratch.replace(database)

    def _healthy(self, role: Role) -> None:
        end = time.monotonic() + self._patience_s
        wrong = self._trouble(role)
        while wrong and time.monotonic() < end:
            time.sleep(0.1)
            wrong = self._trouble(role)
        if wrong:
            raise InstallError(f"{role.unit} is not well after {self._patience_s:g} s: {wrong}")

    def _trouble(self, role: Role) -> str:
        """What is wrong with a service; empty: nothing."""
        if not self._manager.active(role.unit):
            return "it has ended"
        service = self._state.service(role.name)
        if not role.program:
            host, port = broker_address(installed(role.unit))
            try:
                socket.create_connection((host, port), 1).close()
            except OSError as error:
                return f"{host}:{port} does not answer: {error.strerror}"
            return ""
        if not service.socket:
            return ""  # it has said READY, and that is all that can be known
        told = report(Path(service.socket))
        if told is None:
            return "it does not answer on its control socket"
        if trouble := told.get("store", {}).get("trouble"):
            return f"its database: {trouble}"
        if service.linked and not _linked(told):
            return "it has not got the broker, and had it before"
        return ""


def broker_address(unit: Unit) -> tuple[str, int]:
    """Where the broker listens, by its unit."""
    words = " ".join(unit.all("ExecStart") + unit.all("Environment"))
    host, port = (re.search(rf"-Ddmz\.{key}=([^\s\"']+)", words) for key in ("host", "port"))
    address = host.group(1) if host else "0.0.0.0"  # noqa: S104 - the wildcard, to be replaced
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address), int(port.group(1)) if port else 61616  # noqa: S104


# A database's folder is its service's, and a service that was taken over puts links there: root must not read, write or
# give away what they lead to.


def _status(database: Path) -> os.stat_result:
    """Of the file itself. Raises InstallError for a link."""
    status = database.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise InstallError(f"{database} is no regular file: name the file itself as `file` of [store]")
    return status


def _opened(file: Path, owner: int) -> IO[bytes]:
    """To be read. Raises InstallError for a link, or another user's file."""
    opened = os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
    status = os.fstat(opened.fileno())
    if not stat.S_ISREG(status.st_mode) or status.st_uid != owner:
        opened.close()
        raise InstallError(f"{file} is not what was written there")
    return opened


def _created(file: Path) -> IO[bytes]:
    """A new file, for its owner alone; what was there is taken away."""
    file.unlink(missing_ok=True)
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb")


def _owner(file: Path) -> str:
    return pwd.getpwuid(_status(file).st_uid).pw_name


def _user(role: Role) -> str:
    return installed(role.unit).user


def turn(upgrade: Upgrade, doer: Turner, prefix: str) -> None:
    """All of it. Raises InstallError after everything is as it was before, or says what is not."""
    state = upgrade.state
    try:
        doer.all(upgrade.prepare)
    except InstallError as error:
        with contextlib.suppress(OSError):
            shutil.rmtree(plan.release_folder(prefix, state.after))
        raise InstallError(f"{error}\nnothing was stopped or changed: {state.before} runs on") from error
    try:
        doer.all(upgrade.turn)
    except (InstallError, KeyboardInterrupt) as error:
        print(f"error: {str(error) or 'interrupted'}\nGoing back to {state.before}:", flush=True)
        back(state, doer, prefix)
        raise InstallError(
            f"the upgrade to {state.after} failed (why stands above), and {state.before} is back with every request "
            f"(saved: {state.folder})"
        ) from None
    state.done = True
    doer.keep_state()
    _forget(doer, prefix, (state.before, state.after))


def back(state: Turn, doer: Turner, prefix: str, changed: frozenset[str] = frozenset()) -> None:
    """Go back by what was saved. Raises InstallError, saying how it stands, if even that fails."""
    record = Path(state.folder, "installed.json")
    if not record.exists():  # it failed before anything was saved, so before anything was changed
        for name in reversed(list(state.services)):
            if state.service(name).running:
                doer.one(Step(Kind.START, KNOWN[name].unit))
        return
    try:
        doer.all(way_back(state, prefix, record.read_bytes(), changed))
    except InstallError as error:
        raise InstallError(
            f"{error}\nthe way back to {state.before} is not at its end. Mend what stands above, then: "
            f"scripts/upgrade --roll-back. What was saved: {state.folder}"
        ) from error
    state.done = True
    doer.keep_state()


def last_turn(prefix: str) -> Turn | None:
    """The latest upgrade that saved anything here."""
    found = sorted(Path(BACKUPS).glob("*/turn.json"))
    return Turn.load(found[-1].read_text()) if found else None


def _forget(doer: Turner, prefix: str, kept: Sequence[str]) -> None:
    """Releases before the last two, and copies before the last three, are taken away."""
    for folder in sorted(Path(prefix, "releases").iterdir()):
        if folder.name not in kept:
            doer.one(Step(Kind.REMOVE, str(folder), "neither this release nor the one before"))
    for folder in sorted(Path(BACKUPS).iterdir())[:-KEPT_BACKUPS]:
        doer.one(Step(Kind.REMOVE, str(folder), f"older than the last {KEPT_BACKUPS}"))
