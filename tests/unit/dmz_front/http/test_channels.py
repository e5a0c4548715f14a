"""Channels' notifications: answered as each channel expects, carried as they came, and nobody else's taken."""

import base64
import json
from typing import Any

import pytest

from dmz_front.http.channels import FORMS
from protocol.lifecycle import State
from protocol.presence import Availability
from tests.unit.dmz_front.harness import Harness, Say, code_of, turns

pytestmark = pytest.mark.anyio

BODY = b'{"id":"EV-1","resource":{"ciphertext":"AAAA 3210000000001"}}'
SIGNED = {
    "wechatpay_serial": "00AA", "wechatpay_timestamp": "1782950000", "wechatpay_nonce": "n1",
    "wechatpay_signature": "c2lnbmVk",
}  # fmt: skip
TAKEN = {"status": 200, "media_type": "application/json", "body": '{"code":"SUCCESS"}'}
CHANNELS = {
    "wechat": {"form": "wechat-v3", "application": "payments"},
    "alipay": {"form": "alipay-rsa2", "application": "payments"},
}


def paid(**acknowledgement: Any) -> Say:
    return Say(result=json.dumps({"meant": "paid", "acknowledgement": TAKEN | acknowledgement}).encode())


REFUSED = Say(State.REFUSED, "evidence-invalid")


async def started(harness: Harness, say: Say | None, *, bridge: bool = True, **change: Any) -> None:
    harness.options["channels"] = {name: section | change for name, section in CHANNELS.items()}
    await harness.start(bridge=bridge)
    harness.bridge.script = lambda _: say


async def notified(harness: Harness, channel: str = "wechat", body: Any = BODY, **headers: str) -> Any:
    sent = (SIGNED if channel == "wechat" else {}) | headers
    return await harness.call("POST", f"/channels/{channel}/notifications", body, app=None, **sent)


async def test_what_the_bridge_takes_is_carried_as_it_came_and_answered_as_the_bridge_says(harness: Harness) -> None:
    await started(harness, paid())
    answer = await notified(harness)
    assert (answer.status_code, answer.text) == (200, '{"code":"SUCCESS"}')
    assert answer.headers["content-type"] == "application/json"
    asked = harness.bridge.taken[-1]
    assert (asked.attributes.type, asked.attributes.source) == ("payment-confirm", "front-1/payments")
    told = json.loads(asked.payload)
    assert (told["channel"], base64.b64decode(told["body"])) == ("wechat", BODY)
    assert {one["name"]: one["value"] for one in told["headers"]} == {
        "Wechatpay-Serial": "00AA", "Wechatpay-Timestamp": "1782950000", "Wechatpay-Nonce": "n1",
        "Wechatpay-Signature": "c2lnbmVk",
    }  # fmt: skip


async def test_alipay_hears_the_one_word_it_knows(harness: Harness) -> None:
    await started(harness, paid(media_type="text/plain", body="success"))
    answer = await notified(harness, "alipay", b"trade_no=1&sign=x")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"success", "text/plain")
    harness.bridge.script = lambda _: REFUSED
    answer = await notified(harness, "alipay", b"trade_no=2&sign=x")
    assert (answer.status_code, answer.content) == (400, b"failure")


async def test_what_is_forged_is_a_failure_that_says_nothing(harness: Harness) -> None:
    await started(harness, REFUSED)
    answer = await notified(harness)
    assert (answer.status_code, answer.json()) == (400, {"code": "FAIL", "message": "refused"})


async def test_what_is_written_down_and_not_answered_in_time_is_taken(harness: Harness) -> None:
    await started(harness, None, wait_s=0.05)
    assert (await notified(harness)).text == '{"code":"SUCCESS"}'
    assert (await notified(harness, "alipay", b"trade_no=1&sign=x")).text == "success"
    await harness.settle()
    assert len(harness.bridge.taken) == 2


async def test_what_is_not_written_down_is_to_be_said_again(harness: Harness) -> None:
    await started(harness, paid())
    served = {name: Availability.UP for name in harness.catalogue if name != "payment-confirm"}
    harness.bridge.announce(served)
    await turns()
    answer = await notified(harness)
    assert (answer.status_code, answer.json()["code"]) == (502, "FAIL")
    assert (await notified(harness, "alipay", b"trade_no=1&sign=x")).text == "failure"
    assert harness.bridge.taken == []


async def test_a_front_that_ends_takes_no_more(harness: Harness) -> None:
    await started(harness, paid())
    harness.front.api.draining = True
    answer = await notified(harness)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_a_repetition_finds_the_command_of_the_first(harness: Harness) -> None:
    await started(harness, paid())
    answers = [await notified(harness) for _ in range(3)]
    assert {answer.text for answer in answers} == {'{"code":"SUCCESS"}'}
    assert len({answer.headers["request-id"] for answer in answers}) == 1
    assert len(harness.bridge.taken) == 1
    await notified(harness, wechatpay_timestamp="1782950015")  # signed anew: the bridge tells that it knows it
    await notified(harness, "alipay")
    assert len(harness.bridge.taken) == 3


