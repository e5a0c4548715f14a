"""Against guessing: who tries out customers' identity numbers, accounts and codes has to wait, longer each time.

An entry of the catalogue names the request fields that can be guessed by (`guessed`). Refusals are counted for each of
their values, for the app's user, for the application and for the client's address. After a few of them each further one
begins a pause, twice as long as the one before, up to a bound; they are forgiven evenly over the window. An attempt
counts from its beginning until it is known to be no refusal, so that many at once do not slip through together.

Counts of a value and of a user are each application's own: who guesses through one application keeps nobody out of
another. A success clears the count of its value alone, or who has one good account could guess at others for ever.

State is in memory, of this process alone, and bounded. Its keys are digests under a secret made at start: nothing of a
customer is kept.
"""

import math
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from hashlib import blake2b
from itertools import islice

from pydantic import BaseModel

from dmz_front.problems.details import HttpResponse, Problem
from dmz_front.replies.responses import RefusedResponse
from dmz_front.settings import GuessingSection
from protocol.lifecycle import State
from protocol.messages import Reply
from protocol.networks import counts_as
from protocol.operations import Operation
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.values import immutable

log = logger(__name__)

CAPACITY = 100_000
"""Values, users, applications and addresses remembered."""
UNSETTLED = 10_000
"""Attempts without an outcome yet that are remembered; of an older one a success is not noticed."""
_GUESSER = "user"
"""The request field that says who tries, where there is one."""
_OLDEST = 32
"""How many are looked at for one that makes room."""
_ROUNDING = 1e-6


@immutable
class Count:
    """What an attempt counts for."""

    whose: str
    """`account`, `application` and so on, for people."""
    key: bytes
    allowed: int
    """Refusals in the window before pauses begin."""
    cleared: bool
    """Whether a success clears it."""


@immutable
class Attempt:
    """One request about something that can be guessed at."""

    operation: str
    application: str
    address: str
    counts: tuple[Count, ...]


class _Failures:
    """What is remembered of one key. Seconds of a monotonic clock."""

    __slots__ = ("forgiven_at", "last_at")

    def __init__(self) -> None:
        self.forgiven_at = 0.0
        """When nothing is left of its failures."""
        self.last_at = 0.0
        """When the last attempt was."""


