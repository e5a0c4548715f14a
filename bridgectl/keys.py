"""Making and rotating the envelope's keys: what `bridgectl keys` does to the files of a key directory.

A role's keyring is the truth about its keys; its part of trusted.json is always written from it, so a command
cut short between the two files is completed by running it again.
"""

import base64
import datetime
import secrets
from collections.abc import Iterable
from enum import Enum
from pathlib import Path

from bridgectl.files import PRIVATE, PUBLIC, Content, write_all
from bridgectl.language import noted, tr
from bridgectl.rollout import Part
from protocol.errors import ConfigurationError
from protocol.keyring import (
    Algorithm,
    KeyState,
    PrivateFile,
    PrivateKey,
    TrustedFile,
    TrustedKey,
    new_key,
    parse_file,
    public_of,
)
from protocol.messages import Role
from protocol.runtime import codes
from protocol.runtime.keyfiles import read_private, read_public

ROLES = (Role.FRONT, Role.BRIDGE)
TRUSTED = "trusted.json"
SAFE_PRUNE_DAYS = 8
"""A message may be 7 days old when it is opened (protocol/envelope.py); its keys must still be there."""


CONFIRMED = "rotation.json"
"""Which hosts were seen to have the keys of the directory."""
_UNKNOWN = "-"


class Stage(Enum):
    """Of the change of a role's keys."""

    NONE = noted("no change is under way")
    KNOWN = noted("step 1 of 3: everyone comes to know the new keys; nobody uses them yet")
    USED = noted("step 2 of 3: the new keys are used; the old ones still open what is on its way")


def init(directory: Path, *, now: datetime.datetime, force: bool = False) -> list[Path]:
    """Make the first keys of both roles. Raises ConfigurationError if there are some (unless `force`)."""
    owns = [
        PrivateFile(
            role=role,
            secret=base64.urlsafe_b64encode(secrets.token_bytes(32)) if role is Role.FRONT else None,
            keys=_new_pair(KeyState.ACTIVE, now),
        )
        for role in ROLES
    ]
    trusted = TrustedFile(keys=tuple(key for own in owns for key in _public(own)))
    return _save(directory, owns, trusted, replace=force)


def rotate(directory: Path, role: Role, *, now: datetime.datetime) -> bool:
    """First step: make the role's next keys, so that they can be distributed before anyone uses them.

    False if next keys were there already (none are added). Raises ConfigurationError.
    """
    own, trusted = _load(directory, role)
    made = not any(key.state is KeyState.NEXT for key in own.keys)
    if made:
        own = own.model_copy(update={"keys": (*own.keys, *_new_pair(KeyState.NEXT, now))})
    _save(directory, [own], _merged(trusted, own))
    return made


def activate(directory: Path, role: Role, *, now: datetime.datetime) -> None:
    """Second step: the next keys become active, the active ones readable. Raises ConfigurationError."""
    own, trusted = _load(directory, role)
    waiting = any(key.state is KeyState.NEXT for key in own.keys)
    if waiting:
        own = own.model_copy(update={"keys": tuple(_advanced(key, now) for key in own.keys)})
    _save(directory, [own], _merged(trusted, own))
    if not waiting:
        raise ConfigurationError(
            tr("no next key to activate: bridgectl keys rotate {role} makes one", role=role),
            file=str(keyring_path(directory, role)),
        )


def prune(directory: Path, *, older_than_days: int, now: datetime.datetime) -> list[TrustedKey]:
    """Remove keys that ceased to be active more than so many days ago, and return them.

    Works on trusted.json and on whichever keyrings are in the directory. Raises ConfigurationError.
    """
    before = now - datetime.timedelta(days=older_than_days)
    trusted = _load_trusted(directory)
    gone = [key for key in trusted.keys if key.retired_at is not None and key.retired_at <= before]
    ids = {key.id for key in gone}
    owns = []
    for role in ROLES:
        if keyring_path(directory, role).exists():
            own, _ = _load(directory, role)
            owns.append(own.model_copy(update={"keys": tuple(key for key in own.keys if key.id not in ids)}))
    if gone:
        kept = trusted.model_copy(update={"keys": tuple(key for key in trusted.keys if key.id not in ids)})
        _save(directory, owns, kept)
    return gone


def parts(directory: Path, roles: Iterable[Role]) -> list[Part]:
    """What hosts have to get when keys of these roles change, or are in change: of a role, its keyring too. Raises
    ConfigurationError.
    """
    trusted = _load_trusted(directory)
    changed = {*roles, *(key.role for key in trusted.keys if key.state is KeyState.NEXT)}
    found = []
    for role in ROLES:
        path = keyring_path(directory, role)
        files = (path.name, TRUSTED) if role in changed else (TRUSTED,)
        # the keyring of the other role may be kept elsewhere: then the code of its hosts is not known here
        code = codes.of_keys(_load_private(directory, role), trusted) if path.exists() else _UNKNOWN
        found.append(Part(f"{role}s", files, "bridgectl reload", code, told=code != _UNKNOWN))
    return found


