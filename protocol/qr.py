"""What front, bridge and bridgectl agree on about customers' QR codes: their form, and that of the file of keys. Pure.

The keys are the bridge's alone (intranet_bridge/qr). A line of their file, which nobody but its owner may read::

    kid  key, 32 bytes in URL-safe base 64  state  suite
    1    a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=  retired
    2    a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=  active  sm

The suite (protocol/suites.py), if it is not the usual one, is whose keyed hash signs. The last `active` one signs
new codes; codes of any active one are good; a `retired` one takes all its codes with it.
"""

import base64
import binascii
import re
import secrets
from collections.abc import Sequence
from dataclasses import field, replace

from protocol.errors import ConfigurationError
from protocol.suites import Suite
from protocol.values import immutable

KID = re.compile("[0-9a-z]{1,8}")
MAC_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O and U."""
MAC_LENGTH = 12
"""Characters, of five bits each."""
FORM = re.compile(f"({KID.pattern})-([0-9A-Za-z-]{{4,20}})-([{MAC_ALPHABET}]{{{MAC_LENGTH}}})")
"""kid, account (which may have hyphens itself, so a code is read from both ends) and mac."""
KEY_BYTES = 32
LEAST_MODULE_MM = 0.33
"""Smaller modules are lost in print and on scratched foil."""
UTILITY = re.compile("[0-9a-z-]{1,40}")
PART_BYTES = 90_000
"""Of a batch's ZIP in one answer: 120,000 characters in base 64, which fit an envelope of 192 KB."""
MOST_SHEET_BYTES = 10 * 1024 * 1024
UPLOAD_BYTES = MOST_SHEET_BYTES + 64 * 1024
"""Of a form with a sheet in it."""


@immutable
class QrKey:
    """One key."""

    kid: str
    key: bytes = field(repr=False)
    active: bool = True
    suite: Suite = Suite.AES
    """Whose keyed hash signs: codes that are printed keep theirs."""


@immutable
class QrKeys:
    """All keys, in the order of their making."""

    keys: tuple[QrKey, ...]

    def signing(self) -> QrKey | None:
        """The one that signs new codes."""
        return next((one for one in reversed(self.keys) if one.active), None)

    def verifying(self, kid: str) -> QrKey | None:
        """The one whose codes these are, if they are good."""
        return next((one for one in self.keys if one.kid == kid and one.active), None)

    def added(self, kid: str, suite: Suite = Suite.AES) -> "QrKeys":
        """With a new key, which signs from now on. Raises ConfigurationError."""
        if not KID.fullmatch(kid):
            raise ConfigurationError(f"{kid!r} is no kid: 1 to 8 of 0-9 and a-z")
        if any(one.kid == kid for one in self.keys):
            raise ConfigurationError(f"there is a key {kid} already; a kid is never used twice")
        return QrKeys((*self.keys, QrKey(kid, secrets.token_bytes(KEY_BYTES), suite=suite)))

    def retired(self, kid: str) -> "QrKeys":
        """Without a key: every code it signed is refused. Raises ConfigurationError."""
        if all(one.kid != kid for one in self.keys):
            raise ConfigurationError(f"there is no key {kid}")
        return QrKeys(tuple(replace(one, active=one.active and one.kid != kid) for one in self.keys))

    def text(self) -> str:
        """As it stands in the file."""
        return "".join(f"{' '.join(_words(one))}\n" for one in self.keys)


def _words(key: QrKey) -> list[str]:
    words = [key.kid, base64.urlsafe_b64encode(key.key).decode(), _STATES[key.active]]
    return words if key.suite is Suite.AES else [*words, key.suite]


_STATES = {True: "active", False: "retired"}


def parsed_keys(text: str) -> QrKeys:
    """Read what `QrKeys.text` wrote. Raises ConfigurationError naming the line, never what stands in it."""
    keys: list[QrKey] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        keys.append(_key(number, line.split()))
        if any(one.kid == keys[-1].kid for one in keys[:-1]):
            raise ConfigurationError(f"line {number}: the kid {keys[-1].kid} stands there twice")
    return QrKeys(tuple(keys))


def _key(number: int, words: Sequence[str]) -> QrKey:
    try:
        kid, encoded, state, suite = words if len(words) > 3 else (*words, Suite.AES)
        key = base64.b64decode(encoded, altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise ConfigurationError(
            f"line {number}: must be `kid key state`, the key in URL-safe base 64, and a suite or none"
        ) from None
    if not KID.fullmatch(kid) or len(key) != KEY_BYTES or state not in _STATES.values():
        raise ConfigurationError(f"line {number}: a kid of 0-9 and a-z, a key of 32 bytes, then active or retired")
    if suite not in frozenset(Suite):
        raise ConfigurationError(f"line {number}: a suite is one of {', '.join(Suite)}")
    return QrKey(kid, key, state == _STATES[True], Suite(suite))
