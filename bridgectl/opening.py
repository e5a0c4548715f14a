"""Sealed envelopes opened with the keys of this host's daemons, as far as they fit."""

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bridgectl import daemons
from bridgectl.language import noted, tr
from protocol.envelope import Opener, named_keys
from protocol.errors import BridgeError, ConfigurationError, EnvelopeError
from protocol.keyring import TrustedFile, parse_file
from protocol.messages import Role
from protocol.runtime.keyfiles import KEYS_INIT, keyring_of, read_public
from protocol.runtime.settings import KeysSection, load

_UNREADABLE = noted("it cannot be read: {reason}")
_ELSEWHERE = noted("it is sealed to key {key} of the {owner}, which is not on this host")
_UNKNOWN = noted("it is sealed to key {key}, which nobody here knows")
_UNTRUSTED = noted("it is signed with key {key}, which the {role} here does not trust")
_UNOPENED = noted("it cannot be opened: {reason}")
REASONS = (_UNREADABLE, _ELSEWHERE, _UNKNOWN, _UNTRUSTED, _UNOPENED)
"""Why something is not opened."""


class _View(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    include: tuple[str, ...] = ()
    keys: KeysSection


@dataclass(slots=True)
class HostKeys:
    """What this host can open."""

    openers: dict[str, tuple[Role, Opener]] = field(default_factory=dict)
    """By the id of the key that an envelope is sealed to."""
    owners: dict[str, Role] = field(default_factory=dict)
    """Whose each known key is."""
    troubles: list[str] = field(default_factory=list)
    """Keys that are here and cannot be used."""

    @classmethod
    def found(cls) -> "HostKeys":
        """Those of the daemons that are configured on this host. Raises BridgeError without any."""
        keys = cls()
        for role, path in daemons.configured():
            keys._add(role, path)
        if not keys.openers:
            why = keys.troubles[0] if keys.troubles else tr("no daemon is configured here")
            raise BridgeError(tr("there are no keys on this host to open anything with: {why}", why=why))
        return keys

    def _add(self, role: Role, configuration: Path) -> None:
        try:
            section = load(configuration, _View).keys
            trusted = parse_file(TrustedFile, read_public(section.trusted, made_by=KEYS_INIT), str(section.trusted))
            self.owners.update({key.id: key.role for key in trusted.keys})
            keyring = keyring_of(section, role)
        except ConfigurationError as error:
            self.troubles.append(str(error))
            return
        opener = Opener(keyring)
        self.openers.update({id.hex(): (role, opener) for id in keyring.openers})

    def opened(self, envelope: bytes) -> bytes:
        """What is sealed in it. Raises BridgeError with what is missing, or wrong."""
        try:
            sender, receiver = named_keys(envelope)
        except EnvelopeError as error:
            raise BridgeError(tr(_UNREADABLE, reason=error.reason)) from None
        if receiver not in self.openers:
            owner = self.owners.get(receiver)
            raise BridgeError(tr(_ELSEWHERE, key=receiver, owner=owner) if owner else tr(_UNKNOWN, key=receiver))
        role, opener = self.openers[receiver]
        if sender not in self.owners:
            raise BridgeError(tr(_UNTRUSTED, key=sender, role=role))
        try:
            return opener.authentic(envelope).payload
        except EnvelopeError as error:
            raise BridgeError(tr(_UNOPENED, reason=error.reason)) from None
