"""The file of the keys that sign QR codes."""

import base64

import pytest

from protocol.errors import ConfigurationError
from protocol.qr import QrKey, QrKeys, parsed_keys
from protocol.suites import Suite

LINE = f"1 {base64.urlsafe_b64encode(b'k' * 32).decode()} active\n"


def test_keys_are_read_as_they_were_written_and_the_last_active_one_signs() -> None:
    keys = parsed_keys(f"# a comment\n\n{LINE}").added("2").added("3", Suite.SM).added("4").retired("3").retired("4")
    again = parsed_keys(keys.text())
    assert again == keys
    assert (again.signing() or QrKey("", b"")).kid == "2"
    assert again.verifying("1") == QrKey("1", b"k" * 32)
    assert again.verifying("3") is None
    assert [(one.kid, one.suite) for one in again.keys if one.suite is Suite.SM] == [("3", Suite.SM)]
    assert again.verifying("5") is None
    assert QrKeys(()).signing() is None


def test_a_secret_is_in_no_repr_and_a_kid_is_never_used_twice() -> None:
    keys = parsed_keys(LINE)
    assert "kkkk" not in repr(keys)
    with pytest.raises(ConfigurationError, match="never used twice"):
        keys.retired("1").added("1")
    with pytest.raises(ConfigurationError, match="no kid"):
        keys.added("A-1")
    with pytest.raises(ConfigurationError, match="there is no key 9"):
        keys.retired("9")


@pytest.mark.parametrize(
    "text",
    [
        LINE + LINE,
        "1 x active",
        LINE.replace("active", "on"),
        LINE.replace("1 ", "-1 "),
        "1 active",
        "1 a2s= active",
        LINE.replace("active", "active rot13"),
        LINE.replace("active", "active sm more"),
    ],
)
def test_a_damaged_file_names_the_line_and_not_the_key(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"line [12]: ") as raised:
        parsed_keys(text)
    assert "a2" not in str(raised.value)
