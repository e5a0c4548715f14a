"""The reconciliation finds nothing wrong where nothing is, and each kind of violation where it was made."""

from typing import Any

import pytest

from scripts.tools.fault_campaign.reconcile import Verdict, changed, reconcile
from scripts.tools.fault_campaign.records import Effect, Records, unknown
from scripts.tools.fault_campaign.timelines import Observation, Timeline, observation_of

ACCOUNT = "3210000000001"


def timeline(id: str, *observations: Observation, account: str = ACCOUNT) -> Timeline:
    return Timeline(f"key-{id}", account, list(observations))


def observed(id: str, state: str, effect: str = "", *, at: float = 1.0, http: int = 200) -> Observation:
    return Observation(at - 0.5, at, http, id, state, effect)


def good() -> tuple[list[Timeline], Records]:
    """Two commands of one account, one refused command, and one whose caller heard of it late."""
    timelines = [
        timeline("a", observed("a", "accepted", at=1, http=202), observed("a", "succeeded", "W1", at=3)),
        timeline("b", observed("b", "succeeded", "W2", at=5)),
        timeline("c", observed("c", "refused", at=6)),
        timeline(
            "d",
            Observation(7, 8, 0, code="TimeoutError"),
            observed("d", "accepted", at=9),
            observed("d", "succeeded", "W3", at=9),
        ),
    ]
    states = {"a": "succeeded", "b": "succeeded", "c": "refused", "d": "succeeded"}
    journal = {"a": Effect(1, "W1"), "b": Effect(1, "W2"), "d": Effect(1, "W3")}
    return timelines, Records(dict(states), dict(states), journal)


def kinds(verdict: Verdict) -> list[str]:
    return [violation.kind for violation in verdict.violations]


def test_good_books() -> None:
    verdict = reconcile(*good())
    assert verdict.violations == []
    assert (verdict.accepted, verdict.applied_once, verdict.applied_more, verdict.lost) == (4, 3, 0, 0)
    assert verdict.outcomes == {"succeeded": 3, "refused": 1}


def test_a_story_never_begun_does_not_count() -> None:
    timelines, records = good()
    assert reconcile([*timelines, Timeline("key-x", ACCOUNT)], records).accepted == 4


def test_applied_twice() -> None:
    timelines, records = good()
    records.journal["b"] = Effect(2, "W2")
    verdict = reconcile(timelines, records)
    assert kinds(verdict) == ["twice"]
    assert (verdict.applied_more, verdict.applied_once) == (1, 2)


def test_lost_is_accepted_and_never_final() -> None:
    timelines, records = good()
    timelines[0].observations.pop()
    records.ledger["a"] = records.inbox["a"] = "sent"
    del records.journal["a"]
    verdict = reconcile(timelines, records)
    assert kinds(verdict) == ["lost"]
    assert verdict.lost == 1


def test_lost_is_told_as_succeeded_and_not_applied() -> None:
    timelines, records = good()
    del records.journal["b"]
    verdict = reconcile(timelines, records)
    assert kinds(verdict) == ["told-wrong", "lost"]
    assert (verdict.lost, verdict.told_wrong) == (1, 1)


def test_lost_is_accepted_and_in_no_ledger() -> None:
    timelines, records = good()
    del records.ledger["c"]
    assert kinds(reconcile(timelines, records)) == ["lost"]


@pytest.mark.parametrize(
    "observation",
    [
        observed("a", "succeeded", "W9", at=20),  # another effect than the journal's
        observed("a", "refused", at=20),  # refused, and applied
    ],
)
def test_told_wrong(observation: Observation) -> None:
    timelines, records = good()
    timelines[0].observations[-1] = observation
    verdict = reconcile(timelines, records)
    assert "told-wrong" in kinds(verdict)
    assert verdict.told_wrong == 1


def test_told_one_thing_and_then_another() -> None:
    timelines, records = good()
    timelines[2].observations.append(observed("c", "failed", at=30))
    verdict = reconcile(timelines, records)
    assert set(kinds(verdict)) == {"told-wrong", "backwards"}


@pytest.mark.parametrize(("first", "then"), [("succeeded", "sent"), ("sent", "accepted"), ("held", "accepted")])
def test_a_status_that_goes_backwards(first: str, then: str) -> None:
    timelines, records = good()
    effect = "W1" if first == "succeeded" else ""
    timelines[0].observations[:-1] = [observed("a", first, effect, at=1), observed("a", then, at=2)]
    assert kinds(reconcile(timelines, records)) == ["backwards"]


def test_answers_that_overlap_prove_nothing() -> None:
    timelines, records = good()
    timelines[0].observations.append(
        Observation(2.9, 3.5, 202, "a", "accepted")
    )  # asked before the other answer was there
    assert reconcile(timelines, records).violations == []


