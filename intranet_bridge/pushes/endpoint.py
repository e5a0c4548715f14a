"""`POST /v1/pushes`: the ASGI application. It answers 200 after the commit, and problem+json (RFC 9457) else."""

import asyncio
import hmac
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy.exc import SQLAlchemyError

from intranet_bridge.at_rest import StoreKeyClosed
from intranet_bridge.ceilings.allowance import Rate
from intranet_bridge.pushes.bodies import Push, Unfit, push_of
from intranet_bridge.pushes.taking import Pushes, Taken, Verdict
from intranet_bridge.settings import PushesSection
from protocol.errors import Fenced
from protocol.runtime.logs import logger
from protocol.runtime.store_health import said

log = logger(__name__)

PATH = "/v1/pushes"
MOST = 1_000
"""Pushes in one request."""
AT_ONCE = 16
"""Requests that are read and committed at the same time: what they hold in memory is bounded by it."""
HEADERS = 16 * 1024
"""Bytes of a request's headers."""
_RETRY_S = 2
_CONFLICT = "this id was used before, by a push that said something else"

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class Problem(Exception):
    """An answer that is none of 200."""

    def __init__(
        self, status: int, code: str, title: str, detail: str = "", *, field: str = "", retry_s: float = 0.0
    ) -> None:
        super().__init__(detail or title)
        self.status, self.code, self.title, self.detail = status, code, title, detail
        self.field, self.retry_s = field, retry_s

    def document(self) -> dict[str, Any]:
        """As RFC 9457 has it."""
        document: dict[str, Any] = {"type": "about:blank", "title": self.title, "status": self.status}
        document["code"] = self.code
        if self.detail:
            document["detail"] = self.detail
        if self.field:
            document["errors"] = [{"field": self.field, "detail": self.detail}]
        return document


