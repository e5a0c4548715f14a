"""Testbeds for black-box tests. Imports nothing of the product."""

import contextlib
import json
import os
import re
import shlex
import ssl
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.layout import BIN
from scripts.tools.testbed.testbed import Testbed

PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Believes nobody: testbeds speak plain HTTP on loopback, and to load the system's authorities takes a client 20 ms."""
LOOPBACK: Any = {"trust_env": False, "verify": PLAIN, "timeout": 40}
"""How httpx asks a testbed's programs: its own patience of 5 s is a busy machine's answer to a query."""
PATIENT = {"Prefer": "wait=20"}
"""Of a request that has to be answered: what an operation waits by default, 3 or 5 s, a busy machine may take."""
ACCOUNT = "3210000000002"
ACCOUNTS = [f"32100000000{number:02}" for number in range(1, 22) if number != 7]  # the seventh is closed
"""Twenty customers: commands of different ones do not wait for each other."""


@contextlib.contextmanager
def running_testbed(folder: Path, **changes: Any) -> Iterator[Testbed]:
    """A testbed, started and ready; stopped afterwards whatever happens."""
    testbed = Testbed(folder, customers=200, **changes)
    try:
        testbed.set_up()
        testbed.start()
        yield testbed
    finally:
        testbed.stop()


def client(testbed: Testbed, front: str = "front", **options: Any) -> httpx.Client:
    """An HTTP client of one front, with the testbed's application key."""
    headers = {"Authorization": f"Bearer {testbed.app_key}"} | options.pop("headers", {})
    return httpx.Client(base_url=testbed.url_of(front), headers=headers, **LOOPBACK, **options)


def bridgectl(config: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """What `bridgectl` with this configuration file said and ended with, which may be an error but no traceback."""
    told = subprocess.run(
        [str(BIN / "bridgectl"), *words],
        env={**os.environ, "BRIDGECTL_CONFIG": str(config), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in told.stderr, told.stderr
    return told


def ctl(testbed: Testbed, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`bridgectl` on the testbed's host. `Testbed.ctl` is for what has to succeed."""
    return bridgectl(testbed.config / "bridgectl.toml", *words, **environment)


def status(testbed: Testbed) -> tuple[int, list[dict[str, Any]]]:
    """What `bridgectl status` ends with, and the troubles that it tells."""
    told = ctl(testbed, "status", "--json")
    return told.returncode, json.loads(told.stdout)["troubles"]


UNITS = {"dmz-front": "front", "intranet-bridge": "bridge", "dmz-bridge-broker": "broker"}


def done_as_told(testbed: Testbed, trouble: dict[str, Any], command: str, **blanks: str) -> None:
    """Carry out what a trouble's `mend` names: the part of it that is like `command` (a regular expression), step by
    step. `blanks`: what a reader puts in for a word in capitals. The test fails if the screen does not say it.
    """
    found = re.search(command, trouble["mend"])
    assert found, f"{command} is not in: {trouble['mend']}"
    for step in found[0].split(";"):
        program, *words = [blanks.get(word, word) for word in shlex.split(step)]
        if program == "bridgectl":
            done = ctl(testbed, *words)
            assert done.returncode == 0, (step, done.stdout, done.stderr)
            continue
        assert program == "systemctl", step
        verb, part = words[0], UNITS[words[1]]
        if verb in ("stop", "restart") and testbed.running(part):
            testbed.stop(part)
        if verb in ("start", "restart"):
            testbed.start(part, wait=False)


def work_order(content: str = "家里没电了", **changes: Any) -> dict[str, Any]:
    """A valid work order."""
    order = {
        "type": "fault-repair",
        "account": ACCOUNT,
        "contact_name": "张伟",
        "contact_phone": "13800000001",
        "address": "人民路1号",
        "content": content,
    }
    return order | changes


def command(http: httpx.Client, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """The outcome of a command, sent with a key of its own."""
    headers = {"Idempotency-Key": str(uuid.uuid4()), **PATIENT}
    answer = http.post(f"/v1/{name}", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def query(http: httpx.Client, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """The result of a query."""
    told: dict[str, Any] = http.post(f"/v1/{name}", json=body, headers=PATIENT).raise_for_status().json()["result"]
    return told


def journal(testbed: Testbed, request_id: str | None = None) -> list[dict[str, Any]]:
    """The marketing system's journal of effects."""
    parameters = {"request_id": request_id} if request_id else None
    answer = httpx.get(f"{testbed.marketing_url}/journal", params=parameters, **LOOPBACK)
    entries: list[dict[str, Any]] = answer.raise_for_status().json()
    return entries


def contents(files: Iterable[Path]) -> Iterator[tuple[Path, bytes]]:
    """What is in these files, but for those that are gone: running programs take theirs away."""
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            if file.is_file():
                yield file, file.read_bytes()


def eventually(holds: Callable[[], Any], seconds: float = 60.0, what: str = "it") -> Any:
    """The first true value of `holds()`; fails the test when the time is over.

    After a look that takes long, such as a program's start, it rests as long: what is waited for needs the machine.
    """
    end = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        value = holds()
        if value:
            return value
        now = time.monotonic()
        if now > end:
            pytest.fail(f"{what} did not come about within {seconds:g} s")
        time.sleep(min(max(0.05, now - began), 1.0))


FINAL = {"succeeded", "refused", "failed", "expired"}


def assert_reconciled(
    testbed: Testbed, ids: set[str], front: str = "front", seconds: float = 120.0, before: Iterable[str] = ()
) -> None:
    """Every accepted order was applied once, and callers are told so; fails the test otherwise.

    `before`: orders whose callers were told before. They are applied once still.
    """
    told: dict[str, str] = {}
    with client(testbed, front) as http:

        def all_final() -> bool:
            for id in ids - told.keys():
                status = http.get(f"/v1/requests/{id}").json().get("status")
                if status not in FINAL:
                    return False
                told[id] = status
            return True

        eventually(all_final, seconds, "the final outcome of every order")
    effects = {entry["request_id"]: entry["applied"] for entry in journal(testbed)}
    all_ids = ids.union(before)
    assert {id: effects.get(id, 0) for id in all_ids} == dict.fromkeys(all_ids, 1)  # none lost, none twice
    assert effects.keys() == all_ids  # and nothing nobody asked for
    assert set(told.values()) <= {"succeeded"}  # and the callers are told so
