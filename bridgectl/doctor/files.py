"""Files on this host: who may read and change them, how long certificates and keys are good, how full the disks are."""

import os
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from bridgectl import certificate_checks
from bridgectl.certificate_files import Found
from bridgectl.doctor.finding import Finding, Status
from bridgectl.language import tr
from protocol.errors import ConfigurationError
from protocol.keyring import Keyring, KeyState, PrivateFile, judged_groups, parse_file
from protocol.messages import Role
from protocol.runtime.keyfiles import objection
from protocol.runtime.settings import KeysSection

WARN_DAYS = 30
FAIL_DAYS = 7
CA_WARN_DAYS = 365
KEY_WARN_DAYS = 400
"""Envelope keys are best changed once a year; no date ends them."""

_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system, and which of our directories are on it."""

    directories: tuple[str, ...]
    free: int
    """Bytes that a service without privileges may still write."""
    total: int


@dataclass(frozen=True, slots=True)
class DiskLimits:
    """When a disk is too full."""

    warn_mb: int = 1024
    warn_percent: float = 10.0
    fail_mb: int = 100


# --- judgements -------------------------------------------------------------------------------------------


def judge_secret(path: Path, status: os.stat_result | str, uid: int) -> Finding:
    """A private key or token, which the service (`uid`) must be able to keep to itself. A text says why no stat."""
    return _judge_file(path, status, uid, private=True)


def judge_public(path: Path, status: os.stat_result | str, uid: int) -> Finding:
    """A file that tells whom to trust: others may read it, not change it."""
    return _judge_file(path, status, uid, private=False)


def _judge_file(path: Path, status: os.stat_result | str, uid: int, *, private: bool) -> Finding:
    if isinstance(status, str):
        return Finding("permissions", str(path), Status.FAIL, status, tr("check the path in the configuration"))
    problem = objection(status, private=private, uid=uid)
    if problem is None:
        seen = tr("private to its owner") if private else tr("only its owner may change it")
        return Finding("permissions", str(path), Status.OK, seen)
    what, _, action = problem.partition(": ")
    return Finding("permissions", str(path), Status.FAIL, what, action or tr("put a regular file there"))


def judge_database(path: Path, status: os.stat_result | str, uid: int) -> Finding:
    """A database file of the service `uid`. What is in it is sealed, but who can write it can undo the bookkeeping."""
    if isinstance(status, str):
        action = tr("the daemon makes it when it starts; see that it has been started")
        return Finding("permissions", str(path), Status.WARN, status, action)
    mode = stat.S_IMODE(status.st_mode)
    if uid not in (0, status.st_uid):
        seen = tr("belongs to uid {st_uid}: the service (uid {uid}) cannot write it", st_uid=status.st_uid, uid=uid)
        return Finding("permissions", str(path), Status.FAIL, seen, tr("chown it to the service's user"))
    if mode & 0o022:
        return Finding(
            "permissions",
            str(path),
            Status.FAIL,
            tr("may be changed by others (mode {mode:04o})", mode=mode),
            tr("chmod 0600 it"),
        )
    if mode & 0o044:
        seen, action = (
            tr("may be read by others (mode {mode:04o})", mode=mode),
            tr("chmod 0600 it, and UMask=0077 in the unit"),
        )
        return Finding("permissions", str(path), Status.WARN, seen, action)
    return Finding("permissions", str(path), Status.OK, tr("private to its owner"))


def judge_directory(path: Path, mode: int) -> Finding | None:
    """A directory above one of our files; None if all is well. Who can write in it can put another file in place."""
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        seen = tr("everybody may write in this directory (mode {s_imode:04o})", s_imode=stat.S_IMODE(mode))
        return Finding("permissions", str(path), Status.FAIL, seen, tr("chmod o-w it"))
    return None


def judge_authority_key(path: Path) -> Finding:
    """The CA's private key was found beside the CA's certificate."""
    seen, action = tr("the CA's private key lies on this host"), tr("keep it offline (certs/README.md)")
    return Finding("ca-key", str(path), Status.WARN, seen, action)


def judge_expiry(
    subject: str, certificate: x509.Certificate, now: datetime, action: str, warn_days: int = WARN_DAYS
) -> Finding:
    """Whether a certificate is valid, and for how long."""
    found = certificate_checks.expiry(subject, certificate, now, warn_days, action, FAIL_DAYS)
    return Finding("certificate", subject, Status(found.level.value), found.what, found.advice)


def judge_role(path: Path, found: str, wanted: Role) -> Finding | None:
    """A certificate of another role: the broker would give the daemon the wrong rights. None if it is right."""
    if found == wanted.value:
        return None
    action = tr("[link] certificate must be one of `bridgectl certs issue {wanted}`", wanted=wanted)
    return Finding(
        "certificate",
        str(path),
        Status.FAIL,
        tr("is a certificate for role {found!r}, not {wanted}", found=found, wanted=wanted),
        action,
    )


def judge_keys(path: Path, keys: PrivateFile, now: datetime) -> Iterator[Finding]:
    """The age of the envelope keys in use, and changes that were begun and not finished."""
    rotate = f"bridgectl keys rotate {keys.role}"
    active = [key for key in keys.keys if key.state is KeyState.ACTIVE]
    days = max((now - key.created).days for key in active)
    if min(key.created for key in active) > now:
        yield Finding("keys", str(path), Status.WARN, tr("made in the future"), tr("check this host's clock"))
    elif days > KEY_WARN_DAYS:
        yield Finding("keys", str(path), Status.WARN, tr("the active keys are {days} days old", days=days), rotate)
    else:
        yield Finding("keys", str(path), Status.OK, tr("the active keys are {days} days old", days=days))
    waiting = [key for key in keys.keys if key.state is KeyState.NEXT]
    if any((now - key.created).days > WARN_DAYS for key in waiting):
        action = tr("{rotate} --activate, once every host has them", rotate=rotate)
        yield Finding("keys", str(path), Status.WARN, tr("a change of keys was begun and not finished"), action)


def judge_disk(disk: Disk, limits: DiskLimits) -> Finding:
    """How much room is left."""
    subject = ", ".join(disk.directories)
    percent = 100 * disk.free / disk.total if disk.total else 0.0
    seen = tr(
        "{free} free of {total} ({percent:.0f} %)", free=_size(disk.free), total=_size(disk.total), percent=percent
    )
    action = tr("make room: a full disk stops commands (they wait, none is lost)")
    if disk.free < limits.fail_mb * _MB:
        return Finding("disk", subject, Status.FAIL, seen, action)
    if disk.free < limits.warn_mb * _MB or percent < limits.warn_percent:
        return Finding("disk", subject, Status.WARN, seen, action)
    return Finding("disk", subject, Status.OK, seen)


def _size(count: int) -> str:
    return f"{count / _MB / 1024:.1f} GB" if count >= 1024 * _MB else f"{count / _MB:.0f} MB"


# --- looking ----------------------------------------------------------------------------------------------


def own_uid() -> int:
    """Ours: the service's, as far as we know."""
    return os.geteuid()


