"""The certificate directory: what `bridgectl certs` writes and reads back (layout in certs/README.md)."""

import datetime
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bridgectl import certificates
from bridgectl.certificates import Pair
from bridgectl.files import PRIVATE, PUBLIC, Content, write_all
from bridgectl.language import tr
from protocol import files
from protocol.errors import ConfigurationError
from protocol.messages import Role


@dataclass(frozen=True, slots=True)
class Found:
    """A leaf certificate found in the directory."""

    base: str
    """File name without `.pem`."""
    certificate: x509.Certificate

    @property
    def role(self) -> str:
        """The role it says it is of (OU), or `?`."""
        return _subject_part(self.certificate, NameOID.ORGANIZATIONAL_UNIT_NAME)

    @property
    def name(self) -> str:
        """The instance it says it is of (CN), or `?`."""
        return _subject_part(self.certificate, NameOID.COMMON_NAME)

    @property
    def sans(self) -> list[str]:
        """Host names and addresses it is valid for."""
        try:
            names = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return []
        return [str(name.value) for name in names]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER, in hex."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()


def init(
    directory: Path,
    names: Mapping[Role, Sequence[str]],
    broker_sans: Iterable[str] = (),
    *,
    days: int = certificates.LEAF_DAYS,
    ca_days: int = certificates.CA_DAYS,
    force: bool = False,
) -> list[Path]:
    """Make a CA and a leaf for each name; the first of a role is `<role>.pem`, the others `<name>.pem`.

    Raises ConfigurationError, with nothing written, if a file exists (unless `force`) or a name is unusable.
    """
    now = _now()
    authority = certificates.make_authority(now=now, days=ca_days)
    contents = {
        "ca.key": Content(authority.key_pem()),
        "ca.pem": Content(authority.certificate_pem(), PUBLIC),
    }
    for role, instances in names.items():
        for position, name in enumerate(instances):
            base = role.value if position == 0 else name
            if f"{base}.pem" in contents:
                raise ConfigurationError(tr("two certificates would be called {base}.pem: give other names", base=base))
            sans = broker_sans if role is Role.BROKER else ()
            pair = certificates.make_leaf(authority, role, name, sans, now=now, days=days)
            contents |= leaf_files(directory, role, base, pair, [authority.certificate])
    return write_all(directory, contents, replace=force)


def issue(
    directory: Path,
    role: Role,
    name: str,
    sans: Iterable[str] = (),
    *,
    days: int = certificates.LEAF_DAYS,
    out: str | None = None,
    force: bool = False,
) -> list[Path]:
    """Issue one leaf with a new key: another instance, or (`force`) the renewal of one that is there.

    Without `out` it goes where this role and name already is, else to `<name>.pem`. A renewal keeps the
    alternative names of the old certificate, and a broker's store password. Raises ConfigurationError.
    """
    authority, authorities = read_authority(directory)
    old = next((found for found in read_leaves(directory) if (found.role, found.name) == (role.value, name)), None)
    base = out or (old.base if old else name)
    if base in ("ca", "truststore") or Path(base).name != base or base.startswith("."):
        raise ConfigurationError(tr("{base!r} cannot be the name of a certificate's files", base=base))
    kept = old.sans if old and old.base == base else []
    pair = certificates.make_leaf(authority, role, name, [*kept, *sans], now=_now(), days=days)
    return write_all(directory, leaf_files(directory, role, base, pair, authorities), replace=force)


def read_authority(directory: Path) -> tuple[Pair, list[x509.Certificate]]:
    """The CA that signs (with its key) and all CAs of ca.pem: two while one follows the other."""
    authorities = read_authorities(directory)
    key = read_key(directory / "ca.key")
    for certificate in authorities:
        if certificate.public_key() == key.public_key():
            return Pair(certificate, key), authorities
    raise ConfigurationError(tr("is not the key of any certificate in ca.pem"), file=str(directory / "ca.key"))


def read_authorities(directory: Path) -> list[x509.Certificate]:
    """The certificates of ca.pem. Raises ConfigurationError."""
    return _read_certificates(directory / "ca.pem")


def read_leaves(directory: Path) -> list[Found]:
    """Every other certificate of the directory, by file name. Raises ConfigurationError."""
    files = sorted(path for path in directory.glob("*.pem") if path.name not in ("ca.pem", "ca.next.pem"))
    return [Found(path.stem, _read_certificates(path)[0]) for path in files]


def identified(paths: Iterable[Path], most: int = 20) -> list[str]:
    """`front.pem 1a2b…`: certificates among these files, each with the beginning of its fingerprint; so many at most.
    Raises ConfigurationError.
    """
    shown = [path for path in paths if path.suffix == ".pem"][:most]
    return [f"{path.name} {Found(path.stem, _read_certificates(path)[0]).fingerprint[:16]}" for path in shown]


def read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """A private key in PEM. Raises ConfigurationError."""
    try:
        key = serialization.load_pem_private_key(read_bytes(path), None)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(tr("is not an unencrypted private key in PEM"), file=str(path)) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigurationError(tr("is not an EC private key"), file=str(path))
    return key


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Raises ConfigurationError."""
    if not path.exists():
        raise ConfigurationError(tr("is not there (bridgectl certs init makes it)"), file=str(path))
    return files.read_bytes(path)


def store_files(base: str) -> tuple[str, str, str]:
    """Names of a broker's key store, trust store and the file with the password of both."""
    trust = "truststore.p12" if base == Role.BROKER.value else f"{base}.truststore.p12"
    return f"{base}.p12", trust, f"{base}.p12.password"


def leaf_files(
    directory: Path, role: Role, base: str, pair: Pair, authorities: list[x509.Certificate]
) -> dict[str, Content]:
    """The files of a leaf; a broker's stores too, in which it believes `authorities`."""
    contents = {
        f"{base}.key": Content(pair.key_pem(), PRIVATE),
        f"{base}.pem": Content(pair.certificate_pem(), PUBLIC),
    }
    if role is Role.BROKER:
        store, trust, password_file = store_files(base)
        # The broker's configuration names the password, so a renewal keeps it.
        kept = directory / password_file
        password = kept.read_bytes().strip() if kept.exists() else secrets.token_urlsafe(24).encode()
        contents |= {
            password_file: Content(password),
            store: Content(certificates.java_key_store(pair, authorities, password, base)),
            trust: Content(certificates.java_trust_store(authorities, password), PUBLIC),
        }
    return contents


def _read_certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(read_bytes(path))
    except ValueError as error:
        raise ConfigurationError(tr("is not a certificate in PEM"), file=str(path)) from error


def _subject_part(certificate: x509.Certificate, part: x509.ObjectIdentifier) -> str:
    values = certificate.subject.get_attributes_for_oid(part)
    return str(values[0].value) if values else "?"


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)
