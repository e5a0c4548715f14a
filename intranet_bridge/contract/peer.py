"""The marketing system that an adapter is tested against: what it is asked, what it has, how it is told to behave.

Two operations stand for all: `QUERY` (arrears-query) and `COMMAND` (work-order: its unknown outcome is inquired about).
"""

import unittest
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any
from zlib import crc32

from protocol.operations import CATALOGUE

QUERY = CATALOGUE["arrears-query"]
COMMAND = CATALOGUE["work-order"]

ACCOUNT = "7305518264093"
"""Whom requests are about, unless a test asks for several."""
OTHER = "8246091375528"
"""Whom a `Behaviour.ANOTHER` answer is about: an account, and the request id that it names."""
MANY = tuple(f"90{number:011}" for number in range(24))
"""Whom many requests at once are about."""
LATE = tuple(f"91{number:011}" for number in range(3))
"""Whom the requests after a late answer are about."""
ACCOUNTS = (ACCOUNT, OTHER, *MANY, *LATE)
"""Everybody whom queries are about: a peer that answers from tables fills them with these."""
REFUSED = "no-such-account"
"""Our code of the refusal, by the binding's table."""
DETAIL = "户号 7305 不在册, 请核对"
"""The marketing system's words with it."""


class Behaviour(StrEnum):
    """What the peer does with requests, inquiries included, until it is told otherwise."""

    ANSWER = "answer"
    """As it should: `owed` to a query; a command is applied and answered by `registered`; an inquiry finds what was
    applied, and says surely not there of anything else."""
    REFUSE = "refuse"
    """The business answer is no: `REFUSED`, `DETAIL`. Nothing is applied."""
    BUSY = "busy"
    """Nothing is applied, and the answer says so: `NotApplied`."""
    FAIL = "fail"
    """A technical failure, from which nobody knows what was applied. (Nothing is.)"""
    GARBAGE = "garbage"
    """An answer comes that cannot be read as one. Commands are applied."""
    ANOTHER = "another"
    """A good answer comes, about account or request `OTHER`. Commands are applied, under the id they have."""
    SILENT = "silent"
    """The request is taken; nothing is applied, no answer comes. What waits so when the behaviour changes may be
    answered then, late."""
    SILENT_APPLIED = "silent-applied"
    """The same, but applied."""
    DROP = "drop"
    """The request is taken and the connection lost; nothing is applied."""
    DROP_APPLIED = "drop-applied"
    """The same, but applied."""


class Impossible(unittest.SkipTest):
    """A peer of this kind cannot behave so; the message says why. The test is skipped."""


class Peer(ABC):
    """A marketing system with one adapter's interface: a process or a thread with a server, not the adapter's own code.

    It is running and answers when a test gets it.
    """

    system: Mapping[str, Any]
    """Its table `[systems.NAME]`, `adapter` included. Files are named by absolute paths."""
    bindings: Mapping[str, Mapping[str, Any]]
    """The tables `[operations.NAME]` of `QUERY` and `COMMAND`, without `system`. That of `COMMAND` has `request_id`, an
    inquiry, and everything that `Behaviour` speaks of."""
    secrets: Collection[str] = ()
    """What it must be told to let anybody in: never shown."""

    @abstractmethod
    def behave(self, behaviour: Behaviour) -> None:
        """From now on. Raises Impossible."""

    @abstractmethod
    def applied(self, request_id: str) -> int:
        """How often a command was applied, by its own records."""

    @abstractmethod
    def received(self) -> int:
        """How many requests have come, inquiries included; connections without one do not count."""

    @abstractmethod
    def stop(self) -> None:
        """Be away: nobody can reach it. What it has applied stays known."""

    @abstractmethod
    def start(self) -> None:
        """Be there again, at the same place, with the behaviour it had."""

    def saved(self) -> bytes:
        """Its answer to a `QUERY` about `ACCOUNT`, as `intranet-bridge try --answer` reads it. Raises Impossible."""
        raise Impossible("this kind reads no saved answers")


def owed(account: str) -> dict[str, Any]:
    """The answer to a query: the catalogue's, to be said in the peer's own way. Different accounts owe differently."""
    amount, penalty = 40_000_000 + crc32(account.encode()) % 10_000_000, 70_000 + crc32(account.encode()) % 10_000
    bill = {"month": "2026-01", "amount": amount, "penalty": penalty}
    return {"account": account, "total": amount + penalty, "unpaid": [bill]}


def registered(request_id: str) -> dict[str, Any]:
    """The answer to a command: the catalogue's, to be said in the peer's own way."""
    return {"work_order": f"WO{crc32(request_id.encode()):010}", "accepted_at": "2026-07-01 09:30:00"}
