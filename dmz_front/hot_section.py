"""The configuration of what is kept at the front."""

from typing import Annotated

from pydantic import Field, field_validator

from protocol.operations import OFFERED
from protocol.runtime.hot_section import HotOperationSection, check_named
from protocol.runtime.settings import Section

PUBLIC = "public"
"""The scope of what may be kept here."""


class FrontHotSection(Section):
    """Public information that is kept at the front. Nothing, unless operations are named."""

    bytes: Annotated[int, Field(ge=1 << 20, le=1 << 34)] = 16 << 20
    """Of memory, for all kept answers together."""
    operations: dict[str, HotOperationSection] = Field(default_factory=dict)

    @field_validator("operations")
    @classmethod
    def _public(cls, operations: dict[str, HotOperationSection]) -> dict[str, HotOperationSection]:
        check_named(operations, {name for name, one in OFFERED.items() if one.cacheable and one.scope == PUBLIC})
        return operations
