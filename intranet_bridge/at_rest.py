"""Personal data in the bridge's own tables: sealed, and found again by a keyed hash.

One random key a database, made at its first start. It is kept beside the data it protects, sealed to the bridge's own
X25519 key (HPKE, RFC 9180, as on the wire), so that the database alone, a backup of it too, tells nothing. At a start
and at a reload with another active key it is sealed anew: a key that is retired may be removed once every bridge of
the database was reloaded. From it come, by one purpose each, the keys of the hashes and of the ciphers.

Which suite (suites.py) seals is the configuration's; what either one sealed is opened, so it may change. Which one
hashes is the database's own, from its first start on: what was found by a hash would not be found by another.
"""

import base64
import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM
from sqlalchemy import Column, Connection, Integer, LargeBinary, MetaData, Table, select

from protocol.errors import BridgeError, ConfigurationError
from protocol.keyring import KEY_ID_BYTES, Keyring
from protocol.messages import Role
from protocol.runtime.logs import logger
from protocol.runtime.store import Store
from protocol.runtime.store_statements import insert_new
from protocol.suites import Aead, Suite, aead, keyed_hash

log = logger(__name__)

_SUITE = hpke.Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_LABEL = b"dmz-bridge key at rest 1"
_NONCE = 12
_SECRET = 32
_HASHES = {b"": Suite.AES, b"sm3": Suite.SM}
"""What follows the secret, by which suite the database hashes."""
_MARKS = {suite: mark for mark, suite in _HASHES.items()}


def store_key_table(metadata: MetaData) -> Table:
    """The `store_key` table of the bridge's database: one row."""
    return Table(
        "store_key",
        metadata,
        Column("only", Integer, primary_key=True, autoincrement=False),  # 1: there is one row
        Column("sealed_to", LargeBinary(KEY_ID_BYTES), nullable=False),
        Column("key", LargeBinary, nullable=False),
    )


class StoreKeyClosed(BridgeError):
    """The database's key is not open: the keyring that it is sealed to is not there."""


class AtRest:
    """Hashes and seals what one database keeps of customers. Until `open` has worked, whatever needs its key raises
    StoreKeyClosed: the bridge runs without it, so that a wrong keyring does not end what needs none of this.
    """

    def __init__(self, store: Store, table: Table, keyring: Keyring, suite: Suite = Suite.AES) -> None:
        """`suite`: that seals, and by which a new database hashes."""
        self._store, self._table, self._keyring, self._suite = store, table, keyring, suite
        self._opened: _Keys | None = None

    async def open(self, keyring: Keyring | None = None) -> None:
        """Read the key, making one at first, and see that it is sealed to the active key of `keyring` (by default the
        one given before). Raises ConfigurationError when the keyring cannot open it.
        """
        if keyring is not None:
            self._keyring = keyring
        self._opened = _keys(await self._store.write(self._open), self._suite)

    async def open_or_tell(self, keyring: Keyring | None = None) -> list[str]:
        """The same for a bridge, which works on without what needs the key. Returns what to tell an administrator."""
        try:
            await self.open(keyring)
        except ConfigurationError as error:
            log.error("store-key-not-opened", reason=str(error))
            return [str(error)]
        return []

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._opened is not None

    def pseudonym(self, text: str) -> str:
        """22 characters by which `text` is found again, and that tell nothing of it."""
        digest = keyed_hash(self._keys.hashing, self._keys.hash, text.encode())
        return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")

    def seal(self, data: bytes, about: str) -> bytes:
        """`data` sealed; it opens for the same `about` alone, such as the row's id."""
        nonce = os.urandom(_NONCE)
        return nonce + self._keys.ciphers[0].encrypt(nonce, data, about.encode())

    def unseal(self, sealed: bytes, about: str) -> bytes:
        """What `seal` was given. Raises ValueError for what it did not make."""
        for cipher in self._keys.ciphers:
            try:
                return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], about.encode())
            except (InvalidTag, ValueError):  # ValueError: not even a nonce is there
                continue
        raise ValueError("was not sealed by this database's key")

    @property
    def _keys(self) -> "_Keys":
        if self._opened is None:
            raise StoreKeyClosed("the database's own key is not open")
        return self._opened

    def _open(self, connection: Connection) -> bytes:
        table, (active, public) = self._table, self._keyring.receivers[Role.BRIDGE, ""]
        made = os.urandom(_SECRET) + _MARKS[self._suite]
        row = {"only": 1, "sealed_to": active, "key": _SUITE.encrypt(made, public, _LABEL)}
        insert_new(connection, table, [row])
        found = connection.execute(select(table.c.sealed_to, table.c.key).with_for_update()).one()
        private = self._keyring.openers.get(bytes(found.sealed_to))
        if private is None:
            raise ConfigurationError(
                f"the database's own key is sealed to key {bytes(found.sealed_to).hex()}, which the keyring does not "
                "hold: put that keyring back, reload, and remove the key afterwards"
            )
        try:
            secret = _SUITE.decrypt(bytes(found.key), private, _LABEL)
        except (InvalidTag, ValueError):
            raise ConfigurationError("the database's own key cannot be opened: its row was altered") from None
        if bytes(secret[_SECRET:]) not in _HASHES:
            raise ConfigurationError("the database's own key is of a suite that this release does not know")
        if bytes(found.sealed_to) != active:
            anew = {"sealed_to": active, "key": _SUITE.encrypt(secret, public, _LABEL)}
            connection.execute(table.update().values(anew))
        return bytes(secret)


@dataclass(frozen=True, slots=True)
class _Keys:
    hashing: Suite
    hash: bytes = field(repr=False)
    ciphers: tuple[Aead, ...] = field(repr=False)
    """The first one seals."""


def _keys(secret: bytes, sealing: Suite) -> _Keys:
    key, hashing = secret[:_SECRET], _HASHES[secret[_SECRET:]]
    suites = sorted(Suite, key=lambda suite: suite is not sealing)
    return _Keys(
        hashing,
        keyed_hash(hashing, key, b"hash"),
        tuple(aead(suite, keyed_hash(suite, key, b"seal")) for suite in suites),
    )
