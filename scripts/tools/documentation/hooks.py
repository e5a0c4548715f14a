"""What mkdocs is told beside `mkdocs.yml`: stars in the navigation, pages from outside docs/, links across."""

import re
from fnmatch import fnmatch
from typing import Any, cast

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from scripts.tools.documentation.edition import Language, elsewhere, pages, text


def _language(config: MkDocsConfig) -> Language:
    return cast(Language, config.theme["language"])


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The navigation with every page of a folder, its sections in the edition's language."""
    config.nav = _expanded(config.nav or [], sorted(pages(_language(config))), config.extra.get("sections", {}))
    return config


def _expanded(nav: list[Any], addresses: list[str], names: dict[str, str]) -> list[Any]:
    made: list[Any] = []
    for entry in nav:
        if isinstance(entry, dict):
            for title, inner in entry.items():
                content = _expanded(inner, addresses, names) if isinstance(inner, list) else inner
                made.append({names[title] if names else title: content})
        elif entry.endswith("*"):
            found = [at for at in addresses if fnmatch(at, entry) and at.count("/") == entry.count("/")]
            made += sorted(found, key=lambda at: (not at.endswith(("index.md", "README.md")), at))
        else:
            made.append(entry)
    return made


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """With every page of the edition, those from elsewhere too."""
    for at in pages(_language(config)):
        if files.get_file_from_path(at) is None:
            files.append(File.generated(config, at, content=""))
    return files


def on_page_read_source(page: Page, config: MkDocsConfig) -> str:
    """A page's Markdown, its links as this edition has them."""
    language = _language(config)
    at = page.file.src_uri
    return text(at, pages(language)[at], language)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The links to the other edition made, which mkdocs does not know."""

    def href(match: re.Match[str]) -> str:
        return f'href="{elsewhere(page.file.src_uri, _language(config), match.group(1))}"'

    return re.sub(r'href="edition:([^"]+)"', href, html)


def on_page_context(context: dict[str, Any], page: Page, config: MkDocsConfig, nav: Any) -> dict[str, Any]:
    """Where this page is in each edition, for the choice of a language in the head."""
    at = page.file.src_uri
    languages: tuple[Language, ...] = ("en", "zh")
    context["editions"] = {
        language: elsewhere(at, _language(config), f"{language}/{at if at in pages(language) else 'index.md'}")
        for language in languages
    }
    return context
