"""Does what a plan says, one step after the other, each announced before it is done."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from scripts.tools.installer.errors import InstallError
from scripts.tools.installer.layout import PREFIX
from scripts.tools.installer.services import Manager
from scripts.tools.installer.steps import Kind, Step


def announce(step: Step) -> None:
    """To standard output: a plan is what was asked for."""
    print(step.line(), flush=True)


class Executor:
    """Carries out steps below a root folder."""

    def __init__(
        self,
        root: str = "",
        prefix: str = PREFIX,
        manager: Manager | None = None,
        say: Callable[[Step], None] = announce,
    ) -> None:
        self._root, self._prefix, self._manager, self._say = root, prefix, manager, say
        self._acts: dict[Kind, Callable[[Step], None]] = {
            Kind.USER: self._user, Kind.FOLDER: self._folder, Kind.WRITE: self._write, Kind.BESIDE: self._write,
            Kind.COPY: self._copy, Kind.TREE: self._tree, Kind.LINK: self._link, Kind.REMOVE: self._remove,
            Kind.RUN: self._run, Kind.RELOCATE: self._relocate,
        }  # fmt: skip

    def all(self, steps: Iterable[Step]) -> None:
        """Every step. Raises InstallError at the first that fails; those before it have been done."""
        for step in steps:
            self.one(step)

    def one(self, step: Step) -> None:
        """Announce it and do it."""
        self._say(step)
        if step.kind in (Kind.KEEP, Kind.NOTE):
            return
        try:
            if act := self._acts.get(step.kind):
                act(step)
            else:
                self._service(step)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise InstallError(f"{step.kind.value} {step.path}: {where}{error.strerror or error}") from error

    def real(self, path: str) -> Path:
        """Where a path of the host is on this machine."""
        return Path(self._root + path)

    # --- files ----------------------------------------------------------------------------------------------

    def _user(self, step: Step) -> None:
        words = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
                 "--shell", "/usr/sbin/nologin", step.path]  # fmt: skip
        if self._root:
            words[1:1] = ["--prefix", self._root]
        command(words, os.environ)

    def _folder(self, step: Step) -> None:
        path = self.real(step.path)
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(step.mode)
        self._own(path, step)

    def _write(self, step: Step) -> None:
        self._put(step, step.content)

    def _copy(self, step: Step) -> None:
        assert step.source is not None
        self._put(step, step.source.read_bytes())

    def _put(self, step: Step, content: bytes) -> None:
        """Beside, with its final mode from the first byte on, and then in its place: never half a file."""
        path = self.real(step.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.installing")
        scratch.unlink(missing_ok=True)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, step.mode & 0o600)
        with os.fdopen(descriptor, "wb") as file:
            self._own(descriptor, step)  # by the descriptor: a link put in its place meanwhile is nobody's file
            os.fchmod(descriptor, step.mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)

    def _tree(self, step: Step) -> None:
        assert step.source is not None
        path = self.real(step.path)
        scratch = path.with_name(f".{path.name}.installing")
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(step.source, scratch, ignore=shutil.ignore_patterns("__pycache__"))
        for one in (scratch, *scratch.rglob("*")):
            one.chmod(0o755 if one.is_dir() else 0o644)
        scratch.rename(path)

    def _link(self, step: Step) -> None:
        path = self.real(step.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.installing")
        scratch.unlink(missing_ok=True)
        scratch.symlink_to(step.target)
        scratch.replace(path)

    def _remove(self, step: Step) -> None:
        path = self.real(step.path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _own(self, path: Path | int, step: Step) -> None:
        if (step.owner, step.group) == ("root", "root") and os.geteuid() != 0:
            return  # below --root as another user: what is packed later is given to root then
        owner, group = (self._number(name, kind) for name, kind in ((step.owner, "passwd"), (step.group, "group")))
        os.chown(path, owner, group)

    def _number(self, name: str, kind: str) -> int:
        """A user's or group's number on the installed host."""
        with contextlib.suppress(OSError):
            for line in self.real(f"/etc/{kind}").read_text().splitlines():
                words = line.split(":")
                if words[0] == name:
                    return int(words[2])
        if name == "root":
            return 0
        raise InstallError(f"there is no {name} in {self.real(f'/etc/{kind}')}")

    # --- commands -------------------------------------------------------------------------------------------

    def _run(self, step: Step) -> None:
        below = (self._prefix + "/",)
        words = [self._root + word if self._root and word.startswith(below) else word for word in step.argv]
        if words[0] == "python3":
            words[0] = sys.executable
        environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8"}
        if not step.user:  # pip's own settings, a proxy
            environment |= {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        command(words, environment | dict(step.environment), step.user)

    def _relocate(self, step: Step) -> None:
        """pip writes where it ran into the first line of each command, and venv into pyvenv.cfg."""
        folder = self.real(step.path)
        for file in (folder / "pyvenv.cfg", *(folder / "bin").iterdir()):
            if file.is_symlink() or not file.is_file():
                continue
            content = file.read_bytes()
            if self._root.encode() in content:
                file.write_bytes(content.replace(self._root.encode(), b""))

    # --- services -------------------------------------------------------------------------------------------

    def _service(self, step: Step) -> None:
        if self._manager is None:
            raise InstallError(f"{step.path} cannot be managed here: systemd is not PID 1")
        if step.kind is Kind.RELOAD:
            self._manager.reload()
        elif step.kind is Kind.ENABLE:
            self._manager.enable(step.path)
        elif step.kind is Kind.DISABLE:
            self._manager.disable(step.path)
        elif step.kind is Kind.START:
            self._manager.start(step.path)
        elif step.kind is Kind.STOP:
            self._manager.stop(step.path)
        else:
            raise InstallError(f"{step.kind.value}: only an upgrade does this")


def command(words: list[str], environment: Mapping[str, str], user: str = "") -> str:
    """Run to its end; its output. Raises InstallError with its last words."""
    as_user: dict[str, Any] = {}
    if user and os.geteuid() == 0:
        who = pwd.getpwnam(user)
        as_user = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            env=environment,
            check=False,
            cwd="/",
            stdin=subprocess.DEVNULL,
            **as_user,
        )
    except FileNotFoundError:
        raise InstallError(f"there is no {words[0]}") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-6:]
        raise InstallError("\n  ".join([f"`{' '.join(words)}` failed ({done.returncode}):", *said]))
    return str(done.stdout)