def stage(directory: Path, role: Role) -> Stage:
    """Where a role's keys are in their change. Raises ConfigurationError."""
    states = {key.state for key in _load_trusted(directory).keys if key.role is role}
    if KeyState.NEXT in states:
        return Stage.KNOWN
    return Stage.USED if KeyState.READABLE in states else Stage.NONE


def cut_short(directory: Path, role: Role) -> bool:
    """Whether a step was interrupted between the two files: then it is to be repeated. Raises ConfigurationError."""
    own, trusted = _load(directory, role)
    return trusted != _merged(trusted, own)


def retired(directory: Path) -> set[Role]:
    """Roles with keys that ceased to be active. Raises ConfigurationError."""
    return {Role(key.role) for key in _load_trusted(directory).keys if key.retired_at is not None}


def forgettable(directory: Path) -> datetime.datetime | None:
    """From when on no message needs the keys that ceased to be active; None: there are none."""
    retired = [key.retired_at for key in _load_trusted(directory).keys if key.retired_at is not None]
    return max(retired) + datetime.timedelta(days=SAFE_PRUNE_DAYS) if retired else None


def describe(directory: Path, *, now: datetime.datetime) -> list[dict[str, object]]:
    """One mapping a trusted key; never a secret. Raises ConfigurationError for a file that cannot be used."""
    here: set[str] = set()
    for role in ROLES:
        if keyring_path(directory, role).exists():
            here |= {key.id for key in _load_private(directory, role).keys}
    return [
        {
            "role": key.role.value,
            "algorithm": key.algorithm.value,
            "id": key.id,
            "state": key.state.value,
            "created": f"{key.created:%Y-%m-%d}",
            "age_days": (now - key.created).days,
            "retired": f"{key.retired_at:%Y-%m-%d}" if key.retired_at else None,
            "private_key_here": key.id in here,
        }
        for key in _load_trusted(directory).keys
    ]


def keyring_path(directory: Path, role: Role) -> Path:
    """The file with a role's private keys."""
    return directory / f"{role}.keyring"


def _new_pair(state: KeyState, now: datetime.datetime) -> tuple[PrivateKey, ...]:
    return tuple(new_key(algorithm, state, now, secrets.token_bytes(32)) for algorithm in Algorithm)


def _advanced(key: PrivateKey, now: datetime.datetime) -> PrivateKey:
    if key.state is KeyState.NEXT:
        return key.model_copy(update={"state": KeyState.ACTIVE})
    if key.state is KeyState.ACTIVE:
        return key.model_copy(update={"state": KeyState.READABLE, "retired_at": now})
    return key


def _public(own: PrivateFile) -> tuple[TrustedKey, ...]:
    return tuple(
        TrustedKey(
            id=key.id,
            role=own.role,
            algorithm=key.algorithm,
            state=key.state,
            created=key.created,
            retired_at=key.retired_at,
            public=base64.urlsafe_b64encode(public_of(key.algorithm, key.private)),
        )
        for key in own.keys
    )


def _merged(trusted: TrustedFile, own: PrivateFile) -> TrustedFile:
    others = (key for key in trusted.keys if key.role is not own.role)
    keys = sorted((*others, *_public(own)), key=lambda key: ROLES.index(key.role))
    return trusted.model_copy(update={"keys": tuple(keys)})


def _load(directory: Path, role: Role) -> tuple[PrivateFile, TrustedFile]:
    own = _load_private(directory, role)
    if own.role is not role:
        raise ConfigurationError(
            tr("is the keyring of the {role}", role=own.role), file=str(keyring_path(directory, role))
        )
    return own, _load_trusted(directory)


def _load_private(directory: Path, role: Role) -> PrivateFile:
    path = keyring_path(directory, role)
    return parse_file(PrivateFile, read_private(path), str(path))


def _load_trusted(directory: Path) -> TrustedFile:
    path = directory / TRUSTED
    return parse_file(TrustedFile, read_public(path), str(path))


def _save(directory: Path, owns: Iterable[PrivateFile], trusted: TrustedFile, *, replace: bool = True) -> list[Path]:
    contents = {keyring_path(directory, own.role).name: _content(own, PRIVATE) for own in owns}
    return write_all(directory, {**contents, TRUSTED: _content(trusted, PUBLIC)}, replace=replace)


def _content(file: PrivateFile | TrustedFile, mode: int) -> Content:
    data = file.model_dump_json(indent=2, exclude_none=True).encode() + b"\n"
    # Nothing is written that a daemon would refuse to read.
    parse_file(type(file), data, tr("the file to be written"))
    return Content(data, mode)
