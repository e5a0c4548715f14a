"""A new CA in place of the old one, step by step, so that at no moment somebody is met whom he does not believe.

=========  ==============================================  =====================================================
step       in the certificate directory                    then, on the hosts
=========  ==============================================  =====================================================
1 trust    a new CA, beside the old one in ca.pem and in   everyone gets ca.pem, brokers their trust store
           the brokers' trust stores                       (and are restarted, one after the other)
2 leaves   every client has a certificate of the new CA    each gets its own
3 brokers  so have the brokers, who forget the old CA      brokers get their stores, and are restarted
4 forget   the old CA is gone from ca.pem                  everyone gets ca.pem
=========  ==============================================  =====================================================

Where it stands follows from the files alone, and each step can be repeated: one that was cut short is completed by
asking for it again. What the hosts have is the operator's word (rollout.py).
"""

import datetime
from enum import IntEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from bridgectl import certificates
from bridgectl.certificate_files import (
    Found,
    leaf_files,
    read_authorities,
    read_authority,
    read_bytes,
    read_key,
    read_leaves,
    store_files,
)
from bridgectl.certificates import Pair
from bridgectl.files import PRIVATE, PUBLIC, Content, write_all
from bridgectl.language import noted, tr
from bridgectl.rollout import Part
from protocol.errors import BridgeError, ConfigurationError
from protocol.link.certificates import issued_by
from protocol.messages import Role
from protocol.runtime import codes

CONFIRMED = "rollover.json"
NEXT = "ca.next"
RELOAD = "bridgectl reload"
RESTART = noted("restart the broker (of two, one after the other)")


class Step(IntEnum):
    """Where a roll-over stands: what the files say."""

    NONE = 0
    TRUST = 1
    LEAVES = 2
    BROKERS = 3


SAID = {
    Step.TRUST: noted("everyone comes to believe the new CA beside the old one"),
    Step.LEAVES: noted("every client gets a certificate of the new CA"),
    Step.BROKERS: noted("the brokers get theirs, and forget the old CA"),
    Step.NONE: noted("everyone else forgets the old CA"),
}
"""What each step is about; NONE, while it is under way, is the last."""


def step(directory: Path) -> Step:
    """The step the directory is at. Raises ConfigurationError. NONE: one CA, as before a roll-over and after it."""
    authorities = read_authorities(directory)
    if (directory / f"{NEXT}.key").exists():
        return Step.TRUST
    if len(authorities) < 2:
        return Step.NONE
    signer = read_authority(directory)[0].certificate
    brokers = [leaf for leaf in read_leaves(directory) if leaf.role == Role.BROKER]
    done = all(issued_by(one.certificate, signer) and _trusts(directory, one) == [signer] for one in brokers)
    return Step.BROKERS if done else Step.LEAVES


def go_on(directory: Path, *, now: datetime.datetime, days: int = certificates.LEAF_DAYS) -> Step:
    """Do the next step, or complete one that was cut short. Returns where it stands then. Raises BridgeError."""
    match step(directory):
        case Step.NONE:
            return _trust(directory, now)
        case Step.TRUST if not _believes_next(directory):
            return _trust(directory, now)
        case Step.TRUST:
            return _renew_clients(directory, now, days)
        case Step.LEAVES if _clients_of_others(directory):
            return _renew_clients(directory, now, days)
        case Step.LEAVES:
            return _renew_brokers(directory, now, days)
        case Step.BROKERS:
            signer = read_authority(directory)[0]
            write_all(directory, {"ca.pem": Content(signer.certificate_pem(), PUBLIC)}, replace=True)
            return Step.NONE


def parts(directory: Path, at: Step) -> list[Part]:
    """What each host has to get and do after a step."""
    authorities = read_authorities(directory)
    leaves = read_leaves(directory)
    clients = [leaf for leaf in leaves if leaf.role != Role.BROKER]
    brokers = [leaf for leaf in leaves if leaf.role == Role.BROKER]
    found: list[Part] = []
    if at in (Step.TRUST, Step.BROKERS):
        found += [broker_part(directory, one, whole=at is Step.BROKERS) for one in brokers]
    if at is not Step.BROKERS:
        files = ("{}.pem", "{}.key") if at is Step.LEAVES else ("ca.pem",)
        found += [client_part(one, authorities, tuple(file.format(one.base) for file in files)) for one in clients]
    return found


def client_part(leaf: Found, authorities: list[x509.Certificate], files: tuple[str, ...]) -> Part:
    """What the host of a client has to get. Who only asks the broker (a monitor) has nothing to reload."""
    daemon = leaf.role in (Role.FRONT, Role.BRIDGE)
    code = codes.of_certificates(authorities, leaf.certificate)
    return Part(leaf.name, files, RELOAD if daemon else tr("nothing more"), code, told=daemon)


