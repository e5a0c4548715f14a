"""The page of promises, and that of security, name tests that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "protocol" / "README.md").read_text(encoding="utf-8").partition("## Delivery")[2]
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`((?:unit|contract|system|faults)/[\w/.]*)(?:::(\w+))?`", PAGE + SECURITY)))


def test_there_are_many() -> None:
    assert len(NAMED) > 30


@pytest.mark.parametrize(("path", "test"), NAMED)
def test_a_test_the_page_names_is_there(path: str, test: str) -> None:
    found = ROOT / "tests" / path
    assert found.exists()
    if test:
        assert re.search(rf"def {test}\b", found.read_text(encoding="utf-8")), test
