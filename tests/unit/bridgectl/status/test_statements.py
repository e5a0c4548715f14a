"""What `bridgectl status` says of statements."""

from typing import Any

import pytest

from bridgectl.status.observation import Observation
from bridgectl.status.rules.statements import statements
from bridgectl.status.trouble import Level
from bridgectl.status.troubles import RULES
from protocol.reports.bridge import BridgeReport
from protocol.reports.settlement import StatementsReport

NOW = 1_800_000_000_000


def seen(**told: Any) -> Observation:
    kind: Any = BridgeReport  # of which the rules read nothing else
    report = kind.model_construct(role="bridge", name="bridge-1", statements=StatementsReport(**told))
    return Observation(NOW, None, report, None)


@pytest.mark.parametrize(
    ("told", "key", "level", "words"),
    [
        ({"missing": ("alipay 2026-11-28",)}, "statement-missing", Level.CRITICAL, "alipay 2026-11-28"),
        ({"late": ("alipay 2026-11-28",)}, "statement-late", Level.WARNING, "alipay 2026-11-28"),
        ({"refused": ("a.csv: layout",)}, "statement-refused", Level.WARNING, "a.csv: layout"),
        ({"refused": ("a.csv: statement-missing",)}, "statement-refused", Level.CRITICAL, "a.csv"),
        ({"conflicting": ("0199",)}, "statement-conflicting", Level.WARNING, "1 statement came again"),
        ({"incomplete": ("no-answer", "no-answer")}, "statement-run-incomplete", Level.WARNING, "no-answer"),
        ({"approvals": ("0199",), "approvals_fen": 5_000_001}, "statement-run-approval", Level.WARNING, "50000.01"),
        ({"held": 2, "held_fen": 300}, "statement-items-held", Level.WARNING, "3.00"),
        ({"held": 1, "not_done": 1}, "statement-action-refused", Level.WARNING, "1 difference"),
    ],
)
def test_it_is_told(told: dict[str, Any], key: str, level: Level, words: str) -> None:
    [trouble] = statements(seen(**told))
    assert (trouble.key, trouble.level) == (key, level)
    assert words in f"{trouble.what} {trouble.why}"
    assert trouble.mend


def test_nothing_is_told_of_nothing() -> None:
    assert list(statements(seen())) == []
    assert statements in RULES
