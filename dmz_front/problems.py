"""Every error the HTTP API gives, as RFC 9457 problem details with a stable `code`. Never a stack trace."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response, ready to be written."""

    status: int
    body: bytes = field(repr=False)
    headers: Headers = field(default_factory=list)
    media: bytes = b"application/json"


class Problem(Exception):
    """An error answer. Raised where it is found, written once by http_api."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str = "",
        *,
        retry_after_s: float | None = None,
        errors: Sequence[dict[str, Any]] = (),
        headers: Headers | None = None,
        **members: Any,
    ) -> None:
        super().__init__(code)
        self.status, self.code, self.detail = status, code, detail
        self.errors, self.members = errors, members
        self.headers: Headers = list(headers or ())
        if retry_after_s is not None:
            self.headers.append((b"retry-after", str(max(1, math.ceil(retry_after_s))).encode()))

    def answer(self, request_id: str) -> Answer:
        """The problem details document (RFC 9457 section 3)."""
        document: dict[str, Any] = {
            "type": f"urn:dmz-bridge:problem:{self.code}",
            "title": TITLES.get(self.code, self.code.replace("-", " ")),
            "status": self.status,
            "code": self.code,
        }
        if self.detail:
            document["detail"] = self.detail
        if self.errors:
            document["errors"] = list(self.errors)
        document["request_id"] = request_id
        document |= self.members
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        return Answer(self.status, body, self.headers, b"application/problem+json")


TITLES = {
    "malformed-json": "The body is not JSON",
    "malformed-header": "A header cannot be understood",
    "malformed-request": "This is not an HTTP request",
    "headers-too-large": "The headers are too large",
    "headers-too-slow": "The headers did not arrive in time",
    "too-many-connections": "Too many connections are open",
    "idempotency-key-missing": "A command needs an Idempotency-Key header",
    "unauthenticated": "No valid application key",
    "forbidden-scope": "The application key lacks the scope of this operation",
    "forbidden-network": "The application key may not be used from this address",
    "unknown-operation": "There is no such operation",
    "unknown-request": "There is no such request",
    "not-found": "There is nothing at this path",
    "method-not-allowed": "The method is not allowed here",
    "idempotency-key-in-flight": "A request with this Idempotency-Key is being answered right now",
    "body-too-large": "The body is too large",
    "body-too-slow": "The body did not arrive in time",
    "expectation-failed": "What the Expect header asks for cannot be met",
    "http-version-not-supported": "The front speaks HTTP/1.1",
    "unsupported-media-type": "The body must be application/json",
    "invalid-request": "The body does not fit the operation's schema",
    "idempotency-key-reused": "This Idempotency-Key was used with another request",
    "too-many-requests": "Too many requests",
    "overloaded": "Too much is in flight for an answer in time; try again shortly",
    "backlog-full": "Too many commands wait; try again later",
    "shutting-down": "This front is stopping; try again",
    "store-unavailable": "The ledger cannot be reached at the moment; nothing was accepted",
    "broker-refused": "The message broker did not take the message: it is full, or this front has no right to",
    "broker-unreachable": "The message broker cannot be reached at the moment",
    "no-bridge": "No bridge is attached",
    "operation-not-served": "No attached bridge serves this operation",
    "operation-paused": "The marketing system does not answer this operation at the moment",
    "not-applied": "An operator found that the marketing system did not apply it",
    "inbox-conflict": "Bridges with different inboxes are attached: no command is taken until an operator mends it",
    "no-answer-in-time": "The bridge took the request, but there was no answer in time",
    "marketing-unavailable": "The marketing system cannot be reached",
    "marketing-timeout": "The marketing system did not answer in time",
    "marketing-failed": "The marketing system failed",
    "marketing-rejected": "The marketing system rejected the call",
    "internal": "Something went wrong here; nothing is known to have been done",
}
"""The stable codes; the OpenAPI document lists them."""


def schema_problem(error: ValidationError) -> Problem:
    """400 when the body is not JSON at all, else 422 naming each field and what is wrong with it."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    if found and found[0]["type"] == "json_invalid":
        return Problem(400, "malformed-json", found[0]["msg"])
    errors = [
        {
            "field": ".".join(str(part) for part in item["loc"]) or "(body)",
            "message": item["msg"].removeprefix("Value error, "),
            "type": item["type"],
        }
        for item in found[:20]
    ]
    return Problem(422, "invalid-request", f"{len(found)} field(s) do not fit", errors=errors)
