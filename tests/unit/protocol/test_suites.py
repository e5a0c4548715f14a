"""The two suites, against published vectors."""

import hashlib
import hmac

import pytest
from cryptography.exceptions import InvalidTag

from protocol.suites import Sm4Gcm, Suite, aead, keyed_hash

# RFC 8998, appendix A.1
KEY, IV = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"), bytes.fromhex("00001234567800000000ABCD")
AAD = bytes.fromhex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2")
PLAIN = bytes.fromhex("AA" * 8 + "BB" * 8 + "CC" * 8 + "DD" * 8 + "EE" * 8 + "FF" * 8 + "EE" * 8 + "AA" * 8)
SEALED = bytes.fromhex(
    "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735"
    "D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D"
    "83DE3541E4C2B58177E065A9BF7B62EC"
)


def test_sm4_gcm_is_that_of_rfc_8998() -> None:
    cipher = Sm4Gcm(KEY)
    assert cipher.encrypt(IV, PLAIN, AAD) == SEALED
    assert cipher.decrypt(IV, SEALED, AAD) == PLAIN


@pytest.mark.parametrize("suite", Suite)
def test_whatever_is_altered_is_not_opened(suite: Suite) -> None:
    cipher, nonce = aead(suite, b"s" * 32), b"n" * 12
    sealed = cipher.encrypt(nonce, b"text", b"row-1")
    assert cipher.decrypt(nonce, sealed, b"row-1") == b"text"
    for other in (sealed[:-1], sealed[:3], b"", bytes([sealed[0] ^ 1]) + sealed[1:]):
        with pytest.raises(InvalidTag):
            cipher.decrypt(nonce, other, b"row-1")
    with pytest.raises(InvalidTag):
        cipher.decrypt(nonce, sealed, b"row-2")


@pytest.mark.skipif("sm3" not in hashlib.algorithms_available, reason="this OpenSSL has no SM3 to compare with")
def test_the_keyed_hashes_are_hmac() -> None:
    for suite, name in ((Suite.AES, "sha256"), (Suite.SM, "sm3")):
        assert keyed_hash(suite, b"k" * 32, b"data") == hmac.new(b"k" * 32, b"data", name).digest()
