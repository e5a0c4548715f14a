"""Signed requests, against the standard library's hmac."""

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from intranet_bridge.marketing import MarketingRequest
from intranet_bridge.marketing.http.access import signer_of
from intranet_bridge.marketing.http.binding import HttpBinding, HttpSystem, formats
from intranet_bridge.marketing.http.request import RequestTemplate
from intranet_bridge.marketing.http.signature import ALGORITHMS, SignatureSection, Signer
from protocol.errors import ConfigurationError

KEY = b"0123456789abcdef"


def section(**changes: Any) -> SignatureSection:
    values: dict[str, Any] = {
        "key_file": "unread",
        "header": "X-Signature",
        "timestamp_header": "X-Timestamp",
        "nonce_header": "X-Nonce",
        "string": "{method}\n{path}\n{query}\n{body_digest}\n{timestamp}\n{nonce}\n{request_id}",
    } | changes
    return SignatureSection.model_validate(values)


def signed(one: SignatureSection, **binding: Any) -> tuple[dict[str, str], bytes]:
    plan = HttpBinding.model_validate({"path": "/api", "response": "@", "request": "{a: v}"} | binding)
    signer = Signer(one, KEY, lambda: 1_764_037_800.25, lambda: "ab" * 16)
    template = RequestTemplate("http://back.end:8090/base", plan, formats(plan), {}, {}, signer=signer)
    head, _, body = template.render(MarketingRequest("01a2-req", None), {"v": "张"}).partition(b"\r\n\r\n")
    lines = (line.partition(": ")[::2] for line in head.decode().split("\r\n")[1:])
    return dict(lines), body


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_the_canonical_string_is_signed(algorithm: str, encoding: str) -> None:
    name = algorithm.removeprefix("hmac-")
    if name not in hashlib.algorithms_available:
        pytest.skip(f"the standard library has no {name} here")
    headers, body = signed(
        section(algorithm=algorithm, encoding=encoding), query="{z: v, b: '2', a: '1'}"
    )  # fmt: skip
    digest = hashlib.new(name, body).hexdigest()
    string = f"POST\n/base/api\na=1&b=2&z=%E5%BC%A0\n{digest}\n1764037800\n{'ab' * 16}\n01a2-req"
    code = hmac.new(KEY, string.encode(), name).digest()
    assert headers["X-Signature"] == (base64.b64encode(code).decode() if encoding == "base64" else code.hex())
    assert (headers["X-Timestamp"], headers["X-Nonce"]) == ("1764037800", "ab" * 16)
    assert "Content-Length" in headers


def test_a_request_without_body_signs_the_empty_one() -> None:
    headers, _ = signed(section(string="{method}{body}{body_digest}"), method="GET", request=None)
    string = "GET" + hashlib.sha256(b"").hexdigest()
    assert headers["X-Signature"] == hmac.new(KEY, string.encode(), "sha256").hexdigest()


@pytest.mark.parametrize(("form", "told"), [("ms", "1764037800250"), ("iso", "2025-11-25T02:30:00Z")])
def test_timestamps(form: str, told: str) -> None:
    assert signed(section(timestamp=form))[0]["X-Timestamp"] == told


def test_the_body_as_it_is_sent_may_be_signed_and_the_code_have_a_prefix() -> None:
    headers, body = signed(section(string="{{{body}}}", prefix="V1 "))
    assert headers["X-Signature"] == "V1 " + hmac.new(KEY, b"{" + body + b"}", "sha256").hexdigest()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"string": "{secret}"}, "is no part of a signed string"),
        ({"string": "{path!r}"}, "is no part"),
        ({"string": "{"}, "Single"),
        ({"timestamp_header": None}, "no timestamp_header"),
        ({"nonce_header": None}, "no nonce_header"),
        ({"algorithm": "md5"}, "algorithm"),
        ({"header": "Content-Length"}, "cannot be set"),
    ],
)
def test_mistakes_are_found_at_start(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        section(**changes)


def test_a_short_key_is_none(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"short\n")
    system = HttpSystem.model_validate(
        {"url": "http://h", "signature": {"key_file": str(tmp_path / "key"), "header": "S", "string": "{body}"}}
    )
    with pytest.raises(ConfigurationError, match="holds no key"):
        signer_of(system)
    (tmp_path / "key").write_bytes(KEY + b"\n")
    assert signer_of(system) is not None
