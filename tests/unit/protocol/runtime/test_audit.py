"""A daemon's audit log in its database: in the transaction of what it is about, pruned, witnessed, forwarded."""

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import Column, Connection, MetaData, String, Table, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from structlog.testing import capture_logs

from protocol.audit import ACCEPTED, ACT, PRUNED, WITNESSED, Broken, Head, Verification
from protocol.errors import BridgeError
from protocol.runtime.audit import Audit, AuditSection, anchor_of, audit_tables, chains_of, head_of, records_of
from protocol.runtime.store import Store
from tests.unit.clock import Clock
from tests.unit.done_twice import written_twice

pytestmark = pytest.mark.anyio
METADATA = MetaData()
TABLES = audit_tables(METADATA)
DECIDED = Table("decided", METADATA, Column("what", String(20), primary_key=True))
DAY = 86_400_000


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    store = Store(database_url, METADATA.create_all)
    await store.start()
    yield store
    await store.close()


def made(store: Store, clock: Clock, chain: str = "front-1") -> Audit:
    return Audit(store, TABLES, chain, clock)


async def broken(store: Store, chain: str = "front-1") -> Broken | None:
    anchor = await store.read(lambda connection: anchor_of(connection, TABLES, chain))
    going = Verification(anchor)
    for record in await store.read(lambda connection: records_of(connection, TABLES, chain, -1, 10_000)):
        wrong = going.next(record)
        if wrong:
            return wrong
    return going.end()


async def test_records_of_several_daemons_are_chains_of_their_own(store: Store, clock: Clock) -> None:
    one, other = made(store, clock), made(store, clock, "front-2")
    for number in range(3):
        await one.act("pause", "root", operations=[f"o{number}"])
        await other.write(ACT, {"number": number})
    assert await store.read(lambda connection: chains_of(connection, TABLES)) == ["front-1", "front-2"]
    assert [record.sequence for record in await one.after(0, 10)] == [1, 2, 3]
    assert (await broken(store), await broken(store, "front-2")) == (None, None)
    again = made(store, clock)  # after a restart it goes on
    await again.act("resume", "root")
    assert (await again.look()).sequence == 4
    assert await broken(store) is None


