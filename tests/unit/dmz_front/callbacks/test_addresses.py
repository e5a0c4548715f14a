"""Where callbacks may go."""

from ipaddress import ip_network

import pytest
from pydantic import ValidationError

from dmz_front.callbacks.addresses import refusal
from dmz_front.callbacks.settings import CallbackSection


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "2001:db8::1",
        "64:ff9b:1::a00:1", "fec0::1", "::7f00:1",
    ],
)  # fmt: skip
def test_what_is_not_of_the_public_internet_is_refused(address: str) -> None:
    assert refusal(address, ()) is not None


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_what_is_of_the_public_internet_may_be_called(address: str) -> None:
    assert refusal(address, ()) is None


def test_a_network_that_is_allowed_may_be_called_and_no_other() -> None:
    allowed = (ip_network("10.20.0.0/16"),)
    assert refusal("10.20.3.4", allowed) is None
    assert refusal("10.21.3.4", allowed) is not None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://app.example/", "https://"),
        ("https://user:word@app.example/", "neither user nor password"),
        ("https://app.example/#x", "fragment"),
        ("https:///path", "https://"),
        ("https://app.example:99999/", "port"),
        ("https://app.example/ü", "not a URL"),
        ("https://127.0.0.1/hook", "public internet"),
        ("https://[fe80::1]/hook", "public internet"),
        ("ftp://app.example/", "https://"),
    ],
)
def test_an_address_that_may_not_be_called_is_refused_at_the_start(url: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        CallbackSection.model_validate({"application": "wechat", "url": url, "secrets": ["x"]}, strict=False)


def test_a_literal_address_of_an_allowed_network_is_taken() -> None:
    section = {"application": "wechat", "url": "https://10.2.3.4/h", "secrets": ["x"], "networks": ["10.0.0.0/8"]}
    assert CallbackSection.model_validate(section, strict=False).allowed == (ip_network("10.0.0.0/8"),)
