"""Everything bridgectl can say, for its catalogues of translations (bridgectl/locale): what the code marks with `tr`,
`trn` and `noted`, and the help of every command.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from bridgectl.cli import GROUPS, app, group
from bridgectl.language import CHINESE, LOCALE

PROGRAM = LOCALE.parent
_KEYWORDS = {"tr": None, "noted": None, "trn": (1, 2)}


def messages() -> Iterator[str | tuple[str, ...]]:
    """Each message, of the code and of help; those with a plural as a pair. Some come more than once."""
    for _, _, message, _, _ in extract_from_dir(PROGRAM, [("**.py", "python")], keywords=_KEYWORDS):
        yield message
    yield from helps()


def helps() -> Iterator[str]:
    """The help of every command and option."""
    for name, (_, said) in GROUPS.items():
        yield said
        yield from _helps(group(name))
    yield from _helps(typer.main.get_command(app))


def _helps(command: Any) -> Iterator[str]:
    yield from (text for text in (command.help, command.epilog) if text)
    yield from (one.help for one in command.params if getattr(one, "help", None))
    for one in getattr(command, "commands", {}).values():
        yield from _helps(one)


def place(language: str = CHINESE) -> Path:
    """Of a catalogue."""
    return LOCALE / language / "LC_MESSAGES" / "bridgectl.po"


def written(language: str = CHINESE) -> Catalog:
    """The catalogue as it is."""
    with place(language).open("rb") as file:
        return read_po(file, locale=language)


def renewed(before: Catalog) -> Catalog:
    """With what the code says now: new messages without a translation, and without what is said no more."""
    after = Catalog(locale=before.locale, header_comment=before.header_comment, fuzzy=False)
    after.mime_headers = before.mime_headers
    for message in messages():
        known = before.get(message)
        after.add(message, string=known.string if known is not None else None)
    return after
