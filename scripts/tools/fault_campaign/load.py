"""The callers: commands and queries through the HTTP API at a steady rate, and everything they were told.

They behave as good callers do (the same Idempotency-Key again until an answer came), as hasty ones do (the same
command twice at once; hanging up and asking again), and in every way to wait that the API has.
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

from scripts.tools.fault_campaign.stories import FINAL, Story, Word, word_of

ACCOUNTS = 60
"""The load is about so many accounts, so that each has several commands on the way."""
PROBED_FROM, PROBES = 101, 300
"""Accounts of the probes: each has an account nobody else uses, so nothing waits before it."""
IN_FLIGHT = 1500
PATIENCE_S = 15.0
"""How long a caller waits for an answer before it asks again."""

_POLLED, _TWICE, _HASTY = 0.15, 0.05, 0.05


class Load:
    """Callers with one application key."""

    def __init__(self, url: str, app_key: str, seed: int) -> None:
        self._url, self._app_key = url, app_key
        self._chance = random.Random(seed ^ 0x10AD)  # noqa: S311 - which account, which way to wait
        self.stories: list[Story] = []
        self.queries: Counter[str] = Counter()
        """Answers to queries, by HTTP status and code."""
        self.wrong_queries: list[str] = []
        """Answers to queries that are about something else."""
        self.turned_away: Counter[str] = Counter()
        """Answers to commands that were not accepted, by HTTP status and code."""
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
        """Offer both kinds at their rates for so long."""
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
            offered = max(offered, int(now * rate))  # what found no room is not made up for
            await asyncio.sleep(0.5 / rate if rate > 25 else 0.02)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run beside the load; cancelled with it."""
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
        """Let the callers come to an end: those that wait for an answer get it, those that poll stop."""
        self.stopping.set()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=seconds)

    # --- commands ----------------------------------------------------------------------------------------------

    def _next_command(self) -> Coroutine[Any, Any, Any]:
        chance = self._chance
        self._number += 1
        account = account_of(chance.randint(1, ACCOUNTS))
        prefer = chance.choice(["", "respond-async", "wait=1", "wait=3", "wait=8"])
        style = chance.random()
        story = self.new_story(account)
        if style < _TWICE:
            return self._twice(story, prefer)
        if style < _TWICE + _HASTY:
            return self._hasty(story, prefer, chance.uniform(0.001, 0.2))
        return self.command(story, prefer, polled=style > 1 - _POLLED)

    def new_story(self, account: str) -> Story:
        """A command nobody has asked for yet."""
        story = Story(f"campaign-{uuid.UUID(int=self._chance.getrandbits(128))}", account)
        self.stories.append(story)
        return story

    async def command(self, story: Story, prefer: str = "", *, polled: bool = False) -> None:
        """Ask until it is accepted, with the same key each time; then maybe follow its status."""
        pause = 0.2
        while story.accepted is None:
            word = await self.ask(story, prefer)
            if word.accepted or (self.stopping.is_set() and word.http):
                break
            await asyncio.sleep(pause)
            pause = min(pause * 1.7, 2.0)
        if polled and story.accepted is not None:
            pause = 0.3
            while story.final is None and not self.stopping.is_set():
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 5.0)
                await self.look(story)

    async def _twice(self, story: Story, prefer: str) -> None:
        await asyncio.gather(self.ask(story, prefer), self.ask(story, prefer))
        await self.command(story, prefer, polled=True)

    async def _hasty(self, story: Story, prefer: str, after_s: float) -> None:
        try:
            async with asyncio.timeout(after_s):
                await self.ask(story, prefer)
        except TimeoutError:
            now = time.monotonic()
            story.words.append(Word(now - after_s, now, 0, code="hung-up"))
        await self.command(story, prefer)

    async def ask(self, story: Story, prefer: str = "") -> Word:
        """POST it, once."""
        headers = {"Idempotency-Key": story.key} | ({"Prefer": prefer} if prefer else {})
        word = await self._word(self._http.post("/v1/work-order", json=work_order(story.account), headers=headers))
        self._heard(story, word)
        if not word.accepted:
            self.turned_away[f"{word.http} {word.code}"] += 1
        return word

    async def look(self, story: Story) -> Word:
        """GET its status, once."""
        word = await self._word(self._http.get(f"/v1/requests/{story.id}"))
        self._heard(story, word)
        return word

    def _heard(self, story: Story, word: Word) -> None:
        before = story.accepted, story.final
        story.words.append(word)
        self.accepted += before[0] is None and story.accepted is not None
        self.settled += before[1] is None and story.final is not None

    async def _word(self, request: Any) -> Word:
        asked_at = time.monotonic()
        try:
            async with request as answer:
                text = await answer.read()
                document = json.loads(text)
                location = answer.headers.get("Location", "")
                return word_of(asked_at, time.monotonic(), answer.status, document, location)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Word(asked_at, time.monotonic(), 0, code=type(error).__name__)

    # --- queries -----------------------------------------------------------------------------------------------

    def _next_query(self) -> Coroutine[Any, Any, Any]:
        return self.query(account_of(self._chance.randint(1, ACCOUNTS)), bills=self._chance.random() < 0.5)

    async def query(self, account: str, *, bills: bool = False) -> int:
        """Ask once; the HTTP status, 0 if there was no answer."""
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

    async def ask_all(self, wanted: list[Story], how: Any, width: int = 24) -> None:
        """Do `how(story)` for each, so many at once."""
        left = iter(wanted)

        async def one_by_one() -> None:
            for story in left:
                await how(story)

        await asyncio.gather(*(one_by_one() for _ in range(width)))

    async def last_word(self, story: Story) -> None:
        """Ask until there is an answer: the key again if no id was ever told, then the status. A few times."""
        for _ in range(20):
            if story.accepted is None:
                await self.ask(story, "respond-async")
            elif (await self.look(story)).state in FINAL | {"held"}:
                return
            if story.accepted is None or story.final is None:
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
