"""The order of acceptance, as the ledger knows it and the wire says it: each command names the unfinished one of its
key that was accepted last.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from dmz_front.ledger.ledger import Ledger, ReportedOutcome
from dmz_front.ledger.rows import AUDIT, METADATA, Row
from protocol.lifecycle import State
from protocol.messages import LOWEST_VERSION, WIRE_VERSION
from protocol.runtime.audit import Audit
from protocol.runtime.store import Store
from tests.unit.clock import Clock
from tests.unit.dmz_front.harness import ORDER, Harness, turns
from tests.unit.dmz_front.ledger.test_ledger import row

pytestmark = pytest.mark.anyio


@pytest.fixture
def ledger(store: Store, clock: Clock) -> Ledger:
    return Ledger(store, clock)


def about(id: str, subject: str = "s", **changes: object) -> Row:
    return replace(row(id), subject=subject, envelope=b"", **changes)  # type: ignore[arg-type]


def says(id: str) -> Callable[[str], bytes]:
    return lambda after: json.dumps([id, after]).encode()


async def accepted(ledger: Ledger, id: str, subject: str = "s", **changes: object) -> str:
    """The predecessor a new row was sealed with."""
    held = await ledger.accept(about(id, subject, **changes), says(id))
    found = await ledger.find(held.id, "wechat")
    assert found == held
    sealed_id, after = json.loads(held.envelope)
    assert sealed_id == held.id
    return str(after)


async def test_each_names_the_one_before_it_of_its_subject(ledger: Ledger) -> None:
    assert [await accepted(ledger, id) for id in ("c", "a", "b")] == ["", "c", "a"]  # by acceptance, not by id
    assert await accepted(ledger, "x", "other") == ""
    assert await accepted(ledger, "d") == "b"


async def test_without_a_subject_there_is_no_order(ledger: Ledger) -> None:
    assert [await accepted(ledger, id, "") for id in "abc"] == ["", "", ""]


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.REFUSED, State.FAILED, State.EXPIRED, State.HELD])
async def test_what_is_final_or_held_is_no_predecessor(ledger: Ledger, state: State) -> None:
    await accepted(ledger, "a")
    await accepted(ledger, "b")
    await ledger.record_outcomes([ReportedOutcome("b", state, "", b"")])
    assert await accepted(ledger, "c") == "a"
    await ledger.record_outcomes(
        [ReportedOutcome("a", State.SUCCEEDED, "", b""), ReportedOutcome("c", State.SUCCEEDED, "", b"")]
    )
    assert await accepted(ledger, "d") == ""


async def test_what_was_sent_still_is(ledger: Ledger) -> None:
    await accepted(ledger, "a")
    await ledger.sent(["a"])
    assert await accepted(ledger, "b") == "a"


async def test_many_at_once_make_one_chain(ledger: Ledger) -> None:
    """Of every subject, whatever shares a transaction; a repeated key is no link of it."""
    rng = random.Random(7)
    rows = [about(f"id-{number}", f"s{number % 3}") for number in range(120)]
    repeats = [replace(one, id=f"{one.id}-again") for one in rng.sample(rows, 40)]
    asked = rows + repeats
    rng.shuffle(asked)
    held = await asyncio.gather(*(ledger.accept(one, says(one.id)) for one in asked))
    rows_held = {one.id: one for one in held}
    assert len(rows_held) == 120
    for subject in ("s0", "s1", "s2"):
        chain = sorted((one for one in rows_held.values() if one.subject == subject), key=lambda one: one.position)
        assert [one.position for one in chain] == list(range(1, 41))
        assert [json.loads(one.envelope)[1] for one in chain] == ["", *(one.id for one in chain[:-1])]


async def test_two_fronts_on_one_database_make_one_chain(clock: Clock, database_url: str) -> None:
    """Of each subject, and in what each caller saw: who heard of one acceptance comes after it, at either front."""
    stores = [Store(database_url, METADATA.create_all) for _ in range(2)]
    for store in stores:
        await store.start()
    fronts = [Ledger(store, clock) for store in stores]

    def slowly(id: str) -> Callable[[str], bytes]:
        def seal(after: str) -> bytes:
            time.sleep(0.01)  # the other front looks for its predecessor now, before this row is committed
            return says(id)(after)

        return seal

    async def caller(which: int) -> list[Row]:
        ids = [f"caller{which}-{n}" for n in range(15)]
        return [
            await fronts[(which + n) % 2].accept(about(id, f"s{n % 3}", front="any"), slowly(id))
            for n, id in enumerate(ids)
        ]

    seen = await asyncio.gather(*(caller(which) for which in range(8)))
    for store in stores:
        await store.close()
    for subject in ("s0", "s1", "s2"):
        chain = sorted((one for rows in seen for one in rows if one.subject == subject), key=lambda one: one.position)
        assert [one.position for one in chain] == list(range(1, 41))
        assert [json.loads(one.envelope)[1] for one in chain] == ["", *(one.id for one in chain[:-1])]
        for rows in seen:
            mine = [one.position for one in rows if one.subject == subject]
            assert mine == sorted(mine)


async def test_it_costs_one_search_of_the_index_whatever_the_backlog(clock: Clock, tmp_path: Path) -> None:
    """As SQLite's planner says; PostgreSQL's is asked in test_statements.py."""
    store = Store(f"sqlite:///{tmp_path / 'front.sqlite3'}", METADATA.create_all)
    await store.start()
    ledger = Ledger(store, clock)
    await accepted(ledger, "a")
    seen: list[str] = []
    event.listen(store._engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    await accepted(ledger, "b", "")
    assert not any("json_each" in statement for statement in seen)
    await accepted(ledger, "c")
    (statement,) = [statement for statement in seen if "json_each" in statement]
    plan = await store.read(
        lambda connection: connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", (1, 0, 1, 0, '["s"]')).all()
    )
    await store.close()
    text = " ".join(str(step) for step in plan)
    assert "requests_order (subject=?)" in text
    assert "SCAN requests" not in text
    assert "TEMP B-TREE" not in text


# --- on the wire ------------------------------------------------------------------------------------------

ASYNC = {"prefer": "respond-async"}


async def test_the_wire_says_it_to_a_bridge_that_reads_it(harness: Harness) -> None:
    harness.bridge.script = lambda _: None
    await harness.start()
    ids = []
    for number, account in enumerate(["3210000000001", "3210000000001", "3210000000002", "3210000000001"]):
        answer = await harness.order({**ORDER, "account": account}, key=f"k{number}", **ASYNC)
        ids.append(answer.json()["request_id"])
    await turns()
    said = {taken.attributes.id: taken.attributes for taken in harness.bridge.taken}
    assert [said[id].after for id in ids] == ["", ids[0], "", ids[1]]
    assert {one.version for one in said.values()} == {WIRE_VERSION}


@pytest.mark.parametrize("version", [None, 1, 7])
async def test_the_version_is_what_the_bridge_reads(harness: Harness, version: int | None) -> None:
    """None: no bridge was ever heard of."""
    await harness.start(bridge=version is not None)
    if version is not None:
        harness.bridge.announce(version=version)
        await turns()
    await harness.order(key="k1", **ASYNC)
    await harness.order(key="k2", **ASYNC)
    if version is None:
        await harness.bridge.start()
        await turns()
        assert not harness.bridge.taken  # for which inbox they are is not known yet
        harness.bridge.announce()
        await turns()
        await harness.front.outbox.sweep()
    await turns()
    await harness.ask() if version is not None else None
    assert {taken.attributes.version for taken in harness.bridge.taken} == {
        WIRE_VERSION if version == 7 else LOWEST_VERSION
    }
    assert len(harness.bridge.taken) == (3 if version is not None else 2)


async def test_a_front_told_to_speak_version_1_does(harness: Harness) -> None:
    harness.options["wire"] = {"version_max": 1}
    await harness.start()
    await harness.order()
    assert [taken.attributes.version for taken in harness.bridge.taken] == [1]


async def test_a_front_that_starts_again_goes_on_with_the_version_it_spoke(harness: Harness) -> None:
    """Or what it accepts before the first presence would have no place in the order."""
    harness.bridge.script = lambda _: None
    await harness.start()
    first = (await harness.order(key="k1", **ASYNC)).json()["request_id"]
    await turns()
    await harness.stop(bridge=False)
    await harness._start_front()
    await harness.grant("wechat-2", "*")
    assert harness.front.bridges.attached == 0
    await harness.order(key="k2", **ASYNC, app="wechat-2")
    harness.bridge.announce(version=1)
    await turns()
    await harness.front.outbox.sweep()
    await turns()
    assert [(taken.attributes.after, taken.attributes.version) for taken in harness.bridge.taken] == [
        ("", WIRE_VERSION),
        (first, WIRE_VERSION),
    ]
    assert harness.front.bridges.wire_version == 1


async def test_what_is_accepted_is_in_the_audit_log_once(store: Store, clock: Clock) -> None:
    audit = Audit(store, AUDIT, "front-1", clock)
    ledger = Ledger(store, clock, audit)
    one, two = row("one", key="k1"), row("two", key="k2")
    await ledger.accept(one)
    await ledger.accept(two)
    await ledger.accept(row("again", key="k1"))  # it has its row already
    accepted = [each for record in await audit.after(0, 10) for each in record.as_dict()["details"]["commands"]]
    assert accepted == [["one", one.operation, one.application], ["two", two.operation, two.application]]

    def nothing_left(_connection: object) -> None:
        raise ValueError("taken")

    with pytest.raises(ValueError, match="taken"):
        await ledger.accept(row("three", key="k3"), None, nothing_left)
    assert len(await audit.after(0, 10)) == 2
