"""How money's callers ask: queries, and commands under one key until they are final."""

import asyncio
import json
import random
import time
import uuid
from typing import Any

import aiohttp

from scripts.tools.fault_campaign.site import Site
from scripts.tools.fault_campaign.timelines import FINAL
from scripts.tools.testbed.processes import TestbedError

PATIENCE_S = 10.0
PAUSE_S = 0.5
TRY_S = 300.0
"""A request, or a notification, is tried for so long; then the order is left as it is."""
EXPIRED = "no-answer-in-time"
"""A command that was not begun with in its time: nothing was done."""


class Callers:
    """With one application key, through the proxy before the front."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.failed: list[str] = []
        """What never came to an answer."""

    async def __aenter__(self) -> "Callers":
        self.http = aiohttp.ClientSession(
            self._site.url, connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=PATIENCE_S)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()

    async def query(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """The answer; None: there is none now."""
        status, told = await self._asked(self.http.post(path, json=body, headers=self._key()))
        return told if status == 200 else None

    async def until_answered(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask until there is an answer. Raises TestbedError."""
        for _ in range(60):
            told = await self.query(path, body)
            if told is not None:
                return told
            await asyncio.sleep(PAUSE_S)
        raise TestbedError(f"{path} is not answered before any fault")

    async def command(self, path: str, body: dict[str, Any], rng: random.Random) -> dict[str, Any] | None:
        """Send it under one key until it is accepted, then poll until it is final: the final answer. None: there was
        none.
        """
        key = f"money-{uuid.UUID(int=rng.getrandbits(128))}"
        headers = self._key() | {"Idempotency-Key": key, "Prefer": "wait=5"}
        end = time.monotonic() + 2 * TRY_S
        place = ""
        while time.monotonic() < end:
            request = self.http.get(place, headers=self._key()) if place else self.http.post(
                path, json=body, headers=headers
            )  # fmt: skip
            status, told = await self._asked(request)
            state = str(told.get("status") or "")
            if state in FINAL and status == 200:
                return told
            if told.get("request_status") in FINAL or told.get("code") == EXPIRED or status in (400, 404, 422):
                return told  # a problem that stays
            if told.get("request_id") and state in ("accepted", "sent") and not place:
                place = f"/v1/requests/{told['request_id']}"
            await asyncio.sleep(PAUSE_S)
        self.failed.append(f"{path} came to no answer under {key}")
        return None

    async def _asked(self, request: Any) -> tuple[int, dict[str, Any]]:
        try:
            async with request as answer:
                told = json.loads(await answer.read())
                return answer.status, told if isinstance(told, dict) else {}
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return 0, {}

    def _key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._site.testbed.app_key}"}


def code_of(told: dict[str, Any]) -> str:
    """Why a final answer is none of success."""
    for reason in (told.get("refusal"), told.get("failure"), told):
        if isinstance(reason, dict) and reason.get("code"):
            return str(reason["code"])
    return str(told.get("status"))
