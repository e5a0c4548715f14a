"""The application that is called back: an HTTPS server that checks signatures, writes down what it took, and is not
always well. It turns some away, takes some without saying so, and is late with others.
"""

import asyncio
import base64
import hmac
import json
import random
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from scripts.tools.testbed.tls import self_signed

SECRET = b"the-secret-of-the-campaign-now"
CALLBACK_TIMEOUT_S = 2.0
"""How long the front waits for an answer here: shorter than as shipped, so that being late costs less."""

_TURNED_AWAY, _TAKEN_AND_LOST, _SLOW, _TOO_SLOW = 0.02, 0.01, 0.02, 0.002
_OFF_S = 1_000
"""How far a timestamp may be off: the faults move the front's clock by up to ten minutes."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One callback that the application took, or a notice of a page that it asked for."""

    id: str
    document: dict[str, Any]


class Receiver:
    """Listens while the campaign runs."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._rng = random.Random(seed ^ 0xCA11)  # noqa: S311 - chance for tests
        self.took: list[Arrival] = []
        """In the order in which they were taken; one that came again stands there again."""
        self.turned_away = 0
        self.wrong: list[str] = []
        """What is wrong with callbacks that no receiver would accept: signatures, timestamps, ids."""
        self.mood = ""
        """`500`, `reset` or `hang`: none is taken, whoever comes."""

    @property
    def certificate(self) -> Path:
        """The front's authority for it."""
        return self._folder / "receiver.pem"

    @property
    def secret_file(self) -> Path:
        """What callbacks are signed with."""
        return self._folder / "callback.secret"

    async def start(self, port: int) -> None:
        """Listen on loopback."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self_signed(self.certificate, self._folder / "receiver.key")
        self.secret_file.touch(mode=0o600)
        self.secret_file.write_text(f"whsec_{base64.b64encode(SECRET).decode()}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self._folder / "receiver.key")
        application = web.Application()
        application.router.add_post("/notices", self._called)
        self._runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=context).start()

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _called(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if self.mood:
            self.turned_away += 1
            if self.mood == "hang":
                await asyncio.sleep(60)
            return self._lost(request) if self.mood == "reset" else web.Response(status=500)
        chance = self._rng.random()
        if chance < _TURNED_AWAY:
            self.turned_away += 1
            return web.Response(status=503)
        self._take(request, body)
        chance -= _TURNED_AWAY
        if chance < _TAKEN_AND_LOST:
            return self._lost(request)
        if chance < _TAKEN_AND_LOST + _SLOW:
            await asyncio.sleep(self._rng.uniform(0.05, 0.5))
        elif chance < _TAKEN_AND_LOST + _SLOW + _TOO_SLOW:
            await asyncio.sleep(CALLBACK_TIMEOUT_S + 0.5)
        return web.Response(status=204)

    def _take(self, request: web.Request, body: bytes) -> None:
        id, at = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
        signature = base64.b64encode(hmac.digest(SECRET, f"{id}.{at}.".encode() + body, "sha256")).decode()
        document = json.loads(body)
        if not hmac.compare_digest(request.headers.get("webhook-signature", ""), f"v1,{signature}"):
            self.wrong.append(f"{id}: its signature is not right")
        if not at.isdigit() or abs(int(at) - time.time()) > _OFF_S:
            self.wrong.append(f"{id}: its timestamp {at} is far off")
        if document.get("id") != id:
            self.wrong.append(f"{id}: the body is of {document.get('id')}")
        self.took.append(Arrival(id, document))

    @staticmethod
    def _lost(request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)
