"""What the callers saw: every answer to every request, as it came. Values only."""

from dataclasses import dataclass, field

FINAL = frozenset({"succeeded", "refused", "failed", "expired"})
RANK = {"accepted": 0, "sent": 1, "held": 2} | dict.fromkeys(FINAL, 3)
"""A status never goes to a lower rank, and of the highest there is only one for a request."""


@dataclass(frozen=True, slots=True)
class Word:
    """One answer about a command: to its POST, or to a GET of its status. Times by the monotonic clock."""

    asked_at: float
    at: float
    http: int
    """0: no answer (connection lost, time over)."""
    id: str = ""
    state: str = ""
    """Of the request, if the answer tells it."""
    effect: str = ""
    """The work order it made, of a success."""
    code: str = ""
    """Of the problem, or what kind of connection error it was."""

    @property
    def accepted(self) -> bool:
        """Whether the caller may rely on it from now on."""
        return bool(self.id and self.state)


@dataclass(slots=True)
class Story:
    """One command as its caller lived it."""

    key: str
    account: str
    words: list[Word] = field(default_factory=list)
    """In the order of their ends."""

    @property
    def ids(self) -> set[str]:
        """The request ids told; one, if all is well."""
        return {word.id for word in self.words if word.accepted}

    @property
    def id(self) -> str:
        """The request id, if one was told."""
        return next((word.id for word in self.words if word.accepted), "")

    @property
    def accepted(self) -> Word | None:
        """The first word that told the caller that it was accepted."""
        return next((word for word in self.words if word.accepted), None)

    @property
    def final(self) -> Word | None:
        """The first final word."""
        return next((word for word in self.words if word.state in FINAL), None)

    @property
    def asked_at(self) -> float:
        """When it was sent for the first time."""
        return min((word.asked_at for word in self.words), default=0.0)


def word_of(asked_at: float, at: float, http: int, document: object, location: str = "") -> Word:
    """Reads an answer of `POST /v1/<command>` or `GET /v1/requests/{id}`."""
    if not isinstance(document, dict):
        return Word(asked_at, at, http, code="not-an-object")
    id = str(document.get("request_id") or "")
    if http in (200, 202):
        result = document.get("result")
        effect = str(result.get("work_order") or "") if isinstance(result, dict) else ""
        return Word(asked_at, at, http, id, str(document.get("status") or ""), effect)
    code = str(document.get("code") or "")
    if http == 409 and code == "idempotency-key-in-flight" and location:
        # in flight with another request of ours: accepted, and here is where to look
        return Word(asked_at, at, http, location.rpartition("/")[2], "accepted", code=code)
    return Word(asked_at, at, http, id, str(document.get("request_status") or ""), code=code)
