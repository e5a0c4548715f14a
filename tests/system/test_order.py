"""Commands of one account are applied in the order in which they were accepted, whatever happens to their messages and
whoever takes them. What counts is the marketing system's own journal: the numbers it gave its work orders.
"""

import asyncio
import contextlib
import json
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scripts.tools.testbed.testbed import Testbed
from tests.support.postgres import Postgres
from tests.support.stomp import connected
from tests.support.testbeds import ACCOUNTS, LOOPBACK, PLAIN, client, eventually, running_testbed, work_order

QUEUE = "/queue/bridge.command.main"
QUICK = {
    "dmz_front": {"delivery.resend_after_s": 3, "delivery.sweep_s": 0.5},
    "intranet_bridge": {"presence_interval_s": 0.5, "operations.work-order.settle_s": 1.0},
}


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    with running_testbed(tmp_path_factory.mktemp("order"), settings=QUICK) as testbed:
        yield testbed


def applied(testbed: Testbed) -> list[str]:
    """Request ids in the order of the marketing system's journal."""
    journal_url = f"file:{testbed.folder / 'data' / 'marketing.sqlite3'}?mode=ro"
    with contextlib.closing(sqlite3.connect(journal_url, uri=True)) as database:
        return [str(row[0]) for row in database.execute("SELECT request_id FROM work_order ORDER BY id")]


def submitted(http: httpx.Client, account: str, count: int) -> list[str]:
    """Request ids in the order of acceptance; nobody waits for an outcome."""
    ids = []
    for number in range(count):
        headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "respond-async"}
        answer = http.post("/v1/work-order", json=work_order(f"第{number}单", account=account), headers=headers)
        assert answer.status_code == 202, answer.text
        ids.append(str(answer.json()["request_id"]))
    return ids


def all_applied(testbed: Testbed, ids: list[str], seconds: float = 60) -> list[str]:
    """Those of `ids`, in the order in which they were applied, when all are."""
    wanted = set(ids)
    eventually(lambda: wanted <= set(applied(testbed)), seconds, "every order's effect")
    return [id for id in applied(testbed) if id in wanted]


def taken(testbed: Testbed, count: int) -> list[bytes]:
    """Take frames off the queue as the bridge would, and keep them."""
    stomp = connected(testbed, "bridge")
    stomp.send("SUBSCRIBE", id="0", destination=QUEUE, ack="client-individual")
    bodies = []
    for _ in range(count):
        answer = stomp.receive()
        assert answer is not None
        assert answer[0] == "MESSAGE"
        bodies.append(answer[2])
        stomp.send("ACK", id=answer[1]["ack"])
    stomp.send("DISCONNECT", receipt="end")
    answer = stomp.receive()
    assert answer is not None
    assert answer[0] == "RECEIPT", answer
    return bodies


def put(testbed: Testbed, bodies: list[bytes]) -> None:
    """Put frames on the queue as a front would."""
    stomp = connected(testbed, "front")
    for number, body in enumerate(bodies):
        stomp.send("SEND", body, destination=QUEUE, persistent="true", receipt=str(number))
        answer = stomp.receive()
        assert answer is not None
        assert answer[0] == "RECEIPT", answer


def frames_of(testbed: Testbed, http: httpx.Client, account: str, count: int) -> tuple[list[str], list[bytes]]:
    """Some orders of an account, accepted and taken off the queue one by one, while the bridge is away."""
    ids: list[str] = []
    frames: list[bytes] = []
    for _ in range(count):
        (id,) = submitted(http, account, 1)
        eventually(lambda id=id: http.get(f"/v1/requests/{id}").json()["status"] == "sent", what="the receipt")  # type: ignore[misc]
        ids.append(id)
        [frame] = taken(testbed, 1)
        while id.encode() not in frame:  # of one before it, which was taken and is sent again
            [frame] = taken(testbed, 1)
        frames.append(frame)
    return ids, frames


def test_frames_that_arrive_in_the_wrong_order(testbed: Testbed) -> None:
    with client(testbed) as http:  # the front knows the region's inbox only once it has heard the bridge
        asked = {"account": ACCOUNTS[0]}
        eventually(lambda: http.post("/v1/arrears-query", json=asked).status_code == 200, what="the bridge's presence")
    testbed.stop("bridge")
    try:
        with client(testbed) as http:
            ids, frames = frames_of(testbed, http, ACCOUNTS[0], 4)
            put(testbed, [frames[at] for at in (3, 1, 0, 2)])
    finally:
        testbed.start("bridge")
    assert all_applied(testbed, ids) == ids


