"""The inbox that a region's commands are addressed to; it stands in the fronts' database.

Fronts write it when they first hear of an inbox, and `bridgectl inbox bind` when an operator means another one. It
travels in two headers of every frame of commands: a bridge with another inbox does not take the frame, and one
that finds a command sealed before `since` in it treats its outcome as unknown, for another inbox may have had it.
"""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, String, Table, select

from protocol.presence import InboxId
from protocol.runtime.applications import METADATA as FRONT_METADATA
from protocol.runtime.store_statements import insert_new

INBOX_HEADER = "inbox"
"""STOMP header of a frame of commands: the inbox it is for. Frames without it are of an older front."""
SINCE_HEADER = "inbox_since"
"""STOMP header: since when, epoch ms; 0 if no other inbox was ever the region's."""

GAP_HEADER = "ledger_gap"
"""STOMP header, of fronts whose ledger was put back as an older copy: `SINCE-UNTIL`, epoch ms, what it forgot."""

METADATA: MetaData = FRONT_METADATA
ADDRESS = Table(
    "region_inbox",
    METADATA,
    Column("only", Integer, primary_key=True, autoincrement=False),  # 1: there is one row
    Column("inbox", String(36), nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("bound_at", BigInteger, nullable=False),
    Column("bound_by", String(64), nullable=False),
    Column("note", String(400), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Address:
    """Which inbox, and since when."""

    inbox: InboxId
    since: int = 0
    """Epoch ms: commands sealed before may have been in another inbox. 0: there was none."""
    bound_at: int = 0
    bound_by: str = ""
    note: str = ""

    def headers(self) -> dict[str, str]:
        """Of the frames that carry commands."""
        return {INBOX_HEADER: self.inbox, SINCE_HEADER: str(self.since)}


def selector(inbox: InboxId) -> str:
    """What a bridge with this inbox subscribes to the command queue with (Jakarta Messaging 3.1, section 3.8)."""
    return f"{INBOX_HEADER} = '{inbox}' OR {INBOX_HEADER} IS NULL"


def read(connection: Connection) -> Address | None:
    """The region's inbox; None until a bridge was heard of."""
    row = connection.execute(select(ADDRESS)).first()
    return None if row is None else Address(row.inbox, row.since, row.bound_at, row.bound_by, row.note)


def first(connection: Connection, inbox: InboxId, front: str, now_ms: int) -> Address:
    """The first inbox a front hears of becomes the region's, unless there is one; returns the one there is then."""
    row = {"only": 1, "inbox": inbox, "since": 0, "bound_at": now_ms, "bound_by": front, "note": "the first heard of"}
    insert_new(connection, ADDRESS, [row])
    found = read(connection)
    assert found is not None
    return found


def bind(connection: Connection, address: Address) -> None:
    """An operator means this inbox from now on."""
    connection.execute(ADDRESS.delete())
    row = {
        "only": 1, "inbox": address.inbox, "since": address.since, "bound_at": address.bound_at,
        "bound_by": address.bound_by, "note": address.note,
    }  # fmt: skip
    connection.execute(ADDRESS.insert().values(row))
