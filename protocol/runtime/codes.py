"""Short codes by which an operator sees, on another host, that a daemon has in use what was made for it.

The two hosts and the operator's machine do not see each other: `bridgectl certs` and `keys` say which code they wait
for, `bridgectl reload` says which one the running daemon has. They hold no secret, and are no proof against anybody.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from protocol.errors import ConfigurationError
from protocol.files import read_bytes
from protocol.keyring import PrivateFile, TrustedFile, parse_file


def of_certificates(authorities: Iterable[x509.Certificate], leaf: x509.Certificate) -> str:
    """Of a certificate and of those whom its holder believes."""
    believed = sorted(one.fingerprint(hashes.SHA256()).hex() for one in authorities)
    return _code(["leaf " + leaf.fingerprint(hashes.SHA256()).hex(), *believed])


def of_keys(own: PrivateFile, trusted: TrustedFile) -> str:
    """Of a role's keys and of all that are trusted."""
    return _code(
        [
            *sorted(f"own {_whose(own.role, key.group)} {key.id} {key.state}" for key in own.keys),
            *sorted(f"trusted {_whose(key.role, key.group)} {key.id} {key.state}" for key in trusted.keys),
        ]
    )


def _whose(role: str, group: str | None) -> str:
    return f"{role} {group}" if group else role


def of_certificate_files(ca: Path, certificate: Path) -> str:
    """Of files in PEM. Raises ConfigurationError."""
    try:
        authorities = x509.load_pem_x509_certificates(read_bytes(ca))
        return of_certificates(authorities, x509.load_pem_x509_certificate(read_bytes(certificate)))
    except ValueError as error:
        raise ConfigurationError("is not a certificate in PEM", file=str(certificate)) from error


def of_key_files(keyring: Path, trusted: Path) -> str:
    """Of key files, whoever may read them. Raises ConfigurationError."""
    own = parse_file(PrivateFile, read_bytes(keyring), str(keyring))
    return of_keys(own, parse_file(TrustedFile, read_bytes(trusted), str(trusted)))


def _code(lines: Iterable[str]) -> str:
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return f"{digest[:4]}-{digest[4:8]}"
