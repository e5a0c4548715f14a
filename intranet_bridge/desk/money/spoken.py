"""What is said of a line of a file, or of what cannot be done, in words: most is a fixed text, some names something."""

import re
from collections.abc import Callable, Mapping
from itertools import zip_longest

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
        (r"a sheet that is (\S+) cannot (\S+)", "a sheet that is {} cannot {}"),
        (r"not 1 to ([0-9]+) lines", "not 1 to {} lines"),
        (r"the number of line ([0-9]+)", "the number of line {}"),
        (r"the bill of line ([0-9]+)", "the bill of line {}"),
        (r"has a character outside (.*)", "has a character outside {}"),
        (r"(\S+) has signed it already; it takes two people", "{} has signed it already; it takes two people"),
        (
            r"(\S+) comes first: its net is negative, and is set off",
            "{} comes first: its net is negative, and is set off",
        ),
        (r"(\S+): has arrived already, and was another amount", "{}: has arrived already, and was another amount"),
        (r"channel: (\S+) is not cleared here", "channel: {} is not cleared here"),
        (r"company: (\S+) is not cleared here", "company: {} is not cleared here"),
        (r"([0-9]+) actions, more than ([0-9]+)", "{} actions, more than {}"),
        (r"([0-9]+) fen, more than ([0-9]+)", "{} fen, more than {}"),
        (r"([0-9]+) actions", "{} actions"),
        (r"an item that is (\S+) is not held", "an item that is {} is not held"),
        (r"the note has 1 to ([0-9]+) characters", "the note has 1 to {} characters"),
        (
            r"(\S+) has said so already; above ([0-9]+) yuan it takes two people",
            "{} has said so already; above {} yuan it takes two people",
        ),
        (r"a run that is (\S+) is not approved", "a run that is {} is not approved"),
        (r"there is no kind of statement (\S+)", "there is no kind of statement {}"),
        (
            r"(\S+) is (\S+): it is settled, or the bank or the write-off is waited for",
            "{} is {}: it is settled, or the bank or the write-off is waited for",
        ),
        (r"(\S+): nothing was charged that could be owed", "{}: nothing was charged that could be owed"),
        (
            r"(\S+): the first person said (owed|not owed), and both must agree",
            "{}: the first person said {}, and both must agree",
        ),
        (r"(\S+): it has just become something else", "{}: it has just become something else"),
        (r"(\S+): no such batch is sealed", "{}: no such batch is sealed"),
        (r"(\S+) is (\S+): only a sealed batch is sent again", "{} is {}: only a sealed batch is sent again"),
        (r"(\S+) is on its way", "{} is on its way"),
        (r"of merchant (\S+)", "of merchant {}"),
        (r"of a day are expected: (.+)", "of a day are expected: {}"),
        (
            r"today's batch is (\S+) already, and there is one a day",
            "today's batch is {} already, and there is one a day",
        ),
        (
            r"the order is (\S+): only of one that is held can anything be said",
            "the order is {}: only of one that is held can anything be said",
        ),
        (r"what is (\S+) cannot (\S+)", "what is {} cannot {}"),
    )
)

_KINDS: Mapping[str, tuple[str, ...]] = {
    "the order is {}: only of one that is held can anything be said": ("order",),
    "today's batch is {} already, and there is one a day": ("batch",),
    "a sheet that is {} cannot {}": ("sheet", "sheet-act"),
    "{} is {}: only a sealed batch is sent again": ("", "batch"),
    "{} is {}: it is settled, or the bank or the write-off is waited for": ("", "line"),
    "an item that is {} is not held": ("item",),
    "a run that is {} is not approved": ("run",),
}
"""What of a sentence is a code, and of which kind."""
_OF_SOMETHING = re.compile(r"([0-9A-Za-z._-]+): (.*)")
"""What it is said of comes first."""


def spoken(said: Callable[[str], str], what: str) -> str:
    """`Finding.what` in the language of `said`."""
    for pattern, words in _NAMING:
        if found := pattern.fullmatch(what):
            kinds = _KINDS.get(words, ())
            coded = [_word(said, kind, group) for kind, group in zip_longest(kinds, found.groups(), fillvalue="")]
            return said(words).format(*coded)
    if (whole := said(what)) == what and (found := _OF_SOMETHING.fullmatch(what)):
        return said("{}: {}").format(found[1], spoken(said, found[2]))
    return whole


def _word(said: Callable[[str], str], kind: str, code: str) -> str:
    words = said(f"{kind}-{code}")
    return code if not kind or words == f"{kind}-{code}" else words


def answered(said: Callable[[str], str], code: str) -> str:
    """What a company or a bank answered, by its code; one that we do not know stands as it is."""
    return _word(said, "refused", code)
