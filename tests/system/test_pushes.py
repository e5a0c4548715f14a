"""What the marketing system says, by the bridge's port and by a table, with the bridge killed meanwhile: nothing of it
is lost, nothing acts twice.
"""

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.processes import free_port
from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import LOOPBACK, command, ctl, eventually

NUMBER = int(os.environ.get("PUSHES", "1000"))
"""By each of the two ways. (The figure of a day, 100000, was taken with 50000.)"""
BATCH = 100
TOKEN = "a-token-of-the-marketing-system"
ACCOUNTS = [f"32100000{number:05d}" for number in range(1, 51)]
AT = "2026-07-01T08:00:00+08:00"


def push(id: str, number: int) -> dict[str, Any]:
    data = {"account": ACCOUNTS[number % len(ACCOUNTS)], "month": "2026-06", "amount_fen": number}
    return {"id": id, "kind": "bill-issued", "at": AT, "data": data}


@pytest.fixture
def told(testbed: Testbed) -> Iterator[tuple[int, Path]]:
    """The bridge listens for pushes, and reads a table; afterwards it does not."""
    file = testbed.config / "intranet_bridge.toml"
    before, port, table = file.read_text(encoding="utf-8"), free_port(), testbed.folder / "said.sqlite3"
    (testbed.config / "pushes.token").write_text(TOKEN)
    with sqlite3.connect(table) as database:
        database.execute("CREATE TABLE said (seq INTEGER PRIMARY KEY, id, kind, at, data)")
    section = f'''[pushes]
port = {port}
token_file = "pushes.token"
rate = 100000
[pushes.tables.billing]
system = "said"
query = "SELECT seq AS cursor, id, kind, at, data FROM said WHERE seq > :cursor ORDER BY seq LIMIT :batch"
json_columns = ["data"]
every_s = 0.2
batch = {BATCH}
[systems.said]
adapter = "sql"
file = "{table}"
'''
    head, _, rest = before.partition("[pushes]")
    file.write_text(head + section + rest[rest.index("\n\n") :], encoding="utf-8")
    try:
        reload(testbed)
        yield port, table
    finally:
        file.write_text(before, encoding="utf-8")
        reload(testbed)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/", **LOOPBACK)


def reload(testbed: Testbed) -> None:
    """Without a restart: the bridge opens the port, reads the table, and lets go of both."""
    done = ctl(testbed, "reload", "--json")
    assert done.returncode == 0, done.stderr
    (told,) = [one for one in json.loads(done.stdout) if one["side"] == "bridge"]
    assert told["restart"] == []


def send(port: int, ids: list[int], answered: list[str]) -> None:
    """As a sender does: a batch that was not answered is sent again."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False, timeout=30) as http:
        for first in range(0, len(ids), BATCH):
            body = {"pushes": [push(f"http-{number}", number) for number in ids[first : first + BATCH]]}
            while True:
                try:
                    answer = http.post("/v1/pushes", json=body)
                except httpx.TransportError:
                    time.sleep(0.05)  # as long as nobody listens
                    continue
                if answer.status_code == 200:
                    answered += [one["outcome"] for one in answer.json()["pushes"]]
                    break
                assert answer.status_code in (429, 503), answer.text
                time.sleep(0.05)


def rows(testbed: Testbed, statement: str) -> list[Any]:
    with sqlite3.connect(f"file:{testbed.folder / 'data' / 'bridge.sqlite3'}?mode=ro", uri=True) as database:
        return database.execute(statement).fetchall()


def test_pushes_act_once_though_the_bridge_is_killed(
    testbed: Testbed, http: httpx.Client, told: tuple[int, Path]
) -> None:
    port, table = told
    consent = {"version": "2026-01", "at": AT}
    body = {"account": ACCOUNTS[0], "kinds": ["bill-issued"], "consent": consent}
    command(http, "notice-subscribe", body)
    values = [push(f"table-{number}", number) for number in range(NUMBER)]
    with sqlite3.connect(table) as database:
        database.executemany(
            "INSERT INTO said (id, kind, at, data) VALUES (?, ?, ?, ?)",
            [(one["id"], one["kind"], one["at"], json.dumps(one["data"])) for one in values],
        )
    answered = list[str]()
    senders = [
        threading.Thread(target=send, args=(port, list(range(first, NUMBER, 2)), answered)) for first in range(2)
    ]
    for sender in senders:
        sender.start()
    eventually(lambda: rows(testbed, "SELECT count(*) FROM pushes")[0][0] >= NUMBER // 10, 120)
    testbed.kill("bridge")
    at_kill = rows(testbed, "SELECT count(*) FROM pushes")[0][0]
    testbed.start("bridge")
    for sender in senders:
        sender.join()
    eventually(lambda: rows(testbed, "SELECT count(*) FROM pushes") == [(2 * NUMBER,)], 120)
    assert at_kill < 2 * NUMBER, "it was killed too late"
    assert len(answered) == NUMBER
    # of the first of the accounts each is a notice, numbered without a gap
    expected = 2 * len(range(0, NUMBER, len(ACCOUNTS)))
    numbers = [number for (number,) in rows(testbed, "SELECT sequence FROM notices ORDER BY sequence")]
    assert numbers == list(range(numbers[0], numbers[0] + expected))
    assert rows(testbed, "SELECT count(*) FROM notice_pushes WHERE push LIKE 'http-%' OR push LIKE 'table-%'") == [
        (2 * NUMBER,)
    ]
    assert "pushes" in ctl(testbed, "status").stdout
