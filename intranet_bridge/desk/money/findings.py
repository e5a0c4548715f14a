"""What is said of a line of a file, in words: most is a fixed text, some name something of the file."""

import re
from collections.abc import Callable

_NAMING = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"a row ends with (.*)", "a row ends with {}"),
        (r"a row starts with (.*)", "a row starts with {}"),
        (r"a row of kind (.*), which the layout (.*) has not", "a row of kind {}, which the layout {} has not"),
        (r"byte ([0-9]+) is no (.*)", "byte {} is no {}"),
        (r"no name of a file of (.*)", "no name of a file of {}"),
        (r"(.*) does not come so", "{} does not come so"),
        (r"line ([0-9]+) says it otherwise", "line {} says it otherwise"),
    )
)


def spoken(said: Callable[[str], str], what: str) -> str:
    """`Finding.what` in the language of `said`."""
    for pattern, words in _NAMING:
        if found := pattern.fullmatch(what):
            return said(words).format(*found.groups())
    return said(what)
