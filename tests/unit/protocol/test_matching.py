"""An answer is about what was asked, for every entry of the catalogue by default."""

import dataclasses
import json
from typing import Any

import pytest

from protocol.operations import CATALOGUE, AnswerMismatch, Kind, Operation
from protocol.operations.fields import AccountNumber, Fen, Model, Month

TRANSACTION = "channel", "transaction", "line"
MINE, OTHERS = "3210000000001", "9999999999999"


class MarketingRequest(Model):
    """A request with a field of each kind."""

    account: AccountNumber
    month: Month | None = None
    amount: Fen = 0


class Line(Model):
    """A line of a list."""

    account: AccountNumber | None = None
    month: Month
    amount: Fen


class Page(Model):
    """What holds lines."""

    lines: tuple[Line, ...] = ()
    by_name: dict[str, Line] | None = None


class Told(Model):
    """An answer."""

    account: AccountNumber | None = None
    month: Month | None = None
    pages: list[Page] | None = None


def entry(**changes: Any) -> Operation:
    values: dict[str, Any] = {
        "name": "told",
        "kind": Kind.QUERY,
        "summary": "",
        "request": MarketingRequest,
        "response": Told,
        "example": {"account": MINE},
        "scope": "bills",
    } | changes
    return Operation(**values)


def answered(operation: Operation, answer: dict[str, Any], **asked: Any) -> bytes:
    request = operation.requests.validate_python({"account": MINE} | asked)
    return operation.answer(request, operation.responses.validate_json(json.dumps(answer)))


def line(account: str | None, month: str = "2026-03") -> dict[str, Any]:
    return {"account": account, "month": month, "amount": 5}


def pages(*some: dict[str, Any]) -> dict[str, Any]:
    return {"account": MINE, "month": "2026-03", "pages": list(some)}


def test_the_shipped_entries_compare_what_both_schemas_name() -> None:
    pairs = {name: (operation.about, operation.matching.pairs) for name, operation in CATALOGUE.items()}
    assert (
        pairs.items()
        >= {
            "bill-query": ("account", {"account": "account"}),
            "bill-query.v2": ("account", {"account": "account"}),
            "arrears-query": ("account", {"account": "account", "as_of": "as_of"}),
            "balance-query": ("account", {"account": "account"}),
            "bill-detail": ("account", {"account": "account", "month": "month"}),
            "payment-records": ("account", {"account": "account"}),
            "invoice-query": ("account", {"account": "account"}),
            "invoice-request": ("account", {"account": "account", "months": "months"}),
            "usage-query": ("account", {"account": "account"}),
            "usage-daily": ("account", {"account": "account", "month": "month"}),
            "tariff-explain": ("account", {"account": "account"}),
            "realtime-charge-query": ("account", {"account": "account"}),
            "meter-readings": ("account", {"account": "account"}),
            "meter-reading-submit": ("account", {"account": "account", "read_on": "read_on"}),
            "account-match": ("user", {"user": "user"}),
            "account-search": ("user", {"user": "user"}),
            "account-code": ("account", {"user": "user", "account": "account"}),
            "account-bind": ("account", {"user": "user", "account": "account"}),
            "account-unbind": ("account", {"user": "user", "account": "account"}),
            "binding-list": ("user", {"user": "user"}),
            "account-profile": ("account", {"account": "account"}),
            "real-name-verify": ("user", {"user": "user"}),
            "real-name-state": ("user", {"user": "user"}),
            "archive-update": ("account", {"user": "user", "account": "account"}),
            "payment-writeoff": ("account", {n: n for n in ("account", *TRANSACTION, "amount")}),
            "payment-reversal": ("account", {n: n for n in ("account", *TRANSACTION, "amount")}),
            "prepay": ("account", {n: n for n in ("account", *TRANSACTION, "amount")}),
            "payment-state": ("channel", {n: n for n in (*TRANSACTION, "command")}),
            "withholding-sign": ("account", {"account": "account", "bank": "bank"}),
            "withholding-cancel": ("account", {"account": "account", "agreement": "agreement"}),
            "points-balance": ("account", {"account": "account"}),
            "points-exchange": ("account", {n: n for n in ("account", "reward", "quantity")}),
            "outlets": (None, {}),
            "outage-notices": ("account", {"account": "account"}),
            "news-list": (None, {}),
            "news-item": ("news", {"news": "news"}),
            "faq": (None, {}),
            "policy-texts": (None, {}),
            "work-order": ("account", {}),
            "work-order-progress": ("work_order", {"work_order": "work_order"}),
            "work-order-list": ("account", {"account": "account", "page": "page", "work_orders.state": "state"}),
            "work-order-cancel": ("work_order", {"work_order": "work_order"}),
            "work-order-rate": ("work_order", {"work_order": "work_order", "rating": "rating"}),
            "feedback": ("account", {}),
            "connection-application": ("account", {}),
            "application-supplement": ("application", {"application": "application"}),
            "application-progress": ("application", {"application": "application"}),
            "application-requirements": ("type", {"type": "type", "customer": "customer"}),
            "theft-report": (None, {}),
            "theft-report-progress": ("report", {"report": "report"}),
        }.items()
    )