def test_out_of_order() -> None:
    timelines, records = good()
    timelines[0].observations[-1] = observed("a", "succeeded", "W2", at=7)
    timelines[1].observations[-1] = observed(
        "b", "succeeded", "W1", at=7
    )  # asked at 6.5, when a had been accepted at 1
    records.journal.update(a=Effect(1, "W2"), b=Effect(1, "W1"))
    verdict = reconcile(timelines, records)
    assert kinds(verdict) == ["order"]
    assert verdict.out_of_order == 1


def test_other_accounts_and_commands_asked_at_once_have_no_order() -> None:
    timelines, records = good()
    records.journal.update(a=Effect(1, "W2"), b=Effect(1, "W1"))
    timelines[0].observations[-1] = observed("a", "succeeded", "W2", at=7)
    timelines[1].observations[-1] = Observation(0.6, 7, 200, "b", "succeeded", "W1")  # asked before a was accepted
    assert reconcile(timelines, records).violations == []
    timelines[1].observations[-1] = observed("b", "succeeded", "W1", at=7)
    timelines[1].account = "3210000000002"
    assert reconcile(timelines, records).violations == []


def test_one_key_and_two_requests() -> None:
    timelines, records = good()
    timelines[3].observations.insert(1, observed("e", "accepted", at=8.5))
    assert "two-ids" in kinds(reconcile(timelines, records))


def test_a_caller_that_never_learnt_anything() -> None:
    timelines, records = good()
    timelines.append(timeline("x", Observation(1, 2, 0, code="TimeoutError")))
    assert kinds(reconcile(timelines, records)) == ["unanswered"]


@pytest.mark.parametrize("source", ["ledger", "inbox", "journal"])
def test_strangers(source: str) -> None:
    timelines, records = good()
    value: Any = Effect(1, "W8") if source == "journal" else "succeeded"
    getattr(records, source)["z"] = value
    assert kinds(reconcile(timelines, records)) == ["stranger"]


@pytest.mark.parametrize("source", ["ledger", "inbox"])
def test_ledgers_that_disagree(source: str) -> None:
    timelines, records = good()
    getattr(records, source)["a"] = "failed"
    assert kinds(reconcile(timelines, records)) == ["ledgers"]


@pytest.mark.parametrize("http", [404, 422, 500])
def test_an_answer_nobody_should_get(http: int) -> None:
    timelines, records = good()
    timelines[0].observations.append(Observation(9, 10, http, code="x"))
    assert kinds(reconcile(timelines, records)) == ["unexpected"]


def test_held_is_listed_and_not_lost() -> None:
    timelines, records = good()
    timelines[0].observations[-1] = observed("a", "held", at=3)
    records.ledger["a"] = records.inbox["a"] = "held"
    verdict = reconcile(timelines, records)
    assert (verdict.violations, verdict.held, verdict.lost) == ([], ["a"], 0)


def test_how_the_unknown_was_resolved() -> None:
    timelines, records = good()
    log = [
        '{"event": "command-waits", "request_id": "a", "next": "inquire"}',
        '{"event": "command-waits", "request_id": "b", "next": "inquire"}',
        '{"event": "command-waits", "request_id": "b", "next": "retry"}',
        '{"event": "command-waits", "request_id": "c", "next": "retry"}',
        '{"event": "poison-command-held", "request_id": "d"}',
        '{"event": "command-waits", "requ',
    ]
    steps = unknown(log)
    assert steps == {"a": ["inquire"], "b": ["inquire", "retry"]}
    verdict = reconcile(timelines, Records(records.ledger, records.inbox, records.journal, steps))
    assert verdict.unknown == {"asked: succeeded": 1, "asked, it was not there, called again: succeeded": 1}


def test_a_replay_that_changes_nothing_and_one_that_does() -> None:
    timelines, before = good()
    same = [(timelines[0], "succeeded", "W1"), (timelines[2], "refused", "")]
    assert changed(before, good()[1], same) == []
    assert len(changed(before, good()[1], [(timelines[0], "accepted", "")])) == 1
    after = good()[1]
    after.journal["a"] = Effect(2, "W1")
    after.ledger["new"] = "accepted"
    assert [violation.kind for violation in changed(before, after, same)] == ["replay"] * 2


def test_words() -> None:
    accepted = observation_of(1, 2, 202, {"request_id": "a", "status": "accepted"})
    assert (accepted.accepted, accepted.state) == (True, "accepted")
    done = observation_of(1, 2, 200, {"request_id": "a", "status": "succeeded", "result": {"work_order": "W1"}})
    assert (done.state, done.effect) == ("succeeded", "W1")
    failed = observation_of(1, 2, 502, {"code": "marketing-failed", "request_id": "a", "request_status": "failed"})
    assert (failed.accepted, failed.state) == (True, "failed")
    rejected = observation_of(1, 2, 503, {"code": "store-unavailable", "request_id": "a"})
    assert not rejected.accepted
    in_flight = observation_of(1, 2, 409, {"code": "idempotency-key-in-flight", "request_id": "x"}, "/v1/requests/a")
    assert (in_flight.id, in_flight.accepted) == ("a", True)
    assert not observation_of(1, 2, 200, [1]).accepted
