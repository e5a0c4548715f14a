"""Evidence: genuine notifications, made here with keys of their own, and everything that must not be believed."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from intranet_bridge.settlement.payments.evidence import (
    MOST_BYTES,
    AlipayRsa2,
    Evidence,
    EvidenceInvalid,
    NoPayment,
    Notification,
    PaidPart,
    PaymentProof,
    RefundProof,
    Simulated,
    TrustedApplication,
    WechatV3,
)

PLATFORM, OTHER = (generate_private_key(65537, 2048) for _ in range(2))
API_V3 = b"k" * 32
SERIAL = "PUB_KEY_ID_0114232134912410000000000000"
WECHAT = WechatV3({SERIAL: PLATFORM.public_key()}, API_V3, {"1900000001"})
ALIPAY = AlipayRsa2([OTHER.public_key(), PLATFORM.public_key()], {"2021000000000001"}, {"2088000000000001"})
PAID_AT = datetime.fromisoformat("2026-11-24T12:30:00+08:00")
TRANSACTION: dict[str, Any] = {
    "mchid": "1900000001", "appid": "wx1", "out_trade_no": "P1", "transaction_id": "4200000001", "trade_type": "JSAPI",
    "trade_state": "SUCCESS", "success_time": "2026-11-24T12:30:00+08:00", "payer": {"openid": "o"},
    "amount": {"total": 18667, "payer_total": 18000, "currency": "CNY", "payer_currency": "CNY"},
}  # fmt: skip
COMBINED: dict[str, Any] = {
    "combine_mchid": "1900000001", "combine_out_trade_no": "P1", "combine_appid": "wx1",
    "sub_orders": [
        {
            "mchid": "1900000001", "out_trade_no": f"P1-{line}", "transaction_id": f"420000000{line}",
            "trade_state": "SUCCESS", "success_time": f"2026-11-24T12:30:0{line}+08:00",
            "amount": {"total_amount": cash, "payer_amount": cash, "currency": "CNY"},
        }
        for line, cash in ((1, 11522), (2, 6336), (3, 809))
    ],
}  # fmt: skip
REFUND: dict[str, Any] = {
    "mchid": "1900000001", "out_trade_no": "P1", "transaction_id": "4200000001", "out_refund_no": "P1-2-R1",
    "refund_id": "5030", "refund_status": "SUCCESS", "success_time": "2026-11-24T13:00:00+08:00",
    "amount": {"total": 18667, "refund": 6336, "payer_total": 18667, "payer_refund": 6336},
}  # fmt: skip
FORM: dict[str, str] = {
    "app_id": "2021000000000001", "seller_id": "2088000000000001", "charset": "utf-8", "version": "1.0",
    "notify_type": "trade_status_sync", "out_trade_no": "P1", "trade_no": "2026112422001", "subject": "电费 & 水费",
    "trade_status": "TRADE_SUCCESS", "total_amount": "186.67", "gmt_payment": "2026-11-24 12:30:00", "body": "",
}  # fmt: skip
SAID: dict[str, Any] = {
    "order": "P1", "transaction": "t1", "amount_fen": 18667, "paid_at": "2026-11-24T12:30:00+08:00",
}  # fmt: skip


def signature(key: RSAPrivateKey, content: bytes) -> str:
    return base64.b64encode(key.sign(content, PKCS1v15(), SHA256())).decode()


def wechat(
    content: dict[str, Any], event: str = "TRANSACTION.SUCCESS", *, key: RSAPrivateKey = PLATFORM, api: bytes = API_V3,
    changed: Callable[[bytes], bytes] = lambda body: body, **headers: str,
) -> Notification:  # fmt: skip
    sealed = AESGCM(api).encrypt(b"0123456789ab", json.dumps(content).encode(), b"transaction")
    resource = {
        "algorithm": "AEAD_AES_256_GCM", "ciphertext": base64.b64encode(sealed).decode(), "nonce": "0123456789ab",
        "associated_data": "transaction", "original_type": "transaction",
    }  # fmt: skip
    body = json.dumps(
        {"id": "1", "event_type": event, "resource_type": "encrypt-resource", "resource": resource}
    ).encode()
    signed = signature(key, b"1795494600\nn0nce\n" + body + b"\n")
    all_headers = {
        "Wechatpay-timestamp": "1795494600", "Wechatpay-Nonce": "n0nce", "Wechatpay-Serial": SERIAL,
        "Wechatpay-Signature": signed,
    } | {f"Wechatpay-{name}": value for name, value in headers.items()}  # fmt: skip
    return Notification(changed(body), all_headers)


def alipay(key: RSAPrivateKey = PLATFORM, after: str = "", **fields: str | None) -> Notification:
    chosen = {name: value for name, value in (FORM | fields).items() if value is not None}
    charset = chosen.get("charset", "utf-8")
    content = "&".join(f"{name}={chosen[name]}" for name in sorted(chosen))
    signed = chosen | {"sign_type": "RSA2", "sign": signature(key, content.encode(charset))}
    return Notification((urlencode(signed, encoding=charset) + after).encode())


def simulated(said: dict[str, Any], key: bytes = b"s" * 32) -> Notification:
    body = json.dumps(said).encode()
    return Notification(body, {"signature": hmac.new(key, body, hashlib.sha256).hexdigest()})


def refused(evidence: Evidence, notification: Notification) -> str:
    with pytest.raises(EvidenceInvalid) as found:
        evidence.verify(notification)
    return found.value.reason


def test_what_wechat_says() -> None:
    assert WECHAT.verify(wechat(TRANSACTION)) == PaymentProof("P1", (PaidPart("4200000001", "P1", 18667),), PAID_AT)
    combined = WECHAT.verify(wechat(COMBINED))
    assert isinstance(combined, PaymentProof)
    assert (combined.order, combined.cash, combined.paid_at) == ("P1", 18667, PAID_AT + timedelta(seconds=3))
    assert combined.payments[1] == PaidPart("4200000002", "P1-2", 6336)
    at = datetime.fromisoformat("2026-11-24T13:00:00+08:00")
    assert WECHAT.verify(wechat(REFUND, "REFUND.SUCCESS")) == RefundProof("P1-2-R1", "4200000001", 6336, at)
    assert WECHAT.verify(wechat(REFUND | {"refund_status": "ABNORMAL"}, "REFUND.ABNORMAL")) == NoPayment("ABNORMAL")
    assert WECHAT.verify(wechat(TRANSACTION | {"trade_state": "CLOSED"})) == NoPayment("CLOSED")
    partner = {name: value for name, value in TRANSACTION.items() if name != "mchid"}
    partner |= {"sp_mchid": "1900000001", "sub_mchid": "1900000009"}
    assert isinstance(WECHAT.verify(wechat(partner)), PaymentProof)


@pytest.mark.parametrize(
    ("genuine", "cut"),
    [
        (
            {"subject": "x&total_amount=1000.00&total_b="},
            {"subject": "x", "total_amount": "1000.00", "total_b": "&total_amount=0.01"},
        ),
        (
            {"body": "x&charset=utf-8&gmt_b="},
            {"body": "x", "gmt_b": "&charset=utf-8", "charset": "utf-8"},
        ),
        ({"notify_type": "x&out_trade_no=P2&out_u="}, {"notify_type": "x", "out_trade_no": "P2"}),
        (
            {"gmt_payment": "2026-11-24 12:30:00", "gmt_create": "x"},
            {"gmt_create": "x&gmt_payment=2026-11-24 12:30:00"},
        ),
    ],
)
def test_what_alipay_signed_says_no_other_fields_when_it_is_cut_elsewhere(
    genuine: dict[str, str], cut: dict[str, str]
) -> None:
    """The payer's side chooses the subject, and holds a genuine notification of a payment of one fen."""
    form = FORM | {"total_amount": "0.01"} | genuine
    content = "&".join(f"{name}={form[name]}" for name in sorted(form))
    forged = form | cut
    if "out_trade_no" in cut:
        forged |= {"out_u": "&out_trade_no=P1"}
    if "gmt_create" in cut:
        del forged["gmt_payment"]
    assert "&".join(f"{name}={forged[name]}" for name in sorted(forged)) == content, "the same text is signed"
    signed = forged | {"sign_type": "RSA2", "sign": signature(PLATFORM, content.encode())}
    assert refused(ALIPAY, Notification(urlencode(signed).encode())) == "layout"


