"""Signed requests: the vectors of RFC 9421 appendix B, what a signature must cover, how old it may be, and that it
counts once.
"""

import base64
import contextlib
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import ContentDigest
from hypothesis import given
from hypothesis.strategies import binary, integers, sampled_from

from dmz_front.admission import signatures
from dmz_front.admission.fields import parse
from dmz_front.admission.signatures import (
    COVERED_DIGEST,
    DIGEST,
    FIELD,
    SIGNATURE,
    Nonces,
    Said,
    Signatures,
    check_digest,
    missing,
    objection,
)
from dmz_front.problems.details import Problem
from dmz_front.settings import SignaturesSection
from protocol.runtime.applications import Application, signer
from protocol.runtime.credentials import signing_key
from tests.support.signing import pem_of, signed

NOW_S = 1_800_000_000
BODY = b'{"hello": "world"}'
LIMITS = SignaturesSection()
ED, EC = Ed25519PrivateKey.generate(), generate_private_key(SECP256R1())

RFC_ED25519 = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----
"""
RFC_P256 = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----
"""
RFC_HEADERS = {
    "Host": "example.com",
    "Date": "Tue, 20 Apr 2021 02:07:55 GMT",
    "Content-Type": "application/json",
    "Content-Digest": "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHW"
    "XvJwew==:",
    "Content-Length": "18",
}


def application(key: Any, name: str = "wechat") -> Application:
    known = signing_key(name, pem_of(key))
    return Application(name, frozenset({"*"}), (), 0.0, 0, None, signing_keys=((known.id, known.public),))


WECHAT = application(ED)
KEYID = WECHAT.signing_keys[0][0]
COVERED = ("@method", "@target-uri", "content-digest")


def request(
    key: Any = ED,
    covered: tuple[str, ...] = COVERED,
    *,
    keyid: str = KEYID,
    created: int = NOW_S,
    body: bytes = BODY,
    expires: int | None = None,
    nonce: str | None = "n-1",
    more: dict[str, str] | None = None,
) -> tuple[dict[str, Any], dict[bytes, bytes]]:
    """Scope and fields of a signed request."""
    sent = {"Host": "front", "Content-Length": str(len(body)), **(more or {})}
    headers = signed(
        key,
        keyid,
        "POST",
        "http://front/v1/bill-query?a=b",
        body,
        created=created,
        nonce=nonce,
        expires=expires,
        covered=covered,
        headers=sent,
    )
    scope = {"method": "POST", "scheme": "http", "path": "/v1/bill-query", "raw_path": b"/v1/bill-query"}
    return scope | {"query_string": b"a=b"}, parse([(a.lower().encode(), b.encode()) for a, b in headers.items()])


REQUEST = request()


def gate(now_s: int = NOW_S, since_s: int = NOW_S - 1000) -> Signatures:
    clock = [since_s * 1000]
    found = Signatures(LIMITS, lambda: clock[0])
    clock[0] = now_s * 1000
    return found


def refusal(scope: dict[str, Any], headers: dict[bytes, bytes], *of: Application, at: Signatures | None = None) -> str:
    known = {signer(id): one for one in of or (WECHAT,) for id, _ in one.signing_keys}
    with pytest.raises(Problem) as caught:
        (at or gate()).application(scope, headers, known)
    assert caught.value.status == 401
    assert {name for name, _ in caught.value.headers} == {b"www-authenticate", b"accept-signature"}
    return f"{caught.value.code}: {caught.value.detail}"


def vector(signature: str, parameters: str, pem: str) -> None:
    """Raises Problem unless it verifies."""
    headers = RFC_HEADERS | {"Signature-Input": f"s={parameters}", "Signature": f"s=:{signature}:"}
    url = "http://example.com/foo?param=Value&Pet=dog"
    signatures._verify(signatures._Message("POST", url, headers), pem)


# RFC 9421 appendix B.2.6
RFC_PARAMETERS = (
    '("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"'
)
RFC_SIGNATURE = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="


def test_the_vector_of_rfc_9421_for_ed25519() -> None:
    vector(RFC_SIGNATURE, RFC_PARAMETERS, RFC_ED25519)
    for wrong in (RFC_SIGNATURE.replace("wqcA", "wqcB"), base64.b64encode(bytes(64)).decode()):
        with pytest.raises(Problem, match="signature-invalid"):
            vector(wrong, RFC_PARAMETERS, RFC_ED25519)
    with pytest.raises(Problem, match="signature-invalid"):
        vector(RFC_SIGNATURE, RFC_PARAMETERS.replace("4473", "4474"), RFC_ED25519)
    with pytest.raises(Problem, match="signature-invalid"):
        vector(RFC_SIGNATURE, RFC_PARAMETERS, RFC_P256)


