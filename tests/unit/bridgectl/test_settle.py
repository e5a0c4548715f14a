"""`bridgectl settle export`: what a spreadsheet is given."""

from typing import Any

import pytest

from bridgectl.commands.settle import exported


def item(**more: Any) -> dict[str, Any]:
    return {
        "id": "0199", "day": "2026-11-24", "source": "alipay", "channel": "alipay", "what": "amount-differs",
        "action": "hold", "state": "held", "transaction": "T1", "order": "PO1", "kind": "pay", "refunds": [],
        "lines": [1, 2], "amount": 1_234_567, "field": "amount", "platform": 2000, "books": None, "paid_at": "",
        "why": "", "code": "", "created_at": 1_795_500_000_000, "updated_at": 1_795_500_000_000,
    } | more  # fmt: skip


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\u00a0=1"])
def test_export_formula_safe(text: str) -> None:
    written = exported([item(why=text, order=text, platform=text, field="account")]).decode("utf-8-sig")
    assert written.count(f"'{text}") == 3


def test_amounts_stay_numbers() -> None:
    head, row = exported([item(amount=-500)]).decode("utf-8-sig").splitlines()
    told = dict(zip(head.split(","), row.split(","), strict=True))
    assert (told["amount"], told["platform"], told["books"], told["lines"]) == ("-5.00", "20.00", "", "1 2")
