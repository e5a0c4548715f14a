"""The `[settlement.risk]` table of the bridge's configuration: what is looked at before an order is taken.

```toml
[[settlement.risk.rules]]
name = "many-orders"
measure = "orders"      # of this payer in window_s; also: accounts, refunds, amount (fen), times-bill, listed
above = 5
window_s = 600
then = "refuse"         # review: a person decides; allow: nothing further is asked
dry_run = true
```
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from protocol.runtime.settings import Misplaced, Section


class Verdict(StrEnum):
    """What becomes of it."""

    ALLOW = "allow"
    REVIEW = "review"
    REFUSE = "refuse"


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
    """How many times its bills an order pays for them. Prepayments are not counted, nor lines of which nobody here
    knows what is owed."""
    LISTED = "listed"
    """Whether the payer, or what it pays with, is on a list."""


_COUNTED = frozenset({Measure.ORDERS, Measure.ACCOUNTS, Measure.REFUNDS})
Label = Annotated[str, StringConstraints(pattern="^[a-z0-9][a-z0-9-]{0,39}$")]


class RiskRule(Section):
    """One rule."""

    name: Label
    """What decisions, logs and metrics call it."""
    measure: Measure
    """What it measures, of the payer or of the order."""
    above: Annotated[float, Field(ge=0)] | None = None
    """It fires when the measure is more than this. Not for `listed`."""
    window_s: Annotated[int, Field(gt=0, le=31 * 86_400)] | None = None
    """How far back it counts: of orders, accounts and refunds."""
    in_list: Label | None = None
    """Which list: of `listed`."""
    then: Verdict
    """What becomes of what it fires for: taken, held for a person, or refused."""
    dry_run: bool = False
    """It is noted that it would have fired, and the next rule is asked."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        wanted = {
            "above": self.measure is not Measure.LISTED,
            "window_s": self.measure in _COUNTED,
            "in_list": self.measure is Measure.LISTED,
        }
        for name, is_wanted in wanted.items():
            if (getattr(self, name) is not None) != is_wanted:
                if is_wanted:
                    raise Misplaced(f"{self.measure} needs {name}", ("measure",))
                raise Misplaced(f"is not of the measure {self.measure}", (name,))
        return self


SHIPPED = (
    RiskRule(name="many-orders", measure=Measure.ORDERS, above=5, window_s=600, then=Verdict.REFUSE),
    RiskRule(name="many-accounts", measure=Measure.ACCOUNTS, above=20, window_s=86_400, then=Verdict.REFUSE),
    RiskRule(name="far-above-the-bill", measure=Measure.TIMES_BILL, above=3, then=Verdict.REFUSE),
    RiskRule(name="many-refunds", measure=Measure.REFUNDS, above=3, window_s=86_400, then=Verdict.REFUSE),
    RiskRule(name="large", measure=Measure.AMOUNT, above=5_000_000, then=Verdict.REVIEW),
)
"""In force where nothing is configured. Those that refuse stand first: what is to be refused needs no reviewer."""


class RiskSection(Section):
    """Rules in their order: the first that fires decides."""

    rules: tuple[RiskRule, ...] = SHIPPED
    keep_days: Annotated[int, Field(ge=31, le=3650)] = 200
    """How long decisions stay on record; no rule counts further back than 31."""

    @model_validator(mode="after")
    def _each_name_once(self) -> Self:
        first: dict[str, int] = {}
        for number, rule in enumerate(self.rules):
            if first.setdefault(rule.name, number) != number:
                raise Misplaced(f"an earlier rule is called {rule.name} too", ("rules", number, "name"))
        return self
