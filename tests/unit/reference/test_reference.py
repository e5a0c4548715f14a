"""The reference pages that are made of the code are as the code says, and say something of everything."""

import re
from pathlib import Path

import pytest

from bridgectl.cli import GROUPS
from dmz_front.problems.codes import CODES
from protocol.runtime.events import EVENTS
from scripts.tools.reference.__main__ import FOLDER, PAGES
from scripts.tools.reference.metrics import metrics

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_page_is_as_the_code_says(name: str) -> None:
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), "python -m scripts.tools.reference"


def test_everything_is_in_its_page() -> None:
    pages = {name: (FOLDER / name).read_text(encoding="utf-8") for name in PAGES}
    for name in EVENTS:
        assert f"| `{name}` |" in pages["events.md"]
    for name in CODES:
        assert pages["problems.md"].count(f"| `{name}` |") >= 1
    for name in GROUPS:
        assert f"\n## bridgectl {name}\n" in pages["cli.md"]
    for key in ("`connect_timeout_s`", "`when_broker_refuses`", "`order_patience_s`", "`token_file`", "`disk_warn_mb`"):
        assert f"| {key} |" in pages["configuration.md"]


def test_every_metric_says_what_it_is() -> None:
    assert [one.name for one in metrics() if not one.help] == []


def test_every_key_says_what_it_means() -> None:
    page = (FOLDER / "configuration.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| (`[a-z_]+`) \| (.*) \| (.*) \| (.*) \|$", page)
    assert len(rows) > 150
    assert not [key for key, kind, _, meaning in rows if not kind.strip() or not meaning.strip()]
