"""What a support bundle never shows, and what it goes on showing."""

import json
import re

import pytest

from bridgectl.bundle.scrubber import MASK, Scrubber, metrics

APPLICATION_KEY = "dmz_wechat_" + "aB3-" * 10 + "xyz"
LABEL = " ".join(("PRIVATE", "KEY"))
"""Of parts: a scanner for secrets must not take this file for a key."""
BEGIN, END = f"-----BEGIN {LABEL}-----", f"-----END {LABEL}-----"


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("caller 13800138000 asks", "13800138000"),
        ("caller 138-0013-8000 asks", "138-0013-8000"),
        ("caller +86 138 0013 8000", "0013 8000"),
        ("identity 32031119700101123X", "32031119700101123X"),
        ("account=3210000000001;", "3210000000001"),
        ("第1234567号", "1234567"),
        (f"key {APPLICATION_KEY} refused", "aB3-aB3"),
        ("Authorization: Bearer abc.def.ghi", "abc.def.ghi"),
        ("sent 'Bearer abcdef'", "abcdef"),
        ("connect postgresql://front:p@ss/w:rd@db.dmz/front failed", "p@ss/w:rd"),
        ("GET https://m.example/api?user=a&token=t1&x=2", "t1"),
        ('{"password": "pass phrase, with \\" and more"}', "phrase"),
        ('{"said": "{\\"client_secret\\": \\"hunter two\\"}"}', "hunter two"),
        ("password = hunter2", "hunter2"),
        ("password={hunter2}", "hunter2"),
        ("user=a pass=hunter2", "hunter2"),
        ("口令：x 口令=秘密甲", "秘密甲"),
        (f"{BEGIN}\nMC4C\nAQAw\n{END}", "MC4C"),
        (f"{BEGIN}\nMC4C cut short", "MC4C"),
        ("digest " + "0a1b" * 16, "0a1b0a1b"),
    ],
)
def test_masked(line: str, secret: str) -> None:
    assert secret in line
    scrubber = Scrubber()
    assert secret not in scrubber.text(line)
    assert scrubber.masked


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-29T12:20:03.123456Z request 0199a1b2-1234-7123-8123-123456789012 answered in 1234 ms",
        "key 0123456789abcdef of the bridge is used, codes 1a2b-3c4d",
        "/etc/dmz-bridge/front.pgpass at 10.2.0.5:61616, OpenSSL 3.0.15, 6.1.0-28-amd64",
        '"password_file": "/etc/dmz-bridge/marketing.password"',
        '{"token": null, "secret": true, "token_lifetime_s": 3600}',
        "Statistics.Destination.IncludeFirstMessageTimestamp",
    ],
)
def test_shown(line: str) -> None:
    assert Scrubber().text(line) == line


def test_known_secrets_and_forms_of_accounts() -> None:
    scrubber = Scrubber(("tulip", 'a "b" 1', "abc"), (re.compile("[A-Z]{2}-[0-9]{4}"),))
    written = json.dumps('a "b" 1')
    assert scrubber.text(f"tulip {written} a%20%22b%22%201 abc") == f'{MASK} "{MASK}" {MASK} abc'
    assert scrubber.text("meter AB-1234 of ABCD-1") == f"meter {MASK} of ABCD-1"
    assert "tulip" not in repr(scrubber)


def test_values_stay_json_and_say_times() -> None:
    scrubber = Scrubber()
    given = {
        "at": 1_770_000_000_000,
        "free_bytes": 1_770_000_000_000,
        "share": 0.123456789,
        "tiny": 0.000123456789,
        "count": 5_000_000,
        "few": 7,
        "password": 1234,
        "note": "call 13800138000",
        "none": None,
        "on": True,
    }
    value = scrubber.value(given)
    assert value["at"] == "2026-02-02T02:40:00.000+00:00"
    assert (value["free_bytes"], value["count"], value["few"]) == ("1,770,000,000,000", "5,000,000", 7)
    assert (value["share"], value["tiny"], value["password"]) == (0.123457, "1.23457e-04", MASK)
    text = json.dumps(value)
    assert json.loads(scrubber.text(text)) == value


def test_metrics_keep_their_values() -> None:
    given = '# HELP a b\na_seconds{of="13800138000"} 1.764325231123e+09\nb_total 12345678\n'
    assert metrics(given) == '# HELP a b\na_seconds{of="13800138000"} 1.76433e+09\nb_total 1.23457e+07\n'
    assert "1.76433e+09" in Scrubber().text(metrics(given))
