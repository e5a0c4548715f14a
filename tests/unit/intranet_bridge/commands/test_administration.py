"""What an administrator asks the running bridge about commands, and what a decision does, once."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from intranet_bridge.commands.administration import Administration
from intranet_bridge.marketing import Absent, Answered, Fault, Refused, Unknown
from protocol.administration import CommandDetail, CommandReport, DecisionReport
from protocol.errors import BridgeError
from protocol.lifecycle import State
from protocol.operations import CATALOGUE
from protocol.runtime.control import Peer
from tests.unit.intranet_bridge.harness import DONE, LOST, ORDER, Stage, until

ROOT = Peer(0, 1)
ADDRESS = str(ORDER.example["address"])


def scene(play: Callable[[Stage], Awaitable[None]]) -> Callable[[Path, pytest.MonkeyPatch], None]:
    @wraps(play)
    def test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        async def life() -> None:
            stage = Stage(tmp_path, monkeypatch)
            for module in ("intranet_bridge.commands.administration", "protocol.decisions"):
                monkeypatch.setattr(f"{module}.CATALOGUE", {**CATALOGUE, "delicate": ORDER})
            stage.changes |= {"commands.unreadable_max": 1, "breaker.failures": 1000}
            async with asyncio.timeout(60):
                await stage.open()
                await stage.start()
                office(stage)._rulings.inquires = {"delicate"}  # as if its binding could
                await play(stage)
                await stage.stop()

        asyncio.run(life())

    del test.__wrapped__  # pytest would ask for a fixture `stage`
    return test


def office(stage: Stage) -> Any:
    administration: Administration = stage.bridge.administration
    return administration


async def held(stage: Stage, count: int = 1) -> list[str]:
    stage.marketing["delicate"].script = [LOST] * count
    ids = [await stage.command("delicate") for _ in range(count)]
    assert [(await stage.reply(id)).state for id in ids] == [State.HELD] * count
    for id in ids:
        await stage.until_replied(id)
    return ids


async def decided(stage: Stage, id: str, choice: str, **more: Any) -> CommandReport:
    question = {"id": id, "choice": choice, "note": "asked  there", "sudo_user": "alice", **more}
    return CommandReport.model_validate(await office(stage).resolve(question, ROOT))


async def known(stage: Stage, id: str, **more: Any) -> CommandDetail:
    return CommandDetail.model_validate(await office(stage).show({"id": id, **more}, ROOT))


@scene
async def test_what_is_held_is_listed_without_a_word_of_a_customer(stage: Stage) -> None:
    ids = await held(stage, 2)
    done = await stage.command()
    await stage.reply(done)
    told = await office(stage).list({}, ROOT)
    assert {one["id"] for one in told} == set(ids)
    assert (told[0]["operation"], told[0]["decide"], told[0]["attempts"]) == ("delicate", "here", 1)
    assert told[0]["note"] == "connection lost"
    assert ADDRESS not in json.dumps(told, ensure_ascii=False)
    assert [one["id"] for one in await office(stage).list({"states": ["succeeded"]}, ROOT)] == [done]
    assert len(await office(stage).list({"limit": 1}, ROOT)) == 1
    with pytest.raises(BridgeError, match="limit"):
        await office(stage).list({"limit": 0}, ROOT)


@scene
async def test_its_content_is_opened_for_who_asks_for_it(stage: Stage) -> None:
    [id] = await held(stage)
    assert (await known(stage, id)).request == ""
    assert ADDRESS in (await known(stage, id, reveal=True)).request
    with pytest.raises(BridgeError, match="has no request"):
        await known(stage, "nobody")


@scene
async def test_the_marketing_system_is_asked_before_a_decision(stage: Stage) -> None:
    [id] = await held(stage)
    stage.marketing["delicate"].findings = [Answered(DONE), Refused("closed"), Absent(), Unknown("HTTP 500")]
    for came_to in ("applied", "refused", "absent", "unknown"):
        found = await known(stage, id, inquire=True)
        assert found.evidence is not None
        assert found.evidence.came_to == came_to
        assert "WO2026000001" not in found.evidence.detail  # what it says is the caller's
    assert await stage.state(id) == "held"
    office(stage)._rulings.inquires = set()
    found = await known(stage, id, inquire=True)
    assert found.evidence is not None
    assert found.evidence.came_to == "not-asked"
    assert (await known(stage, id)).evidence is None


@scene
async def test_applied_with_an_answer_and_without(stage: Stage) -> None:
    with_answer, without = await held(stage, 2)
    assert (await decided(stage, with_answer, "applied", result=DONE.decode())).state == "succeeded"
    assert (await decided(stage, without, "applied")).state == "succeeded"
    await until(lambda: len(stage.of(with_answer)) == 2 and len(stage.of(without)) == 2)
    assert (stage.of(with_answer)[1].state, stage.of(with_answer)[1].result) == (State.SUCCEEDED, DONE)
    assert stage.of(without)[1].result == b""
    [line] = (await known(stage, with_answer)).decisions
    assert line == DecisionReport(choice="applied", by="root (alice)", at=line.at, note="asked there")
    assert sorted(stage.marketing["delicate"].calls) == sorted([with_answer, without])


@scene
async def test_not_applied(stage: Stage) -> None:
    [id] = await held(stage)
    assert (await decided(stage, id, "not-applied")).state == "failed"
    await until(lambda: len(stage.of(id)) == 2)
    assert (stage.of(id)[1].state, stage.of(id)[1].code) == (State.FAILED, "not-applied")


@scene
async def test_called_again_as_if_it_had_just_come(stage: Stage) -> None:
    [id] = await held(stage)
    await decided(stage, id, "call-again")
    await until(lambda: len(stage.of(id)) == 2)
    assert (stage.of(id)[1].state, stage.marketing["delicate"].calls) == (State.SUCCEEDED, [id, id])
    assert (await stage.row(id)).decided_at is None


@scene
async def test_called_again_though_the_commit_that_begins_with_it_is_done_twice(stage: Stage) -> None:
    """As the store does it whose connection broke after the commit."""
    [id] = await held(stage)
    store = stage.bridge.store
    write = store.write

    async def twice(work: Any) -> Any:
        await write(work)
        return await write(work)

    store.write = twice  # type: ignore[method-assign]
    await decided(stage, id, "call-again")
    await until(lambda: len(stage.of(id)) == 2)
    assert (stage.of(id)[1].state, stage.marketing["delicate"].calls) == (State.SUCCEEDED, [id, id])


@scene
async def test_called_again_though_the_commit_that_begins_with_it_seemed_to_fail(stage: Stage) -> None:
    """Its row is as any that is worked on, so no look at what was decided finds it."""
    [id] = await held(stage)
    resumed, failures = stage.bridge.inbox.resumed, iter([True])

    async def done_and_not_heard_of(*arguments: Any) -> bool:
        done = await resumed(*arguments)
        if next(failures, False):
            raise OSError("the server closed the connection")
        return done

    stage.bridge.inbox.resumed = done_and_not_heard_of  # type: ignore[method-assign, assignment]
    await decided(stage, id, "call-again")
    await until(lambda: len(stage.of(id)) == 2)
    assert (stage.of(id)[1].state, stage.marketing["delicate"].calls) == (State.SUCCEEDED, [id, id])


@scene
async def test_asked_again_takes_what_is_there_and_calls_nothing(stage: Stage) -> None:
    marketing = stage.marketing["work-order"]
    office(stage)._rulings.inquires = {"work-order"}
    marketing.script = [Unknown("not JSON", fault=Fault.ANSWER)]  # one too many of those that cannot be read
    id = await stage.command()
    assert (await stage.reply(id)).code == "outcome-unreadable"
    marketing.findings = [Answered(DONE)]
    await decided(stage, id, "ask-again")
    await until(lambda: len(stage.of(id)) == 2)
    assert (stage.of(id)[1].state, stage.of(id)[1].result) == (State.SUCCEEDED, DONE)
    assert (marketing.calls, marketing.inquiries) == ([id], [id])


@scene
async def test_what_is_refused_changes_nothing(stage: Stage) -> None:
    [id] = await held(stage)
    before = tuple(await stage.row(id))
    office(stage)._rulings.inquires = set()
    for changes, said in (
        ({"choice": "ask-again"}, "cannot ask"),
        ({"choice": "applied", "result": "{"}, "does not fit the answer"),
        ({"choice": "applied", "result": "{}"}, "work_order"),
        ({"choice": "not-applied", "result": "{}"}, "goes with applied alone"),
        ({"choice": "call-again", "result": "{}"}, "goes with applied alone"),
        ({"choice": "perhaps"}, "choice"),
        ({"choice": "applied", "note": " "}, "note"),
        ({"choice": "applied", "id": "x y"}, "id"),
        ({"choice": "applied", "id": "nobody"}, "has no request"),
    ):
        with pytest.raises(BridgeError, match=said) as raised:
            await office(stage).resolve({"id": id, "note": "n", **changes}, ROOT)
        assert "Traceback" not in str(raised.value)
    office(stage).ready = False
    with pytest.raises(BridgeError, match="starting"):
        await decided(stage, id, "applied")
    assert tuple(await stage.row(id)) == before


@scene
async def test_of_many_who_decide_at_once_one_does(stage: Stage) -> None:
    ids = await held(stage, 5)
    for id in ids:
        choices = ("call-again", "applied", "not-applied", "call-again")
        tries = [decided(stage, id, choice, note=f"by {n}") for n, choice in enumerate(choices)]
        sweeps = [stage.bridge.housekeeping.sweep() for _ in range(3)]
        results = await asyncio.gather(*tries, *sweeps, return_exceptions=True)
        accepted = [one for one in results[:4] if isinstance(one, CommandReport)]
        refused = [one for one in results[:4] if isinstance(one, BridgeError)]
        assert (len(accepted), len(refused)) == (1, 3)
        await until(lambda id=id: len(stage.of(id)) == 2)  # type: ignore[misc]
        [line] = (await known(stage, id)).decisions
        again = line.choice == "call-again"
        assert stage.marketing["delicate"].calls.count(id) == 1 + again


@scene
async def test_a_decision_that_was_written_and_seemed_not_to_be_is_not_refused(stage: Stage) -> None:
    [id] = await held(stage)
    write = stage.bridge.store.write

    async def twice(work: Any) -> Any:
        await write(work)
        return await write(work)

    stage.bridge.store.write = twice  # type: ignore[method-assign]
    assert (await decided(stage, id, "not-applied")).state == "failed"


@scene
async def test_all_that_match_are_counted_and_then_decided_in_their_order(stage: Stage) -> None:
    ids = sorted(await held(stage, 5))
    before = (await stage.row(ids[-1])).received_at
    question = {"choice": "not-applied", "note": "none of them is there", "before": before, "sudo_user": "alice"}
    told = await office(stage).resolve_matching(question, ROOT)
    assert (told["by_operation"], told["decided"]) == ({"delicate": 5}, [])
    assert [await stage.state(id) for id in ids] == ["held"] * 5
    nothing = await office(stage).resolve_matching({**question, "operations": ["bill-query"]}, ROOT)
    assert nothing["by_operation"] == {}
    assert (await office(stage).resolve_matching({**question, "before": 1}, ROOT))["by_operation"] == {}
    with pytest.raises(BridgeError, match="states: not-applied is for what is held, not calling"):
        await office(stage).resolve_matching({**question, "states": ["calling"]}, ROOT)
    real = stage.bridge.rulings.write

    async def without_one(ruling: Any, operation: str) -> None:
        if ruling.id == ids[1]:
            raise BridgeError("it is calling, not held")
        await real(ruling, operation)

    stage.bridge.rulings.write = without_one  # type: ignore[method-assign]
    done = await office(stage).resolve_matching({**question, "dry_run": False, "after": ids[0]}, ROOT)
    assert done["decided"] == ids[2:]
    assert done["failures"] == [{"id": ids[1], "because": "it is calling, not held"}]
    assert done["next"] == ""
    await until(lambda: all(len(stage.of(id)) == 2 for id in ids[2:]))
    assert [await stage.state(id) for id in ids] == ["held", "held", "failed", "failed", "failed"]


@scene
async def test_many_are_decided_some_at_a_time(stage: Stage) -> None:
    ids = sorted(await held(stage, 5))
    question = {"choice": "not-applied", "note": "n", "before": 10**14, "dry_run": False}
    decided: list[str] = []
    after, parts = "", 0
    with pytest.MonkeyPatch().context() as patch:
        for module in ("commands", "inbox"):
            patch.setattr(f"intranet_bridge.{module}.administration.AT_ONCE", 2)
        while after or not parts:
            told = await office(stage).resolve_matching({**question, "after": after}, ROOT)
            decided += told["decided"]
            after, parts = told["next"], parts + 1
    assert (decided, parts) == (ids, 3)


@scene
async def test_a_list_is_of_some_operations_and_of_some_age(stage: Stage) -> None:
    ids = await held(stage, 2)
    received = (await stage.row(ids[0])).received_at
    assert len(await office(stage).list({"operations": ["delicate"]}, ROOT)) == 2
    assert await office(stage).list({"operations": ["work-order"]}, ROOT) == []
    assert await office(stage).list({"before": received - 1}, ROOT) == []
    assert ids[0] in {one["id"] for one in await office(stage).list({"before": received}, ROOT)}
