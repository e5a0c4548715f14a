"""Commands that the bridge gives itself: done once and told once, whatever happens; no front comes near them."""

import asyncio
import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text, update

from intranet_bridge import app
from intranet_bridge.commands import local as module
from intranet_bridge.commands.internal import InternalCommand, InternalOutcome
from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.inbox.local import LocalRows
from intranet_bridge.inbox.rows import INBOX
from intranet_bridge.marketing import Absent, Answered, Finding, MarketingRequest, Outcome, Refused
from intranet_bridge.settlement.part import Part
from intranet_bridge.settlement.ports import Ports
from intranet_bridge.settlement.service import Settlement
from protocol.administration import Choice
from protocol.decisions import Decision, LedgerEntry
from protocol.messages import uuid7
from protocol.reports.settlement import OwnCommandsReport
from protocol.runtime.control import Peer
from protocol.runtime.store_engine import engine
from tests.support.postgres import database_url, postgres
from tests.unit.intranet_bridge.harness import DONE, LOST, OPERATIONS, ORDER, Marketing, Stage, until, wall

__all__ = ["database_url", "postgres"]

ROOT = Peer(0, 1)
ADDRESS = str(ORDER.example["address"])
TOLD = "CREATE TABLE IF NOT EXISTS told (id VARCHAR(64), state VARCHAR(16), code VARCHAR(64), result VARCHAR(400))"


class Asking(Part):
    """A part of the settlement that gives commands, and writes down what it is told of them."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.odd: set[str] = set()
        """Ids of outcomes that it cannot take."""
        self.tried = 0
        self.when_taken: Callable[[], None] = lambda: None

    async def start(self) -> None:
        await self.ports.store.write(lambda connection: connection.execute(text(TOLD)).rowcount)
        self.ports.commands().consume("asking", self.take, lambda: self.when_taken())

    def take(self, connection: Connection, outcomes: Sequence[InternalOutcome]) -> None:
        self.tried += 1
        for one in outcomes:
            row = {"id": one.id, "state": str(one.state), "code": one.code, "result": one.result.decode()}
            connection.execute(text("INSERT INTO told VALUES (:id, :state, :code, :result)"), row)
        if self.odd & {one.id for one in outcomes}:
            raise ValueError("cannot be taken")

    async def ask(self, *ids: str, operation: str = "work-order", begin: bool = True) -> None:
        commands = [command(id, operation) for id in ids]
        await self.ports.store.write(lambda connection: self.ports.commands().record(connection, commands))
        if begin:
            self.ports.commands().begin()

    async def told(self, id: str) -> list[tuple[str, ...]]:
        statement = text("SELECT state, code FROM told WHERE id = :id").bindparams(id=id)
        rows = await self.ports.store.read(lambda connection: connection.execute(statement).all())
        return [tuple(row) for row in rows]

    async def until_told(self, id: str, *states: str) -> None:
        end = time.monotonic() + 60
        while (now := [state for state, _ in await self.told(id)]) != list(states):
            assert time.monotonic() < end, f"told {now}, not {states}"
            await asyncio.sleep(0.005)


def command(id: str, operation: str = "work-order", **changes: Any) -> InternalCommand:
    body = ORDER.request.model_validate_json(json.dumps(ORDER.example))
    given: dict[str, Any] = {"id": id, "operation": operation, "body": body, "consumer": "asking"} | changes
    return InternalCommand(**given)


def with_part(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[Asking]:
    """The parts of the bridges that are started from now on."""
    parts: list[Asking] = []

    def assembled(_section: Any, ports: Ports) -> Settlement:
        parts.append(Asking(ports))
        return Settlement(parts[-1:])

    monkeypatch.setattr(app, "assembled", assembled)
    monkeypatch.setattr(module, "CATALOGUE", OPERATIONS)
    for name in ("intranet_bridge.commands.administration", "protocol.decisions"):
        monkeypatch.setattr(f"{name}.CATALOGUE", OPERATIONS)
    return parts


def scene(act: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test on a stage of its own, with the parts of its bridges."""

    def test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **given: Any) -> None:
        async def life() -> None:
            stage = Stage(tmp_path, monkeypatch)
            parts = with_part(stage, monkeypatch)
            await stage.open()
            async with asyncio.timeout(180):
                await act(stage, parts, **given)
            await stage.kill()

        asyncio.run(life())

    fixtures = [name for name in signature(act).parameters if name not in ("stage", "parts")]
    test.__name__, test.__doc__ = act.__name__, act.__doc__
    test.__signature__ = Signature(  # type: ignore[attr-defined]  # what pytest asks fixtures for
        [Parameter(name, Parameter.KEYWORD_ONLY) for name in ("tmp_path", "monkeypatch", *fixtures)]
    )
    return test


