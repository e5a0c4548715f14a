"""A whole bridge on an in-memory broker and a real SQLite file, with a scripted marketing system.

A bridge is "killed" by abandoning its objects: its tasks are cancelled and its links vanish, nothing is drained;
the next one is made on the same file.
"""

import asyncio
import dataclasses
import datetime
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bridgectl import keys
from intranet_bridge import app, bound
from intranet_bridge.bound import Bound
from intranet_bridge.commands import workers as worker
from intranet_bridge.intake import verdict
from intranet_bridge.links import LINKS
from intranet_bridge.marketing import Absent, Answered, Finding, MarketingRequest, Outcome, Unknown
from intranet_bridge.settings import BridgeSettings
from protocol.destinations import command_replies, commands, presence, queries, query_replies
from protocol.envelope import Kind, Opener, Sealer
from protocol.frames import pack, unpack
from protocol.link.memory import MemoryBroker, MemoryLink
from protocol.link.port import AckMode, Delivery, Outgoing, Subscription
from protocol.messages import Attributes, Reply, Role, uuid7
from protocol.operations import CATALOGUE, UnknownOutcome
from protocol.presence import Presence
from protocol.runtime.daemon import Daemon
from protocol.runtime.jobs import Jobs
from protocol.runtime.keyfiles import load_keyring
from tests.unit.forked import dies_at

ORDER = CATALOGUE["work-order"]
ORDER_BODY = ORDER.requests.dump_json(ORDER.requests.validate_python(ORDER.example))
BILL_BODY = b'{"account":"3210000000001","first_month":"2026-01","last_month":"2026-06"}'
DONE = b'{"work_order":"WO2026000001","accepted_at":"2026-11-22 06:52:29"}'

OPERATIONS = {
    **CATALOGUE,
    "repeatable": dataclasses.replace(ORDER, name="repeatable", unknown_outcome=UnknownOutcome.REPEAT),
    "delicate": dataclasses.replace(ORDER, name="delicate", unknown_outcome=UnknownOutcome.HOLD),
}
"""The catalogue with one command for each rule."""


PATIENCE_S = 60
"""How long a thing may take before a test fails, on a busy machine."""


def wall() -> int:
    return time.time_ns() // 1_000_000


class Marketing:
    """A scripted marketing system behind one operation: the next outcome of `script`, then `default`."""

    def __init__(self, default: Outcome, script: list[Any] | None = None) -> None:
        self.default, self.script = default, script or []
        self.findings: list[Finding] = []
        self.timeout_s, self.settle_s = 5.0, 0.02
        self.calls: list[str] = []
        self.inquiries: list[str] = []
        self.inquired_at: list[float] = []
        self.running = self.most = 0
        self.gate: asyncio.Event | None = None
        """While set to an unset event, calls do not end."""

    async def call(self, asked: MarketingRequest, timeout_s: float) -> Outcome:
        self.calls.append(asked.request_id)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.gate is not None:
                await self.gate.wait()
            await asyncio.sleep(0)
            outcome = self.script.pop(0) if self.script else self.default
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome
        finally:
            self.running -= 1

    async def inquire(self, asked: MarketingRequest, timeout_s: float) -> Finding:
        self.inquiries.append(asked.request_id)
        self.inquired_at.append(time.monotonic())
        return self.findings.pop(0) if self.findings else Absent()


