"""`bridgectl certs show` and `check`: what is in the certificate directory, and whether it will work."""

import datetime
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from bridgectl import certificates
from bridgectl.certificate_files import (
    Found,
    read_authorities,
    read_bytes,
    read_key,
    read_leaves,
    store_files,
)
from bridgectl.language import noted, tr
from protocol.errors import ConfigurationError
from protocol.link.certificates import issued_by
from protocol.messages import Role
from protocol.runtime.keyfiles import objection


class Level(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


SAID = {Level.OK: noted("ok"), Level.WARN: noted("warn"), Level.FAIL: noted("fail")}
"""For people."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check of one file."""

    level: Level
    file: str
    what: str
    advice: str = ""


def describe(directory: Path) -> list[dict[str, object]]:
    """One mapping a certificate, the CAs first. Raises ConfigurationError if one cannot be read."""
    now = datetime.datetime.now(datetime.UTC)
    authorities = [Found("ca", certificate) for certificate in read_authorities(directory)]
    return [_description(directory, found, now) for found in (*authorities, *read_leaves(directory))]


def check(directory: Path, *, warn_days: int = 30) -> list[Finding]:
    """Every check of every file; never raises for a bad file, that is a finding."""
    now = datetime.datetime.now(datetime.UTC)
    try:
        authorities = read_authorities(directory)
        leaves = read_leaves(directory)
    except ConfigurationError as error:
        return [Finding(Level.FAIL, Path(error.file or directory).name, str(error), tr("restore it, or init anew"))]
    findings = [
        expiry("ca.pem", certificate, now, 365, tr("make a new one: bridgectl certs rollover"))
        for certificate in authorities
    ]
    if (directory / "ca.key").exists():
        findings.append(_permission(directory / "ca.key"))
    for found in leaves:
        findings += _check_leaf(directory, found, authorities, now, warn_days)
    if not leaves:
        findings.append(Finding(Level.FAIL, "*.pem", tr("no leaf certificates"), tr("bridgectl certs init or issue")))
    return findings


def _check_leaf(
    directory: Path, found: Found, authorities: list[x509.Certificate], now: datetime.datetime, warn_days: int
) -> Iterator[Finding]:
    file = f"{found.base}.pem"
    renew = f"bridgectl certs renew {found.role} --name {found.name} --dir {directory}"
    try:
        role = Role(found.role)
    except ValueError:
        yield Finding(
            Level.FAIL,
            file,
            tr("unknown role {role!r} in its subject", role=found.role),
            tr("not made by bridgectl: remove it"),
        )
        return
    if any(issued_by(found.certificate, authority) for authority in authorities):
        yield Finding(Level.OK, file, tr("signed by the CA"))
    else:
        yield Finding(Level.FAIL, file, tr("not signed by any CA in ca.pem"), renew)
    yield _usage(file, found.certificate, role, renew)
    yield expiry(file, found.certificate, now, warn_days, renew)
    key_file = directory / f"{found.base}.key"
    if not key_file.exists():
        # A host holds the certificates of others without their keys, and rightly so.
        yield Finding(Level.OK, key_file.name, tr("not in this directory"))
        return
    yield _permission(key_file)
    yield _key_matches(key_file, found.certificate, renew)
    if role is Role.BROKER:
        yield from _check_stores(directory, found, renew)


def _check_stores(directory: Path, found: Found, renew: str) -> Iterator[Finding]:
    store, trust, password_file = store_files(found.base)
    try:
        password = read_bytes(directory / password_file).strip()
        yield _permission(directory / password_file)
        yield _permission(directory / store)
        for name, wanted in ((store, found.certificate), (trust, None)):
            content = pkcs12.load_pkcs12(read_bytes(directory / name), password)
            held = content.cert.certificate if content.cert else None
            if held != wanted:
                yield Finding(Level.FAIL, name, tr("does not hold {base}.pem", base=found.base), renew)
            elif wanted is None and not content.additional_certs:
                yield Finding(Level.FAIL, name, tr("holds no CA"), renew)
            else:
                yield Finding(Level.OK, name, tr("opens with its password and holds what it should"))
    except ConfigurationError as error:
        yield Finding(Level.FAIL, Path(error.file or store).name, str(error), renew)
    except ValueError:
        yield Finding(Level.FAIL, name, tr("does not open with the password in {file}", file=password_file), renew)


def _usage(file: str, certificate: x509.Certificate, role: Role, renew: str) -> Finding:
    wanted = certificates.usage_of(role)
    try:
        usages = list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        usages = []
    if usages == [wanted]:
        return Finding(Level.OK, file, tr("good for {name} and nothing else", name=wanted._name))
    held = ", ".join(usage._name for usage in usages) or tr("nothing in particular")
    return Finding(
        Level.FAIL,
        file,
        tr("good for {held}; a {role} needs {name} alone", held=held, role=role, name=wanted._name),
        renew,
    )


def expiry(
    file: str,
    certificate: x509.Certificate,
    now: datetime.datetime,
    warn_days: int,
    advice: str,
    fail_days: int = 0,
) -> Finding:
    """Whether it is valid now, and for how long: WARN with fewer than `warn_days` left, FAIL with `fail_days`."""
    until, left = certificate.not_valid_after_utc, _days_left(certificate, now)
    if certificate.not_valid_before_utc > now:
        return Finding(
            Level.FAIL,
            file,
            tr(
                "not valid before {not_valid_before_utc:%Y-%m-%d %H:%M}Z",
                not_valid_before_utc=certificate.not_valid_before_utc,
            ),
            tr("check the clock"),
        )
    if until <= now:
        return Finding(Level.FAIL, file, tr("expired on {until:%Y-%m-%d}", until=until), advice)
    if left < warn_days:
        return Finding(
            Level.FAIL if left < fail_days else Level.WARN,
            file,
            tr("expires in {left} days, on {until:%Y-%m-%d}", left=left, until=until),
            advice,
        )
    return Finding(Level.OK, file, tr("valid for {left} days", left=left))


def _permission(file: Path) -> Finding:
    try:
        problem = objection(file.stat(), private=True)
    except OSError as error:
        return Finding(
            Level.FAIL,
            file.name,
            tr("cannot be looked at: {strerror}", strerror=error.strerror),
            tr("check the path and its owner"),
        )
    if problem is None:
        return Finding(Level.OK, file.name, tr("private to its owner"))
    what, _, advice = problem.partition(": ")
    return Finding(Level.FAIL, file.name, what, advice)


def _key_matches(file: Path, certificate: x509.Certificate, renew: str) -> Finding:
    try:
        matches = read_key(file).public_key() == certificate.public_key()
    except ConfigurationError as error:
        return Finding(Level.FAIL, file.name, str(error), renew)
    if matches:
        return Finding(Level.OK, file.name, tr("belongs to its certificate"))
    return Finding(Level.FAIL, file.name, tr("is not the key of its certificate"), renew)


def _description(directory: Path, found: Found, now: datetime.datetime) -> dict[str, object]:
    key_file = directory / f"{found.base}.key"
    try:
        permission = f"{stat.S_IMODE(key_file.stat().st_mode):04o}"
    except OSError:
        permission = "-"
    return {
        "file": f"{found.base}.pem",
        "role": "ca" if found.base == "ca" else found.role,
        "name": found.name,
        "serial": f"{found.certificate.serial_number:x}",
        "sans": found.sans,
        "not_after": f"{found.certificate.not_valid_after_utc:%Y-%m-%d}",
        "days_left": _days_left(found.certificate, now),
        "fingerprint": found.fingerprint,
        "key_permission": permission,
    }


def _days_left(certificate: x509.Certificate, now: datetime.datetime) -> int:
    return (certificate.not_valid_after_utc - now).days
