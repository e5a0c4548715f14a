"""Certificates, CA and keys change under a steady load of queries and commands, and not one of them fails."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.tools.testbed.layout import BIN
from scripts.tools.testbed.processes import free_port
from scripts.tools.testbed.testbed import Testbed
from scripts.tools.testbed.toml_values import with_values
from tests.support.broker import LocalBroker
from tests.support.testbeds import ACCOUNTS, assert_reconciled, client, eventually, work_order

KEEP_S = 0.3
"""So long the load goes on after each step."""
PAUSE_S = 0.03
"""Between two requests of one caller: steady, and the machine is free for what is tested."""


@dataclass
class Load:
    """Queries and commands, each as soon as the one before is answered, until it is ended."""

    testbed: Testbed
    key: str
    """The application's key: changed while it runs."""
    ids: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    answered: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> "Load":
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._query, self._query, self._command)]
        for thread in self._threads:
            thread.start()
        self.steadily()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def steadily(self) -> None:
        """Wait until it has gone on for a while, and nothing has failed."""
        before, until = self.answered, time.monotonic() + KEEP_S
        eventually(lambda: self.answered > before + 10 and time.monotonic() > until, 60, "the load")
        assert self.failed == []

    def _query(self) -> None:
        with client(self.testbed) as http:
            while not self._over.is_set():
                body = {"account": ACCOUNTS[self.answered % len(ACCOUNTS)]}
                self._note(http.post("/v1/arrears-query", json=body, headers=self._headers()))
                self._over.wait(PAUSE_S)

    def _command(self) -> None:
        with client(self.testbed) as http:
            while not self._over.is_set():
                order = work_order(account=ACCOUNTS[len(self.ids) % len(ACCOUNTS)])
                headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=20"}
                answer = http.post("/v1/work-order", json=order, headers=headers | self._headers())
                self._note(answer)
                if answer.status_code == 200:
                    self.ids.add(answer.json()["request_id"])
                self._over.wait(PAUSE_S)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def _note(self, answer: Any) -> None:
        if answer.status_code == 200 and answer.json()["status"] == "succeeded":
            self.answered += 1
        else:
            self.failed.append(f"{answer.status_code} {answer.text[:300]}")