def test_the_default_is_the_same_names_on_top_and_the_account_at_any_depth() -> None:
    pairs = set(entry().matching.pairs)
    assert pairs == {"account", "month", "pages.lines.account", "pages.by_name.account"}


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        ({"account": OTHERS}, "account"),
        ({}, "account"),
        ({"account": None}, "account"),
        ({"account": MINE, "month": "2026-04"}, "month"),
        ({"account": MINE, "month": None}, "month"),
        (pages({}, {"lines": [line(MINE), line(OTHERS)]}), "pages.lines.account"),
        (pages({"by_name": {"a": line(OTHERS)}}), "pages.by_name.account"),
    ],
)  # fmt: skip
def test_another_value_is_never_passed_on(answer: dict[str, Any], field: str) -> None:
    with pytest.raises(AnswerMismatch) as caught:
        answered(entry(), answer, month="2026-03")
    assert caught.value.field == field
    assert OTHERS not in str(caught.value)


def test_the_same_value_passes_and_what_the_request_leaves_out_asks_for_nothing() -> None:
    lines = [line(MINE), line(None, "2025-01")]  # a line's own month and amount are its own
    answer = {"account": MINE, "month": "2026-03", "pages": [{"lines": lines, "by_name": {"a": line(MINE)}}]}
    assert json.loads(answered(entry(), answer, amount=7))["month"] == "2026-03"


def test_an_entry_may_say_otherwise() -> None:
    assert answered(entry(echoes={}), {"account": OTHERS})
    only = entry(echoes={"pages.lines.month": "month"})
    assert answered(only, {"account": OTHERS, "pages": [{"lines": [line(OTHERS, "2026-03")]}]}, month="2026-03")
    with pytest.raises(AnswerMismatch):
        answered(only, {"pages": [{"lines": [line(MINE, "2026-04")]}]}, month="2026-03")


@pytest.mark.parametrize("changes", [{"echoes": {"acount": "account"}}, {"echoes": {"account": "x"}}, {"about": "x"}])
def test_an_entry_that_names_no_field_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"account|'x'"):
        entry(**changes)


def test_a_schema_that_contains_itself_ends() -> None:
    assert set(Echoing.model_fields) == {"account", "parts"}
    assert set(entry(response=Echoing).matching.pairs) == {"account"}


class Echoing(Model):
    """A tree."""

    account: AccountNumber
    parts: tuple["Echoing", ...] = ()


def test_an_entry_can_be_derived_from_another() -> None:
    derived = dataclasses.replace(CATALOGUE["bill-query"], name="bills-again")
    assert derived.matching.pairs == CATALOGUE["bill-query"].matching.pairs
