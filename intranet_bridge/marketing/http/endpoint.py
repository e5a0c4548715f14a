"""The marketing system as the configuration names it: the client that reaches it, and our secret there."""

import ssl
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from intranet_bridge.marketing.http.binding import HttpSystem
from intranet_bridge.marketing.http.client import HttpClient
from protocol.errors import ConfigurationError
from protocol.files import read_bytes
from protocol.link.tls import outward_context

Client = TypeVar("Client", bound=HttpClient)


def client_of(marketing: HttpSystem, make: type[Client]) -> Client:
    """The client for the marketing system. Raises ConfigurationError for TLS files that cannot be used."""
    return client_at(marketing.url, marketing, make, connections=marketing.connections)


def client_at(url: str, marketing: HttpSystem, make: type[Client], *, connections: int) -> Client:
    """A client for a server of the marketing system. Raises ConfigurationError for TLS files that cannot be used."""
    parts = urlsplit(url)
    context: ssl.SSLContext | None = None
    if parts.scheme == "https":
        context = outward_context(marketing.tls.ca, marketing.tls.certificate, marketing.tls.key)
    assert parts.hostname is not None, "checked by the settings"
    return make(
        parts.hostname,
        parts.port or (443 if context else 80),
        tls=context,
        connections=connections,
        connect_timeout_s=marketing.connect_timeout_s,
        idle_s=marketing.idle_s,
        answer_limit=marketing.answer_limit,
    )


def secret_of(marketing: HttpSystem) -> str:
    """The authentication secret. Raises ConfigurationError naming its file, never its content."""
    if marketing.authentication is None:
        return ""
    return secret_in(marketing.authentication.token_file, "token")


def secret_in(file: Path, what: str, *, ascii_only: bool = True) -> str:
    """The secret in a file, without blanks around it. Raises ConfigurationError naming the file, never its content."""
    try:
        secret = read_bytes(file).decode("ascii" if ascii_only else "utf-8").strip()
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"holds no {what}: it is not {'ASCII' if ascii_only else 'UTF-8'}", file=str(file)
        ) from None
    if not secret or not secret.isprintable():
        raise ConfigurationError(f"holds no {what}", file=str(file))
    return secret
