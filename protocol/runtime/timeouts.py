"""How long the sessions of a PostgreSQL database may take: what is longer, the server ends with an error."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds; 0: without end."""

    statement_s: float = 0.0
    """One statement, the waits for locks included."""
    lock_s: float = 5.0
    """The wait for one lock."""
    idle_s: float = 5.0
    """A transaction between two statements: a process that is stopped in the middle of one must not keep its rows
    locked against who adopts them."""
