"""Signatures of callbacks, as Standard Webhooks 1.0 says (symmetric, `v1`).

The signed content is `webhook-id`, `webhook-timestamp` and the body, joined by dots; the signature is HMAC-SHA-256 of
it, in base64. While secrets are changed there is one signature for each, separated by spaces: a receiver that knows
either secret accepts.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from pathlib import Path

from protocol.errors import ConfigurationError
from protocol.runtime.keyfiles import read_private

PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64
"""Bytes of a secret, as the specification says."""


def secret_in(file: Path) -> bytes:
    """The secret of a file: `whsec_` and base64. Raises ConfigurationError naming the file, never its content."""
    try:
        text = read_private(file).decode("ascii").strip()
        if not text.startswith(PREFIX):
            raise ValueError
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (ValueError, binascii.Error):
        raise ConfigurationError(
            f"holds no secret of a callback: {PREFIX} and base64 of {_SHORTEST} to {_LONGEST} random bytes",
            file=str(file),
        ) from None
    if not _SHORTEST <= len(secret) <= _LONGEST:
        raise ConfigurationError(
            f"holds a secret of {len(secret)} bytes: {_SHORTEST} to {_LONGEST} are needed", file=str(file)
        )
    return secret


def headers(id: str, at_s: int, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """The three headers of a callback. `at_s`: of this attempt, seconds since the epoch."""
    content = f"{id}.{at_s}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(secret, content, "sha256")).decode() for secret in secrets)
    return {
        "webhook-id": id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
