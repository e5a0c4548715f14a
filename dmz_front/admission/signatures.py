"""Requests that are signed instead of carrying a key (RFC 9421): the key never leaves the application.

`http-message-signatures` verifies the signature. What it must cover, how old it may be, and that it counts once is
decided here. A request with a body is let in by the digest that its signature covers (`Content-Digest`, RFC 9530);
whoever reads the body holds it against that.

A nonce is remembered for as long as its signature could be taken, in memory, by each front for itself. Which were
used before its start a front does not know, so it takes no signature that was made before.
"""

import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import http_sf
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import (
    ContentDigest,
    HTTPMessageSignaturesException,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    HTTPSignatureKeyResolver,
)
from http_message_signatures.algorithms import ECDSA_P256_SHA256, ED25519

from dmz_front.problems.details import Problem
from dmz_front.settings import SignaturesSection
from protocol.runtime.applications import Application, signer
from protocol.runtime.clock import Clock, wall_clock
from protocol.runtime.credentials import VerificationKey, public_key
from protocol.runtime.metrics import Sample
from protocol.values import immutable

Scope = MutableMapping[str, Any]

FIELD, SIGNATURE, DIGEST = b"signature-input", b"signature", b"content-digest"
NONCE = "dmz_front.nonce"
"""In a signed request's scope: what its nonce is remembered by."""
COVERED_DIGEST = "dmz_front.digest"
"""In a signed request's scope: the `Content-Digest` that its body has to have."""
ALSO_COVERED = ("idempotency-key", "callback")
"""Fields that change what a request does: covered where they are there."""
MOST_NONCE = 128
NONCES = 1_000_000
"""Nonces remembered; past it signed requests are 503 until the oldest are too old anyway."""

ASKED = (b"accept-signature", b'sig=("@method" "@target-uri" "content-digest" "idempotency-key");created;keyid;nonce')
"""What a request that needs a signature is told (RFC 9421 section 5.1)."""


def refused(detail: str, code: str = "signature-invalid") -> Problem:
    """401. `Bearer` stands for all schemes: RFC 9421 has none of its own, and a 401 must name one."""
    return Problem(401, code, detail, headers=[(b"www-authenticate", b'Bearer realm="dmz-bridge"'), ASKED])


def used_before() -> Problem:
    """Of a nonce that is known."""
    return refused("the signature was used before: sign each request anew, with a nonce of its own")


@immutable
class Said:
    """What a signature says of itself."""

    label: str
    keyid: str
    covered: frozenset[str]
    """Components without parameters."""
    created: int | None
    """Unix time in seconds."""
    expires: int | None
    nonce: str


@dataclass(slots=True)
class _Message:
    """A request as the library wants it."""

    method: str
    url: str
    headers: Mapping[str, str]


class _Verifier(HTTPMessageVerifier):
    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        """Judged before (`objection`), by the front's clock."""


class _OneKey(HTTPSignatureKeyResolver):
    def __init__(self, key: VerificationKey) -> None:
        self._key = key

    def resolve_public_key(self, key_id: str) -> VerificationKey:
        return self._key


@lru_cache(1000)
def _verifier(pem: str) -> HTTPMessageVerifier:
    key = public_key(pem)
    kind: type[HTTPSignatureAlgorithm] = ED25519 if isinstance(key, Ed25519PublicKey) else ECDSA_P256_SHA256
    return _Verifier(signature_algorithm=kind, key_resolver=_OneKey(key))


def said(value: bytes) -> list[Said]:
    """The signatures that a `Signature-Input` announces. Raises Problem 401."""
    try:
        parsed: Any = http_sf.parse(value, tltype="dictionary")
    except ValueError:
        raise refused("Signature-Input is no dictionary (RFC 9421 section 4.1)") from None
    found = []
    for label, (members, parameters) in parsed.items():
        keyid, nonce = parameters.get("keyid"), parameters.get("nonce", "")
        if isinstance(members, list) and isinstance(keyid, str) and isinstance(nonce, str):
            covered = frozenset(name for name, of_it in members if isinstance(name, str) and not of_it)
            created, expires = (_whole(parameters.get(name)) for name in ("created", "expires"))
            found.append(Said(label, keyid, covered, created, expires, nonce))
    return found


def _whole(value: object) -> int | None:
    return value if type(value) is int else None


def missing(covered: frozenset[str], headers: Mapping[bytes, bytes], query: bytes) -> list[str]:
    """What a signature has to cover and does not."""
    found = [] if "@method" in covered else ["@method"]
    by_parts = "@path" in covered and (not query or "@query" in covered)
    if not by_parts and not covered & {"@target-uri", "@request-target"}:
        found.append("@target-uri")
    if has_body(headers) and DIGEST.decode() not in covered:
        found.append(DIGEST.decode())
    return found + [name for name in ALSO_COVERED if name.encode() in headers and name not in covered]


def has_body(headers: Mapping[bytes, bytes]) -> bool:
    """Whether one is announced (RFC 9112 section 6)."""
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip(b"0") != b""


