"""The HTTP side: the marketing interfaces under `/api/`, which need a token.

The path of an `/api/` request: token → fault plan → body → query or effect → (fault after applying) → response.
"""

import asyncio
import hmac
import json
import os
import sys
import traceback
from collections.abc import Awaitable, Callable

from aiohttp import web

from scripts.tools.marketing_simulator.faults import AffectedRequest, FaultInjector
from scripts.tools.marketing_simulator.fields import Fields
from scripts.tools.marketing_simulator.interfaces import Effect, Interface, Query
from scripts.tools.marketing_simulator.responses import Code, Refusal

TOKEN_HEADER = "X-Access-Token"  # noqa: S105 - the header's name
LARGEST_BODY_BYTES = 64 * 1024
EXIT_STATUS_OF_A_FAULT = 70
JSON_HEADERS = {"Content-Type": "application/json; charset=utf-8"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class MarketingInterfaces:
    """Makes HTTP handlers of queries and effects."""

    def __init__(self, token: str, faults: FaultInjector) -> None:
        self._token = token.encode()
        self._faults = faults
        self._closing = asyncio.Event()

    def route(self, interface: Interface) -> web.RouteDef:
        """Where the JSON face serves an interface."""
        if interface.query is not None:
            return web.post(interface.path, self.query(interface.query))
        assert interface.effect is not None, "an interface reads or writes"
        return web.post(interface.path, self.effect(interface.effect))

    def query(self, answer: Query) -> Handler:
        """A handler for an interface that only reads."""

        async def act(fields: Fields, affected: AffectedRequest | None) -> bytes | None:
            return answer(fields)

        return self._handler(act)

    def effect(self, apply: Effect) -> Handler:
        """A handler for an interface that writes."""

        async def act(fields: Fields, affected: AffectedRequest | None) -> bytes | None:
            applied = await apply(fields)
            if applied.newly and affected is not None:
                after = self._faults.applied(affected)
                if after.dies:
                    os._exit(EXIT_STATUS_OF_A_FAULT)
                if after.hangs:
                    return None
            return applied.body

        return self._handler(act)

    def close(self) -> None:
        """Abort the requests that hang."""
        self._closing.set()

    def _handler(self, act: Callable[[Fields, AffectedRequest | None], Awaitable[bytes | None]]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                given = request.headers.get(TOKEN_HEADER, "")
                if not hmac.compare_digest(given.encode(errors="replace"), self._token):
                    raise Refusal(Code.TOKEN)
                affected = self._faults.enter(request.path)
                if affected is not None:
                    if affected.delay_seconds:
                        await asyncio.sleep(affected.delay_seconds)
                    if affected.hangs:
                        return await self._never(request)
                    if affected.fails:
                        raise Refusal(Code.SYSTEM, "fault switch")
                body = await act(Fields(await request.read()), affected)
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
        """No response: until the caller gives up (which cancels this) or the simulator stops."""
        await self._closing.wait()
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)


def json_response(value: object, status: int = 200) -> web.Response:
    """A JSON response of a control interface."""
    return web.Response(body=json.dumps(value, ensure_ascii=False).encode(), status=status, headers=JSON_HEADERS)
