"""Proof that something was paid: a channel's own notification, verified here, inside. No I/O, no clock.

An application passes on what the channel sent it, as it came: headers and bytes. What it says itself counts for
nothing, so that neither it nor a captured front can mark an order paid.

===============  ===========================================================================================
`wechat-v3`      signed RSA-SHA256 with the platform's key, over time, nonce and body; the resource in it sealed
                 AES-256-GCM with the APIv3 key of the merchant
`alipay-rsa2`    a form; RSA-SHA256 with Alipay's key over its fields, sorted, without `sign` and `sign_type`; what is
                 signed must say each field that is read once, however it is cut
`simulated`      HMAC-SHA256 with a key that this side has: the simulator's, and a channel's that has no form of its own
`trusted-app`    the word of an application that is named for it, up to an amount; whoever takes it writes it down
===============  ===========================================================================================

How old a notification is does not matter: a channel's signature does not wear off, a message may lie in a queue for
hours, and what was paid twice or is reported twice is told by its transaction.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import field
from datetime import datetime
from typing import Annotated, Any, Protocol, TypeVar
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from intranet_bridge.settlement.money import AmountRefused, fen
from intranet_bridge.settlement_sections.payments import TRUSTED_MOST_FEN
from protocol.errors import BridgeError
from protocol.times import CHINA
from protocol.values import immutable

MOST_BYTES = 16 * 1024
_Id = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_|*@-]{1,64}$")]
_Fen = Annotated[int, Field(gt=0, le=9_999_999_999_999)]
_ALIPAY_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
M = TypeVar("M", bound=BaseModel)


class EvidenceInvalid(BridgeError):
    """It proves nothing. `reason` is a stable word; nothing of the notification is in it."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the evidence is not valid: {reason}")
        self.reason = reason


@immutable
class Notification:
    """What a channel sent, as it came."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    application: str = ""
    """Who passed it on."""

    def header(self, name: str) -> str:
        """However it is written. Raises EvidenceInvalid."""
        found = [value for one, value in self.headers.items() if one.lower() == name.lower()]
        if len(found) != 1:
            raise EvidenceInvalid("header-twice" if found else "header-missing")
        return found[0]


@immutable
class PaidPart:
    """One payment of a notification: a combined order has one a line, each with its own transaction."""

    transaction: str
    reference: str
    """Our number, as the channel was given it."""
    cash: int


@immutable
class PaymentProof:
    """An order was paid."""

    order: str
    payments: tuple[PaidPart, ...]
    paid_at: datetime

    @property
    def cash(self) -> int:
        """In fen: the gross, whatever the channel itself gave of it."""
        return sum(one.cash for one in self.payments)


@immutable
class RefundProof:
    """A refund was paid out."""

    number: str
    transaction: str
    """Of the payment that it is of; empty: the channel does not say."""
    cash: int
    proven_at: datetime


@immutable
class NoPayment:
    """Genuine, and nothing was paid by it: it is answered as success, or the channel repeats it for ever."""

    said: str


Proof = PaymentProof | RefundProof | NoPayment


class Evidence(Protocol):
    """What knows one channel's notifications."""

    taken: str
    """What this channel wants to hear when its notification was taken."""
    media_type: str
    """Of that."""
    refused: str

    def verify(self, notification: Notification) -> Proof:
        """What it proves. Raises EvidenceInvalid."""
        ...


# --- WeChat Pay, version 3 --------------------------------------------------------------------------------


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class _Resource(_Part):
    algorithm: str
    ciphertext: str
    nonce: Annotated[str, StringConstraints(min_length=12, max_length=12)]
    associated_data: str = ""


class _Event(_Part):
    event_type: str
    resource: _Resource


class _Amount(_Part):
    total: _Fen
    currency: str = "CNY"


