"""The daemons' configuration files: judged by the daemons themselves, read here for what both sides share."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from bridgectl.doctor.finding import Finding, Status
from bridgectl.language import tr
from bridgectl.programs import PROGRAMS
from protocol.errors import ConfigurationError
from protocol.messages import Role
from protocol.runtime.settings import (
    FilePath,
    KeysSection,
    LinkSection,
    MetricsSection,
    StoreSection,
    from_file,
    load,
)

_CHECK_S = 60.0


class _Part(BaseModel):
    # What else is in the daemon's file is the daemon's business: `--check-config` judges it.
    model_config = ConfigDict(extra="ignore", frozen=True)


class HttpPart(_Part):
    """[http] of the front."""

    host: str = "127.0.0.1"
    port: int = 8080
    certificate: FilePath | None = None
    key: FilePath | None = None
    client_ca: FilePath | None = None


class PushesPart(_Part):
    """[pushes] of the bridge."""

    host: str = "127.0.0.1"
    port: int = 0
    token_file: FilePath | None = None
    certificate: FilePath | None = None
    key: FilePath | None = None
    client_ca: FilePath | None = None


class DeskPart(_Part):
    """[desk] of the bridge."""

    enabled: bool = False
    port: int = 8444
    certificate: FilePath | None = None
    key: FilePath | None = None


@dataclass(frozen=True, slots=True)
class SystemFiles:
    """The files that a back end's table names, whatever its kind: by the names of the settings.

    `key` and all that end in `_file` (tokens, passwords, secrets) are private; `certificate` is shown to the back end.
    """

    private: tuple[Path, ...] = ()
    certificates: tuple[Path, ...] = ()


def _files_of(table: object, info: ValidationInfo) -> SystemFiles:
    """[marketing] or [systems.NAME] of the bridge, and the tables in it."""
    private: list[Path] = []
    certificates: list[Path] = []
    for name, value in _settings(table):
        if isinstance(value, str) and value and "\0" not in value:
            if name == "key" or name.endswith("_file"):
                private.append(from_file(Path(value), info))
            elif name == "certificate":
                certificates.append(from_file(Path(value), info))
    return SystemFiles(tuple(private), tuple(certificates))


def _settings(table: object) -> Iterator[tuple[str, object]]:
    if isinstance(table, dict):
        for name, value in table.items():
            yield str(name), value
            yield from _settings(value)


Files = Annotated[SystemFiles, BeforeValidator(_files_of)]


class FileServerPart(_Part):
    """[files.servers.NAME] of the front."""

    key: FilePath | None = None
    known_hosts: FilePath | None = None


class FilesPart(_Part):
    """[files] of either."""

    servers: dict[str, FileServerPart] = Field(default_factory=dict)


class View(_Part):
    """What doctor needs to know of either daemon's configuration."""

    include: tuple[str, ...] = ()
    region: str = "main"
    http: HttpPart = HttpPart()
    pushes: PushesPart = PushesPart()
    desk: DeskPart = DeskPart()
    files: FilesPart = FilesPart()
    link: LinkSection
    keys: KeysSection
    store: StoreSection
    metrics: MetricsSection = MetricsSection()
    fronts: dict[str, Any] = Field(default_factory=dict)
    """Of the bridge: those it admits, and whose keys it should have."""
    marketing: Files = SystemFiles()
    systems: dict[str, Files] = Field(default_factory=dict)

    def private_files(self) -> Iterator[Path]:
        """Files that only the service may read."""
        yield self.keys.keyring
        yield self.link.key
        of_servers = (server.key for server in self.files.servers.values())
        for file in (self.http.key, self.pushes.key, self.pushes.token_file, self.desk.key, *of_servers):
            if file is not None:
                yield file
        for system in (self.marketing, *self.systems.values()):
            yield from system.private

    def public_files(self) -> Iterator[Path]:
        """Files that only their owner may change."""
        yield self.keys.trusted
        yield self.link.ca
        yield from self.certificates()
        of_servers = (server.known_hosts for server in self.files.servers.values())
        for file in (self.http.client_ca, self.pushes.client_ca, *of_servers):
            if file is not None:
                yield file

    def certificates(self) -> Iterator[Path]:
        """The service's own certificates."""
        yield self.link.certificate
        for file in (self.http.certificate, self.pushes.certificate, self.desk.certificate):
            if file is not None:
                yield file
        for system in (self.marketing, *self.systems.values()):
            yield from system.certificates


@dataclass(frozen=True, slots=True)
class Installation:
    """One daemon's configuration on this host."""

    role: Role
    path: Path
    view: View | None
    """None if too much is wrong with it."""

    @property
    def program(self) -> str:
        """The daemon's command."""
        return PROGRAMS[self.role]


def credentials_of(program: str, run: Path = Path("/run")) -> Path | None:
    """Where systemd keeps what it gave to the daemon, while that runs (`LoadCredential=`); None if there is nothing."""
    folder = run / "credentials" / f"{program}.service"
    return folder if folder.is_dir() else None


def found(role: Role, path: Path) -> Installation:
    """The installation a configuration file describes."""
    try:
        return Installation(role, path, load(path, View, credentials_of(PROGRAMS[role])))
    except ConfigurationError:
        return Installation(role, path, None)


def service_user(program: str) -> pwd.struct_passwd | None:
    """The user of the daemon's systemd unit, if we are root and there is one: we look with its eyes then."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(program)
    except KeyError:
        return None


def check(installation: Installation) -> Finding:
    """What the daemon itself says of its configuration, keys, certificates, tokens and bindings."""
    beside = Path(sys.executable).with_name(installation.program)
    program = str(beside) if beside.exists() else shutil.which(installation.program)
    if program is None:
        return Finding(
            "configuration",
            str(installation.path),
            Status.FAIL,
            tr("{program} is not installed beside bridgectl", program=installation.program),
            tr("install the package of the daemon, or run its own bridgectl"),
        )
    options: dict[str, Any] = {}
    credentials = credentials_of(installation.program)
    if user := service_user(installation.program):
        options = {
            "user": user.pw_uid,
            "group": user.pw_gid,
            "extra_groups": os.getgrouplist(user.pw_name, user.pw_gid),
        }
    try:
        done = subprocess.run(  # noqa: S603 - our own daemon
            [program, "--config", str(installation.path), "--check-config"],
            env=os.environ | ({"CREDENTIALS_DIRECTORY": str(credentials)} if credentials else {}),
            capture_output=True,
            text=True,
            timeout=_CHECK_S,
            check=False,
            **options,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return judge_check(
            installation, None, tr("{program} cannot be run: {error}", program=installation.program, error=error)
        )
    return judge_check(installation, done.returncode, done.stdout + done.stderr)


def judge_check(installation: Installation, code: int | None, said: str) -> Finding:
    """From the exit code (None: it did not run) and the words of `--check-config`."""
    path = str(installation.path)
    if code == 0:
        return Finding("configuration", path, Status.OK, tr("the daemon accepts every setting and file"))
    lines = [line for line in said.splitlines() if line.strip()] or [tr("exit code {code}", code=code)]
    complaint = next((line for line in lines if line.startswith("error: ")), lines[-1]).removeprefix("error: ")
    action = tr(
        "mend it; {program} --config {path} --check-config says when it is right",
        program=installation.program,
        path=path,
    )
    return Finding("configuration", path, Status.FAIL, complaint, action)
