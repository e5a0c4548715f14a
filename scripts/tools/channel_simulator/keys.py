"""The channels' keys, and who the merchant is to them: made once, kept in a folder.

The public halves and the shared secrets are what the bridge is given; the private halves never leave here.
"""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

WECHAT_SERIAL = "PUB_KEY_ID_0119000000012026010100000000000000"
WECHAT_MERCHANT, WECHAT_APPLICATION = "1900000001", "wx0000000000000001"
ALIPAY_APPLICATION, ALIPAY_SELLER = "2021000000000001", "2088000000000001"
ALIPAY_ACCOUNT = f"{ALIPAY_SELLER}0156"
"""What statements call the merchant."""
API_V3, SIMULATED = "wechat-apiv3.key", "simulated.key"
_PAIRS = ("wechat", "alipay", "forger")


@dataclass(frozen=True)
class Keys:
    """What notifications are signed and sealed with."""

    wechat: RSAPrivateKey = field(repr=False)
    alipay: RSAPrivateKey = field(repr=False)
    forger: RSAPrivateKey = field(repr=False)
    """Nobody's."""
    api_v3: bytes = field(repr=False)
    simulated: bytes = field(repr=False)


def made_or_loaded(folder: Path) -> Keys:
    """The keys of a folder; made if they are not there. For each of wechat and alipay there is NAME.pub.pem."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    pairs = {name: _pair(folder, name) for name in _PAIRS}
    return Keys(**pairs, api_v3=_secret(folder / API_V3), simulated=_secret(folder / SIMULATED))


def _pair(folder: Path, name: str) -> RSAPrivateKey:
    file = folder / f"{name}.pem"
    if file.exists():
        key = load_pem_private_key(file.read_bytes(), None)
        assert isinstance(key, RSAPrivateKey), f"{file} is of another program"
        return key
    key = generate_private_key(65537, 2048)
    _keep(file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pub.pem").write_bytes(public)
    return key


def _secret(file: Path) -> bytes:
    """32 characters, as WeChat Pay's APIv3 key has them."""
    if not file.exists():
        _keep(file, secrets.token_hex(16).encode())
    return file.read_bytes()


def _keep(file: Path, content: bytes) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
