"""A whole front without a broker, a network or a wait: the real parts, wired by the real composition root, over
the link's in-memory twin; and a bridge that answers as a test tells it to, sealed with its real keys.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from bridgectl import keys
from dmz_front import app as composition
from dmz_front import links
from dmz_front.app import Front
from dmz_front.settings import FrontSettings
from protocol import destinations
from protocol.envelope import Kind, Opened, Opener, Sealer
from protocol.frames import pack, unpack
from protocol.keyring import Keyring
from protocol.lifecycle import State
from protocol.link.memory import MemoryBroker, MemoryLink
from protocol.link.port import AckMode, Delivery, Outgoing, Subscription
from protocol.messages import Attributes, Reply, Role
from protocol.operations import OFFERED, Operation
from protocol.presence import Availability, Presence
from protocol.runtime import applications

QUERY = "bill-query"
COMMAND = "work-order"
BILL = dict(OFFERED[QUERY].example)
ORDER = dict(OFFERED[COMMAND].example)
RESULT = b'{"work_order":"WO2026000001", "accepted_at":"2026-03-01T08:00:00+08:00"}'

SHORT_MS = 20
"""How long a caller waits in tests where nobody answers."""


async def turns(count: int = 60) -> None:
    """Let the loop turn: everything over the memory link happens within a few turns."""
    for _ in range(count):
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Say:
    """What the scripted bridge answers."""

    state: State = State.SUCCEEDED
    code: str = ""
    detail: str = ""
    result: bytes = b""


DONE = Say(result=RESULT)
Script = Callable[[Opened], Say | None]


class ScriptedBridge:
    """Takes what fronts send and answers at once, if its script says something."""

    def __init__(self, broker: MemoryBroker, keyring: Keyring, clock: Callable[[], int], region: str = "main") -> None:
        self.link = MemoryLink(broker)
        self.clock = clock
        self.region = region
        self.script: Script = lambda _: DONE
        self.taken: list[Opened] = []
        self.expiries: list[str | None] = []
        self.frames: list[int] = []
        self.headers: list[Mapping[str, str]] = []
        self.announced = 0
        self.serves: Iterable[str] = OFFERED
        self._opener, self._sealer = Opener(keyring), Sealer(keyring, Role.FRONT)

    async def start(self) -> None:
        for queue in (destinations.queries(self.region), destinations.commands(self.region)):
            self.link.subscribe(Subscription(queue, self._take, AckMode.INDIVIDUAL, 100))
        await self.link.start()
        await self.link.ready()

    def announce(self, operations: Mapping[str, Availability] | None = None, **more: Any) -> None:
        """Send presence; by default everything is up."""
        self.announced += 1
        presence = Presence(
            instance="bridge-1",
            time_ms=self.clock() + self.announced,
            operations=dict.fromkeys(self.serves, Availability.UP) if operations is None else operations,
            **more,
        )
        attributes = Attributes(f"presence-{self.announced}", "bridge-1", "presence", self.clock())
        envelope = self._sealer.seal(Kind.PRESENCE, attributes, presence.payload(), now_ms=self.clock())
        self.link.send(Outgoing(destinations.presence(self.region), pack([envelope])))

    def sealed(self, id: str, say: Say, *, operation: str = COMMAND, kind: Kind = Kind.REPLY) -> bytes:
        """One reply envelope."""
        attributes = Attributes(id, "bridge-1", operation, self.clock())
        reply = Reply(attributes, say.state, say.code, say.detail, say.result)
        return self._sealer.seal(kind, attributes, reply.payload(), now_ms=self.clock())

    def send(self, destination: str, *envelopes: bytes) -> None:
        """One frame."""
        self.link.send(Outgoing(destination, pack(list(envelopes)), persistent=True))

    def reply(self, asked: Opened, say: Say) -> None:
        self.send(
            asked.attributes.reply_to,
            self.sealed(asked.attributes.id, say, operation=asked.attributes.type),
        )

    def _take(self, delivery: Delivery) -> None:
        envelopes = unpack(delivery.body)
        self.frames.append(len(envelopes))
        self.headers.append(delivery.headers)
        self.expiries.append(delivery.headers.get("expires"))
        for envelope in envelopes:
            opened = self._opener.open(envelope, now_ms=self.clock(), expect=Kind.REQUEST)
            self.taken.append(opened)
            say = self.script(opened)
            if say is not None:
                self.reply(opened, say)
        self.link.ack(delivery)


class Harness:
    """A front with its broker and its bridge. `restart()` makes new objects on the same database."""

    def __init__(self, directory: Path, key_directory: Path, bridge_keyring: Keyring, clock: Any, patch: Any) -> None:
        self.directory, self.key_directory, self.clock, self.patch = directory, key_directory, clock, patch
        self.broker = MemoryBroker(now_ms=clock)
        self.bridge = ScriptedBridge(self.broker, bridge_keyring, clock)
        self.options: dict[str, Any] = {}
        self.catalogue: dict[str, Operation] = dict(OFFERED)
        self.keys: dict[str, str] = {}
        self.front: Front
        for module, name in ((links, "stomp_link"), (links, "receiving_link"), (composition, "receiving_link")):
            patch.setattr(module, name, lambda _section, _name: MemoryLink(self.broker))
        patch.setattr(composition, "wall_clock", clock)
        patch.setattr(composition, "SENT_LINGER_S", 0.0)

    def alter(self, operation: str, **changes: Any) -> None:
        """Change a catalogue entry, before `start`."""
        self.catalogue[operation] = replace(self.catalogue[operation], **changes)

    async def start(self, *, bridge: bool = True) -> None:
        self.bridge.serves = self.catalogue
        if bridge:
            await self.bridge.start()
        await self._start_front()
        await self.grant("wechat", "*")
        if bridge:
            self.bridge.announce()
            await turns()
            assert self.front.bridges.attached == 1

    async def _start_front(self) -> None:
        self.patch.setattr(composition, "OFFERED", self.catalogue)
        tls = {name: f"{name}.pem" for name in ("ca", "certificate", "key")}
        settings = {
            "link": {"brokers": ["localhost:61616"], **tls},
            "keys": {
                "keyring": keys.keyring_path(self.key_directory, Role.FRONT),
                "trusted": self.key_directory / keys.TRUSTED,
            },
            "store": {"file": self.directory / "front.sqlite3"},
            **self.options,
        }
        self.front = front = Front(FrontSettings.model_validate(settings))
        await front.store.start()
        await front.ledger.count_backlog(front.settings.name)
        front.bridges.remember(await front.ledger.wire_version())
        await front.read_applications()
        for link in front.links.values():
            await link.start()
            await link.ready()
        front.router.subscribe(front.links["replies"], front.settings.name, front.settings.region)

    async def stop(self, *, bridge: bool = True) -> None:
        front = self.front
        await front.outbox.drain()
        await front.router.drain()
        for link in front.links.values():
            await link.close()
        await front.store.close()
        if bridge:
            await self.bridge.link.close()

    async def restart(self) -> None:
        """The front's process ends and another begins."""
        await self.stop(bridge=False)
        await self._start_front()
        self.bridge.announce()
        await turns()

    async def grant(self, name: str, *scopes: str, **more: Any) -> str:
        """Register an application."""
        self.keys[name] = await self.front.store.write(
            lambda connection: applications.add(connection, name, scopes, now_ms=self.clock(), **more)
        )
        await self.front.read_applications()
        return self.keys[name]

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        app: str | None = "wechat",
        address: str = "10.0.0.9",
        **headers: str,
    ) -> httpx.Response:
        """One HTTP request through the ASGI application. Header names are written with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if app is not None:
            sent["authorization"] = f"Bearer {self.keys[app]}"
        content = body
        if isinstance(body, dict):
            content = json.dumps(body, ensure_ascii=False).encode()
        if content is not None:
            sent.setdefault("content-type", "application/json")
        transport = httpx.ASGITransport(self.front.api, client=(address, 50000))
        async with httpx.AsyncClient(transport=transport, base_url="http://front") as client:
            return await client.request(method, path, content=content, headers=sent)

    async def ask(self, body: Any = None, **more: Any) -> httpx.Response:
        """A bill query."""
        return await self.call("POST", f"/v1/{QUERY}", BILL if body is None else body, **more)

    async def order(self, body: Any = None, *, key: str = "order-1", **more: Any) -> httpx.Response:
        """A work order."""
        return await self.call("POST", f"/v1/{COMMAND}", ORDER if body is None else body, idempotency_key=key, **more)

    async def status(self, id: str, **more: Any) -> httpx.Response:
        return await self.call("GET", f"/v1/requests/{id}", **more)

    async def settle(self) -> None:
        """Until what was accepted is sent, answered and written down."""
        for _ in range(3):
            await turns()
            await self.front.outbox.drain()
            await self.front.decisions_outbox.drain()
            await self.front.router.drain()


def problem_of(response: httpx.Response) -> dict[str, Any]:
    """The problem document, after checking what RFC 9457 and our contract say of every one."""
    document: dict[str, Any] = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert document["status"] == response.status_code
    assert document["type"] == f"/problems/{document['code']}"
    assert document["title"]
    assert document["request_id"]
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["request-id"]
    return document


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, problem_of(response)["code"]
