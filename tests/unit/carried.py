"""A relay and the files of a bridge, the real parts of both, over the link's in-memory twin and two SQLite files.

Either side is "killed" by abandoning its objects: its tasks are cancelled and its links vanish, nothing is written; the
next one is made on the same file.
"""

import asyncio
import datetime
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from bridgectl import keys
from dmz_front import store as front_store
from dmz_front.files_section import FilesSection as RelaySection
from dmz_front.relay.relay import Relay
from intranet_bridge import store as bridge_store
from intranet_bridge.at_rest import AtRest
from intranet_bridge.ceilings.ceilings import Ceilings
from intranet_bridge.ceilings.sections import CeilingsSection
from intranet_bridge.files.service import Files
from intranet_bridge.files_section import FilesSection
from intranet_bridge.inbox.rows import STORE_KEY
from intranet_bridge.intake.dead_letters import DeadLetters
from intranet_bridge.replies import Replies
from protocol.destinations import command_replies, command_route
from protocol.envelope import Opener, Sealer
from protocol.frames import unpack
from protocol.link.lane import Lane
from protocol.link.memory import MemoryBroker, MemoryLink
from protocol.link.port import AckMode, Delivery, Subscription
from protocol.messages import Reply, Role
from protocol.runtime.keyfiles import load_keyring
from protocol.runtime.store import Store


def wall() -> int:
    return time.time_ns() // 1_000_000


class _Inbox:
    id = "01a20058-c569-7555-97ad-5f35eb5182d8"


async def _act(*_said: Any, **_more: Any) -> None:
    """Nobody reads the audit log here."""


class Sides:
    """Both sides; each comes and goes by itself."""

    def __init__(self, folder: Path, relay: dict[str, Any], bridge: dict[str, Any]) -> None:
        self.folder, self.relay_section, self.bridge_section = folder, relay, bridge
        keys.init(folder / "keys", now=datetime.datetime.now(datetime.UTC))
        trusted = folder / "keys" / keys.TRUSTED
        self.front_ring = load_keyring(keys.keyring_path(folder / "keys", Role.FRONT), trusted)
        self.bridge_ring = load_keyring(keys.keyring_path(folder / "keys", Role.BRIDGE), trusted)
        self.broker = MemoryBroker()
        self.relay: Relay
        self.files: Files
        self.taken = True
        """Whether a bridge is there, as far as the front knows."""
        self._front: list[MemoryLink] = []
        self._bridge: list[MemoryLink] = []
        self._stores: dict[str, Store] = {}

    async def start_front(self) -> Relay:
        link, outward, replies = (MemoryLink(self.broker) for _ in range(3))
        self._front = [link, outward, replies]
        store = self._stores["front"] = Store(
            f"sqlite:///{self.folder / 'front.sqlite3'}", partial(front_store.MIGRATIONS.prepare, check=False)
        )
        await store.start()
        opener = Opener(self.front_ring)
        relay = self.relay = Relay(
            section=RelaySection.model_validate({"enabled": True} | self.relay_section), store=store,
            lane=Lane(link, persistent=True, max_members=1), link=outward, sealer=Sealer(self.front_ring, Role.BRIDGE),
            opener=opener, opener_of_chunks=Opener(self.front_ring), route=command_route("main", "front-1"),
            region="main", wire_version=lambda: 1, taken=lambda: self.taken, resend_after_s=0.3, clock=wall, act=_act,
        )  # fmt: skip

        def heard(delivery: Delivery) -> None:
            said = []
            for envelope in unpack(delivery.body):
                opened = opener.authentic(envelope)
                said.append(Reply.from_payload(opened.attributes, opened.payload))
            asyncio.get_running_loop().create_task(relay.answers_of_bridge(said))
            replies.ack(delivery)

        replies.subscribe(Subscription(command_replies("front-1"), heard, AckMode.INDIVIDUAL, 100))
        for one in self._front:
            await one.start()
            await one.ready()
        await relay.start()
        return relay

    async def start_bridge(self) -> Files:
        links = {name: MemoryLink(self.broker) for name in ("files", "outward-files", "command-replies", "control")}
        self._bridge = list(links.values())
        store = self._stores["bridge"] = Store(
            f"sqlite:///{self.folder / 'bridge.sqlite3'}", partial(bridge_store.MIGRATIONS.prepare, check=False)
        )
        await store.start()
        at_rest = AtRest(store, STORE_KEY, self.bridge_ring)
        await at_rest.open()
        for name in ("command-replies", "control"):
            await links[name].start()
        self.files = Files(
            section=FilesSection.model_validate({"enabled": True, "resend_after_s": 0.3} | self.bridge_section),
            store=store, links=links, opener=Opener(self.bridge_ring), inbox=_Inbox(),  # type: ignore[arg-type]
            at_rest=at_rest, replies=Replies(
                "bridge-1", Sealer(self.bridge_ring, Role.FRONT), Lane(links["control"], persistent=False), wall
            ), dead_letters=DeadLetters(links["control"]), ceilings=Ceilings(CeilingsSection(), {}, wall),
            name="bridge-1", region="main", clock=wall, act=_act,
        )  # fmt: skip
        await self.files.start()
        for name in ("files", "outward-files"):
            await links[name].ready()
        return self.files

    async def kill_front(self) -> None:
        relay = self.relay
        relay._jobs.stop()
        for task in relay._tasks:
            task.cancel()
        await self._gone(self._front, "front")

    async def kill_bridge(self) -> None:
        files = self.files
        files._jobs.stop()
        for task in files._tasks.values():
            task.cancel()
        await self._gone(self._bridge, "bridge")

    async def _gone(self, links: list[MemoryLink], side: str) -> None:
        for link in links:
            await link.close()
        if (store := self._stores.pop(side, None)) is not None:
            await store.close()

    async def close(self) -> None:
        if "front" in self._stores:
            await self.kill_front()
        if "bridge" in self._stores:
            await self.kill_bridge()


async def until(holds: Callable[[], Any | Awaitable[Any]], seconds: float = 60.0) -> Any:
    """The first true value."""
    end = time.monotonic() + seconds
    while True:
        value = holds()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("it did not come about")
        await asyncio.sleep(0.01)
