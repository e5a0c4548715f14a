"""How requests to a system are let in: secret headers, a session, signatures. Made once, from its files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote_plus, urlsplit

from intranet_bridge.marketing.http.binding import HttpSystem, TokenPlace
from intranet_bridge.marketing.http.client import HttpClient
from intranet_bridge.marketing.http.endpoint import client_at, secret_in
from intranet_bridge.marketing.http.login import ClientCredentials, Login
from intranet_bridge.marketing.http.session import Session
from intranet_bridge.marketing.http.signature import Signer
from protocol.errors import ConfigurationError
from protocol.files import read_bytes

_SHORTEST_KEY = 8


class TokenSource(Protocol):
    """What gives the session's token (session.py)."""

    async def token(self, within_s: float) -> str:
        """The token. Raises LoginFailed."""

    def turned_away(self, token: str) -> None:
        """An answer says that this one is expired."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a system's adapters put into their requests. Its secrets are in no repr."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    signer: Signer | None = field(default=None, repr=False)
    session: TokenSource | None = field(default=None, repr=False)
    place: TokenPlace | None = None
    expired_status: frozenset[int] = frozenset()
    expired: str | None = None
    """An expression, true of an answer that says so."""


def access_of(
    system: HttpSystem, *, secret: str, session: TokenSource | None = None, signer: Signer | None = None
) -> Access:
    """What the settings and the secrets of a system come to."""
    authentication, login, oauth = system.authentication, system.login, system.oauth
    headers = {authentication.header: authentication.prefix + secret} if authentication else {}
    if login is not None:
        return Access(headers, signer, session, login.place, login.expired_status, login.expired)
    if oauth is not None:
        return Access(headers, signer, session, oauth.place, oauth.expired_status)
    return Access(headers, signer)


def signer_of(system: HttpSystem) -> Signer | None:
    """Raises ConfigurationError naming the key's file."""
    section = system.signature
    if section is None:
        return None
    key = read_bytes(section.key_file).rstrip(b"\r\n")
    if len(key) < _SHORTEST_KEY:
        raise ConfigurationError(f"holds no key: it is shorter than {_SHORTEST_KEY} bytes", file=str(section.key_file))
    return Signer(section, key)


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session, and what must be closed with it."""

    session: Session
    secret: str = field(repr=False)
    client: HttpClient | None = None
    """The token server's, if it is another one."""

    async def close(self) -> None:
        """End its log-in and its connections."""
        await self.session.close()
        if self.client is not None:
            await self.client.close()


def session_of(
    name: str, system: HttpSystem, client: HttpClient, *, secret: str, signer: Signer | None
) -> OpenSession | None:
    """The session of a system; nothing is connected to yet. Raises ConfigurationError for files."""
    if system.login is not None:
        password = secret_in(system.login.password_file, "password", ascii_only=False)
        access = access_of(system, secret=secret)
        fetch = Login(system, system.login, client, password, dict(access.headers), signer)
        return OpenSession(Session(name, fetch), password)
    if system.oauth is not None:
        password = secret_in(system.oauth.client_secret_file, "secret")
        timeout_s = system.oauth.timeout_s or system.timeout_s
        if _server(system.oauth.token_url) == _server(system.url):
            return OpenSession(
                Session(name, ClientCredentials(system.oauth, client, password, timeout_s)), password
            )  # fmt: skip
        own = client_at(system.oauth.token_url, system, HttpClient, connections=1)
        return OpenSession(Session(name, ClientCredentials(system.oauth, own, password, timeout_s)), password, own)
    return None


def as_written(secret: str) -> set[str]:
    """A secret as it may stand in a request."""
    written = {secret}
    for charset in ("utf-8", "gb18030"):
        written.add(quote_plus(secret, encoding=charset, errors="replace"))
    return written


def _server(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