def reloaded(testbed: Testbed, part: str) -> dict[str, Any]:
    """What a daemon says to a reload: as `bridgectl reload` asks, without its start."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(testbed.folder / f"{part}.sock"))
        connection.sendall(b'{"ask": "reload"}\n')
        told: dict[str, Any] = json.loads(connection.makefile("rb").readline())
    assert "answer" in told, told
    return dict(told["answer"])


@dataclass
class Hosts:
    """The files that the operator makes, and those that each host has: they do not see each other."""

    testbed: Testbed
    operator: Path

    def bridgectl(self, *words: str) -> str:
        """On the operator's machine."""
        done = subprocess.run([BIN / "bridgectl", *words], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def follow(self, said: str, *options: str) -> str:
        """Do what a step leaves to do for the daemons, and tell that it is done; what is said then."""
        done = []
        for who, files in re.findall(r"^  (\S+): copy (.*) there, bridgectl reload", said, re.M):
            part = who.partition("-")[0].removesuffix("s")
            folder = self.testbed.certs if "pem" in files else self.testbed.folder / "keys"
            for file in files.split(", "):
                # a host knows its keyring by one name, whose fronts' it is
                name = re.sub(r"^front-.*\.keyring$", "front.keyring", file)
                shutil.copy2(self.operator / file, folder / name)
            in_use = reloaded(self.testbed, part)["in_use"]
            done += ["--done", f"{who}={in_use['certificates' if 'pem' in files else 'keys']}"]
        return self.bridgectl(*options, *done)


@contextlib.contextmanager
def two_brokers(folder: Path) -> Iterator[tuple[Testbed, tuple[LocalBroker, LocalBroker]]]:
    """An installation on two brokers, each with a store and with certificates of its own."""
    testbed = Testbed(folder / "testbed", customers=200)
    ports = (free_port(), free_port())
    link = {"link.brokers": [f"localhost:{one}" for one in ports], "link.reconnect_max_s": 0.5}
    testbed.settings = {"dmz_front": link, "intranet_bridge": link, "bridgectl": link}
    testbed.set_up()
    stores = [folder / f"certs-{one}" for one in ports]
    for store in stores:
        shutil.copytree(testbed.certs, store)
    first, second = (LocalBroker(folder / f"broker-{one}", at, port=one) for one, at in zip(ports, stores, strict=True))
    try:
        with ThreadPoolExecutor() as pool:  # a broker's start is mostly Java's
            list(pool.map(LocalBroker.start, (first, second)))
        testbed.start("marketing", "bridge", "front")
        with client(testbed) as http:
            eventually(lambda: http.get("/readyz").status_code == 200, what="the pair")
        yield testbed, (first, second)
    finally:
        testbed.stop()
        for broker in (first, second):
            broker.stop()


def test_a_new_ca_under_load(tmp_path: Path) -> None:
    """The broker reads its stores at its start alone: so senders go over to the other one, by the order of the list."""
    with two_brokers(tmp_path) as (testbed, (first, second)):
        operator = tmp_path / "operator"
        shutil.copytree(testbed.certs, operator)
        hosts = Hosts(testbed, operator)
        rollover = ["certs", "rollover", "--dir", str(operator)]

        def prefer(broker: LocalBroker) -> None:
            other = second if broker is first else first
            for name in ("dmz_front", "intranet_bridge"):
                file = testbed.config / f"{name}.toml"
                brokers = f'brokers = ["localhost:{broker.port}", "localhost:{other.port}"]'
                file.write_text(re.sub(r"^brokers = .*$", brokers, file.read_text(), count=1, flags=re.M))

        def renewed(broker: LocalBroker) -> None:
            for name in ("broker.p12", "truststore.p12"):
                shutil.copy2(operator / name, broker.certs / name)
            broker.stop()
            broker.start()

        with Load(testbed, testbed.app_key) as load:
            said = hosts.bridgectl(*rollover, "--next")
            assert said.startswith("step 1 of 4")
            renewed(second)
            prefer(second)
            said = hosts.follow(said, *rollover, "--done", "broker-1", *OTHERS)
            load.steadily()
            renewed(first)
            assert "done everywhere" in said
            said = hosts.follow(hosts.bridgectl(*rollover, "--next"), *rollover, *OTHERS)
            load.steadily()
            assert "done everywhere" in said
            said = hosts.bridgectl(*rollover, "--next")
            assert said.startswith("step 3 of 4")
            renewed(first)
            prefer(first)
            for part in ("front", "bridge"):
                reloaded(testbed, part)
            load.steadily()
            second.stop()  # as `first` was: it may be started when it has its stores
            hosts.bridgectl(*rollover, "--done", "broker-1")
            said = hosts.follow(hosts.bridgectl(*rollover, "--next"), *rollover, *OTHERS)
            assert said.startswith("The roll-over is over")
            load.steadily()
        assert load.failed == []
        assert_reconciled(testbed, load.ids)


OTHERS = ("--done", "monitor-1", "--done", "operator-1")


def test_keys_and_certificates_change_under_load(testbed: Testbed, tmp_path: Path) -> None:
    operator = tmp_path / "operator"
    shutil.copytree(testbed.folder / "keys", operator)
    hosts = Hosts(testbed, operator)
    where = ["--dir", str(operator)]
    with Load(testbed, testbed.app_key) as load:
        rotate = ["keys", "rotate", "bridge", *where]
        said = hosts.follow(hosts.bridgectl(*rotate), *rotate)
        assert "done everywhere; next:" in said
        load.steadily()
        said = hosts.follow(hosts.bridgectl(*rotate, "--activate"), *rotate)
        assert "next, from" in said
        load.steadily()
        shutil.rmtree(operator)
        shutil.copytree(testbed.certs, operator)
        said = hosts.bridgectl("certs", "renew", "--expiring", "800", *where)
        assert "bridge-1: copy bridge.pem, bridge.key there" in said
        before = reloaded(testbed, "front")["in_use"]["certificates"]
        for who, code in re.findall(r"^  (front-1|bridge-1): .*in use then: (\S+)", said, re.M):
            part = who.partition("-")[0]
            for kind in ("pem", "key"):
                shutil.copy2(operator / f"{part}.{kind}", testbed.certs / f"{part}.{kind}")
            assert reloaded(testbed, part)["in_use"]["certificates"] == code != before
        load.steadily()
        key = testbed.ctl("apps", "rotate", "demo").strip()
        os.kill(testbed.pids["front"], signal.SIGHUP)
        with client(testbed) as http:
            headers = {"Authorization": f"Bearer {key}"}

            def taken() -> bool:
                return http.post("/v1/arrears-query", json={"account": ACCOUNTS[0]}, headers=headers).status_code == 200

            eventually(taken, what="the new key in force")
        load.key = key
        load.steadily()
        testbed.app_key = load.key
        (testbed.folder / "app.key").write_text(load.key)
    assert load.failed == []


def test_the_fronts_get_keys_by_group_under_load(testbed: Testbed, tmp_path: Path) -> None:
    """From one key for all to one a group; then that key counts for its group's front alone."""
    own, operator, bridge = testbed.folder / "keys", tmp_path / "operator", testbed.config / "intranet_bridge.toml"
    before = bridge.read_text()
    shutil.copytree(own, operator)
    shutil.copytree(own, tmp_path / "before")
    hosts, split = Hosts(testbed, operator), ["keys", "split", "--dir", str(operator)]
    try:
        bridge.write_text(with_values(before, {"fronts.city.instances": ["front-1"]}))
        reloaded(testbed, "bridge")
        with Load(testbed, testbed.app_key) as load:
            said = hosts.follow(hosts.bridgectl(*split, "city"), *split)
            assert "done everywhere; next:" in said
            load.steadily()
            said = hosts.follow(hosts.bridgectl(*split, "--activate"), *split)
            assert "next, from" in said
            load.steadily()
            prune = ["keys", "prune", "--older-than", "0", "--force", "--dir", str(operator)]
            said = hosts.bridgectl(*prune)
            assert "fronts-city: copy front-city.keyring, trusted.json there" in said
            load.steadily()
        assert load.failed == []
        # nothing is on its way any more
        hosts.follow(said, *split)
        with client(testbed) as http:
            assert http.post("/v1/arrears-query", json={"account": ACCOUNTS[0]}).status_code == 200
            bridge.write_text(
                with_values(before, {"fronts.lake.instances": ["front-1"], "fronts.city.instances": ["x"]})
            )
            notes = reloaded(testbed, "bridge")["notes"]
            assert any("no key in use of the group lake" in note for note in notes)
            refused = http.post("/v1/arrears-query", json={"account": ACCOUNTS[0]}, headers={"Prefer": "wait=1"})
            assert refused.status_code in (403, 504)  # it has no right to be answered there either
    finally:
        bridge.write_text(before)
        for file in (tmp_path / "before").iterdir():
            shutil.copy2(file, own / file.name)
        for part in ("bridge", "front"):
            reloaded(testbed, part)
