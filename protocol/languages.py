"""The languages of the pages: the one a reader asks for, or prefers (RFC 9110 section 12.5.4)."""

from enum import StrEnum

from protocol.http_fields import media_type, split


class Language(StrEnum):
    """What the pages are written in."""

    ENGLISH = "en"
    CHINESE = "zh"


def chosen(asked: str | None, accept_language: bytes) -> Language:
    """The language for a page: `asked` for by name if we have it, else the one of ours that `Accept-Language` likes
    best, else English.
    """
    if asked in set(Language):
        return Language(asked)
    liked: dict[Language, float] = {}
    for part in split(accept_language, 0x2C):
        tag, parameters = media_type(part)
        primary = tag.partition(b"-")[0].decode("latin-1")
        if primary in set(Language):
            language = Language(primary)
            liked[language] = max(liked.get(language, 0.0), _weight(parameters))
    best = max(liked, key=lambda language: liked[language], default=Language.ENGLISH)
    return best if liked.get(best) else Language.ENGLISH


def _weight(parameters: list[tuple[bytes, bytes]]) -> float:
    try:
        return min(1.0, max(0.0, float(dict(parameters).get(b"q", b"1"))))
    except ValueError:
        return 0.0
