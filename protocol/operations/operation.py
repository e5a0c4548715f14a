"""What a catalogue entry is."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, get_type_hints

from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_json

from protocol.media import PICTURES, MediaType
from protocol.operations.fields import ACCOUNT, ATTACHMENT, PERSONAL, marked, paths
from protocol.operations.matching import AnswerMismatch, Echoes, default_pairs
from protocol.operations.refusals import Refusal


class Kind(StrEnum):
    """The two promises an operation can make (see protocol/README.md#delivery)."""

    QUERY = "query"
    """An answer within its deadline, or a clear problem."""
    COMMAND = "command"
    """Never lost, effect never applied twice, final outcome always known or named unknown."""


class UnknownOutcome(StrEnum):
    """What may be done when a call was made and its outcome is not known."""

    REPEAT = "repeat"
    """Call again: the interface is idempotent on our request id, or has no effect."""
    INQUIRE = "inquire"
    """Ask the marketing system by request id first; call again only if it says the request is not there."""
    HOLD = "hold"
    """Wait for an operator's decision."""


class AnsweredBy(StrEnum):
    """Who answers an operation."""

    MARKETING = "marketing"
    """The marketing system, over the interface that a binding names."""
    BRIDGE = "bridge"
    """The bridge itself, from its own store: no binding is needed, and none is allowed (intranet_bridge/own.py)."""


class AskedBy(StrEnum):
    """Who may ask for an operation."""

    APPLICATION = "application"
    """An application, through a front. (The bridge itself may ask for it too.)"""
    BRIDGE = "bridge"
    """The bridge alone, of its own accord: no front offers it, and the bridge takes it from none."""


@dataclass(frozen=True, slots=True)
class Family:
    """What a group of operations is about: how the API's pages are arranged."""

    title: str
    title_zh: str
    description: str
    description_zh: str


@dataclass(frozen=True, slots=True)
class Deprecation:
    """That an operation goes out of use, and what to use instead (docs/decisions/0013-versions-of-an-operation.md)."""

    since: date
    """From this day on it is not for new callers (RFC 9745). Days begin at midnight UTC."""
    sunset: date | None
    """From this day on it may be gone (RFC 8594); None: not decided."""
    successor: str
    """The operation to use instead."""

    def __post_init__(self) -> None:
        if self.sunset is not None and self.sunset < self.since:  # RFC 9745 section 4
            raise ValueError(f"the sunset {self.sunset} is before the deprecation {self.since}")


@dataclass(frozen=True, slots=True)
class Removed:
    """A request field that a version of an operation has no more."""

    said: str
    """A sentence: what to send instead."""
    said_zh: str


_NAME = re.compile(r"(?=.{1,64}$)[a-z][a-z0-9]*(?:-[a-z0-9]+)*(?:\.v(?:[2-9]|[1-9][0-9]+))?")


@dataclass(frozen=True)
class Operation:
    """One operation. Everything either side needs to carry it follows from here.

    Raises ValueError (pydantic's ValidationError is one) for an example that does not fit, or names that neither schema
    has. Times are milliseconds.
    """

    name: str
    """Its name in the path and on the wire: lower-case words joined by hyphens. A later version of an operation has
    `.v2` and so on after it, and is an entry of its own."""
    kind: Kind
    summary: str
    """One line for the API's pages, in English."""
    request: type[BaseModel]
    """Checked at the front, before anything is done, and again at the bridge."""
    response: type[BaseModel]
    """What a mapping must make of the marketing system's answer, and what a caller gets as `result`."""
    example: Mapping[str, Any]
    """A request that works as it stands against the demo."""
    scope: str
    """What an application's key must be granted."""
    summary_zh: str = ""
    """The same in Chinese; without it the English line stands there."""
    example_answer: Mapping[str, Any] | None = None
    """What the example is answered: a `result` of the response schema. It is recorded: a sandbox key gets it."""
    refusals: tuple[Refusal, ...] = ()
    """The marketing system's answers of no that a binding may give; callers are told of these."""
    cacheable: bool = False
    """Whether an answer may be kept and given again for a while. Of queries."""
    deadline_ms: int = 5_000
    """Query: the answer is due by then. Command: how long an HTTP caller waits by default before 202."""
    unknown_outcome: UnknownOutcome = UnknownOutcome.REPEAT
    """Of a command."""
    ordering_key: Callable[[Any], str | None] | None = None
    """Commands with the same key are done one after the other, in the order they were accepted."""
    expires_ms: int | None = None
    """A command not called by then is expired instead; None keeps it for ever."""
    attempts: int = 3
    """Calls that surely had no effect are repeated up to this many times in all."""
    about: str | None = None
    """The request field that says whose data it is about. Default: `account` if there is one, else the first that the
    answer repeats."""
    deprecated: Deprecation | None = None
    removed: Mapping[str, Removed] = field(default_factory=dict)
    """Request fields (dotted through objects and lists) that an earlier version has and this one has not: who sends
    one is told what to send instead."""
    echoes: Mapping[str, str] | None = None
    """Answer field (dotted through objects and lists) → the request field it must equal; another value is never
    passed on. None: fields of the same name, as matching.py says; `{}`: none, nothing is compared."""
    guessed: tuple[str, ...] = ()
    """Request fields by whose values somebody might guess, such as an identity number: the front counts the refusals of
    each value, and lets who guesses wait (`[limits.guessing]`)."""

    answered_by: AnsweredBy = AnsweredBy.MARKETING
    """The bridge's own commands are idempotent on the request id: their unknown outcomes are repeated."""

    asked_by: AskedBy = AskedBy.APPLICATION

    attachment_types: frozenset[MediaType] = PICTURES
    """What the files that it names may be."""

    field_scopes: Mapping[str, str] = field(default_factory=dict)
    """Request field → the scope that an application needs besides the operation's own to give it: where asking by it
    tells more than the rest does."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):  # it stands in paths, envelopes, rows of 64 characters and labels
            raise ValueError(f"{self.name!r} is not a name: lower-case words joined by hyphens, then .v2 and so on")
        object.__setattr__(self, "requests", TypeAdapter(self.request))
        object.__setattr__(self, "responses", TypeAdapter(self.response))
        self.requests.validate_python(self.example)
        fields = self.request.model_fields
        about = self.about or ("account" if "account" in fields else None)
        if about is not None and about not in fields:
            raise ValueError(f"{self.name}: about names {about!r}, which its requests do not have")
        pairs = default_pairs(self.request, self.response, about) if self.echoes is None else self.echoes
        object.__setattr__(self, "matching", Echoes(self.request, self.response, pairs))
        object.__setattr__(self, "about", about or next(iter(pairs.values()), None))
        if self.example_answer is not None:
            self.answer(
                self.requests.validate_python(self.example), self.responses.validate_json(to_json(self.example_answer))
            )
        for removed in self.removed:
            if "." not in removed and removed in fields:
                raise ValueError(f"{self.name}: {removed} is a field of its requests, and is said to be removed")
        if self.cacheable and self.kind is not Kind.QUERY:
            raise ValueError(f"{self.name}: a command's answer is not cacheable")
        if self.answered_by is AnsweredBy.BRIDGE and self.unknown_outcome is not UnknownOutcome.REPEAT:
            raise ValueError(f"{self.name}: the bridge answers it itself, so its unknown outcomes are repeated")
        if self.asked_by is AskedBy.BRIDGE and self.answered_by is AnsweredBy.BRIDGE:
            raise ValueError(f"{self.name}: the bridge would ask itself")
        if len({refusal.code for refusal in self.refusals}) < len(self.refusals):
            raise ValueError(f"{self.name}: a refusal is named twice")
        for said, names in (("guessed", self.guessed), ("field_scopes", self.field_scopes)):
            for name in names:
                if name not in fields:
                    raise ValueError(f"{self.name}: {said} names {name!r}, which its requests do not have")
        object.__setattr__(self, "personal", frozenset(paths(self.request, PERSONAL)))
        object.__setattr__(self, "personal_answer", frozenset(paths(self.response, PERSONAL)))
        annotated = get_type_hints(self.request, include_extras=True)
        for mark, attribute in ((ACCOUNT, "accounts"), (ATTACHMENT, "attachments")):
            object.__setattr__(self, attribute, tuple(name for name in fields if marked(annotated[name], mark)))

    @property
    def scopes(self) -> frozenset[str]:
        """All that an application can be granted for it."""
        return frozenset({self.scope, *self.field_scopes.values()})

    def answer(self, asked: BaseModel, answer: BaseModel) -> bytes:
        """The answer to `asked`, as the caller gets it. Raises AnswerMismatch if it is about something else."""
        field = self.matching.mismatch(asked, answer)
        if field is not None:
            raise AnswerMismatch(field)
        return self.responses.dump_json(answer)

    matching: Echoes = None  # type: ignore[assignment]  # set from `echoes`
    accounts: tuple[str, ...] = ()
    """Request fields that are account numbers; set from `request`."""
    attachments: tuple[str, ...] = ()
    """Request fields that name uploaded files; set from `request`."""
    personal: frozenset[str] = frozenset()
    """Request fields (dotted through objects and lists) that are somebody's personal data: masked wherever people look.
    Set from `request`, as `personal_answer` is from `response`."""
    personal_answer: frozenset[str] = frozenset()
    requests: TypeAdapter[Any] = None  # type: ignore[assignment]  # set from `request`
    responses: TypeAdapter[Any] = None  # type: ignore[assignment]  # set from `response`
