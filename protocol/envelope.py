"""The sealed envelope: what one side says to the other, so that the broker between can neither read nor change it.

::

    offset  size
       0      1  version, 1 to 3
       1      1  kind: 1 request, 2 reply, 3 presence
       2    176  wrap: who made the data key, for whom, and the key itself (below)
     178      2  n, the length of the attributes
     180      n  attributes: id LF source LF type LF time LF subject LF traceparent LF deadline LF reply_to,
                 and from version 2 on: LF after; in version 3: LF group
                 (printable ASCII; time and deadline in decimal, epoch ms; limits: attribute_text.py)
   180+n      8  number of the message under its data key
   188+n      …  the body under AES-256-GCM (NIST SP 800-38D), then the 16-byte tag;
                 nonce = 4 zero bytes and the number; associated data = every byte before the number

    the wrap, the same in every envelope of a data key
       0      8  id of the sender's Ed25519 key     ┐
       8      8  id of the receiver's X25519 key    │ HPKE info = label, version, these 32 bytes
      16      8  created: first use, epoch ms       │
      24      8  not_after: last use, epoch ms      ┘
      32     80  the data key under HPKE (RFC 9180 base mode, X25519, HKDF-SHA256, AES-256-GCM): 32 + 32 + 16
     112     64  Ed25519 signature (RFC 8032) over label, version and the 112 bytes before it

A front's Ed25519 key may belong to a *group* of fronts. Then `group` says that group, or the message is refused; in a
reply it says whose the X25519 key is that it is sealed to. It is empty where all fronts share their keys, and in what
older versions say, where the key alone tells it.

Integers are big-endian. A data key is random, belongs to one `Sealer` and one version, seals at most 2²⁰ messages
within at most an hour, and is then forgotten by its sender. The envelope carries its wrap, so it stands alone: any
process with the receiver's keyring opens it, at once or days later, and remembers the data key by the wrap's bytes.

Who owns the broker can drop, delay, reorder and repeat. Against repeating: `Opener` refuses what is past its
deadline or older than a week, `ReplayGuard` refuses a query's second arrival, and the bridge's inbox answers a
command's second arrival from its record.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from heapq import heappop, heappush
from itertools import count

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from protocol.attribute_text import decoded, encoded
from protocol.errors import (
    BadSignature,
    Expired,
    ForAnother,
    Malformed,
    Replayed,
    Stale,
    Tampered,
    UnknownKey,
    UnknownVersion,
    WrongGroup,
    WrongKind,
)
from protocol.keyring import KEY_ID_BYTES, Keyring
from protocol.messages import LOWEST_VERSION, WIRE_VERSION, Attributes, Role
from protocol.values import immutable


class Kind(IntEnum):
    """What an envelope holds."""

    REQUEST = 1
    REPLY = 2
    PRESENCE = 3


SENDER = {Kind.REQUEST: Role.FRONT, Kind.REPLY: Role.BRIDGE, Kind.PRESENCE: Role.BRIDGE}
"""Who may send a kind; the other side is who may receive it."""

DATA_KEY_MS = 3_600_000
DATA_KEY_MESSAGES = 1 << 20
SKEW_MS = 120_000
"""How far the clocks of the two sides may be apart."""
MAX_AGE_MS = 7 * 24 * 3_600_000
"""Older messages are refused. Dedupe records, and retired keys, must be kept longer than this."""

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_HPKE_LABEL = b"dmz-bridge data key"
_SIGN_LABEL = b"dmz-bridge wrap"
_NAMED = 2 * KEY_ID_BYTES
_INFO = _NAMED + 16
_SIGNED = _INFO + 80
_WRAP = _SIGNED + 64
_WRAP_END = 2 + _WRAP
_ATTRIBUTES = _WRAP_END + 2
_NUMBER = 8
_TAG = 16
_ZERO = bytes(4)
_MOST_KEYS = 1_024
"""Data keys in use at once: one for each version and group."""
_SHORTEST = _ATTRIBUTES + _NUMBER + _TAG


@immutable
class Opened:
    """What an authentic envelope said, and who said it."""

    kind: Kind
    attributes: Attributes
    payload: bytes = field(repr=False)
    sender: Role
    sender_key: str
    """Id of the key that signed, in hex."""


class Sealer:
    """Seals what this process sends to one role. Safe to share between threads; a forked child takes a new key.

    `lifetime_ms` and `messages` bound the use of one data key; neither may exceed the protocol's limit (ValueError).
    """

    def __init__(
        self,
        keyring: Keyring,
        to: Role,
        *,
        lifetime_ms: int = DATA_KEY_MS,
        messages: int = DATA_KEY_MESSAGES,
    ) -> None:
        if not (0 < lifetime_ms <= DATA_KEY_MS and 0 < messages <= DATA_KEY_MESSAGES):
            raise ValueError("a data key lives at most an hour and 2**20 messages")
        if to is keyring.role or not _somebody(keyring, to):
            raise ValueError(f"the {keyring.role} has nobody to seal to as {to}")
        self._keyring, self._to = keyring, to
        self._lifetime_ms, self._messages = lifetime_ms, messages
        self._keys: dict[tuple[int, str], _SealingKey] = {}

    def use(self, keyring: Keyring) -> None:
        """Seal with another keyring of the same role from now on. Raises ValueError as the constructor does."""
        if keyring.role is not self._keyring.role or not _somebody(keyring, self._to):
            raise ValueError(f"the {keyring.role} has nobody to seal to as {self._to}")
        # in this order: who renews a data key meanwhile puts one of the old keyring into the old dictionary
        self._keyring = keyring
        self._keys = {}

    def knows(self, group: str) -> bool:
        """Whether that group of fronts uses keys of its own."""
        return group in self._keyring.front_groups

    @property
    def groups(self) -> list[str]:
        """Those that use keys of their own; an empty name: the fronts that share one key."""
        return sorted(self._keyring.front_groups)

    def seal(self, kind: Kind, attributes: Attributes, payload: bytes, *, now_ms: int) -> bytes:
        """The envelope's bytes, in the attributes' version. Each call takes a new number, so sealing the same twice
        gives two envelopes. A front says its own group; a bridge seals to that of the attributes or, if there is no
        such group any more, to nobody.

        Raises what the receiver would: WrongKind if our role does not send this kind, UnknownVersion, OutOfRange for
        an attribute that is too long, too large or not printable ASCII, Malformed for one that the version does not
        have, Stale if `attributes.time` is not about now (what is sealed anew later needs its time set anew).
        """
        whose = attributes.version, attributes.group
        key = self._keys.get(whose)
        if key is None or not key.created - SKEW_MS <= now_ms < key.not_after or key.process != os.getpid():
            key = self._renew(whose, now_ms)
        number = next(key.numbers)
        if number >= self._messages:
            key = self._renew(whose, now_ms)
            number = next(key.numbers)
        start = key.starts[kind]
        if start is None:
            raise WrongKind(f"a {self._keyring.role} does not send a {kind.name.lower()}")
        if not key.created - SKEW_MS <= attributes.time <= key.not_after + SKEW_MS:
            raise Stale("attributes.time is not the time of sealing")
        text = encoded(attributes, key.group)
        head = start + len(text).to_bytes(2, "big") + text
        tail = number.to_bytes(_NUMBER, "big")
        return head + tail + key.cipher.encrypt(_ZERO + tail, payload, head)

    def _renew(self, whose: tuple[int, str], now_ms: int) -> "_SealingKey":
        version, group = whose
        if not LOWEST_VERSION <= version <= WIRE_VERSION:
            raise _unknown(version)
        mark = bytes([version])
        keys, keyring = self._keys, self._keyring
        sender, signer = keyring.signer
        to_group = group if self._to is Role.FRONT else ""
        receiver, public = keyring.receivers.get((self._to, to_group), keyring.nobody)
        not_after = now_ms + self._lifetime_ms
        info = sender + receiver + now_ms.to_bytes(8, "big") + not_after.to_bytes(8, "big")
        secret = os.urandom(32)
        wrap = info + _SUITE.encrypt(secret, public, _HPKE_LABEL + mark + info)
        wrap += signer.sign(_SIGN_LABEL + mark + wrap)
        starts = [
            None,
            *(mark + bytes([kind]) + wrap if _may(keyring.role, kind) else None for kind in Kind),
        ]
        said = group if self._to is Role.FRONT else keyring.group
        key = _SealingKey(AESGCM(secret), starts, count(), now_ms, not_after, os.getpid(), said)
        if len(keys) >= _MOST_KEYS:
            keys.clear()
        keys[whose] = key
        return key


def claimed(envelope: bytes) -> Attributes:
    """What an envelope says of itself in clear. Nothing of it is verified: for an operator's eyes alone.

    Raises UnknownVersion, Malformed.
    """
    if len(envelope) < _SHORTEST:
        raise Malformed("too short for an envelope")
    version = envelope[0]
    if not LOWEST_VERSION <= version <= WIRE_VERSION:
        raise UnknownVersion(f"version {version}")
    number = _ATTRIBUTES + int.from_bytes(envelope[_WRAP_END:_ATTRIBUTES], "big")
    return decoded(version, envelope[_ATTRIBUTES:number])


def named_keys(envelope: bytes) -> tuple[str, str]:
    """Ids, in hex, of the sender's signing key and the receiver's sealing key that an envelope names in clear; nothing
    of it is verified. Raises as `claimed`.
    """
    claimed(envelope)
    named = envelope[2 : 2 + _NAMED]
    return named[:KEY_ID_BYTES].hex(), named[KEY_ID_BYTES:].hex()


class Opener:
    """Opens what is sealed to this process's role. Remembers the data keys of the last `cache` wraps it verified."""

    def __init__(
        self,
        keyring: Keyring,
        *,
        cache: int = 4096,
        skew_ms: int = SKEW_MS,
        max_age_ms: int = MAX_AGE_MS,
        version_max: int = WIRE_VERSION,
    ) -> None:
        """Versions above `version_max` are refused as unknown."""
        self._keyring, self._cache, self._version_max = keyring, cache, version_max
        self._skew_ms, self._max_age_ms = skew_ms, max_age_ms
        self._keys: OrderedDict[bytes, _OpeningKey] = OrderedDict()

    def use(self, keyring: Keyring) -> None:
        """Open with another keyring of the same role from now on; what an older one opened is forgotten."""
        self._keyring = keyring
        self._keys = OrderedDict()  # after the keyring: see Sealer.use

    def open(self, envelope: bytes, *, now_ms: int, expect: Kind | None = None) -> Opened:
        """What the envelope says, if it is authentic and timely.

        Raises what `authentic` raises, WrongKind if it is not of the kind `expect`ed, Expired, Stale.
        """
        opened = self.authentic(envelope)
        if expect is not None and opened.kind is not expect:
            raise WrongKind(f"a {opened.kind.name.lower()} where a {expect.name.lower()} belongs")
        self.timely(opened.attributes, now_ms=now_ms)
        return opened

    def authentic(self, envelope: bytes) -> Opened:
        """What the envelope says, whatever its age: for who must answer even what came too late.

        Raises Malformed, UnknownVersion, UnknownKey, BadSignature, Tampered, WrongKind; OutOfRange if an attribute
        is beyond its limits; Stale if the message is not dated within the life of its data key.
        """
        if len(envelope) < _SHORTEST:
            raise _too_short(envelope)
        version = envelope[0]
        if not LOWEST_VERSION <= version <= self._version_max:
            raise _unknown(version, self._version_max)
        key = self._key_of(envelope[:1] + envelope[2:_WRAP_END])
        number = _ATTRIBUTES + int.from_bytes(envelope[_WRAP_END:_ATTRIBUTES], "big")
        body = number + _NUMBER
        if body + _TAG > len(envelope):
            raise Malformed("the attributes are longer than the envelope")
        try:
            payload = key.cipher.decrypt(_ZERO + envelope[number:body], envelope[body:], envelope[:number])
        except InvalidTag:
            raise Tampered("attributes or body were altered") from None
        kind = key.kinds.get(envelope[1])
        if kind is None:
            raise WrongKind(f"kind {envelope[1]} is not for a {key.sender} to send to a {self._keyring.role}")
        attributes = decoded(version, envelope[_ATTRIBUTES:number], key.group)
        if version > 2 and attributes.group not in key.groups:
            raise WrongGroup(f"it says the group {attributes.group!r}, which is not that of its key")
        if not key.created - self._skew_ms <= attributes.time <= key.not_after + self._skew_ms:
            raise Stale("dated outside the life of its data key")
        return Opened(kind, attributes, payload, key.sender, key.sender_key)

    def timely(self, attributes: Attributes, *, now_ms: int) -> None:
        """Raises Expired after the deadline; Stale if older than `max_age_ms` or in the future beyond `skew_ms`."""
        if 0 < attributes.deadline < now_ms:
            raise Expired(f"the deadline passed {now_ms - attributes.deadline} ms ago")
        age = now_ms - attributes.time
        if age > self._max_age_ms:
            raise Stale(f"{age} ms old; at most {self._max_age_ms} is accepted")
        if age < -self._skew_ms:
            raise Stale(f"dated {-age} ms in the future: compare the clocks")

    def _key_of(self, wrap: bytes) -> "_OpeningKey":
        """Of a wrap with its version's byte before it."""
        keys = self._keys
        key = keys.get(wrap)
        if key is None:
            key = keys[wrap] = self._unwrapped(wrap[:1], wrap[1:])
            if len(keys) > self._cache:
                keys.popitem(last=False)
        else:
            keys.move_to_end(wrap)
        return key

    def _unwrapped(self, mark: bytes, wrap: bytes) -> "_OpeningKey":
        sender_id, receiver_id, info = wrap[:KEY_ID_BYTES], wrap[KEY_ID_BYTES:_NAMED], wrap[:_INFO]
        keyring = self._keyring
        trusted = keyring.senders.get(sender_id)
        if trusted is None:
            raise UnknownKey(f"signed by {sender_id.hex()}, which is not trusted here")
        private = keyring.openers.get(receiver_id)
        if private is None and receiver_id in keyring.foreign:
            raise ForAnother("sealed to another group of fronts")
        if private is None:
            raise UnknownKey(f"sealed to {receiver_id.hex()}, which is not a key of this {keyring.role}")
        role, public = trusted
        try:
            public.verify(wrap[_SIGNED:], _SIGN_LABEL + mark + wrap[:_SIGNED])
        except InvalidSignature:
            raise BadSignature(f"the key wrap is not signed by {sender_id.hex()}") from None
        created, not_after = (
            int.from_bytes(wrap[_NAMED : _NAMED + 8], "big"),
            int.from_bytes(wrap[_NAMED + 8 : _INFO], "big"),
        )
        if not created < not_after <= created + DATA_KEY_MS:
            raise Malformed("the data key claims to live for more than an hour")
        try:
            secret = _SUITE.decrypt(wrap[_INFO:_SIGNED], private, _HPKE_LABEL + mark + info)
        except (InvalidTag, ValueError):
            raise Tampered("the data key does not unwrap") from None
        mine = keyring.role
        kinds = {int(kind): kind for kind in Kind if _may(role, kind) and role is not mine}
        group = keyring.sender_groups[sender_id]
        groups = frozenset((group,)) if role is Role.FRONT else keyring.groups
        return _OpeningKey(AESGCM(secret), kinds, created, not_after, role, sender_id.hex(), group, groups)


