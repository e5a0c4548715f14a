"""The books of pushes and notices: what the marketing system said, what the bridge has, what applications got. Pure.

Every push must be answered, and have led to exactly one notice for each application that has subscribed to its kind for
an account it is about; of an account and an application they come in the order of the pushes. A callback that comes
again, with the same id and body, is what at least once means; it is counted.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from scripts.tools.fault_campaign.receiver import Arrival
from scripts.tools.fault_campaign.reconcile import Violation

ARCHIVE, OUTAGE = "archive-changed", "outage-planned"
NOTICE_OF = {
    "bill-issued": "bill-issued", "arrears-due": "arrears-reminder", "project-node-reached": "application-node",
    "work-order-closed": "work-order-closed", OUTAGE: "outage-notice", "payment-booked": "payment-received",
}  # fmt: skip
"""Of a kind of push; none of `archive-changed`."""
SHOWN = 5
"""Violations of a kind and a stream that are named; all are counted."""

Stream = tuple[str, str]
"""Application and account."""


@dataclass(frozen=True, slots=True)
class Said:
    """A push, as the marketing system's journal has it."""

    number: int
    push: Mapping[str, Any]
    attempts: int
    repeated: int
    outcome: str | None
    """Of the bridge's answers: `accepted`, `repeated`, a refusal's code; None: it was never answered."""

    @property
    def id(self) -> str:
        """Its own."""
        return str(self.push["id"])


@dataclass(slots=True)
class NoticeVerdict:
    """The result."""

    pushes: int = 0
    answered: int = 0
    attempts: int = 0
    repeated: int = 0
    """Answers that said it was known already."""
    expected: Counter[str] = field(default_factory=Counter)
    """Notices, by application."""
    called: int = 0
    """Different notices that were delivered by callbacks."""
    called_again: int = 0
    """Callbacks that came once more, as before."""
    turned_away: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    """Notices that applications got by asking, by application."""
    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0
    wrong: int = 0
    violations: list[Violation] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Books:
    """All that is compared."""

    said: Sequence[Said]
    """In the order of their numbers, which is that in which they were first sent."""
    subscribed: Mapping[Stream, frozenset[str]]
    """Which kinds of notices; since before the first push."""
    taken: frozenset[str]
    """Push ids in the bridge's database."""
    called: Sequence[Arrival]
    """Callbacks that the application took, in their order."""
    hooked: str
    """The application that is called."""
    asked: Mapping[str, Sequence[Arrival]]
    """What applications got by asking, in the order of their pages."""
    turned_away: int = 0
    wrong: Sequence[str] = ()
    """What the receiver found wrong."""


def check(books: Books) -> NoticeVerdict:
    """Compare."""
    verdict = NoticeVerdict(turned_away=books.turned_away)
    _check_pushes(books, verdict)
    wanted = expected(books.said, books.subscribed)
    for (application, _), notices in wanted.items():
        verdict.expected[application] += len(notices)
    first, again, changed = once(books.called)
    verdict.called, verdict.called_again = len(first), again
    for text in [*books.wrong, *changed]:
        verdict.wrong += 1
        verdict.violations.append(Violation("notice-wrong", text))
    _check_notices("was called", books.hooked, first, wanted, verdict)
    for application, arrivals in books.asked.items():
        ones, more, changed = once(arrivals)
        verdict.asked[application] = len(ones)
        if more or changed:
            verdict.doubled += more
            verdict.violations.append(Violation("notice-twice", f"{application} got {more} twice in pages {changed}"))
        _check_notices("asked", application, ones, wanted, verdict)
    return verdict


