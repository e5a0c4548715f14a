"""Who guesses waits, longer each time; who mistypes does not; and nobody keeps another application's customers out."""

import itertools
from typing import Any

import pytest

from dmz_front.admission import guessing
from dmz_front.admission.guessing import Attempt, Guessing
from dmz_front.problems.details import HttpResponse, Problem
from dmz_front.replies.responses import accepted, of_reply
from dmz_front.settings import GuessingSection
from protocol.lifecycle import State
from protocol.messages import Attributes, Reply
from protocol.operations import CATALOGUE
from protocol.runtime.metrics import Sample

IDS = itertools.count()
WHO = "990101196211080011"


def reply(state: State, id: str = "1", code: str = "no-match") -> Reply:
    return Reply(Attributes(id, "bridge-1", "account-match", 0), state, code, result=b"{}")


REFUSED = of_reply("1", reply(State.REFUSED))
SUCCEEDED = of_reply("1", reply(State.SUCCEEDED))


class Front:
    """One front's counts, with a clock of its own."""

    def __init__(self, *, capacity: int = 1000, **limits: float) -> None:
        self.now = 1_000.0
        off = {"user_failures": 0, "application_failures": 0, "address_failures": 0}
        self.guessing = Guessing(GuessingSection.model_validate(off | limits), now=lambda: self.now, capacity=capacity)

    def begin(
        self,
        identity_number: str = WHO,
        *,
        operation: str = "account-match",
        user: str = "u",
        application: str = "app",
        address: str = "10.0.0.9",
        **change: Any,
    ) -> Attempt:
        entry = CATALOGUE[operation]
        fields = {"user": user} | ({"identity_number": identity_number} if "identity_number" in entry.example else {})
        asked = entry.requests.validate_python({**entry.example, **fields, **change})
        return self.guessing.begin(entry, asked, application, address)

    def tried(self, *who: str, answer: HttpResponse = REFUSED, **more: Any) -> float:
        """0 if the attempt was let through, else the seconds to wait."""
        try:
            attempt = self.begin(*who, **more)
        except Problem as problem:
            if (problem.status, problem.code) != (429, "too-many-failures"):
                raise
            return float(dict(problem.headers)[b"retry-after"])
        self.guessing.answered(attempt, str(next(IDS)), answer)
        return 0

    def settled(self, id: str, state: State) -> None:
        self.guessing.settled(reply(state, id))

    @property
    def samples(self) -> dict[str, Any]:
        found: list[Sample] = list(self.guessing.samples())
        return {name: value for name, _, _, value in found}


def identity(number: int) -> str:
    """Some identity number, with its check character."""
    digits = f"990101{19500101 + number // 1000:08d}{number % 1000:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return digits + "10X98765432"[sum(int(d) * w for d, w in zip(digits, weights, strict=True)) % 11]


def test_pauses_begin_after_a_few_refusals_and_grow_up_to_a_bound() -> None:
    front = Front(value_failures=3, pause_s=5, pause_max_s=60, window_s=1e5)
    assert [front.tried() for _ in range(4)] == [0, 0, 0, 5]
    for pause in (5, 10, 20, 40, 60, 60, 60):
        front.now += pause - 0.5
        assert front.tried() == 1  # rounded up: who comes then is let through
        front.now += 0.5
        assert front.tried() == 0
    assert front.samples["dmz_front_guessing_paused_total"] == 8


def test_being_refused_because_of_a_pause_makes_it_no_longer() -> None:
    front = Front(value_failures=1, pause_s=5)
    front.tried()
    assert [front.tried() for _ in range(100)] == [5] * 100


def test_refusals_are_forgiven_in_time() -> None:
    front = Front(value_failures=2, window_s=100, pause_s=30)
    assert [front.tried() for _ in range(3)] == [0, 0, 30]
    front.now += 100
    assert [front.tried() for _ in range(3)] == [0, 0, 30]


def test_a_success_clears_the_count_of_its_value() -> None:
    front = Front(value_failures=3)
    for _ in range(5):
        assert [front.tried(), front.tried(), front.tried(answer=SUCCEEDED)] == [0, 0, 0]
    assert front.samples["dmz_front_guessing_keys"] == 0


def test_a_success_with_one_value_clears_nothing_of_who_guesses_at_others() -> None:
    front = Front(user_failures=4)
    for number in range(4):
        assert front.tried(identity(number)) == 0
        if number < 3:
            assert front.tried(answer=SUCCEEDED) == 0
    assert front.tried() > 0
    assert front.tried(user="another") == 0