def status_of(path: Path) -> os.stat_result | str:
    """The file's status, or why it cannot be had."""
    try:
        return path.stat()
    except FileNotFoundError:
        return tr("is not there")
    except OSError as error:
        return tr("cannot be looked at: {strerror}", strerror=error.strerror)


def database_files(path: Path) -> list[Path]:
    """An SQLite database and what stands beside it while it is in use."""
    beside = (path.with_name(path.name + ending) for ending in ("-wal", "-shm"))
    return [path, *(one for one in beside if one.exists())]


def directories_above(files: Iterable[Path]) -> list[tuple[Path, int]]:
    """Every directory above the files, with its mode."""
    found: dict[Path, int] = {}
    for file in files:
        for directory in Path(os.path.realpath(file)).parents:
            status = status_of(directory)
            if not isinstance(status, str):
                found[directory] = status.st_mode
    return list(found.items())


def disks(directories: Iterable[Path]) -> list[Disk]:
    """The file systems under these directories, each once; a directory that is not there counts as its parent."""
    by_device: dict[int, list[Path]] = {}
    for directory in directories:
        there = next((one for one in (directory, *directory.parents) if one.exists()), Path("/"))
        on_it = by_device.setdefault(there.stat().st_dev, [])
        if there not in on_it:
            on_it.append(there)
    found = []
    for on_it in by_device.values():
        usage = shutil.disk_usage(on_it[0])
        found.append(Disk(tuple(map(str, on_it)), usage.free, usage.total))
    return found


def certificate_findings(path: Path, now: datetime, action: str, warn_days: int = WARN_DAYS) -> Iterator[Finding]:
    """One finding for each certificate of a PEM file."""
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else tr("it is no PEM file of certificates")
        yield Finding("certificate", str(path), Status.FAIL, tr("cannot be read: {why}", why=why), action)
        return
    for certificate in certificates:
        yield judge_expiry(str(path), certificate, now, action, warn_days)


def role_finding(path: Path, wanted: Role) -> Finding | None:
    """A certificate whose OU is another role; None if it is right, or cannot be read (which is said elsewhere)."""
    try:
        found = Found(path.stem, x509.load_pem_x509_certificate(path.read_bytes())).role
    except (OSError, ValueError):
        return None
    return judge_role(path, found, wanted)


def groups_findings(keys: KeysSection, fronts: Collection[str]) -> Iterator[Finding]:
    """The keys of groups of fronts beside the groups that the bridge's configuration names."""
    try:
        keyring = Keyring.parse(keys.keyring.read_bytes(), keys.trusted.read_bytes())
    except (OSError, ConfigurationError):
        return  # said elsewhere
    wrong, in_doubt = judged_groups(keyring, fronts)
    action = tr("bridgectl keys split, [fronts] in intranet_bridge.toml (docs/how-to/rotate.md)")
    for status, several in ((Status.FAIL, wrong), (Status.WARN, in_doubt)):
        for seen in several:
            yield Finding("keys", str(keys.trusted), status, seen, action)
    if fronts and not wrong and not in_doubt:
        seen = tr("each group of fronts has keys of its own") if len(keyring.front_groups) > 1 else tr("fit [fronts]")
        yield Finding("keys", str(keys.trusted), Status.OK, seen)


def keys_findings(path: Path, now: datetime) -> Iterator[Finding]:
    """The keys of a keyring file."""
    try:
        yield from judge_keys(path, parse_file(PrivateFile, path.read_bytes(), str(path)), now)
    except (OSError, ConfigurationError) as error:
        action = tr("run as root, or as the service's user") if isinstance(error, PermissionError) else "bridgectl keys"
        yield Finding("keys", str(path), Status.FAIL, tr("cannot be read: {error}", error=error), action)
