"""The gateway by the operator's commands alone: rates, quotas, accounts, signatures, certificates, addresses."""

import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scripts.tools.testbed.testbed import Testbed
from scripts.tools.testbed.toml_values import with_values
from tests.support.signing import pem_of, signed
from tests.support.testbeds import LOOPBACK, ctl, eventually, status

APPLICATION = "gateway"
ACCOUNTS = ("3210000000012", "3210000000013", "3210000000014")


def said(testbed: Testbed, *words: str) -> str:
    """What a command of the operator's says on standard output."""
    told = ctl(testbed, *words)
    assert told.returncode == 0, told.stderr
    return told.stdout.strip()


@pytest.fixture
def key(testbed: Testbed) -> Iterator[str]:
    """An application's, which has limits and is gone afterwards."""
    limits = ("--accounts", "2", "--quota", "arrears-query=4")
    yield said(testbed, "apps", "add", APPLICATION, "--scope", "*", *limits)
    said(testbed, "apps", "revoke", APPLICATION)


@pytest.fixture
def https(testbed: Testbed) -> Iterator[str]:
    """The front's HTTPS, which asks for certificates and pauses who goes on in spite of 429."""
    file, certs = testbed.config / "dmz_front.toml", testbed.certs
    before = file.read_text()
    files = {"certificate": certs / "broker.pem", "key": certs / "broker.key", "client_ca": certs / "ca.pem"}
    values: dict[str, Any] = {f"http.{name}": str(path) for name, path in files.items()}
    values |= {"http.client_certificates": "optional", "limits.addresses.strikes": 3, "limits.burst_s": 1}
    file.write_text(with_values(before, values | {"limits.ip_rate": 20}))
    try:
        said(testbed, "reload", "front")
        yield testbed.front_url.replace("http:", "https:")
    finally:
        file.write_text(before)
        said(testbed, "reload", "front")
        ctl(testbed, "addresses", "lift", "127.0.0.1")


def asked(http: httpx.Client, account: str = ACCOUNTS[0], **more: Any) -> tuple[int, str]:
    answer = http.post("/v1/arrears-query", json={"account": account}, **more)
    return answer.status_code, answer.json().get("code", "")


def test_limits_of_an_application(testbed: Testbed, key: str) -> None:
    with httpx.Client(base_url=testbed.front_url, headers={"Authorization": f"Bearer {key}"}, **LOOPBACK) as http:
        eventually(lambda: http.get("/v1/operations").status_code == 200, what="the key to be known")
        found = [asked(http, account) for account in (*ACCOUNTS, ACCOUNTS[0], ACCOUNTS[0])]
    assert (429, "too-many-accounts") in found
    assert found[-1] == (429, "quota-used-up")


def test_who_signs_and_shows_a_certificate(testbed: Testbed, key: str, https: str, tmp_path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_text(pem_of(private))
    keyid = said(testbed, "apps", "signature", "add", APPLICATION, str(tmp_path / "key.pem"))
    said(testbed, "apps", "limit", APPLICATION, "--quota", "arrears-query=0")
    said(testbed, "apps", "certificate", "add", APPLICATION, str(testbed.certs / "front.pem"))
    for what in ("certificate", "signature"):  # fronts that know of the second know of the first
        said(testbed, "apps", what, "required", APPLICATION)
    trusting = ssl.create_default_context(cafile=str(testbed.certs / "ca.pem"))
    showing = ssl.create_default_context(cafile=str(testbed.certs / "ca.pem"))
    showing.load_cert_chain(testbed.certs / "front.pem", testbed.certs / "front.key")
    url, body = f"{https}/v1/arrears-query", f'{{"account": "{ACCOUNTS[0]}"}}'.encode()

    def sent(http: httpx.Client, fields: dict[str, str]) -> tuple[int, str]:
        answer = http.post(url, content=body, headers={"Content-Type": "application/json", **fields})
        return answer.status_code, answer.json().get("code", "")

    def signature(nonce: str) -> dict[str, str]:
        return signed(private, keyid, "POST", url, body, created=time.time(), nonce=nonce)

    with (
        httpx.Client(**LOOPBACK | {"verify": trusting}) as plain,
        httpx.Client(**LOOPBACK | {"verify": showing}) as own,
    ):
        bearer = {"Authorization": f"Bearer {key}"}
        eventually(lambda: sent(own, bearer) == (401, "signature-required"), what="the signature to be required")
        assert sent(plain, signature("a")) == (401, "certificate-required")
        once = signature("b")
        assert sent(own, once) == (200, "")
        assert sent(own, once) == (401, "signature-invalid")

        def paused(_: int) -> bool:  # or not answered any more
            try:
                return sent(own, signature("c"))[1] == "address-paused"
            except httpx.HTTPError:
                return True

        with ThreadPoolExecutor(8) as pool:  # more than twenty a second, on a busy machine too
            assert any(pool.map(paused, range(400)))
        assert "127.0.0.1" in said(testbed, "addresses", "list")
        [trouble] = [one for one in status(testbed)[1] if one["key"] == "addresses-paused"]
        assert trouble["level"] == "warning"
        said(testbed, "addresses", "lift", "127.0.0.1")
        assert sent(own, signature("d"))[0] in (200, 429)