@scene
async def test_who_is_woken_when_outcomes_are_taken_reads_them(
    stage: Stage, parts: list[Asking], database_url: str
) -> None:
    stage.changes["store"] = {"url": database_url} if "postgres" in database_url else {"file": database_url[10:]}
    await stage.start()
    [part] = parts
    other, found = engine(database_url), asyncio.get_running_loop().create_future()

    def read() -> None:
        with other.connect() as connection:  # it sees what is committed
            found.set_result(connection.execute(text("SELECT id, state FROM told")).all())

    part.when_taken = read
    await part.ask("o1-1")
    assert await found == [("o1-1", "succeeded")]
    other.dispose()


@scene
async def test_it_is_called_once_and_told_once(stage: Stage, parts: list[Asking], database_url: str) -> None:
    stage.changes["store"] = {"url": database_url} if "postgres" in database_url else {"file": database_url[10:]}
    bridge = await stage.start()
    [part] = parts
    await part.ask("o1-1", "o1-2", "o1-1")
    for id in ("o1-1", "o1-2"):
        await part.until_told(id, "succeeded")
    await part.ask("o1-1")  # known: nothing changes
    await part.ask("o1-3")
    await part.until_told("o1-3", "succeeded")
    assert stage.marketing["work-order"].calls == ["o1-1", "o1-2", "o1-3"]  # one account's, in their order
    assert await part.told("o1-1") == [("succeeded", "")]
    row = await stage.row("o1-1")
    assert (row.owner, row.source, row.reply_to) == ("bridge-1", "bridge-1/settlement", "local:asking")
    assert (row.envelope, row.replied_at is not None) == (b"", True)
    assert bridge.outbox.in_hand == 0
    assert not stage.replies
    taken = text("SELECT record FROM audit")
    rows = await bridge.store.read(lambda connection: connection.execute(taken).scalars().all())
    assert sum("o1-1" in str(one) for one in rows) == 1


@scene
async def test_what_is_given_after_rows_of_a_clock_that_was_ahead_were_adopted_is_begun_with(
    stage: Stage, parts: list[Asking], database_url: str
) -> None:
    stage.changes["store"] = {"url": database_url} if "postgres" in database_url else {"file": database_url[10:]}
    bridge = await stage.start()
    ahead = Inbox(bridge.store, "bridge-2", lambda: wall() + 3_600_000)
    rows = LocalRows(bridge.at_rest, "bridge-2")
    body = ORDER.requests.dump_json(command("o2-1").body)
    given = rows.received("o2-1", "work-order", "another's", body, "local:asking")

    def adopt(connection: Connection) -> None:
        ahead.record_in(connection, [given])
        assert bridge.inbox.adopt(connection, ["bridge-2"]) == 1

    await bridge.store.write(adopt)
    bridge.internal.begin()
    await parts[0].until_told("o2-1", "succeeded")
    await parts[0].ask("o1-1")
    await parts[0].until_told("o1-1", "succeeded")


@scene
async def test_what_another_bridge_of_the_database_gave_of_an_account_is_done_first(
    stage: Stage, parts: list[Asking], database_url: str
) -> None:
    """Whatever its clock says: a bill that one has frozen is released by the other after that."""
    stage.changes["store"] = {"url": database_url} if "postgres" in database_url else {"file": database_url[10:]}
    bridge = await stage.start()
    ahead, behind = (Inbox(bridge.store, name, lambda: wall() + 60_000) for name in ("bridge-2", "bridge-3"))
    await bridge.store.write(lambda one: ahead.record_in(one, [bridge.internal._received(command("o2-1"))]))
    await parts[0].ask("o1-1")
    await bridge.store.write(lambda one: behind.record_in(one, [bridge.internal._received(command("o3-1"))]))
    assert [(await stage.row(id)).after for id in ("o2-1", "o1-1", "o3-1")] == [None, "o2-1", "o1-1"]
    other = command("o4-1").body.model_copy(update={"account": "3210000000004"})
    await parts[0].ports.store.write(lambda one: parts[0].ports.commands().record(one, [command("o4-1", body=other)]))
    parts[0].ports.commands().begin()
    await parts[0].until_told("o4-1", "succeeded")
    assert stage.marketing["work-order"].calls == ["o4-1"]
    done = update(INBOX).where(INBOX.c.id == "o2-1").values(state="succeeded")
    await bridge.store.write(lambda connection: connection.execute(done).rowcount)
    await parts[0].until_told("o1-1", "succeeded")


