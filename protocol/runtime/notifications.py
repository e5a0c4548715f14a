"""What processes that share a PostgreSQL database tell each other at once, by NOTIFY and LISTEN.

A notification reaches who listens at that moment, and is lost with a connection. So it only makes earlier what a look
at the database would find anyway; who waits for one looks too, less often while it may rely on being told. Whether it
may is tried: a pool between (PgBouncer by transactions) takes LISTEN and delivers nothing, so what we say ourselves
must be heard first.

SQLite has one process, which has nobody to tell.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from protocol.backoff import Backoff
from protocol.runtime.logs import logger
from protocol.runtime.retry import now_and_then
from protocol.runtime.store import Store
from protocol.runtime.store_health import said
from protocol.runtime.watchdog import ended

log = logger(__name__)

_SAY = text("SELECT pg_notify(:channel, :words)")
_TOGETHER = 100
"""Words of one notification: PostgreSQL takes 8,000 bytes."""


class Notifications:
    """One listening connection, and a way to tell."""

    def __init__(
        self,
        store: Store,
        heard: Mapping[str, Callable[[list[str]], object]],
        changed: Callable[[], object],
        backoff: Backoff,
    ) -> None:
        """`heard`: by channel, who is told the words that were said there, our own too. `changed`: `listening` has
        changed; what was said before may be lost. `backoff`: the waits after a connection that failed.
        """
        self._store, self._heard, self._changed, self._backoff = store, heard, changed, backoff
        self._probe = f"probe_{uuid.uuid4().hex}"
        self._saying: dict[str, dict[str, None]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.listening = False
        """What others say is heard."""

    def start(self) -> None:
        """Listen from now on, if there is anything to listen to."""
        arguments = self._store.libpq()
        if arguments is not None:
            self._tasks["listen"] = asyncio.get_running_loop().create_task(self._listen_for_ever(arguments))

    async def close(self) -> None:
        """Listen no more."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def standing(self) -> str:
        """What stands still for ever (watchdog.py)."""
        return ended(self._tasks.get("listen"), "the listening")

    def say(self, channel: str, words: Iterable[str]) -> None:
        """Tell all who listen there, soon; what is said meanwhile goes together. Words are without spaces."""
        if not self.listening:
            return
        self._saying.setdefault(channel, {}).update(dict.fromkeys(words))
        if "say" not in self._tasks:
            self._tasks["say"] = asyncio.get_running_loop().create_task(self._say())

    async def _say(self) -> None:
        try:
            while self._saying:
                saying, self._saying = self._saying, {}
                for channel, words in saying.items():
                    await self._notify(channel, list(words))
        except SQLAlchemyError as error:  # who waits looks for itself
            self._saying = {}
            log.warning("others-not-told", reason=said(error))
        finally:
            self._tasks.pop("say", None)

    async def _notify(self, channel: str, words: list[str]) -> None:
        parts = [" ".join(words[first : first + _TOGETHER]) for first in range(0, len(words), _TOGETHER)]
        rows = [{"channel": channel, "words": part} for part in parts]
        await self._store.read(lambda connection: [connection.execute(_SAY, row) for row in rows] and None)

    async def _listen_for_ever(self, arguments: dict[str, Any]) -> None:
        import psycopg

        failures = 0
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(**arguments, autocommit=True) as connection:
                    await self._listen(connection)
            except (psycopg.Error, SQLAlchemyError, OSError) as error:
                failures = 1 if self.listening else failures + 1
                if now_and_then(failures):
                    log.warning("not-listening", reason=said(error), failures=failures)
            self._set(False)
            await asyncio.sleep(self._backoff.after(failures))

    async def _listen(self, connection: Any) -> None:
        for channel in (self._probe, *self._heard):
            await connection.execute(f'LISTEN "{channel}"')
        await self._notify(self._probe, ["here"])
        async with contextlib.aclosing(connection.notifies()) as notifications:
            async for notification in notifications:
                if notification.channel == self._probe:
                    self._set(True)
                elif (heard := self._heard.get(notification.channel)) is not None:
                    heard(notification.payload.split())

    def _set(self, listening: bool) -> None:
        if listening != self.listening:
            self.listening = listening
            self._changed()
