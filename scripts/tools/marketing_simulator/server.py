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

from scripts.tools.marketing_simulator.effects import Applied
from scripts.tools.marketing_simulator.faults import FaultInjector, mixed_up, shortened
from scripts.tools.marketing_simulator.fields import Fields
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.responses import Code, Refusal

TOKEN_HEADER = "X-Access-Token"  # noqa: S105 - the header's name
LARGEST_BODY_BYTES = 64 * 1024
EXIT_STATUS_OF_A_FAULT = 70
JSON_HEADERS = {"Content-Type": "application/json; charset=utf-8"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Answered = Callable[[web.Request], Awaitable[bytes | None]]
"""Gives the answer in JSON; None: there is never one. Raises Refusal."""


class Dropped(Exception):
    """A request is done, and its caller will not hear of it: the fault switch `drop`."""


class MarketingInterfaces:
    """Makes HTTP handlers of queries and effects."""

    def __init__(self, token: str, faults: FaultInjector) -> None:
        self._token = token.encode()
        self._faults = faults
        self._closing = asyncio.Event()

    def route(self, interface: Interface) -> web.RouteDef:
        """Where the JSON face serves an interface."""

        async def answered(request: web.Request) -> bytes | None:
            self._check_token(request)
            return await self.answer(interface, await request.read())

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self.told(request, answered, _json)

        return web.post(interface.path, handle)

    def upload(self, path: str, apply: Callable[[web.Request], Awaitable[Applied]]) -> Handler:
        """A handler for an interface of the JSON face that reads the request's body by itself."""

        async def answered(request: web.Request) -> bytes | None:
            self._check_token(request)
            return await self.under_faults(path, lambda: apply(request))

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self.told(request, answered, _json)

        return handle

    async def answer(self, interface: Interface, body: bytes) -> bytes | None:
        """What an interface answers, in JSON whatever face is asked, under the fault plan of its path. None: nothing,
        for ever. Raises Refusal, and Dropped where the connection is to be lost without an answer."""

        async def act() -> Applied:
            fields = Fields(body)
            if interface.query is not None:
                return Applied(interface.query(fields), newly=False)
            assert interface.effect is not None, "an interface reads or writes"
            return await interface.effect(fields)

        return await self.under_faults(interface.path, act, body)

    def _check_token(self, request: web.Request) -> None:
        given = request.headers.get(TOKEN_HEADER, "")
        if not hmac.compare_digest(given.encode(errors="replace"), self._token):
            raise Refusal(Code.TOKEN)

    async def under_faults(self, path: str, act: Callable[[], Awaitable[Applied]], asked: bytes = b"") -> bytes | None:
        """What comes of `act` under the fault plan of a path, as `answer` gives it; `asked` is the request in JSON."""
        affected = self._faults.enter(path)
        if affected is not None:
            if affected.delay_seconds:
                await asyncio.sleep(affected.delay_seconds)
            if affected.hangs:
                return None
            if affected.fails:
                raise Refusal(Code.SYSTEM, "fault switch")
        applied = await act()
        if applied.newly and affected is not None:
            after = self._faults.applied(affected)
            if after.dies:
                os._exit(EXIT_STATUS_OF_A_FAULT)
            if after.hangs:
                return None
        before = self._faults.answering(affected)
        if before.drops:
            raise Dropped
        body = shortened(applied.body) if before.shortens else applied.body
        return mixed_up(asked, body) if before.mixes_up and asked else body

    def close(self) -> None:
        """Abort the requests that hang."""
        self._closing.set()

    async def told(
        self, request: web.Request, answered: Answered, write: Callable[[bytes, int], web.Response]
    ) -> web.StreamResponse:
        """The answer, a refusal or a failure, as a face writes it; or nothing, for ever."""
        try:
            body = await answered(request)
            return await self._never(request) if body is None else write(body, 200)
        except Refusal as refusal:
            return write(refusal.body(), refusal.code.http_status)
        except Dropped:
            return self._lost(request)
        except web.HTTPException:
            raise
        except Exception:
            traceback.print_exc(file=sys.stderr)
            return write(Refusal(Code.SYSTEM).body(), 500)

    async def _never(self, request: web.Request) -> web.StreamResponse:
        """No response: until the caller gives up (which cancels this) or the simulator stops."""
        await self._closing.wait()
        return self._lost(request)

    def _lost(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)


def _json(body: bytes, status: int) -> web.Response:
    return web.Response(body=body, status=status, headers=JSON_HEADERS)


def json_response(value: object, status: int = 200) -> web.Response:
    """A JSON response of a control interface."""
    return web.Response(body=json.dumps(value, ensure_ascii=False).encode(), status=status, headers=JSON_HEADERS)
