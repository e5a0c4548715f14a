"""`[settlement.withholding.NAME]`: what cannot be used is said at the start, by name."""

from typing import Any

import pytest
from pydantic import ValidationError

from intranet_bridge.settings import BridgeSettings
from intranet_bridge.settlement.withholding.service import arrangements_of
from intranet_bridge.settlement_sections import SettlementSection
from protocol.errors import ConfigurationError
from tests.unit.intranet_bridge.settlement.withholding.world import SECTION

FILES = {"targets": {"bank": "front-1"}, "profiles": {"redkkk": {"names": "SDDL_.*"}}}


def settings(files: dict[str, Any], **changes: Any) -> BridgeSettings:
    return BridgeSettings.model_validate(
        {
            "link": {"brokers": ["localhost:1"], "ca": "x", "certificate": "x", "key": "x"},
            "keys": {"keyring": "x", "trusted": "x"}, "store": {"file": "x"}, "marketing": {"url": "http://localhost:1"},
            "operations": {"bill-query": {"path": "/", "response": "@"}}, "files": files,
            "settlement": {"companies": {"power": {}}, "withholding": {"bank-a": SECTION | changes}},
        }
    )  # fmt: skip


def test_it_can_be_used() -> None:
    assert settings(FILES).settlement.withholding["bank-a"].days == (25, 26)


@pytest.mark.parametrize(
    ("files", "changes", "words"),
    [
        (FILES, {"days": [5, 5]}, "names a day twice"),
        (FILES, {"days": [29]}, "less than or equal to 28"),
        (FILES, {"retry_days": [7, 3]}, "each is later than the one before"),
        (FILES, {"seal_at": "24:00"}, "pattern"),
        (FILES, {"accounts": "["}, "not a regular expression"),
    ],
)
def test_what_is_wrong_is_named(files: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings(files, **changes)


def test_a_batch_is_one_arrangements() -> None:
    def of(companies: dict[str, Any], **sections: Any) -> SettlementSection:
        return SettlementSection.model_validate({"companies": companies, "withholding": sections})

    with pytest.raises(ConfigurationError, match="bank-a has the same org and unit"):
        arrangements_of(of({"power": {}}, **{"bank-a": SECTION, "bank-b": SECTION}))
