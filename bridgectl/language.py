"""The language bridgectl speaks: English as it stands in the code, or Chinese from the catalogue in locale/ (gettext).

Only Chinese costs anything: the catalogue is read, and Babel imported, when it is asked for. What programs read
(`--json`) is English always.
"""

import gettext
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

ENGLISH, CHINESE = "en", "zh"
LANGUAGES = (ENGLISH, CHINESE)
LOCALE = Path(__file__).with_name("locale")
OPTION = "--lang"

_spoken: gettext.NullTranslations | None = None
"""None: English."""


def tr(message: str, /, **values: Any) -> str:
    """The message in the language that is spoken, with `values` at its `{places}`. It is a literal: the catalogue is
    made from the code.
    """
    said = message if _spoken is None else _spoken.gettext(message)
    return said.format(**values) if values else said


def trn(one: str, many: str, count: int, /, **values: Any) -> str:
    """Likewise, by the number: `count` is among the values."""
    said = (one if count == 1 else many) if _spoken is None else _spoken.ngettext(one, many, count)
    return said.format(count=count, **values)


def noted(message: str, /) -> str:
    """The message as it stands: for the catalogue, where `tr` comes later (a constant)."""
    return message


_REASONS = frozenset({"why", "reason", "error", "said", "what"})
"""Places where another such text stands; at others there is a name."""
_MARK = re.compile("[;:] |[：；（），]|\n *")
"""Between the parts of a text. Some are Chinese already."""


def heard(text: str, known: tuple[str, ...]) -> str:
    """A text that another program says in English, in the language that is spoken: by the template that it fits, of
    several the one that says most; else part by part. What fits none stays as it is.
    """
    if _spoken is None:
        return text
    for template in _longest_first(known):
        if found := _pattern(template).fullmatch(text):
            places = {
                name: heard(value, known) if name in _REASONS else value for name, value in found.groupdict().items()
            }
            return tr(template, **places)
    if mark := _MARK.search(text):
        return heard(text[: mark.start()], known) + mark[0] + heard(text[mark.end() :], known)
    return text


@cache
def _longest_first(known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(known, key=lambda template: -len(re.sub(r"\{\w+\}", "", template))))


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile("".join(f"(?P<{part}>.+?)" if at % 2 else re.escape(part) for at, part in enumerate(parts)), re.S)


def chinese() -> bool:
    """Whether that is what is spoken."""
    return _spoken is not None


def page(path: str) -> str:
    """A page of docs/, in the language that is spoken if there is one."""
    return path.replace("docs/", "docs/zh/", 1) if chinese() else path


@contextmanager
def english() -> Iterator[None]:
    """English within: for what is written to a file that others read."""
    global _spoken
    spoken, _spoken = _spoken, None
    try:
        yield
    finally:
        _spoken = spoken


def speak(language: str) -> None:
    """Speak it from now on: one of LANGUAGES."""
    global _spoken
    _spoken = _catalogue(LOCALE / language / "LC_MESSAGES" / "bridgectl.po") if language != ENGLISH else None


def _catalogue(path: Path) -> gettext.NullTranslations:
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    compiled = io.BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=path.parts[-3]))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def asked(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """What `--lang` says, wherever it stands (the last one counts), and the arguments without it."""
    said, rest, words = None, [], iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word == OPTION:
            said = next(words, "")
        elif word.startswith(f"{OPTION}="):
            said = word.partition("=")[2]
        else:
            rest.append(word)
    return said, rest


def chosen(said: str | None, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """The language to speak. `said`: by `--lang`, which comes first; then the environment, as gettext(3) reads it:
    LC_ALL, LC_MESSAGES, LANG, and LANGUAGE where these name a language at all. What is not known is English.
    """
    if "--json" in arguments:
        return ENGLISH
    if said is not None:
        return known(said) or ENGLISH
    locale = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environment.get(name))), "C")
    if locale.partition(".")[0] in ("C", "POSIX"):
        return ENGLISH
    wished = [one for one in environment.get("LANGUAGE", "").split(":") if one]
    return next((found for one in (*wished, locale) if (found := known(one))), ENGLISH)


def known(locale: str) -> str | None:
    """The language of a locale, if we speak it: `zh_CN.UTF-8`, `zh-Hans` and `zh` are the same here."""
    language = locale.replace("-", "_").partition(".")[0].partition("@")[0].partition("_")[0].lower()
    return language if language in LANGUAGES else None