@scene
async def test_own_rows_of_one_moment_are_all_begun_with(stage: Stage, parts: list[Asking], database_url: str) -> None:
    """Those of two bridges have the same sequences: a page ends between two of them."""
    stage.changes["store"] = {"url": database_url} if "postgres" in database_url else {"file": database_url[10:]}
    bridge = await stage.start()
    moment = wall() + 60_000
    body = ORDER.requests.dump_json(command("o2-1").body)

    def adopt(connection: Connection) -> None:
        for name in ("bridge-2", "bridge-3"):
            given = LocalRows(bridge.at_rest, name).received(f"of-{name}", "work-order", name, body, "local:asking")
            Inbox(bridge.store, name, lambda: moment).record_in(connection, [given])
        assert bridge.inbox.adopt(connection, ["bridge-2", "bridge-3"]) == 2

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PAGE", 1)
        await bridge.store.write(adopt)
        bridge.internal.begin()
        for name in ("bridge-2", "bridge-3"):
            await parts[0].until_told(f"of-{name}", "succeeded")


@scene
async def test_what_is_in_the_row_is_sealed_and_opened_at_the_next_start(stage: Stage, parts: list[Asking]) -> None:
    stage.marketing["work-order"].gate = asyncio.Event()
    await stage.start()
    await parts[0].ask("o1-1", begin=False)
    row = await stage.row("o1-1")
    assert ADDRESS.encode() not in row.envelope
    assert "321" not in row.subject
    await stage.kill()
    stage.marketing["work-order"].gate = None
    await stage.start()
    await parts[1].until_told("o1-1", "succeeded")
    row = await stage.row("o1-1")
    assert b"WO2026000001" not in row.reply
    rows = LocalRows(stage.bridge.at_rest, "bridge-1")
    with pytest.raises(Exception, match="not sealed by"):
        rows.opened("o1-2", "work-order", row.envelope or b"\0xxxx")


@scene
async def test_a_loop_that_has_ended_is_seen(stage: Stage, parts: list[Asking]) -> None:
    await stage.start()
    own = stage.daemon.vitals["own commands"]
    assert own.standing() == ""
    for loop in stage.bridge.internal._loops:
        loop.cancel()
    await until(lambda: own.standing().count("has ended") == 2)


@scene
async def test_refusals_are_told_with_their_code(stage: Stage, parts: list[Asking]) -> None:
    stage.marketing["work-order"].default = Refused("no-such-account", "unknown")
    await stage.start()
    await parts[0].ask("o1-1")
    await parts[0].until_told("o1-1", "refused")
    assert await parts[0].told("o1-1") == [("refused", "no-such-account")]


@scene
async def test_a_lost_answer_is_inquired_about_and_not_called_again(stage: Stage, parts: list[Asking]) -> None:
    marketing = stage.marketing["work-order"]
    marketing.script, marketing.findings = [LOST], [Answered(DONE)]
    await stage.start()
    await parts[0].ask("o1-1")
    await parts[0].until_told("o1-1", "succeeded")
    assert (marketing.calls, marketing.inquiries) == (["o1-1"], ["o1-1"])


@pytest.mark.parametrize(("choice", "ends"), [("applied", "succeeded"), ("not-applied", "failed")])
@scene
async def test_held_is_told_and_so_is_what_an_operator_decides(
    stage: Stage, parts: list[Asking], choice: str, ends: str
) -> None:
    stage.marketing["delicate"].script = [LOST]
    await stage.start()
    await parts[0].ask("o1-1", operation="delicate")
    await parts[0].until_told("o1-1", "held")
    office = stage.bridge.administration
    [listed] = await office.list({}, ROOT)
    assert (listed["id"], listed["source"], listed["decide"]) == ("o1-1", "bridge-1/settlement", "here")
    shown = await office.show({"id": "o1-1", "reveal": True}, ROOT)
    assert ADDRESS in shown["request"]
    await office.resolve({"id": "o1-1", "choice": choice, "note": "asked there"}, ROOT)
    await parts[0].until_told("o1-1", "held", ends)
    traced = await office.trace({"id": "o1-1"}, ROOT)
    assert (traced["command"]["state"], traced["decisions"][0]["choice"]) == (ends, choice)
    assert stage.marketing["delicate"].calls == ["o1-1"]


