"""A broker whose journal rotted: it starts all the same, says what it left out, and the ledgers send that again.

A dead letter is in no ledger: it is gone, and the log says so.
"""

import hashlib
import itertools
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from scripts.tools.testbed.processes import TestbedError
from scripts.tools.testbed.testbed import Testbed
from scripts.tools.testbed.toml_values import with_values
from tests.support.stomp import browsed, put
from tests.support.testbeds import client, eventually, journal, running_testbed, work_order

COMMANDS, REPLIES, LETTERS = "bridge.command.main", "bridge.reply.command.front-1", "DLQ.bridge.command.main"
SETTINGS = {
    "dmz_front": {"delivery.resend_after_s": 600, "delivery.sweep_s": 0.5, "link.reconnect_max_s": 0.5},
    "intranet_bridge": {"presence_interval_s": 0.5, "link.reconnect_max_s": 0.5},
}
BATCH_HEADER = (28).to_bytes(4, "big") + b"\x02WRITE BATCH"  # then the length of its records (4) and their checksum (8)
ADD_MESSAGE = 1


class Record(NamedTuple):
    """A message in a journal file: where its batch begins, where it begins, and how long it is."""

    batch: int
    offset: int
    size: int


def newest(testbed: Testbed) -> Path:
    """The journal file that is being written."""
    return max((testbed.folder / "broker" / "data" / "kahadb").glob("db-*.log"), key=lambda file: int(file.stem[3:]))


def written(file: Path, queue: str) -> list[Record]:
    """The messages to a queue in a journal file, the oldest first; what is rotten already is passed over."""
    data, name = file.read_bytes(), bytes([len(queue)]) + queue.encode()
    found = []
    batch = 0
    while (batch := data.find(BATCH_HEADER, batch)) >= 0:
        offset = batch + 28
        end = offset + int.from_bytes(data[batch + 16 : batch + 20], "big")
        while offset < end and (size := int.from_bytes(data[offset : offset + 4], "big")) > 5:
            if data[offset + 5] == ADD_MESSAGE and name in data[offset : offset + 64]:
                found.append(Record(batch, offset, size))
            offset += size
        batch += 28
    return found


def rot(file: Path, records: list[Record]) -> None:
    """Spoil one in its middle, the next in its header, the next in its batch's header …; end the file in the last."""
    *others, last = records
    for record, place in zip(others, itertools.cycle(("middle", "header", "batch")), strict=False):
        where = {"middle": record.offset + record.size // 2, "header": record.offset, "batch": record.batch}
        overwrite(file, where[place])
    cut = last.offset + last.size // 2
    overwrite(file, cut, bytes(file.stat().st_size - cut))


def overwrite(file: Path, offset: int, what: bytes = b"rotten!!") -> None:
    with file.open("r+b") as opened:
        opened.seek(offset)
        opened.write(what)


def said(testbed: Testbed, text: str) -> int:
    """How often the broker's log says it."""
    return (testbed.folder / "broker" / "broker.log").read_text(errors="replace").count(text)


def restart_front(testbed: Testbed, **delivery: int) -> None:
    """With other settings. While `resend_after_s` is long nothing is on the broker twice: what is lost is lost."""
    testbed.stop("front")
    file = testbed.config / "dmz_front.toml"
    file.write_text(with_values(file.read_text(), {f"delivery.{name}": value for name, value in delivery.items()}))
    testbed.start("front")


def ordered(testbed: Testbed, http: httpx.Client) -> list[str]:
    """Eight accepted work orders that wait on the broker, each in a message of its own."""
    ids: list[str] = []
    while len(ids) < 8:
        headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "respond-async"}
        answer = http.post("/v1/work-order", json=work_order("长" * 300), headers=headers)
        assert answer.status_code == 202
        ids.append(answer.json()["request_id"])
        eventually(lambda: len(browsed(testbed, COMMANDS)) == len(ids), what="the order on the broker")
    return ids


