"""What goes into a support bundle of a host. Nothing found on the way makes it fail: what is missing is told."""

import asyncio
import json
import os
import platform
import shutil
import ssl
import stat
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509
from pydantic import BaseModel, ConfigDict
from sqlalchemy import (
    ColumnClause,
    Connection,
    Engine,
    column,
    event,
    func,
    inspect,
    select,
    table,
)
from sqlalchemy.exc import SQLAlchemyError

from bridgectl import daemons, databases
from bridgectl.bundle import configurations
from bridgectl.bundle.configurations import Configuration
from bridgectl.bundle.scrubber import Scrubber, metrics
from bridgectl.language import tr
from bridgectl.programs import PROGRAMS
from bridgectl.settings import ControlSettings, control_path
from bridgectl.status.observation import observe
from bridgectl.status.screen import as_dict
from bridgectl.status.troubles import troubles
from bridgectl.stores import reader
from bridgectl.vocabulary import passed_on
from protocol.errors import BridgeError, ConfigurationError
from protocol.files import read_bytes
from protocol.keyring import PrivateFile, TrustedFile, parse_file
from protocol.messages import Role
from protocol.runtime import codes
from protocol.runtime.settings import KeysSection, MetricsSection, StoreSection, load

T = TypeVar("T")

PATIENCE_S = 2.5
"""For each answer."""
_COUNTING_S = 10.0
"""For the counts of one database."""
_JOURNAL_S = 15
_MOST_METRICS = 4 << 20
_MOST_LOG = 16 << 20
"""Bytes."""
_UNITS = ("dmz-front", "intranet-bridge", "dmz-bridge-broker")
ALWAYS_LEFT_OUT = (
    ("private keys, keyrings and files of passwords or tokens", "they are secrets; key ids and certificates are in"),
    ("rows of the databases", "they hold what customers asked for; counts and sizes are in"),
    ("messages on the broker", "their content is sealed; depths are in status.json"),
    ("comments of configuration files", "they can hold anything"),
    ("this host's name", "it is in no part on purpose; configurations and certificates may name hosts"),
)


@dataclass(slots=True)
class Collection:
    """Members, and what is missing. Not yet scrubbed."""

    values: dict[str, Any] = field(default_factory=dict)
    """Members in JSON."""
    texts: dict[str, str] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=lambda: list(ALWAYS_LEFT_OUT))
    files: list[Configuration] = field(default_factory=list)

    def attempt(self, what: str, work: Callable[[], T]) -> T | None:
        """What `work` gives; None, and the reason kept, if it fails in whatever way."""
        try:
            return work()
        except Exception as error:  # a bundle is wanted most where something is broken
            said = str(error) if isinstance(error, BridgeError) else f"{type(error).__name__}: {error}"
            self.left_out.append((what, said))
            return None

    def scrubbed(self) -> tuple[dict[str, bytes], list[tuple[str, str]], int]:
        """Members as they may be shown, what is missing, and how much was masked."""
        secrets = {secret for one in self.files for secret in one.secrets()}
        for file in sorted({path for one in self.files for path in one.secret_files()}):
            what = f"the search of logs for what is in {file}"
            secrets.update(self.attempt(what, lambda file=file: list(configurations.secrets_in(file))) or ())  # type: ignore[misc]
        scrubber = Scrubber(tuple(sorted(secrets)), configurations.account_forms(self.files))
        members = {
            name: json.dumps(scrubber.value(value), indent=2, ensure_ascii=False, default=str) + "\n"
            for name, value in self.values.items()
            if value is not None
        } | self.texts
        clean = {scrubber.text(name): scrubber.text(text).encode() for name, text in members.items()}
        return clean, [(scrubber.text(what), scrubber.text(why)) for what, why in self.left_out], scrubber.masked


def collect(log_lines: int, logs: Sequence[Path]) -> Collection:
    """Everything that can be had here."""
    found = Collection()
    control = control_path()
    settings = ControlSettings()
    if control.exists():
        settings = found.attempt("settings of bridgectl", lambda: load(control, ControlSettings)) or settings
    paths = settings.configurations(control)
    there = {role: path for role, path in paths.items() if path.exists()}
    found.left_out += [
        (f"{PROGRAMS[role]}", f"is not configured on this host: no {path}")
        for role, path in paths.items()
        if role not in there
    ]
    found.values["versions.json"] = found.attempt("versions", versions)
    found.values["status.json"] = found.attempt("status", lambda: _status(control, settings))
    _configuration(found, "bridgectl", control)
    for role, path in there.items():
        _configuration(found, PROGRAMS[role], path)
    found.values["certificates.json"] = list(_certificates(found))
    for role, path in there.items():
        _daemon(found, role, path)
    _logs(found, log_lines, logs)
    return found


