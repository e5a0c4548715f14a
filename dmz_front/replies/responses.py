"""What the HTTP caller is told of each outcome: pure functions from replies and rows to answers."""

import json
from datetime import UTC, datetime
from typing import Any

from dmz_front.ledger.rows import Row
from dmz_front.problems.codes import TITLES, published
from dmz_front.problems.details import HttpResponse, Problem
from dmz_front.replies.bridges import Service
from protocol.freshness import Way, heard
from protocol.lifecycle import State
from protocol.messages import Reply, retry_after_of

PAUSE_RETRY_S = 5.0
"""What `Retry-After` says while a circuit breaker is open or no bridge is attached."""
MAINTENANCE_RETRY_S = 60.0
"""What it says during maintenance whose end nobody has said."""

BRIDGE_CACHE = "intranet-bridge"
"""What `Cache-Status` calls the bridge."""

FAILURES = {
    "marketing-unavailable": 503,
    "marketing-timeout": 504,
    "marketing-failed": 502,
    "marketing-rejected": 502,
    "answer-mismatch": 502,
    "invalid-request": 502,
    "overloaded": 503,
    "ceiling-met": 429,
    "not-admitted": 403,
}
"""Codes by which the bridge says that a query failed, and the HTTP status of each. Any other is 502."""

_FAILED = {State.FAILED: "marketing-failed", State.EXPIRED: "expired", State.HELD: "held"}
"""States whose status document has a `failure`, and its code where the bridge gave none that is published."""


class RefusedResponse(HttpResponse):
    """The answer that the marketing system said no."""

    __slots__ = ()


def service_problem(service: Service, maintenance_s: float | None) -> Problem:
    """Why an operation cannot be asked for now. `maintenance_s`: how long its maintenance lasts, if that is known."""
    match service:
        case Service.MAINTENANCE:
            return Problem(503, "maintenance", retry_after_s=maintenance_s or MAINTENANCE_RETRY_S)
        case Service.PAUSED:
            return Problem(503, "operation-paused", retry_after_s=PAUSE_RETRY_S)
        case Service.UNSERVED:
            return Problem(502, "operation-not-served")
        case Service.NO_BRIDGE:
            return Problem(502, "no-bridge", retry_after_s=PAUSE_RETRY_S)
        case Service.UP:
            raise AssertionError("it can be asked for")


def of_reply(id: str, reply: Reply) -> HttpResponse:
    """What became of it. A refusal is the marketing system's business answer, so it is a 200 with its own
    status. Raises Problem for a failure.
    """
    match reply.state:
        case State.SUCCEEDED:
            # The result's bytes go out as the bridge validated them: nothing is parsed or written again here.
            body = b'{"request_id":"%b","status":"succeeded","result":%b}'
            whole = body % (id.encode(), reply.result or b"null")
            freshness = heard(reply.detail) if reply.detail else None
            if freshness is None:
                return HttpResponse(200, whole, outcome="succeeded")
            outcome = "succeeded: kept" if freshness.way is Way.HIT else "succeeded"
            return HttpResponse(200, whole, freshness.headers(BRIDGE_CACHE), outcome=outcome)
        case State.REFUSED:
            told = _json(200, {"request_id": id, "status": "refused", "refusal": _reason(reply)})
            return RefusedResponse(told.status, told.body, outcome=f"refused: {reply.code}")
        case State.HELD:
            return accepted(id, State.HELD)
        case State.EXPIRED:
            raise Problem(504, "no-answer-in-time", "it expired before the marketing system was called")
        case _:
            code = published(reply.code, "marketing-failed")
            status = FAILURES.get(code, 502)
            retry = retry_after_of(reply) or (PAUSE_RETRY_S if status in (429, 503) else None)
            raise Problem(status, code, reply.detail, retry_after_s=retry, request_status=str(reply.state))


def accepted(id: str, state: State) -> HttpResponse:
    """202: it is in the ledger and will be done; here is where to look."""
    place = f"/v1/requests/{id}"
    told = _json(202, {"request_id": id, "status": state, "location": place})
    return HttpResponse(told.status, told.body, [(b"location", place.encode())], outcome=str(state))


def status(row: Row, reply: Reply | None) -> HttpResponse:
    """The status document of a command."""
    document: dict[str, Any] = {
        "request_id": row.id,
        "operation": row.operation,
        "status": row.state,
        "accepted_at": _instant(row.accepted_at),
        "updated_at": _instant(row.updated_at),
    }
    if row.state in _FAILED:
        code = published(reply.code if reply is not None else row.code, _FAILED[row.state])
        said = reply.detail if reply is not None else ""
        document["failure"] = {"code": code, "message": said or TITLES[code]}
    elif reply is not None and row.state is State.SUCCEEDED:
        document["result"] = json.loads(reply.result or b"null")
    elif reply is not None and row.state is State.REFUSED:
        document["refusal"] = _reason(reply)
    return _json(200, document)


def told(reply: Reply, state: State) -> dict[str, Any]:
    """What a callback says of a command's outcome: as the status document does."""
    about = reply.attributes
    row = Row(about.id, "", "", "", b"", about.type, state=state, code=reply.code)
    document = json.loads(status(row, reply).body)
    del document["accepted_at"], document["updated_at"]  # the row's, which this one has not
    return {"type": "command-outcome", "timestamp": _instant(about.time), "data": document}


def _reason(reply: Reply) -> dict[str, str]:
    return {"code": reply.code, "message": reply.detail}


def _instant(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def _json(status: int, document: dict[str, Any]) -> HttpResponse:
    return HttpResponse(status, json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())
