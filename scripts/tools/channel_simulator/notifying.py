"""Notifications as the channels sign them, and such as nobody should believe.

Which form a channel has: wechat has WeChat Pay's version 3, alipay has Alipay's RSA2, any other the simulated one.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from protocol.times import CHINA
from scripts.tools.channel_simulator import keys as own
from scripts.tools.channel_simulator.book import BookError, Payment, Refund, RefundStatus
from scripts.tools.channel_simulator.keys import Keys


class Form(StrEnum):
    """How a channel notifies; the names of the bridge's plug-ins."""

    WECHAT_V3 = "wechat-v3"
    ALIPAY_RSA2 = "alipay-rsa2"
    SIMULATED = "simulated"


class Forgery(StrEnum):
    """What is wrong with a notification that is to be refused."""

    OTHER_KEY = "other-key"
    """Signed by somebody else."""
    CHANGED = "changed"
    """Changed after it was signed: it says another amount."""
    OTHER_MERCHANT = "other-merchant"
    """The channel's own, for somebody else. (The simulated form has no merchants: as CHANGED.)"""
    UNSIGNED = "unsigned"
    """The signature is missing, or empty."""


@dataclass(frozen=True, slots=True)
class Notification:
    """What is sent to the notified address."""

    headers: Mapping[str, str]
    body: bytes


def form_of(channel: str) -> Form:
    """By its name."""
    return {"wechat": Form.WECHAT_V3, "alipay": Form.ALIPAY_RSA2}.get(channel, Form.SIMULATED)


def acknowledged(channel: str, status: int, body: bytes) -> bool:
    """Whether the channel takes an answer for success, and does not say it again."""
    if form_of(channel) is Form.ALIPAY_RSA2:
        return body == b"success"
    return status in (200, 204)


def of_payment(keys: Keys, parts: Sequence[Payment], now: datetime, forgery: Forgery | None = None) -> Notification:
    """That an order was paid: all its transactions. Raises BookError for several that the channel cannot combine."""
    first = parts[0]
    paid = sum(part.cash for part in parts)
    match form_of(first.channel):
        case Form.WECHAT_V3:
            return _wechat(keys, "TRANSACTION.SUCCESS", _wechat_payment(parts, forgery), now, forgery)
        case Form.ALIPAY_RSA2:
            return _alipay(keys, _alipay_fields(_single(parts), now), forgery)
    said = {
        "order": first.order,
        "transaction": _single(parts).transaction,
        "amount_fen": paid,
        "paid_at": _iso(first.at),
    }
    return _simulated(keys, said, forgery)


def of_refund(
    keys: Keys, refund: Refund, payment: Payment, now: datetime, forgery: Forgery | None = None
) -> Notification:
    """That a refund was paid out. Raises BookError for one that was not, and for a channel that does not say so."""
    if refund.status is not RefundStatus.SUCCESS:
        raise BookError("it is not paid out yet")
    match form_of(refund.channel):
        case Form.WECHAT_V3:
            merchant = _merchant(own.WECHAT_MERCHANT, forgery)
            content = {
                "mchid": merchant, "out_trade_no": payment.reference, "transaction_id": payment.transaction,
                "out_refund_no": refund.number, "refund_id": f"50{refund.transaction[-16:]}",
                "refund_status": "SUCCESS", "success_time": _iso(refund.at), "user_received_account": "零钱",
                "amount": {
                    "total": payment.cash, "refund": refund.cash, "payer_total": payment.cash,
                    "payer_refund": refund.cash,
                },
            }  # fmt: skip
            return _wechat(keys, "REFUND.SUCCESS", content, now, forgery)
        case Form.ALIPAY_RSA2:
            refunded = {"refund_fee": yuan(refund.cash), "gmt_refund": f"{refund.at:%Y-%m-%d %H:%M:%S}.000"}
            return _alipay(keys, _alipay_fields(payment, now) | refunded | {"out_biz_no": refund.number}, forgery)
    raise BookError(f"{refund.channel} does not notify of refunds")


def yuan(fen: int) -> str:
    """Two decimals."""
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02}"


def _single(parts: Sequence[Payment]) -> Payment:
    if len(parts) > 1:
        raise BookError(f"{parts[0].channel} combines no orders")
    return parts[0]


def _merchant(ours: str, forgery: Forgery | None) -> str:
    return f"{ours[:-1]}9" if forgery is Forgery.OTHER_MERCHANT else ours


def _iso(at: datetime) -> str:
    return at.astimezone(CHINA).isoformat()


def _wechat_payment(parts: Sequence[Payment], forgery: Forgery | None) -> dict[str, Any]:
    merchant, application = _merchant(own.WECHAT_MERCHANT, forgery), own.WECHAT_APPLICATION
    if len(parts) == 1 and parts[0].reference == parts[0].order:
        one = parts[0]
        return {
            "mchid": merchant, "appid": application, "out_trade_no": one.reference, "transaction_id": one.transaction,
            "trade_type": "JSAPI", "trade_state": "SUCCESS", "bank_type": "OTHERS", "success_time": _iso(one.at),
            "payer": {"openid": "oSimulated1"},
            "amount": {"total": one.cash, "payer_total": one.cash, "currency": "CNY", "payer_currency": "CNY"},
        }  # fmt: skip
    return {
        "combine_mchid": merchant, "combine_appid": application, "combine_out_trade_no": parts[0].order,
        "combine_payer_info": {"openid": "oSimulated1"},
        "sub_orders": [
            {
                "mchid": merchant, "out_trade_no": one.reference, "transaction_id": one.transaction,
                "trade_type": "JSAPI", "trade_state": "SUCCESS", "bank_type": "OTHERS", "success_time": _iso(one.at),
                "amount": {"total_amount": one.cash, "payer_amount": one.cash, "currency": "CNY"},
            }
            for one in parts
        ],
    }  # fmt: skip


