"""Rules of risk: which one decides, and what they need to know."""

from typing import Any

import pytest
from pydantic import ValidationError

from intranet_bridge.settlement.payments.risk import Decision, Facts, Subject, decided, needed
from intranet_bridge.settlement_sections.risk import SHIPPED, Measure, RiskRule, Verdict

FEW = {(Measure.ORDERS, 600): 1, (Measure.ACCOUNTS, 86_400): 1, (Measure.REFUNDS, 86_400): 1}


def order(
    amount: int = 10_000, bill: int = 10_000, prepaid: int = 0, lists: frozenset[str] = frozenset(), **counts: int
) -> Facts:
    found = {key: counts.get(key[0], count) for key, count in FEW.items() if key[0] is not Measure.REFUNDS}
    return Facts(Subject.ORDER, amount, bill, amount - prepaid, found, lists)


@pytest.mark.parametrize(
    ("facts", "decision"),
    [
        (order(), Decision(Verdict.ALLOW)),
        (order(orders=5, accounts=20), Decision(Verdict.ALLOW)),
        (order(orders=6), Decision(Verdict.REFUSE, "many-orders")),
        (order(accounts=21), Decision(Verdict.REFUSE, "many-accounts")),
        (order(amount=30_000), Decision(Verdict.ALLOW)),
        (order(amount=30_001), Decision(Verdict.REFUSE, "far-above-the-bill")),
        (order(amount=30_001, bill=0), Decision(Verdict.ALLOW)),  # a prepayment has no bill
        (order(amount=90_000, prepaid=60_000), Decision(Verdict.ALLOW)),  # what pays the bill is measured against it
        (order(amount=90_002, prepaid=60_001), Decision(Verdict.REFUSE, "far-above-the-bill")),
        (order(amount=5_000_000, bill=5_000_000), Decision(Verdict.ALLOW)),
        (order(amount=5_000_001, bill=5_000_001), Decision(Verdict.REVIEW, "large")),
        (order(amount=5_000_001, bill=5_000_001, orders=6), Decision(Verdict.REFUSE, "many-orders")),
        (Facts(Subject.REFUND, 100, counts={(Measure.REFUNDS, 86_400): 3}), Decision(Verdict.ALLOW)),
        (Facts(Subject.REFUND, 100, counts={(Measure.REFUNDS, 86_400): 4}), Decision(Verdict.REFUSE, "many-refunds")),
    ],
)
def test_what_is_shipped_decides(facts: Facts, decision: Decision) -> None:
    assert decided(SHIPPED, facts) == decision


def test_the_first_that_fires_decides_and_one_in_dry_run_is_noted() -> None:
    rules = [
        RiskRule(name="trusted", measure=Measure.LISTED, in_list="hotline", then=Verdict.ALLOW),
        RiskRule(name="tried", measure=Measure.AMOUNT, above=50, then=Verdict.REFUSE, dry_run=True),
        RiskRule(name="stolen", measure=Measure.LISTED, in_list="stolen-cards", then=Verdict.REFUSE),
        RiskRule(name="later", measure=Measure.AMOUNT, above=60, then=Verdict.REVIEW, dry_run=True),
    ]
    both = frozenset({"hotline", "stolen-cards"})
    assert decided(rules, order(lists=both)) == Decision(Verdict.ALLOW, "trusted")
    assert decided(rules, order(lists=both - {"hotline"})) == Decision(Verdict.REFUSE, "stolen", ("tried",))
    assert decided(rules, order()) == Decision(Verdict.ALLOW, dry=("tried", "later"))
    assert decided(rules, order(amount=50)) == Decision(Verdict.ALLOW)


def test_only_what_the_rules_look_at_is_counted() -> None:
    assert needed(SHIPPED, Subject.ORDER) == {(Measure.ORDERS, 600), (Measure.ACCOUNTS, 86_400)}
    assert needed(SHIPPED, Subject.REFUND) == {(Measure.REFUNDS, 86_400)}
    assert needed((), Subject.ORDER) == frozenset()
    with pytest.raises(KeyError):
        decided(SHIPPED, Facts(Subject.ORDER, 1))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"measure": "orders", "above": 5}, "orders needs window_s"),
        ({"measure": "amount", "above": 5, "window_s": 60}, "is not of the measure amount"),
        ({"measure": "listed", "above": 5, "in_list": "x"}, "is not of the measure listed"),
        ({"measure": "listed"}, "listed needs in_list"),
        ({"measure": "refunds", "window_s": 60}, "refunds needs above"),
        ({"measure": "phase-of-the-moon", "above": 1}, "Input should be"),
    ],
)
def test_a_rule_that_is_not_whole_names_the_setting(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        RiskRule.model_validate({"name": "one", "then": "refuse", **values})
