"""A channel calls the front: what it proves is paid is written off, and no forgery is believed.

The channel is the simulator's, with keys of its own; the bridge is given their public halves.
"""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.channel_simulator import keys as own
from scripts.tools.channel_simulator import notifying
from scripts.tools.channel_simulator.book import Book
from scripts.tools.channel_simulator.keys import Keys, made_or_loaded
from scripts.tools.channel_simulator.notifying import Forgery, Notification
from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import LOOPBACK, PATIENT, PLAIN, client, eventually, running_testbed

OWING = "3210000000008"
SUCCESS = '{"code":"SUCCESS"}'
PAID_AT = datetime.fromisoformat("2026-07-15T12:00:00+08:00")
"""On the testbed's business day: the day it was paid fixes the penalty."""


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> tuple[Keys, Book]:
    folder = tmp_path_factory.mktemp("channel")
    return made_or_loaded(folder), Book(folder / "book.sqlite3")


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory, channel: tuple[Keys, Book]) -> Iterator[Testbed]:
    folder = Path(channel[1].path).parent
    wechat = {
        "plugin": "wechat-v3", "platform_keys": {own.WECHAT_SERIAL: str(folder / "wechat.pub.pem")},
        "api_v3_key": str(folder / own.API_V3), "merchants": [own.WECHAT_MERCHANT],
    }  # fmt: skip
    settings: dict[str, dict[str, Any]] = {
        "intranet_bridge": {
            **{f"settlement.payments.channels.wechat.{name}": value for name, value in wechat.items()},
            "settlement.companies.power.account_pattern": "[0-9]{13}",
        },
        "dmz_front": {
            "channels.wechat.form": "wechat-v3", "channels.wechat.application": "channel",
        },
    }  # fmt: skip
    with running_testbed(tmp_path_factory.mktemp("channels"), settings=settings) as testbed:
        yield testbed


@pytest.fixture(scope="module")
def http(testbed: Testbed) -> Iterator[httpx.Client]:
    with client(testbed) as http:
        yield http


def done(http: httpx.Client, operation: str, **body: Any) -> Any:
    answer = http.post(f"/v1/{operation}", json=body, headers={"Idempotency-Key": str(uuid.uuid4()), **PATIENT})
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "succeeded", answer.text
    return answer.json()["result"]


def notified(testbed: Testbed, told: Notification) -> httpx.Response:
    return httpx.post(
        f"{testbed.front_url}/channels/wechat/notifications", content=told.body, headers=dict(told.headers),
        timeout=20, trust_env=False, verify=PLAIN,
    )  # fmt: skip


def test_a_channel_tells_that_an_order_is_paid(
    testbed: Testbed, http: httpx.Client, channel: tuple[Keys, Book]
) -> None:
    keys, book = channel
    [oldest, *_] = done(http, "combined-bill", accounts=[{"company": "power", "account": OWING}])["owed"][0]["bills"]
    amount = oldest["amount"] + oldest["penalty"]
    line = {"company": "power", "account": OWING, "bills": [oldest["bill"]], "amount": amount}
    order = done(http, "payment-order-create", channel="wechat", lines=[line])["order"]
    done(http, "payment-order-pay", order=order)
    parts = book.pay("wechat", order, [(order, amount)], PAID_AT)
    for forgery in Forgery:
        answer = notified(testbed, notifying.of_payment(keys, parts, datetime.now(UTC), forgery))
        assert (answer.status_code, answer.json()["code"]) == (400, "FAIL"), forgery
    assert done(http, "payment-order", order=order)["state"] == "paying"

    told = notifying.of_payment(keys, parts, datetime.now(UTC))
    answers = [notified(testbed, told), notified(testbed, told)]
    assert [(answer.status_code, answer.text) for answer in answers] == [(200, SUCCESS)] * 2
    again = notified(testbed, notifying.of_payment(keys, parts, datetime.now(UTC)))  # signed anew
    assert (again.status_code, again.text) == (200, SUCCESS)

    def standing() -> Any:
        found = done(http, "payment-order", order=order)
        return found if found["state"] == "completed" else None

    assert eventually(standing, 40, "the write-off")["lines"][0]["state"] == "written-off"
    booked = httpx.get(f"{testbed.marketing_url}/books/payments", **LOOPBACK).json()
    [written] = [one for one in booked if one["transaction"] == parts[0].transaction]
    assert (written["amount"], written["channel"], written["account"]) == (amount, "wechat", OWING)
