"""Pushes and notices in a campaign: two applications subscribe, the marketing system pushes, one application is called
back (receiver.py) and both ask for their notices.
"""

import asyncio
import contextlib
import json
import sqlite3
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from scripts.tools.fault_campaign.load import account_of
from scripts.tools.fault_campaign.notice_books import NOTICE_OF, Books, Said, Stream
from scripts.tools.fault_campaign.receiver import Arrival
from scripts.tools.fault_campaign.site import ASKING, HOOKED, PUSH_PATH, Site

FIRST_ACCOUNT = 401
"""Pushes are about those from here on; no caller uses them."""
FEWEST, MOST, EACH = 40, 400, 50
"""Accounts: so many that there are about EACH pushes of one."""
SOME_KINDS = frozenset({"bill-issued", "outage-notice"})
CONSENT = {"version": "campaign", "at": "2026-07-02T09:00:00+08:00"}
_PATIENCE_S = 10.0
_PAUSE_S = 0.3
_PAGE = 200
_MOST_LINES = 5_000
_TOGETHER = 8


def accounts(pushes: int) -> list[str]:
    """Whom so many pushes are about."""
    return [account_of(FIRST_ACCOUNT + place) for place in range(min(max(FEWEST, pushes // EACH), MOST))]


def subscriptions(whose: Sequence[str]) -> dict[Stream, frozenset[str]]:
    """What is subscribed to: of ten accounts two by both applications, four by one of them, and four by nobody. All
    kinds, but of every eleventh account only some.
    """
    found: dict[Stream, frozenset[str]] = {}
    for place, account in enumerate(whose):
        kinds = SOME_KINDS if place % 11 == 0 else frozenset(NOTICE_OF.values())
        if place % 10 in (0, 1, 2, 3):
            found[HOOKED, account] = kinds
        if place % 10 in (0, 1, 4, 5):
            found[ASKING, account] = kinds
    return found


class Notices:
    """Of one campaign."""

    def __init__(self, site: Site, pushes: int, seconds: float) -> None:
        """`pushes`: how many the marketing system makes in `seconds`."""
        self._site, self._pushes, self._seconds = site, pushes, seconds
        self._accounts = accounts(pushes)
        self.subscribed = subscriptions(self._accounts)
        self.requests: set[str] = set()
        """The request ids of the subscribing."""
        self._pages: dict[str, list[Arrival]] = {HOOKED: [], ASKING: []}
        self._cursors = dict.fromkeys(self._pages, "0")

    async def __aenter__(self) -> "Notices":
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        self._http = aiohttp.ClientSession(self._site.url, timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    # --- before the faults ----------------------------------------------------------------------------------------

    async def subscribe(self) -> None:
        """Subscribe to everything; returns when the bridge has it."""
        left = iter(self.subscribed.items())

        async def one_by_one() -> None:
            for (application, account), kinds in left:
                await self._subscribe(application, account, sorted(kinds))

        await asyncio.gather(*(one_by_one() for _ in range(_TOGETHER)))

    async def _subscribe(self, application: str, account: str, kinds: list[str]) -> None:
        headers = self._key(application) | {"Idempotency-Key": f"subscribe-{application}-{account}", "Prefer": "wait=5"}
        body = {"account": account, "kinds": kinds, "consent": CONSENT}
        while True:
            async with self._http.post("/v1/notice-subscribe", json=body, headers=headers) as answer:
                told = json.loads(await answer.read())
                if answer.status == 200 and len(told["result"]["subscriptions"]) == len(kinds):
                    self.requests.add(told["request_id"])
                    return
                assert answer.status in (202, 409, 429, 503), told
            await asyncio.sleep(_PAUSE_S)

    async def begin(self) -> None:
        """Have the marketing system push, over the faults to come."""
        plan = {
            "url": f"http://127.0.0.1:{self._site.proxies['marketing-pushes'].port}{PUSH_PATH}",
            "token_file": str(self._site.push_token), "rate": self._pushes / (0.95 * self._seconds),
            "count": self._pushes, "again": 0.05, "twice": 0.05, "batch": 100, "accounts": self._accounts,
        }  # fmt: skip
        async with aiohttp.request("PUT", f"{self._site.testbed.marketing_url}/pushes", json=plan) as answer:
            assert answer.status == 200, await answer.text()

    # --- meanwhile ------------------------------------------------------------------------------------------------

    async def ask(self, application: str = ASKING) -> None:
        """Ask for notices, page by page, without an end."""
        while True:
            if not await self._page(application):
                await asyncio.sleep(_PAUSE_S)

    async def ask_to_the_end(self) -> None:
        """Every application asks until there is no more."""
        for application in self._pages:
            while await self._page(application) is not False:
                pass

    async def _page(self, application: str) -> bool | None:
        """Ask for the next page; returns whether there is more, None without an answer."""
        query = {"after": self._cursors[application], "limit": str(_PAGE)}
        try:
            async with self._http.get("/v1/notices", params=query, headers=self._key(application)) as answer:
                if answer.status != 200:
                    await asyncio.sleep(_PAUSE_S)
                    return None
                page = json.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            await asyncio.sleep(_PAUSE_S)
            return None
        self._pages[application] += [Arrival(one["id"], one) for one in page["notices"]]
        self._cursors[application] = page["next"]
        return bool(page["more"])

    def progress(self) -> str:
        """For the line that is shown while it runs."""
        return f"{len(self._site.receiver.took)} callbacks taken, {len(self._pages[ASKING])} notices asked for"

    # --- afterwards -----------------------------------------------------------------------------------------------

    def unfinished(self) -> int:
        """Pushes without an answer, and notices that are on their way; -1: it cannot be told now. Blocks."""
        try:
            state = self._marketing("/pushes")
            waiting = _count(self._site.database("bridge"), "SELECT count(*) FROM notices WHERE confirmed_at IS NULL")
            waiting += _count(self._site.database("front"), "SELECT count(*) FROM notices WHERE state = 'waiting'")
        except (OSError, sqlite3.Error, ValueError):
            return -1
        return int(self._pushes - state["made"] + state["unanswered"] + waiting)

    def books(self) -> Books:
        """Everything there is to compare. Blocks."""
        said: list[Said] = []
        while True:
            after = said[-1].number if said else 0
            lines = self._marketing(f"/pushes/journal?after={after}")
            said += [
                Said(line["number"], line["push"], line["attempts"], line["repeated"], line["outcome"])
                for line in lines
            ]
            if len(lines) < _MOST_LINES:
                break
        receiver = self._site.receiver
        return Books(
            said, self.subscribed, frozenset(_ids(self._site.database("bridge"))), receiver.took, HOOKED, self._pages,
            receiver.turned_away, receiver.wrong,
        )  # fmt: skip

    def _marketing(self, path: str) -> Any:
        with urllib.request.urlopen(self._site.testbed.marketing_url + path, timeout=60) as answer:  # noqa: S310
            return json.load(answer)

    def _key(self, application: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._site.keys[application]}"}


def _count(file: Path, query: str) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as database:
        return int(database.execute(query).fetchone()[0])


def _ids(file: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as database:
        return [id for (id,) in database.execute("SELECT id FROM pushes")]
