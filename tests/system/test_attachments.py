"""Attachments through the whole chain: parts that are cut off, programs that are killed, and files that arrive once."""

import http.client
import itertools
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.testbed import Testbed
from tests.support.files import File, jpeg, pdf, png
from tests.support.testbeds import LOOPBACK, client, contents, eventually, journal, running_testbed

REPORT = {"place": "人民路3号", "description": "疑似窃电"}
PART = {"Content-Type": "application/partial-upload"}


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """Of its own: it is killed. Nothing waits for long to be sent again."""
    settings = {"dmz_front": {"delivery.resend_after_s": 2}}
    with running_testbed(tmp_path_factory.mktemp("attachments"), settings=settings) as testbed:
        yield testbed


def begin(http: httpx.Client, file: File) -> str:
    answer = http.post("/v1/attachments", json=file.declared())
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


def send(http: httpx.Client, place: str, file: File, size: int = 1_000_000) -> dict[str, Any]:
    """Send what is missing, in parts; the last answer."""
    at = int(http.head(place).headers["upload-offset"])
    for start in range(at, len(file.content), size):
        headers = PART | {"Upload-Offset": str(start)}
        answer = http.patch(place, content=file.content[start : start + size], headers=headers)
        assert answer.status_code == 200, answer.text
    told: dict[str, Any] = http.get(place).json()
    return told


def cut_off(testbed: Testbed, place: str, content: bytes, length: int) -> None:
    """A part of which `content` is sent, and then the connection is closed."""
    url = httpx.URL(testbed.front_url)
    connection = http.client.HTTPConnection(url.host, url.port or 80, timeout=40)
    connection.putrequest("PATCH", place)
    lines = PART | {"Authorization": f"Bearer {testbed.app_key}", "Upload-Offset": "0", "Content-Length": str(length)}
    for name, value in lines.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(content)
    connection.close()


def handed_over(testbed: Testbed) -> dict[str, tuple[str, int]]:
    """What the marketing system has: our id → digest and size."""
    answer = httpx.get(f"{testbed.marketing_url}/files", **LOOPBACK)
    return {file["request_id"]: (file["sha256"], file["size"]) for file in answer.raise_for_status().json()}


def bytes_of(folder: Path, *patterns: str) -> Iterator[tuple[Path, bytes]]:
    return contents(itertools.chain(*(folder.rglob(pattern) for pattern in patterns)))


def test_files_cross_over_cuts_and_kills_each_once_and_nowhere_in_clear(testbed: Testbed) -> None:
    files = [jpeg(2_500_000), png(1_500_000), pdf(50_000)]
    with client(testbed) as http:
        places = [begin(http, file) for file in files]
        cut_off(testbed, places[0], files[0].content[:500_000], 1_000_000)
        kept = eventually(lambda: int(http.head(places[0]).headers["upload-offset"]), what="what came of the part")
        testbed.kill("front")
        testbed.start("front")
        # what was told is kept; more may have been stored after it was asked, of what was sent
        assert kept <= int(http.head(places[0]).headers["upload-offset"]) <= 500_000
        testbed.stop("bridge")
        told = [send(http, place, file) for place, file in zip(places, files, strict=True)]
        # the front that took the end of the first has not seen its beginning: the bridge says what it is
        assert [one["status"] for one in told] == ["checking", "complete", "complete"]
        in_store(testbed, files, http, places)
        testbed.start("bridge")
        eventually(lambda: http.get(places[0]).json()["status"] == "complete", what="the bridge's judgement")

        ids = [place.rpartition("/")[2] for place in places]
        key = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "respond-async"}
        answer = http.post("/v1/theft-report", json=REPORT | {"attachments": ids}, headers=key)
        assert answer.status_code == 202, answer.text
        request = answer.json()["request_id"]
        testbed.kill("bridge")
        testbed.kill("front")
        testbed.start("bridge")
        testbed.start("front")

        def status() -> str:
            return str(http.get(f"/v1/requests/{request}").json()["status"])

        eventually(lambda: status() not in ("accepted", "sent"), 120, "the outcome")
        assert status() == "succeeded"
        again = http.post("/v1/theft-report", json=REPORT | {"attachments": ids}, headers=key)
        assert again.json()["request_id"] == request
        other = http.post(
            "/v1/theft-report", json=REPORT | {"attachments": ids[:1]}, headers={"Idempotency-Key": "another"}
        )
        assert (other.status_code, other.json()["code"]) == (422, "attachment-used")
    assert handed_over(testbed) == {id: (file.sha256, len(file.content)) for id, file in zip(ids, files, strict=True)}
    applied = {entry["request_id"]: entry["applied"] for entry in journal(testbed)}
    assert {id: applied[id] for id in (request, *ids)} == dict.fromkeys((request, *ids), 1)


def in_store(testbed: Testbed, files: list[File], http: httpx.Client, places: list[str]) -> None:
    """While no bridge takes them the files lie at the front, and some of them on the broker: sealed."""
    needles = [file.content[at : at + 24] for file in files for at in range(64, len(file.content) - 24, 50_021)]
    needles += [file.sha256.encode() for file in files] + [bytes.fromhex(file.sha256) for file in files]

    def on_broker() -> list[Path]:
        mark = places[0].rpartition("/")[2].encode()
        return [path for path, content in bytes_of(testbed.folder / "broker", "*") if mark in content]

    eventually(on_broker, what="a message on the broker's disk")
    seen = 0
    for path, content in bytes_of(testbed.folder, "broker/**/*", "front.sqlite3*", "*.log"):
        seen += len(content)
        for needle in needles:
            assert needle not in content, path
    assert seen > sum(len(file.content) for file in files)
    assert http.get(places[1]).json()["status"] == "complete"
