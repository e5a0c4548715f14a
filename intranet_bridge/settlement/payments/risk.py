"""Risk: ordered rules that look at an order, or at a refund asked for, before it is taken. Pure.

The first rule that fires decides; if none does, it is allowed. One in dry run is noted and passed over, so that a new
rule can be watched before it refuses anybody. What a rule needs to know of the past is counted by who keeps it, by
`needed`; payers and cards are hashes, here as everywhere. Callers see `risk-refused` and no more. What a rule is, and
those in force where nothing is configured: settlement_sections/risk.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field
from enum import StrEnum

from intranet_bridge.settlement_sections.risk import Measure, RiskRule, Verdict
from protocol.values import immutable


class Subject(StrEnum):
    """What is looked at."""

    ORDER = "order"
    REFUND = "refund"


_OF_REFUNDS = frozenset({Measure.REFUNDS, Measure.AMOUNT, Measure.LISTED})
_OF_ORDERS = frozenset(Measure) - {Measure.REFUNDS}


@immutable
class Facts:
    """What is known of an order, or of a refund asked for."""

    subject: Subject
    amount: int
    """Fen."""
    bill: int = 0
    """Fen that its bills come to; 0 where it pays no bill, or nobody here can say what they come to."""
    for_bills: int = 0
    """Fen of it that pay those bills: no prepayment is among them."""
    counts: Mapping[tuple[Measure, int], int] = field(default_factory=dict)
    """What was counted, by measure and window."""
    lists: frozenset[str] = frozenset()
    """On which the payer, or what it pays with, is."""


@immutable
class Decision:
    """What was decided, to be kept with the order."""

    verdict: Verdict
    rule: str = ""
    """The one that decided; empty: none did."""
    dry: tuple[str, ...] = ()
    """Those in dry run that would have, before it."""


def needed(rules: Iterable[RiskRule], subject: Subject) -> frozenset[tuple[Measure, int]]:
    """What has to be counted for the rules, by measure and window in seconds."""
    return frozenset(
        (rule.measure, rule.window_s) for rule in rules if _concerns(rule, subject) and rule.window_s is not None
    )


def decided(rules: Iterable[RiskRule], facts: Facts) -> Decision:
    """The verdict of the first rule that fires. Raises KeyError for what `needed` asked for and was not counted."""
    dry: list[str] = []
    for rule in rules:
        if not _concerns(rule, facts.subject) or not _fires(rule, facts):
            continue
        if not rule.dry_run:
            return Decision(rule.then, rule.name, tuple(dry))
        dry.append(rule.name)
    return Decision(Verdict.ALLOW, dry=tuple(dry))


def _concerns(rule: RiskRule, subject: Subject) -> bool:
    return rule.measure in (_OF_ORDERS if subject is Subject.ORDER else _OF_REFUNDS)


def _fires(rule: RiskRule, facts: Facts) -> bool:
    if rule.measure is Measure.LISTED:
        return rule.in_list in facts.lists
    assert rule.above is not None, "seen to when it was read"
    if rule.measure is Measure.AMOUNT:
        return facts.amount > rule.above
    if rule.measure is Measure.TIMES_BILL:
        return 0 < facts.bill * rule.above < facts.for_bills
    assert rule.window_s is not None, "seen to when it was read"
    return facts.counts[rule.measure, rule.window_s] > rule.above
