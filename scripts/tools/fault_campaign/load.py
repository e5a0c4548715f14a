"""The callers: commands and queries through the HTTP API at a constant rate, and every response they got.

Some behave well (the same Idempotency-Key again until there is a response), some are impatient (the same command twice
at once; hanging up and sending again). They use every `Prefer` value that the API knows.
"""

import asyncio
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import aiohttp

from scripts.tools.fault_campaign.timelines import FINAL, Observation, Timeline, observation_of

ACCOUNTS = 60
"""Accounts that the load uses: few enough for each to have several commands in flight."""
PROBED_FROM, PROBES = 101, 300
"""Accounts of the probes: nobody else uses them, so that a probe never waits for an earlier command."""
IN_FLIGHT = 1500
PATIENCE_S = 15.0
"""How long a caller waits for a response before it retries."""

_POLLED, _DUPLICATED, _IMPATIENT = 0.15, 0.05, 0.05


class Load:
    """Callers with one application key."""

    def __init__(self, url: str, app_key: str, seed: int) -> None:
        self._url, self._app_key = url, app_key
        self._rng = random.Random(seed ^ 0x10AD)  # noqa: S311 - a load is not a secret
        self.timelines: list[Timeline] = []
        self.queries: Counter[str] = Counter()
        """Responses to queries, by HTTP status and code."""
        self.wrong_queries: list[str] = []
        """Responses that were about another account than the query."""
        self.rejected: Counter[str] = Counter()
        """Responses to commands that were not accepted, by HTTP status and code."""
        self.accepted = self.settled = 0
        self.stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._number = 0

    async def __aenter__(self) -> "Load":
        self._http = aiohttp.ClientSession(
            self._url,
            headers={"Authorization": f"Bearer {self._app_key}"},
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=PATIENCE_S),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.close()

    # --- the rate ----------------------------------------------------------------------------------------------

    async def run(self, seconds: float, commands_rate: float, queries_rate: float) -> None:
        """Send commands and queries at their rates for so long."""
        await asyncio.gather(
            self._offer(seconds, commands_rate, self._next_command),
            self._offer(seconds, queries_rate, self._next_query),
        )

    async def _offer(self, seconds: float, rate: float, make: Any) -> None:
        begun, offered = time.monotonic(), 0
        while (now := time.monotonic() - begun) < seconds and rate:
            while offered < now * rate and len(self._tasks) < IN_FLIGHT:
                self.spawn(make())
                offered += 1
            offered = max(offered, int(now * rate))  # what exceeded IN_FLIGHT is not made up for
            await asyncio.sleep(0.5 / rate if rate > 25 else 0.02)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run concurrently with the load; cancelled with it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a caller failed", "exception": task.exception()}
            )

    async def finish(self, seconds: float) -> None:
        """Let the callers finish: those that wait for a response get it, those that poll stop."""
        self.stopping.set()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=seconds)

    # --- commands ----------------------------------------------------------------------------------------------

    def _next_command(self) -> Coroutine[Any, Any, Any]:
        rng = self._rng
        self._number += 1
        account = account_of(rng.randint(1, ACCOUNTS))
        prefer = rng.choice(["", "respond-async", "wait=1", "wait=3", "wait=8"])
        style = rng.random()
        timeline = self.new_timeline(account)
        if style < _DUPLICATED:
            return self._send_twice(timeline, prefer)
        if style < _DUPLICATED + _IMPATIENT:
            return self._hang_up(timeline, prefer, rng.uniform(0.001, 0.2))
        return self.command(timeline, prefer, polled=style > 1 - _POLLED)

    def new_timeline(self, account: str) -> Timeline:
        """A command that has not been sent yet."""
        timeline = Timeline(f"campaign-{uuid.UUID(int=self._rng.getrandbits(128))}", account)
        self.timelines.append(timeline)
        return timeline

    async def command(self, timeline: Timeline, prefer: str = "", *, polled: bool = False) -> None:
        """Send it until it is accepted, with the same key each time; then, if `polled`, poll its status."""
        pause = 0.2
        while timeline.accepted is None:
            observation = await self.submit(timeline, prefer)
            if observation.accepted or (self.stopping.is_set() and observation.http):
                break
            await asyncio.sleep(pause)
            pause = min(pause * 1.7, 2.0)
        if polled and timeline.accepted is not None:
            pause = 0.3
            while timeline.final is None and not self.stopping.is_set():
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 5.0)
                await self.poll(timeline)

    async def _send_twice(self, timeline: Timeline, prefer: str) -> None:
        await asyncio.gather(self.submit(timeline, prefer), self.submit(timeline, prefer))
        await self.command(timeline, prefer, polled=True)

    async def _hang_up(self, timeline: Timeline, prefer: str, after_s: float) -> None:
        try:
            async with asyncio.timeout(after_s):
                await self.submit(timeline, prefer)
        except TimeoutError:
            now = time.monotonic()
            timeline.observations.append(Observation(now - after_s, now, 0, code="hung-up"))
        await self.command(timeline, prefer)

    async def submit(self, timeline: Timeline, prefer: str = "") -> Observation:
        """POST it, once."""
        headers = {"Idempotency-Key": timeline.key} | ({"Prefer": prefer} if prefer else {})
        observation = await self._observe(
            self._http.post("/v1/work-order", json=work_order(timeline.account), headers=headers)
        )
        self._note(timeline, observation)
        if not observation.accepted:
            self.rejected[f"{observation.http} {observation.code}"] += 1
        return observation

    async def poll(self, timeline: Timeline) -> Observation:
        """GET its status, once."""
        observation = await self._observe(self._http.get(f"/v1/requests/{timeline.id}"))
        self._note(timeline, observation)
        return observation

    def _note(self, timeline: Timeline, observation: Observation) -> None:
        before = timeline.accepted, timeline.final
        timeline.observations.append(observation)
        self.accepted += before[0] is None and timeline.accepted is not None
        self.settled += before[1] is None and timeline.final is not None

    async def _observe(self, request: Any) -> Observation:
        asked_at = time.monotonic()
        try:
            async with request as answer:
                text = await answer.read()
                document = json.loads(text)
                location = answer.headers.get("Location", "")
                return observation_of(asked_at, time.monotonic(), answer.status, document, location)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Observation(asked_at, time.monotonic(), 0, code=type(error).__name__)

    # --- queries -----------------------------------------------------------------------------------------------

    def _next_query(self) -> Coroutine[Any, Any, Any]:
        return self.query(account_of(self._rng.randint(1, ACCOUNTS)), bills=self._rng.random() < 0.5)

    async def query(self, account: str, *, bills: bool = False) -> int:
        """Send one query; the HTTP status, 0 if there was no response."""
        body = {"account": account}
        if bills:
            body |= {"first_month": "2026-04", "last_month": "2026-06"}
        path = "/v1/bill-query" if bills else "/v1/arrears-query"
        try:
            async with self._http.post(path, json=body) as answer:
                document = json.loads(await answer.read())
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self.queries[f"0 {type(error).__name__}"] += 1
            return 0
        self.queries[f"{status} {document.get('code') or document.get('status')}"] += 1
        result = document.get("result")
        if status == 200 and result is not None and result.get("account") != account:
            self.wrong_queries.append(f"asked about {account}, told about {result.get('account')}")
        return int(status)

    # --- afterwards --------------------------------------------------------------------------------------------

    async def for_each(self, wanted: list[Timeline], how: Any, width: int = 24) -> None:
        """Do `how(timeline)` for each, `width` at a time."""
        left = iter(wanted)

        async def one_by_one() -> None:
            for timeline in left:
                await how(timeline)

        await asyncio.gather(*(one_by_one() for _ in range(width)))

    async def ask_for_outcome(self, timeline: Timeline) -> None:
        """Ask for the outcome, up to 20 times: with the key if no request id is known yet, then by its status."""
        for _ in range(20):
            if timeline.accepted is None:
                await self.submit(timeline, "respond-async")
            elif (await self.poll(timeline)).state in FINAL | {"held"}:
                return
            if timeline.accepted is None or timeline.final is None:
                await asyncio.sleep(0.3)


def account_of(number: int) -> str:
    """An account of the simulator."""
    return f"{3_210_000_000_000 + number}"


def work_order(account: str) -> dict[str, Any]:
    """The command: the same body for the same account."""
    return {
        "type": "fault-repair",
        "account": account,
        "contact_name": "张伟",
        "contact_phone": "13800000001",
        "address": "人民路1号",
        "content": "家里没电了，请派人检修。",
    }
