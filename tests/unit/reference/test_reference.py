"""The reference pages that are made of the code are as it says, and say something of everything, in Chinese too."""

import re
from pathlib import Path

import pytest

from bridgectl.cli import GROUPS
from dmz_front.problems.chinese import CHINESE
from dmz_front.problems.codes import CODES
from protocol.runtime.events import EVENTS
from scripts.tools.reference.__main__ import FOLDER, FOLDER_ZH, PAGES, made
from scripts.tools.reference.metrics import metrics
from scripts.tools.reference.wording import CATALOGUE, Chinese, Say, chinese, english, known

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def said() -> Chinese:
    """After it has said all pages."""
    return made()[1]


@pytest.mark.parametrize("name", sorted(PAGES))
@pytest.mark.parametrize(("folder", "say"), [(FOLDER, english), (FOLDER_ZH, chinese())], ids=["en", "zh"])
def test_the_page_is_as_the_code_says(name: str, folder: Path, say: Say) -> None:
    written = (folder / name).read_text(encoding="utf-8")
    assert written == PAGES[name](say), "python -m scripts.tools.reference"


def test_every_text_has_a_translation(said: Chinese) -> None:
    assert said.untranslated() == [], f"python -m scripts.tools.reference, then {CATALOGUE.relative_to(ROOT)}"


def test_there_is_no_translation_of_what_nothing_says(said: Chinese) -> None:
    assert sorted(set(known()) - set(said.asked)) == [], "python -m scripts.tools.reference"


def test_code_and_addresses_are_not_translated() -> None:
    def kept(text: str) -> list[str]:
        return sorted(re.findall(r"`[^`]+`|\{\w+\}|https?://[^\s,)]+|--[a-z-]+", text))

    assert [text for text, said in known().items() if kept(text) != kept(said)] == []


def test_every_problem_has_its_chinese() -> None:
    assert set(CHINESE) == set(CODES)


def test_a_text_without_translation_stays_english_and_is_named() -> None:
    say = Chinese({"One.": "一。", "Lent.": "自己的。"}, {"Lent.": "借来的。"})
    say.page = "page.md"
    assert say("One.\n\nTwo\nlines.\n\nLent.") == "一。\n\nTwo lines.\n\n借来的。"
    assert say.untranslated() == ["Two lines."]
    assert 'msgid "Two lines."\nmsgstr ""\n' in say.catalogue().decode()
    assert "Lent" not in say.catalogue().decode()
    assert 'msgid "One."\nmsgstr "一。"\n' in say.catalogue().decode()


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
