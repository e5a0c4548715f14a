"""A code's form and signature."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from intranet_bridge.qr import codes
from protocol.qr import KID, QrKey
from protocol.suites import Suite

SAMPLES = Path(__file__).parents[3] / "data" / "qr"
KEY = QrKey("1", b"k" * 32)


def test_the_vector_of_the_specification_is_met() -> None:
    vector = json.loads((SAMPLES / "qr_accounts.expected.json").read_text())["mac_vector"]
    made = codes.mac(
        QrKey(vector["kid"], vector["key"].encode()), vector["utility"], vector["account"], vector["generation"]
    )
    assert made == vector["mac"]


def test_a_code_is_read_from_both_ends() -> None:
    code = codes.code(KEY, "water-yunhe", "Z05396-0", 1)
    assert code.text.startswith("1-Z05396-0-")
    assert codes.parsed(code.text) == code


def test_what_is_no_code_is_none() -> None:
    good = codes.code(KEY, "power-yunhe", "3210000000003", 1).text
    for bad in (
        "", "-", good[:-1], good + "0", good.lower(), good.replace("-", "/"), f"{good}\n", f" {good}",
        good.replace("3210000000003", "../etc/passwd"), good.replace("3210000000003", "３２１０"), good[:-1] + "U",
    ):  # fmt: skip
        assert codes.parsed(bad) is None, bad


@given(
    st.binary(min_size=32, max_size=32),
    st.from_regex(KID, fullmatch=True),
    st.from_regex("[0-9A-Za-z-]{4,20}", fullmatch=True),
    st.integers(1, 1000),
)
def test_every_code_is_read_back_and_is_genuine_for_its_generation_alone(
    secret: bytes, kid: str, account: str, generation: int
) -> None:
    key = QrKey(kid, secret)
    code = codes.code(key, "power-yunhe", account, generation)
    assert codes.parsed(code.text) == code
    assert codes.genuine(code, key, "power-yunhe", [generation]) == generation
    assert codes.genuine(code, key, "power-yunhe", [generation + 1]) is None
    assert codes.genuine(code, key, "power-other", [generation]) is None


def test_qr_forgery_and_walking() -> None:
    """The mac of one account is no other's, and no single character of it may differ."""
    code = codes.code(KEY, "power-yunhe", "3210000000003", 1)
    neighbour = codes.Code("1", "3210000000004", code.mac)
    assert codes.genuine(neighbour, KEY, "power-yunhe", [1, 2]) is None
    for at, character in enumerate(code.mac):
        other = "0" if character != "0" else "1"
        forged = codes.Code("1", code.account, code.mac[:at] + other + code.mac[at + 1 :])
        assert codes.genuine(forged, KEY, "power-yunhe", [1]) is None
    assert codes.genuine(code, QrKey("1", b"j" * 32), "power-yunhe", [1]) is None


def test_a_key_of_the_sm_suite_signs_by_hmac_sm3() -> None:
    key = QrKey("2", b"k" * 32, suite=Suite.SM)
    code = codes.code(key, "power-yunhe", "3210000000003", 1)
    assert codes.genuine(code, key, "power-yunhe", [1]) == 1
    assert codes.genuine(code, QrKey("2", b"k" * 32), "power-yunhe", [1]) is None
