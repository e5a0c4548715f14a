"""Desks as staff use them: the authenticator, and pictures. Imports nothing of the product."""

import base64
import hmac
import os
import struct
import time
from typing import Any


def totp(secret: str) -> str:
    """RFC 6238, as an authenticator has it."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", int(time.time()) // 30), "sha1")
    at = digest[-1] & 15
    return f"{(int.from_bytes(digest[at : at + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


def picture(page: Any, name: str) -> None:
    """A page as it looks, where somebody wants pictures."""
    if folder := os.environ.get("DMZ_BRIDGE_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)
