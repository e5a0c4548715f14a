"""The reconciliation finds nothing wrong where nothing is, and each kind of violation where it was made."""

from typing import Any

import pytest

from scripts.tools.fault_campaign.books import Books, Effect, unknown
from scripts.tools.fault_campaign.reconcile import Verdict, changed, reconcile
from scripts.tools.fault_campaign.stories import Story, Word, word_of

ACCOUNT = "3210000000001"


def story(id: str, *words: Word, account: str = ACCOUNT) -> Story:
    return Story(f"key-{id}", account, list(words))


def told(id: str, state: str, effect: str = "", *, at: float = 1.0, http: int = 200) -> Word:
    return Word(at - 0.5, at, http, id, state, effect)


def good() -> tuple[list[Story], Books]:
    """Two commands of one account, one refused command, and one whose caller heard of it late."""
    stories = [
        story("a", told("a", "accepted", at=1, http=202), told("a", "succeeded", "W1", at=3)),
        story("b", told("b", "succeeded", "W2", at=5)),
        story("c", told("c", "refused", at=6)),
        story("d", Word(7, 8, 0, code="TimeoutError"), told("d", "accepted", at=9), told("d", "succeeded", "W3", at=9)),
    ]
    states = {"a": "succeeded", "b": "succeeded", "c": "refused", "d": "succeeded"}
    journal = {"a": Effect(1, "W1"), "b": Effect(1, "W2"), "d": Effect(1, "W3")}
    return stories, Books(dict(states), dict(states), journal)


def kinds(verdict: Verdict) -> list[str]:
    return [violation.kind for violation in verdict.violations]


def test_good_books() -> None:
    verdict = reconcile(*good())
    assert verdict.violations == []
    assert (verdict.accepted, verdict.applied_once, verdict.applied_more, verdict.lost) == (4, 3, 0, 0)
    assert verdict.outcomes == {"succeeded": 3, "refused": 1}


def test_a_story_never_begun_does_not_count() -> None:
    stories, books = good()
    assert reconcile([*stories, Story("key-x", ACCOUNT)], books).accepted == 4


def test_applied_twice() -> None:
    stories, books = good()
    books.journal["b"] = Effect(2, "W2")
    verdict = reconcile(stories, books)
    assert kinds(verdict) == ["twice"]
    assert (verdict.applied_more, verdict.applied_once) == (1, 2)


def test_lost_is_accepted_and_never_final() -> None:
    stories, books = good()
    stories[0].words.pop()
    books.ledger["a"] = books.inbox["a"] = "sent"
    del books.journal["a"]
    verdict = reconcile(stories, books)
    assert kinds(verdict) == ["lost"]
    assert verdict.lost == 1


def test_lost_is_told_as_succeeded_and_not_applied() -> None:
    stories, books = good()
    del books.journal["b"]
    verdict = reconcile(stories, books)
    assert kinds(verdict) == ["told-wrong", "lost"]
    assert (verdict.lost, verdict.told_wrong) == (1, 1)


def test_lost_is_accepted_and_in_no_ledger() -> None:
    stories, books = good()
    del books.ledger["c"]
    assert kinds(reconcile(stories, books)) == ["lost"]


@pytest.mark.parametrize(
    "word",
    [
        told("a", "succeeded", "W9", at=20),  # another effect than the journal's
        told("a", "refused", at=20),  # refused, and applied
    ],
)
def test_told_wrong(word: Word) -> None:
    stories, books = good()
    stories[0].words[-1] = word
    verdict = reconcile(stories, books)
    assert "told-wrong" in kinds(verdict)
    assert verdict.told_wrong == 1


def test_told_one_thing_and_then_another() -> None:
    stories, books = good()
    stories[2].words.append(told("c", "failed", at=30))
    verdict = reconcile(stories, books)
    assert set(kinds(verdict)) == {"told-wrong", "backwards"}


@pytest.mark.parametrize(("first", "then"), [("succeeded", "sent"), ("sent", "accepted"), ("held", "accepted")])
def test_a_status_that_goes_backwards(first: str, then: str) -> None:
    stories, books = good()
    effect = "W1" if first == "succeeded" else ""
    stories[0].words[:-1] = [told("a", first, effect, at=1), told("a", then, at=2)]
    assert kinds(reconcile(stories, books)) == ["backwards"]


def test_answers_that_overlap_prove_nothing() -> None:
    stories, books = good()
    stories[0].words.append(Word(2.9, 3.5, 202, "a", "accepted"))  # asked before the other answer was there
    assert reconcile(stories, books).violations == []