class Guessing:
    """Counts the attempts of one front."""

    def __init__(
        self, limits: GuessingSection, *, now: Callable[[], float] = time.monotonic, capacity: int = CAPACITY
    ) -> None:
        self.limits, self._now, self._capacity = limits, now, capacity
        self._secret = os.urandom(32)
        self._failures: OrderedDict[bytes, _Failures] = OrderedDict()
        """The one whose last attempt is longest ago comes first."""
        self._unsettled: OrderedDict[str, Attempt] = OrderedDict()
        """By the command's id."""
        self.paused = 0
        """Attempts refused because of a pause."""

    def begin(self, operation: Operation, asked: BaseModel, application: str, address: str) -> Attempt:
        """Count an attempt. Raises Problem 429 during a pause: then nothing is counted."""
        now = self._now()
        counts = tuple(self._counts(operation, asked, application, address))
        wait, whose = max(((self._wait(count, now), count.whose) for count in counts), default=(0.0, ""))
        if wait > 0:
            self.paused += 1
            said = f"too many attempts failed of one {whose}"
            raise Problem(429, "too-many-failures", said, retry_after_s=wait)
        for count in counts:
            self._count(count, now)
        return Attempt(operation.name, application, address, counts)

    def answered(self, attempt: Attempt, id: str, answer: HttpResponse) -> None:
        """What the caller is told of its own command or query, which is the one of this id."""
        if isinstance(answer, RefusedResponse):
            self._refused(attempt)
        elif answer.status == 202:  # as good as a refusal until it is known to be none
            self._unsettled[id] = attempt
            if len(self._unsettled) > UNSETTLED:
                self._unsettled.popitem(last=False)
        else:
            self._succeeded(attempt)

    def settled(self, reply: Reply) -> None:
        """What became of a command whose caller was told 202."""
        if reply.state is State.HELD or (attempt := self._unsettled.pop(reply.attributes.id, None)) is None:
            return
        if reply.state is State.SUCCEEDED:
            self._succeeded(attempt)
        elif reply.state is State.REFUSED:
            self._refused(attempt)
        else:
            self.told_nothing(attempt)

    def told_nothing(self, attempt: Attempt) -> None:
        """Take the attempt back: of a problem, or the answer to an earlier request, a guesser learnt nothing new."""
        for count in attempt.counts:
            self._take_back(count)

    def _succeeded(self, attempt: Attempt) -> None:
        for count in attempt.counts:
            if count.cleared:
                self._failures.pop(count.key, None)
            else:
                self._take_back(count)

    def _refused(self, attempt: Attempt) -> None:
        """It was counted when it began: say which pauses begin with it."""
        for count in attempt.counts:
            held = self._failures.get(count.key)
            if held is not None and self._number(count, held) == count.allowed:
                log.warning(
                    "guessing-paused", operation=attempt.operation, application=attempt.application,
                    address=attempt.address, of=count.whose,
                )  # fmt: skip

    def _counts(self, operation: Operation, asked: BaseModel, application: str, address: str) -> Iterator[Count]:
        limits = self.limits
        for name in operation.guessed:
            if value := getattr(asked, name):
                # of each operation: what is tried out differs, and a success of one says nothing about the other
                yield self._of(name, f"{application}\n{operation.name}\n{value}", limits.value_failures, cleared=True)
        if limits.user_failures and (user := getattr(asked, _GUESSER, None)):
            yield self._of(_GUESSER, f"{application}\n{user}", limits.user_failures)
        if limits.application_failures:
            yield self._of("application", application, limits.application_failures)
        if limits.address_failures and address:
            yield self._of("address", counts_as(address), limits.address_failures)

    def _of(self, whose: str, text: str, allowed: int, *, cleared: bool = False) -> Count:
        return Count(
            whose, blake2b(f"{whose}\n{text}".encode(), digest_size=16, key=self._secret).digest(), allowed, cleared
        )

    def _wait(self, count: Count, now: float) -> float:
        """The seconds left of a pause; 0 or less: there is none."""
        held = self._failures.get(count.key)
        if held is None or (number := self._number(count, held)) < count.allowed:
            return 0.0
        doublings = min(number - count.allowed, 32)
        return held.last_at + min(self.limits.pause_s * 2.0**doublings, self.limits.pause_max_s) - now

    def _number(self, count: Count, held: _Failures) -> int:
        """The failures that were not forgiven yet at the last attempt."""
        return math.ceil((held.forgiven_at - held.last_at) / self._each(count) - _ROUNDING)

    def _each(self, count: Count) -> float:
        """The seconds in which one failure is forgiven."""
        return self.limits.window_s / count.allowed

    def _count(self, count: Count, now: float) -> None:
        held = self._failures.get(count.key)
        if held is None:
            if len(self._failures) >= self._capacity:
                self._make_room()
            held = self._failures[count.key] = _Failures()
        else:
            self._failures.move_to_end(count.key)
        held.forgiven_at = max(held.forgiven_at, now) + self._each(count)
        held.last_at = now

    def _take_back(self, count: Count) -> None:
        held = self._failures.get(count.key)
        if held is not None:
            held.forgiven_at -= self._each(count)
            if held.forgiven_at <= self._now():
                del self._failures[count.key]

    def _make_room(self) -> None:
        """Of the oldest, forget the one that would be forgiven first, and let the others stay for another round: who
        guessed most is not forgotten, however many others come once.
        """
        oldest = list(islice(self._failures, _OLDEST))
        first = min(oldest, key=lambda key: self._failures[key].forgiven_at)
        for key in oldest:
            self._failures.move_to_end(key)
        del self._failures[first]

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        yield "dmz_front_guessing_paused_total", "Requests refused after too many failures", {}, self.paused
        text = "Values, users, applications and addresses with failures"
        yield "dmz_front_guessing_keys", text, {}, len(self._failures)