class Stage:
    """Broker, front's side and marketing system; bridges come and go."""

    def __init__(self, folder: Path, monkeypatch: Any) -> None:
        for module in (bound, verdict, worker):
            monkeypatch.setattr(module, "CATALOGUE", OPERATIONS)
        self.folder = folder
        keys.init(folder / "keys", now=datetime.datetime.now(datetime.UTC))
        trusted = folder / "keys" / keys.TRUSTED
        self.ring = load_keyring(keys.keyring_path(folder / "keys", Role.BRIDGE), trusted)
        front = load_keyring(keys.keyring_path(folder / "keys", Role.FRONT), trusted)
        self.front_ring = front
        self.sealer, self.opener = Sealer(front, to=Role.BRIDGE), Opener(front)
        self.bridge_sealer = Sealer(self.ring, to=Role.FRONT)
        self.broker = MemoryBroker(now_ms=lambda: self.front_clock())
        self.link = MemoryLink(self.broker)
        self.replies: list[Reply] = []
        self.presences: list[Presence] = []
        self.dead_letters: list[Delivery] = []
        self.bridge: app.Bridge
        self.daemon = Daemon()
        self.clock: Callable[[], int] = wall
        """The bridge's."""
        self.front_clock: Callable[[], int] = wall
        """The front's, and the broker's."""
        self.marketing = {name: Marketing(Answered(DONE)) for name in OPERATIONS}
        self.changes: dict[str, Any] = {}
        """Settings of the bridge, by dotted key."""
        self._jobs: list[Jobs] = []
        begin = Jobs.start

        def noted(jobs: Jobs) -> None:
            self._jobs.append(jobs)
            begin(jobs)

        monkeypatch.setattr(Jobs, "start", noted)

    async def open(self) -> None:
        await self.link.start()
        for queue in (query_replies("front-1"), command_replies("front-1")):
            self.link.subscribe(Subscription(queue, self._reply, AckMode.AUTO, 1000))
        self.link.subscribe(Subscription(presence("main"), self._presence, AckMode.AUTO, 1000))
        for queue in ("DLQ.bridge.command.main", "DLQ.bridge.query.main"):
            self.link.subscribe(Subscription(f"/queue/{queue}", self.dead_letters.append, AckMode.AUTO, 1000))
        await self.link.ready()

    def settings(self) -> BridgeSettings:
        values: dict[str, Any] = {
            "link": {"brokers": ["localhost:1"], "ca": "x", "certificate": "x", "key": "x"},
            "keys": {"keyring": "x", "trusted": "x"},
            "store": {"file": str(self.folder / "bridge.sqlite3")},
            "commands": {"retry_min_s": 0.01, "retry_max_s": 0.05, "sweep_s": 0.05},
            "marketing": {"url": "http://localhost:1"},
            "operations": {"bill-query": {"path": "/", "response": "@"}},
            "presence_interval_s": 0.05,
            "drain_s": 1,
        }
        for dotted, value in self.changes.items():
            table, _, key = dotted.rpartition(".")
            (values.setdefault(table, {}) if table else values)[key] = value
        return BridgeSettings.model_validate(values)

    async def start(self) -> app.Bridge:
        self.daemon = Daemon()
        self.bridge = app.Bridge(
            self.settings(),
            keyring=self.ring,
            links={name: MemoryLink(self.broker) for name in LINKS},
            bound=Bound({}, self.marketing),
            clock=lambda: self.clock(),
        )
        await self.bridge.start(self.daemon)
        for link in self.bridge.links.values():
            await asyncio.wait_for(link.ready(), PATIENCE_S)
        return self.bridge

    async def kill(self) -> None:
        """As kill -9: tasks end where they are, connections vanish, nothing is flushed."""
        mine = asyncio.current_task()
        for link in self.bridge.links.values():
            link._closed = True  # type: ignore[attr-defined]
            link.lose("killed")  # type: ignore[attr-defined]
        for jobs in self._jobs:  # of every part: what one began now would be begun after the end of the loop
            jobs.stop()
        self.bridge.workers._closed = True
        self.bridge.predecessors.close()
        tasks = [task for task in asyncio.all_tasks() if task is not mine]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.bridge.store.close()

    async def stop(self) -> None:
        await self.daemon.stop()

    def dies_at(self, point: str, *envelopes: bytes, doing: Callable[[], Awaitable[None]] | None = None) -> None:
        """A bridge in a process of its own is given `envelopes`; fails unless `point` kills it."""

        async def life() -> None:
            await self.open()
            await self.start()
            if envelopes:
                await self.send(*envelopes)
            if doing is not None:
                await doing()
            await asyncio.sleep(PATIENCE_S)

        dies_at(point, life)

    # --- the front's side -----------------------------------------------------------------------------------

    def envelope(self, operation: str = "work-order", body: bytes = ORDER_BODY, **changes: Any) -> tuple[str, bytes]:
        now = wall()
        kind = "command" if operation not in CATALOGUE else str(CATALOGUE[operation].kind)
        values: dict[str, Any] = {
            "id": uuid7(now, os.urandom(10)),
            "source": "front-1/test",
            "type": operation,
            "time": now,
            "reply_to": f"/queue/bridge.reply.{kind}.front-1",
            "deadline": now + 5_000 if kind == "query" else 0,
        } | changes
        attributes = Attributes(**values)
        return attributes.id, self.sealer.seal(Kind.REQUEST, attributes, body, now_ms=now)

    async def send(self, *envelopes: bytes, queue: str = commands("main")) -> None:
        await self.link.send(Outgoing(queue, pack(list(envelopes)), persistent=True))

    async def ask(self, *envelopes: bytes) -> None:
        await self.send(*envelopes, queue=queries("main"))

    async def command(self, operation: str = "work-order", **changes: Any) -> str:
        id, envelope = self.envelope(operation, **changes)
        await self.send(envelope)
        return id

    def of(self, id: str) -> list[Reply]:
        return [reply for reply in self.replies if reply.attributes.id == id]

    async def reply(self, id: str, seconds: float = PATIENCE_S) -> Reply:
        """The first reply to a request."""
        await until(lambda: self.of(id), seconds)
        return self.of(id)[0]

    async def row(self, id: str) -> Any:
        from sqlalchemy import select

        from intranet_bridge.inbox.rows import INBOX

        statement = select(INBOX).where(INBOX.c.id == id)
        return await self.bridge.store.read(lambda connection: connection.execute(statement).first())

    async def state(self, id: str) -> str | None:
        row = await self.row(id)
        return None if row is None else str(row.state)

    async def until_replied(self, id: str, seconds: float = PATIENCE_S) -> None:
        """Until the receipt of a reply is recorded."""
        end = time.monotonic() + seconds
        while (await self.row(id)).replied_at is None:
            assert time.monotonic() < end, "no receipt recorded"
            await asyncio.sleep(0.005)

    async def until_state(self, id: str, state: str, seconds: float = PATIENCE_S) -> None:
        end = time.monotonic() + seconds
        while (now := await self.state(id)) != state:
            assert time.monotonic() < end, f"still {now}, not {state}"
            await asyncio.sleep(0.005)

    def _reply(self, delivery: Delivery) -> None:
        for envelope in unpack(delivery.body):
            opened = self.opener.open(envelope, now_ms=self.front_clock(), expect=Kind.REPLY)
            self.replies.append(Reply.from_payload(opened.attributes, opened.payload))

    def _presence(self, delivery: Delivery) -> None:
        for envelope in unpack(delivery.body):
            opened = self.opener.open(envelope, now_ms=wall(), expect=Kind.PRESENCE)
            self.presences.append(Presence.from_payload(opened.payload))


async def until(holds: Callable[[], Any], seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "not within the time"
        await asyncio.sleep(0.005)


LOST = Unknown("connection lost")


def scene(test: Callable[[Stage], Awaitable[None]]) -> Callable[[Path, pytest.MonkeyPatch], None]:
    """Run an async test on a stage of its own."""

    def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        async def play() -> None:
            stage = Stage(tmp_path, monkeypatch)
            await stage.open()
            try:
                async with asyncio.timeout(3 * PATIENCE_S):
                    await test(stage)
            finally:
                if hasattr(stage, "bridge"):
                    await stage.kill()

        asyncio.run(play())

    run.__doc__, run.__name__ = test.__doc__, test.__name__
    return run