async def test_one_that_was_refused_is_judged_anew_after_a_while_and_not_before(harness: Harness) -> None:
    await started(harness, REFUSED)
    await notified(harness)
    assert (await notified(harness)).status_code == 400  # anew once: the first was of another key
    known = len(harness.bridge.taken)
    assert (await notified(harness)).status_code == 400
    assert len(harness.bridge.taken) == known == 2
    harness.clock.now += 600_000
    harness.bridge.announce()
    harness.bridge.script = lambda _: paid()
    await turns()
    assert (await notified(harness)).status_code == 200


@pytest.mark.parametrize("missing", sorted(SIGNED))
async def test_what_lacks_a_header_is_not_even_written_down(harness: Harness, missing: str) -> None:
    await started(harness, paid())
    sent = {name: value for name, value in SIGNED.items() if name != missing}
    answer = await harness.call("POST", "/channels/wechat/notifications", BODY, app=None, **sent)
    assert (answer.status_code, answer.json()) == (400, {"code": "FAIL", "message": "malformed"})
    assert harness.bridge.taken == []


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 400), (b"x" * 16_384, 200), (b"x" * 16_385, 413), (bytes(range(256)), 200)]
)
async def test_how_long_a_body_may_be(harness: Harness, body: bytes, status: int) -> None:
    await started(harness, paid())
    assert (await notified(harness, body=body)).status_code == status


async def test_a_length_that_is_not_said_is_counted(harness: Harness) -> None:
    await started(harness, paid())

    async def pieces() -> Any:
        for _ in range(5):
            yield b"x" * 4096

    assert (await notified(harness, body=pieces())).status_code == 413
    assert harness.bridge.taken == []


@pytest.mark.parametrize("value", ["x" * 1025, "\x80"])
async def test_headers_are_short_and_text(harness: Harness, value: str) -> None:
    await started(harness, paid())
    assert (await notified(harness, wechatpay_nonce=value.encode("latin-1"))).status_code == 400  # type: ignore[arg-type]


async def test_what_is_not_there(harness: Harness) -> None:
    await started(harness, paid())
    assert code_of(await notified(harness, "unionpay")) == (404, "not-found")
    get = await harness.call("GET", "/channels/wechat/notifications", app=None)
    assert code_of(get) == (405, "method-not-allowed")


async def test_it_is_off_unless_it_is_set_up(harness: Harness) -> None:
    await harness.start()
    assert code_of(await notified(harness)) == (404, "not-found")
    assert "/channels/{channel}/notifications" not in (await harness.call("GET", "/openapi.json")).json()["paths"]


async def test_only_its_networks_are_answered(harness: Harness) -> None:
    await started(harness, paid(), networks=["10.0.1.0/24"])
    assert (await notified(harness)).status_code == 403
    there = await harness.call("POST", "/channels/wechat/notifications", BODY, app=None, address="10.0.1.7", **SIGNED)
    assert there.status_code == 200


async def test_who_says_too_much_waits(harness: Harness) -> None:
    await started(harness, REFUSED, notifications_a_minute=3)
    harness.front.channels._scans["wechat"]._now = lambda: 0.0
    statuses = [(await notified(harness, body=b"%d" % number)).status_code for number in range(5)]
    assert statuses == [400, 400, 400, 429, 429]
    answer = await notified(harness)
    assert (answer.json()["message"], answer.headers["retry-after"]) == ("too-many", "10")


async def test_all_addresses_together_have_a_rate(harness: Harness) -> None:
    await started(harness, REFUSED, notifications_a_second=0.2)
    harness.front.channels._now = lambda: 0.0
    answers = [
        await harness.call(
            "POST", "/channels/wechat/notifications", b"%d" % number, app=None, address=f"10.9.{number}.1", **SIGNED
        )
        for number in range(4)
    ]
    assert [answer.status_code for answer in answers] == [400, 400, 429, 429]


async def test_it_is_counted_and_no_log_line_has_what_it_says(
    harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    await started(harness, paid())
    await notified(harness)
    await notified(harness, body=b"x" * 20_000)
    samples = {(name, *labels.values()): value for name, _, labels, value in harness.front.samples()}
    assert samples["dmz_front_channel_notifications_total", "wechat", "taken"] == 1
    assert samples["dmz_front_channel_notifications_total", "wechat", "too-long"] == 1
    said = capsys.readouterr()
    assert "3210000000001" not in said.out + said.err
    assert base64.b64encode(BODY).decode()[:20] not in said.out + said.err


async def test_its_page_is_in_both_languages(harness: Harness) -> None:
    await started(harness, paid())
    for language, word in (("en", "Taken"), ("zh", "已收下")):
        document = (await harness.call("GET", f"/openapi.json?lang={language}")).json()
        told = document["paths"]["/channels/{channel}/notifications"]["post"]
        assert told["responses"]["200"]["description"].startswith(word)
        assert told["security"] == []
    assert {"channels", "支付渠道"} & {tag["name"] for tag in document["tags"]}


async def test_no_channel_acts_as_the_front_itself(harness: Harness) -> None:
    harness.options["channels"] = {"wechat": {"form": "wechat-v3", "application": "desk"}}
    with pytest.raises(ValueError, match="the front itself acts under"):
        await harness.start()


def test_every_form_can_be_answered() -> None:
    for form in FORMS.values():
        assert 200 <= form.success.status < 300
        assert form.failure
