"""Messages that may have killed who opened them.

A message that kills the process while it is being opened is not acknowledged, so the broker delivers it again, and
it kills again. It has no row anywhere yet. So an envelope that comes marked `redelivered` is named here, on disk,
before it is opened, one at a time, and struck off when the next one is taken: whatever the process dies of, at most
one envelope too many is named. One that is found named twice when it comes again (it was opened three times: once
unmarked, twice named) is not opened a fourth time, and is known from then on however it arrives.

A copy of the same envelope that was sent again comes unmarked. So everything is opened so while a marked one waits, and
for a while after a start that finds names on disk.

Only what is opened so pays for it: a commit each.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from sqlalchemy import BigInteger, Column, Connection, Integer, LargeBinary, MetaData, Table, delete, select

from protocol.errors import PoisonMessage
from protocol.link.port import Delivery
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.store import Store

log = logger(__name__)

POISON_DEATHS = 3
"""So many times the process died with a message in hand before that is set aside."""
_AFTER_A_DEATH_S = 60.0
"""So long after a start that finds names on disk everything is suspected, until they have come again."""


def poison_table(metadata: MetaData) -> Table:
    """The table, in a daemon's own database."""
    return Table(
        "suspects",
        metadata,
        Column("digest", LargeBinary(32), primary_key=True),
        Column("opened", Integer, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
    )


class PoisonMessages:
    """One daemon's poison messages among the envelopes that have no row: those that are, and those that may be."""

    def __init__(self, store: Store, table: Table, clock: Clock) -> None:
        self._store, self._table, self._clock = store, table, clock
        self._killers: set[bytes] = set()
        self._recalled: set[bytes] = set()
        """What the last process may have died of, and has not come again yet."""
        self._recalled_until = 0.0
        self._in_hand: bytes | None = None
        self._waiting = 0
        """Deliveries that `careful` said of, and whose turn is not over."""
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Read which envelopes are known to kill, and which may."""
        found = select(self._table.c.digest, self._table.c.opened)
        rows = await self._store.read(lambda connection: connection.execute(found).all())
        self._killers = {row.digest for row in rows if row.opened >= POISON_DEATHS}
        self._recalled = {row.digest for row in rows} - self._killers
        self._recalled_until = asyncio.get_running_loop().time() + _AFTER_A_DEATH_S

    def careful(self, delivery: Delivery) -> bool:
        """Whether the envelopes of a delivery are to be opened one at a time, in a `turn`, each after `take`: it came
        before, or another waits to be opened so (what dies meanwhile would be blamed on the wrong one, or on none)."""
        named = bool(self._recalled) and asyncio.get_running_loop().time() < self._recalled_until
        if not (self._waiting or named or delivery.headers.get("redelivered") == "true"):
            return False
        self._waiting += 1
        return True

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One delivery at a time is opened carefully. At the end nobody died of it."""
        try:
            async with self._turn:
                yield
                await self.passed()
        finally:
            self._waiting = max(0, self._waiting - 1)  # one that failed may have its turn again

    def check(self, envelope: bytes) -> None:
        """Raises PoisonMessage for an envelope that is known to kill."""
        if self._killers and _digest(envelope) in self._killers:
            raise PoisonMessage("it killed this program three times")

    async def take(self, envelope: bytes) -> None:
        """Name an envelope before it is opened, and strike off the one before it.

        Raises PoisonMessage if it must not be opened.
        """
        digest, before = _digest(envelope), self._in_hand
        self._recalled.discard(digest)
        counted: list[int] = []

        def name(connection: Connection) -> int:
            # once a delivery: by a commit that was done and seemed to fail it is counted already
            done = bool(counted) and counted[-1] < POISON_DEATHS and self._opened(connection, digest) == counted[-1]
            if not done:
                counted.append(self._named(connection, digest, before))
            return counted[-1]

        opened = await self._store.write(name)
        self._in_hand = None if opened >= POISON_DEATHS else digest
        if opened >= POISON_DEATHS:
            if digest not in self._killers:
                log.error("poison-message-refused", reason=PoisonMessage.reason, digest=digest.hex())
            self._killers.add(digest)
            raise PoisonMessage("it killed this program three times")

    async def passed(self) -> None:
        """The last one taken was opened and nobody died."""
        if self._in_hand is not None:
            digest, self._in_hand = self._in_hand, None
            await self._store.write(lambda connection: self._strike_off(connection, digest))

    async def forget(self, before_ms: int) -> None:
        """Delete what is older than any message can be."""
        gone = delete(self._table).where(self._table.c.updated_at < before_ms)
        await self._store.write(lambda connection: connection.execute(gone).rowcount)

    def _named(self, connection: Connection, digest: bytes, before: bytes | None) -> int:
        if before is not None and before != digest:
            self._strike_off(connection, before)
        columns, now = self._table.c, self._clock()
        opened = self._opened(connection, digest)
        if opened is not None and before == digest:
            return opened  # named by this process, which lives: the same delivery is gone through once more
        if opened is None:
            connection.execute(self._table.insert(), {"digest": digest, "opened": 1, "updated_at": now})
            return 1
        opened = min(opened + 1, POISON_DEATHS)
        connection.execute(self._table.update().where(columns.digest == digest).values(opened=opened, updated_at=now))
        return opened

    def _opened(self, connection: Connection, digest: bytes) -> int | None:
        columns = self._table.c
        opened: int | None = connection.execute(select(columns.opened).where(columns.digest == digest)).scalar()
        return opened

    def _strike_off(self, connection: Connection, digest: bytes) -> None:
        columns = self._table.c
        connection.execute(delete(self._table).where(columns.digest == digest, columns.opened < POISON_DEATHS))


def _digest(envelope: bytes) -> bytes:
    return sha256(envelope).digest()