@scene
async def test_an_operator_has_it_called_again(stage: Stage, parts: list[Asking]) -> None:
    stage.marketing["delicate"].script = [LOST]
    await stage.start()
    await parts[0].ask("o1-1", operation="delicate")
    await parts[0].until_told("o1-1", "held")
    await stage.bridge.administration.resolve({"id": "o1-1", "choice": "call-again", "note": "n"}, ROOT)
    await parts[0].until_told("o1-1", "held", "succeeded")
    assert stage.marketing["delicate"].calls == ["o1-1"] * 2


@scene
async def test_it_can_be_taken_back_before_it_is_called(stage: Stage, parts: list[Asking]) -> None:
    bridge = await stage.start()
    bridge.workers.rest()
    await parts[0].ask("o1-1")
    await until(lambda: "o1-1" in bridge.ordering)
    await bridge.administration.resolve({"id": "o1-1", "choice": "cancel", "note": "n"}, ROOT)
    bridge.workers.go_on()
    await parts[0].until_told("o1-1", "failed")
    assert await parts[0].told("o1-1") == [("failed", "cancelled")]
    await until(lambda: "o1-1" not in bridge.ordering)
    assert not stage.marketing["work-order"].calls


@scene
async def test_one_that_cannot_be_taken_keeps_none_of_the_others(stage: Stage, parts: list[Asking]) -> None:
    bridge = await stage.start()
    bridge.internal._backoff.shortest_s = 0.01
    [part] = parts
    part.odd = {"o1-2"}
    await part.ask("o1-1", "o1-2", "o1-3")
    for id in ("o1-1", "o1-3"):
        await part.until_told(id, "succeeded")
    await until(lambda: part.tried > 6)
    assert not await part.told("o1-2")
    assert (await stage.row("o1-2")).replied_at is None
    report = bridge.internal.report()
    assert (report.not_taken, report.elsewhere) == (1, 0)
    first = report.not_taken_since
    tried = part.tried
    await until(lambda: part.tried > tried + 2)
    assert bridge.internal.report().not_taken_since == first > 0
    part.odd = set()
    await part.until_told("o1-2", "succeeded")
    await until(lambda: not bridge.internal._resting)
    assert bridge.internal.report() == OwnCommandsReport()


@scene
async def test_what_nobody_takes_any_more_is_kept(stage: Stage, parts: list[Asking]) -> None:
    stage.marketing["work-order"].gate = asyncio.Event()
    await stage.start()
    await parts[0].ask("o1-1")
    await until(lambda: stage.marketing["work-order"].calls)
    await stage.kill()
    stage.marketing["work-order"].gate = None
    stage.marketing["work-order"].findings = [Answered(DONE)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "assembled", lambda section, ports: Settlement([]))
        bridge = await stage.start()
    await stage.until_state("o1-1", "succeeded")
    await bridge.outbox.sweep()
    assert (bridge.outbox.in_hand, stage.replies) == (0, [])
    assert await bridge.inbox.forget(wall() + 10**9) == 0
    assert (await stage.row("o1-1")).replied_at is None


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"operation": "bill-query"}, "not a command"),
        ({"operation": "qr-issue"}, "not a command"),
        ({"id": uuid7(wall(), os.urandom(10))}, "form that fronts make"),
        ({"id": "a b"}, "does not fit"),
        ({"region": "east"}, "another bridge's region"),
        ({"consumer": "nobody"}, "nobody takes"),
    ],
)
@scene
async def test_what_cannot_be_carried_out_is_not_recorded(
    stage: Stage, parts: list[Asking], changes: dict[str, Any], because: str
) -> None:
    await stage.start()
    ports, wrong = parts[0].ports, command(**({"id": "o1-1"} | changes))
    with pytest.raises(ValueError, match=because):
        await ports.store.write(lambda connection: ports.commands().record(connection, [wrong]))