class Endpoint:
    """One application, for one event loop."""

    def __init__(self, pushes: Pushes, section: PushesSection, token: str = "") -> None:
        """`token`: what callers must show; empty: their certificate alone."""
        self._pushes, self._section = pushes, section
        self._token = token.encode()
        self._rate = Rate(section.rate, section.burst_s)
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        if self._running >= AT_ONCE:
            busy = Problem(503, "busy", "Too many requests at once", retry_s=_RETRY_S)
            await _answer(send, busy.status, busy.document(), retry_s=busy.retry_s, close=True)
            return
        self._running += 1
        try:
            answer = await self._answered(scope, receive)
        except Problem as problem:
            if problem.status not in (409, 422, 503):  # these are counted where they come from
                self._pushes.refuse(problem.code, field=problem.field, source=_source(scope))
            # what was not read of a body cannot be told from the next request
            await _answer(send, problem.status, problem.document(), retry_s=problem.retry_s, close=problem.status < 409)
        else:
            await _answer(send, 200, answer)
        finally:
            self._running -= 1

    async def _answered(self, scope: Scope, receive: Receive) -> dict[str, Any]:
        headers = dict(scope["headers"])
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS:
            raise Problem(431, "headers-too-large", f"The headers are larger than {HEADERS} bytes")
        if self._token:
            scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
            if not hmac.compare_digest(token.strip(), self._token) or scheme.lower() != b"bearer":
                raise Problem(401, "unauthorized", "The token is not the one configured")
        if scope["path"] != PATH:
            raise Problem(404, "not-found", f"There is only {PATH}")
        if scope["method"] != "POST":
            raise Problem(405, "method-not-allowed", "Pushes are sent by POST")
        if headers.get(b"content-type", b"application/json").split(b";")[0].strip().lower() != b"application/json":
            raise Problem(415, "not-json", "The body must be application/json")
        body = await self._body(headers, receive)
        try:
            said = from_json(body, allow_inf_nan=False)
        except ValueError:
            raise Problem(400, "not-json", "The body is not JSON") from None
        if isinstance(said, dict) and "pushes" in said:
            return await self._many(said, scope)
        return await self._one(said, scope)

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        limit = self._section.body_limit
        too_large = Problem(413, "too-large", f"The body is larger than {limit} bytes")
        length = headers.get(b"content-length", b"")
        if length.isdigit() and (len(length) > 12 or int(length) > limit):
            raise too_large
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._section.body_timeout_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Problem(400, "not-whole", "The body ended early")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > limit:
                        raise too_large
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise Problem(408, "too-slow", "The body did not come in time") from None

    async def _one(self, said: Any, scope: Scope) -> dict[str, Any]:
        self._spend(1)
        try:
            push = push_of(said)
        except Unfit as error:
            self._pushes.refuse("invalid", _id(said), error.field, _source(scope))
            raise Problem(422, "invalid-push", "This is no push", error.why, field=error.field) from None
        (taken,) = await self._take([push])
        if taken.verdict is Verdict.CONFLICT:
            raise Problem(409, "id-used", "The id is taken", _CONFLICT, field="id")
        return _told(taken)

    async def _many(self, said: dict[str, Any], scope: Scope) -> dict[str, Any]:
        values = said["pushes"]
        if len(said) > 1:
            other = next(name for name in said if name != "pushes")
            raise Problem(400, "invalid-batch", "This is no batch", "there is no such field", field=str(other)[:64])
        if not isinstance(values, list) or not 1 <= len(values) <= MOST:
            detail = f"a list of 1 to {MOST} pushes"
            raise Problem(400, "invalid-batch", "This is no batch", detail, field="pushes")
        self._spend(len(values))
        good: list[Push] = []
        answers: list[dict[str, Any] | None] = []
        for place, value in enumerate(values):
            try:
                good.append(push_of(value))
                answers.append(None)
            except Unfit as error:
                id = _id(value)
                self._pushes.refuse("invalid", id, error.field, _source(scope))
                answers.append(
                    {
                        "id": id or None, "status": 422, "code": "invalid-push",
                        "field": f"pushes.{place}.{error.field}".rstrip("."), "detail": error.why,
                    }
                )  # fmt: skip
        taken = iter(await self._take(good))
        return {"pushes": [answer or _told(next(taken)) for answer in answers]}

    def _spend(self, number: int) -> None:
        now = time.monotonic()
        if (wait_s := self._rate.wait_s(now)) > 0:
            raise Problem(429, "too-many", f"More than {self._section.rate:g} pushes a second", retry_s=wait_s)
        for _ in range(number):
            self._rate.spend(now)

    async def _take(self, pushes: Sequence[Push]) -> list[Taken]:
        try:
            return await self._pushes.take(pushes)
        except (SQLAlchemyError, Fenced, StoreKeyClosed) as error:
            log.error("pushes-not-taken", count=len(pushes), error=said(error))
            title = "The bridge's store cannot write: send it again"
            raise Problem(503, "not-stored", title, retry_s=_RETRY_S) from None


def _told(taken: Taken) -> dict[str, Any]:
    if taken.verdict is Verdict.CONFLICT:
        return {"id": taken.id, "status": 409, "code": "id-used", "field": "id", "detail": _CONFLICT}
    return {"id": taken.id, "status": 200, "outcome": taken.verdict.value, "notices": taken.notices}


def _id(value: Any) -> str:
    """The id of what is no push, if it has one that may be said."""
    id = value.get("id") if isinstance(value, dict) else None
    return id if isinstance(id, str) and id.isascii() and id.isprintable() and len(id) <= 128 else ""


def _source(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


async def _answer(
    send: Send, status: int, document: Mapping[str, Any], *, retry_s: float = 0.0, close: bool = False
) -> None:
    body = to_json(document)
    kind = b"application/json" if status == 200 else b"application/problem+json"
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store")]
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="pushes"'))
    if status == 405:
        headers.append((b"allow", b"POST"))
    if retry_s:
        headers.append((b"retry-after", b"%d" % math.ceil(retry_s)))
    if close or status in (413, 431):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
