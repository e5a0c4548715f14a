"""Commands that the bridge gives itself: the write-off of an order's line, the reversal that a statement demands.

They take the path of every command: a row of the inbox, `calling` before the call, the operation's rule for an unknown
outcome, an operator's decision where it stays unknown. What differs is both ends: who gives one records it in the
transaction that makes it true, and who gave it takes its outcome in the transaction that marks the row as replied, so
neither is ever lost or done twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Protocol

from pydantic import BaseModel
from sqlalchemy import Connection

from protocol.lifecycle import State
from protocol.values import immutable


@immutable
class InternalCommand:
    """One to be done."""

    id: str
    """Request id, which the marketing system gets too: at most 64 of `0-9A-Za-z._:-`, and no UUID, which is the form
    of fronts' ids. Recorded once: a second one of this id changes nothing.
    """
    operation: str
    body: BaseModel = field(repr=False)
    consumer: str
    """Who takes its outcome."""
    region: str = ""
    """Of the bridge that has the marketing system; empty: this one."""


@immutable
class InternalOutcome:
    """What became of one: final, or HELD, after which a final one follows."""

    id: str
    operation: str
    state: State
    code: str = ""
    detail: str = field(default="", repr=False)
    result: bytes = field(default=b"", repr=False)
    """The answer's JSON; empty: none."""


Consumer = Callable[[Connection, Sequence[InternalOutcome]], None]
"""Called within the transaction that marks them as taken. It may be called again with one that it had, and then changes
nothing more.
"""


class InternalCommands(Protocol):
    """The way to have something done by the bridge's own command path."""

    def record(self, connection: Connection, commands: Sequence[InternalCommand]) -> None:
        """Write them down, within the caller's transaction. Raises StoreKeyClosed while the store's key is not open,
        and ValueError for one that is not to be carried out here: a mistake of the caller's.
        """

    def begin(self) -> None:
        """After the commit: work on what was recorded. (A start does by itself, and so does the taking of outcomes.)"""

    def consume(self, consumer: str, take: Consumer, taken: Callable[[], None] | None = None) -> None:
        """Who takes the outcomes for a consumer. Told before anything is recorded for it, in a part's `start` at the
        latest. `take` runs in the thread that writes, within the transaction: it is quick, and changes nothing but the
        database. What it raises undoes that transaction, which is tried again, later and later. `taken` is called on
        the loop once the transaction is committed, so that who is woken by it reads what `take` wrote.
        """
