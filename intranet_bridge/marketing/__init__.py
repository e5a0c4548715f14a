"""The port to the marketing system: one adapter an operation, and what a call may have come to.

The worker decides by these values alone (commands/decision.py), so an adapter's one duty is to be truthful about what
it *knows*: `NotApplied` only when the marketing system surely did nothing, `Unknown` whenever it may have.
"""

from collections.abc import Awaitable, Callable
from dataclasses import field
from enum import StrEnum
from typing import Any, Protocol

from protocol.values import immutable


def always() -> bool:
    """Yes."""
    return True


@immutable
class AttachedFile:
    """A file that a command names: whole, of the type it says, and with the digest it says."""

    id: str
    """A UUID, the same in every attempt: what an idempotent interface tells files apart by."""
    media_type: str
    """`image/jpeg`, `image/png` or `application/pdf`."""
    length: int
    """Bytes."""
    sha256: str = field(repr=False)
    reference: str | None
    """What the marketing system calls it, if an earlier attempt has handed it over."""
    read: Callable[[], Awaitable[bytes]] = field(repr=False)
    """Its content, opened when it is asked for."""
    remember: Callable[[str], Awaitable[None]] = field(repr=False)
    """Keeps the reference (at most 200 characters) for later attempts."""


@immutable
class MarketingRequest:
    """One request as an adapter gets it: checked by the catalogue's schema."""

    request_id: str
    """The front's id of the request, the same in every attempt: what an idempotent interface tells them apart by."""
    body: Any = field(repr=False)
    """The operation's request model."""
    traceparent: str = ""
    """W3C Trace Context, or empty."""
    may_send: Callable[[], bool] = always
    """Asked right before a byte is handed over; when false (the bridge's lease may be over), nothing is."""
    attachments: tuple[AttachedFile, ...] = ()
    """The files it names, in its order. An inquiry is made without."""
    source: str = ""
    """Who asks, as its front says: `front-1/wechat` (instance/application); empty in trials."""

    @property
    def application(self) -> str:
        """The application that asks."""
        return self.source.partition("/")[2]


class Fault(StrEnum):
    """Whose fault it is that an outcome is unknown."""

    INTERFACE = "interface"
    """The interface's: no answer, a time-out, a technical failure. It would meet any request."""
    ANSWER = "answer"
    """This one answer's: it came, and cannot be read. It may be one account's odd data."""
    MISMATCH = "mismatch"
    """This one answer's: it is about something else than was asked. It is never passed on."""


@immutable
class Answered:
    """Done; `result` is JSON that satisfies the operation's response schema."""

    result: bytes = field(repr=False)


@immutable
class Refused:
    """The marketing system's business answer is no; nothing was applied."""

    code: str
    """Ours (lower-case words joined by hyphens), by the binding's table."""
    detail: str = field(default="", repr=False)
    """The marketing system's words, for the caller. At most 300 characters."""


@immutable
class Rejected:
    """The interface turned the request down technically (HTTP 4xx): nothing applied, repeating is pointless."""

    reason: str
    asked: bool = field(default=True, compare=False)
    """False: the request could not even be made, so this says nothing of the interface."""


@immutable
class NotApplied:
    """Surely nothing was applied, and a later call may well succeed."""

    reason: str
    reached: bool
    """False: the interface itself was not reached (connection refused, no such host, our credentials turned
    away), which says nothing about this request. True: it was reached and declined for the moment."""
    denied: bool = field(default=False, compare=False)
    """An answer said so (a log-in redirect, 401): repeating at once is for nothing."""


@immutable
class Unknown:
    """The request was (or may have been) handed over, and what became of it is not known."""

    reason: str
    """For the log and an operator; never a word of the answer's content."""
    timed_out: bool = False
    """Its time ran out; a query's caller is told so (504 in place of 502)."""
    fault: Fault = field(default=Fault.INTERFACE, compare=False)


@immutable
class Absent:
    """Only from an inquiry: the marketing system has no such request."""


Outcome = Answered | Refused | Rejected | NotApplied | Unknown
Finding = Answered | Refused | Absent | Unknown
"""What an inquiry may come to; Unknown means that the inquiry itself failed."""


class Adapter(Protocol):
    """One operation at the marketing system: the contract of every kind of adapter.

    Times are seconds. Calls come from one event loop, several at once. An adapter raises nothing but what is a defect
    of its own (which makes the outcome Unknown), keeps to the time it is given, and logs no content.
    """

    @property
    def timeout_s(self) -> float:
        """The longest a call takes before it is Unknown."""

    @property
    def settle_s(self) -> float:
        """How long the marketing system may still be working on a call whose connection is gone."""

    async def call(self, asked: MarketingRequest, timeout_s: float) -> Outcome:
        """Do it, within `timeout_s`, and say what it came to. `asked.may_send` is asked right before the first byte.

        Never raises for what the marketing system or the network does.
        """

    async def inquire(self, asked: MarketingRequest, timeout_s: float) -> Finding:
        """What became of an earlier call with this request id. Never raises, as `call`; Absent only when the marketing
        system surely has no such request, and none that is still under way (`settle_s`).
        """
