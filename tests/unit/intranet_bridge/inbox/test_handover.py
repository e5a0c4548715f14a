"""Two bridges on one PostgreSQL database: what waits for the other's command goes on when that ends."""

import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from types import SimpleNamespace

import pytest

from intranet_bridge.inbox import ordering
from intranet_bridge.inbox.handover import Handover
from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.inbox.ordering import Ordering, QueuedCommand
from intranet_bridge.inbox.predecessors import Predecessors
from intranet_bridge.inbox.rows import METADATA, Received
from protocol.backoff import Backoff
from protocol.lifecycle import State
from protocol.runtime.store import Store
from tests.support.postgres import Postgres
from tests.unit.intranet_bridge.harness import until

pytestmark = pytest.mark.anyio


class Bridge:
    """Of a bridge, what decides which command is next."""

    def __init__(self, url: str, name: str) -> None:
        self.store = Store(url, METADATA.create_all)
        clock = itertools.count(1_700_000_000_000).__next__
        self.inbox, self.ordering = Inbox(self.store, name, clock), Ordering()
        backoff = Backoff(0.01, 0.1, lambda: 0.0)
        self.handover = Handover(self.ordering, self.store, backoff)
        self.predecessors = Predecessors(
            ordering=self.ordering, settled=self._settled, backoff=backoff, wait_for=self.handover.wait_for
        )
        self.ordering.work.connect(self._look)
        self.taken: list[str] = []
        self.asked = 0

    async def start(self) -> None:
        await self.store.start()
        await self.inbox.start()
        await self.handover.start()
        await until(lambda: self.handover.notifications.listening)

    async def close(self) -> None:
        self.predecessors.close()
        await self.handover.close()
        await self.store.close()

    async def take(self, id: str, after: str = "") -> QueuedCommand:
        """Record a command of the one key, and have it worked on when its turn comes."""
        row = Received(id, "work-order", "front-1/app", "key", "/queue/of.front", 0, b"sealed", after)
        await self.inbox.record([row])
        command = QueuedCommand(id, "work-order", "key", State.RECEIVED, after=after)
        self.ordering.add(command)
        self.ordering.work.send()
        return command

    async def finish(self, command: QueuedCommand) -> None:
        await self.inbox.finished(command.id, State.SUCCEEDED, 1, "", "", b"reply")
        self.ordering.done(command)

    async def _settled(self, ids: Sequence[str]) -> Mapping[str, bool]:
        self.asked += 1
        return await self.inbox.settled(ids)

    def _look(self) -> None:
        while (command := self.ordering.take(0.0, lambda _: True)) is not None:
            self.taken.append(command.id)


@pytest.fixture
async def bridges(postgres: Postgres) -> AsyncIterator[tuple[Bridge, Bridge]]:
    url = postgres.database("inbox")
    one, other = Bridge(url, "bridge-1"), Bridge(url, "bridge-2")
    await one.start()
    await other.start()
    yield one, other
    await one.close()
    await other.close()


async def test_the_end_of_a_command_is_told_to_the_bridge_that_waits_for_it(
    bridges: tuple[Bridge, Bridge], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "_TOLD_S", 3600.0)  # by looking it would not be found
    one, other = bridges
    first = await one.take("first")
    await other.take("second", after="first")
    await until(lambda: "first" in one.ordering._awaited)
    assert other.taken == []
    asked = other.asked
    await one.finish(first)
    await until(lambda: other.taken == ["second"])
    assert other.asked == asked + 1  # what is heard is not believed: the inbox is asked


async def test_what_ended_before_it_was_heard_that_somebody_waits_is_told_at_once(
    bridges: tuple[Bridge, Bridge], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "_TOLD_S", 3600.0)
    one, other = bridges
    first = await one.take("first")
    deaf, one.handover.notifications._heard = one.handover.notifications._heard, {}
    await other.take("second", after="first")
    await until(lambda: other.asked > 0 and not other.handover.notifications._saying)
    await one.finish(first)
    one.handover.notifications._heard = deaf
    other.handover.wait_for(["first"])  # as if it came only now
    await until(lambda: other.taken == ["second"])


async def test_who_listens_again_asks_who_waits(
    bridges: tuple[Bridge, Bridge], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not there when they said so, and would tell nobody."""
    monkeypatch.setattr(ordering, "_TOLD_S", 3600.0)
    one, other = bridges
    first = await one.take("first")
    await one.handover.close()
    one.handover.notifications._set(False)
    await other.take("second", after="first")
    await until(lambda: other.asked > 0 and not other.handover.notifications._saying)
    await one.handover.start()
    await until(lambda: "first" in one.ordering._awaited)
    await one.finish(first)
    await until(lambda: other.taken == ["second"])


async def test_without_the_connection_a_bridge_looks_for_itself(
    bridges: tuple[Bridge, Bridge], postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "_TOLD_S", 3600.0)
    one, other = bridges
    first = await one.take("first")
    await other.take("second", after="first")
    await until(lambda: "first" in one.ordering._awaited)
    for bridge in bridges:  # and none comes again
        bridge.handover.notifications._backoff = Backoff(3600.0, 3600.0, lambda: 0.0)
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%' AND datname = %s"
    database = one.store.url.partition("@/")[2].partition("?")[0]
    postgres.query(one.store.url, ended, database)
    await until(lambda: not any(bridge.handover.notifications.listening for bridge in bridges))
    await one.finish(first)
    await until(lambda: other.taken == ["second"])


async def test_a_connection_that_was_lost_is_made_again_and_what_was_said_meanwhile_is_asked(
    bridges: tuple[Bridge, Bridge], postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "_TOLD_S", 3600.0)
    one, other = bridges
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"
    postgres.query(one.store.url, ended)
    first = await one.take("first")
    await other.take("second", after="first")
    await until(lambda: all(bridge.handover.notifications.listening for bridge in bridges))
    await until(lambda: "first" in one.ordering._awaited)
    await one.finish(first)
    await until(lambda: other.taken == ["second"])


async def test_a_file_has_nobody_to_tell(tmp_path_factory: pytest.TempPathFactory) -> None:
    bridge = Bridge(f"sqlite:///{tmp_path_factory.mktemp('inbox') / 'x.sqlite3'}", "bridge-1")
    await bridge.store.start()
    await bridge.handover.start()
    bridge.handover.wait_for(["first"])
    assert not bridge.handover.notifications._tasks
    await bridge.close()


async def test_a_listening_that_has_ended_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def defect(**_arguments: object) -> None:
        raise ValueError("a defect")

    monkeypatch.setattr("psycopg.AsyncConnection.connect", defect)
    store = SimpleNamespace(libpq=lambda: {"host": "nowhere"})
    handover = Handover(Ordering(), store, Backoff(1.0, 1.0, lambda: 0.0))  # type: ignore[arg-type]
    assert handover.standing() == ""
    await handover.start()
    await until(handover.standing)
    assert handover.standing() == "the listening has ended"
    await handover.close()