class _Transaction(_Part):
    mchid: str = ""
    sp_mchid: str = ""
    out_trade_no: _Id
    transaction_id: _Id
    trade_state: str
    success_time: Annotated[AwareDatetime, Field(strict=False)]
    amount: _Amount


class _SubAmount(_Part):
    total_amount: _Fen
    currency: str = "CNY"


class _SubOrder(_Part):
    mchid: str
    out_trade_no: _Id
    transaction_id: _Id
    trade_state: str
    success_time: Annotated[AwareDatetime, Field(strict=False)]
    amount: _SubAmount


class _Combined(_Part):
    combine_mchid: str
    combine_out_trade_no: _Id
    sub_orders: Annotated[list[_SubOrder], Field(min_length=1, max_length=50)]


class _RefundAmount(_Part):
    refund: _Fen


class _Refund(_Part):
    mchid: str = ""
    sp_mchid: str = ""
    transaction_id: _Id
    out_refund_no: _Id
    refund_status: str
    success_time: Annotated[AwareDatetime, Field(strict=False)] | None = None
    amount: _RefundAmount


class WechatV3:
    """Notifications of WeChat Pay."""

    taken = '{"code":"SUCCESS"}'
    refused = '{"code":"FAIL","message":"失败"}'
    media_type = "application/json"

    def __init__(self, keys: Mapping[str, RSAPublicKey], api_v3_key: bytes, merchants: Collection[str]) -> None:
        """`keys`: the platform's, by serial or public key id; two during a change. `merchants`: those that are ours."""
        if len(api_v3_key) != 32:
            raise ValueError("the APIv3 key has 32 bytes")
        self._keys, self._sealed, self._merchants = dict(keys), AESGCM(api_v3_key), frozenset(merchants)

    def verify(self, notification: Notification) -> Proof:
        """See Evidence."""
        body = _bounded(notification)
        key = self._keys.get(notification.header("Wechatpay-Serial"))
        if key is None:
            raise EvidenceInvalid("unknown-key")
        time, nonce = notification.header("Wechatpay-Timestamp"), notification.header("Wechatpay-Nonce")
        _signed(
            key,
            notification.header("Wechatpay-Signature"),
            f"{time}\n{nonce}\n".encode(errors="replace") + body + b"\n",
        )
        event = _read(_Event, body)
        content = self._opened(event.resource)
        if event.event_type.startswith("REFUND."):
            return self._refund(_read(_Refund, content))
        if event.event_type != "TRANSACTION.SUCCESS":
            return NoPayment(event.event_type)
        if b'"combine_out_trade_no"' in content:
            return self._combined(_read(_Combined, content))
        return self._single(_read(_Transaction, content))

    def _opened(self, resource: _Resource) -> bytes:
        if resource.algorithm != "AEAD_AES_256_GCM":
            raise EvidenceInvalid("algorithm")
        sealed = _decoded(resource.ciphertext)
        try:
            return self._sealed.decrypt(
                resource.nonce.encode(errors="replace"), sealed, resource.associated_data.encode(errors="replace")
            )
        except InvalidTag:
            raise EvidenceInvalid("sealed-otherwise") from None

    def _single(self, said: _Transaction) -> Proof:
        self._ours(said.sp_mchid or said.mchid, said.amount.currency)
        if said.trade_state != "SUCCESS":
            return NoPayment(said.trade_state)
        part = PaidPart(said.transaction_id, said.out_trade_no, said.amount.total)
        return PaymentProof(said.out_trade_no, (part,), said.success_time)

    def _combined(self, said: _Combined) -> Proof:
        for one in said.sub_orders:
            self._ours(said.combine_mchid, one.amount.currency)
            if one.trade_state != "SUCCESS":  # they succeed together
                return NoPayment(one.trade_state)
        parts = tuple(
            PaidPart(one.transaction_id, one.out_trade_no, one.amount.total_amount) for one in said.sub_orders
        )
        if len({part.transaction for part in parts}) != len(parts) or len({part.reference for part in parts}) != len(
            parts
        ):
            raise EvidenceInvalid("layout")
        return PaymentProof(said.combine_out_trade_no, parts, max(one.success_time for one in said.sub_orders))

    def _refund(self, said: _Refund) -> Proof:
        self._ours(said.sp_mchid or said.mchid, "CNY")
        if said.refund_status != "SUCCESS" or said.success_time is None:
            return NoPayment(said.refund_status)
        return RefundProof(said.out_refund_no, said.transaction_id, said.amount.refund, said.success_time)

    def _ours(self, merchant: str, currency: str) -> None:
        if merchant not in self._merchants:
            raise EvidenceInvalid("wrong-merchant")
        if currency != "CNY":
            raise EvidenceInvalid("wrong-currency")


