"""The commands of sandbox applications: remembered here alone, in memory, the latest of each application.

A command that its caller waited for has its outcome at once. Any other takes a while, as real ones do:

::

    accepted ──1 s──► sent ──2 s──► what its example says
"""

from collections import OrderedDict
from dataclasses import dataclass, field, replace

from dmz_front.ledger.rows import Row
from protocol.lifecycle import State
from protocol.messages import Reply

SENT_MS = 1_000
SETTLED_MS = 3_000
CAPACITY = 1_000
"""Commands remembered of one application; the oldest is forgotten for one more."""


@dataclass(frozen=True, slots=True)
class SandboxCommand:
    """One command and what will have become of it."""

    row: Row
    example: str
    reply: Reply = field(repr=False)
    settled_at: int
    """Epoch ms."""

    def at(self, now_ms: int) -> Row:
        """The command as a ledger would hold it then."""
        if now_ms >= self.settled_at:
            return replace(self.row, state=self.reply.state, code=self.reply.code, updated_at=self.settled_at)
        if now_ms >= self.row.accepted_at + SENT_MS:
            return replace(self.row, state=State.SENT, updated_at=self.row.accepted_at + SENT_MS)
        return self.row


class SandboxCommands:
    """Finds commands by id and by Idempotency-Key. `row.idempotency_key` may be any text that stands for the key."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._by_id: dict[str, OrderedDict[str, SandboxCommand]] = {}
        self._by_key: dict[tuple[str, str], SandboxCommand] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def remember(self, command: SandboxCommand) -> None:
        """Keep one."""
        row = command.row
        mine = self._by_id.setdefault(row.application, OrderedDict())
        if len(mine) >= self._capacity:
            _, oldest = mine.popitem(last=False)
            del self._by_key[oldest.row.application, oldest.row.idempotency_key]
        mine[row.id] = command
        self._by_key[row.application, row.idempotency_key] = command

    def known(self, application: str, key: str) -> SandboxCommand | None:
        """The command that has this key."""
        return self._by_key.get((application, key))

    def find(self, application: str, id: str) -> SandboxCommand | None:
        """The command with this id, if it is the application's."""
        return self._by_id.get(application, OrderedDict()).get(id)
