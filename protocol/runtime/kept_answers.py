"""Answers kept in memory, and nowhere else: bounded in bytes, the least recently used go first."""

from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

OVERHEAD = 600
"""Bytes that an entry takes besides what is in it, about."""
_OF_A_SUBJECT = 200
_LOOKED_AT = 2
"""So many of the least recently used are looked at when one is added, and go if their time is over."""

Key = tuple[str, bytes]
"""Operation, and the request in its canonical form."""


@dataclass(slots=True)
class KeptAnswer:
    """One. Times are seconds of the keeper's clock."""

    result: bytes = field(repr=False)
    asked: float
    """When it was asked for."""
    until: float
    subjects: frozenset[str] = field(default=frozenset(), repr=False)
    """What it tells of: account numbers, and the like."""
    size: int = 0
    ahead: bool = False
    """Asked for before anybody wanted it, and not given to anybody yet."""


class KeptAnswers:
    """By key, and by what they tell of."""

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of all together."""
        self._answers: OrderedDict[Key, KeptAnswer] = OrderedDict()
        self._about: dict[str, set[Key]] = {}
        self.limit = limit
        self.bytes = 0
        self.evicted = 0
        """Those that went for want of room."""

    def __len__(self) -> int:
        return len(self._answers)

    def resize(self, limit: int) -> None:
        """Keep at most so many bytes from now on."""
        self.limit = limit
        self._make_room(0)

    def get(self, key: Key) -> KeptAnswer | None:
        """The one of a key, its time over or not."""
        found = self._answers.get(key)
        if found is not None:
            self._answers.move_to_end(key)
        return found

    def peek(self, key: Key) -> KeptAnswer | None:
        """The same, and it does not count as used."""
        return self._answers.get(key)

    def put(self, key: Key, answer: KeptAnswer, now: float) -> bool:
        """Keep one, in the place of any other of its key; False if it is too large."""
        self.drop(key)
        answer.size = OVERHEAD + len(answer.result) + len(key[1]) + _OF_A_SUBJECT * len(answer.subjects)
        if answer.size > self.limit:
            return False
        oldest = [old for old, _ in zip(self._answers, range(_LOOKED_AT), strict=False)]
        for old in oldest:
            if self._answers[old].until <= now:
                self.drop(old)
        self._make_room(answer.size)
        self._answers[key] = answer
        self.bytes += answer.size
        for subject in answer.subjects:
            self._about.setdefault(subject, set()).add(key)
        return True

    def drop(self, key: Key) -> None:
        """Forget one, if it is there."""
        answer = self._answers.pop(key, None)
        if answer is None:
            return
        self.bytes -= answer.size
        for subject in answer.subjects:
            keys = self._about[subject]
            keys.discard(key)
            if not keys:
                del self._about[subject]

    def forget(self, subject: str | None = None, operations: Collection[str] | None = None) -> int:
        """Forget those that tell of `subject`, and are of these operations; None: of any. Returns how many."""
        keys = list(self._answers if subject is None else self._about.get(subject, ()))
        chosen = [key for key in keys if operations is None or key[0] in operations]
        for key in chosen:
            self.drop(key)
        return len(chosen)

    def by_operation(self) -> Iterator[tuple[str, KeptAnswer]]:
        """All of them, each with its operation."""
        for (operation, _), answer in self._answers.items():
            yield operation, answer

    def _make_room(self, size: int) -> None:
        while self._answers and self.bytes + size > self.limit:
            self.drop(next(iter(self._answers)))
            self.evicted += 1
