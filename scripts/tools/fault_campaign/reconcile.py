"""The reconciliation of the three books: what callers were told, the ledgers, the marketing system's journal. Pure.

Every disagreement is a `Violation`; a campaign without any has shown what it set out to show.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from scripts.tools.fault_campaign.books import Books
from scripts.tools.fault_campaign.stories import FINAL, RANK, Story

VIOLATIONS = {
    "lost": "accepted, and neither final nor held at the end; or told as succeeded and not in the journal",
    "twice": "applied more than once",
    "told-wrong": "a caller's final answer disagrees with the journal or with another answer",
    "backwards": "a status went back",
    "order": "applied before an earlier command of its account, although sent after that one was accepted",
    "two-ids": "one Idempotency-Key, two requests",
    "unanswered": "a caller never learnt whether its command was accepted",
    "stranger": "in a ledger or the journal, and no caller's",
    "ledgers": "the ledger and the inbox tell different outcomes",
    "wrong-query": "a query was answered with something else",
    "unexpected": "an answer no well-formed request should get",
    "replay": "a replayed command changed something or got another answer",
    "undrained": "the installation did not come to rest by itself",
}
"""Each kind, and what it means."""

EXPECTED_HTTP = {0, 200, 202, 409, 429, 502, 503, 504}
"""0: no answer."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise."""

    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


@dataclass(slots=True)
class Verdict:
    """What the books say."""

    accepted: int = 0
    applied_once: int = 0
    applied_more: int = 0
    lost: int = 0
    told_wrong: int = 0
    backwards: int = 0
    out_of_order: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """Final states, as the callers know them."""
    held: list[str] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    """Commands whose outcome was unknown at some time, by how it was resolved."""
    violations: list[Violation] = field(default_factory=list)

    def broken(self, kind: str, what: str) -> None:
        """Note a violation."""
        assert kind in VIOLATIONS, kind
        self.violations.append(Violation(kind, what))


def reconcile(stories: Sequence[Story], books: Books) -> Verdict:
    """Compare all books. The stories hold the callers' last questions already."""
    verdict = Verdict()
    known: set[str] = set()
    for story in stories:
        if not story.words:
            continue  # the campaign ended before it was sent
        known |= story.ids
        _one(story, books, verdict)
    for name, book in (("ledger", books.ledger), ("inbox", books.inbox), ("journal", books.journal)):
        for id in book.keys() - known:
            verdict.broken("stranger", f"{id} is in the {name}")
    _in_order(stories, books, verdict)
    _resolved(books, verdict)
    return verdict


def _one(story: Story, books: Books, verdict: Verdict) -> None:
    for word in story.words:
        if word.http not in EXPECTED_HTTP:
            verdict.broken("unexpected", f"{word.http} {word.code} for {story.key}")
    id = story.id
    if not id:
        verdict.broken("unanswered", f"{story.key}: {story.words[-1]}")
        return
    verdict.accepted += 1
    if len(story.ids) > 1:
        verdict.broken("two-ids", f"{story.key}: {', '.join(sorted(story.ids))}")
    effect = books.journal.get(id)
    applied = effect.applied if effect else 0
    verdict.applied_once += applied == 1
    if applied > 1:
        verdict.applied_more += 1
        verdict.broken("twice", f"{id} was applied {applied} times")
    _told(story, id, applied, effect.number if effect else "", verdict)
    _came_to_an_end(story, id, applied, books, verdict)
    if went_back(story):
        verdict.backwards += 1
        verdict.broken("backwards", f"{id}: {' '.join(word.state or '-' for word in story.words)}")


