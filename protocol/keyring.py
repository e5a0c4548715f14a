"""The envelope's keys, as values: who signs, who can open, whom we trust. Bytes in, values out; no I/O.

Two JSON files make a process's keyring (written by `bridgectl keys`):

- ``front.keyring`` or ``bridge.keyring``: the private keys of one role, and for the front the secret behind
  pseudonyms and fingerprints;
- ``trusted.json``: the public keys of both roles.

Fronts that share a ledger are a **group**. The fronts' keys are either the same for all of them, as they were at first,
or each belongs to a group: then ``front-<group>.keyring`` holds one group's, and a signature counts for that group's
fronts alone. A bridge tells by the key which group asks, and seals its reply to that.

A role has Ed25519 keys (RFC 8032) to sign with and X25519 keys (RFC 7748) to be sealed to. A key is ``next``
(trusted by all, used by none), then ``active`` (used for what is new), then ``readable`` (for what is still
on its way), then removed: every side knows a key before any side uses it.
"""

import base64
import hashlib
import hmac
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from pydantic import (
    AwareDatetime,
    Base64UrlBytes,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from protocol.destinations import NAME
from protocol.errors import ConfigurationError
from protocol.messages import Role

KEY_ID_BYTES = 8


class Algorithm(StrEnum):
    """What a key is for follows from what it is."""

    SIGNING = "ed25519"
    SEALING = "x25519"


class KeyState(StrEnum):
    """Where a key stands in its life. All three are accepted; only an active one is used for what is new."""

    NEXT = "next"
    ACTIVE = "active"
    READABLE = "readable"


Key32 = Annotated[Base64UrlBytes, Field(min_length=32, max_length=32)]
Group = Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]
KeyRole = Literal[Role.FRONT, Role.BRIDGE]


class _Entry(BaseModel):
    # Inputs are hidden in validation errors because a private key may be one.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _Key(_Entry):
    id: str
    algorithm: Algorithm
    state: KeyState
    created: AwareDatetime
    retired_at: AwareDatetime | None = None
    group: Group | None = None
    """Whose it is among the fronts; None: a bridge's, or all fronts'."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.id != key_id(self.algorithm, self._public_bytes()):
            raise ValueError("the key does not have this id: the file is damaged")
        if (self.state is KeyState.READABLE) != (self.retired_at is not None):
            raise ValueError("retired_at belongs to readable keys, and to them alone")
        return self

    def _public_bytes(self) -> bytes:
        raise NotImplementedError


class TrustedKey(_Key):
    """One public key of trusted.json."""

    role: KeyRole
    public: Key32

    def _public_bytes(self) -> bytes:
        return self.public


class PrivateKey(_Key):
    """One private key of a keyring file; it is never in a repr or an error."""

    private: Key32 = Field(repr=False)

    def _public_bytes(self) -> bytes:
        return public_of(self.algorithm, self.private)


class PrivateFile(_Entry):
    """A ``front.keyring`` or ``bridge.keyring``."""

    format: Literal["dmz-bridge keyring 1", "dmz-bridge keyring 2"] = "dmz-bridge keyring 1"
    """2: with groups, which releases before do not know."""
    role: KeyRole
    secret: Key32 | None = Field(default=None, repr=False)
    """Keys the front's pseudonyms and fingerprints. The bridge has none: it never needs to undo them."""
    keys: tuple[PrivateKey, ...] = Field(repr=False)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.secret is None) == (self.role is Role.FRONT):
            raise ValueError("the front's keyring, and only the front's, has a secret")
        _one_active_each(self.keys, f"the {self.role}")
        if len(groups_of(self.keys)) > 1 or (self.role is Role.BRIDGE and groups_of(self.keys)):
            raise ValueError("a keyring holds the keys of one group of fronts, and a bridge's of none")
        _as_it_says(self.format, self.keys)
        return self

    @property
    def group(self) -> str:
        """Whose fronts' it is; empty: all of them share it, or it is a bridge's."""
        return next(iter(groups_of(self.keys)), "")


class TrustedFile(_Entry):
    """A ``trusted.json``."""

    format: Literal["dmz-bridge trusted keys 1", "dmz-bridge trusted keys 2"] = "dmz-bridge trusted keys 1"
    """2: with groups, which releases before do not know."""
    keys: tuple[TrustedKey, ...]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if len({key.id for key in self.keys}) != len(self.keys):
            raise ValueError("a key is listed twice")
        _one_active_each([key for key in self.keys if key.role is Role.BRIDGE], "the bridge")
        fronts = [key for key in self.keys if key.role is Role.FRONT]
        used = {key.group for key in fronts if key.state is KeyState.ACTIVE}
        for group in used or {None}:
            of = f"the group {group}" if group else "the front"
            _one_active_each([key for key in fronts if key.group == group], of)
        if any(key.group for key in self.keys if key.role is Role.BRIDGE):
            raise ValueError("a bridge's key is of no group")
        _as_it_says(self.format, self.keys)
        return self