def test_the_vector_of_rfc_9421_for_p_256() -> None:
    """Appendix B.2.4: the signature of a response."""
    response = SimpleNamespace(
        status_code=200,
        headers={
            "Content-Type": "application/json",
            "Content-Digest": "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rj"
            "Juahq4l5aGgfLQ==:",
            "Content-Length": "23",
            "Signature-Input": 's=("@status" "content-type" "content-digest" "content-length");created=1618884473'
            ';keyid="test-key-ecc-p256"',
            "Signature": "s=:wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==:",
        },
    )
    signatures._verify(cast(Any, response), RFC_P256)
    response.status_code = 201
    with pytest.raises(Problem, match="signature-invalid"):
        signatures._verify(cast(Any, response), RFC_P256)


def test_the_digest_of_rfc_9421() -> None:
    scope = {COVERED_DIGEST: RFC_HEADERS["Content-Digest"].encode()}
    check_digest(scope, BODY)
    with pytest.raises(Problem, match="signature-invalid"):
        check_digest(scope, BODY + b" ")
    with pytest.raises(Problem, match="signature-invalid"):
        check_digest({COVERED_DIGEST: b"md5=:AAAA:"}, BODY)
    check_digest({}, b"")
    with pytest.raises(Problem, match="signature-invalid"):
        check_digest({}, BODY)


@pytest.mark.parametrize("key", [ED, EC])
def test_who_signs_is_known(key: Any) -> None:
    signing = application(key)
    [(id, _)] = signing.signing_keys
    at, (scope, headers) = gate(), request(key, keyid=id)
    assert at.application(scope, headers, {signer(id): signing}) is signing
    check_digest(scope, BODY)
    assert at.verified == 1


def test_path_and_query_are_as_good_as_the_target() -> None:
    scope, headers = request(covered=("@method", "@path", "@query", "content-digest"))
    assert gate().application(scope, headers, {signer(KEYID): WECHAT}) is WECHAT


def test_a_signature_counts_once() -> None:
    at, (scope, headers) = gate(), request()
    at.application(scope, headers, {signer(KEYID): WECHAT})
    assert "used before" in refusal(scope, headers, at=at)
    scope, headers = request(nonce="n-2")
    assert at.application(scope, headers, {signer(KEYID): WECHAT}) is WECHAT


def test_what_was_not_verified_uses_no_nonce() -> None:
    at, (scope, headers) = gate(), request()
    assert refusal(scope | {"method": "PUT"}, headers, at=at).startswith("signature-invalid")
    assert at.application(scope, headers, {signer(KEYID): WECHAT}) is WECHAT


@pytest.mark.parametrize(
    "change", [{"method": "PATCH"}, {"raw_path": b"/v1/work-order"}, {"query_string": b"a=c"}, {"scheme": "https"}]
)
def test_another_request_is_not_the_one_that_was_signed(change: dict[str, Any]) -> None:
    scope, headers = request()
    assert refusal(scope | change, headers).startswith("signature-invalid")


def test_another_digest_or_idempotency_key_is_not_the_one_that_was_signed() -> None:
    scope, headers = request(covered=(*COVERED, "idempotency-key"), more={"Idempotency-Key": "one"})
    assert refusal(scope, headers | {b"idempotency-key": b"two"}).startswith("signature-invalid")
    other = ContentDigest.create(b"{}").encode()
    assert refusal(scope, headers | {b"content-digest": other}).startswith("signature-invalid")


def test_a_key_that_is_not_known_here() -> None:
    scope, headers = request(keyid="wechat_0000000000000000")
    assert refusal(scope, headers).startswith("unauthenticated")
    stranger = Ed25519PrivateKey.generate()
    assert refusal(*request(stranger)).startswith("signature-invalid")
    assert refusal(scope, headers | {b"signature-input": b"not structured ("}).startswith("signature-invalid")
    assert refusal(scope, headers | {b"signature-input": b"a=1"}).startswith("unauthenticated")


