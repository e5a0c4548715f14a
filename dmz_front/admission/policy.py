"""Who may ask for what: pure decisions over a request's headers and the known applications.

Deny is the default: no key, no path; no scope, no operation.
"""

import re
from collections.abc import Mapping

from pydantic import BaseModel

from dmz_front.admission.fields import media_type, named, split, tokens
from dmz_front.admission.signatures import refused
from dmz_front.problems.details import Problem
from protocol.credential_kinds import CERTIFICATE, SIGNATURE
from protocol.freshness import NO_CACHE
from protocol.networks import within
from protocol.operations import Operation
from protocol.runtime.applications import Application, key_hash
from protocol.values import immutable

_IDEMPOTENCY_KEY = re.compile(rb"[\x21-\x7e][\x20-\x7e]{0,254}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_UTF_8 = {b"utf-8", b"utf8", b"utf_8", b"us-ascii", b"ascii"}
"""What callers name UTF-8, and what is a part of it."""

ALL_SCOPES = "*"
CHALLENGE = (b"www-authenticate", b'Bearer realm="dmz-bridge"')
"""What every 401 carries (RFC 9110 section 11.6.1)."""


def authenticate(headers: Mapping[bytes, bytes], known: Mapping[bytes, Application], address: str) -> Application:
    """The application whose bearer key this is (RFC 6750). Raises Problem 401, or 403 from a foreign network."""
    scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
    # The look-up is by hash, so its timing tells nothing about any key.
    found = known.get(key_hash(key.strip())) if scheme.lower() == b"bearer" and key else None
    if found is None:
        raise Problem(
            401,
            "unauthenticated",
            "send `Authorization: Bearer <application key>`",
            headers=[CHALLENGE],
        )
    check_network(found, address)
    return found


def check_network(application: Application, address: str) -> None:
    """Raises Problem 403 from a foreign network."""
    if application.networks and not within(address, application.networks):
        raise Problem(403, "forbidden-network", f"the key of {application.name} is bound to other networks")


def check_shown(application: Application, *, signed: bool, certificate: str) -> None:
    """Raises Problem 401 unless a request shows all that its application has to. `certificate`: the fingerprint of the
    client's; "": it has none.
    """
    if SIGNATURE in application.requires and not signed:
        said = f"{application.name} has to sign its requests (RFC 9421), without a key in them"
        raise refused(said, "signature-required")
    if CERTIFICATE in application.requires and certificate not in application.certificates:
        said = f"{application.name} has to show one of its client certificates"
        if certificate:
            said += f"; this one is not registered for it: SHA-256 {certificate}"
        raise Problem(401, "certificate-required", said, headers=[CHALLENGE])


def authorise(application: Application, operation: Operation) -> None:
    """Raises Problem 403 unless the application was granted the operation's scope."""
    if operation.scope not in application.scopes and ALL_SCOPES not in application.scopes:
        raise Problem(403, "forbidden-scope", f"{operation.name} needs the scope {operation.scope}")


def authorise_fields(application: Application, operation: Operation, asked: BaseModel) -> None:
    """Raises Problem 403 unless the application was granted the scope of each given field that has one of its own."""
    if ALL_SCOPES in application.scopes:
        return
    for name, scope in operation.field_scopes.items():
        if getattr(asked, name) is not None and scope not in application.scopes:
            raise Problem(403, "forbidden-scope", f"{name} needs the scope {scope}")


def check_media_type(headers: Mapping[bytes, bytes]) -> None:
    """Raises Problem 415 unless the body is announced as uncompressed UTF-8 JSON."""
    media = headers.get(b"content-type", b"")
    if media != b"application/json":  # the plain form is by far the most common
        kind, parameters = media_type(media)
        charsets = {value.lower() for name, value in parameters if name == b"charset" and value}
        if kind != b"application/json" or charsets - _UTF_8:
            raise Problem(415, "unsupported-media-type", "send `Content-Type: application/json`, in UTF-8")
    if b"content-encoding" in headers and set(tokens(headers, b"content-encoding")) - {b"identity"}:
        raise Problem(415, "unsupported-media-type", "send the body without Content-Encoding")


def idempotency_key(headers: Mapping[bytes, bytes]) -> str:
    """The caller's key, 1 to 255 visible ASCII characters. Raises Problem 400."""
    value = headers.get(b"idempotency-key")
    if value is None:
        raise Problem(400, "idempotency-key-missing", "send `Idempotency-Key:` with a value unique to this order")
    if not _IDEMPOTENCY_KEY.fullmatch(value):
        raise Problem(400, "malformed-header", "Idempotency-Key must be 1 to 255 visible ASCII characters")
    return value.decode("ascii")


def trace_parent(headers: Mapping[bytes, bytes]) -> str:
    """The caller's W3C traceparent, or "" when there is none or it is malformed (Trace Context 4.3 restarts it)."""
    value = headers.get(b"traceparent")
    return value.decode("ascii") if value and _TRACEPARENT.fullmatch(value) else ""


def no_cache(headers: Mapping[bytes, bytes]) -> str:
    """`no-cache` if `Cache-Control` says so (RFC 9111 section 5.2.1.4): the caller wants no kept answer. Else ""."""
    return NO_CACHE if NO_CACHE.encode() in tokens(headers, b"cache-control") else ""


@immutable
class Preference:
    """How long the caller wants to wait for the outcome, and of a sandbox, which example it wants."""

    wait_s: float
    applied: bytes = b""
    """What to say in `Preference-Applied` of the wait."""
    example: str = ""


def preference(headers: Mapping[bytes, bytes], default_s: float, most_s: float) -> Preference:
    """Read `Prefer` (RFC 7240 section 4): `respond-async`, `wait=N` and our `example=NAME`; others are ignored, as it
    says.
    """
    value = headers.get(b"prefer")
    if value is None:
        return Preference(default_s)
    wishes: dict[bytes, bytes] = {}
    for part in split(value, 0x2C):
        name, said = named(next(split(part, 0x3B), b""))
        wishes.setdefault(name, said)  # of a preference said twice the first counts
    example = wishes.get(b"example", b"").decode("latin-1")
    wait = wishes.get(b"wait", b"")
    if wait.isdigit() and len(wait) < 10:
        seconds = min(float(wait), most_s)
        return Preference(seconds, b"wait=%d" % seconds, example)
    if b"respond-async" in wishes:
        return Preference(0.0, b"respond-async", example)
    return Preference(default_s, example=example)
