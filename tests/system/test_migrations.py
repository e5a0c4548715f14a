"""From the first release to this one with commands in every state on their way: each is brought to its end once."""

import contextlib
import os
import signal
import sqlite3
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.layout import BIN, ROOT
from scripts.tools.testbed.processes import TestbedError, run
from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import LOOPBACK, client, eventually, journal, work_order

DATA = Path(__file__).parent / "data"
SETTINGS = {
    "dmz_front": {"delivery.resend_after_s": 3, "delivery.sweep_s": 0.5, "link.reconnect_max_s": 0.5},
    "intranet_bridge": {
        "operations.work-order.timeout_s": 300,  # a call that hangs is still being made when the bridge is killed
        "operations.work-order.settle_s": 1.0,
        "link.reconnect_max_s": 0.5,
    },
}
PATIENCE = 90.0


class OldTestbed(Testbed):
    """A testbed of the first release: its bridgectl made the table it needed, and its front had no `--migrate`."""

    def set_up(self) -> None:
        """With an application key made by that bridgectl."""
        self.folder.mkdir(parents=True)
        key_file = self.folder / "app.key"
        key_file.touch(mode=0o600)
        self.settings = self.settings | {"bridgectl": {"doctor": None}}  # it had no doctor
        super().set_up()
        self.app_key = self.ctl("apps", "add", "demo", "--scope", "bills", "--scope", "work-orders").strip()
        key_file.write_text(self.app_key)


def rows(testbed: Testbed, side: str, statement: str) -> list[dict[str, Any]]:
    with contextlib.closing(sqlite3.connect(testbed.folder / "data" / f"{side}.sqlite3")) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(statement)]


@dataclass
class Flight:
    """Orders submitted to a testbed, one in each state a process can die in."""

    testbed: Testbed
    ids: dict[str, str] = field(default_factory=dict)
    """Idempotency key → request id."""
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)

    def submit(self, account: int, wait: int = 0) -> str:
        """Submit an order; its request id."""
        key = str(uuid.uuid4())
        self.bodies[key] = work_order(key, account=f"32100000000{account:02}")
        answer = self.again(key, wait)
        assert answer.status_code in (200, 202), answer.text
        self.ids[key] = answer.json()["request_id"]
        return self.ids[key]

    def again(self, key: str, wait: int = 0) -> httpx.Response:
        """The same order with the same key once more."""
        with client(self.testbed) as http:
            headers = {"Idempotency-Key": key, "Prefer": f"wait={wait}"}
            return http.post("/v1/work-order", json=self.bodies[key], headers=headers)

    def fault(self, **plan: Any) -> None:
        """What the marketing system does wrong from now on."""
        url = f"{self.testbed.marketing_url}/faults"
        httpx.put(url, json=plan | {"paths": ["/api/wo/create"]}, **LOOPBACK).raise_for_status()

    def states(self) -> dict[str, int]:
        """Rows of the inbox by state; `unreplied`: those finished whose reply has no receipt."""
        found = rows(self.testbed, "bridge", "SELECT state, replied_at FROM inbox")
        counted: dict[str, int] = {}
        for row in found:
            name = "unreplied" if row["state"] == "succeeded" and row["replied_at"] is None else row["state"]
            counted[name] = counted.get(name, 0) + 1
        return counted

    def until(self, **states: int) -> None:
        """Wait until the inbox has so many rows in these states."""
        eventually(lambda: states.items() <= self.states().items(), PATIENCE, f"an inbox with {states}")

    def take_off(self) -> None:
        """Bring orders into every state, and kill all but the marketing system there."""
        testbed = self.testbed
        for account in (1, 2):
            self.submit(account, wait=20)
        self.until(succeeded=2)
        self.fault(hang=True, times=2)
        for account in (1, 2):
            self.submit(account)  # called, not applied
        self.until(succeeded=2, calling=2)
        self.fault(hang_after_applying=True, times=2)
        for account in (3, 4):
            self.submit(account)  # called and applied
        for account in (1, 2, 3, 4):
            self.submit(account)  # received, behind those
        self.until(succeeded=2, calling=4, received=4)
        marketing = testbed.pids["marketing"]
        os.kill(marketing, signal.SIGSTOP)  # until the broker is gone: what it answers then finds no way back
        try:
            for account in (8, 9):
                self.submit(account)
            self.until(succeeded=2, calling=6, received=4)
            testbed.kill("broker")
        finally:
            os.kill(marketing, signal.SIGCONT)
        self.until(succeeded=2, calling=4, received=4, unreplied=2)
        testbed.kill("bridge")
        testbed.start("broker")
        for account in (1, 8, 9):
            self.submit(account)  # with the broker, for a bridge that is not there
        eventually(lambda: self._front("sent") == 4 + 4 + 2 + 3, PATIENCE, "what the broker has")
        testbed.kill("broker")
        for account in (2, 3, 9):
            self.submit(account)  # with the front alone
        testbed.kill("front")
        assert (self._front("accepted"), self._front("succeeded")) == (3, 2)
        httpx.delete(f"{testbed.marketing_url}/faults", **LOOPBACK).raise_for_status()

    def _front(self, state: str) -> int:
        return len(rows(self.testbed, "front", f"SELECT id FROM requests WHERE state = '{state}'"))

    def land(self) -> None:
        """Every order was applied once, its caller is told so, and the same key still gives the same answer."""
        ids = set(self.ids.values())
        assert len(ids) == 18
        with client(self.testbed) as http:

            def told() -> bool:
                return {http.get(f"/v1/requests/{id}").json()["status"] for id in ids} == {"succeeded"}

            eventually(told, PATIENCE, "the success of every order")
        assert {entry["request_id"]: entry["applied"] for entry in journal(self.testbed)} == dict.fromkeys(ids, 1)
        for key, id in self.ids.items():
            answer = self.again(key)
            assert (answer.status_code, answer.json()["request_id"]) == (200, id), answer.text
        eventually(lambda: self.states() == {"succeeded": 18}, PATIENCE, "the receipts of all replies")


