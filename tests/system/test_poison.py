"""Poisoned messages, sent by somebody who holds a front's certificate but no keys: each is set aside with its
reason, and none stops the queue. More are sent than the bridge may hold unacknowledged at once.
"""

import json
import os
import uuid
from collections.abc import Iterator

import pytest

from scripts.stand.stand import Stand
from tests.support.stands import ACCOUNT, client, eventually, standing, work_order
from tests.support.stomp import connected

MANY = 70  # the shipped prefetch is 64


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with standing(tmp_path_factory.mktemp("poison")) as stand:
        yield stand


@pytest.mark.parametrize("lane", ["query", "command"])
@pytest.mark.parametrize(
    "body",
    [b"", b"junk", b"\xd7\x01\x01" + (4).to_bytes(4, "big") + b"junk", b"\xd7\x09\x01junk", os.urandom(1_048_000)],
    ids=["empty", "no-frame", "no-envelope", "unknown-version", "as-long-as-can-be"],
)
def test_it_is_set_aside_and_the_queue_goes_on(stand: Stand, lane: str, body: bytes) -> None:
    def dead() -> int:
        rows = {row["name"]: row for row in json.loads(stand.ctl("queues", "--json"))}
        count: int = rows[f"bridge.{lane}.main"]["dead_letters"]
        return count

    before = dead()
    stomp = connected(stand, "front")
    many = MANY if len(body) < 1_000 else 3  # what the broker holds in memory is bounded too
    for number in range(many):
        stomp.send("SEND", body, destination=f"/queue/bridge.{lane}.main", persistent="true", receipt=str(number))
        answer = stomp.receive()
        assert answer is not None
        assert answer[0] == "RECEIPT", answer
    with client(stand) as http:
        headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=10"}
        assert http.post("/v1/work-order", json=work_order(), headers=headers).status_code == 200
        assert http.post("/v1/arrears-query", json={"account": ACCOUNT}).status_code == 200
    eventually(lambda: dead() == before + many, what="every dead letter")
