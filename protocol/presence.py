"""Presence: a bridge tells the fronts of its region that it is there, and what it can do at the moment.

Sealed like every message (`Kind.PRESENCE`), so that nobody on the broker can invent a bridge; and always in the
lowest wire version, because it is what tells a front which versions the bridge reads. A front that has
heard from no bridge for a few intervals answers 502 at once instead of letting callers wait for a deadline.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from protocol.errors import Malformed
from protocol.maintenance import Pause
from protocol.messages import MAX_TIME_MS, WIRE_VERSION

PRESENCE = "presence"
"""The `type` attribute of a presence message."""


InboxId = Annotated[str, Field(max_length=36, pattern="^[0-9a-f-]*$")]
"""A random UUID, made when the inbox was; empty: the bridge is of an older release and does not say."""


class Availability(StrEnum):
    """How an operation stands at one bridge."""

    UP = "up"
    PAUSED = "paused"
    """Its marketing interface is left alone for a while: queries are answered `marketing-unavailable`, commands wait
    in the bridge's inbox. It fails, or, if `Presence.maintenance` says so, it is being maintained."""


Count = Annotated[int, Field(ge=0, le=1_000_000)]


class Presence(BaseModel):
    """What one bridge says of itself at one instant. Names and counts only: nothing of a customer."""

    # Unknown fields are ignored on purpose: a newer bridge may say more than an older front knows.
    model_config = ConfigDict(frozen=True, extra="ignore")

    instance: Annotated[str, Field(max_length=64)]
    version: int = WIRE_VERSION
    """The latest wire version it reads; it reads all before that too."""
    software: Annotated[str, Field(max_length=40)] = ""
    """Version of the program, for people."""
    time_ms: Annotated[int, Field(ge=0, le=MAX_TIME_MS)]
    """When this was said, epoch ms by the bridge's clock; the latest of an instance counts."""
    operations: Annotated[dict[Annotated[str, Field(max_length=64)], Availability], Field(max_length=1_000)]
    """Every operation bound at this bridge."""
    leaving: bool = False
    """It drains and takes nothing more; forget it."""
    in_flight: Count = 0
    """Queries and commands being worked on."""
    capacity: Count = 0
    """How many it works on at once."""
    query_slots: Count = 0
    """How many of these are queries; 0: it does not say."""
    query_ms: Annotated[float, Field(ge=0, le=86_400_000, allow_inf_nan=False)] = 0.0
    """Mean time of the latest calls for queries; 0: there was none yet. With `query_slots` it tells a front how fast
    its queries can be answered (see dmz_front/queries/shedding.py)."""

    inbox: InboxId = ""
    """Which inbox it keeps; bridges that share one database have the same."""
    inbox_shared: bool = True
    """Whether other bridges may keep the same; not with a file: then one of them is a copy."""
    decides: bool = False
    """It takes decisions of operators at the fronts (decisions.py)."""
    files: bool = False
    """It takes files (file_transfer.py)."""
    audit: Annotated[str, Field(max_length=160)] = ""
    """The head of its audit log (audit.py), about a minute old: fronts keep one a day."""

    maintenance: Annotated[tuple[Pause, ...], Field(max_length=1_000)] = ()
    """What is paused for maintenance, by the bridge's clock. An older front takes these for paused alone."""

    def payload(self) -> bytes:
        """The bytes that are sealed: JSON."""
        return self.model_dump_json().encode()

    @classmethod
    def from_payload(cls, payload: bytes) -> "Presence":
        """Read what `payload` wrote. Raises Malformed."""
        try:
            return cls.model_validate_json(payload)
        except ValidationError as error:
            raise Malformed("presence payload does not have the agreed shape") from error
