"""The front-end applications that may use the front: their keys (hashed), scopes, networks, rates and quotas; and what
they must show beside or instead of a key (credentials.py).

dmz-front reads this table, `bridgectl apps` writes it; it stands in the front's database.
"""

import base64
import hashlib
import json
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import chain, repeat
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    false,
    select,
)

from protocol import credential_kinds
from protocol.destinations import checked_name
from protocol.runtime import credentials

METADATA = credentials.METADATA

APPLICATIONS = Table(
    "applications",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("key_hash", LargeBinary(32), nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("networks", Text, nullable=False),
    Column("rate", Float, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("sandbox", Boolean, nullable=False, default=False, server_default=false()),
    Column("former_hash", LargeBinary(32)),
    Column("former_until", BigInteger),
    Column("limits", Text, nullable=False, default="{}", server_default="{}"),
    Column("requires", String(64), nullable=False, default="[]", server_default="[]"),
)

ALL_OPERATIONS = "*"
MOST_ACCOUNTS = 100_000
_AT_ONCE = 100
_ALIKE = 1_000
"""So many different texts of scopes, networks and limits are read once: most applications have the same as others."""

DESK, LANDING, NOTICES, OPERATOR, RELAY = "desk", "landing", "notices", "operator", "relay"
OF_THE_FRONT = frozenset({DESK, LANDING, NOTICES, OPERATOR, RELAY})
"""The names under which a front itself acts: its pages for staff, the page of a scanned code, its receipts of notices,
an operator's decisions, its relay of files. No application can have one: it would reach what is theirs, and count as
them.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one application may ask for, beside its rate."""

    rates: Mapping[str, float] = field(default_factory=dict)
    """Requests a second, by operation."""
    quotas: Mapping[str, int] = field(default_factory=dict)
    """Requests a calendar day, by operation; of `*`: of all operations together."""
    accounts: int = 0
    """Different accounts an hour; 0 sets no limit."""

    def __bool__(self) -> bool:
        return bool(self.rates or self.quotas or self.accounts)


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Application:
    """One application and what it may do."""

    name: str
    scopes: frozenset[str]
    networks: tuple[IPv4Network | IPv6Network, ...]
    rate: float
    """Requests a second; 0 sets no limit."""
    created_at: int
    revoked_at: int | None
    sandbox: bool = False
    """Its requests are answered from the catalogue's examples, and reach neither broker nor bridge."""
    former_until: int | None = None
    """Until when its key of before is valid too."""
    limits: Limits | None = None
    """None: no others than its rate. So the way of a request has one test for all of them."""
    requires: frozenset[str] = frozenset()
    """What it must show: of `credential_kinds.SIGNATURE`, `credential_kinds.CERTIFICATE`."""
    signing_keys: tuple[tuple[str, str], ...] = ()
    """The public keys its signatures are verified by: id and PEM."""
    certificates: frozenset[str] = frozenset()
    """The fingerprints of its certificates."""


def key_hash(key: bytes) -> bytes:
    """What is stored of a key. Keys are 256 random bits, so one plain SHA-256 cannot be searched backwards."""
    return hashlib.sha256(key).digest()


def add(
    connection: Connection,
    name: str,
    scopes: Sequence[str],
    *,
    networks: Sequence[str] = (),
    rate: float = 0.0,
    sandbox: bool = False,
    limits: Limits = NO_LIMITS,
    now_ms: int,
) -> str:
    """Register an application and return its key, which is shown this once and stored nowhere. The key of a sandbox
    application says so.

    Raises ValueError for a bad name, network, rate or limit, or a name that is taken by an active application or by
    the front itself.
    """
    checked_name(name)
    if name in OF_THE_FRONT:
        raise ValueError(f"the front itself acts as {name}; give the application another name")
    if not scopes:
        raise ValueError("an application needs at least one scope")
    _check(rate, limits)
    found = connection.execute(select(APPLICATIONS).where(APPLICATIONS.c.name == name)).first()
    if found is not None and found.revoked_at is None:
        raise ValueError(f"there is an application {name} already; revoke it first to give it a new key")
    connection.execute(APPLICATIONS.delete().where(APPLICATIONS.c.name == name))
    credentials.remove_all(connection, name)
    key = _new_key(name, sandbox=sandbox)
    connection.execute(
        APPLICATIONS.insert().values(
            name=name,
            key_hash=key_hash(key.encode()),
            scopes=json.dumps(sorted(set(scopes))),
            networks=json.dumps([str(ip_network(network)) for network in networks]),
            rate=rate,
            created_at=now_ms,
            sandbox=sandbox,
            limits=_written(limits),
        )
    )
    return key


def set_limits(connection: Connection, name: str, rate: float | None, changes: Limits) -> Application:
    """Change what an application may ask for, and return it as it is now. What `changes` names is set, of what it says
    0 the limit is taken away, all the rest stays; `rate` None: stays, and so do the accounts where `changes` says -1.

    Raises ValueError for a bad rate or limit, or if there is no active application of that name.
    """
    found = connection.execute(select(APPLICATIONS).where(APPLICATIONS.c.name == name)).first()
    if found is None or found.revoked_at is not None:
        raise ValueError(f"there is no active application {name}")
    before = _application(found._mapping)
    old = before.limits or NO_LIMITS
    new = Limits(
        {**old.rates, **changes.rates},
        {**old.quotas, **changes.quotas},
        old.accounts if changes.accounts < 0 else changes.accounts,
    )
    rate = before.rate if rate is None else rate
    _check(rate, new)
    statement = APPLICATIONS.update().where(APPLICATIONS.c.name == name)
    connection.execute(statement.values(rate=rate, limits=_written(new)))
    return replace(before, rate=rate, limits=_limits(_written(new)))


def _check(rate: float, limits: Limits) -> None:
    if not all(math.isfinite(one) and one >= 0 for one in (rate, *limits.rates.values())):
        raise ValueError("a rate is a number of requests a second, 0 or more")
    if not all(0 <= one < 2**53 for one in limits.quotas.values()):
        raise ValueError("a quota is a number of requests a day, 0 or more")
    if not 0 <= limits.accounts <= MOST_ACCOUNTS:
        raise ValueError(f"accounts are a number of different ones an hour, 0 to {MOST_ACCOUNTS}")


def _written(limits: Limits) -> str:
    """As the database has them: what is 0 is not there."""
    said = {
        name: {key: one for key, one in value.items() if one} if isinstance(value, dict) else value
        for name, value in asdict(limits).items()
    }
    return json.dumps({name: value for name, value in said.items() if value})


@lru_cache(_ALIKE)
def _limits(text: str) -> Limits | None:
    """None if there are none."""
    return Limits(**json.loads(text)) or None


def add_credential(connection: Connection, new: credentials.Credential, now_ms: int) -> None:
    """Let an application show this one too. Raises ValueError if there is no active application of that name, or as
    `credentials.add`.
    """
    _active(connection, new.application)
    credentials.add(connection, new, now_ms)


def remove_credential(connection: Connection, kind: str, name: str, id: str) -> bool:
    """False if it has none of this id. Raises ValueError for the last one of what it must show."""
    requires = _active(connection, name)
    found = [one.id for one in credentials.of(connection, kind, name)]
    if kind in requires and found == [id]:
        raise ValueError(
            f"it is the last one that {name} has to show; first: bridgectl apps {kind} required {name} --off"
        )
    return credentials.remove(connection, kind, name, id)


def require(connection: Connection, name: str, kind: str, *, wanted: bool) -> None:
    """Have an application show one of its signatures or certificates with each request, or not.

    Raises ValueError if there is no active application of that name, or it has none to show.
    """
    requires = _active(connection, name)
    if wanted and not credentials.of(connection, kind, name):
        raise ValueError(f"{name} has none; add one first: bridgectl apps {kind} add {name} FILE")
    said = json.dumps(sorted(requires | {kind} if wanted else requires - {kind}))
    connection.execute(APPLICATIONS.update().where(APPLICATIONS.c.name == name).values(requires=said))


def _active(connection: Connection, name: str) -> frozenset[str]:
    """What an active application must show. Raises ValueError if there is none of that name."""
    found = connection.execute(select(APPLICATIONS).where(APPLICATIONS.c.name == name)).first()
    if found is None or found.revoked_at is not None:
        raise ValueError(f"there is no active application {name}")
    return _words(found.requires)


def rotate(connection: Connection, name: str, *, overlap_ms: int, now_ms: int) -> str:
    """Give an application a new key, which is returned this once, and let it use the one of before for so long.

    Raises ValueError if there is no active application of that name, or it has two valid keys already.
    """
    found = connection.execute(select(APPLICATIONS).where(APPLICATIONS.c.name == name)).first()
    if found is None or found.revoked_at is not None:
        raise ValueError(f"there is no active application {name}")
    if found.former_until is not None and found.former_until > now_ms:
        raise ValueError(f"{name} has two valid keys; end the old one first: bridgectl apps rotate {name} --end")
    key = _new_key(name, sandbox=found.sandbox)
    connection.execute(
        APPLICATIONS.update()
        .where(APPLICATIONS.c.name == name)
        .values(key_hash=key_hash(key.encode()), former_hash=found.key_hash, former_until=now_ms + overlap_ms)
    )
    return key


def end_former(connection: Connection, name: str, now_ms: int) -> bool:
    """Take the key of before away; False if there is none that is valid."""
    valid = APPLICATIONS.c.former_until > now_ms
    statement = APPLICATIONS.update().where(APPLICATIONS.c.name == name, valid)
    return connection.execute(statement.values(former_hash=None, former_until=None)).rowcount == 1


def revoke(connection: Connection, name: str, now_ms: int) -> bool:
    """Take an application's keys and certificates away; False if there is no active application of that name."""
    active = APPLICATIONS.c.revoked_at.is_(None)
    statement = APPLICATIONS.update().where(APPLICATIONS.c.name == name, active)
    credentials.remove_all(connection, name)
    return connection.execute(statement.values(revoked_at=now_ms, former_hash=None, former_until=None)).rowcount == 1


def all_applications(connection: Connection) -> list[Application]:
    """Every application, revoked ones too, by name."""
    rows = connection.execute(select(APPLICATIONS).order_by(APPLICATIONS.c.name))
    shown = _by_application(credentials.of(connection))
    return [_application(row._mapping, shown.get(row.name, ())) for row in rows]


@dataclass(frozen=True, slots=True)
class Active:
    """The applications that are not revoked, as they were read."""

    by_key: Mapping[bytes, Application]
    """Key hash → application; by the key of before too while that is valid, and by the id of each key its signatures
    are verified by (`signer`).
    """
    names: frozenset[str]
    rows: Sequence[Row[Any]] = field(default=(), repr=False)
    """What the database said."""
    shown: Sequence[credentials.Credential] = field(default=(), repr=False)
    since: float = -math.inf
    until: float = -math.inf
    """Unix time in milliseconds, between which no key of before ends."""


NONE = Active({}, frozenset())


def active(connection: Connection, now_ms: int, before: Active = NONE) -> Active:
    """Those not revoked now. `before`: what was read last, and is returned again if nothing has changed: this is asked
    every second, and to make ten thousand applications of their rows takes 0.2 s.
    """
    shown = credentials.of(connection)
    rows = _read(connection, before.rows)
    if before.since <= now_ms < before.until and rows == before.rows and shown == before.shown:
        return before
    found: dict[bytes, Application] = {}
    of = _by_application(shown)
    for row in rows:
        found[row.key_hash] = application = _application(row._mapping, of.get(row.name, ()))
        if row.former_hash is not None and row.former_until > now_ms:
            found[row.former_hash] = application
        for id, _ in application.signing_keys:
            found[signer(id)] = application
    ends = [row.former_until for row in rows if row.former_until is not None]
    since = max((end for end in ends if end <= now_ms), default=-math.inf)
    until = min((end for end in ends if end > now_ms), default=math.inf)
    return Active(found, frozenset(row.name for row in rows), rows, shown, since, until)


def _read(connection: Connection, before: Sequence[Row[Any]]) -> list[Row[Any]]:
    """What the database says; of a row that says what it said before, that. A few at a time: new objects by the
    thousand would have the garbage collector look at all there are, each second.
    """
    result = connection.execute(select(APPLICATIONS).where(APPLICATIONS.c.revoked_at.is_(None)))
    rows = chain.from_iterable(result.partitions(_AT_ONCE))
    return [old if row == old else row for row, old in zip(rows, chain(before, repeat(None)), strict=False)]


def signer(id: str) -> bytes:
    """Under what an application is known by the id of a key its signatures are verified by; no hash looks like it."""
    return b"keyid:" + id.encode()


def _by_application(shown: Sequence[credentials.Credential]) -> Mapping[str, Sequence[credentials.Credential]]:
    found: dict[str, list[credentials.Credential]] = {}
    for one in shown:
        found.setdefault(one.application, []).append(one)
    return found


@lru_cache(_ALIKE)
def _words(said: str) -> frozenset[str]:
    return frozenset(json.loads(said))


@lru_cache(_ALIKE)
def _networks(said: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(network) for network in json.loads(said))


def _new_key(name: str, *, sandbox: bool) -> str:
    kind = "dmz_sandbox" if sandbox else "dmz"
    return f"{kind}_{name}_{base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b'=').decode()}"


def _application(row: Mapping[Any, Any], shown: Sequence[credentials.Credential] = ()) -> Application:
    return Application(
        name=row["name"],
        scopes=_words(row["scopes"]),
        networks=_networks(row["networks"]),
        rate=row["rate"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
        sandbox=row["sandbox"],
        former_until=row["former_until"],
        limits=_limits(row["limits"]),
        requires=_words(row["requires"]),
        signing_keys=tuple((one.id, one.public) for one in shown if one.kind == credential_kinds.SIGNATURE),
        certificates=frozenset(one.id for one in shown if one.kind == credential_kinds.CERTIFICATE),
    )
