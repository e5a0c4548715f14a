"""What `bridgectl status` says of clearing."""

from typing import Any

import pytest

from bridgectl.status.observation import Observation
from bridgectl.status.rules import clearing
from bridgectl.status.trouble import Level
from bridgectl.status.troubles import RULES
from protocol.reports.bridge import BridgeReport
from protocol.reports.settlement import ClearingReport

MINE = (clearing.late, clearing.differing, clearing.carried, clearing.calendar)


def seen(report: ClearingReport | None) -> Observation:
    kind: Any = BridgeReport
    return Observation(1_800_000_000_000, None, kind.model_construct(role="bridge", clearing=report), None)


@pytest.mark.parametrize(
    ("report", "key", "words"),
    [
        (ClearingReport(late=("wechat 2026-11-24 (wechat-trade)",)), "clearing-late", "wechat 2026-11-24"),
        (ClearingReport(differing=("power.wechat.20261124",)), "clearing-differs", "power.wechat.20261124"),
        (ClearingReport(carried=("bank.wechat.20261124",)), "clearing-carried", "bank.wechat.20261124"),
        (ClearingReport(calendar_ends="2026-12-31"), "bank-calendar-ends", "Monday to Friday"),
    ],
)
def test_what_somebody_has_to_look_at_is_told(report: ClearingReport, key: str, words: str) -> None:
    (found,) = (one for rule in MINE for one in rule(seen(report)))
    assert (found.key, found.level) == (key, Level.WARNING)
    assert words in found.why
    assert found.mend
    assert found.hurts


@pytest.mark.parametrize("report", [None, ClearingReport(waiting=3)])
def test_what_waits_as_it_should_is_no_trouble(report: ClearingReport | None) -> None:
    assert not [one for rule in MINE for one in rule(seen(report))]


def test_the_rules_are_asked() -> None:
    assert set(MINE) <= set(RULES)
