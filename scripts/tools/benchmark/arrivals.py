"""An open-loop load: requests are sent when they are due, however long earlier ones take, as independent callers do. (A
closed loop slows down with the system it measures, and hides its collapse.)
"""

import asyncio
import json
import random
import time
from dataclasses import dataclass

import aiohttp


@dataclass(frozen=True, slots=True)
class Answer:
    """The response to one request."""

    status: int
    """HTTP status; 0 when there was no response."""
    code: str
    """The problem's code; empty for a 200."""
    retry_after: bool
    seconds: float
    """From the moment the request was due."""


async def offer(
    url: str, key: str, body: object, *, rate: float, seconds: float, wait_s: float, seed: int = 1
) -> list[Answer]:
    """Send `rate` requests a second on average (a Poisson process) for `seconds`; return all responses.

    `wait_s` is the deadline of each request.
    """
    random_ = random.Random(seed)  # noqa: S311 - a load is not a secret
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Prefer": f"wait={wait_s:g}"}
    data = json.dumps(body).encode()
    timeout = aiohttp.ClientTimeout(total=wait_s + 30)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as session:

        async def ask(due: float) -> Answer:
            try:
                async with session.post(url, data=data) as answer:
                    text = await answer.read()
                    code = "" if answer.status == 200 else str(json.loads(text).get("code", ""))
                    return Answer(answer.status, code, "Retry-After" in answer.headers, time.monotonic() - due)
            except (aiohttp.ClientError, TimeoutError) as error:
                return Answer(0, type(error).__name__, False, time.monotonic() - due)

        tasks: list[asyncio.Task[Answer]] = []
        due = begun = time.monotonic()
        while due < begun + seconds:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            tasks.append(asyncio.create_task(ask(due)))
            due += random_.expovariate(rate)
        return list(await asyncio.gather(*tasks))
