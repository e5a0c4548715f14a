"""What applications show beside or instead of a key: public keys that their signatures are verified by, and the
certificates that their connections show.

Only what may be known to anybody is kept: of who reads the front's database none can sign. That is why there are no
shared secrets here (`hmac-sha256`).
"""

from dataclasses import dataclass
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from sqlalchemy import BigInteger, Column, Connection, MetaData, String, Table, Text, select

from protocol.credential_kinds import CERTIFICATE, SIGNATURE

METADATA = MetaData()

CREDENTIALS = Table(
    "application_credentials",
    METADATA,
    Column("kind", String(16), primary_key=True),
    Column("id", String(96), primary_key=True),
    Column("application", String(64), nullable=False),
    Column("public", Text, nullable=False),
    Column("added_at", BigInteger, nullable=False),
)

MOST = 2
"""Of one kind of an application: the one in use, and its successor during a change."""

VerificationKey = Ed25519PublicKey | EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class Credential:
    """One public key or certificate of an application."""

    kind: str
    id: str
    """Of a key: what a signature names it by (`keyid`); of a certificate: its SHA-256, 64 hexadecimal digits."""
    application: str
    public: str
    """PEM."""
    added_at: int = 0


def public_key(pem: str) -> VerificationKey:
    """An Ed25519 key, or one of ECDSA on P-256. Raises ValueError for anything else."""
    if "PRIVATE KEY" in pem:
        raise ValueError("this is a private key: it stays with the application; give its public key")
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("this is no public key in PEM (-----BEGIN PUBLIC KEY-----)") from None
    if isinstance(key, Ed25519PublicKey) or (
        isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    ):
        return key
    raise ValueError("only keys of Ed25519, or of ECDSA on the curve P-256, are taken")


def signing_key(application: str, pem: str) -> Credential:
    """A public key as it is kept. Its id says whose it is. Raises ValueError."""
    key = public_key(pem)
    form = PublicFormat.SubjectPublicKeyInfo
    digest = sha256(key.public_bytes(Encoding.DER, form)).hexdigest()
    return Credential(
        SIGNATURE, f"{application}_{digest[:16]}", application, key.public_bytes(Encoding.PEM, form).decode()
    )


def certificate(application: str, pem: str) -> Credential:
    """A certificate as it is kept; of several in one file the first. Raises ValueError."""
    try:
        found = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise ValueError("this is no certificate in PEM (-----BEGIN CERTIFICATE-----)") from None
    return Credential(
        CERTIFICATE,
        fingerprint(found.public_bytes(Encoding.DER)),
        application,
        found.public_bytes(Encoding.PEM).decode(),
    )


def fingerprint(der: bytes) -> str:
    """A certificate's SHA-256, in hexadecimal digits."""
    return sha256(der).hexdigest()


def add(connection: Connection, new: Credential, now_ms: int) -> None:
    """Keep it. Raises ValueError if it is known already, or the application has as many as it may."""
    known = connection.execute(
        select(CREDENTIALS).where(CREDENTIALS.c.kind == new.kind, CREDENTIALS.c.id == new.id)
    ).first()
    if known is not None:
        raise ValueError(f"{known.application} has it already: {new.id}")
    if len(of(connection, new.kind, new.application)) >= MOST:
        raise ValueError(f"{new.application} has {MOST} already; remove the old one first")
    connection.execute(
        CREDENTIALS.insert().values(
            kind=new.kind, id=new.id, application=new.application, public=new.public, added_at=now_ms
        )
    )


def remove(connection: Connection, kind: str, application: str, id: str) -> bool:
    """False if the application has none of this id."""
    one = (CREDENTIALS.c.kind == kind, CREDENTIALS.c.application == application, CREDENTIALS.c.id == id)
    return connection.execute(CREDENTIALS.delete().where(*one)).rowcount == 1


def remove_all(connection: Connection, application: str) -> None:
    """It has none any more."""
    connection.execute(CREDENTIALS.delete().where(CREDENTIALS.c.application == application))


def of(connection: Connection, kind: str | None = None, application: str | None = None) -> list[Credential]:
    """By application and time; all there are of a kind, of an application, or at all."""
    statement = select(CREDENTIALS).order_by(CREDENTIALS.c.application, CREDENTIALS.c.added_at, CREDENTIALS.c.id)
    if kind is not None:
        statement = statement.where(CREDENTIALS.c.kind == kind)
    if application is not None:
        statement = statement.where(CREDENTIALS.c.application == application)
    return [
        Credential(row.kind, row.id, row.application, row.public, row.added_at) for row in connection.execute(statement)
    ]
