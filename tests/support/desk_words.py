"""What a desk's pages say that has no Chinese."""

import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from protocol.desk.words import Words
from protocol.languages import Language

_BEFORE = r'(?:NotDone\(|HTTPException\(\d+, |request, |\.html", |_?[A-Z]+ = |visit, |detail=|done = |menu=)'


def lacking(words: Words, templates: Iterable[Path], modules: Iterable[ModuleType]) -> list[str]:
    """The texts of templates and of modules that are not translated."""
    texts: set[str] = set()
    for folder in templates:
        for file in folder.glob("*.html"):
            texts |= set(re.findall(r't\("([^"]+)"\)', file.read_text()))
    for module in modules:
        texts |= set(re.findall(_BEFORE + '"([A-Z][^"]+)"', inspect.getsource(module)))
    assert len(texts) > 30
    return sorted(text for text in texts if words.said(text, Language.CHINESE) == text)
