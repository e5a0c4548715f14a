"""The reconciliation of three records: what callers were told, the ledgers, the marketing system's journal. Pure.

Every disagreement is a `Violation`; a campaign without one has confirmed the delivery guarantees.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from scripts.tools.fault_campaign.records import Records
from scripts.tools.fault_campaign.timelines import FINAL, RANK, Timeline

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
    "push": "a push was never answered, or refused, or is not the bridge's",
    "notice-lost": "an application that has subscribed did not get a notice",
    "notice-twice": "an application got two notices of one push",
    "notice-order": "notices of an account came out of their order, or with a gap",
    "notice-wrong": "an application got a notice that no push led to, or that says something else, or is not signed",
    "fen-lost": "a channel has money that is neither written off nor given back",
    "fen-twice": "money is written off twice, or written off and given back, or of nobody's order; or a coupon used so",
    "money-open": "an order, a statement's run or an item did not come to its end",
    "money-books": "the ledger says otherwise than channels, callers and the marketing system, or does not balance",
    "difference-missed": "a planted difference was not found under its name, or a payment that nobody was told of",
    "difference-unexplained": "a difference was reported that nobody planted",
    "forged": "a forged notification was believed",
    "undrained": "the installation did not come to rest by itself",
}
"""Each kind, and what it means."""

EXPECTED_HTTP = {0, 200, 202, 409, 429, 502, 503, 504}
"""0: no response."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One violated guarantee."""

    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


@dataclass(slots=True)
class Verdict:
    """The result of the reconciliation."""

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

    def add(self, kind: str, what: str) -> None:
        """Record a violation."""
        assert kind in VIOLATIONS, kind
        self.violations.append(Violation(kind, what))


def reconcile(timelines: Sequence[Timeline], records: Records, others: Collection[str] = ()) -> Verdict:
    """Compare all records. The timelines already hold the callers' final requests. `others`: request ids of commands
    that are not the marketing system's, as of those who subscribed.
    """
    verdict = Verdict()
    known: set[str] = set(others)
    for timeline in timelines:
        if not timeline.observations:
            continue  # the campaign ended before it was sent
        known |= timeline.ids
        _check_command(timeline, records, verdict)
    for name, source in (("ledger", records.ledger), ("inbox", records.inbox), ("journal", records.journal)):
        for id in source.keys() - known:
            verdict.add("stranger", f"{id} is in the {name}")
    _check_order(timelines, records, verdict)
    _count_resolutions(records, verdict)
    return verdict


def _check_command(timeline: Timeline, records: Records, verdict: Verdict) -> None:
    for observation in timeline.observations:
        if observation.http not in EXPECTED_HTTP:
            verdict.add("unexpected", f"{observation.http} {observation.code} for {timeline.key}")
    id = timeline.id
    if not id:
        verdict.add("unanswered", f"{timeline.key}: {timeline.observations[-1]}")
        return
    verdict.accepted += 1
    if len(timeline.ids) > 1:
        verdict.add("two-ids", f"{timeline.key}: {', '.join(sorted(timeline.ids))}")
    effect = records.journal.get(id)
    applied = effect.applied if effect else 0
    verdict.applied_once += applied == 1
    if applied > 1:
        verdict.applied_more += 1
        verdict.add("twice", f"{id} was applied {applied} times")
    _check_final_answers(timeline, id, applied, effect.number if effect else "", verdict)
    _check_outcome(timeline, id, applied, records, verdict)
    if went_back(timeline):
        verdict.backwards += 1
        verdict.add("backwards", f"{id}: {' '.join(observation.state or '-' for observation in timeline.observations)}")


def _check_final_answers(timeline: Timeline, id: str, applied: int, number: str, verdict: Verdict) -> None:
    finals = [observation for observation in timeline.observations if observation.state in FINAL]
    wrong = ""
    if len({(observation.state, observation.effect) for observation in finals}) > 1:
        wrong = f"told {sorted({f'{observation.state} {observation.effect}' for observation in finals})}"
    for observation in finals:
        if observation.state == "succeeded" and (applied == 0 or observation.effect != number):
            wrong = f"told succeeded with {observation.effect or 'nothing'}; the journal has {number or 'nothing'}"
        elif observation.state != "succeeded" and applied:
            wrong = f"told {observation.state}, and applied"
    if wrong:
        verdict.told_wrong += 1
        verdict.add("told-wrong", f"{id}: {wrong}")