@dataclass(frozen=True, slots=True)
class Keyring:
    """What one process may do: sign as `role`, open what is sealed to `role`, trust `senders`.

    Key ids are raw bytes (KEY_ID_BYTES of them), as they stand on the wire.
    """

    role: Role
    signer: tuple[bytes, Ed25519PrivateKey] = field(repr=False)
    """Our active signing key, with its id."""
    openers: Mapping[bytes, X25519PrivateKey] = field(repr=False)
    """Our sealing keys by id, whatever their state."""
    senders: Mapping[bytes, tuple[Role, Ed25519PublicKey]] = field(repr=False)
    """Every trusted signing key by id, and whose it is."""
    receivers: Mapping[tuple[Role, str], tuple[bytes, X25519PublicKey]] = field(repr=False)
    """The key to seal to, by role and, of fronts, by group; the group is empty where there is none. Of a group whose
    keys nobody uses here yet it is the next: it may have begun to, and be the first to say so.
    """
    front_groups: frozenset[str]
    """The groups of fronts whose keys are in use; an empty name: the fronts that share one key."""
    sender_groups: Mapping[bytes, str]
    """The group of each trusted signing key, by its id; empty: none."""
    foreign: frozenset[bytes]
    """Ids of the sealing keys of our role that are another group's."""
    group: str
    """As which group of fronts we sign; empty: as a front, or a bridge."""
    groups: frozenset[str]
    """Those in whose name we may be answered."""
    nobody: tuple[bytes, X25519PublicKey] = field(repr=False)
    """A key that no one has: what is for a group that is gone is sealed to it."""
    _pseudonym_key: bytes = field(repr=False)
    _fingerprint_key: bytes = field(repr=False)

    @classmethod
    def parse(cls, private: bytes, trusted: bytes) -> "Keyring":
        """Read the two files' bytes.

        Raises ConfigurationError, its `file` being ``"private"`` or ``"trusted"``, if one is damaged or
        they do not belong together. The message never holds a secret.
        """
        own = parse_file(PrivateFile, private, "private")
        others = parse_file(TrustedFile, trusted, "trusted")
        _agree(own, others)
        secret = own.secret or b""
        used = {(Role(key.role), key.group or ""): key for key in others.keys if _is_active(key, Algorithm.SEALING)}
        coming = (key for key in others.keys if key.state is KeyState.NEXT and key.algorithm is Algorithm.SEALING)
        sealing = {(Role(key.role), key.group or ""): key for key in coming} | used
        ours = {key.id for key in own.keys}
        signing = next(key for key in own.keys if _is_active(key, Algorithm.SIGNING))
        return cls(
            role=own.role,
            signer=(bytes.fromhex(signing.id), Ed25519PrivateKey.from_private_bytes(signing.private)),
            openers={
                bytes.fromhex(key.id): X25519PrivateKey.from_private_bytes(key.private)
                for key in own.keys
                if key.algorithm is Algorithm.SEALING
            },
            senders={
                bytes.fromhex(key.id): (key.role, Ed25519PublicKey.from_public_bytes(key.public))
                for key in others.keys
                if key.algorithm is Algorithm.SIGNING
            },
            receivers={
                whose: (bytes.fromhex(key.id), X25519PublicKey.from_public_bytes(key.public))
                for whose, key in sealing.items()
            },
            front_groups=frozenset(group for role, group in used if role is Role.FRONT),
            sender_groups={
                bytes.fromhex(key.id): key.group or "" for key in others.keys if key.algorithm is Algorithm.SIGNING
            },
            foreign=frozenset(
                bytes.fromhex(key.id)
                for key in others.keys
                if key.role is own.role and key.algorithm is Algorithm.SEALING and key.id not in ours
            ),
            group=signing.group or "",
            groups=frozenset(key.group or "" for key in own.keys),
            nobody=(bytes(KEY_ID_BYTES), X25519PrivateKey.generate().public_key()),
            _pseudonym_key=_derived(secret, b"dmz-bridge pseudonym 1"),
            _fingerprint_key=_derived(secret, b"dmz-bridge fingerprint 1"),
        )

    def same_secret(self, other: "Keyring") -> bool:
        """Whether both give the same pseudonyms and fingerprints."""
        return hmac.compare_digest(self._pseudonym_key, other._pseudonym_key)

    def pseudonym(self, text: str) -> str:
        """A name for `text` that tells nothing of it: the same for all fronts, 128 bits, 22 characters.

        Raises ConfigurationError in a bridge, whose keyring has no secret.
        """
        digest = hmac.digest(_present(self._pseudonym_key), text.encode(), "sha256")
        return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")

    def fingerprint(self, data: bytes) -> bytes:
        """32 bytes by which to know `data` again without keeping it.

        Raises ConfigurationError in a bridge.
        """
        return hmac.digest(_present(self._fingerprint_key), data, "sha256")


