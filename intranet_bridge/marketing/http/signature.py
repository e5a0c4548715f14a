"""Requests signed by HMAC: a canonical string by template, its code in a header.

The parts of the template::

    {method}        POST
    {path}          as it is sent, without the query
    {query}         its parameters as they are sent, sorted
    {body}          as it is sent
    {body_digest}   the body's digest by the algorithm's hash, in lower-case hex
    {timestamp}     also in `timestamp_header`
    {nonce}         32 random hex digits, also in `nonce_header`
    {request_id}    also in X-Request-Id
"""

import base64
import secrets
import time
from collections.abc import Callable
from string import Formatter
from typing import Annotated, Literal, Self

from cryptography.hazmat.primitives import hashes, hmac
from pydantic import AfterValidator, model_validator

from intranet_bridge.marketing.http.headers import HeaderName, HeaderValue
from protocol.runtime.settings import FilePath, Misplaced, Section

PARTS = frozenset({"method", "path", "query", "body", "body_digest", "timestamp", "nonce", "request_id"})
ALGORITHMS: dict[str, Callable[[], hashes.HashAlgorithm]] = {
    "hmac-sha256": hashes.SHA256,
    "hmac-sha512": hashes.SHA512,
    "hmac-sha1": hashes.SHA1,
    "hmac-md5": hashes.MD5,
    "hmac-sm3": hashes.SM3,
}
_TIMESTAMPS: dict[str, Callable[[float], str]] = {
    "s": lambda now: str(int(now)),
    "ms": lambda now: str(int(now * 1000)),
    "compact": lambda now: time.strftime("%Y%m%d%H%M%S", time.localtime(now)),
    "iso": lambda now: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
}


def pieces(template: str) -> list[tuple[str, str | None]]:
    """The template as (text, the part behind it). Raises ValueError."""
    found = []
    for literal, name, spec, conversion in Formatter().parse(template):
        if name is not None and (name not in PARTS or spec or conversion):
            raise ValueError(f"{{{name}}} is no part of a signed string; parts are {', '.join(sorted(PARTS))}")
        found.append((literal, name))
    return found


def _template(text: str) -> str:
    pieces(text)
    return text


class SignatureSection(Section):
    """Requests are signed. The key is in a file of its own, never here."""

    key_file: FilePath
    """holds the shared key"""
    algorithm: Literal["hmac-sha256", "hmac-sha512", "hmac-sha1", "hmac-md5", "hmac-sm3"] = "hmac-sha256"
    """of the keyed digest"""
    encoding: Literal["hex", "base64"] = "hex"
    """how it is written"""
    string: Annotated[str, AfterValidator(_template)]
    """What is signed, by its parts (above)."""
    header: HeaderName
    """the header that carries it"""
    prefix: HeaderValue = ""
    """before the value in the header"""
    timestamp: Literal["s", "ms", "compact", "iso"] = "s"
    """Since 1970 in seconds or milliseconds; 20251125103000 by this machine's zone; 2025-11-25T02:30:00Z."""
    timestamp_header: HeaderName | None = None
    """carries the time of the signature"""
    nonce_header: HeaderName | None = None
    """carries a value that is used once"""

    @property
    def headers(self) -> list[str]:
        """The headers that it sets."""
        return [name for name in (self.header, self.timestamp_header, self.nonce_header) if name is not None]

    @model_validator(mode="after")
    def _told(self) -> Self:
        named = {name for _, name in pieces(self.string)}
        for part, header in (("timestamp", self.timestamp_header), ("nonce", self.nonce_header)):
            if part in named and header is None:
                raise Misplaced(f"has {{{part}}}, and no {part}_header tells it", ("string",))
        return self


class Signer:
    """Signs the requests of one system."""

    def __init__(
        self,
        section: SignatureSection,
        key: bytes,
        clock: Callable[[], float] = time.time,
        nonce: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._pieces = [(literal.encode(), name) for literal, name in pieces(section.string)]
        self._hash, self._key = ALGORITHMS[section.algorithm], key
        self._encoding, self._section = section.encoding, section
        self._clock, self._nonce = clock, nonce
        self._timestamp = _TIMESTAMPS[section.timestamp]
        self._digests = any(name == "body_digest" for _, name in self._pieces)

    def lines(self, method: bytes, target: bytes, body: bytes, request_id: bytes) -> bytes:
        """The header lines of the signature, each after a line end."""
        section = self._section
        path, _, query = target.partition(b"?")
        timestamp, nonce = self._timestamp(self._clock()).encode(), self._nonce().encode()
        values = {
            "method": method,
            "path": path,
            "query": b"&".join(sorted(query.split(b"&"))),
            "body": body,
            "body_digest": self._digest(body) if self._digests else b"",
            "timestamp": timestamp,
            "nonce": nonce,
            "request_id": request_id,
        }
        code = hmac.HMAC(self._key, self._hash())
        code.update(b"".join(literal + (values[name] if name is not None else b"") for literal, name in self._pieces))
        signed = code.finalize()
        text = base64.b64encode(signed).decode() if self._encoding == "base64" else signed.hex()
        lines = f"\r\n{section.header}: {section.prefix}{text}".encode()
        if section.timestamp_header:
            lines += b"\r\n%b: %b" % (section.timestamp_header.encode(), timestamp)
        if section.nonce_header:
            lines += b"\r\n%b: %b" % (section.nonce_header.encode(), nonce)
        return lines

    def _digest(self, body: bytes) -> bytes:
        digest = hashes.Hash(self._hash())
        digest.update(body)
        return digest.finalize().hex().encode()