def _check_outcome(timeline: Timeline, id: str, applied: int, records: Records, verdict: Verdict) -> None:
    final = timeline.final
    in_ledger, in_inbox = records.ledger.get(id), records.inbox.get(id)
    if final is None and in_ledger == "held":
        verdict.held.append(id)
        verdict.outcomes["held"] += 1
        return
    if final is None or in_ledger is None or (final.state == "succeeded" and not applied):
        verdict.lost += 1
        last = next((observation.state for observation in reversed(timeline.observations) if observation.state), "")
        what = f"told {last or 'nothing'}, ledger {in_ledger}, inbox {in_inbox}, applied {applied}"
        verdict.add("lost", f"{id} ({timeline.key}): {what}")
        return
    verdict.outcomes[final.state] += 1
    if final.state != in_ledger or (in_inbox is not None and in_inbox != in_ledger):
        verdict.add("ledgers", f"{id}: told {final.state}, ledger {in_ledger}, inbox {in_inbox}")


def went_back(timeline: Timeline) -> bool:
    """Whether a response was of a lower rank, or of another final state, than one that came before it was asked for."""
    told = [observation for observation in timeline.observations if observation.state in RANK]
    for later in told:
        for earlier in told:
            if earlier.at <= later.asked_at:
                if RANK[later.state] < RANK[earlier.state]:
                    return True
                if earlier.state in FINAL and later.state != earlier.state:
                    return True
    return False


def _check_order(timelines: Sequence[Timeline], records: Records, verdict: Verdict) -> None:
    by_account: dict[str, list[tuple[float, float, str, str]]] = {}
    for timeline in timelines:
        accepted, effect = timeline.accepted, records.journal.get(timeline.id)
        if accepted is not None and effect is not None:
            row = (timeline.asked_at, accepted.at, effect.number, timeline.id)
            by_account.setdefault(timeline.account, []).append(row)
    for rows in by_account.values():
        waiting: list[tuple[float, str, str]] = []
        last = ("", "")
        for asked_at, accepted_at, number, id in sorted(rows):
            while waiting and waiting[0][0] < asked_at:
                _, earlier, whose = heappop(waiting)
                last = max(last, (earlier, whose))
            if number < last[0]:
                verdict.out_of_order += 1
                verdict.add("order", f"{id} (work order {number}) before {last[1]} (work order {last[0]})")
            heappush(waiting, (accepted_at, number, id))


def _count_resolutions(records: Records, verdict: Verdict) -> None:
    for id, steps in records.unknown.items():
        state = records.inbox.get(id, "gone")
        if state in FINAL and "retry" in steps:
            how = f"asked, it was not there, called again: {state}"
        elif state in FINAL:
            how = f"asked: {state}"
        else:
            how = state
        verdict.unknown[how] += 1


def changed(before: Records, after: Records, answers: Sequence[tuple[Timeline, str, str]]) -> list[Violation]:
    """What a replay changed. `answers`: timeline, and state and effect in the response to the repeated command."""
    found: list[Violation] = []
    for timeline, state, effect in answers:
        final = timeline.final
        if final is not None and (state, effect) != (final.state, final.effect):
            told = f"{final.state} {final.effect}"
            found.append(Violation("replay", f"{timeline.id}: first {told}, now {state or 'nothing'} {effect}"))
    for name, one, other in (
        ("journal", before.journal, after.journal),
        ("ledger", before.ledger, after.ledger),
        ("inbox", before.inbox, after.inbox),
    ):
        for id in sorted(one.keys() | other.keys()):
            if one.get(id) != other.get(id):
                found.append(Violation("replay", f"{id} in the {name}: {one.get(id)}, then {other.get(id)}"))
    return found