async def test_a_decision_and_its_record_are_one_transaction(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = made(store, clock)

    def decide(connection: Connection, what: str) -> str:
        connection.execute(DECIDED.insert().values(what=what))
        return what.upper()

    with capture_logs() as logs:
        assert await audit.transact(partial(decide, what="a"), "approve", "li", lambda made: {"made": made}) == "A"
    assert [(entry["act"], entry["by"]) for entry in logs] == [("approve", "li")]
    (record,) = await audit.after(0, 10)
    assert json.loads(record.text)["details"] == {"act": "approve", "by": "li", "made": "A"}

    def full(*_: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("disk full"))

    monkeypatch.setattr(audit, "append_in", full)
    with capture_logs() as logs, pytest.raises(OperationalError):
        await audit.transact(partial(decide, what="b"), "approve", "li", lambda made: {"made": made})
    assert not [entry for entry in logs if entry.get("act")]
    assert await store.read(lambda connection: connection.execute(select(DECIDED.c.what)).scalars().all()) == ["a"]


async def test_a_decision_whose_commit_seems_to_fail_is_made_once(store: Store, clock: Clock) -> None:
    """The second time it would find what the first has done: a refusal, or another's half of what takes two people."""
    audit, made_by = made(store, clock), list[str]()

    def decide(connection: Connection) -> int:
        made_by.append("li")
        connection.execute(DECIDED.insert().values(what=f"number {len(made_by)}"))
        return len(made_by)

    written_twice(store)
    for number in (1, 2):  # another one, of the same words, is another one
        assert await audit.transact(decide, "approve", "li", lambda made: {"made": made}) == number
    decided = await store.read(lambda connection: connection.execute(select(DECIDED.c.what)).scalars().all())
    assert decided == ["number 1", "number 2"]
    assert [json.loads(record.text)["details"]["made"] for record in await audit.after(0, 10)] == [1, 2]
    assert await broken(store) is None


async def test_what_is_not_committed_leaves_no_record_and_no_gap(store: Store, clock: Clock) -> None:
    audit = made(store, clock)
    await audit.write(ACT, {})

    def fails(connection: object) -> None:
        audit.accepted_in(connection, [("r1", "work-order", "wechat")])  # type: ignore[arg-type]
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        await store.write(fails)
    await store.write(lambda connection: audit.accepted_in(connection, [("r2", "work-order", "wechat")]))
    await store.write(lambda connection: audit.accepted_in(connection, []))
    first, second = await audit.after(0, 10)
    assert (first.event, second.event, "r2" in second.text) == (ACT, ACCEPTED, True)
    assert await broken(store) is None


async def test_what_a_savepoint_undid_leaves_no_record_and_no_gap(store: Store, clock: Clock) -> None:
    audit = made(store, clock)
    await audit.write(ACT, {"number": 1})

    def half(connection: Connection) -> None:
        with connection.begin_nested() as inner:
            audit.append_in(connection, ACT, {"number": 2})
            inner.rollback()
        audit.append_in(connection, ACT, {"number": 3})

    await store.write(half)
    await audit.write(ACT, {"number": 4})
    assert [record.as_dict()["details"]["number"] for record in await audit.after(0, 10)] == [1, 3, 4]
    assert await broken(store) is None


async def test_the_head_is_read_once_and_after_each_rollback(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Head] = []

    def counted(*given: Any) -> Head:
        read.append(head_of(*given))
        return read[-1]

    monkeypatch.setattr("protocol.runtime.audit.head_of", counted)
    audit = made(store, clock)
    for _ in range(3):
        await audit.write(ACT, {})
    assert len(read) == 1

    def fails(connection: Connection) -> None:
        audit.append_in(connection, ACT, {})
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        await store.write(fails)
    await audit.write(ACT, {})
    assert [head.sequence for head in read[-1:]] == [3]
    assert await broken(store) is None


async def test_the_chain_is_whole_after_a_commit_that_was_done_though_its_connection_broke(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = made(store, clock)
    await audit.write(ACT, {"number": 1})
    dialect = store._engine.dialect
    commit = dialect.do_commit

    def lost(connection: Any) -> None:
        commit(connection)
        monkeypatch.setattr(dialect, "do_commit", commit)
        raise OperationalError("COMMIT", {}, Exception(), connection_invalidated=True)

    monkeypatch.setattr(dialect, "do_commit", lost)
    await audit.write(ACT, {"number": 2})  # it is done again, and whoever accepts commands finds his rows then
    await audit.write(ACT, {"number": 3})
    numbers = [record.as_dict()["details"]["number"] for record in await audit.after(0, 10)]
    assert numbers == [1, 2, 2, 3]
    assert await broken(store) is None


async def test_a_chain_that_somebody_else_went_on_with_is_gone_on_with_after_theirs(store: Store, clock: Clock) -> None:
    audit, other = made(store, clock), made(store, clock)
    await audit.write(ACT, {"number": 1})
    await other.write(ACT, {"number": 2})
    await audit.write(ACT, {"number": 3})
    assert [record.as_dict()["details"]["number"] for record in await audit.after(0, 10)] == [1, 2, 3]
    assert await broken(store) is None


async def test_many_accepted_at_once_are_a_record_for_twenty(store: Store, clock: Clock) -> None:
    audit = made(store, clock)
    commands = [(f"01a226f8-0f64-736b-82fb-f71947647e{n:02}", "connection-application", "wechat") for n in range(45)]
    await store.write(lambda connection: audit.accepted_in(connection, commands))
    records = await audit.after(0, 10)
    assert [len(record.as_dict()["details"]["commands"]) for record in records] == [20, 20, 5]
    assert max(len(record.text) for record in records) < 1_900  # with its head it fits a datagram of 2 KB
    assert await broken(store) is None


async def test_pruning_keeps_the_chain_verifiable(store: Store, clock: Clock) -> None:
    audit = made(store, clock)
    for _ in range(5):
        await audit.write(ACT, {})
        clock.now += DAY
    assert await audit.forget(10) == 0
    assert await audit.forget(2.5) == 3
    assert [(record.sequence, record.event) for record in await audit.after(0, 10)] == [(4, ACT), (5, ACT), (6, PRUNED)]
    assert await broken(store) is None
    assert await audit.forget(2.5) == 0
    clock.now += 100 * DAY
    assert await audit.forget(2.5) == 3  # all: what says so is left
    assert await broken(store) is None
    assert (await audit.look()).sequence == 7
    tampered = TABLES.records.delete().where(TABLES.records.c.sequence == 7)
    await store.write(lambda connection: connection.execute(tampered))
    wrong = await broken(store)
    assert wrong is not None
    assert "pruned" in wrong.reason


async def test_the_head_is_in_the_journal_once_a_day(store: Store, clock: Clock) -> None:
    audit = made(store, clock)
    with capture_logs() as logs:
        await audit.look()  # there is nothing yet
        await audit.write(ACT, {})
        head = await audit.look()
        await audit.look()
        clock.now += DAY
        await audit.look()
    assert [line["head"] for line in logs] == [str(head), str(head)]


async def test_a_bridges_head_is_kept_once_a_day(store: Store, clock: Clock) -> None:
    audit = made(store, clock)
    said = str(Head("bridge-1", 5, "a" * 64))
    for _ in range(3):
        await audit.witness(said)
    for nothing in ("", "bridge-1:x"):
        await audit.witness(nothing)
    [record] = await audit.after(0, 10)
    details = {"chain": "bridge-1", "sequence": 5, "hash": "a" * 64}
    assert (record.event, record.as_dict()["details"]) == (WITNESSED, details)
    clock.now += DAY
    await audit.witness(str(Head("bridge-1", 9, "b" * 64)))
    assert len(await audit.after(0, 10)) == 2


async def test_an_act_that_cannot_be_written_stops_nobody_but_a_reveal(store: Store, clock: Clock) -> None:
    audit = made(store, clock)

    def full(_connection: object) -> None:
        raise SQLAlchemyError("full")

    store.guard = full
    with capture_logs() as logs:
        await audit.act("pause", "root")
        with pytest.raises(BridgeError, match="nothing was done"):
            await audit.strictly("reveal", "root", request="r1")
    assert [line["event"] for line in logs] == ["administrative-act", "audit-not-written", "administrative-act"]


async def test_how_far_it_was_forwarded_outlasts_the_process(store: Store, clock: Clock) -> None:
    audit = made(store, clock)
    for _ in range(4):
        await audit.write(ACT, {})
    assert await audit.forwarded() == 4  # never yet: from now on
    await audit.note_forwarded(2)
    assert await made(store, clock).forwarded() == 2
    clock.now += 300 * DAY
    await audit.forget(200)
    assert (await audit.forwarded(), await broken(store)) == (2, None)


def test_its_settings() -> None:
    assert AuditSection().retention_days >= 183
    for good in ("udp://log.lan:514", "tcp://[::1]:601", "unix:/dev/log"):
        assert AuditSection(syslog=good).syslog == good
    for bad in ("log.lan", "tls://x:1", "udp://x", "udp://x:0", "tcp://x:70000", "unix:dev/log"):
        with pytest.raises(ValidationError, match="udp://HOST:PORT"):
            AuditSection(syslog=bad)
