"""Files of platforms through the whole chain: a real SFTP server and broker, and both programs killed on the way."""

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.tools.testbed.testbed import Testbed
from tests.support.sftp import SftpServer, openssh
from tests.support.testbeds import ctl, eventually, running_testbed

NAME = "SDDL_DSDZ_37101_20261124.txt"
STATEMENT = r"SDDL_DSDZ_[0-9]{5}_[0-9]{8}\.txt"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with openssh(tmp_path_factory.mktemp("sftp")) as server:
        yield server


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory, server: SftpServer) -> Iterator[Testbed]:
    """Of its own: it is killed, and files are turned on."""
    front: dict[str, Any] = {
        "delivery.resend_after_s": 2,
        "files.enabled": True,
        "files.window": 2,
        "files.servers": {"bank": server.settings()},
        "files.sources": {
            "statements": {
                "server": "bank", "folder": f"{server.folder}/out", "archive": f"{server.folder}/out/archive",
                "profiles": {"utility-dsdz": STATEMENT}, "complete": "marker", "poll_s": 1,
            }
        },
    }  # fmt: skip
    bridge = {
        "presence_interval_s": 0.5, "files.enabled": True,
        "files.profiles": {"utility-dsdz": {"names": STATEMENT}},
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("files")
    with running_testbed(folder, settings={"dmz_front": front, "intranet_bridge": bridge}) as testbed:
        yield testbed


def lay(server: SftpServer, name: str, content: bytes) -> None:
    (server.folder / "out" / name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    (server.folder / "out" / f"{name}.ok").write_text(f"{digest} {len(content)}\n")


def files(testbed: Testbed, side: str) -> list[dict[str, Any]]:
    told = ctl(testbed, "files", "list", "--side", side, "--json")
    rows: list[dict[str, Any]] = json.loads(told.stdout) if told.stdout else []
    return rows


def arrived(testbed: Testbed) -> int:
    """Chunks that the bridge has, read from its database: nobody is asked who is being killed."""
    with sqlite3.connect(f"file:{testbed.folder}/data/bridge.sqlite3?mode=ro", uri=True, timeout=5) as database:
        return int(database.execute("SELECT count(*) FROM file_chunks").fetchone()[0])


def test_a_file_arrives_once_though_both_sides_are_killed(testbed: Testbed, server: SftpServer) -> None:
    content = os.urandom(30_000_000)
    lay(server, NAME, content)
    eventually(lambda: arrived(testbed) > 5, what="the beginning of the file")
    testbed.kill("bridge")
    before = arrived(testbed)
    testbed.start("bridge")
    eventually(lambda: arrived(testbed) > before + 5, what="more of it")
    testbed.kill("front")
    testbed.start("front")
    eventually((server.folder / "out" / "archive" / NAME).exists, what="the archived file")
    [row] = eventually(lambda: [one for one in files(testbed, "bridge") if one["state"] == "accepted"])
    assert (row["name"], row["bytes"], row["sha256"]) == (NAME, len(content), hashlib.sha256(content).hexdigest())
    assert arrived(testbed) == row["chunks"] == row["have"]
    assert not [one for one in (server.folder / "out").iterdir() if one.is_file()]
    eventually(lambda: [one["state"] for one in files(testbed, "front")] == ["archived"])
    for side in ("front", "bridge"):
        for file in (testbed.folder / "data").glob(f"{side}.sqlite3*"):
            assert content[:64] not in file.read_bytes(), file
