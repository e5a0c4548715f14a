"""Where a query's answer came from: said in a reply by who kept it, told to callers as RFC 9211 and RFC 9111 have it.

It travels in the `detail` of a reply that succeeded: fronts of earlier releases read none there, and earlier bridges
write none.
"""

import re
from enum import StrEnum

from protocol.values import immutable

NO_CACHE = "no-cache"
"""In `after` of a query (wire version 2): its caller wants no kept answer. Earlier bridges do not look there."""

_SAID = re.compile(r"cache (hit|uri-miss|stale|request) ([0-9]{1,9}) ([0-9]{1,9}) (stored|collapsed|-)")


class Way(StrEnum):
    """How an answer was come by, in the words of RFC 9211."""

    HIT = "hit"
    MISS = "uri-miss"
    """Nothing was kept."""
    STALE = "stale"
    """What was kept was too old."""
    REQUEST = "request"
    """The caller wanted none that was kept."""


@immutable
class Freshness:
    """Of one answer. Times are whole seconds."""

    way: Way
    age_s: int = 0
    """Since the marketing system was asked for it."""
    left_s: int = 0
    """So long it is kept yet."""
    stored: bool = False
    """It is kept now."""
    collapsed: bool = False
    """It was asked for once, for several callers."""

    def said(self) -> str:
        """As the detail of a reply."""
        last = "collapsed" if self.collapsed else "stored" if self.stored else "-"
        return f"cache {self.way} {self.age_s} {self.left_s} {last}"

    def headers(self, cache: str) -> list[tuple[bytes, bytes]]:
        """`Cache-Status` of the cache of that name, and `Age`."""
        if self.way is Way.HIT:
            told = f"{cache}; hit; ttl={self.left_s}"
            return [(b"cache-status", told.encode()), (b"age", b"%d" % self.age_s)]
        told = f"{cache}; fwd={self.way}"
        if self.collapsed:
            told += "; collapsed"
        elif self.stored:
            told += f"; stored; ttl={self.left_s}"
        return [(b"cache-status", told.encode())]


def heard(detail: str) -> Freshness | None:
    """What `said` wrote; None for anything else."""
    found = _SAID.fullmatch(detail)
    if found is None:
        return None
    way, age, left, last = found.groups()
    return Freshness(Way(way), int(age), int(left), last == "stored", last == "collapsed")
