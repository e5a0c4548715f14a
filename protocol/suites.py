"""The cryptography of what the bridge stores and prints: of the world at large, or China's own (GB/T 39786). Pure.

======  ==========================================  =====================================================
suite   sealing                                     keyed hash
======  ==========================================  =====================================================
aes     AES-256-GCM (NIST SP 800-38D)               HMAC-SHA256 (RFC 2104, FIPS 180-4)
sm      SM4-GCM (GB/T 32907, RFC 8998 for its use)  HMAC-SM3 (GB/T 32905)
======  ==========================================  =====================================================

On the wire nothing changes by it: the envelope's X25519, Ed25519 and AES-256-GCM are one wire version's for all.
"""

import hmac
from enum import StrEnum
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.hmac import HMAC

TAG_BYTES = 16


class Suite(StrEnum):
    """Which one."""

    AES = "aes"
    SM = "sm"


class Aead(Protocol):
    """Authenticated encryption with associated data, as `cryptography`'s AEAD ciphers have it."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """`data` encrypted, with its tag. A nonce, of 12 bytes, is never used twice with a key."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """What `encrypt` was given. Raises InvalidTag."""
        ...


class Sm4Gcm:
    """SM4-GCM, which `cryptography` has as a block cipher and a mode, but not as an AEAD cipher."""

    def __init__(self, key: bytes) -> None:
        """`key`: of 16 bytes."""
        self._cipher = SM4(key)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """As Aead says."""
        encryptor = Cipher(self._cipher, modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(associated_data)
        return encryptor.update(data) + encryptor.finalize() + encryptor.tag

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """As Aead says."""
        if len(data) < TAG_BYTES:
            raise InvalidTag
        decryptor = Cipher(self._cipher, modes.GCM(nonce, data[-TAG_BYTES:])).decryptor()
        decryptor.authenticate_additional_data(associated_data)
        return decryptor.update(data[:-TAG_BYTES]) + decryptor.finalize()


def keyed_hash(suite: Suite, key: bytes, data: bytes) -> bytes:
    """32 bytes that only who has the key can make."""
    if suite is Suite.AES:
        return hmac.digest(key, data, "sha256")
    made = HMAC(key, hashes.SM3())
    made.update(data)
    return made.finalize()


def aead(suite: Suite, secret: bytes) -> Aead:
    """The cipher for a purpose that `secret`, of 32 bytes, is for."""
    return AESGCM(secret) if suite is Suite.AES else Sm4Gcm(secret[:16])
