"""The channels that bring money, with their keys, as the configuration names them."""

from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from intranet_bridge.settlement.payments.evidence import (
    AlipayRsa2,
    Evidence,
    Simulated,
    TrustedApplication,
    WechatV3,
)
from intranet_bridge.settlement.payments.orders import Company
from intranet_bridge.settlement_sections import SettlementSection
from intranet_bridge.settlement_sections.payments import ChannelSection, PaymentsSection, Plugin
from protocol.errors import ConfigurationError
from protocol.runtime.keyfiles import read_private, read_public
from protocol.values import immutable


@immutable
class Channel:
    """One, ready to look at notifications."""

    name: str
    section: ChannelSection
    evidence: Evidence


@immutable
class Offer:
    """What payment orders are taken by: the settings and the keys, as they were read."""

    section: PaymentsSection
    companies: Mapping[str, Company]
    channels: Mapping[str, Channel]


def offer_of(section: SettlementSection) -> Offer | None:
    """What the settings say, with its keys; None: no orders are taken. Raises ConfigurationError."""
    if section.payments is None:
        return None
    companies = {name: Company(name, one.region or "", one.account_pattern) for name, one in section.companies.items()}
    channels = {name: Channel(name, one, _evidence(one)) for name, one in section.payments.channels.items()}
    return Offer(section.payments, companies, channels)


def _evidence(section: ChannelSection) -> Evidence:
    match section.plugin:
        case Plugin.WECHAT:
            keys = {serial: _public(path) for serial, path in section.platform_keys.items()}
            return _made(section.api_v3_key, lambda secret: WechatV3(keys, secret, section.merchants))
        case Plugin.ALIPAY:
            return AlipayRsa2([_public(path) for path in section.public_keys], section.app_ids, section.merchants)
        case Plugin.SIMULATED:
            return _made(section.key, Simulated)
        case Plugin.TRUSTED:
            return TrustedApplication(section.applications, section.most_fen)


def _made(path: Path | None, make: Callable[[bytes], Evidence]) -> Evidence:
    assert path is not None, "the section has looked"
    try:
        return make(read_private(path).rstrip(b"\r\n"))
    except ValueError as error:
        raise ConfigurationError(str(error), file=str(path)) from None


def _public(path: Path) -> RSAPublicKey:
    pem = read_public(path)
    try:
        key = load_pem_x509_certificate(pem).public_key() if b"CERTIFICATE" in pem else load_pem_public_key(pem)
    except ValueError:
        raise ConfigurationError("is no certificate and no public key in PEM", file=str(path)) from None
    if not isinstance(key, RSAPublicKey):
        raise ConfigurationError("is not an RSA key, which this channel signs with", file=str(path))
    return key
