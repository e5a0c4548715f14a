"""Names of files: what they say, and never a path. Pure."""

import re
import unicodedata
from datetime import date, datetime

from intranet_bridge.settlement.statements.profiles import Profile
from intranet_bridge.settlement.statements.verdicts import Code, Finding, StatementRefused
from protocol.values import immutable

MOST_NAME = 200
_DAYS = {8: "%Y%m%d", 10: "%Y-%m-%d", 6: "%y%m%d"}


@immutable
class Named:
    """What a name says; empty where it does not."""

    name: str
    """Without the blanks."""
    day: date | None = None
    merchant: str = ""
    unit: str = ""


def tidy(name: str) -> tuple[str, bool]:
    """The name without blanks inside or around it, and whether there were any: partners have sent
    `SDDL_REDKKK_ 37101_20261125.txt`. Raises StatementRefused for one with a separator or control characters.
    """
    tidied = "".join(name.split(" "))
    odd = any(unicodedata.category(character)[0] in "CZ" for character in tidied)
    if not tidied or len(tidied) > MOST_NAME or odd or "/" in tidied or "\\" in tidied or tidied.startswith("."):
        raise StatementRefused(Code.WRONG_NAME, Finding("a name with separators, control characters, or none"))
    return tidied, tidied != name


def bare(name: str) -> str:
    """The name without blanks; as it is where it is none."""
    try:
        return tidy(name)[0]
    except StatementRefused:
        return name


def said(name: str, profile: Profile) -> Named:
    """What a file's name says by its profile. Raises StatementRefused (`wrong-name`)."""
    tidied, _ = tidy(name)
    for pattern in profile.names:
        if found := re.fullmatch(pattern, tidied):
            groups = found.groupdict()
            return Named(tidied, day(groups.get("day")), groups.get("merchant") or "", groups.get("unit") or "")
    raise StatementRefused(Code.WRONG_NAME, Finding(f"no name of a file of {profile.name}", found=tidied))


def day(text: str | None) -> date | None:
    """`20261124`, `2026-11-24` or `261124`. Raises StatementRefused (`wrong-name`) for a day there is not."""
    if not text:
        return None
    try:
        return datetime.strptime(text, _DAYS[len(text)]).date()
    except (KeyError, ValueError):
        raise StatementRefused(Code.WRONG_NAME, Finding("its day is none", found=text)) from None