def test_out_of_order() -> None:
    stories, books = good()
    stories[0].words[-1] = told("a", "succeeded", "W2", at=7)
    stories[1].words[-1] = told("b", "succeeded", "W1", at=7)  # asked at 6.5, when a had been accepted at 1
    books.journal.update(a=Effect(1, "W2"), b=Effect(1, "W1"))
    verdict = reconcile(stories, books)
    assert kinds(verdict) == ["order"]
    assert verdict.out_of_order == 1


def test_other_accounts_and_commands_asked_at_once_have_no_order() -> None:
    stories, books = good()
    books.journal.update(a=Effect(1, "W2"), b=Effect(1, "W1"))
    stories[0].words[-1] = told("a", "succeeded", "W2", at=7)
    stories[1].words[-1] = Word(0.6, 7, 200, "b", "succeeded", "W1")  # asked before a was accepted
    assert reconcile(stories, books).violations == []
    stories[1].words[-1] = told("b", "succeeded", "W1", at=7)
    stories[1].account = "3210000000002"
    assert reconcile(stories, books).violations == []


def test_one_key_and_two_requests() -> None:
    stories, books = good()
    stories[3].words.insert(1, told("e", "accepted", at=8.5))
    assert "two-ids" in kinds(reconcile(stories, books))


def test_a_caller_that_never_learnt_anything() -> None:
    stories, books = good()
    stories.append(story("x", Word(1, 2, 0, code="TimeoutError")))
    assert kinds(reconcile(stories, books)) == ["unanswered"]


@pytest.mark.parametrize("book", ["ledger", "inbox", "journal"])
def test_strangers(book: str) -> None:
    stories, books = good()
    value: Any = Effect(1, "W8") if book == "journal" else "succeeded"
    getattr(books, book)["z"] = value
    assert kinds(reconcile(stories, books)) == ["stranger"]


@pytest.mark.parametrize("book", ["ledger", "inbox"])
def test_ledgers_that_disagree(book: str) -> None:
    stories, books = good()
    getattr(books, book)["a"] = "failed"
    assert kinds(reconcile(stories, books)) == ["ledgers"]


@pytest.mark.parametrize("http", [404, 422, 500])
def test_an_answer_nobody_should_get(http: int) -> None:
    stories, books = good()
    stories[0].words.append(Word(9, 10, http, code="x"))
    assert kinds(reconcile(stories, books)) == ["unexpected"]


def test_held_is_listed_and_not_lost() -> None:
    stories, books = good()
    stories[0].words[-1] = told("a", "held", at=3)
    books.ledger["a"] = books.inbox["a"] = "held"
    verdict = reconcile(stories, books)
    assert (verdict.violations, verdict.held, verdict.lost) == ([], ["a"], 0)


def test_how_the_unknown_was_resolved() -> None:
    stories, books = good()
    log = [
        '{"event": "command-waits", "request": "a", "next": "inquire"}',
        '{"event": "command-waits", "request": "b", "next": "inquire"}',
        '{"event": "command-waits", "request": "b", "next": "retry"}',
        '{"event": "command-waits", "request": "c", "next": "retry"}',
        '{"event": "command-waits", "requ',
    ]
    steps = unknown(log)
    assert steps == {"a": ["inquire"], "b": ["inquire", "retry"]}
    verdict = reconcile(stories, Books(books.ledger, books.inbox, books.journal, steps))
    assert verdict.unknown == {"asked: succeeded": 1, "asked, it was not there, called again: succeeded": 1}


def test_a_replay_that_changes_nothing_and_one_that_does() -> None:
    stories, before = good()
    same = [(stories[0], "succeeded", "W1"), (stories[2], "refused", "")]
    assert changed(before, good()[1], same) == []
    assert len(changed(before, good()[1], [(stories[0], "accepted", "")])) == 1
    after = good()[1]
    after.journal["a"] = Effect(2, "W1")
    after.ledger["new"] = "accepted"
    assert [violation.kind for violation in changed(before, after, same)] == ["replay"] * 2


def test_words() -> None:
    accepted = word_of(1, 2, 202, {"request_id": "a", "status": "accepted"})
    assert (accepted.accepted, accepted.state) == (True, "accepted")
    done = word_of(1, 2, 200, {"request_id": "a", "status": "succeeded", "result": {"work_order": "W1"}})
    assert (done.state, done.effect) == ("succeeded", "W1")
    failed = word_of(1, 2, 502, {"code": "marketing-failed", "request_id": "a", "request_status": "failed"})
    assert (failed.accepted, failed.state) == (True, "failed")
    turned_away = word_of(1, 2, 503, {"code": "store-unavailable", "request_id": "a"})
    assert not turned_away.accepted
    in_flight = word_of(1, 2, 409, {"code": "idempotency-key-in-flight", "request_id": "x"}, "/v1/requests/a")
    assert (in_flight.id, in_flight.accepted) == ("a", True)
    assert not word_of(1, 2, 200, [1]).accepted
