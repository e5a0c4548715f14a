"""Whose word something is, where it takes two people: one may be known by several names. Pure."""

import re
from collections.abc import Iterable

NO_SECOND = "The second person has the role approve."
"""Why somebody may be the first to say something, and not the second."""
_BEHIND = re.compile(r"(?:bridgectl:)?\S+ \(([\w.@-]+)\)")
_HERE = re.compile(r"bridgectl:(\S+)")


def person(name: str) -> str:
    """Who it is: `wang` of `root (wang)`, as somebody is written down who became root to ask (runtime/control.py,
    `Peer.behind`), and of `wang`, as a desk has members of staff. So desks are to name them as their hosts do.
    """
    found = _BEHIND.fullmatch(name) or _HERE.fullmatch(name)
    return (found[1] if found else name).casefold()


def among(name: str, names: Iterable[str]) -> bool:
    """Whether one of these is the same person."""
    return person(name) in {person(one) for one in names}
