"""The `[settlement.peers]` tables: bridges of other regions, whose marketing systems have bills that are paid here."""

from typing import Annotated

from pydantic import AfterValidator, Field

from protocol.operations import CATALOGUE, AnsweredBy
from protocol.runtime.settings import FilePath, Section


def _known(name: str) -> str:
    operation = CATALOGUE.get(name)
    if operation is None or operation.answered_by is AnsweredBy.BRIDGE:
        raise ValueError(f"{name} is not an operation of a marketing system")
    return name


class PeerSection(Section):
    """The bridges of one other region."""

    trusted: FilePath
    """That region's trusted.json: by it we know what its bridges sign, and seal what is for them."""
    operations: tuple[Annotated[str, AfterValidator(_known)], ...] = Field(default=(), max_length=100)
    """Commands that it may have our marketing system do, and queries that it may ask; none unless they are named."""
