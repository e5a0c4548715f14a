"""The HTTP side: the marketing interfaces under `/api/` behind their token, and the instruments beside them.

The way of an `/api/` request: token → fault plan → body → query or effect → (fault after applying) → answer.
"""

import asyncio
import hmac
import json
import os
import sys
import traceback
from collections.abc import Awaitable, Callable

from aiohttp import web

from scripts.tools.marketing_simulator.answers import Code, Refusal
from scripts.tools.marketing_simulator.effects import Applied
from scripts.tools.marketing_simulator.faults import FaultDesk, Visit
from scripts.tools.marketing_simulator.fields import Fields

TOKEN_HEADER = "X-Access-Token"  # noqa: S105 - the header's name
LARGEST_BODY_BYTES = 64 * 1024
EXIT_STATUS_OF_A_FAULT = 70
JSON_HEADERS = {"Content-Type": "application/json; charset=utf-8"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Query = Callable[[Fields], bytes]
Effect = Callable[[Fields], Awaitable[Applied]]


class MarketingInterfaces:
    """Makes HTTP handlers of queries and effects."""

    def __init__(self, token: str, faults: FaultDesk) -> None:
        self._token = token.encode()
        self._faults = faults
        self._closing = asyncio.Event()

    def query(self, answer: Query) -> Handler:
        """A handler for an interface that reads."""

        async def act(fields: Fields, visit: Visit | None) -> bytes | None:
            return answer(fields)

        return self._handler(act)

    def effect(self, apply: Effect) -> Handler:
        """A handler for an interface that changes something."""

        async def act(fields: Fields, visit: Visit | None) -> bytes | None:
            applied = await apply(fields)
            if applied.newly and visit is not None:
                after = self._faults.applied(visit)
                if after.dies:
                    os._exit(EXIT_STATUS_OF_A_FAULT)
                if after.hangs:
                    return None
            return applied.body

        return self._handler(act)

    def close(self) -> None:
        """Let go of the requests that hang."""
        self._closing.set()

    def _handler(self, act: Callable[[Fields, Visit | None], Awaitable[bytes | None]]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                given = request.headers.get(TOKEN_HEADER, "")
                if not hmac.compare_digest(given.encode(errors="replace"), self._token):
                    raise Refusal(Code.TOKEN)
                visit = self._faults.enter(request.path)
                if visit is not None:
                    if visit.delay_seconds:
                        await asyncio.sleep(visit.delay_seconds)
                    if visit.hangs:
                        return await self._never(request)
                    if visit.fails:
                        raise Refusal(Code.SYSTEM, "fault switch")
                body = await act(Fields(await request.read()), visit)
                if body is None:
                    return await self._never(request)
                return web.Response(body=body, headers=JSON_HEADERS)
            except Refusal as refusal:
                return web.Response(body=refusal.body(), status=refusal.code.http_status, headers=JSON_HEADERS)
            except web.HTTPException:
                raise
            except Exception:
                traceback.print_exc(file=sys.stderr)
                return web.Response(body=Refusal(Code.SYSTEM).body(), status=500, headers=JSON_HEADERS)

        return handle

    async def _never(self, request: web.Request) -> web.StreamResponse:
        """No answer: until the caller gives up (which cancels this) or the simulator ends."""
        await self._closing.wait()
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)


def json_answer(value: object, status: int = 200) -> web.Response:
    """A JSON answer of an instrument."""
    return web.Response(body=json.dumps(value, ensure_ascii=False).encode(), status=status, headers=JSON_HEADERS)
