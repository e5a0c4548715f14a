"""Requests signed as an application signs them (RFC 9421), and its keys as it hands them in."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from http_message_signatures import ContentDigest, HTTPMessageSigner, MappingKeyResolver
from http_message_signatures.algorithms import ECDSA_P256_SHA256, ED25519


def pem_of(key: Any) -> str:
    """The public part of a private key."""
    return str(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def signed(
    key: Any,
    keyid: str,
    method: str,
    url: str,
    body: bytes = b"",
    *,
    created: float,
    nonce: str | None = "n-1",
    expires: float | None = None,
    covered: Sequence[str] = ("@method", "@target-uri"),
    headers: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The fields to send, with those given; a body is covered by its digest."""
    found = dict(headers or {})
    if body:
        found["Content-Digest"] = ContentDigest.create(body)
        covered = list(dict.fromkeys([*covered, "content-digest"]))
    kind = ED25519 if isinstance(key, Ed25519PrivateKey) else ECDSA_P256_SHA256
    HTTPMessageSigner(
        signature_algorithm=kind, key_resolver=MappingKeyResolver(public_keys={}, private_keys={keyid: key})
    ).sign(
        SimpleNamespace(method=method, url=url, headers=found),
        key_id=keyid,
        created=datetime.fromtimestamp(created, UTC),
        expires=datetime.fromtimestamp(expires, UTC) if expires else None,
        nonce=nonce,
        covered_component_ids=covered,
        use_existing_digest=bool(body),
    )
    return found
