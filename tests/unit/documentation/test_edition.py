"""Which pages are in the site, and where their links lead."""

from pathlib import Path

import pytest

from scripts.tools.documentation.edition import (
    ROOT,
    Page,
    UnknownTargetError,
    address,
    chinese,
    elsewhere,
    english,
    resolved,
    text,
)
from scripts.tools.documentation.links import joined, targets


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("docs/runbooks/down.md", "runbooks/down.md"),
        ("protocol/README.md", "reference/wire.md"),
        ("config/dmz_front.toml", "source/config/dmz_front.toml.md"),
        ("config/systemd", "source/config/systemd.md"),
    ],
)
def test_addresses(path: str, at: str) -> None:
    assert address(ROOT / path) == at
    assert at in english()


def test_what_a_folder_of_the_configuration_holds_is_there() -> None:
    assert {f"source/config/bindings/{path.name}.md" for path in (ROOT / "config/bindings").iterdir()} <= set(english())


def test_code_is_shown_once_not_in_both_editions() -> None:
    assert not [at for at in chinese() if at.startswith("source/")]
    assert chinese()["about.md"] == Page(ROOT / "README.zh.md", "zh")


def test_a_page_without_translation_says_so_below_its_title() -> None:
    page = chinese()["changelog.md"]
    assert page.language == "en"
    assert text("changelog.md", page, "zh").splitlines()[:3] == [
        "# Changelog",
        "",
        '!!! note "本页暂无中文版，以下为英文原文"',
    ]
    assert "!!! note" not in text("changelog.md", page, "en")


def test_links_follow_the_pages_to_their_addresses(tmp_path: Path) -> None:
    def linked(path: str, language: str) -> str:
        return text(address(ROOT / path), Page(ROOT / path), language)  # type: ignore[arg-type]

    adapters = "docs/adapters/README.md"
    assert "](../source/config/bindings.md)" in linked(adapters, "en")
    assert "](edition:en/source/config/bindings.md)" in linked(adapters, "zh")
    assert "](edition:zh/about.md)" in linked("README.md", "en")
    assert "](reference/wire.md#delivery)" in text("about.md", Page(ROOT / "README.md"), "en")


@pytest.mark.parametrize(
    ("at", "language", "target", "href"),
    [
        ("index.md", "en", "zh/index.md", "zh/index.html"),
        ("runbooks/down.md", "en", "zh/runbooks/down.md", "../zh/runbooks/down.html"),
        ("runbooks/down.md", "zh", "en/runbooks/README.md#a", "../../runbooks/index.html#a"),
        ("about.md", "zh", "en/source/LICENSE.md", "../source/LICENSE.html"),
    ],
)
def test_the_other_edition_from_here(at: str, language: str, target: str, href: str) -> None:
    assert elsewhere(at, language, target) == href  # type: ignore[arg-type]


@pytest.mark.parametrize("folder", ["how-to", "explanation", "tutorial", "zh/how-to", "zh/explanation", "zh/tutorial"])
def test_the_first_page_of_a_folder_leads_to_the_others(folder: str) -> None:
    first = ROOT / "docs" / folder / "README.md"
    pages = {path.name for path in first.parent.glob("*.md")} - {first.name}
    assert pages <= set(targets(first.read_text(encoding="utf-8")))


def test_lines_of_a_chinese_page_are_joined_without_a_blank() -> None:
    assert joined("- 第一行，\n  第二行\n- 又一项\n\n一段\n`code` 之后\nEnglish") == (
        "- 第一行，第二行\n- 又一项\n\n一段\n`code` 之后\nEnglish"
    )
    assert joined("```\n一\n二\n```\n") == "```\n一\n二\n```\n"


def test_a_link_to_nothing_is_named() -> None:
    page = ROOT / "docs/runbooks/down.md"
    assert resolved(page, "stuck.md") == (ROOT / "docs/runbooks/stuck.md", "")
    assert resolved(page, "https://example.org/") is None
    with pytest.raises(UnknownTargetError, match=r"docs/runbooks/down.md: gone.md"):
        resolved(page, "gone.md")
    with pytest.raises(UnknownTargetError):
        resolved(page, "../../../../../etc/hosts")
