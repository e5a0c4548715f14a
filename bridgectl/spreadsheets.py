"""Text for spreadsheets: what one would take for a formula is made plain."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_BLANKS = " \u00a0\u200b\u3000\ufeff"


def safe(words: str) -> str:
    """The words; with an apostrophe in front where they begin, perhaps after blanks, as a formula does."""
    return f"'{words}" if words.lstrip(_BLANKS).startswith(_FORMULA) else words