File = TypeVar("File", bound=_Entry)


def parse_file(model: type[File], data: bytes, file: str) -> File:
    """`data` as a file of that kind. Raises ConfigurationError naming `file` and the place, never a value."""
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{place}: {first['msg']}" if place else first["msg"], file=file) from None


def key_id(algorithm: Algorithm, public: bytes) -> str:
    """The id of a key in hex: the first bytes of a hash of what it is."""
    return hashlib.sha256(b"dmz-bridge key 1 " + algorithm.encode() + b"\0" + public).digest()[:KEY_ID_BYTES].hex()


def public_of(algorithm: Algorithm, private: bytes) -> bytes:
    """The raw public key of a raw private key."""
    if algorithm is Algorithm.SIGNING:
        return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def new_key(algorithm: Algorithm, state: KeyState, created: datetime, entropy: bytes) -> PrivateKey:
    """A key from 32 bytes of a cryptographic random source (RFC 8032 and RFC 7748 keys are just that)."""
    return PrivateKey(
        id=key_id(algorithm, public_of(algorithm, entropy)),
        algorithm=algorithm,
        state=state,
        created=created,
        private=base64.urlsafe_b64encode(entropy),
    )


def _agree(own: PrivateFile, others: TrustedFile) -> None:
    """What we sign with must be trusted, what others seal to us with must be here. Raises ConfigurationError."""
    private = {key.id for key in own.keys}
    public = {key.id for key in others.keys if key.role is own.role and key.group in {one.group for one in own.keys}}
    for key in own.keys:
        if key.state is KeyState.ACTIVE and key.id not in public:
            raise ConfigurationError(
                f"does not list the {own.role}'s active key {key.id}: copy it anew", file="trusted"
            )
    for one in others.keys:
        mine = one.role is own.role and one.group in {key.group for key in own.keys}
        if mine and one.state is KeyState.ACTIVE and one.id not in private:
            raise ConfigurationError(
                f"does not hold key {one.id}, which others use already: copy it anew", file="private"
            )


def judged_groups(keyring: Keyring, fronts: Collection[str]) -> tuple[list[str], list[str]]:
    """What is wrong, and what is in doubt, with a bridge's keys beside the groups that its configuration names."""
    trusted = set(keyring.sender_groups.values()) - {""}
    shared = "" in keyring.front_groups
    wrong = [
        f"trusted.json has keys of the group {group}, and there is no [fronts.{group}]: what it asks is refused"
        for group in sorted(trusted.difference(fronts))
    ]
    if not shared:
        wrong += [
            f"trusted.json has no key in use of the group {group} ([fronts.{group}]): bridgectl keys split {group}"
            for group in sorted(set(fronts) - keyring.front_groups)
        ]
    doubts = []
    if shared and len(fronts) > 1:
        doubts.append(
            f"the fronts of {', '.join(sorted(fronts))} share one key: each can speak for all (bridgectl keys split)"
        )
    elif trusted and any(
        not keyring.sender_groups[id] for id, (role, _) in keyring.senders.items() if role is Role.FRONT
    ):
        doubts.append("the key that all fronts shared is still believed, of any of them (bridgectl keys prune)")
    return wrong, doubts


def groups_of(keys: Iterable[_Key]) -> set[str]:
    """The groups that some keys belong to."""
    return {key.group for key in keys if key.group}


def format_of(kind: str, keys: Iterable[_Key]) -> Any:
    """The `format` of a file with these keys: ``keyring`` or ``trusted keys``."""
    return f"dmz-bridge {kind} {2 if groups_of(keys) else 1}"


def _as_it_says(format: str, keys: Iterable[_Key]) -> None:
    if groups_of(keys) and format.endswith("1"):
        raise ValueError("format 1 has no groups")


def _one_active_each(keys: Any, whose: str) -> None:
    if len({key.id for key in keys}) != len(keys):
        raise ValueError("a key is listed twice")
    for algorithm in Algorithm:
        if sum(_is_active(key, algorithm) for key in keys) != 1:
            raise ValueError(f"{whose} must have one active {algorithm} key")


def _is_active(key: _Key, algorithm: Algorithm) -> bool:
    return key.state is KeyState.ACTIVE and key.algorithm is algorithm


def _derived(secret: bytes, label: bytes) -> bytes:
    """A key of its own for each purpose: what HKDF-Expand (RFC 5869) does for one block."""
    return hmac.digest(secret, label + b"\x01", "sha256") if secret else b""


def _present(key: bytes) -> bytes:
    if not key:
        raise ConfigurationError("this keyring has no secret for pseudonyms: only the front's has")
    return key
