"""The audit log's records and their chain. Pure.

A record says what was done, when, and is bound to the one before it::

    {"at":…,"chain":"front-1","details":{…},"event":"accepted","previous":"<hash>","sequence":7}

Its hash is the SHA-256 of this text: JSON with its keys sorted, no blanks, UTF-8, and only whole numbers, so it is the
canonical form of RFC 8785. Each daemon writes a chain of its own, by its name; `bridgectl` writes one in each database.

Found is a record that was changed, taken away from the middle, put in or moved. The chain alone does not tell that the
newest records were cut off, or that somebody who may write the database computed all anew from a record on: both need a
**head**, sequence and hash of the newest record, that was kept where he could not change it. Such heads are in the
daemon's journal (`audit-head`), at the syslog server, in the front's chain for its bridges (`witnessed`), and with
whoever wrote down what `bridgectl audit head` printed.
"""

import json
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from protocol.errors import BridgeError
from protocol.values import immutable

GENESIS = "0" * 64
"""In place of the hash before the first record."""
_HEAD = re.compile(r"([a-z0-9-]{1,64}):([0-9]{1,15}):([0-9a-f]{64})")


@immutable
class Head:
    """The newest record of a chain."""

    chain: str
    sequence: int = 0
    hash: str = GENESIS

    def __str__(self) -> str:
        return f"{self.chain}:{self.sequence}:{self.hash}"

    @classmethod
    def parsed(cls, text: str) -> "Head":
        """Of `chain:sequence:hash`. Raises BridgeError."""
        found = _HEAD.fullmatch(text)
        if found is None:
            raise BridgeError(f"{text[:80]!r} is no head: CHAIN:SEQUENCE:HASH, as `bridgectl audit head` prints it")
        return cls(found[1], int(found[2]), found[3])


@immutable
class Stored:
    """A record as it is kept: its canonical text, and its hash."""

    chain: str
    sequence: int
    at: int
    event: str
    text: str
    hash: str

    @property
    def head(self) -> Head:
        """Of the chain as far as this one."""
        return Head(self.chain, self.sequence, self.hash)

    def as_dict(self) -> dict[str, Any]:
        """With its hash, for export."""
        return {**json.loads(self.text), "hash": self.hash}


def canonical(value: Mapping[str, Any]) -> str:
    """RFC 8785, for what a record holds: text, whole numbers, truth values, lists and tables with ASCII names."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def following(before: Head, at: int, event: str, details: Mapping[str, Any]) -> Stored:
    """The record after `before`; `at` in epoch ms."""
    sequence = before.sequence + 1
    text = canonical(
        {
            "at": at, "chain": before.chain, "details": details, "event": event, "previous": before.hash,
            "sequence": sequence,
        }
    )  # fmt: skip
    return Stored(before.chain, sequence, at, event, text, sha256(text.encode()).hexdigest())


@immutable
class Broken:
    """Where a chain does not hold."""

    chain: str
    sequence: int
    """Of the first record that is wrong; of the one that should be there."""
    reason: str


class Verification:
    """Goes along one chain, record by record."""

    def __init__(self, anchor: Head, known: Iterable[Head] = ()) -> None:
        """`anchor`: the last record that was pruned, or the chain's beginning. `known`: heads kept elsewhere."""
        self.head = anchor
        self.count = 0
        self.first = 0
        """When the oldest record was written, epoch ms."""
        self.pruned_through = 0
        """By the chain's own word."""
        self._anchor = anchor
        self._known = {head.sequence: head.hash for head in known if head.chain == anchor.chain}

    def next(self, record: Stored) -> Broken | None:
        """Take the next record; what is wrong with it, if anything is."""
        before, self.count = self.head, self.count + 1
        self.first = self.first or record.at
        if record.sequence != before.sequence + 1:
            return self._broken(before.sequence + 1, f"is missing: the next one there is number {record.sequence}")
        if sha256(record.text.encode()).hexdigest() != record.hash:
            return self._broken(record.sequence, "was changed: its hash is of another text")
        try:
            said = json.loads(record.text)
            columns = (said["chain"], said["sequence"], said["at"], said["event"])
            previous = said["previous"]
        except (ValueError, KeyError, TypeError):
            return self._broken(record.sequence, "is no record")
        if columns != (record.chain, record.sequence, record.at, record.event) or record.chain != before.chain:
            return self._broken(record.sequence, "is not the record that its columns say")
        if previous != before.hash:
            return self._broken(
                record.sequence, "does not follow the one before it: that was changed, or this one put in"
            )
        if self._known.pop(record.sequence, record.hash) != record.hash:
            return self._broken(
                record.sequence, "is not the record whose hash was kept elsewhere: the chain was made anew"
            )
        if record.event == PRUNED:
            self.pruned_through = max(self.pruned_through, int(said["details"].get("through", 0)))
        self.head = record.head
        return None

    def end(self) -> Broken | None:
        """After the last record: what is wrong with the whole."""
        anchored = self._known.pop(self._anchor.sequence, self._anchor.hash)
        if anchored != self._anchor.hash:
            return self._broken(
                self._anchor.sequence, "is the anchor, and not the record whose hash was kept elsewhere"
            )
        lost = sorted(sequence for sequence in self._known if sequence > self.head.sequence)
        if lost:
            return self._broken(
                self.head.sequence + 1,
                f"is not there: the records as far as {lost[-1]} were cut off, for the head of one was kept elsewhere",
            )
        if self._anchor.sequence > self.pruned_through:
            reason = f"is gone with all as far as {self._anchor.sequence}, and no record says that they were pruned"
            return self._broken(1, reason)
        return None

    def _broken(self, sequence: int, reason: str) -> Broken:
        return Broken(self._anchor.chain, sequence, reason)


PRUNED = "pruned"
"""Event: records up to number `through` were deleted; their last one's hash is `hash`."""
ACCEPTED = "accepted"
"""Event: commands were accepted (front), or taken (bridge), in one transaction: `[[id, operation, application], …]`."""
ACT = "act"
"""Event: an administrator did something: `act`, `by`, and what the act names."""
WITNESSED = "witnessed"
"""Event, of a front: the head of a bridge's chain as its presence said it."""
