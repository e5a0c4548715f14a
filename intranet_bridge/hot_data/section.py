"""The configuration of hot data."""

from typing import Annotated

from pydantic import Field, field_validator

from protocol.operations import CATALOGUE, OWN
from protocol.runtime.settings import Misplaced, Section, nearest

LONGEST_S = 86_400
"""No answer is kept longer than a day."""


class HotOperationSection(Section):
    """One operation whose answers are kept."""

    lifetime_s: Annotated[float, Field(gt=0, le=LONGEST_S)]
    """So long after it was asked for an answer is given again. A command that may have changed it ends it before."""
    no_cache: bool = False
    """Whether a caller's `Cache-Control: no-cache` has the marketing system asked anew."""


class HotSection(Section):
    """What is kept. Nothing, unless operations are named."""

    bytes: Annotated[int, Field(ge=1 << 20, le=1 << 36)] = 64 << 20
    """Of memory, for all kept answers together."""
    joined: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    """So many queries at most wait for the answer to another, identical one; more are asked by themselves."""
    operations: dict[str, HotOperationSection] = Field(default_factory=dict)

    @field_validator("operations")
    @classmethod
    def _cacheable(cls, operations: dict[str, HotOperationSection]) -> dict[str, HotOperationSection]:
        able = {name for name, one in CATALOGUE.items() if one.cacheable} - OWN
        for name in operations:
            place = ("hot", "operations", name)
            if name not in CATALOGUE:
                near = nearest(name, able)
                meant = f"did you mean {near}?" if near else f"there are {', '.join(sorted(able))}"
                raise Misplaced(f"is not an operation of the catalogue; {meant}", place)
            if name not in able:
                raise Misplaced(f"its answers may not be kept; those that may: {', '.join(sorted(able))}", place)
        return operations
