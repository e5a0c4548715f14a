"""Sends pushes, as a marketing system does that wants each to arrive: in order, a request after the other, the oldest
unanswered first, again until the bridge has answered; and, as the plan wants it, some more often than needed.
"""

import asyncio
import contextlib
import json
import sqlite3
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random
from typing import Any, TypeVar

import aiohttp

from scripts.tools.marketing_simulator.clock import Clock
from scripts.tools.marketing_simulator.population import FIRST_ACCOUNT
from scripts.tools.marketing_simulator.pushing.content import LatestBill, chosen, push
from scripts.tools.marketing_simulator.pushing.plan import LARGEST_BATCH, Kind, PushPlan
from scripts.tools.marketing_simulator.pushing.record import Answer, Made, PushRecord

PATIENCE_S = 15.0
"""For an answer."""
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
"""After a request that was not answered."""
REMEMBERED = 2_000
"""Answered ones of which some are said again."""
LATEST_BILL = "SELECT month, amount_fen, due_date FROM bill WHERE number = ? ORDER BY month DESC LIMIT 1"
T = TypeVar("T")
NO_BILL = LatestBill(202512, 0, "2026-01-25")


class Pusher:
    """Sends by one plan at a time, and what was made under an earlier one."""

    def __init__(
        self, record: PushRecord, reading: sqlite3.Connection, clock: Clock, customers: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`reading`: the business's database. `now`: the clock of the rate and of pauses."""
        self.record, self._reading, self._clock, self._customers, self._now = record, reading, clock, customers, now
        self._rng = Random(0)  # noqa: S311 - chance for tests, nothing secret
        self.plan: PushPlan | None = None
        self._waiting: deque[Made] = deque()
        self._had: deque[Made] = deque(maxlen=REMEMBERED)
        self._again: list[Made] = []
        self._since, self._due_before = 0.0, 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pushes")

    async def start(self, plan: PushPlan | None = None) -> None:
        """Go on where it was left. `plan`: if none was kept; one that was kept keeps all but where it goes."""
        kept = self.record.plan()
        if kept is not None:
            own = PushPlan.parse(kept)
            where = {"url": plan.url, "token_file": plan.token_file} if plan is not None else {}
            plan = own.model_copy(update=where)
        self._waiting.extend(self.record.unanswered())
        self._go_by(plan)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def set(self, plan: PushPlan | None) -> None:
        """Make pushes by this plan from now on; None: none. What waits is sent all the same, by the plan before."""
        if plan is None and self.plan is not None:
            plan = self.plan.model_copy(update={"rate": 0.0})
        if plan is not None:
            await self._on_disk(partial(self.record.keep_plan, plan.model_dump_json()))
            self._go_by(plan)

    async def say(self, kind: Kind, accounts: Sequence[str]) -> str:
        """One push, made now; its id. It is on the disk, and on its way."""
        made, whom = self._made(self.record.last + 1, kind, tuple(accounts))
        await self._on_disk(partial(self.record.add, [(made, whom)], by_plan=False))
        self._waiting.append(made)
        self._changed.set()
        return made.id

    def state(self) -> dict[str, Any]:
        """What was done so far."""
        record = self.record
        return {
            "plan": json.loads(self.plan.model_dump_json()) if self.plan is not None else None,
            "made": record.made, "unanswered": len(self._waiting), "attempts": record.attempts,
            "repeated": record.repeated,
        }  # fmt: skip

    async def close(self) -> None:
        """Send no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._disk.shutdown()
        self.record.close()

    def _go_by(self, plan: PushPlan | None) -> None:
        self.plan, self._since, self._due_before = plan, self._now(), self.record.by_plan
        self._changed.set()

    async def _on_disk(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)

    # --- the loop -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S)) as http:
            failures = 0
            while True:
                self._changed.clear()
                try:
                    answered = await self._step(http)
                except (OSError, sqlite3.Error) as error:  # its own files
                    print(f"marketing_simulator: pushes: {error}", file=sys.stderr, flush=True)
                    answered = False
                if answered is None:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._until_next_s()):
                            await self._changed.wait()
                    continue
                failures = 0 if answered else failures + 1
                if failures:
                    await asyncio.sleep(min(SHORTEST_PAUSE_S * 1.5**failures, LONGEST_PAUSE_S))

    async def _step(self, http: aiohttp.ClientSession) -> bool | None:
        """Make what is due, send a batch. Returns whether it was answered; None: there was nothing to send."""
        plan = self.plan
        if plan is None:
            return None
        await self._make(plan)
        batch = [self._waiting[place] for place in range(min(len(self._waiting), plan.batch))]
        again = self._again[: LARGEST_BATCH - len(batch)]
        del self._again[: len(again)]
        if not batch and not again:
            return None
        times = 2 if self._rng.random() < plan.twice else 1
        token = await self._on_disk(plan.token)
        said = await asyncio.gather(*(_said(http, plan.url, token, batch + again) for _ in range(times)))
        answers = [answer for one in said if one is not None for answer in one]
        sent = [made.number for made in batch + again] * times
        await self._on_disk(partial(self.record.sent, sent, answers, self._clock.now().isoformat()))
        if not answers:
            return False
        for _ in batch:
            self._had.append(self._waiting.popleft())
        wanted = sum(self._rng.random() < plan.again for _ in batch)
        self._again += self._rng.sample(list(self._had), min(wanted, len(self._had)))
        return True

    async def _make(self, plan: PushPlan) -> None:
        due = int((self._now() - self._since) * plan.rate)
        left = due - (self.record.by_plan - self._due_before)
        if plan.count is not None:
            left = min(left, plan.count - self.record.by_plan)
        if left <= 0:
            return
        first = self.record.last + 1
        rows = []
        for number in range(first, first + min(left, LARGEST_BATCH)):
            kind, accounts = chosen(number, plan, self._customers)
            rows.append(self._made(number, kind, accounts))
        await self._on_disk(partial(self.record.add, rows, by_plan=True))
        self._waiting.extend(made for made, _ in rows)

    def _made(self, number: int, kind: Kind, accounts: tuple[str, ...]) -> tuple[Made, tuple[str, ...]]:
        row = self._reading.execute(LATEST_BILL, (int(accounts[0]) - FIRST_ACCOUNT + 1,)).fetchone()
        said = push(number, kind, accounts, NO_BILL if row is None else LatestBill(*row), self._clock.now())
        return Made(number, json.dumps(said, ensure_ascii=False)), accounts

    def _until_next_s(self) -> float:
        """So long until the next is due."""
        plan = self.plan
        if plan is None or plan.rate == 0 or (plan.count is not None and self.record.by_plan >= plan.count):
            return 3_600.0
        made = self.record.by_plan - self._due_before
        wait_s: float = (made + 1) / plan.rate - (self._now() - self._since)
        return max(0.02, wait_s)


async def _said(http: aiohttp.ClientSession, url: str, token: str, pushes: Sequence[Made]) -> list[Answer] | None:
    """Send them; what is said of each. None: nothing is known."""
    body = f'{{"pushes": [{", ".join(made.body for made in pushes)}]}}'.encode()
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        async with http.post(url, data=body, headers=headers) as response:
            if response.status != 200:
                return None
            answers = json.loads(await response.read())["pushes"]
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError):
        return None
    if len(answers) != len(pushes):
        return None
    return [
        Answer(made.number, answer.get("outcome") or str(answer.get("code")), answer.get("notices", 0))
        for made, answer in zip(pushes, answers, strict=True)
    ]
