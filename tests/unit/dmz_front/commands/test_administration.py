"""What an administrator asks the running front about commands."""

import json

import pytest

from dmz_front.ledger.ledger import UNDELIVERED_MS
from protocol.administration import Choice, MatchReport
from protocol.decisions import TYPE, Decision
from protocol.errors import BridgeError
from protocol.lifecycle import State
from protocol.runtime.control import Peer
from tests.unit.clock import Clock
from tests.unit.dmz_front.harness import ORDER, Harness, Say, turns

pytestmark = pytest.mark.anyio
ROOT = Peer(0, 1)


async def test_what_is_held_is_listed_without_a_word_of_a_customer(harness: Harness) -> None:
    harness.bridge.script = lambda _: Say(State.HELD, "held", "why")
    await harness.start()
    id = (await harness.order()).json()["request_id"]
    await harness.settle()
    office = harness.front.administration
    [held] = await office.list({}, ROOT)
    assert (held["id"], held["state"], held["decide"], held["source"]) == (id, "held", "here", "front-1/wechat")
    assert (held["sends"], held["side"]) == (1, "front")
    assert str(ORDER["address"]) not in json.dumps(held, ensure_ascii=False)
    assert await office.list({"states": ["succeeded"]}, ROOT) == []
    assert (await office.show({"id": id}, ROOT))["command"] == held
    with pytest.raises(BridgeError, match="sealed for the bridge"):
        await office.show({"id": id, "reveal": True}, ROOT)
    with pytest.raises(BridgeError, match="has no request"):
        await office.show({"id": "nobody"}, ROOT)


async def test_what_waits_is_sent_now_and_no_outcome_is_asked_for_twice(harness: Harness, clock: Clock) -> None:
    harness.bridge.script = lambda _: None
    await harness.start()
    ids = [
        (await harness.order(key=f"k{n}", prefer="respond-async")).json()["request_id"] for n in range(3)
    ]  # fmt: skip
    await harness.settle()
    office = harness.front.administration
    assert await office.resend({"ids": [ids[1]]}, ROOT) == {"sent": 1, "more": False}
    await harness.settle()
    assert [opened.attributes.id for opened in harness.bridge.taken] == [*ids, ids[1]]
    harness.bridge.script = lambda _: Say(result=b"{}")
    assert await office.resend({}, ROOT) == {"sent": 3, "more": False}
    await harness.settle()
    assert [(await harness.status(id)).json()["status"] for id in ids] == ["succeeded"] * 3
    assert await office.resend({}, ROOT) == {"sent": 0, "more": False}
    with pytest.raises(BridgeError, match="not waiting for an outcome"):
        await office.resend({"ids": [ids[0]]}, ROOT)


async def test_nothing_too_old_is_sent_and_nothing_without_a_broker(harness: Harness, clock: Clock) -> None:
    harness.bridge.script = lambda _: None
    await harness.start()
    await harness.order(prefer="respond-async")
    await harness.settle()
    office = harness.front.administration
    clock.now += UNDELIVERED_MS
    assert await office.resend({}, ROOT) == {"sent": 0, "more": False}
    await harness.front.command_link.close()
    with pytest.raises(BridgeError, match="nothing can be sent now"):
        await office.resend({}, ROOT)


# --- decisions, which the bridge carries out ----------------------------------------------------------------


def answering(harness: Harness, came: Say) -> None:
    """Commands are left alone; decisions are answered."""
    harness.bridge.script = lambda opened: came if opened.attributes.type == TYPE else None


def decisions(harness: Harness) -> list[tuple[Decision, bytes]]:
    return [Decision.from_payload(one.payload) for one in harness.bridge.taken if one.attributes.type == TYPE]


