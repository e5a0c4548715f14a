"""Who has the broker exchanges two sealed replies: no caller gets what was meant for another.

Two fronts each wait for one answer; what the bridge sent them is exchanged on its way, whole or in parts.
"""

import asyncio
import datetime
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from bridgectl import keys
from dmz_front.replies.router import ReplyRouter, Waiters
from protocol.envelope import Kind, Opener, Sealer
from protocol.frames import pack
from protocol.lifecycle import State
from protocol.link.port import AckMode, Outgoing, Subscription
from protocol.messages import Attributes, Reply, Role, uuid7
from protocol.runtime.keyfiles import load_keyring

pytestmark = pytest.mark.anyio

PATIENCE = 30.0
"""Seconds anything may take before a test fails."""


def now() -> int:
    return time.time_ns() // 1_000_000


class Front:
    """One front's side of a reply queue, waiting for one answer. Both queues are front-1's, as the certificate is."""

    def __init__(self, folder: Path, lane: str) -> None:
        ring = load_keyring(keys.keyring_path(folder, Role.FRONT), folder / keys.TRUSTED)
        self.queue = f"/queue/bridge.reply.{lane}.front-1"
        self.waiters = Waiters()
        none = cast(Any, None)  # ledger, suspects, bridges: queries use none of them
        self.router = ReplyRouter(Opener(ring), self.waiters, Waiters(), none, none, none, now)
        self.id = uuid7(now(), os.urandom(10))
        self.answer = self.waiters.enter(self.id)

    def listen(self, link: Any) -> None:
        link.subscribe(Subscription(self.queue, self.router.query_replies(link), AckMode.CUMULATIVE, 10))


def whole(one: bytes, other: bytes) -> tuple[bytes, bytes]:
    """Each envelope where the other belongs."""
    return other, one


def body(one: bytes, other: bytes) -> tuple[bytes, bytes]:
    """Each head with the other's message number and ciphertext. Both heads are of the same length."""
    end = 180 + int.from_bytes(one[178:180], "big")
    return one[:end] + other[end:], other[:end] + one[end:]


def ciphertext(one: bytes, other: bytes) -> tuple[bytes, bytes]:
    """The same, but each keeps its number."""
    end = 188 + int.from_bytes(one[178:180], "big")
    return one[:end] + other[end:], other[:end] + one[end:]


def kept(one: bytes, other: bytes) -> tuple[bytes, bytes]:
    """The control: not exchanged."""
    return one, other


@pytest.mark.parametrize(
    ("exchange", "refused"), [(whole, {}), (body, {"tampered": 1}), (ciphertext, {"tampered": 1}), (kept, None)]
)
async def test_it_reaches_nobody(
    world: Any,
    tmp_path: Path,
    exchange: Callable[[bytes, bytes], tuple[bytes, bytes]],
    refused: dict[str, int] | None,
) -> None:
    keys.init(tmp_path, now=datetime.datetime.now(datetime.UTC))
    bridge = Sealer(load_keyring(keys.keyring_path(tmp_path, Role.BRIDGE), tmp_path / keys.TRUSTED), to=Role.FRONT)
    fronts = Front(tmp_path, "query"), Front(tmp_path, "command")
    link, sender = await world.link("front"), await world.link("bridge")
    sealed = []
    for front, account in zip(fronts, ("3210000000001", "9999999999999"), strict=True):
        front.listen(link)
        attributes = Attributes(front.id, "bridge-1", "arrears-query", now(), deadline=now() + 30_000)
        payload = Reply(attributes, State.SUCCEEDED, result=f'{{"account":"{account}"}}'.encode()).payload()
        sealed.append(bridge.seal(Kind.REPLY, attributes, payload, now_ms=now()))
    async with asyncio.timeout(PATIENCE):
        for front, envelope in zip(fronts, exchange(*sealed), strict=True):
            await sender.send(Outgoing(front.queue, pack([envelope])))
        if refused is None:
            answers = [await front.answer for front in fronts]
            assert [answer.result for answer in answers] == [
                b'{"account":"3210000000001"}',
                b'{"account":"9999999999999"}',
            ]
            return
        while any(front.router.late + front.router.refused.total() == 0 for front in fronts):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    for front in fronts:
        assert not front.answer.done()
        assert front.id in front.waiters
        assert dict(front.router.refused) == refused
