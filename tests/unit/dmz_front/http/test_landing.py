"""Scanned QR codes: one page for all that lead nowhere, a pause for who tries many, and no trace of any."""

import json
from typing import Any

import pytest

from protocol.lifecycle import State
from tests.unit.dmz_front.harness import Harness, Say

pytestmark = pytest.mark.anyio

CODE = "1-3210000000003-HQV5GA0GVGWX"
TICKET = "A" * 43
GOOD = Say(result=json.dumps({"page": "bill", "location": "https://pay.example.cn/bill", "ticket": TICKET}).encode())


async def scanned(harness: Harness, code: str = CODE, **headers: str) -> Any:
    return await harness.call("GET", f"/q/{code}", app=None, **headers)


async def started(harness: Harness, say: Say, **landing: Any) -> None:
    harness.options["landing"] = {"enabled": True, **landing}
    await harness.start()
    harness.bridge.script = lambda _: say
    harness.front.landing._scans._now = lambda: 0.0


async def test_a_good_code_leads_to_the_page_with_its_ticket(harness: Harness) -> None:
    await started(harness, GOOD)
    answer = await scanned(harness)
    assert answer.status_code == 302
    assert answer.headers["location"] == f"https://pay.example.cn/bill?ticket={TICKET}"
    assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == ("no-store", "no-referrer")
    asked = harness.bridge.taken[-1]
    assert (asked.attributes.type, asked.attributes.source) == ("qr-resolve", "front-1/landing")
    assert json.loads(asked.payload) == {"code": CODE}


async def test_what_leads_nowhere_is_one_page_whatever_it_is(harness: Harness) -> None:
    await started(harness, Say(State.REFUSED, "no-such-code"))
    refused = await scanned(harness)
    asked = len(harness.bridge.taken)
    forms = [
        await scanned(harness, code)
        for code in ("x", "1-321-A", "..%2F..%2Fetc%2Fpasswd", f"{CODE}0", CODE.lower(), "")
    ]
    assert len(harness.bridge.taken) == asked  # the bridge hears of none of these
    for answer in forms:
        assert (answer.status_code, answer.text) == (404, refused.text)
        assert set(answer.headers) == set(refused.headers)
    chinese = await scanned(harness, accept_language="zh-CN")
    assert "二维码无效" in chinese.text
    assert "<script" not in refused.text


async def test_no_bridge_is_no_verdict_about_the_code(harness: Harness) -> None:
    await started(harness, Say(State.FAILED, "internal"))
    answer = await scanned(harness)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")


async def test_who_tries_many_waits_longer_each_time(harness: Harness) -> None:
    await started(harness, Say(State.REFUSED, "no-such-code"), scans_a_minute=3)
    statuses = [(await scanned(harness)).status_code for _ in range(5)]
    assert statuses == [404, 404, 404, 429, 429]
    answer = await scanned(harness)
    assert 0 < int(answer.headers["retry-after"]) <= 60
    samples = {(name, labels.get("status")): value for name, _, labels, value in harness.front.landing.samples()}
    assert samples["dmz_front_scans_total", "404"] == 3
    assert samples["dmz_front_scans_paused_total", None] == 3


async def test_it_is_off_unless_it_is_turned_on(harness: Harness) -> None:
    await harness.start()
    answer = await scanned(harness)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_no_log_line_and_no_metric_has_the_code_or_the_account(
    harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    await started(harness, GOOD, scans_a_minute=2)
    for code in (CODE, f"{CODE}/", CODE, CODE):
        await scanned(harness, code)
    said = capsys.readouterr()
    told = said.out + said.err + repr(list(harness.front.samples()))
    assert "dmz_front_scans_total" in told
    assert "3210000000003" not in told
    assert TICKET not in told
