"""What may be configured of clearing and risk."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from intranet_bridge.settlement_sections import SettlementSection

PAGES = Path(__file__).parents[5] / "docs" / "how-to"
FILES = {
    "statements": {
        "files": {
            "wechat-trade": {"profile": "wechat-trade", "company": "power-yunhe"},
            "bank-icbc": {"profile": "alipay-fund", "company": "power-yunhe"},
        }
    }
}


def of_page(name: str) -> dict[str, Any]:
    """The configuration that a page shows."""
    text = (PAGES / name).read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    found: dict[str, Any] = tomllib.loads(text)["settlement"]
    return found


def test_the_pages_examples_can_be_used() -> None:
    section = SettlementSection.model_validate(of_page("clearing.md") | FILES, strict=False)
    assert section.clearing.channels["wechat"].merchants == {"1900000002": "water-yunhe"}
    rules = SettlementSection.model_validate(of_page("risk.md"), strict=False).risk.rules
    assert [(rule.name, rule.dry_run) for rule in rules] == [("stolen-cards", False), ("many-orders", True)]


def test_a_rule_of_risk_has_a_name_of_its_own() -> None:
    rule = {"name": "a", "measure": "amount", "above": 1, "then": "review"}
    with pytest.raises(ValidationError, match="an earlier rule is called a too"):
        SettlementSection.model_validate({"risk": {"rules": [rule, rule]}}, strict=False)