def test_what_alipay_says() -> None:
    expected = PaymentProof("P1", (PaidPart("2026112422001", "P1", 18667),), PAID_AT)
    assert ALIPAY.verify(alipay()) == expected
    assert ALIPAY.verify(alipay(charset="gbk")) == expected
    assert ALIPAY.verify(alipay(OTHER)) == expected  # during a change of keys
    assert ALIPAY.verify(alipay(trade_status="WAIT_BUYER_PAY")) == NoPayment("WAIT_BUYER_PAY")
    assert ALIPAY.verify(alipay(gmt_refund="2026-11-24 13:00:00", refund_fee="1.00")) == NoPayment("refund")


def test_what_is_said_without_a_channel() -> None:
    expected = PaymentProof("P1", (PaidPart("t1", "P1", 18667),), PAID_AT)
    assert Simulated(b"s" * 32).verify(simulated(SAID)) == expected
    trusted = TrustedApplication({"hall"})
    word = Notification(json.dumps(SAID).encode(), application="hall")
    assert trusted.verify(word) == expected
    assert refused(trusted, Notification(word.body, application="wechat")) == "not-trusted"
    most = json.dumps(SAID | {"amount_fen": 500_000}).encode()
    assert isinstance(trusted.verify(Notification(most, application="hall")), PaymentProof)
    more = json.dumps(SAID | {"amount_fen": 500_001}).encode()
    assert refused(trusted, Notification(more, application="hall")) == "too-much-for-a-word"


