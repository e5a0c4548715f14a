"""Notices as values."""

import pytest

from protocol.errors import BridgeError, Malformed
from protocol.notices import BODIES, EXAMPLES, SUMMARIES, Dispatch, Notice, NoticeKind, Receipt

AT = "2026-07-01T08:00:00+08:00"


@pytest.mark.parametrize("kind", NoticeKind)
def test_each_kind_has_a_schema_an_example_and_a_summary(kind: NoticeKind) -> None:
    notice = Notice.of(kind, AT, EXAMPLES[kind])
    assert type(notice.data) is BODIES[kind]
    assert notice.account == "3210000000001"
    assert "3210000000001" not in repr(notice)
    assert all(SUMMARIES[kind])


@pytest.mark.parametrize(
    ("kind", "at", "data", "said"),
    [
        ("bill", AT, {}, "kind: there are bill-issued"),
        ("bill-issued", "yesterday", EXAMPLES[NoticeKind.BILL_ISSUED], "at: a time is written"),
        ("bill-issued", AT, {"account": "x"}, "data.account: an account number"),
        ("bill-issued", AT, EXAMPLES[NoticeKind.BILL_ISSUED] | {"name": "田"}, "data.name: Extra inputs"),
        ("payment-received", AT, EXAMPLES[NoticeKind.PAYMENT_RECEIVED] | {"amount_fen": 0}, "data.amount_fen"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_field(kind: str, at: str, data: dict[str, object], said: str) -> None:
    with pytest.raises(BridgeError, match=said):
        Notice.of(kind, at, data)


def test_a_dispatch_is_read_as_it_was_written_and_hides_what_it_says() -> None:
    one = Dispatch(application="wechat", stream="x" * 22, sequence=3, kind="bill-issued", at=AT, data={"account": "1"})
    assert Dispatch.from_payload(one.payload()) == one
    assert one.document("id-1") == {
        "id": "id-1", "type": "bill-issued", "timestamp": AT, "sequence": 3, "data": {"account": "1"},
    }  # fmt: skip
    assert "account" not in repr(one)
    for wrong in (b"", b"[]", one.payload().replace(b'"sequence":3', b'"sequence":0')):
        with pytest.raises(Malformed):
            Dispatch.from_payload(wrong)


def test_a_receipt_names_what_was_recorded_and_nothing_else() -> None:
    assert Receipt.from_payload(Receipt(recorded=("a", "b")).payload()).recorded == ("a", "b")
    for wrong in (b"", b'{"recorded":["a b"]}', b'{"recorded":' + b'["a"' + b',"a"' * 256 + b"]}"):
        with pytest.raises(Malformed):
            Receipt.from_payload(wrong)