async def test_a_decision_goes_to_the_bridge_and_is_done_when_that_says_so(harness: Harness) -> None:
    harness.bridge.script = lambda _: Say(State.HELD, "held", "why")
    await harness.start()
    harness.bridge.announce(decides=True)
    id = (await harness.order()).json()["request_id"]
    await harness.settle()
    harness.bridge.script = lambda _: None
    office = harness.front.administration
    question = {"id": id, "choice": "not-applied", "note": "seen  there", "sudo_user": "alice"}
    told = await office.resolve(question, ROOT)
    assert [one["standing"] for one in told["decisions"]] == ["pending"]
    with pytest.raises(BridgeError, match=r"not-applied was decided of .* already"):
        await office.resolve(question, ROOT)
    await harness.settle()
    harness.bridge.reply(harness.bridge.taken[-1], Say(result=b'{"state":"failed"}'))
    await harness.settle()
    [(decision, envelope)] = decisions(harness)
    assert (decision.request, decision.choice, decision.by, decision.note) == (
        id, Choice.NOT_APPLIED, "root (alice)", "seen there",
    )  # fmt: skip
    assert (decision.command.operation, decision.command.source, envelope) == ("work-order", "front-1/wechat", b"")
    [one] = (await office.show({"id": id}, ROOT))["decisions"]
    assert (one["standing"], one["because"]) == ("done", "it is failed at the bridge")
    assert (await harness.status(id)).json()["status"] == "held"  # until the command's own reply is here
    harness.bridge.send(harness.bridge.taken[0].attributes.reply_to, harness.bridge.sealed(id, Say(State.FAILED, "x")))
    await harness.settle()
    assert (await harness.status(id)).json()["status"] == "failed"


async def test_a_refusal_changes_nothing_and_says_why(harness: Harness) -> None:
    answering(harness, Say(State.REFUSED, "not-decided", "it is calling, so it may have been called"))
    await harness.start()
    harness.bridge.announce(decides=True)
    id = (await harness.order(prefer="respond-async")).json()["request_id"]
    await harness.settle()
    office = harness.front.administration
    await office.resolve({"id": id, "choice": "cancel", "note": "n"}, ROOT)
    await harness.settle()
    [one] = (await office.show({"id": id}, ROOT))["decisions"]
    assert (one["standing"], "may have been called" in one["because"]) == ("refused", True)
    assert await office.resend({"ids": [id]}, ROOT) == {"sent": 1, "more": False}  # it goes on


async def test_what_is_being_taken_back_is_not_sent_any_more(harness: Harness, clock: Clock) -> None:
    harness.bridge.script = lambda _: None
    await harness.start()
    id = (await harness.order(prefer="respond-async")).json()["request_id"]
    await harness.settle()
    office = harness.front.administration
    await office.resolve({"id": id, "choice": "cancel", "note": "n"}, ROOT)
    clock.now += 3_600_000
    harness.bridge.announce(decides=True)
    await turns()
    await harness.front.outbox.sweep()
    await harness.front.decisions_outbox.sweep()
    await harness.settle()
    assert [opened.attributes.type for opened in harness.bridge.taken] == ["work-order", TYPE]
    assert await office.resend({}, ROOT) == {"sent": 0, "more": False}


async def test_no_decision_goes_to_a_bridge_that_does_not_know_them(harness: Harness, clock: Clock) -> None:
    answering(harness, Say())
    await harness.start()  # of an older release: its presence does not say
    id = (await harness.order(prefer="respond-async")).json()["request_id"]
    await harness.settle()
    office = harness.front.administration
    await office.resolve({"id": id, "choice": "cancel", "note": "n"}, ROOT)
    await harness.front.decisions_outbox.sweep()
    await harness.settle()
    assert decisions(harness) == []
    await harness.restart()
    harness.bridge.announce(decides=True)
    await turns()
    await harness.front.decisions_outbox.sweep()
    await harness.settle()
    assert len(decisions(harness)) == 1
    clock.now += 60_000
    await harness.front.decisions_outbox.sweep()  # it was answered
    await harness.settle()
    assert len(decisions(harness)) == 1


async def test_it_is_sent_again_until_it_is_answered_and_refused_after_a_week(harness: Harness, clock: Clock) -> None:
    harness.bridge.script = lambda _: None
    await harness.start()
    harness.bridge.announce(decides=True)
    id = (await harness.order(prefer="respond-async")).json()["request_id"]
    await harness.settle()
    office = harness.front.administration
    await office.resolve({"id": id, "choice": "cancel", "note": "n"}, ROOT)
    await harness.settle()
    for _ in range(2):
        clock.now += 60_000
        harness.bridge.announce(decides=True)
        await turns()
        await harness.front.decisions_outbox.sweep()
        await harness.settle()
    ids = {one.attributes.id for one in harness.bridge.taken if one.attributes.type == TYPE}
    assert (len(decisions(harness)), len(ids)) == (3, 1)
    clock.now += UNDELIVERED_MS
    await harness.front.decided.forget(0)
    [one] = (await office.show({"id": id}, ROOT))["decisions"]
    assert (one["standing"], "for a week" in one["because"]) == ("refused", True)