# --- Alipay, RSA2 -----------------------------------------------------------------------------------------


_ALIPAY_READ = (
    "app_id", "charset", "gmt_payment", "gmt_refund", "out_trade_no", "seller_id", "total_amount", "trade_no",
    "trade_status",
)  # fmt: skip


class AlipayRsa2:
    """Notifications of Alipay.

    What is signed is `name=value` joined by `&`, and nothing is escaped: a value that the payer's side chose, such as
    the `subject` of an order, may have further fields in it, and the same text cut there says them (an order of
    0.01 yuan with the subject `x&total_amount=1000.00&total_b=`). So a text in which a field that is read here stands
    in two places, however it is cut, proves nothing.
    """

    taken = "success"
    refused = "fail"
    media_type = "text/plain"

    def __init__(self, keys: Collection[RSAPublicKey], applications: Collection[str], sellers: Collection[str]) -> None:
        """`keys`: Alipay's; two during a change. `applications`, `sellers`: our `app_id`, `seller_id`."""
        self._keys, self._applications, self._sellers = tuple(keys), frozenset(applications), frozenset(sellers)

    def verify(self, notification: Notification) -> Proof:
        """See Evidence."""
        fields = _form(_bounded(notification))
        if fields.get("sign_type") != "RSA2":
            raise EvidenceInvalid("algorithm")
        charset = fields.get("charset", "utf-8").lower()
        if charset not in ("utf-8", "gbk", "gb18030"):
            raise EvidenceInvalid("layout")
        text = "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name not in ("sign", "sign_type"))
        signature, content = fields.get("sign", ""), text.encode(charset, "replace")
        for key in self._keys[:-1]:
            try:
                _signed(key, signature, content)
                break
            except EvidenceInvalid:
                continue
        else:
            if not self._keys:
                raise EvidenceInvalid("unknown-key")
            _signed(self._keys[-1], signature, content)
        parts = text.split("&")
        for name in _ALIPAY_READ:
            said = [f"{name}={fields[name]}"] if name in fields else []
            if [part for part in parts if part.startswith(f"{name}=")] != said:
                raise EvidenceInvalid("layout")
        if fields.get("app_id") not in self._applications or fields.get("seller_id") not in self._sellers:
            raise EvidenceInvalid("wrong-merchant")
        status = fields.get("trade_status", "")
        if "gmt_refund" in fields:  # says the sum of all refunds, not which: the statement proves them
            return NoPayment("refund")
        if status not in ("TRADE_SUCCESS", "TRADE_FINISHED"):
            return NoPayment(status)
        return self._payment(fields)

    def _payment(self, fields: Mapping[str, str]) -> PaymentProof:
        try:
            order, transaction = (_ID.validate_python(fields[name]) for name in ("out_trade_no", "trade_no"))
            cash, paid_at = fen(fields["total_amount"]), fields["gmt_payment"]
            if cash <= 0 or not _ALIPAY_TIME.fullmatch(paid_at):
                raise EvidenceInvalid("layout")
            at = datetime.strptime(paid_at, "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA)
        except (KeyError, ValueError, AmountRefused):  # pydantic's error is a ValueError
            raise EvidenceInvalid("layout") from None
        return PaymentProof(order, (PaidPart(transaction, order, cash),), at)


_ID: TypeAdapter[str] = TypeAdapter(_Id)


def _form(body: bytes) -> dict[str, str]:
    """Its fields. The characters' encoding stands in one of them."""
    try:
        head = dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, encoding="ascii", errors="replace"))
        charset = head.get("charset", "utf-8").lower()
        encoding = charset if charset in ("gbk", "gb18030") else "utf-8"
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=True, encoding=encoding, errors="strict",
            max_num_fields=100,
        )  # fmt: skip
    except ValueError:
        raise EvidenceInvalid("layout") from None
    if len(dict(pairs)) != len(pairs):  # which of the two was signed, and which is read?
        raise EvidenceInvalid("layout")
    return dict(pairs)