@contextlib.contextmanager
def ended(testbed: Testbed) -> Iterator[Testbed]:
    """A testbed that is stopped afterwards whatever happens."""
    try:
        yield testbed
    finally:
        testbed.stop()


def revision(testbed: Testbed, side: str) -> str:
    [row] = rows(testbed, side, f"SELECT version_num FROM alembic_version_{side}")
    return str(row["version_num"])


def newest(side: str) -> str:
    folder = ROOT / {"front": "dmz_front", "bridge": "intranet_bridge"}[side] / "migrations"
    return max(path.name[:4] for path in folder.glob("[0-9]*.py"))


def into_the_first_schema(testbed: Testbed, side: str) -> None:
    """Put the rows of a database into one that the first release made (its dump), without what it did not know."""
    current = testbed.folder / "data" / f"{side}.sqlite3"
    old = current.with_suffix(".old")
    with contextlib.closing(sqlite3.connect(old)) as database:
        database.executescript((DATA / f"first_release_{side}.sqlite.sql").read_text())
        database.execute("ATTACH ? AS now", [str(current)])
        for (table,) in database.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
            columns = ", ".join(row[1] for row in database.execute(f"PRAGMA main.table_info({table})"))
            database.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")
        database.commit()
    for path in current.parent.glob(f"{current.name}-*"):
        path.unlink()
    old.replace(current)


def test_commands_in_flight_in_the_first_releases_schema(tmp_path: Path) -> None:
    with ended(Testbed(tmp_path / "testbed", settings=SETTINGS, customers=200)) as testbed:
        testbed.set_up()
        testbed.start()
        flight = Flight(testbed)
        flight.take_off()
        for side in ("front", "bridge"):
            into_the_first_schema(testbed, side)
            with pytest.raises(sqlite3.OperationalError, match="no such table"):
                revision(testbed, side)
        testbed.start()
        assert [revision(testbed, side) for side in ("front", "bridge")] == [newest("front"), newest("bridge")]
        flight.land()


def test_the_first_release_is_replaced_with_commands_in_flight(first_release: Path, tmp_path: Path) -> None:
    with ended(OldTestbed(tmp_path / "testbed", settings=SETTINGS, customers=200, root=first_release)) as testbed:
        testbed.set_up()
        testbed.start()
        flight = Flight(testbed)
        flight.take_off()
        testbed.root = ROOT
        testbed._configure()
        testbed.start()
        assert [revision(testbed, side) for side in ("front", "bridge")] == [newest("front"), newest("bridge")]
        flight.land()


# --- what an operator sees --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Testbed:
    """Set up and not started."""
    testbed = Testbed(tmp_path_factory.mktemp("installed") / "testbed", customers=200)
    testbed.set_up()
    (testbed.folder / "data" / "marketing.token").write_text("token")
    return testbed


def program(testbed: Testbed, side: str, *options: str) -> str:
    name, config = {"front": ("dmz-front", "dmz_front"), "bridge": ("intranet-bridge", "intranet_bridge")}[side]
    command = [str(BIN / name), "--config", str(testbed.config / f"{config}.toml"), *options]
    return run(command, {"PYTHONPATH": str(testbed.root)})


@pytest.mark.parametrize("side", ["front", "bridge"])
def test_the_command_and_the_setting(installed: Testbed, side: str) -> None:
    testbed = installed
    config = testbed.config / {"front": "dmz_front.toml", "bridge": "intranet_bridge.toml"}[side]
    text = config.read_text()
    program(testbed, side, "--migrate")
    assert f"is at revision {newest(side)} already" in program(testbed, side, "--migrate")
    try:
        config.write_text(text.replace('migrate = "auto"', 'migrate = "check"'))
        assert "now; before" in program(testbed, side, "--migrate", "0001") or newest(side) == "0001"
        if newest(side) != "0001":
            with pytest.raises(TestbedError, match=r"is at revision 0001 .* --migrate"):
                program(testbed, side)
            assert revision(testbed, side) == "0001"
        program(testbed, side, "--migrate")
        database = testbed.folder / "data" / f"{side}.sqlite3"
        with contextlib.closing(sqlite3.connect(database)) as store, store:
            store.execute(f"UPDATE alembic_version_{side} SET version_num = '9876'")
        for setting in ("auto", "check"):
            config.write_text(text.replace('migrate = "auto"', f'migrate = "{setting}"'))
            with pytest.raises(
                TestbedError, match=r"error: .*: the database is at revision 9876, .* newer version"
            ) as refused:
                program(testbed, side)
            assert "Traceback" not in str(refused.value)
        with pytest.raises(TestbedError, match="is at revision 9876"):
            program(testbed, side, "--migrate")
        with contextlib.closing(sqlite3.connect(database)) as store, store:
            store.execute(f"UPDATE alembic_version_{side} SET version_num = '{newest(side)}'")
        with pytest.raises(TestbedError, match="cannot go to revision 4711"):
            program(testbed, side, "--migrate", "4711")
    finally:
        config.write_text(text)
