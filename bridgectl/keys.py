"""Making and rotating the envelope's keys: what `bridgectl keys` does to the files of a key directory.

A role's keyring is the truth about its keys; its part of trusted.json is always written from it, so a command
cut short between the two files is completed by running it again.
"""

import base64
import datetime
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
    format_of,
    groups_of,
    new_key,
    parse_file,
    public_of,
)
from protocol.messages import Role
from protocol.runtime import codes
from protocol.runtime.keyfiles import KEYS_INIT, read_private, read_public

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


@dataclass(frozen=True, slots=True)
class Whose:
    """Who holds a keyring: the bridges, the fronts, or a group of fronts (those that share a ledger)."""

    role: Role
    group: str = ""
    """Empty: a bridge's, or all fronts'."""

    def __str__(self) -> str:
        return f"{self.role}-{self.group}" if self.group else self.role.value

    @property
    def hosts(self) -> str:
        """As they are told what to do."""
        return f"{self.role}s-{self.group}" if self.group else f"{self.role}s"


FRONTS, BRIDGES = Whose(Role.FRONT), Whose(Role.BRIDGE)


def holders(directory: Path) -> list[Whose]:
    """Whose keyrings there are, as trusted.json tells. Raises ConfigurationError."""
    trusted = _load_trusted(directory)
    shared = any(
        key.role is Role.FRONT and not key.group and key.state is not KeyState.READABLE for key in trusted.keys
    )
    groups = [Whose(Role.FRONT, group) for group in sorted(groups_of(trusted.keys))]
    return [*([FRONTS] if shared or not groups else []), *groups, BRIDGES]


def holder(directory: Path, role: Role, group: str | None) -> Whose:
    """Whose keyring is meant. Raises ConfigurationError if there is no such, or none is named where several are."""
    there = [one for one in holders(directory) if one.role is role]
    names = ", ".join(one.group for one in there if one.group)
    if group is None:
        if len(there) > 1 or there[0].group:
            raise ConfigurationError(tr("the fronts have keys by group: give --group, one of {names}", names=names))
        return there[0]
    found = next((one for one in there if one.group == group), None)
    if found is None or not group:
        raise ConfigurationError(
            tr("there is no group {group}; there are: {names}", group=group, names=names or tr("none"))
        )
    return found


def init(directory: Path, *, now: datetime.datetime, force: bool = False, groups: Sequence[str] = ()) -> list[Path]:
    """Make the first keys: of the bridges, and of the fronts, or of each group of them. Raises ConfigurationError if
    there are some (unless `force`).
    """
    fronts = [Whose(Role.FRONT, group) for group in groups] or [FRONTS]
    owns = [_first(whose, now) for whose in (*fronts, BRIDGES)]
    keys = tuple(key for own in owns for key in _public(own))
    trusted = TrustedFile(format=format_of("trusted keys", keys), keys=keys)
    return _save(directory, owns, trusted, replace=force)


def split(directory: Path, groups: Sequence[str], *, now: datetime.datetime) -> list[Whose]:
    """Give each of these groups keys of its own; those that are new, the others are left as they are.

    Where all fronts share their keys, they go on with these, and the groups' are their next. Where they have keys by
    group already, the fronts of a new one do not run yet, and its keys are used at once. Raises ConfigurationError.
    """
    trusted = _load_trusted(directory)
    there = holders(directory)
    new = [whose for group in groups if (whose := Whose(Role.FRONT, group)) not in there]
    owns = []
    shared = _load_private(directory, FRONTS) if FRONTS in there else None
    for whose in new:
        if shared is None:
            own = _first(whose, now)
        else:
            keys = (*shared.keys, *_new_pair(KeyState.NEXT, now, whose.group))
            if any(key.state is KeyState.NEXT for key in shared.keys):
                raise ConfigurationError(tr("the fronts' keys are being changed: bring that to its end first"))
            own = shared.model_copy(update={"keys": keys, "format": format_of("keyring", keys)})
        owns.append(own)
        trusted = _merged(trusted, own)
    if owns:
        _save(directory, owns, trusted)
    return new