async def undelivered(harness: Harness, clock: Clock) -> str:
    harness.bridge.script = lambda _: None
    await harness.start()
    id: str = (await harness.order(prefer="respond-async")).json()["request_id"]
    await harness.settle()
    clock.now += UNDELIVERED_MS
    await harness.front.ledger.hold_undelivered("front-1")
    harness.bridge.announce(decides=True)
    await turns()
    return id


async def test_what_no_bridge_confirmed_is_sent_once_more_as_it_was(harness: Harness, clock: Clock) -> None:
    id = await undelivered(harness, clock)
    [first] = harness.bridge.taken
    await harness.front.administration.resolve({"id": id, "choice": "resend", "note": "n"}, ROOT)
    await harness.settle()
    [(decision, envelope)] = decisions(harness)
    opened = harness.bridge._opener.authentic(envelope)
    assert (opened.attributes, opened.payload) == (first.attributes, first.payload)
    assert decision.command.accepted_at == first.attributes.time


async def test_what_no_bridge_confirmed_is_given_up_by_force_at_once(harness: Harness, clock: Clock) -> None:
    id = await undelivered(harness, clock)
    office = harness.front.administration
    await office.resolve({"id": id, "choice": "not-applied", "note": "n", "force": True}, ROOT)
    document = (await harness.status(id)).json()
    assert (document["status"], document["failure"]["code"]) == ("failed", "not-applied")
    assert harness.front.ledger.backlog == 0
    await harness.settle()
    [(decision, _)] = decisions(harness)
    assert decision.force  # so that the bridge never calls it


async def test_what_cannot_be_decided_so_is_refused_by_the_front(harness: Harness) -> None:
    answering(harness, Say())
    await harness.start()
    harness.bridge.announce(decides=True)
    waits = (await harness.order(prefer="respond-async")).json()["request_id"]
    await harness.settle()
    harness.bridge.script = lambda _: Say(State.HELD, "held", "why")
    held = (await harness.order(key="k2")).json()["request_id"]
    harness.bridge.script = lambda _: Say(result=b"{}")
    done = (await harness.order(key="k3")).json()["request_id"]
    await harness.settle()
    for id, more, said in (
        ("nobody", {"choice": "applied"}, "has no request"),
        (waits, {"choice": "applied"}, "is sent, not held"),
        (waits, {"choice": "resend"}, "only what is held as undelivered"),
        (held, {"choice": "resend"}, "only what is held as undelivered"),
        (held, {"choice": "cancel"}, "it may have been called"),
        (held, {"choice": "not-applied", "force": True}, "held as undelivered"),
        (held, {"choice": "not-applied", "result": "{}"}, "applied alone"),
        (held, {"choice": "applied", "result": "{}"}, "work_order"),
        (done, {"choice": "cancel"}, "is succeeded: there is nothing"),
    ):
        with pytest.raises(BridgeError, match=said):
            await harness.front.administration.resolve({"id": id, "note": "n", **more}, ROOT)
    await harness.settle()
    assert decisions(harness) == []


async def test_bridges_heads_are_kept_in_the_fronts_audit_log(harness: Harness) -> None:
    await harness.start()
    head = f"bridge-1:7:{'a' * 64}"
    harness.bridge.announce(decides=True, audit=head)
    await turns()
    for _ in range(2):
        await harness.front.housekeeping.look_at_audit()
    records = [record.as_dict() for record in await harness.front.audit.after(0, 10)]
    assert [one["details"] for one in records if one["event"] == "witnessed"] == [
        {"chain": "bridge-1", "sequence": 7, "hash": "a" * 64}
    ]


