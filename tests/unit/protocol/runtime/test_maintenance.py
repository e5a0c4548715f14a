"""What is paused is kept in a real database, shared by those who share that, and audited."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine, MetaData
from structlog.testing import capture_logs

from protocol.errors import BridgeError
from protocol.maintenance import Pause
from protocol.runtime.control import Peer
from protocol.runtime.maintenance import Maintenance, MaintenanceSection, maintenance_table
from protocol.runtime.store import Store
from tests.unit.clock import Clock

pytestmark = pytest.mark.anyio

METADATA = MetaData()
TABLE = maintenance_table(METADATA)
OPERATIONS = ("bill-query", "work-order")
ROOT = Peer(0, 1)
WINDOW = {"operations": ["*"], "from": "00:00", "to": "00:00"}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    def prepare(engine: Engine) -> None:
        METADATA.create_all(engine)

    store = Store(f"sqlite:///{tmp_path / 'x.sqlite3'}", prepare)
    await store.start()
    yield store
    await store.close()


def made(
    store: Store, clock: Clock, section: dict[str, Any] | None = None
) -> tuple[Maintenance, list[tuple[Pause, ...]]]:
    told: list[tuple[Pause, ...]] = []
    one = Maintenance(
        store=store, table=TABLE, operations=OPERATIONS, section=MaintenanceSection.model_validate(section or {}),
        clock=clock, changed=told.append,
    )  # fmt: skip
    return one, told


def names(one: Maintenance) -> list[str]:
    return [name for pause in one.pauses for name in pause.operations]


async def test_a_pause_outlasts_its_process_and_ends_by_itself(store: Store, clock: Clock) -> None:
    one, told = made(store, clock)
    await one.look()
    assert told == []
    with capture_logs() as logs:
        await one.pause({"operations": ["work-order"], "until": clock.now + 5_000, "reason": " new \n release "}, ROOT)
    assert told == [one.pauses]
    [pause] = one.pauses
    assert (pause.operations, pause.by, pause.reason) == (("work-order",), "root", "new release")
    assert [(line["event"], line.get("act"), line.get("by")) for line in logs] == [
        ("maintenance-began", None, ["root"]), ("administrative-act", "pause", "root"),
    ]  # fmt: skip
    after, told = made(store, clock)
    await after.look()
    assert after.pauses == one.pauses
    clock.now += 5_000
    await after.look()
    assert told == [one.pauses, ()]


async def test_another_end_keeps_the_beginning(store: Store, clock: Clock) -> None:
    one, _ = made(store, clock)
    await one.pause({"every": True}, ROOT)
    began = clock.now
    clock.now += 60_000
    await one.pause({"every": True, "until": clock.now + 1}, ROOT)
    assert [(pause.since, pause.until) for pause in one.pauses] == [(began, clock.now + 1)]


async def test_two_on_one_database_pause_and_resume_together(store: Store, clock: Clock) -> None:
    one, _ = made(store, clock)
    other, told = made(store, clock)
    await one.pause({"every": True}, ROOT)
    await other.look()
    assert names(other) == list(OPERATIONS)
    await other.resume({"operations": ["bill-query"]}, ROOT)
    await one.look()
    assert names(one) == ["work-order"]
    assert len(told) == 2


async def test_a_window_begins_and_a_resume_ends_it(store: Store, clock: Clock) -> None:
    one, _ = made(store, clock, {"zone": "Asia/Shanghai", "windows": [WINDOW]})
    await one.look()
    assert {pause.by for pause in one.pauses} == {"schedule"}
    await one.resume({"every": True}, ROOT)
    assert one.pauses == ()
    assert one.next_window is not None
    clock.now = one.next_window.since
    await one.look()
    assert names(one) == list(OPERATIONS)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"operations": ["theft-report"]}, "not served here: theft-report; here are bill-query, work-order"),
        ({}, "name some, or say all"),
        ({"operations": ["bill-query"], "every": True}, "name some, or say all"),
        ({"every": True, "until": 1}, "until: is over already"),
        ({"every": True, "until": -1}, "until"),
        ({"every": True, "reason": "x" * 201}, "reason"),
    ],
)
async def test_what_cannot_be_paused(store: Store, clock: Clock, question: dict[str, Any], words: str) -> None:
    one, told = made(store, clock)
    with pytest.raises(BridgeError, match=words):
        await one.pause(question, ROOT)
    assert told == []


async def test_what_is_not_paused_cannot_be_resumed(store: Store, clock: Clock) -> None:
    one, _ = made(store, clock)
    with pytest.raises(BridgeError, match="not paused here: bill-query"):
        await one.resume({"operations": ["bill-query"]}, ROOT)


async def test_a_database_that_fails_changes_nothing_and_is_said_once(store: Store, clock: Clock) -> None:
    one, _ = made(store, clock)
    await one.pause({"every": True, "until": clock.now + 10}, ROOT)
    await store.write(lambda connection: TABLE.drop(connection))
    with capture_logs() as logs:
        await one.look()
        await one.look()
        with pytest.raises(BridgeError, match="nothing was changed"):
            await one.resume({"every": True}, ROOT)
    assert [line["event"] for line in logs] == ["maintenance-not-read"]
    assert names(one) == list(OPERATIONS)
    clock.now += 10
    await one.look()
    assert one.pauses == ()


async def test_the_gauge(store: Store, clock: Clock) -> None:
    one, _ = made(store, clock)
    await one.pause({"operations": ["work-order"]}, ROOT)
    samples = {labels["operation"]: value for _, _, labels, value in one.samples_of("x")}
    assert samples == {"bill-query": 0, "work-order": 1}


async def test_a_pause_without_an_end_has_its_beginning_in_the_metrics(store: Store, clock: Clock) -> None:
    one, _ = made(store, clock)
    await one.pause({"operations": ["bill-query"], "until": clock.now + 60_000}, ROOT)
    assert [value for *_, value in one.endless("x")] == [0]
    began = clock.now
    await one.pause({"operations": ["work-order"]}, ROOT)
    clock.now += 5_000
    await one.pause({"operations": ["bill-query"]}, ROOT)
    assert [value for *_, value in one.endless("x")] == [began / 1000]
    await one.resume({"every": True}, ROOT)
    assert [value for *_, value in one.endless("x")] == [0]


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"zone": "Asia/Peking"}, "is not a time zone"),
        ({"zone": "../../etc/passwd"}, "is not a time zone"),
        ({"windows": [WINDOW]}, "needs zone"),
        ({"zone": "UTC", "windows": [WINDOW | {"operations": ["bill-qery"]}]}, "not an operation of the catalogue"),
        ({"zone": "UTC", "windows": [WINDOW | {"from": "24:00"}]}, "pattern"),
        ({"zone": "UTC", "windows": [WINDOW | {"days": ["monday"]}]}, "mon"),
        ({"zone": "UTC", "windows": [WINDOW | {"month_days": [0]}]}, "1 to 31"),
        ({"zone": "UTC", "windows": [WINDOW | {"month_days": [32]}]}, "31"),
    ],
)
async def test_windows_that_cannot_be(section: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        MaintenanceSection.model_validate(section)
