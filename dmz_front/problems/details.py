"""Every error the HTTP API gives, as RFC 9457 problem details with a stable `code`. Never a stack trace."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from dmz_front.problems.codes import TITLES
from protocol.operations import Removed
from protocol.values import immutable

Headers = list[tuple[bytes, bytes]]


@immutable
class HttpResponse:
    """An HTTP response, ready to be written."""

    status: int
    body: bytes = field(repr=False)
    headers: Headers = field(default_factory=list)
    media: bytes = b"application/json"
    outcome: str = ""
    """What it says, in a word, for the log: a state, or a problem's code."""


class Problem(Exception):
    """An error answer. Raised where it is found, written by http/."""

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

    def answer(self, request_id: str) -> HttpResponse:
        """The problem details document (RFC 9457 section 3). Its type is the path of its own page here."""
        document: dict[str, Any] = {
            "type": f"/problems/{self.code}",
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
        return HttpResponse(self.status, body, self.headers, b"application/problem+json", self.code)


def schema_problem(error: ValidationError, removed: Mapping[str, Removed] = MappingProxyType({})) -> Problem:
    """400 when the body is not JSON at all, else 422 naming each field and what is wrong with it.

    `removed`: fields an earlier version had → what to send instead (`Operation.removed`).
    """
    found = error.errors(include_url=False, include_input=False, include_context=False)
    if found and found[0]["type"] == "json_invalid":
        return Problem(400, "malformed-json", found[0]["msg"])
    errors = [
        {
            "field": ".".join(str(part) for part in item["loc"]) or "(body)",
            "message": item["msg"].removeprefix("Value error, "),
            "type": item["type"],
        }
        | _instead(item["type"], item["loc"], removed)
        for item in found[:20]
    ]
    return Problem(422, "invalid-request", f"{len(found)} field(s) do not fit", errors=errors)


def _instead(kind: str, place: Sequence[int | str], removed: Mapping[str, Removed]) -> dict[str, str]:
    """What is said of a field that an earlier version had."""
    found = removed.get(".".join(part for part in place if isinstance(part, str)))
    return {"message": found.said, "type": "removed_field"} if found and kind == "extra_forbidden" else {}
