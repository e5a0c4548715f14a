"""`/pushes`: what tests ask of the pushes. Without a token, as all of the control interfaces."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from scripts.tools.marketing_simulator.database import connect_for_reading
from scripts.tools.marketing_simulator.fields import ACCOUNT
from scripts.tools.marketing_simulator.pushing import record
from scripts.tools.marketing_simulator.pushing.plan import Kind, PushPlan, PushPlanError
from scripts.tools.marketing_simulator.pushing.sender import Pusher
from scripts.tools.marketing_simulator.server import json_response

MOST_LINES = 5_000
MOST_ACCOUNTS = 1_000
T = TypeVar("T")


class PushControl:
    """Handlers."""

    def __init__(self, file: Path, pusher: Pusher) -> None:
        """`file`: the journal, which is read over a connection of its own, off the event loop."""
        self._file, self._pusher = file, pusher

    def routes(self) -> list[web.RouteDef]:
        """Their paths."""
        return [
            web.get("/pushes", self.state),
            web.put("/pushes", self.set),
            web.post("/pushes", self.say),
            web.delete("/pushes", self.clear),
            web.get("/pushes/journal", self.journal),
        ]

    async def state(self, _request: web.Request) -> web.Response:
        """The plan, and how far it is."""
        outcomes = await self._read(record.outcomes)
        return json_response(self._pusher.state() | {"outcomes": outcomes})

    async def set(self, request: web.Request) -> web.Response:
        """Push by a plan; an error names the invalid field."""
        try:
            plan = PushPlan.parse(await request.read())
        except PushPlanError as error:
            return _wrong(error)
        await self._pusher.set(plan)
        return json_response(self._pusher.state())

    async def clear(self, _request: web.Request) -> web.Response:
        """Make no more by a plan; those that are not answered are sent until they are."""
        await self._pusher.set(None)
        return json_response(self._pusher.state())

    async def say(self, request: web.Request) -> web.Response:
        """One push, of a kind and about accounts."""
        try:
            kind, accounts = _asked(await request.read())
        except PushPlanError as error:
            return _wrong(error)
        if self._pusher.plan is None:
            return _wrong(PushPlanError("(body)", "there is no plan that says where pushes go: PUT /pushes"))
        return json_response({"id": await self._pusher.say(kind, accounts)})

    async def journal(self, request: web.Request) -> web.Response:
        """What was pushed, after the number `?after=`; at most MOST_LINES."""
        after = request.query.get("after", "0")
        if not after.isascii() or not after.isdigit() or len(after) > 15:
            return _wrong(PushPlanError("after", "must be a number"))
        return json_response(await self._read(lambda connection: record.lines(connection, int(after), MOST_LINES)))

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def read() -> T:
            connection = connect_for_reading(self._file)
            try:
                return work(connection)
            finally:
                connection.close()

        return await asyncio.to_thread(read)


def _wrong(error: PushPlanError) -> web.Response:
    return json_response({"error": str(error), "field": error.field}, status=400)


def _asked(body: bytes) -> tuple[Kind, tuple[str, ...]]:
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise PushPlanError("(body)", "must be a JSON object")
    for name in said:
        if name not in ("kind", "account", "accounts"):
            raise PushPlanError(name, "there is no such field")
    if said.get("kind") not in set(Kind):
        raise PushPlanError("kind", f"there are {', '.join(Kind)}")
    accounts = said.get("accounts", [said.get("account")])
    if not isinstance(accounts, list) or not 1 <= len(accounts) <= MOST_ACCOUNTS:
        raise PushPlanError("accounts", f"must be a list of 1 to {MOST_ACCOUNTS}")
    if not all(isinstance(one, str) and ACCOUNT.fullmatch(one) for one in accounts):
        raise PushPlanError("accounts" if "accounts" in said else "account", "must be account numbers, 13 digits each")
    return Kind(said["kind"]), tuple(accounts)