def use_groups(directory: Path, *, now: datetime.datetime) -> None:
    """Second step of a split: each group signs with its own keys, and what all shared is readable. Raises
    ConfigurationError if there is nothing to use.
    """
    trusted, there = _load_trusted(directory), holders(directory)
    groups = [whose for whose in there if whose.group]
    if FRONTS not in there or not groups:
        raise ConfigurationError(
            tr("no group's keys wait to be used: bridgectl keys split GROUP makes them"), file=str(directory / TRUSTED)
        )
    owns = []
    for whose in groups:
        own = _load_private(directory, whose)
        if any(key.state is KeyState.NEXT for key in own.keys):
            own = own.model_copy(update={"keys": tuple(_advanced(key, now) for key in own.keys)})
        owns.append(own)
        trusted = _merged(trusted, own)
    retired = {key.id: key for own in owns for key in own.keys if not key.group}
    keys = tuple(
        key.model_copy(update={"state": retired[key.id].state, "retired_at": retired[key.id].retired_at})
        if key.id in retired else key
        for key in trusted.keys
    )  # fmt: skip
    _save(directory, owns, trusted.model_copy(update={"keys": keys}))
    keyring_path(directory, FRONTS).unlink(missing_ok=True)  # each group's keyring has what is left of it


def rotate(directory: Path, whose: Whose, *, now: datetime.datetime) -> bool:
    """First step: make the next keys, so that they can be distributed before anyone uses them.

    False if next keys were there already (none are added). Raises ConfigurationError.
    """
    own, trusted = _load(directory, whose)
    made = not any(key.state is KeyState.NEXT for key in own.keys)
    if made:
        own = own.model_copy(update={"keys": (*own.keys, *_new_pair(KeyState.NEXT, now, whose.group))})
    _save(directory, [own], _merged(trusted, own))
    return made


