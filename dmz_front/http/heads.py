"""What a request's head must be to be answered, before anybody looks at its body. Pure.

The parser (llhttp) already refuses what would let two readers disagree on where a request ends: see
tests/unit/dmz_front/http/test_smuggling.py. Here is what it lets through.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import http_sf
import httptools

from dmz_front.admission.fields import tokens
from dmz_front.problems.details import Problem
from protocol.runtime.credentials import fingerprint

ALLOWED = b"DELETE, GET, HEAD, OPTIONS, PATCH, POST"
"""Every method that is answered somewhere."""

_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")
"""uri-host [ ":" port ] by its characters (RFC 3986 section 3.2.2); it may be empty (RFC 9110 section 7.2)."""


def check_head(version: str, method: bytes, fields: Mapping[bytes, bytes]) -> None:
    """Raises Problem 400, 405, 417 or 505 for a head that cannot be taken (RFC 9112 sections 2.3, 3.2 and 6.1,
    RFC 9110 sections 9.3.6 and 10.1.1).
    """
    if version not in ("1.1", "1.0"):
        raise Problem(505, "http-version-not-supported", "send HTTP/1.1")
    if method == b"CONNECT":
        raise Problem(405, "method-not-allowed", headers=[(b"allow", ALLOWED)])
    host = fields.get(b"host")
    if host is None:
        if version == "1.1":
            raise Problem(400, "malformed-header", "Host is missing")
    elif not _HOST.fullmatch(host):
        raise Problem(400, "malformed-header", "Host is no host and port")
    if version == "1.0":
        if b"transfer-encoding" in fields:
            raise Problem(400, "malformed-header", "Transfer-Encoding needs HTTP/1.1")
    elif b"expect" in fields and set(tokens(fields, b"expect")) - {b"100-continue"}:
        raise Problem(417, "expectation-failed", "only `Expect: 100-continue` can be met")


def said_certificate(fields: Mapping[bytes, bytes]) -> str:
    """The fingerprint of the client's certificate by what a proxy says of it (`Client-Cert`, RFC 9440 section 2); "":
    it says none. Raises Problem 400.
    """
    value = fields.get(b"client-cert")
    if value is None:
        return ""
    try:
        parsed: Any = http_sf.parse(value, tltype="item")
    except ValueError:
        parsed = (None, {})
    if not isinstance(parsed[0], bytes):
        raise Problem(400, "malformed-header", "Client-Cert is no byte sequence (RFC 9440 section 2.1)")
    return fingerprint(parsed[0])


def without_upgrade(version: str, method: bytes, target: bytes, lines: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head of a request as it would be had it not offered another protocol. A server that does not take an offer
    ignores it (RFC 9110 section 7.8): the body that follows is HTTP/1.1, and so is what comes after.
    """
    head = [method + b" " + target + b" HTTP/" + version.encode()]
    head += [name + b": " + value for name, value in lines if name != b"upgrade"]
    return b"\r\n".join(head) + b"\r\n\r\n"


def origin_form(target: bytes) -> bytes:
    """Path and query of a request target in absolute form; `*` as it is (RFC 9112 section 3.2). Whatever host it names
    is ignored, as `Host` is: nothing here depends on either. Raises Problem 400.
    """
    if target == b"*":
        return target
    try:
        parsed = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        raise Problem(400, "malformed-request", "the request target is no URL") from None
    return (parsed.path or b"/") + (b"?" + parsed.query if parsed.query else b"")