@pytest.mark.parametrize(
    ("evidence", "notification", "reason"),
    [
        (WECHAT, wechat(TRANSACTION, key=OTHER), "signature"),
        (WECHAT, wechat(TRANSACTION, changed=lambda body: body + b" "), "signature"),
        (WECHAT, wechat(TRANSACTION, timestamp="1795494601"), "signature"),
        (WECHAT, wechat(TRANSACTION, nonce="n0nce"), "header-twice"),
        (WECHAT, wechat(TRANSACTION, Nonce="other"), "signature"),
        (WECHAT, wechat(TRANSACTION, Signature="no base 64"), "layout"),
        (WECHAT, wechat(TRANSACTION, Serial="another"), "unknown-key"),
        (WECHAT, wechat(TRANSACTION, api=b"x" * 32), "sealed-otherwise"),
        (WECHAT, wechat(TRANSACTION | {"mchid": "1900000002"}), "wrong-merchant"),
        (WECHAT, wechat(COMBINED | {"combine_mchid": "1900000002"}), "wrong-merchant"),
        (WECHAT, wechat(TRANSACTION | {"amount": {"total": 1, "currency": "USD"}}), "wrong-currency"),
        (WECHAT, wechat(TRANSACTION | {"amount": {"total": "18667"}}), "layout"),
        (WECHAT, wechat(TRANSACTION | {"amount": {"total": 186.67}}), "layout"),
        (WECHAT, wechat(TRANSACTION | {"amount": {"total": -1}}), "layout"),
        (WECHAT, wechat(TRANSACTION | {"success_time": "2026-11-24T12:30:00"}), "layout"),
        (WECHAT, wechat(COMBINED | {"sub_orders": [COMBINED["sub_orders"][0]] * 2}), "layout"),
        (WECHAT, Notification(b"{}"), "header-missing"),
        (WECHAT, Notification(b" " * (MOST_BYTES + 1)), "too-long"),
        (ALIPAY, alipay(generate_private_key(65537, 2048)), "signature"),
        (ALIPAY, alipay(after="&total_amount=0.01"), "layout"),  # a field twice
        (ALIPAY, alipay(after="&more=1"), "signature"),
        (ALIPAY, Notification(alipay().body.replace(b"186.67", b"986.67")), "signature"),
        (ALIPAY, Notification(alipay().body.replace(b"RSA2", b"RSA")), "algorithm"),
        (ALIPAY, alipay(app_id="2021000000000002"), "wrong-merchant"),
        (ALIPAY, alipay(seller_id=None), "wrong-merchant"),
        (ALIPAY, alipay(total_amount="1,86.67"), "layout"),
        (ALIPAY, alipay(total_amount="-1.00"), "layout"),
        (ALIPAY, alipay(total_amount=None), "layout"),
        (ALIPAY, alipay(gmt_payment="2026-02-30 12:30:00"), "layout"),
        (ALIPAY, Notification(b"\xff"), "layout"),
        (Simulated(b"s" * 32), simulated(SAID, b"t" * 32), "signature"),
        (Simulated(b"s" * 32), Notification(simulated(SAID).body + b" ", simulated(SAID).headers), "signature"),
        (Simulated(b"s" * 32), simulated(SAID | {"amount_fen": 0}), "layout"),
        (TrustedApplication({""}), Notification(b'{"order": "P1", "order": "P2"}'), "layout"),
        (TrustedApplication({""}), Notification(b"[" * 10_000), "layout"),
    ],
)  # fmt: skip
def test_forged_notification_refused(evidence: Evidence, notification: Notification, reason: str) -> None:
    assert refused(evidence, notification) == reason


def test_nothing_of_a_notification_is_shown() -> None:
    assert "4200000001" not in repr(simulated(SAID | {"transaction": "4200000001"}))
    assert (WECHAT.taken, ALIPAY.taken) == ('{"code":"SUCCESS"}', "success")