# --- ours -------------------------------------------------------------------------------------------------


class _Said(_Part):
    order: _Id
    transaction: _Id
    amount_fen: _Fen
    paid_at: Annotated[AwareDatetime, Field(strict=False)]


class _SaidRefund(_Part):
    refund: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,64}$")]
    transaction: _Id
    amount_fen: _Fen
    refunded_at: Annotated[AwareDatetime, Field(strict=False)]


class Simulated:
    """What is signed with a key that both sides have: header `Signature`, HMAC-SHA256 over the body, in hex.

    A payment: `{"order", "transaction", "amount_fen", "paid_at"}`; a refund: `{"refund", "transaction", "amount_fen",
    "refunded_at"}`, times by RFC 3339. The `transaction` of a refund is its own.
    """

    taken = '{"code":"SUCCESS"}'
    refused = '{"code":"FAIL"}'
    media_type = "application/json"

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError("the key has at least 32 bytes")
        self._key = key

    def verify(self, notification: Notification) -> Proof:
        """See Evidence."""
        body = _bounded(notification)
        expected = hmac.new(self._key, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), notification.header("Signature").encode(errors="replace")):
            raise EvidenceInvalid("signature")
        if b'"refund"' in body:
            said = _read(_SaidRefund, body)
            return RefundProof(said.refund, "", said.amount_fen, said.refunded_at)
        return _of(_read(_Said, body))


class TrustedApplication:
    """The word of an application that the configuration names for it."""

    taken = '{"code":"SUCCESS"}'
    refused = '{"code":"FAIL"}'
    media_type = "application/json"

    def __init__(self, applications: Collection[str], most_fen: int = TRUSTED_MOST_FEN) -> None:
        self._applications, self._most = frozenset(applications), most_fen

    def verify(self, notification: Notification) -> Proof:
        """See Evidence."""
        if notification.application not in self._applications:
            raise EvidenceInvalid("not-trusted")
        proof = _of(_read(_Said, _bounded(notification)))
        if proof.cash > self._most:
            raise EvidenceInvalid("too-much-for-a-word")
        return proof


def _of(said: _Said) -> PaymentProof:
    return PaymentProof(said.order, (PaidPart(said.transaction, said.order, said.amount_fen),), said.paid_at)


# --- what they share --------------------------------------------------------------------------------------


def _bounded(notification: Notification) -> bytes:
    if len(notification.body) > MOST_BYTES:
        raise EvidenceInvalid("too-long")
    return notification.body


def _signed(key: RSAPublicKey, signature: str, content: bytes) -> None:
    try:
        key.verify(_decoded(signature), content, PKCS1v15(), SHA256())
    except InvalidSignature:
        raise EvidenceInvalid("signature") from None


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise EvidenceInvalid("layout") from None


def _read(model: type[M], content: bytes) -> M:
    try:
        return model.model_validate(json.loads(content, object_pairs_hook=_once))
    except (ValidationError, ValueError, RecursionError):
        raise EvidenceInvalid("layout") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name twice")
    return dict(pairs)
