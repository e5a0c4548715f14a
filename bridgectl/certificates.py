"""Making certificates: one private CA and the leaves of broker, fronts, bridges and operators.

Subject of a leaf, as Java and RFC 4514 print it: `CN=front-1, OU=front, O=dmz-bridge`. The broker maps it
to a user and its role; CN is the instance, OU the role. X.509 profile: RFC 5280; keys: EC P-256.
"""

import datetime
import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bridgectl.language import tr
from protocol.destinations import checked_name
from protocol.errors import ConfigurationError
from protocol.messages import Role

ORGANISATION = "dmz-bridge"
CA_DAYS = 3653
LEAF_DAYS = 397
BROKER_SANS = ("localhost", "127.0.0.1", "::1")
_BACKDATED = datetime.timedelta(minutes=5)
"""Certificates are valid from a little before they are made, for hosts whose clocks are behind."""

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self) -> bytes:
        """The private key as unencrypted PKCS #8 PEM: what a daemon reads at start, hence mode 0600."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def usage_of(role: Role) -> x509.ObjectIdentifier:
    """What a role's certificate is good for: the broker serves, everyone else is a client."""
    return ExtendedKeyUsageOID.SERVER_AUTH if role is Role.BROKER else ExtendedKeyUsageOID.CLIENT_AUTH


def make_authority(*, now: datetime.datetime, days: int = CA_DAYS) -> Pair:
    """A new certificate authority that may sign leaves only (path length 0)."""
    key = ec.generate_private_key(ec.SECP256R1())
    # A random part in the name keeps an old and a new CA apart while one follows the other.
    name = _name(f"dmz-bridge CA {secrets.token_hex(4)}", None)
    public = key.public_key()
    certificate = (
        _builder(name, name, public, now, now + days * _DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def make_leaf(
    authority: Pair,
    role: Role,
    name: str,
    sans: Iterable[str] = (),
    *,
    now: datetime.datetime,
    days: int = LEAF_DAYS,
) -> Pair:
    """A new certificate for one instance of a role.

    `sans` are host names or IP addresses added to the instance name (and, for a broker, to BROKER_SANS).
    Never outlives its CA. Raises ConfigurationError for a name or address that cannot be used.
    """
    try:
        checked_name(name)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    if authority.certificate.not_valid_after_utc <= now:
        raise ConfigurationError(
            tr(
                "the CA expired on {not_valid_after_utc:%Y-%m-%d}: make a new one",
                not_valid_after_utc=authority.certificate.not_valid_after_utc,
            )
        )
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    alternatives = dict.fromkeys(
        _general_name(san) for san in (*(BROKER_SANS if role is Role.BROKER else ()), name, *sans)
    )
    until = min(now + days * _DAY, authority.certificate.not_valid_after_utc)
    issuer_id = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        _builder(_name(name, role), authority.certificate.subject, public, now, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage_of(role)]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Pair(certificate, key)


def java_key_store(pair: Pair, authorities: list[x509.Certificate], password: bytes, alias: str) -> bytes:
    """A PKCS #12 key store (RFC 7292) that Java 11.0.12 and later reads: PBES2 with AES-256, SHA-256 MAC."""
    return pkcs12.serialize_key_and_certificates(
        alias.encode(), pair.key, pair.certificate, authorities, _encryption(password)
    )


def java_trust_store(authorities: list[x509.Certificate], password: bytes) -> bytes:
    """A PKCS #12 trust store, with the trusted-key-usage attribute: without it Java finds the store empty."""
    entries = [
        pkcs12.PKCS12Certificate(certificate, f"{ORGANISATION}-ca-{number}".encode())
        for number, certificate in enumerate(authorities, 1)
    ]
    return pkcs12.serialize_java_truststore(entries, _encryption(password))


def _encryption(password: bytes) -> serialization.KeySerializationEncryption:
    return (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(10_000)  # Java's own; the password is random and needs none, and each start of the broker does them
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(password)
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    until: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(until)
    )


def _name(common: str, role: Role | None) -> x509.Name:
    """Encoded from the general to the particular, so that it prints as `CN=…, OU=…, O=…` everywhere."""
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION)]
    if role is not None:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role.value))
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    labels = text.removeprefix("*.").split(".")
    if not text.isascii() or not all(label.replace("-", "").isalnum() for label in labels) or len(text) > 253:
        raise ConfigurationError(tr("{text!r} is neither an IP address nor a host name", text=text))
    return x509.DNSName(text)


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
