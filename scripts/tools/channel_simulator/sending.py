"""Sends a notification, as a channel does: one request, at most five seconds."""

import ssl
from pathlib import Path

import httpx

from scripts.tools.channel_simulator.notifying import Notification

PATIENCE_S = 5.0
"""WeChat Pay's: then the notification counts as failed, and is sent again."""


class NotSent(Exception):
    """There was no answer."""


def post(url: str, told: Notification, ca: Path | None = None) -> tuple[int, bytes]:
    """Status and body of the answer. Raises NotSent."""
    verify = ssl.create_default_context(cafile=str(ca)) if ca else True
    try:
        answer = httpx.post(url, content=told.body, headers=dict(told.headers), timeout=PATIENCE_S, verify=verify)
    except httpx.HTTPError as error:
        raise NotSent(f"no answer from {url}: {type(error).__name__}") from None
    return answer.status_code, answer.content