def _wechat(keys: Keys, event: str, content: dict[str, Any], now: datetime, forgery: Forgery | None) -> Notification:
    body = _wechat_body(keys, event, content, now)
    stamp, nonce = str(int(now.timestamp())), secrets.token_hex(16)
    signer = keys.forger if forgery is Forgery.OTHER_KEY else keys.wechat
    headers = {
        "Content-Type": "application/json", "Wechatpay-Serial": own.WECHAT_SERIAL, "Wechatpay-Timestamp": stamp,
        "Wechatpay-Nonce": nonce, "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
        "Wechatpay-Signature": _signature(signer, f"{stamp}\n{nonce}\n".encode() + body + b"\n"),
    }  # fmt: skip
    if forgery is Forgery.UNSIGNED:
        headers["Wechatpay-Signature"] = ""
    if forgery is Forgery.CHANGED:
        body = _wechat_body(keys, event, _more(content), now)
    return Notification(headers, body)


def _more(content: Any) -> Any:
    """The same, with every amount a hundred times as much."""
    match content:
        case dict():
            return {name: _more(value) for name, value in content.items()}
        case list():
            return [_more(value) for value in content]
        case int():
            return content * 100
    return content


def _wechat_body(keys: Keys, event: str, content: dict[str, Any], now: datetime) -> bytes:
    nonce = secrets.token_hex(6)
    kind = "refund" if event.startswith("REFUND") else "transaction"
    sealed = AESGCM(keys.api_v3).encrypt(
        nonce.encode(), json.dumps(content, ensure_ascii=False).encode(), kind.encode()
    )
    told = {
        "id": secrets.token_hex(16), "create_time": _iso(now.replace(microsecond=0)), "event_type": event,
        "resource_type": "encrypt-resource", "summary": "支付成功" if kind == "transaction" else "退款成功",
        "resource": {
            "algorithm": "AEAD_AES_256_GCM", "ciphertext": base64.b64encode(sealed).decode(), "nonce": nonce,
            "associated_data": kind, "original_type": kind,
        },
    }  # fmt: skip
    return json.dumps(told, ensure_ascii=False).encode()


def _alipay_fields(payment: Payment, now: datetime) -> dict[str, str]:
    return {
        "notify_id": secrets.token_hex(17), "notify_type": "trade_status_sync",
        "notify_time": f"{now.astimezone(CHINA):%Y-%m-%d %H:%M:%S}", "version": "1.0", "charset": "utf-8",
        "app_id": own.ALIPAY_APPLICATION, "auth_app_id": own.ALIPAY_APPLICATION, "seller_id": own.ALIPAY_SELLER,
        "buyer_id": "2088000000009999", "subject": payment.goods, "trade_no": payment.transaction,
        "out_trade_no": payment.reference, "trade_status": "TRADE_SUCCESS", "total_amount": yuan(payment.cash),
        "receipt_amount": yuan(payment.cash), "buyer_pay_amount": yuan(payment.cash), "point_amount": "0.00",
        "invoice_amount": yuan(payment.cash), "gmt_create": f"{payment.at - timedelta(seconds=5):%Y-%m-%d %H:%M:%S}",
        "gmt_payment": f"{payment.at:%Y-%m-%d %H:%M:%S}",
    }  # fmt: skip


def _alipay(keys: Keys, fields: dict[str, str], forgery: Forgery | None) -> Notification:
    if forgery is Forgery.OTHER_MERCHANT:
        fields |= {"seller_id": _merchant(own.ALIPAY_SELLER, forgery)}
    content = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
    signer = keys.forger if forgery is Forgery.OTHER_KEY else keys.alipay
    sent = fields | {"sign_type": "RSA2", "sign": _signature(signer, content.encode())}
    if forgery is Forgery.UNSIGNED:
        sent["sign"] = ""
    if forgery is Forgery.CHANGED:
        sent["total_amount"] = f"1{sent['total_amount']}"
    return Notification({"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, urlencode(sent).encode())


def _simulated(keys: Keys, said: dict[str, Any], forgery: Forgery | None) -> Notification:
    body = json.dumps(said).encode()
    key = b"f" * 32 if forgery is Forgery.OTHER_KEY else keys.simulated
    signed = "" if forgery is Forgery.UNSIGNED else hmac.new(key, body, hashlib.sha256).hexdigest()
    if forgery in (Forgery.CHANGED, Forgery.OTHER_MERCHANT):
        body = json.dumps(_more(said)).encode()
    return Notification({"Content-Type": "application/json", "Signature": signed}, body)


def _signature(key: RSAPrivateKey, content: bytes) -> str:
    return base64.b64encode(key.sign(content, PKCS1v15(), SHA256())).decode()