def broker_part(directory: Path, leaf: Found, *, whole: bool = True) -> Part:
    """What the host of a broker has to get: its stores, or the trust store alone."""
    store, trust, _ = store_files(leaf.base)
    code = codes.of_certificates(_trusts(directory, leaf), leaf.certificate)
    return Part(leaf.name, (store, trust) if whole else (trust,), tr(RESTART), code, told=False)


def _trust(directory: Path, now: datetime.datetime) -> Step:
    key = directory / f"{NEXT}.key"
    if not key.exists():
        made = certificates.make_authority(now=now)
        # the key is last: without it nothing has begun
        write_all(directory, {f"{NEXT}.pem": Content(made.certificate_pem(), PUBLIC)}, replace=True)
        write_all(directory, {f"{NEXT}.key": Content(made.key_pem(), PRIVATE)})
    upcoming = _next(directory).certificate
    authorities = [one for one in read_authorities(directory) if one != upcoming] + [upcoming]
    for leaf in read_leaves(directory):
        if leaf.role == Role.BROKER:
            _, trust, _ = store_files(leaf.base)
            store = certificates.java_trust_store(authorities, _password(directory, leaf))
            write_all(directory, {trust: Content(store, PUBLIC)}, replace=True)
    write_all(directory, {"ca.pem": Content(_bundle(authorities), PUBLIC)}, replace=True)
    return Step.TRUST


def _renew_clients(directory: Path, now: datetime.datetime, days: int) -> Step:
    """Each client's certificate by the new CA, whose key signs from then on."""
    begun = (directory / f"{NEXT}.key").exists()
    signer = _next(directory) if begun else read_authority(directory)[0]
    for leaf in read_leaves(directory):
        if leaf.role != Role.BROKER and not issued_by(leaf.certificate, signer.certificate):
            _renew(directory, leaf, signer, [signer.certificate], now, days)
    if begun:
        (directory / f"{NEXT}.key").replace(directory / "ca.key")
    (directory / f"{NEXT}.pem").unlink(missing_ok=True)
    return Step.LEAVES


def _renew_brokers(directory: Path, now: datetime.datetime, days: int) -> Step:
    signer = read_authority(directory)[0]
    for leaf in read_leaves(directory):
        if leaf.role == Role.BROKER:
            _renew(directory, leaf, signer, [signer.certificate], now, days)
    return Step.BROKERS


def _renew(
    directory: Path, leaf: Found, signer: Pair, trusted: list[x509.Certificate], now: datetime.datetime, days: int
) -> None:
    try:
        role = Role(leaf.role)
    except ValueError:
        raise BridgeError(
            tr(
                "{base}.pem is of no role of ours ({role}): move it out of this directory",
                base=leaf.base,
                role=leaf.role,
            )
        ) from None
    pair = certificates.make_leaf(signer, role, leaf.name, leaf.sans, now=now, days=days)
    write_all(directory, leaf_files(directory, role, leaf.base, pair, trusted), replace=True)


def _clients_of_others(directory: Path) -> bool:
    signer = read_authority(directory)[0].certificate
    clients = [leaf for leaf in read_leaves(directory) if leaf.role != Role.BROKER]
    return not all(issued_by(leaf.certificate, signer) for leaf in clients)


def _next(directory: Path) -> Pair:
    [certificate] = x509.load_pem_x509_certificates(read_bytes(directory / f"{NEXT}.pem"))
    return Pair(certificate, read_key(directory / f"{NEXT}.key"))


def _believes_next(directory: Path) -> bool:
    upcoming = _next(directory).certificate
    believing = [_trusts(directory, leaf) for leaf in read_leaves(directory) if leaf.role == Role.BROKER]
    return all(upcoming in one for one in (read_authorities(directory), *believing))


def _trusts(directory: Path, leaf: Found) -> list[x509.Certificate]:
    """Whom a broker believes, by its trust store. Raises ConfigurationError."""
    _, trust, _ = store_files(leaf.base)
    try:
        content = pkcs12.load_pkcs12(read_bytes(directory / trust), _password(directory, leaf))
    except ValueError as error:
        raise ConfigurationError(tr("does not open with its password"), file=str(directory / trust)) from error
    return [one.certificate for one in content.additional_certs]


def _password(directory: Path, leaf: Found) -> bytes:
    return read_bytes(directory / store_files(leaf.base)[2]).strip()


def _bundle(authorities: list[x509.Certificate]) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return b"".join(one.public_bytes(Encoding.PEM) for one in authorities)
