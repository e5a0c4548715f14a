"""Staff who may use a desk's pages: passwords, second factors, roles. `bridgectl desk staff` writes this table, the
daemon reads it; it stands in the database of the front and of the bridge, each with staff of its own, where it is of no
use to who copies it:

- of a password there is what scrypt (RFC 7914) makes of it: 32 bytes to compare with, 32 bytes that seal the secret of
  the second factor (TOTP, RFC 6238). So neither factor can be had from the table without the password.
- a code of the second factor is taken once.
- after some failures an account is locked, for longer each time, whatever the address.
"""

import base64
import hmac
import json
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import BigInteger, Column, Connection, Integer, LargeBinary, MetaData, String, Table, Text, select

from protocol.runtime.applications import METADATA
from protocol.values import immutable


def staff_table(metadata: MetaData) -> Table:
    """The table in a database's schema."""
    return Table(
        "desk_staff",
        metadata,
        Column("name", String(32), primary_key=True),
        Column("roles", Text, nullable=False),
        Column("salt", LargeBinary(16), nullable=False),
        Column("verifier", LargeBinary(32), nullable=False),
        Column("second", LargeBinary(64), nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("changed_at", BigInteger, nullable=False),
        Column("disabled_at", BigInteger),
        Column("failures", Integer, nullable=False),
        Column("locked_until", BigInteger, nullable=False),
        Column("last_step", BigInteger, nullable=False),
    )


STAFF = staff_table(METADATA)
_S = STAFF.c
ROLES = ("issue", "lookup", "revoke")
"""What a member of the front's staff may do: make codes, look up what was issued, revoke."""
BRIDGE_ROLES = ("edit", "review", "settle", "approve")
"""What a member of the bridge's staff may do: write what is published, approve what others wrote; decide about money
what one person may, be the second person and approve.
"""
NAME = re.compile("[a-z][a-z0-9._-]{1,31}")
STEP_MS = 30_000
_WORK = 2**15
"""scrypt's N: 32 MB and 0.1 s."""
LEAST_PASSWORD = 12
"""Characters of a password that somebody chooses; those that are given have 23."""
FREE_FAILURES = 5
FIRST_LOCK_MS, LONGEST_LOCK_MS = 30_000, 3_600_000
_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"


@immutable
class Credentials:
    """What a member of staff is given, once."""

    password: str = field(repr=False)
    secret: str = field(repr=False)
    """Of the second factor, in base 32, as authenticators take it."""

    def uri(self, name: str) -> str:
        """For an authenticator's camera (Google's Key URI Format)."""
        return f"otpauth://totp/dmz-bridge:{name}?secret={self.secret}&issuer=dmz-bridge"


@immutable
class Member:
    """One member of staff."""

    name: str
    roles: frozenset[str]
    salt: bytes = field(repr=False)
    verifier: bytes = field(repr=False)
    second: bytes = field(repr=False)
    changed_at: int
    disabled_at: int | None
    failures: int
    locked_until: int
    last_step: int


def derived(password: str, salt: bytes) -> tuple[bytes, bytes]:
    """What is compared, and what seals the second factor. Takes 0.1 s."""
    both = Scrypt(salt=salt, length=64, n=_WORK, r=8, p=1).derive(password.encode())
    return both[:32], both[32:]


def step_of(member: Member, password: str, code: str, now_ms: int) -> int | None:
    """The step of the second factor whose code this is, if the password is right too. None: one of them is not, or the
    code was used. Whatever is wrong takes the same time.
    """
    verifier, key = derived(password, member.salt)
    good = hmac.compare_digest(verifier, member.verifier)
    try:
        secret = AESGCM(key).decrypt(member.second[:12], member.second[12:], member.name.encode())
    except InvalidTag:
        secret, good = bytes(20), False
    totp, found = TOTP(secret, 6, SHA1(), STEP_MS // 1000), None  # noqa: S303  # what authenticators know (RFC 6238)
    present = now_ms // STEP_MS
    for step in (present - 1, present, present + 1):  # RFC 6238 section 5.2: clocks, and slow fingers
        if hmac.compare_digest(totp.generate(step * STEP_MS // 1000), code.encode()) and step > member.last_step:
            found = step
    return found if good else None


def with_password(member: Member, password: str, new: str) -> dict[str, object]:
    """What is written of a member whose password, which is `password`, becomes `new`: the second factor stays the same.
    Takes 0.2 s. Raises InvalidTag if that was not the password.
    """
    _, key = derived(password, member.salt)
    secret = AESGCM(key).decrypt(member.second[:12], member.second[12:], member.name.encode())
    return _sealed(member.name, new, secret)


def change_password(
    connection: Connection, name: str, changed_at: int, step: int, values: Mapping[str, object], now_ms: int
) -> bool:
    """Write what `with_password` gave, and use up the code; sessions end. False: the member, or the code, is not as it
    was any more.
    """
    unchanged = (_S.name == name, _S.changed_at == changed_at, _S.last_step < step, _S.disabled_at.is_(None))
    changed = {**values, "last_step": step, "failures": 0, "locked_until": 0}
    changed["changed_at"] = max(now_ms, changed_at + 1)
    return connection.execute(STAFF.update().where(*unchanged).values(changed)).rowcount == 1


def locked_ms(failures: int) -> int:
    """How long an account is locked after so many failures in a row."""
    over = failures - FREE_FAILURES
    return 0 if over < 0 else min(LONGEST_LOCK_MS, FIRST_LOCK_MS * 2 ** min(over, 20))


def add(
    connection: Connection, name: str, roles: Sequence[str], now_ms: int, known: Sequence[str] = ROLES
) -> Credentials:
    """A new member. `known`: the roles there are. Raises ValueError for a name or role that is none, or a name that is
    taken.
    """
    if not NAME.fullmatch(name):
        raise ValueError("a name is 2 to 32 of a-z, 0-9, '.', '_' and '-', and begins with a letter")
    if connection.execute(select(_S.name).where(_S.name == name)).first() is not None:
        raise ValueError(f"there is {name} already")
    made, values = _credentials(name, now_ms)
    connection.execute(STAFF.insert().values(name=name, roles=_roles(roles, known), created_at=now_ms, **values))
    return made


def reset(
    connection: Connection, name: str, roles: Sequence[str], now_ms: int, known: Sequence[str] = ROLES
) -> Credentials:
    """New password and second factor, not locked and not disabled any more; sessions end. `roles`: empty keeps them.
    Raises ValueError.
    """
    made, values = _credentials(name, now_ms)
    if roles:
        values["roles"] = _roles(roles, known)
    if not connection.execute(STAFF.update().where(_S.name == name).values(values)).rowcount:
        raise ValueError(f"there is no {name}")
    return made


def disable(connection: Connection, name: str, now_ms: int) -> None:
    """Let nobody in by that name; sessions end. Raises ValueError."""
    changed = STAFF.update().where(_S.name == name).values(disabled_at=now_ms, changed_at=now_ms)
    if not connection.execute(changed).rowcount:
        raise ValueError(f"there is no {name}")


def members(connection: Connection) -> list[Member]:
    """All, by name."""
    return [_member(row) for row in connection.execute(select(STAFF).order_by(_S.name))]


def member(connection: Connection, name: str) -> Member | None:
    """One."""
    row = connection.execute(select(STAFF).where(_S.name == name)).first()
    return _member(row) if row is not None else None


def succeeded(connection: Connection, name: str, step: int) -> bool:
    """A log-in: its code is used now. False: another log-in has used it meanwhile."""
    taken = STAFF.update().where(_S.name == name, _S.last_step < step, _S.disabled_at.is_(None))
    return connection.execute(taken.values(last_step=step, failures=0, locked_until=0)).rowcount == 1


def failed(connection: Connection, name: str, now_ms: int) -> None:
    """A log-in that failed: counted, and the account locked if there are too many."""
    row = connection.execute(select(_S.failures).where(_S.name == name).with_for_update()).first()
    if row is not None:
        failures = row.failures + 1
        values = {"failures": failures, "locked_until": now_ms + locked_ms(failures)}
        connection.execute(STAFF.update().where(_S.name == name).values(values))


def _credentials(name: str, now_ms: int) -> tuple[Credentials, dict[str, object]]:
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(4))
    password, secret = "-".join(groups), secrets.token_bytes(20)
    return Credentials(password, base64.b32encode(secret).decode()), {
        **_sealed(name, password, secret),
        "changed_at": now_ms, "disabled_at": None, "failures": 0, "locked_until": 0, "last_step": 0,
    }  # fmt: skip


def _sealed(name: str, password: str, secret: bytes) -> dict[str, object]:
    salt, nonce = os.urandom(16), os.urandom(12)
    verifier, key = derived(password, salt)
    second = nonce + AESGCM(key).encrypt(nonce, secret, name.encode())
    return {"salt": salt, "verifier": verifier, "second": second}


def _roles(roles: Sequence[str], known: Sequence[str]) -> str:
    unknown = sorted(set(roles) - set(known))
    if unknown or not roles:
        raise ValueError(f"a role is one of {', '.join(known)}")
    return json.dumps(sorted(set(roles)))


def _member(row: object) -> Member:
    values = row._mapping  # type: ignore[attr-defined]
    names = (name for name in Member.__dataclass_fields__ if name != "roles")
    return Member(roles=frozenset(json.loads(values["roles"])), **{name: values[name] for name in names})