@pytest.mark.parametrize(
    ("covered", "headers", "query", "left_out"),
    [
        ("@method @target-uri", {}, b"", ""),
        ("@method @request-target", {}, b"a=b", ""),
        ("@method @path", {}, b"", ""),
        ("@method @path", {}, b"a=b", "@target-uri"),
        ("@method @path @query", {}, b"a=b", ""),
        ("@target-uri", {}, b"", "@method"),
        ("@method", {}, b"", "@target-uri"),
        ("@method @target-uri", {b"content-length": b"0"}, b"", ""),
        ("@method @target-uri", {b"content-length": b"2"}, b"", "content-digest"),
        ("@method @target-uri", {b"transfer-encoding": b"chunked"}, b"", "content-digest"),
        ("@method @target-uri", {b"idempotency-key": b"a", b"callback": b"b"}, b"", "idempotency-key callback"),
    ],
)
def test_what_has_to_be_covered(covered: str, headers: dict[bytes, bytes], query: bytes, left_out: str) -> None:
    assert " ".join(missing(frozenset(covered.split()), headers, query)) == left_out


def test_a_component_of_something_else_covers_nothing() -> None:
    [one] = signatures.said(b'a=("@method";req "@path");keyid="k"')
    assert one.covered == {"@path"}
    scope, headers = request(covered=("@target-uri", "content-digest"))
    assert "does not cover @method" in refusal(scope, headers)


@pytest.mark.parametrize(
    ("change", "against"),
    [
        ({}, ""),
        ({"created": NOW_S - 120}, ""),
        ({"created": NOW_S - 121}, "is taken for 120 s"),
        ({"created": NOW_S + 30}, ""),
        ({"created": NOW_S + 31}, "compare the clocks"),
        ({"created": None}, "says no created"),
        ({"expires": NOW_S + 1}, ""),
        ({"expires": NOW_S}, "has expired"),
        ({"nonce": ""}, "says no nonce"),
        ({"nonce": "n" * 129}, "says no nonce"),
    ],
)
def test_how_old_a_signature_may_be(change: dict[str, Any], against: str) -> None:
    said: dict[str, Any] = {"created": NOW_S, "expires": None, "nonce": "n"} | change
    found = objection(Said("sig", KEYID, frozenset(), **said), NOW_S * 1000, 0, LIMITS)
    assert against in found if against else found == ""


def test_one_from_before_the_start_is_not_taken() -> None:
    at = gate(since_s=NOW_S - 10)
    assert "before this front started" in refusal(*request(created=NOW_S - 11), at=at)
    scope, headers = request(created=NOW_S - 10)
    assert at.application(scope, headers, {signer(KEYID): WECHAT}) is WECHAT


def test_nonces_are_kept_as_long_as_they_must_and_no_longer() -> None:
    now = [0.0]
    nonces = Nonces(now=lambda: now[0], capacity=3)
    assert nonces.first(b"a", 10)
    now[0] = 9.9
    assert nonces.first(b"b", 10)
    for later in (10.0, 19.8):  # turned once: what came before is still known
        now[0] = later
        assert not nonces.first(b"b", 10)
    assert nonces.first(b"c", 10)
    with pytest.raises(Problem) as caught:
        nonces.first(b"d", 10)
    assert (caught.value.status, caught.value.code) == (503, "overloaded")
    now[0] = 20.1
    assert nonces.first(b"d", 10)
    assert not nonces.first(b"c", 10)
    assert nonces.first(b"b", 10)
    now[0] = 60.0
    assert nonces.first(b"d", 10)
    assert len(nonces) == 1


def test_a_proxys_own_signature_beside_it_does_not_matter() -> None:
    scope, headers = request()
    both = {
        b"signature-input": b'proxy=("@method");keyid="proxy", ' + headers[b"signature-input"],
        b"signature": b"proxy=:AAAA:, " + headers[b"signature"],
    }
    assert gate().application(scope, headers | both, {signer(KEYID): WECHAT}) is WECHAT


@given(name=sampled_from([FIELD, SIGNATURE, DIGEST, b"host"]), value=binary(max_size=60), at=integers(0, 300))
def test_whatever_is_sent_is_a_refusal_and_no_failure(name: bytes, value: bytes, at: int) -> None:
    scope, headers = REQUEST
    spoilt = headers[name][:at] + value + headers[name][at + len(value) // 2 :]
    with contextlib.suppress(Problem):  # blanks alone may change nothing
        gate().application(dict(scope), headers | {name: spoilt}, {signer(KEYID): WECHAT})
    with contextlib.suppress(Problem):
        check_digest({COVERED_DIGEST: value}, BODY)
