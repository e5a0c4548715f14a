"""What a family of the business offers: its interfaces, and its tables in the database."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from scripts.tools.marketing_simulator.effects import Applied
from scripts.tools.marketing_simulator.fields import Fields

Query = Callable[[Fields], bytes]
"""Reads; gives the response body."""
Effect = Callable[[Fields], Awaitable[Applied]]
"""Writes, through the effects."""


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface, whatever face it is called through."""

    path: str
    """Of the JSON face: `/api/bill/query`. The other faces derive their names from it."""
    query: Query | None = None
    effect: Effect | None = None
    """One of the two."""
