"""What a caller of the campaign expects to be given back."""

from datetime import UTC, datetime

import pytest

from scripts.tools.channel_simulator.book import Payment
from scripts.tools.fault_campaign.money_channels import OTHER_AMOUNT, Paying


def payments(*transactions: str) -> list[Payment]:
    at = datetime(2026, 11, 28, tzinfo=UTC)
    return [Payment("wechat", one, "1", "1", 100, 100, 0, at, None, True, "", "") for one in transactions]


def order(how: str, refunds: list[str], paid: list[Payment], again: list[Payment]) -> Paying:
    return Paying("1", how, {"refunds": [{"transaction": one} for one in refunds]}, paid, again)


@pytest.mark.parametrize(
    ("refunds", "expected"),
    [([], False), (["c", "d"], True), (["a", "b"], True), (["a"], False), (["a", "c"], False)],
)
def test_one_of_two_payments_is_asked_back_whichever_was_heard_of_first(refunds: list[str], expected: bool) -> None:
    assert order("paid-twice", refunds, payments("a", "b"), payments("c", "d")).asks_for_surplus() is expected


@pytest.mark.parametrize(("refunds", "expected"), [([], False), (["a"], True)])
def test_a_payment_of_another_amount_is_asked_back(refunds: list[str], expected: bool) -> None:
    assert order(OTHER_AMOUNT, refunds, payments("a"), []).asks_for_surplus() is expected


@pytest.mark.parametrize("refunds", [[], ["a"]])
def test_of_an_order_paid_once_nothing_need_be_asked_back(refunds: list[str]) -> None:
    assert order("plain", refunds, payments("a"), []).asks_for_surplus()