def objection(one: Said, now_ms: int, since_ms: int, limits: SignaturesSection) -> str:
    """Why a signature is not taken now; "": nothing is against it. `since_ms`: the front's start."""
    if one.created is None:
        return "says no created"
    if not 1 <= len(one.nonce) <= MOST_NONCE:
        return f"says no nonce of 1 to {MOST_NONCE} characters"
    age_s = now_ms / 1000 - one.created
    if age_s > limits.window_s:
        return f"was created {age_s:.0f} s ago, and is taken for {limits.window_s:g} s"
    if -age_s > limits.skew_s:
        return f"was created {-age_s:.0f} s from now: compare the clocks"
    if one.expires is not None and one.expires * 1000 <= now_ms:
        return "has expired"
    if one.created * 1000 < since_ms:
        return "was created before this front started, which does not know whether it was used: sign again"
    return ""


class Nonces:
    """Remembers each for at least `keep_s`, in two generations. Seconds of a monotonic clock."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic, capacity: int = NONCES) -> None:
        self._now, self._capacity = now, capacity
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()
        self._turned = now()

    def first(self, key: bytes, keep_s: float) -> bool:
        """Whether it comes for the first time. Raises Problem 503 where no more can be remembered."""
        now = self._now()
        if now - self._turned >= keep_s:
            self._old = self._young if now - self._turned < 2 * keep_s else set()
            self._young, self._turned = set(), now
        if key in self._young or key in self._old:
            return False
        if len(self._young) + len(self._old) >= self._capacity:
            wait_s = keep_s - (now - self._turned)
            raise Problem(503, "overloaded", "more signatures than can be remembered", retry_after_s=wait_s)
        self._young.add(key)
        return True

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class Signatures:
    """Lets in who signs."""

    def __init__(self, limits: SignaturesSection, clock: Clock = wall_clock, *, nonces: Nonces | None = None) -> None:
        self.limits, self._clock = limits, clock
        self._since = clock()
        self._nonces = nonces or Nonces()
        self.verified = 0

    @property
    def keep_s(self) -> float:
        """How long a nonce has to be remembered."""
        return self.limits.window_s + self.limits.skew_s

    def application(
        self, scope: Scope, headers: Mapping[bytes, bytes], known: Mapping[bytes, Application]
    ) -> Application:
        """The application that signed a request. Raises Problem 401, or 503."""
        announced = said(headers[FIELD])
        found = next(((one, known[key]) for one in announced if (key := signer(one.keyid)) in known), None)
        if found is None:
            raise refused("no signature by a key that is known here (`keyid`)", "unauthenticated")
        one, application = found
        if left_out := missing(one.covered, headers, scope["query_string"]):
            raise refused(f"the signature does not cover {', '.join(left_out)}")
        if against := objection(one, self._clock(), self._since, self.limits):
            raise refused(f"the signature {against}")
        alone = _alone(headers, one.label) if len(announced) > 1 else headers
        _verify(_message(scope, alone), dict(application.signing_keys)[one.keyid])
        key = blake2b(f"{one.keyid}\n{one.nonce}".encode(), digest_size=16).digest()
        if not self._nonces.first(key, self.keep_s):
            raise used_before()
        scope[NONCE] = key
        if has_body(headers):
            scope[COVERED_DIGEST] = headers[DIGEST]
        self.verified += 1
        return application

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        yield "dmz_front_signatures_verified_total", "Requests let in by their signature", {}, self.verified
        yield "dmz_front_signature_nonces", "Nonces of signatures that are remembered", {}, len(self._nonces)


def _message(scope: Scope, headers: Mapping[bytes, bytes]) -> _Message:
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    target = (scope.get("raw_path") or scope["path"].encode()) + query
    url = f"{scope['scheme']}://{headers.get(b'host', b'').decode('latin-1')}{target.decode('latin-1')}"
    said = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
    return _Message(scope["method"], url, said)


def _alone(headers: Mapping[bytes, bytes], label: str) -> Mapping[bytes, bytes]:
    """The fields with one signature of several: a proxy may have added its own. Raises Problem 401."""
    try:
        found: dict[bytes, Any] = {
            name: http_sf.parse(headers[name], tltype="dictionary") for name in (FIELD, SIGNATURE)
        }
        return {**headers, **{name: http_sf.ser({label: of[label]}).encode() for name, of in found.items()}}
    except (ValueError, KeyError):
        raise refused(f"no Signature of {label}") from None


def _verify(message: _Message, pem: str) -> None:
    try:
        _verifier(pem).verify(message, max_age=None)
    except HTTPMessageSignaturesException as error:
        raise refused(str(error) or "the signature is not one of this request by this key") from None


def check_digest(scope: Scope, body: bytes) -> None:
    """Raises Problem 401 unless the body of a signed request is the one that was signed; none, if its head announced
    none (`has_body`).
    """
    covered = scope.get(COVERED_DIGEST)
    if covered is None:
        if body:
            raise refused("the signature does not cover content-digest")
        return
    try:
        ContentDigest.verify(covered, body)
    except HTTPMessageSignaturesException as error:
        raise refused(str(error)) from None
