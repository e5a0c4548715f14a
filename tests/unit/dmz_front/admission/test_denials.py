"""Every 401 and 403 is found in the log and in a metric, and an attacker fills neither."""

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from dmz_front.admission.denials import DISTINCT, UNKNOWN, Denial, Denials, denial
from protocol.runtime.applications import key_hash

pytestmark = pytest.mark.anyio

KEY = b"dmz_wechat_" + b"k" * 43


def bearer(key: bytes) -> dict[bytes, bytes]:
    return {b"authorization": b"Bearer " + key}


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


def test_it_names_application_and_public_id_of_a_key() -> None:
    found = denial("forbidden-scope", bearer(KEY), "work-order", "10.0.0.1")
    assert found == Denial("forbidden-scope", "wechat", key_hash(KEY).hex()[:8], "work-order", "10.0.0.1")


@pytest.mark.parametrize("key", [b"", b"hunter2", KEY[:-1], KEY + b"k", b"dmz_a\nb_" + b"k" * 43, b"\xff" * 50])
def test_of_what_is_no_key_nothing_is_kept(key: bytes) -> None:
    found = denial("unauthenticated", bearer(key), "bill-query", "10.0.0.1")
    assert (found.application, found.key) == ("", "")


async def test_the_first_is_said_at_once_and_repeats_when_the_window_is_over(lines: list[Any]) -> None:
    denials = Denials()
    one = denial("unauthenticated", bearer(KEY), "bill-query", "10.0.0.1")
    for _ in range(1_000):
        denials.note(one, registered=True)
    assert [line["event"] for line in lines] == ["denied"]
    assert lines[0] | {"application": "wechat", "operation": "bill-query", "address": "10.0.0.1"} == lines[0]
    assert lines[0]["log_level"] == "warning"
    denials.flush()
    assert (lines[1]["event"], lines[1]["count"]) == ("denied-again", 999)
    denials.note(one, registered=True)
    assert lines[2]["event"] == "denied"
    assert denials.counts == {("wechat", "bill-query", "unauthenticated"): 1_001}
    denials.flush()


async def test_who_sends_from_everywhere_fills_neither_log_nor_metric_and_hides_nobody(lines: list[Any]) -> None:
    denials = Denials()
    for number in range(10_000):
        fields = bearer(b"dmz_app%d_" % number + b"k" * 43)
        denials.note(denial("unauthenticated", fields, "bill-query", f"10.0.0.{number}"), registered=False)
    denials.note(denial("forbidden-scope", bearer(KEY), "work-order", "10.1.0.1"), registered=True)
    assert len(lines) == DISTINCT + 1
    assert lines[-1]["application"] == "wechat"
    denials.flush()
    assert (lines[-1]["event"], lines[-1]["count"]) == ("denied-others", 10_000 - DISTINCT)
    assert denials.counts == {
        (UNKNOWN, "bill-query", "unauthenticated"): 10_000,
        ("wechat", "work-order", "forbidden-scope"): 1,
    }


async def test_an_application_that_was_given_a_key_begins_anew() -> None:
    denials = Denials()
    denials.note(denial("unauthenticated", bearer(KEY), "bill-query", "10.0.0.1"), registered=False)
    denials.note(
        denial("unauthenticated", bearer(b"dmz_kiosk_" + b"k" * 43), "bill-query", "10.0.0.1"), registered=True
    )
    assert [(one.application, one.active) for one in denials.reports({"kiosk"})] == [("kiosk", True), ("wechat", False)]
    denials.forget("wechat")
    assert [one.application for one in denials.reports()] == ["kiosk"]
    denials.note(denial("unauthenticated", bearer(KEY), "bill-query", "10.0.0.1"), registered=True)
    assert [(one.application, one.count) for one in denials.reports()] == [("wechat", 1), ("kiosk", 1)]