@scene
async def test_however_many_there_are_fronts_commands_are_taken(stage: Stage, parts: list[Asking]) -> None:
    stage.changes["commands.backlog"] = 3
    bridge = await stage.start()
    bridge.workers.rest()
    await parts[0].ask(*(f"o1-{number}" for number in range(6)))
    await until(lambda: len(bridge.ordering) == 6)
    id = await stage.command("repeatable")
    await until(lambda: id in bridge.ordering)
    assert bridge.ordering.own == 6
    bridge.workers.go_on()
    await stage.reply(id)
    await parts[0].until_told("o1-5", "succeeded")
    await until(lambda: len(bridge.ordering) == 0)
    assert bridge.ordering.own == 0


# --- fronts -------------------------------------------------------------------------------------------------


@scene
async def test_no_front_takes_the_place_of_one_or_is_answered_from_it(stage: Stage, parts: list[Asking]) -> None:
    await stage.start()
    await parts[0].ask("o1-1")
    await parts[0].until_told("o1-1", "succeeded")
    for id in ("o1-1", "o1-2"):
        await stage.command(id=id)
    await until(lambda: len(stage.dead_letters) == 2)
    assert not stage.replies
    await parts[0].ask("o1-2")
    await parts[0].until_told("o1-2", "succeeded")


@scene
async def test_no_front_decides_one(stage: Stage, parts: list[Asking]) -> None:
    stage.marketing["delicate"].script = [LOST]
    await stage.start()
    await parts[0].ask("o1-1", operation="delicate")
    await parts[0].until_told("o1-1", "held")
    for request in ("o1-1", "o1-2"):
        entry = LedgerEntry(
            operation="delicate", source="front-1/x", reply_to="/queue/bridge.reply.command.front-1", accepted_at=wall()
        )  # fmt: skip
        decision = Decision(request=request, choice=Choice.NOT_APPLIED, by="me", note="n", at=wall(), command=entry)
        _, envelope = stage.envelope("work-order", decision.payload(), type="decision")
        await stage.send(envelope)
    await until(lambda: len(stage.dead_letters) == 2)
    assert await stage.state("o1-1") == "held"
    assert await stage.row("o1-2") is None


# --- killed -------------------------------------------------------------------------------------------------


class Remembering(Marketing):
    """What it was told is in a file, whatever becomes of who told it."""

    def __init__(self, file: Path) -> None:
        super().__init__(Answered(DONE))
        self.file = file

    @property
    def applied(self) -> list[str]:
        return self.file.read_text().split() if self.file.exists() else []

    async def call(self, asked: MarketingRequest, timeout_s: float) -> Outcome:
        with self.file.open("a") as file:
            file.write(f"{asked.request_id}\n")
        return await super().call(asked, timeout_s)

    async def inquire(self, asked: MarketingRequest, timeout_s: float) -> Finding:
        return Answered(DONE) if asked.request_id in self.applied else Absent()


@pytest.mark.parametrize(
    "point",
    [
        "bridge.received-uncommitted", "bridge.local-recorded", "bridge.calling-due", "bridge.calling-committed",
        "bridge.called", "bridge.finished-uncommitted", "bridge.finished-committed", "bridge.taken-uncommitted",
        "bridge.taken-committed",
    ],
)  # fmt: skip
def test_killed_anywhere_it_is_done_once_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    stage = Stage(tmp_path, monkeypatch)
    parts = with_part(stage, monkeypatch)
    marketing = stage.marketing["work-order"] = Remembering(tmp_path / "applied")

    async def doing() -> None:
        await parts[-1].ask("o1-1")

    async def afterwards() -> None:
        await stage.open()
        await stage.start()
        if await stage.row("o1-1") is None:
            assert point == "bridge.received-uncommitted"
            await doing()
        await parts[-1].until_told("o1-1", "succeeded")
        await stage.until_replied("o1-1")
        await stage.kill()

    stage.dies_at(point, doing=doing)
    asyncio.run(afterwards())
    assert marketing.applied == ["o1-1"]
    with contextlib.closing(sqlite3.connect(tmp_path / "bridge.sqlite3")) as database:
        assert database.execute("SELECT id, state FROM told").fetchall() == [("o1-1", "succeeded")]