def activate(directory: Path, whose: Whose, *, now: datetime.datetime) -> None:
    """Second step: the next keys become active, the active ones readable. Raises ConfigurationError."""
    own, trusted = _load(directory, whose)
    waiting = any(key.state is KeyState.NEXT for key in own.keys)
    if waiting:
        own = own.model_copy(update={"keys": tuple(_advanced(key, now) for key in own.keys)})
    _save(directory, [own], _merged(trusted, own))
    if not waiting:
        raise ConfigurationError(
            tr("no next key to activate: bridgectl keys rotate {role} makes one", role=whose.role),
            file=str(keyring_path(directory, whose)),
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
    for whose in holders(directory):
        if keyring_path(directory, whose).exists():
            own, _ = _load(directory, whose)
            owns.append(own.model_copy(update={"keys": tuple(key for key in own.keys if key.id not in ids)}))
    if gone:
        kept = trusted.model_copy(update={"keys": tuple(key for key in trusted.keys if key.id not in ids)})
        _save(directory, owns, kept)
    return gone


def parts(directory: Path, changing: Iterable[Whose]) -> list[Part]:
    """What hosts have to get when these keys change, or are in change: of their holder, the keyring too. Raises
    ConfigurationError.
    """
    trusted = _load_trusted(directory)
    there = holders(directory)
    changed = {*changing, *(_whose(key) for key in trusted.keys if key.state is KeyState.NEXT)}
    splitting = FRONTS in there and len(there) > 2
    found = []
    for whose in there:
        if splitting and whose == FRONTS:
            continue  # each front is one group's
        path = keyring_path(directory, whose)
        files = (path.name, TRUSTED) if whose in changed else (TRUSTED,)
        # the keyring of the other role may be kept elsewhere: then the code of its hosts is not known here
        code = codes.of_keys(_load_private(directory, whose), trusted) if path.exists() else _UNKNOWN
        found.append(Part(whose.hosts, files, "bridgectl reload", code, told=code != _UNKNOWN))
    return found


def stage(directory: Path, whose: Whose) -> Stage:
    """Where keys are in their change. Raises ConfigurationError."""
    states = {key.state for key in _load_trusted(directory).keys if _whose(key) == whose}
    if KeyState.NEXT in states:
        return Stage.KNOWN
    return Stage.USED if KeyState.READABLE in states else Stage.NONE


def split_stage(directory: Path) -> Stage:
    """Where a split of what all fronts share into groups is. Raises ConfigurationError."""
    trusted = _load_trusted(directory)
    shared = {key.state for key in trusted.keys if _whose(key) == FRONTS}
    if not groups_of(trusted.keys) or not shared:
        return Stage.NONE
    return Stage.KNOWN if KeyState.ACTIVE in shared else Stage.USED


def cut_short(directory: Path, whose: Whose) -> bool:
    """Whether a step was interrupted between the two files: then it is to be repeated. Raises ConfigurationError."""
    own, trusted = _load(directory, whose)
    return trusted != _merged(trusted, own)


def retired(directory: Path) -> set[Whose]:
    """Holders with keys that ceased to be active. Raises ConfigurationError."""
    there = holders(directory)
    found = {_whose(key) for key in _load_trusted(directory).keys if key.retired_at is not None}
    if FRONTS in found and FRONTS not in there:  # what all shared is in each group's keyring
        found |= {whose for whose in there if whose.group}
    return found & set(there)


def forgettable(directory: Path) -> datetime.datetime | None:
    """From when on no message needs the keys that ceased to be active; None: there are none."""
    retired = [key.retired_at for key in _load_trusted(directory).keys if key.retired_at is not None]
    return max(retired) + datetime.timedelta(days=SAFE_PRUNE_DAYS) if retired else None


def describe(directory: Path, *, now: datetime.datetime) -> list[dict[str, object]]:
    """One mapping a trusted key; never a secret. Raises ConfigurationError for a file that cannot be used."""
    here: set[str] = set()
    for whose in holders(directory):
        if keyring_path(directory, whose).exists():
            here |= {key.id for key in _load_private(directory, whose).keys}
    return [
        {
            "role": key.role.value,
            "group": key.group,
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


def keyring_path(directory: Path, whose: Whose | Role) -> Path:
    """The file with a holder's private keys."""
    return directory / f"{whose}.keyring"


def _whose(key: TrustedKey) -> Whose:
    return Whose(Role(key.role), key.group or "")


def _first(whose: Whose, now: datetime.datetime) -> PrivateFile:
    keys = _new_pair(KeyState.ACTIVE, now, whose.group)
    secret = base64.urlsafe_b64encode(secrets.token_bytes(32)) if whose.role is Role.FRONT else None
    return PrivateFile(format=format_of("keyring", keys), role=whose.role, secret=secret, keys=keys)


def _new_pair(state: KeyState, now: datetime.datetime, group: str = "") -> tuple[PrivateKey, ...]:
    made = (new_key(algorithm, state, now, secrets.token_bytes(32)) for algorithm in Algorithm)
    return tuple(key.model_copy(update={"group": group or None}) for key in made)


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
            group=key.group,
            algorithm=key.algorithm,
            state=key.state,
            created=key.created,
            retired_at=key.retired_at,
            public=base64.urlsafe_b64encode(public_of(key.algorithm, key.private)),
        )
        for key in own.keys
    )


def _merged(trusted: TrustedFile, own: PrivateFile) -> TrustedFile:
    """With what a keyring says of its holder's keys; of what all fronts share only that one's keyring says anything."""
    group = own.group or None
    others = (key for key in trusted.keys if (key.role, key.group) != (own.role, group))
    mine = (key for key in _public(own) if key.group == group)
    keys = tuple(sorted((*others, *mine), key=lambda key: (ROLES.index(key.role), key.group or "")))
    return trusted.model_copy(update={"keys": keys, "format": format_of("trusted keys", keys)})


def _load(directory: Path, whose: Whose) -> tuple[PrivateFile, TrustedFile]:
    own = _load_private(directory, whose)
    if (own.role, own.group) != (whose.role, whose.group):
        is_of = str(Whose(Role(own.role), own.group))
        raise ConfigurationError(
            tr("is the keyring of the {role}", role=is_of), file=str(keyring_path(directory, whose))
        )
    return own, _load_trusted(directory)


def _load_private(directory: Path, whose: Whose) -> PrivateFile:
    path = keyring_path(directory, whose)
    return parse_file(PrivateFile, read_private(path, made_by=KEYS_INIT), str(path))


def _load_trusted(directory: Path) -> TrustedFile:
    path = directory / TRUSTED
    return parse_file(TrustedFile, read_public(path, made_by=KEYS_INIT), str(path))


def _save(directory: Path, owns: Iterable[PrivateFile], trusted: TrustedFile, *, replace: bool = True) -> list[Path]:
    contents = {keyring_path(directory, Whose(Role(own.role), own.group)).name: _content(own, PRIVATE) for own in owns}
    return write_all(directory, {**contents, TRUSTED: _content(trusted, PUBLIC)}, replace=replace)


def _content(file: PrivateFile | TrustedFile, mode: int) -> Content:
    data = file.model_dump_json(indent=2, exclude_none=True).encode() + b"\n"
    # Nothing is written that a daemon would refuse to read.
    parse_file(type(file), data, tr("the file to be written"))
    return Content(data, mode)
