"""The words of the pages: English as it stands in the code, or Chinese from the catalogue `zh.po`.

What bridgectl's own catalogue says in its `--help` is not said a second time here.
"""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from scripts.tools.catalogue import helps, written

CATALOGUE = Path(__file__).with_name("zh.po")
_HEAD = b"""\
# Chinese of what `python -m scripts.tools.reference` finds in the code. It adds here what is new, and takes out what
# nothing says any more. A text without translation fails a test.
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Language: zh\\n"

"""


class Say(Protocol):
    """Says a text in a page's language."""

    def __call__(self, text: str) -> str: ...


def english(text: str) -> str:
    """As it stands."""
    return text


class Chinese:
    """Says by the catalogue, paragraph by paragraph, and remembers what it was asked for."""

    def __init__(self, known: Mapping[str, str], lent: Mapping[str, str]) -> None:
        """`lent`: what another catalogue has, which comes first."""
        self._known, self._lent = known, lent
        self.asked: dict[str, str] = {}
        """Each text that is not lent, in the order of the pages, with the first page that it is on."""
        self.page = ""
        """The page that is being made."""

    def __call__(self, text: str) -> str:
        """One without translation stays English."""
        return "\n\n".join(self._paragraph(one) for one in paragraphs(text))

    def _paragraph(self, text: str) -> str:
        if text in self._lent:
            return self._lent[text]
        self.asked.setdefault(text, self.page)
        return self._known.get(text) or text

    def untranslated(self) -> list[str]:
        """What was asked for in vain."""
        return [text for text in self.asked if not self._known.get(text)]

    def catalogue(self) -> bytes:
        """The catalogue with what was asked for, and nothing else."""
        made = Catalog(locale="zh")
        for text, page in self.asked.items():
            made.add(text, self._known.get(text, ""), auto_comments=[page])
        return _HEAD + _bytes(made)


def chinese() -> Chinese:
    """By the catalogues as they are."""
    return Chinese(known(), helped())


def paragraphs(text: str) -> Iterator[str]:
    """Each on one line."""
    for part in text.split("\n\n"):
        if line := " ".join(part.split()):
            yield line


def known() -> dict[str, str]:
    """What the catalogue has."""
    if not CATALOGUE.exists():
        return {}
    with CATALOGUE.open("rb") as file:
        return {str(one.id): str(one.string) for one in read_po(file, locale="zh") if one.id}


def helped() -> dict[str, str]:
    """What bridgectl's catalogue has of its help, by paragraphs."""
    catalogue = written()
    found: dict[str, str] = {}
    for text in helps():
        entry = catalogue.get(text)
        one, other = list(paragraphs(text)), list(paragraphs(str(entry.string)) if entry else ())
        if len(one) == len(other):
            found.update(zip(one, other, strict=True))
    return found


def _bytes(catalogue: Catalog) -> bytes:
    to = io.BytesIO()
    write_po(to, catalogue, width=0, omit_header=True)
    return to.getvalue()