def _status(control: Path, settings: ControlSettings) -> dict[str, Any]:
    seen = asyncio.run(observe(control, settings, PATIENCE_S))
    return as_dict(seen, troubles(seen))


def versions() -> dict[str, Any]:
    """Of what runs here: not of this host's name."""
    try:
        distribution = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        distribution = ""
    packages = {one.metadata["Name"]: one.version for one in distributions() if one.metadata["Name"]}
    return {
        "dmz-bridge": version("dmz-bridge"),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "openssl": ssl.OPENSSL_VERSION,
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "distribution": distribution,
        "packages": [f"{name} {packages[name]}" for name in sorted(packages, key=str.lower)],
    }


def _configuration(found: Collection, program: str, path: Path) -> None:
    if not path.exists():
        found.left_out.append((str(path), "is not there"))
        return
    files, failed = configurations.read(path)
    found.left_out += [(str(one), why) for one, why in failed]
    for number, one in enumerate(files):
        name = program if one.path == path else f"{program}-includes/{number:02}-{one.path.stem}"
        found.files.append(one)
        found.values[f"config/{name}.json"] = {"file": str(one.path), "tables": one.shown()}


def _certificates(found: Collection) -> Iterator[dict[str, Any]]:
    for path in sorted({path for one in found.files for path in one.certificates()}):
        told = found.attempt(f"certificates in {path}", lambda path=path: _described(path))  # type: ignore[misc]
        yield from told or ()


def _described(path: Path) -> list[dict[str, Any]]:
    try:
        certificates = x509.load_pem_x509_certificates(read_bytes(path))
    except ValueError:
        raise ConfigurationError("holds no certificate in PEM", file=str(path)) from None
    return [
        {
            "file": str(path),
            "subject": one.subject.rfc4514_string(),
            "issuer": one.issuer.rfc4514_string(),
            "names": _names(one),
            "not_before": one.not_valid_before_utc.isoformat(),
            "not_after": one.not_valid_after_utc.isoformat(),
        }
        for one in certificates
    ]


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(one.value) for one in found]