def _told(story: Story, id: str, applied: int, number: str, verdict: Verdict) -> None:
    finals = [word for word in story.words if word.state in FINAL]
    wrong = ""
    if len({(word.state, word.effect) for word in finals}) > 1:
        wrong = f"told {sorted({f'{word.state} {word.effect}' for word in finals})}"
    for word in finals:
        if word.state == "succeeded" and (applied == 0 or word.effect != number):
            wrong = f"told succeeded with {word.effect or 'nothing'}; the journal has {number or 'nothing'}"
        elif word.state != "succeeded" and applied:
            wrong = f"told {word.state}, and applied"
    if wrong:
        verdict.told_wrong += 1
        verdict.broken("told-wrong", f"{id}: {wrong}")


def _came_to_an_end(story: Story, id: str, applied: int, books: Books, verdict: Verdict) -> None:
    final = story.final
    in_ledger, in_inbox = books.ledger.get(id), books.inbox.get(id)
    if final is None and in_ledger == "held":
        verdict.held.append(id)
        verdict.outcomes["held"] += 1
        return
    if final is None or in_ledger is None or (final.state == "succeeded" and not applied):
        verdict.lost += 1
        last = next((word.state for word in reversed(story.words) if word.state), "")
        what = f"told {last or 'nothing'}, ledger {in_ledger}, inbox {in_inbox}, applied {applied}"
        verdict.broken("lost", f"{id} ({story.key}): {what}")
        return
    verdict.outcomes[final.state] += 1
    if final.state != in_ledger or (in_inbox is not None and in_inbox != in_ledger):
        verdict.broken("ledgers", f"{id}: told {final.state}, ledger {in_ledger}, inbox {in_inbox}")


def went_back(story: Story) -> bool:
    """Whether an answer asked for after another had come was of a lower rank, or another final state."""
    told = [word for word in story.words if word.state in RANK]
    for later in told:
        for earlier in told:
            if earlier.at <= later.asked_at:
                if RANK[later.state] < RANK[earlier.state]:
                    return True
                if earlier.state in FINAL and later.state != earlier.state:
                    return True
    return False


def _in_order(stories: Sequence[Story], books: Books, verdict: Verdict) -> None:
    by_account: dict[str, list[tuple[float, float, str, str]]] = {}
    for story in stories:
        accepted, effect = story.accepted, books.journal.get(story.id)
        if accepted is not None and effect is not None:
            row = (story.asked_at, accepted.at, effect.number, story.id)
            by_account.setdefault(story.account, []).append(row)
    for rows in by_account.values():
        waiting: list[tuple[float, str, str]] = []
        last = ("", "")
        for asked_at, accepted_at, number, id in sorted(rows):
            while waiting and waiting[0][0] < asked_at:
                _, earlier, whose = heappop(waiting)
                last = max(last, (earlier, whose))
            if number < last[0]:
                verdict.out_of_order += 1
                verdict.broken("order", f"{id} (work order {number}) before {last[1]} (work order {last[0]})")
            heappush(waiting, (accepted_at, number, id))


def _resolved(books: Books, verdict: Verdict) -> None:
    for id, steps in books.unknown.items():
        state = books.inbox.get(id, "gone")
        if state in FINAL and "retry" in steps:
            how = f"asked, it was not there, called again: {state}"
        elif state in FINAL:
            how = f"asked: {state}"
        else:
            how = state
        verdict.unknown[how] += 1


def changed(before: Books, after: Books, answers: Sequence[tuple[Story, str, str]]) -> list[Violation]:
    """What a replay changed. `answers`: story, and the state and the effect told to the repeated command."""
    found: list[Violation] = []
    for story, state, effect in answers:
        final = story.final
        if final is not None and (state, effect) != (final.state, final.effect):
            told = f"{final.state} {final.effect}"
            found.append(Violation("replay", f"{story.id}: first {told}, now {state or 'nothing'} {effect}"))
    for name, one, other in (
        ("journal", before.journal, after.journal),
        ("ledger", before.ledger, after.ledger),
        ("inbox", before.inbox, after.inbox),
    ):
        for id in sorted(one.keys() | other.keys()):
            if one.get(id) != other.get(id):
                found.append(Violation("replay", f"{id} in the {name}: {one.get(id)}, then {other.get(id)}"))
    return found
