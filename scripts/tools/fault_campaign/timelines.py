"""What the callers observed: every response to every request, in order of arrival. Values only."""

from dataclasses import dataclass, field

FINAL = frozenset({"succeeded", "refused", "failed", "expired"})
RANK = {"accepted": 0, "sent": 1, "held": 2} | dict.fromkeys(FINAL, 3)
"""A status never goes to a lower rank, and of the highest there is only one for a request."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One response about a command: to its POST, or to a GET of its status. Times are of the monotonic clock."""

    asked_at: float
    at: float
    http: int
    """0: no response (connection lost, timeout)."""
    id: str = ""
    state: str = ""
    """The request's, if the response has it."""
    effect: str = ""
    """The work order created, if it succeeded."""
    code: str = ""
    """The problem's code, or the kind of connection error."""

    @property
    def accepted(self) -> bool:
        """Whether the command is accepted: from now on the caller may rely on it."""
        return bool(self.id and self.state)


@dataclass(slots=True)
class Timeline:
    """One command as its caller observed it."""

    key: str
    account: str
    observations: list[Observation] = field(default_factory=list)
    """Ordered by when each response arrived."""

    @property
    def ids(self) -> set[str]:
        """The request ids in the responses; exactly one if all is well."""
        return {observation.id for observation in self.observations if observation.accepted}

    @property
    def id(self) -> str:
        """The request id, if a response had one."""
        return next((observation.id for observation in self.observations if observation.accepted), "")

    @property
    def accepted(self) -> Observation | None:
        """The first response that said it was accepted."""
        return next((observation for observation in self.observations if observation.accepted), None)

    @property
    def final(self) -> Observation | None:
        """The first response with a final state."""
        return next((observation for observation in self.observations if observation.state in FINAL), None)

    @property
    def asked_at(self) -> float:
        """When it was sent for the first time."""
        return min((observation.asked_at for observation in self.observations), default=0.0)


def observation_of(asked_at: float, at: float, http: int, document: object, location: str = "") -> Observation:
    """Parses a response of `POST /v1/<command>` or `GET /v1/requests/{id}`."""
    if not isinstance(document, dict):
        return Observation(asked_at, at, http, code="not-an-object")
    id = str(document.get("request_id") or "")
    if http in (200, 202):
        result = document.get("result")
        effect = str(result.get("work_order") or "") if isinstance(result, dict) else ""
        return Observation(asked_at, at, http, id, str(document.get("status") or ""), effect)
    code = str(document.get("code") or "")
    if http == 409 and code == "idempotency-key-in-flight" and location:
        # in flight with another request of ours: accepted, and Location says under which id
        return Observation(asked_at, at, http, location.rpartition("/")[2], "accepted", code=code)
    return Observation(asked_at, at, http, id, str(document.get("request_status") or ""), code=code)