class _View(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    include: tuple[str, ...] = ()


class _Keys(_View):
    keys: KeysSection


class _Metrics(_View):
    metrics: MetricsSection = MetricsSection()


def _daemon(found: Collection, role: Role, path: Path) -> None:
    program = PROGRAMS[role]
    report = found.attempt(f"report of {program}", lambda: daemons.tell(role, path, "report", PATIENCE_S))
    if report is not None:
        found.values[f"reports/{program}.json"] = report
    if keys := found.attempt(f"keys of {program}", lambda: load(path, _Keys).keys):
        told = found.attempt(f"ids of the keys of {program}", lambda: _key_ids(keys))
        if told is not None:
            found.values[f"keys/{program}.json"] = told
    if store := found.attempt(f"database of {program}", lambda: databases.store_of(path)):
        told = found.attempt(f"database of {program}", lambda: database_facts(store))
        if told is not None:
            found.values[f"databases/{program}.json"] = told
    if section := found.attempt(f"metrics of {program}", lambda: load(path, _Metrics).metrics):
        if section.port:
            text = found.attempt(f"metrics of {program}", lambda: _scraped(section))
            if text is not None:
                found.texts[f"metrics/{program}.txt"] = metrics(text)
        else:
            found.left_out.append((f"metrics of {program}", "[metrics] port is off"))


def _key_ids(keys: KeysSection) -> dict[str, Any]:
    own = parse_file(PrivateFile, read_bytes(keys.keyring), str(keys.keyring))
    trusted = parse_file(TrustedFile, read_bytes(keys.trusted), str(keys.trusted))
    return {
        "in_files": codes.of_keys(own, trusted),
        "own": [_key(own.role, key) for key in own.keys],
        "trusted": [_key(key.role, key) for key in trusted.keys],
    }


def _key(role: Role, key: Any) -> dict[str, Any]:
    created = key.created.astimezone(UTC).isoformat(timespec="seconds")
    return {
        "role": str(role),
        "id": key.id,
        "algorithm": str(key.algorithm),
        "state": str(key.state),
        "created": created,
    }


def database_facts(store: StoreSection, clock: Callable[[], float] = time.monotonic) -> dict[str, Any]:
    """Schema revisions, rows by state, sizes; never a row. The database is only read.

    Raises BridgeError if it is not there, or cannot be read within the time for it.
    """
    if store.file is not None and not store.file.exists():
        raise BridgeError(f"{store.file}: there is no database yet")
    database = _reader(store, clock)
    try:
        with database.connect() as connection:
            return _facts(connection, store)
    except SQLAlchemyError as error:
        raise BridgeError(f"cannot be read: {error.__cause__ or error}") from error
    finally:
        database.dispose()


def _reader(store: StoreSection, clock: Callable[[], float]) -> Engine:
    found = reader(store)
    if store.file is None:
        return found
    until = clock() + _COUNTING_S

    @event.listens_for(found, "connect")
    def _bounded(connection: Any, _record: object) -> None:
        connection.set_progress_handler(lambda: int(clock() > until), 100_000)

    return found


def _facts(connection: Connection, store: StoreSection) -> dict[str, Any]:
    if store.file is None:
        connection.exec_driver_sql(f"SET statement_timeout = {int(_COUNTING_S * 1000)}")
        size = connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar()
        sizes = {"bytes": size}
    else:
        beside = (store.file, *(store.file.with_name(store.file.name + end) for end in ("-wal", "-shm")))
        sizes = {
            f"bytes{path.name.removeprefix(store.file.name)}": path.stat().st_size for path in beside if path.exists()
        }
    names = sorted(inspect(connection).get_table_names())
    revisions, rows = {}, {}
    for name in names:
        state: ColumnClause[str] = column("state")
        revision: ColumnClause[str] = column("version_num")
        if name.startswith("alembic_version"):
            found = connection.execute(select(revision).select_from(table(name))).scalars()
            revisions[name.removeprefix("alembic_version_")] = [str(one) for one in found]
        elif any(one["name"] == "state" for one in inspect(connection).get_columns(name)):
            counted = select(state, func.count()).select_from(table(name)).group_by(state).order_by(state)
            rows[name] = {str(one): int(count) for one, count in connection.execute(counted)}
        else:
            rows[name] = {"all": int(connection.execute(select(func.count()).select_from(table(name))).scalar_one())}
    kind = connection.dialect.name
    return {"kind": kind, "schema_revision": revisions, "rows": rows, "sizes": sizes}


def _scraped(section: MetricsSection) -> str:
    host = f"[{section.host}]" if ":" in section.host else section.host
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback: never by a proxy
    with opener.open(f"http://{host}:{section.port}/metrics", timeout=PATIENCE_S) as answer:
        data: bytes = answer.read(_MOST_METRICS)
    return data.decode("utf-8", "replace")


def _logs(found: Collection, lines: int, logs: Sequence[Path]) -> None:
    if lines == 0:
        found.left_out.append(("logs", "--log-lines 0"))
        return
    for number, path in enumerate(logs, 1):
        text = found.attempt(f"log {path}", lambda path=path: tail(path, lines))  # type: ignore[misc]
        if text is not None:
            found.texts[f"logs/{number:02}-{path.name}"] = text
    journalctl = shutil.which("journalctl")
    if journalctl is None:
        found.left_out.append(("journal", "journalctl is not there"))
        return
    for unit in _UNITS:
        text = found.attempt(f"journal of {unit}", lambda unit=unit: _journal(journalctl, unit, lines))  # type: ignore[misc]
        if text is not None:
            found.texts[f"logs/journal-{unit}.txt"] = text


def _journal(journalctl: str, unit: str, lines: int) -> str:
    done = subprocess.run(  # noqa: S603
        [journalctl, "-u", unit, "-n", str(lines), "-o", "short-iso", "--utc", "--no-hostname", "--no-pager", "-q"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=_JOURNAL_S, check=False,
    )  # fmt: skip
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode or not text.strip():
        raise BridgeError(done.stderr.decode("utf-8", "replace").strip() or "has nothing of it")
    return text


def tail(path: Path, lines: int) -> str:
    """The last lines of a file, of its last 16 MB. Raises BridgeError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise BridgeError("is not a regular file")
            start = max(0, status.st_size - _MOST_LOG)
            file.seek(start)
            data = file.read(_MOST_LOG)
    except OSError as error:
        raise BridgeError(f"cannot be read: {error.strerror}") from error
    if start:
        data = data.partition(b"\n")[2]  # of the line that was cut no half: what it began with could be missing
    return "".join(line + "\n" for line in data.decode("utf-8", "replace").splitlines()[-lines:])


def made(now_ms: int) -> str:
    """When, for the manifest."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="seconds")


def told(listed: Mapping[str, Any]) -> list[str]:
    """A manifest for people."""
    return [
        *(tr("  {name}  {bytes} bytes", name=one["name"], bytes=one["bytes"]) for one in listed["members"]),
        *(
            tr("  left out: {what}: {why}", what=passed_on(one["what"]), why=passed_on(one["why"]))
            for one in listed["left_out"]
        ),
    ]
