"""What is wrong with the certificates of an end, as far as their files tell: before anybody connects.

A certificate made by `bridgectl certs` says in its subject whose it is (`CN=front-1, OU=front, O=dmz-bridge`), and the
broker lets it do what that role may.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocol.errors import ConfigurationError
from protocol.files import read_bytes
from protocol.messages import Role

_CHAIN = 5
"""Certificates between a leaf and its authority that are looked at."""


def link_objections(ca: Path, certificate: Path, roles: Collection[str], now: datetime) -> Iterator[ConfigurationError]:
    """Why the broker will not take this certificate, or we not the broker's. `roles`: those that will do.

    Raises ConfigurationError for a file that cannot be read.
    """
    authorities, shown = _read(ca), _read(certificate)
    leaf = shown[0]
    yield from _authority_objections(ca, authorities, now)
    other = _of_another(certificate, leaf, roles)
    if other is not None:
        yield other
    elif not _good_for(leaf, ExtendedKeyUsageOID.CLIENT_AUTH):
        yield ConfigurationError("is not for a client (its extended key usage)", file=str(certificate))
    yield from _dates(certificate, leaf, now)
    if not _leads_to(shown, authorities):
        yield ConfigurationError(f"is not issued by an authority in {ca}", file=str(certificate))


def role_objection(certificate: Path, roles: Collection[str]) -> ConfigurationError | None:
    """That a certificate is of another role than these: the broker would let the daemon in, and take nothing from the
    queues. Raises ConfigurationError for a file that cannot be read.
    """
    return _of_another(certificate, _read(certificate)[0], roles)


def server_objections(certificate: Path, now: datetime) -> Iterator[ConfigurationError]:
    """Why clients will not take this server's certificate. Raises ConfigurationError as above."""
    leaf = _read(certificate)[0]
    if not _good_for(leaf, ExtendedKeyUsageOID.SERVER_AUTH):
        yield ConfigurationError("is not for a server (its extended key usage)", file=str(certificate))
    yield from _dates(certificate, leaf, now)


def date_objections(certificate: Path, now: datetime) -> Iterator[ConfigurationError]:
    """Whether the time of a certificate is over, or has not come. Raises ConfigurationError as above."""
    yield from _dates(certificate, _read(certificate)[0], now)


def issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether an authority signed it."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return _is_authority(authority)


def _of_another(file: Path, leaf: x509.Certificate, roles: Collection[str]) -> ConfigurationError | None:
    role, name = _of_subject(leaf, NameOID.ORGANIZATIONAL_UNIT_NAME), _of_subject(leaf, NameOID.COMMON_NAME)
    if role in roles:
        return None
    wanted = " or ".join(f"OU={one}" for one in sorted(roles))
    whose = f"is the certificate of a {role}" if role in set(Role) else f"says OU={role or '(nothing)'}"
    return ConfigurationError(f"{whose} (CN={name}); here belongs one with {wanted}", file=str(file))


def _authority_objections(ca: Path, authorities: list[x509.Certificate], now: datetime) -> Iterator[ConfigurationError]:
    if not any(_is_authority(one) for one in authorities):
        yield ConfigurationError(
            f"is the certificate of no authority (CN={_of_subject(authorities[0], NameOID.COMMON_NAME)})", file=str(ca)
        )
    elif all(one.not_valid_after_utc <= now for one in authorities):
        yield from _dates(ca, authorities[0], now)


def _dates(file: Path, certificate: x509.Certificate, now: datetime) -> Iterator[ConfigurationError]:
    if certificate.not_valid_after_utc <= now:
        yield ConfigurationError(f"expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC", file=str(file))
    elif certificate.not_valid_before_utc > now:
        yield ConfigurationError(
            f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC (is the clock right?)",
            file=str(file),
        )


def _leads_to(shown: list[x509.Certificate], authorities: list[x509.Certificate]) -> bool:
    now, between = shown[0], shown[1:]
    for _ in range(_CHAIN):
        if any(issued_by(now, one) for one in authorities):
            return True
        above = next((one for one in between if one is not now and issued_by(now, one)), None)
        if above is None:
            return False
        now = above
    return False


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _good_for(certificate: x509.Certificate, usage: x509.ObjectIdentifier) -> bool:
    try:
        usages = list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return True  # for anything
    except ValueError:
        return False
    return usage in usages or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usages


def _of_subject(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    found = certificate.subject.get_attributes_for_oid(oid)
    return str(found[0].value) if found else ""


def _read(file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(read_bytes(file))
    except ValueError as error:
        raise ConfigurationError("holds no PEM certificate", file=str(file)) from error