def exactly_once(testbed: Testbed, http: httpx.Client, ids: list[str]) -> None:
    """All are done, once, and their callers are told so."""

    def outcomes() -> set[str]:
        return {http.get(f"/v1/requests/{id}").json()["status"] for id in ids}

    eventually(lambda: outcomes() == {"succeeded"}, 90, "every outcome")
    applied = {entry["request_id"]: entry["applied"] for entry in journal(testbed)}
    assert {id: applied.get(id) for id in ids} == dict.fromkeys(ids, 1)
    eventually(lambda: not browsed(testbed, COMMANDS), what="the copies to be taken")
    assert {entry["applied"] for entry in journal(testbed)} == {1}


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    with running_testbed(tmp_path_factory.mktemp("rotten"), settings=SETTINGS) as testbed:
        yield testbed


def test_commands_and_dead_letters(testbed: Testbed) -> None:
    """After an orderly stop: the index knows every message, rotten or not, and each one dropped is named."""
    put(testbed, "front", COMMANDS, b"junk", b"more junk", persistent="true")
    eventually(lambda: len(browsed(testbed, LETTERS)) == 2, what="the bridge to set them aside")
    testbed.stop("bridge")
    with client(testbed) as http:
        ids = ordered(testbed, http)
        testbed.stop("broker")
        file = newest(testbed)
        overwrite(file, written(file, LETTERS)[0].offset + 100)
        rot(file, written(file, COMMANDS)[-8:][1::2])
        testbed.start("broker")
        eventually(lambda: said(testbed, f":{COMMANDS}] dropped: ") == 3, what="each that is dropped being named")
        assert (
            said(testbed, "Rolled back 1 messages") == 1
        )  # the cut off one, which an index ahead of its journal has too
        restart_front(testbed, resend_after_s=1)
        testbed.start("bridge")
        exactly_once(testbed, http, ids)
    eventually(lambda: said(testbed, f":{LETTERS}] dropped: ") == 1, what="the letter that is dropped being named")
    (letter,) = (json.loads(body) for _, body in browsed(testbed, LETTERS))
    assert letter["sha256"] == hashlib.sha256(b"more junk").hexdigest()


def test_replies(testbed: Testbed) -> None:
    """After a kill: the index is behind the journal, and what is rotten in what it does not know yet is passed over."""
    restart_front(testbed, resend_after_s=600)
    testbed.stop("bridge")
    with client(testbed) as http:
        ids = ordered(testbed, http)
        testbed.stop("front")
        testbed.start("bridge")
        eventually(lambda: {entry["request_id"] for entry in journal(testbed)} >= set(ids), what="the calls")
        eventually(
            lambda: browsed(testbed, REPLIES) and not browsed(testbed, COMMANDS), what="the replies on the broker"
        )
        testbed.stop("bridge")
        testbed.kill("broker")
        file, before = newest(testbed), said(testbed, "Corrupt journal records found")
        rot(file, written(file, REPLIES))
        testbed.start("broker")
        assert said(testbed, "Corrupt journal records found") > before
        testbed.start("bridge")
        restart_front(testbed, resend_after_s=1)
        exactly_once(testbed, http, ids)


def test_the_newest_file_is_gone(testbed: Testbed) -> None:
    """That is no rot: it does not start, and says what to do. What was in the file is sent again."""
    restart_front(testbed, resend_after_s=600)
    testbed.stop("bridge")
    put(testbed, "front", "bridge.command.elsewhere", *[bytes(1_000_000)] * 34, persistent="true")  # a file holds 32 MB
    with client(testbed) as http:
        ids = ordered(testbed, http)
        testbed.stop("broker")
        gone, index = newest(testbed), newest(testbed).with_name("db.data")
        assert len(written(gone, COMMANDS)) == len(ids)
        gone.unlink()
        with pytest.raises(TestbedError, match=f"move {index} away"):
            testbed.start("broker")
        index.unlink()
        testbed.start("broker", "bridge")
        restart_front(testbed, resend_after_s=1)
        exactly_once(testbed, http, ids)
