"""The configuration of hot data."""

from typing import Annotated

from pydantic import Field, field_validator

from protocol.operations import CATALOGUE, OWN
from protocol.runtime.hot_section import HotOperationSection, check_named
from protocol.runtime.settings import Section


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
        check_named(operations, {name for name, one in CATALOGUE.items() if one.cacheable} - OWN)
        return operations