def test_a_code_that_was_sent_clears_no_failed_binding() -> None:
    """Or every code sent would let another few be tried."""
    front = Front(value_failures=2)
    account: dict[str, Any] = {"account": "3210000000004"}
    for _ in range(2):
        assert front.tried(operation="account-code", answer=SUCCEEDED, **account) == 0
        assert front.tried(operation="account-bind", **account) == 0
    assert front.tried(operation="account-bind", **account) > 0
    assert front.tried(operation="account-bind", account="3210000000005") == 0


def test_many_at_once_do_not_slip_through_together() -> None:
    front = Front(value_failures=3)
    begun = [front.begin() for _ in range(3)]
    with pytest.raises(Problem):
        front.begin()
    for attempt in begun:  # a problem each: the marketing system did not answer
        front.guessing.told_nothing(attempt)
    assert front.samples["dmz_front_guessing_keys"] == 0
    assert [front.tried() for _ in range(3)] == [0, 0, 0]


def test_guessing_through_one_application_keeps_nobody_out_of_another() -> None:
    front = Front(value_failures=2)
    assert [front.tried(application="app") for _ in range(3)] == [0, 0, 5]
    assert front.tried(application="counter") == 0


@pytest.mark.parametrize(
    ("limit", "other"),
    [("user", {"user": "2"}), ("application", {"application": "other"}), ("address", {"address": "10.0.0.10"})],
)
def test_who_tries_many_values_waits_too(limit: str, other: dict[str, Any]) -> None:
    front = Front(**{f"{limit}_failures": 10})
    assert [front.tried(identity(number)) for number in range(11)] == [0] * 10 + [5]
    with pytest.raises(Problem) as caught:
        front.begin(identity(12))
    assert caught.value.detail.endswith(limit)
    assert front.tried(identity(12), **other) == 0


def test_what_has_no_outcome_counts_until_it_is_known_to_be_a_success() -> None:
    front = Front(value_failures=2, user_failures=3)
    for id in ("a", "b"):
        front.guessing.answered(front.begin(), id, accepted(id, State.ACCEPTED))
    assert front.tried() > 0
    front.settled("a", State.HELD)
    front.settled("unknown", State.SUCCEEDED)
    assert front.tried() > 0
    front.settled("a", State.SUCCEEDED)
    assert front.tried() == 0
    front.settled("b", State.FAILED)
    front.settled("b", State.FAILED)  # told twice
    assert [front.tried(identity(number)) for number in range(3)] == [0, 0, 5]  # of the user, one before


def test_a_late_refusal_stays_counted() -> None:
    front = Front(value_failures=1)
    front.guessing.answered(front.begin(), "a", accepted("a", State.ACCEPTED))
    front.settled("a", State.REFUSED)
    assert front.tried() > 0


def test_attempts_without_outcome_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guessing, "UNSETTLED", 2)
    front = Front(value_failures=1)
    for number in range(3):
        front.guessing.answered(front.begin(identity(number)), str(number), accepted("1", State.ACCEPTED))
    for number in range(3):
        front.settled(str(number), State.SUCCEEDED)
    assert [front.tried(identity(number)) > 0 for number in range(3)] == [True, False, False]


def test_a_full_table_forgets_the_oldest_and_never_who_guessed_most() -> None:
    front = Front(capacity=50, value_failures=3)
    front.tried(identity(0))
    while not front.tried():
        pass
    for number in range(1, 500):
        front.tried(identity(number))
        assert front.samples["dmz_front_guessing_keys"] <= 50
    assert front.tried() > 0
    assert [front.tried(identity(0)) for _ in range(3)] == [0, 0, 0]


def test_nothing_of_a_customer_is_kept() -> None:
    front = Front(user_failures=5, application_failures=5, address_failures=5)
    attempt = front.begin(user="somebody")
    front.guessing.answered(attempt, "a", accepted("a", State.ACCEPTED))
    kept = repr((attempt, front.guessing._unsettled, list(front.guessing._failures)))
    assert WHO not in kept
    assert "somebody" not in kept
    other = Front(user_failures=5, application_failures=5, address_failures=5)
    other.begin(user="somebody")
    assert not set(front.guessing._failures) & set(other.guessing._failures)  # nor can it be looked up


def test_addresses_of_one_network_of_ipv6_count_together() -> None:
    front = Front(address_failures=2)
    waits = [front.tried(identity(number), address=f"2001:db8:1:2::{number}") for number in range(1, 4)]
    assert [wait > 0 for wait in waits] == [False, False, True]
    assert front.tried(identity(9), address="2001:db8:1:3::1") == 0


def test_where_a_limit_is_off_or_the_address_is_unknown_nothing_is_counted_for_it() -> None:
    front = Front(address_failures=1)
    assert [front.tried(identity(number), address="") for number in range(5)] == [0] * 5
