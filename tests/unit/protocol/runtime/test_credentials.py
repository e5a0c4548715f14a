"""What an application may hand in as a public key."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from protocol.credential_kinds import SIGNATURE
from protocol.runtime.credentials import signing_key
from tests.support.signing import pem_of


@pytest.mark.parametrize("key", [Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())])
def test_a_key_is_named_by_whose_it_is_and_what_it_is(key: Ed25519PrivateKey) -> None:
    one = signing_key("wechat", "\n" + pem_of(key))
    assert (one.kind, one.application) == (SIGNATURE, "wechat")
    assert one.id.startswith("wechat_")
    assert len(one.id) == len("wechat_") + 16
    assert one == signing_key("wechat", pem_of(key))
    assert one.id[7:] == signing_key("alipay", pem_of(key)).id[7:]


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        ("", "no public key in PEM"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key in PEM"),
        (pem_of(ec.generate_private_key(ec.SECP384R1())), "only keys of Ed25519"),
        (pem_of(rsa.generate_private_key(65537, 2048)), "only keys of Ed25519"),
    ],
)
def test_any_other_is_refused(pem: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        signing_key("wechat", pem)


def test_a_private_key_stays_where_it_is() -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(ValueError, match="private key: it stays with the application") as caught:
        signing_key("wechat", pem)
    assert pem.splitlines()[1] not in str(caught.value)
