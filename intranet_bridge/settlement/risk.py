"""Risk: ordered rules that look at an order, or at a refund asked for, before it is taken. Pure.

The first rule that fires decides; if none does, it is allowed. One in dry run is noted and passed over, so that a new
rule can be watched before it refuses anybody. What a rule needs to know of the past is counted by who keeps it, by
`needed`; payers and cards are hashes, here as everywhere. Callers see `risk-refused` and no more.

```toml
[[settlement.risk]]
name = "many-orders"
measure = "orders"      # of this payer in window_s; also: accounts, refunds, amount (fen), times-bill, listed
above = 5
window_s = 600
then = "refuse"         # review: a person decides; allow: nothing further is asked
dry_run = true
```
"""

from collections.abc import Iterable, Mapping
from dataclasses import field
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from protocol.runtime.settings import Section
from protocol.values import immutable


class Verdict(StrEnum):
    """What becomes of it."""

    ALLOW = "allow"
    REVIEW = "review"
    REFUSE = "refuse"


class Subject(StrEnum):
    """What is looked at."""

    ORDER = "order"
    REFUND = "refund"


class Measure(StrEnum):
    """What a rule measures."""

    ORDERS = "orders"
    """Of the payer in the window, this one included."""
    ACCOUNTS = "accounts"
    """Different ones that the payer paid for in the window, this order's included."""
    REFUNDS = "refunds"
    """To the payer in the window, this one included."""
    AMOUNT = "amount"
    """Fen."""
    TIMES_BILL = "times-bill"
    """How many times its bills an order pays."""
    LISTED = "listed"
    """Whether the payer, or what it pays with, is on a list."""


_COUNTED = frozenset({Measure.ORDERS, Measure.ACCOUNTS, Measure.REFUNDS})
_OF_REFUNDS = frozenset({Measure.REFUNDS, Measure.AMOUNT, Measure.LISTED})
_OF_ORDERS = frozenset(Measure) - {Measure.REFUNDS}
Label = Annotated[str, StringConstraints(pattern="^[a-z0-9][a-z0-9-]{0,39}$")]


class RiskRule(Section):
    """One rule."""

    name: Label
    measure: Measure
    above: Annotated[float, Field(ge=0)] | None = None
    """It fires when the measure is more than this. Not for `listed`."""
    window_s: Annotated[int, Field(gt=0, le=31 * 86_400)] | None = None
    """How far back it counts: of orders, accounts and refunds."""
    in_list: Label | None = None
    """Which list: of `listed`."""
    then: Verdict
    dry_run: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        wanted = {
            "above": self.measure is not Measure.LISTED,
            "window_s": self.measure in _COUNTED,
            "in_list": self.measure is Measure.LISTED,
        }
        for name, is_wanted in wanted.items():
            if (getattr(self, name) is not None) != is_wanted:
                raise ValueError(f"{name} {'is needed by' if is_wanted else 'is not of'} the measure {self.measure}")
        return self


SHIPPED = (
    RiskRule(name="many-orders", measure=Measure.ORDERS, above=5, window_s=600, then=Verdict.REFUSE),
    RiskRule(name="many-accounts", measure=Measure.ACCOUNTS, above=20, window_s=86_400, then=Verdict.REFUSE),
    RiskRule(name="far-above-the-bill", measure=Measure.TIMES_BILL, above=3, then=Verdict.REFUSE),
    RiskRule(name="many-refunds", measure=Measure.REFUNDS, above=3, window_s=86_400, then=Verdict.REFUSE),
    RiskRule(name="large", measure=Measure.AMOUNT, above=5_000_000, then=Verdict.REVIEW),
)
"""In force where nothing is configured. Those that refuse stand first: what is to be refused needs no reviewer."""


@immutable
class Facts:
    """What is known of an order, or of a refund asked for."""

    subject: Subject
    amount: int
    """Fen."""
    bill: int = 0
    """Fen that its bills come to; 0 where it pays no bill, as a prepayment."""
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
        return 0 < facts.bill * rule.above < facts.amount
    assert rule.window_s is not None, "seen to when it was read"
    return facts.counts[rule.measure, rule.window_s] > rule.above
