"""One callback: a POST over verified TLS to a judged address, no redirect followed, little of the answer read."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import aiohttp

from dmz_front.callbacks.addresses import Refused
from dmz_front.callbacks.resolver import GuardedResolver
from dmz_front.callbacks.settings import CallbackSection
from protocol.link.tls import outward_context

ANSWER_BYTES = 4096
"""So much of an answer's body is read, to keep the connection; nothing in it is looked at."""
_LONGEST_PAUSE_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt."""

    status: int = 0
    """0: there was no answer."""
    fault: str = ""
    """Why it is not delivered; empty: it is. Never a word of the answer."""
    pause_s: float = 0.0
    """How long the receiver wants to be left alone."""

    @property
    def gone(self) -> bool:
        """The receiver says that nothing is to be sent there any more (410)."""
        return self.status == 410


class CallbackClient:
    """The connections to one callback's address."""

    def __init__(self, section: CallbackSection) -> None:
        """Raises ConfigurationError for a CA file that cannot be used. Connects to nothing yet."""
        self._section = section
        self._context: ssl.SSLContext = outward_context(section.ca, None, None)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, headers: Mapping[str, str], body: bytes, now_s: float) -> Answer:
        """Deliver `body`. Never raises for what the network or the receiver does."""
        section = self._section
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=GuardedResolver(section.allowed), ssl=self._context, limit=section.outstanding,
                use_dns_cache=False,
            )  # fmt: skip
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=aiohttp.ClientTimeout(total=section.timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False,
            )  # fmt: skip
        try:
            async with self._session.post(
                section.url, data=body, allow_redirects=False,
                headers={"content-type": "application/json", "user-agent": "dmz-bridge", **headers},
            ) as response:  # fmt: skip
                await response.content.read(ANSWER_BYTES)  # what is left of it ends the connection
                return _judged(response.status, response.headers.get("retry-after", ""), now_s)
        except TimeoutError:
            return Answer(fault=f"no answer within {section.timeout_s:g} s")
        except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError) as error:
            return Answer(fault=_said(error))

    async def close(self) -> None:
        """End the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
            await asyncio.sleep(0)


def _judged(status: int, retry_after: str, now_s: float) -> Answer:
    if 200 <= status < 300:
        return Answer(status)
    more = ": redirects are not followed" if 300 <= status < 400 else ""
    pause_s = _seconds(retry_after, now_s) if status in (429, 503) else 0.0
    return Answer(status, f"HTTP {status}{more}", min(pause_s, _LONGEST_PAUSE_S))


def _seconds(retry_after: str, now_s: float) -> float:
    """Of a Retry-After header (RFC 9110 section 10.2.3); 0 for none that can be read."""
    if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 9:
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now_s)
    except (ArithmeticError, TypeError, ValueError):  # a year or an offset of twenty digits is an OverflowError
        return 0.0


def _said(error: BaseException) -> str:
    """What went wrong, without addresses that the receiver chose, or anything it sent."""
    one: BaseException | None = error
    while one is not None:
        if isinstance(one, Refused):
            return str(one)
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {one.verify_message}"
        if isinstance(one, ssl.SSLError):
            return f"no TLS: {one.reason or 'it failed'}"
        one = getattr(one, "os_error", None) or one.__cause__
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection: {error.os_error.strerror or type(error.os_error).__name__}"
    return f"no answer: {type(error).__name__}"