def _check_pushes(books: Books, verdict: NoticeVerdict) -> None:
    for said in books.said:
        verdict.pushes += 1
        verdict.attempts += said.attempts
        verdict.repeated += said.repeated
        if said.outcome is None:
            verdict.violations.append(Violation("push", f"{said.id} was never answered"))
            continue
        verdict.answered += 1
        if said.outcome not in ("accepted", "repeated"):
            verdict.violations.append(Violation("push", f"{said.id} was answered {said.outcome}"))
    ids = {said.id for said in books.said}
    for id in sorted(ids - books.taken):
        verdict.violations.append(Violation("push", f"{id} is not in the bridge's database"))
    for id in sorted(books.taken - ids):
        verdict.violations.append(Violation("push", f"{id} is in the bridge's database, and was never said"))


def expected(said: Iterable[Said], subscribed: Mapping[Stream, frozenset[str]]) -> dict[Stream, list[str]]:
    """What each subscription is to get, in order, as `words`."""
    applications = {application for application, _ in subscribed}
    found: dict[Stream, list[str]] = {stream: [] for stream in subscribed}
    for one in said:
        kind = NOTICE_OF.get(one.push["kind"])
        if kind is None:
            continue
        for account, data in _about(one.push):
            for application in applications:
                if kind in subscribed.get((application, account), frozenset()):
                    found[application, account].append(words(kind, one.push["at"], data))
    return found


def _about(push: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    data = dict(push["data"])
    if push["kind"] != OUTAGE:
        return [(data["account"], data)]
    of_all = {"planned": True, "cancelled": False} | {name: value for name, value in data.items() if name != "accounts"}
    return [(account, {"account": account} | of_all) for account in data["accounts"]]


def words(kind: str, at: str, data: Mapping[str, Any]) -> str:
    """What a notice says, in one way of writing."""
    return json.dumps([kind, at, data], sort_keys=True, ensure_ascii=False)


def once(arrivals: Iterable[Arrival]) -> tuple[list[Arrival], int, list[str]]:
    """Each id as it came first; how many came again; and those that said something else then."""
    first: dict[str, Arrival] = {}
    again, changed = 0, []
    for arrival in arrivals:
        known = first.get(arrival.id)
        if known is None:
            first[arrival.id] = arrival
            continue
        again += 1
        if known.document != arrival.document:
            changed.append(f"{arrival.id} came again and said something else")
    return list(first.values()), again, changed


def _check_notices(
    how: str, application: str, arrivals: Sequence[Arrival], wanted: Mapping[Stream, list[str]], verdict: NoticeVerdict
) -> None:
    """`arrivals`: each id once."""
    came: dict[Stream, list[Arrival]] = {}
    for arrival in arrivals:
        stream = application, str(arrival.document["data"].get("account"))
        came.setdefault(stream, []).append(arrival)
    for stream in sorted({stream for stream in wanted if stream[0] == application} | came.keys()):
        _check_stream(
            f"{application}, which {how}, of {stream[1]}", wanted.get(stream, []), came.get(stream, []), verdict
        )


def _check_stream(which: str, wanted: Sequence[str], came: Sequence[Arrival], verdict: NoticeVerdict) -> None:
    got = [words(one.document["type"], one.document["timestamp"], one.document["data"]) for one in came]
    missing, more = Counter(wanted) - Counter(got), Counter(got) - Counter(wanted)
    doubled = {text: count for text, count in more.items() if text in set(wanted)}
    strange = {text: count for text, count in more.items() if text not in doubled}
    verdict.lost += missing.total()
    verdict.doubled += sum(doubled.values())
    verdict.wrong += sum(strange.values())
    for kind, texts in (("notice-lost", missing), ("notice-twice", doubled), ("notice-wrong", strange)):
        for text in list(texts)[:SHOWN]:
            verdict.violations.append(Violation(kind, f"{which}: {text}"))
    numbers = [one.document["sequence"] for one in came]
    steps = [(before, after) for before, after in pairwise(numbers) if after != before + 1]
    swapped = not missing and not more and got != list(wanted)
    if steps or swapped:
        verdict.out_of_order += max(len(steps), 1)
        told = f"numbers {steps[:SHOWN]}" if steps else "numbered in another order than pushed"
        verdict.violations.append(Violation("notice-order", f"{which}: {told}"))
