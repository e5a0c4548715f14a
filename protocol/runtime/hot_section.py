"""The configuration of kept answers, as both daemons have it."""

from collections.abc import Collection, Iterable
from typing import Annotated

from pydantic import Field

from protocol.operations import CATALOGUE
from protocol.runtime.settings import Misplaced, Section, nearest

LONGEST_S = 86_400
"""No answer is kept longer than a day."""


class HotOperationSection(Section):
    """One operation whose answers are kept."""

    lifetime_s: Annotated[float, Field(gt=0, le=LONGEST_S)]
    """So long after it was asked for an answer is given again. At the bridge a command that may have changed it ends it
    before."""
    no_cache: bool = False
    """Whether a caller's `Cache-Control: no-cache` has it asked for anew."""


def check_named(names: Iterable[str], able: Collection[str]) -> None:
    """Raises Misplaced, for the validator of a table by such names, for one whose answers may not be kept here."""
    for name in names:
        place = (name,)
        if name not in CATALOGUE:
            near = nearest(name, able)
            meant = f"did you mean {near}?" if near else f"there are {', '.join(sorted(able))}"
            raise Misplaced(f"is not an operation of the catalogue; {meant}", place)
        if name not in able:
            raise Misplaced(f"its answers may not be kept; those that may: {', '.join(sorted(able))}", place)