def test_a_first_that_was_lost_and_is_sent_again_goes_first(testbed: Testbed) -> None:
    """The later ones are at the bridge long before: they wait for it, and other accounts do not wait with them."""
    testbed.stop("bridge")
    try:
        with client(testbed) as http:
            ids, frames = frames_of(testbed, http, ACCOUNTS[1], 3)
            others, other_frames = frames_of(testbed, http, ACCOUNTS[2], 1)
        testbed.stop("front")  # so that it does not send the first one again before the bridge has the others
        taken(testbed, depth(testbed))  # what it sent again already
        put(testbed, frames[1:] + other_frames)  # nobody will ever see the first frame again
        testbed.start("bridge", wait=False)  # it is the front that says when it is ready
        assert all_applied(testbed, others) == others
        eventually(lambda: not depth(testbed), what="the later ones in the inbox")
        assert not set(ids) & set(applied(testbed))
    finally:
        testbed.start("bridge", "front")
    assert all_applied(testbed, ids) == ids


def test_a_bridge_killed_while_some_wait_for_their_predecessor(testbed: Testbed) -> None:
    testbed.stop("bridge")
    try:
        with client(testbed) as http:
            ids, frames = frames_of(testbed, http, ACCOUNTS[3], 3)
            put(testbed, [frames[2]])
            testbed.start("bridge")
            eventually(lambda: not depth(testbed), what="the last one in the inbox")
            testbed.kill("bridge")
            put(testbed, [frames[1], frames[0]])
    finally:
        testbed.start("bridge")
    assert all_applied(testbed, ids) == ids


def depth(testbed: Testbed) -> int:
    rows = {row["name"]: row for row in json.loads(testbed.ctl("queues", "--json"))}
    return int(rows["bridge.command.main"]["depth"])


# --- two of each ------------------------------------------------------------------------------------------


def test_two_bridges_that_compete_keep_the_order_of_each_account(tmp_path: Path, postgres: Postgres) -> None:
    """Posted one after another, at either front in turn, without waiting for outcomes: 20 accounts, 30 each."""
    stores = {"front": postgres.database("front"), "bridge": postgres.database("bridge")}
    with running_testbed(tmp_path / "testbed", settings=QUICK, twins=("front-2", "bridge-2"), stores=stores) as testbed:
        faults = {"jitter_ms": 30, "error_rate": 0.01, "paths": ["/api/wo/"]}
        httpx.put(f"{testbed.marketing_url}/faults", json=faults, **LOOPBACK).raise_for_status()
        before = len(applied(testbed))
        accepted = asyncio.run(posted(testbed, 30))
        everything = [id for ids in accepted.values() for id in ids]
        assert len(set(everything)) == 20 * 30
        eventually(lambda: set(applied(testbed)) >= set(everything), 180, "every order's effect")
        order = applied(testbed)
        assert len(order) == before + len(everything)  # none twice
        for account, ids in accepted.items():
            of_account = set(ids)
            assert [id for id in order if id in of_account] == ids, account
        statement = "SELECT owner, count(*) FROM inbox GROUP BY owner"
        shares: dict[str, int] = dict(postgres.query(testbed.stores["bridge"], statement))
        assert len(shares) == 2, shares  # both did work
        assert min(int(str(count)) for count in shares.values()) > 50, shares
        statement = "SELECT front, count(*) FROM requests GROUP BY front"
        fronts: dict[str, int] = dict(postgres.query(testbed.stores["front"], statement))
        assert len(fronts) == 2, fronts


async def posted(testbed: Testbed, count: int) -> dict[str, list[str]]:
    """Account → request ids in the order of acceptance."""
    headers = {"Authorization": f"Bearer {testbed.app_key}", "Prefer": "respond-async"}
    async with contextlib.AsyncExitStack() as stack:
        fronts = [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=testbed.url_of(front), headers=headers, timeout=40, trust_env=False, verify=PLAIN
                )
            )
            for front in ("front", "front-2")
        ]

        async def one(account: str) -> list[str]:
            ids = []
            for number in range(count):
                order = work_order(f"第{number}单", account=account)
                key = {"Idempotency-Key": str(uuid.uuid4())}
                answer = await fronts[number % 2].post("/v1/work-order", json=order, headers=key)
                assert answer.status_code == 202, answer.text
                ids.append(str(answer.json()["request_id"]))
            return ids

        return dict(zip(ACCOUNTS, await asyncio.gather(*map(one, ACCOUNTS)), strict=True))
