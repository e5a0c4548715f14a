"""Callbacks a minute, with a slow receiver among them: the front's own ledger and deliverer, over real HTTPS.

Notices of many accounts are written down as the bridge would have sent them, for four applications that answer at once
and one that takes two seconds for each. Measured is the time until the four have all of theirs, in their order; the
receivers run in a process of their own.
"""

import asyncio
import base64
import datetime
import os
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from aiohttp import web

from bridgectl import keys
from dmz_front.callbacks.settings import CallbackSection, NoticesSection
from dmz_front.notices.deliverer import Deliverer
from dmz_front.notices.ledger import DELIVERED, Arrived, NoticeLedger
from dmz_front.replies.responses import told
from dmz_front.store import MIGRATIONS
from protocol.envelope import Kind, Opener, Sealer
from protocol.lifecycle import State
from protocol.messages import Attributes, Reply, Role, uuid7
from protocol.notices import EXAMPLES, TYPE, Dispatch, NoticeKind
from protocol.runtime.clock import wall_clock
from protocol.runtime.keyfiles import load_keyring
from protocol.runtime.store import Store
from scripts.tools.testbed.tls import self_signed

QUICK = ("wechat", "alipay", "kiosk", "website")
SLOW = "slow"
NOTICES = 10_000
"""Of the quick applications together; the slow one has a tenth as many."""
ACCOUNTS = 2_000
_SLOW_S = 2.0


def run(folder: Path) -> list[dict[str, Any]]:
    """One row."""
    folder.mkdir(parents=True)
    self_signed(folder / "receiver.pem", folder / "receiver.key")
    with _receivers(folder) as port:
        return [asyncio.run(_measured(folder, port))]


async def _measured(folder: Path, port: int) -> dict[str, Any]:
    keys.init(folder / "keys", now=datetime.datetime.now(datetime.UTC))
    trusted = folder / "keys" / keys.TRUSTED
    front = load_keyring(keys.keyring_path(folder / "keys", Role.FRONT), trusted)
    sealer = Sealer(load_keyring(keys.keyring_path(folder / "keys", Role.BRIDGE), trusted), Role.FRONT)
    secret = folder / "callback.secret"
    secret.write_text("whsec_" + base64.b64encode(os.urandom(32)).decode())
    secret.chmod(0o600)
    callbacks = {
        name: CallbackSection.model_validate(
            {
                "application": name, "url": f"https://127.0.0.1:{port}/{name}", "secrets": (secret,), "rate": 1000,
                "networks": ["127.0.0.0/8"], "ca": folder / "receiver.pem",
            },
            strict=False,
        )
        for name in (*QUICK, SLOW)
    }  # fmt: skip
    store = Store(f"sqlite:///{folder / 'front.sqlite3'}", MIGRATIONS.prepare)
    await store.start()
    ledger = NoticeLedger(store, "front-1", lambda application: application, wall_clock)
    await ledger.record([_notice(sealer, number) for number in range(NOTICES + NOTICES // 10)])
    deliverer = Deliverer(
        ledger=ledger, opener=Opener(front), told=told, notices=NoticesSection(), callbacks=callbacks, clock=wall_clock
    )
    began, cpu = time.perf_counter(), time.process_time()
    left = NOTICES
    while left:
        deliverer.hurry()
        await asyncio.sleep(0.2)
        left = NOTICES - sum(deliverer.attempts[name, "delivered"] for name in QUICK)
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    rows = await ledger.listed([DELIVERED], SLOW, 1000)
    await deliverer.close()
    await store.close()
    return {
        "callbacks": NOTICES, "seconds": took_s, "a minute": round(NOTICES / took_s * 60),
        "front's CPU ms each": cpu_s / NOTICES * 1000, "to the slow one meanwhile": len(rows),
    }  # fmt: skip


def _notice(sealer: Sealer, number: int) -> Arrived:
    application = SLOW if number % 11 == 10 else QUICK[number % len(QUICK)]
    now, stream = wall_clock(), f"{number % ACCOUNTS:022}"
    id = uuid7(now, os.urandom(10))
    dispatch = Dispatch(
        application=application, stream=stream, sequence=number // ACCOUNTS + 1, kind="bill-issued",
        at="2026-07-01T08:00:00+08:00", data=EXAMPLES[NoticeKind.BILL_ISSUED],
    )  # fmt: skip
    about = Attributes(id, "bridge-1", TYPE, now)
    payload = Reply(about, State.SUCCEEDED, result=dispatch.payload()).payload()
    return Arrived(id, dispatch, sealer.seal(Kind.REPLY, about, payload, now_ms=now))


@contextmanager
def _receivers(folder: Path) -> Iterator[int]:
    """A process with all receivers; its port."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_receive, args=(folder, there), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


def _receive(folder: Path, port: Connection) -> None:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        if request.path == f"/{SLOW}":
            await asyncio.sleep(_SLOW_S)
        return web.Response(status=204)

    async def serve() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "receiver.pem", folder / "receiver.key")
        server = web.Application()
        server.router.add_post("/{application}", answer)
        runner = web.AppRunner(server, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(serve())