class ReplayGuard:
    """Remembers the ids of queries until their deadlines, so that each is taken once.

    Commands do not need it: their inbox row answers a second arrival. At most `capacity` ids are remembered; when
    there are more, those whose deadlines are nearest are forgotten first and counted in `forgotten`.
    """

    def __init__(self, *, capacity: int = 1 << 18) -> None:
        self._capacity = capacity
        self._ids: set[str] = set()
        self._ends: list[tuple[int, str]] = []
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._ids)

    def seen(self, id: str, until_ms: int, *, now_ms: int) -> bool:
        """Whether `id` was taken before; if not it is taken now and remembered until `until_ms` has passed."""
        ids, ends = self._ids, self._ends
        while ends and ends[0][0] < now_ms:
            ids.discard(heappop(ends)[1])
        if id in ids:
            return True
        if until_ms >= now_ms:
            ids.add(id)
            heappush(ends, (until_ms, id))
            if len(ids) > self._capacity:
                ids.discard(heappop(ends)[1])
                self.forgotten += 1
        return False

    def take(self, attributes: Attributes, *, now_ms: int) -> None:
        """Raises Replayed if this id was taken before and its deadline (or else a week) has not passed."""
        if self.seen(attributes.id, attributes.deadline or attributes.time + MAX_AGE_MS, now_ms=now_ms):
            raise Replayed("this id was taken before")


@dataclass(slots=True)
class _SealingKey:
    cipher: AESGCM
    starts: list[bytes | None]
    """By kind: version, kind and wrap; None where the kind is not ours to send."""
    numbers: Iterator[int]
    created: int
    not_after: int
    process: int
    """A forked child would go on with the same numbers, and no nonce may be used twice."""
    group: str
    """What is said of the group."""


@dataclass(slots=True)
class _OpeningKey:
    cipher: AESGCM
    kinds: dict[int, Kind]
    """What the sender may send to us."""
    created: int
    not_after: int
    sender: Role
    sender_key: str
    group: str
    """The sender's."""
    groups: frozenset[str]
    """What may be said of the group."""


def _somebody(keyring: Keyring, role: Role) -> bool:
    return any(one is role for one, _ in keyring.receivers)


def _may(sender: Role, kind: Kind) -> bool:
    return SENDER[kind] is sender


def _unknown(version: int, latest: int = WIRE_VERSION) -> UnknownVersion:
    return UnknownVersion(f"wire version {version}: this program speaks {LOWEST_VERSION} to {latest}")


def _too_short(envelope: bytes) -> Malformed:
    return Malformed(f"{len(envelope)} bytes are too few for an envelope")