async def test_all_that_match_are_counted_and_then_decided_in_their_order(harness: Harness, clock: Clock) -> None:
    harness.bridge.script = lambda _: None
    await harness.start()
    harness.bridge.announce(decides=True)
    await turns()
    ids = []
    for number in range(3):
        ids.append((await harness.order(key=f"k{number}", prefer="respond-async")).json()["request_id"])
        clock.now += 1000
    await harness.settle()
    office = harness.front.administration
    question = {"choice": "cancel", "note": "ordered by mistake", "before": clock.now - 1500}
    assert (await office.resolve_matching(question, ROOT))["by_operation"] == {"work-order": 2}
    assert decisions(harness) == []
    await office.resolve({"id": ids[0], "choice": "cancel", "note": "n"}, ROOT)
    told = await office.resolve_matching({**question, "dry_run": False}, ROOT)
    assert told["decided"] == [ids[1]]
    [failure] = told["failures"]
    assert (failure["id"], "already" in failure["because"]) == (ids[0], True)
    await harness.settle()
    assert [one.request for one, _ in decisions(harness)] == ids[:2]
    resend = {"choice": "resend", "note": "n", "before": clock.now}
    assert (await office.resolve_matching(resend, ROOT))["by_operation"] == {}  # none is undelivered
    with pytest.raises(BridgeError, match="states: cancel is for what is accepted or sent, not held"):
        await office.resolve_matching({**question, "states": ["held"]}, ROOT)
    assert (await office.resolve_matching({**question, "states": ["accepted"]}, ROOT))["by_operation"] == {}
    assert len(await office.list({"states": ["sent"], "before": clock.now - 2500}, ROOT)) == 1


async def test_all_that_match_are_sent_again_in_their_order_and_none_overtakes(
    harness: Harness, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dmz_front.commands.administration.AT_ONCE", 2)
    harness.bridge.script = lambda _: None
    await harness.start()
    harness.bridge.announce(decides=True)
    await turns()
    ids = []
    for number in range(5):
        ids.append((await harness.order(key=f"k{number}", prefer="respond-async")).json()["request_id"])
        clock.now += 1000
    await harness.settle()
    office = harness.front.administration
    await office.resolve({"id": ids[1], "choice": "cancel", "note": "n"}, ROOT)
    await harness.settle()
    question = {"before": clock.now - 1500}
    assert await office.resend_matching(question, ROOT) == MatchReport(by_operation={"work-order": 3}).model_dump(
        mode="json"
    )  # neither what is being taken back, nor the youngest
    harness.bridge.taken.clear()
    first = await office.resend_matching({**question, "dry_run": False}, ROOT)
    assert (first["decided"], first["next"]) == ([ids[0], ids[2]], ids[2])
    second = await office.resend_matching({**question, "dry_run": False, "after": ids[2]}, ROOT)
    assert (second["decided"], second["next"], second["failures"]) == ([ids[3]], "", [])
    await harness.settle()
    assert [opened.attributes.id for opened in harness.bridge.taken] == [ids[0], ids[2], ids[3]]
    acts = [one.as_dict()["details"] for one in await harness.front.audit.after(0, 50)]
    assert [one["request_ids"] for one in acts if one.get("act") == "resend"] == [[ids[0], ids[2]], [ids[3]]]
    for nothing in ({"states": ["accepted"]}, {"operations": ["payment-writeoff"]}, {"before": 1}):
        assert (await office.resend_matching({**question, **nothing}, ROOT))["by_operation"] == {}
    with pytest.raises(BridgeError, match="states: resend is for what is accepted or sent, not held"):
        await office.resend_matching({**question, "states": ["held"]}, ROOT)

    offered = iter([True, False, True])
    monkeypatch.setattr(harness.front.outbox, "offer", lambda _: next(offered))
    full = await office.resend_matching({**question, "dry_run": False}, ROOT)
    assert (full["decided"], full["next"], [one["id"] for one in full["failures"]]) == ([ids[0]], "", [ids[2]])
    await harness.front.command_link.close()
    assert (await office.resend_matching(question, ROOT))["by_operation"] == {"work-order": 3}
    with pytest.raises(BridgeError, match="nothing can be sent now"):
        await office.resend_matching({**question, "dry_run": False}, ROOT)
