"""Where tokens come from: a log-in as the configuration describes it, and OAuth 2.0's client credentials."""

import base64
import json
import os
import re
from typing import Any
from urllib.parse import quote_plus, urlsplit

from intranet_bridge.marketing import MarketingRequest
from intranet_bridge.marketing.expressions.functions import text
from intranet_bridge.marketing.expressions.mapping import MappingError, optional
from intranet_bridge.marketing.http.answer import AnswerError, decoder
from intranet_bridge.marketing.http.binding import HttpSystem, LoginSection, OAuthSection, formats
from intranet_bridge.marketing.http.client import HttpClient, NotSent
from intranet_bridge.marketing.http.connection import Lost, Response
from intranet_bridge.marketing.http.headers import merged
from intranet_bridge.marketing.http.request import RequestTemplate
from intranet_bridge.marketing.http.session import Grant, LoginFailed, usable
from intranet_bridge.marketing.http.signature import Signer
from protocol.messages import uuid7
from protocol.runtime.clock import wall_clock

_CODE = re.compile(r"[\w.:-]{1,40}")


class Login:
    """One log-in by the request of `[marketing.login]`."""

    def __init__(
        self,
        system: HttpSystem,
        section: LoginSection,
        client: HttpClient,
        password: str,
        headers: dict[str, str],
        signer: Signer | None = None,
    ) -> None:
        written = formats(section, system)
        self._section, self._client, self._password = section, client, password
        self._timeout_s = section.timeout_s or system.timeout_s
        self._request = RequestTemplate(
            system.url, section, written, merged(system.headers, headers), {}, signer=signer
        )  # fmt: skip
        self._decode = decoder(written, system.answer_limit).decode
        self._token, self._code = optional(section.token, {}), optional(section.code, {})
        self._expires_in = optional(section.expires_in, {})

    async def __call__(self) -> Grant:
        """Log in. Raises LoginFailed."""
        asked = MarketingRequest(uuid7(wall_clock(), os.urandom(10)), None)
        values = {"user": self._section.user, "password": self._password, "request_id": asked.request_id}
        try:
            request = self._request.render(asked, values)
        except MappingError as error:
            raise LoginFailed(f"request not mapped: {error}", denied=False) from None
        response = await _exchanged(self._client, request, self._timeout_s)
        name = self._section.token_cookie
        if response.status >= 400 or (response.status >= 300 and name is None):
            raise LoginFailed(f"HTTP {response.status}", denied=response.status < 500)
        if name is not None and self._expires_in is None and self._code is None:
            return Grant(usable(cookie(response, name)), self._section.lifetime_s)
        try:
            answer = self._decode(response)
            lifetime_s = self._lifetime_s(answer)
            token = cookie(response, name) if name is not None else self._token(answer) if self._token else None
            try:
                return Grant(usable(token), lifetime_s)
            except LoginFailed as failed:
                raise LoginFailed(failed.reason + self._coded(answer), denied=True) from None
        except (AnswerError, MappingError) as error:
            raise LoginFailed(str(error), denied=True) from None

    def _lifetime_s(self, answer: Any) -> float | None:
        gave = self._expires_in(answer) if self._expires_in is not None else None
        return _seconds(gave) or self._section.lifetime_s

    def _coded(self, answer: Any) -> str:
        code = self._code(answer) if self._code is not None else None
        return f", code {code}" if isinstance(code, str | int) and _CODE.fullmatch(str(code)) else ""


class ClientCredentials:
    """An access token by RFC 6749 §4.4."""

    def __init__(self, section: OAuthSection, client: HttpClient, secret: str, timeout_s: float) -> None:
        parts = urlsplit(section.token_url)
        form = {"grant_type": "client_credentials"}
        if section.scope:
            form["scope"] = section.scope
        form |= section.parameters
        authorization = ""
        if section.client_authentication == "basic":  # RFC 6749 §2.3.1: both form-encoded first
            pair = f"{quote_plus(section.client_id)}:{quote_plus(secret)}"
            authorization = f"Authorization: Basic {base64.b64encode(pair.encode()).decode()}\r\n"
        else:
            form |= {"client_id": section.client_id, "client_secret": secret}
        body = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in form.items())
        self._request = (
            f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json\r\n"
            f"Accept-Encoding: identity\r\n{authorization}Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
        self._client, self._timeout_s = client, timeout_s

    async def __call__(self) -> Grant:
        """Ask for a token. Raises LoginFailed."""
        response = await _exchanged(self._client, self._request, self._timeout_s)
        try:
            answer = json.loads(response.body)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            answer = {}
        if response.status != 200:
            said = answer.get("error")  # §5.2
            why = f", {said}" if isinstance(said, str) and _CODE.fullmatch(said) else ""
            raise LoginFailed(f"HTTP {response.status}{why}", denied=response.status < 500)
        kind = answer.get("token_type", "bearer")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise LoginFailed("the token is of a type that is not known", denied=True)
        return Grant(usable(answer.get("access_token")), _seconds(answer.get("expires_in")))


def cookie(response: Response, name: str) -> str | None:
    """The value that the last Set-Cookie of this name gives."""
    found = None
    for line in response.cookies:
        key, equals, value = line.decode("latin-1").partition(";")[0].partition("=")
        if equals and key.strip() == name:
            found = value.strip()
    return found or None


async def _exchanged(client: HttpClient, request: bytes, timeout_s: float) -> Response:
    try:
        return await client.exchange(request, timeout_s, again=lambda: request)
    except NotSent as error:
        raise LoginFailed(str(error), denied=False) from None
    except Lost as lost:
        raise LoginFailed(lost.reason, denied=False) from None


def _seconds(value: Any) -> float | None:
    try:
        seconds = float(text(value) or "")
    except (ValueError, TypeError):
        return None
    return seconds if 0 < seconds < 1e9 else None
