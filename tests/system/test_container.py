"""The broker of activemq/compose.yaml: the same command everywhere, and in a container where an engine answers."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.tools.testbed.processes import free_port
from tests.support.broker import COMPOSE, LocalBroker, engine_answers, make_certificates, of_compose, run
from tests.support.testbeds import eventually

BRIDGECTL = (sys.executable, "-m", "bridgectl.cli")
OF_THE_MACHINE = {"dmz.instance", "dmz.host", "dmz.port"}
"""What `scripts/broker` says and a container need not: it has one instance, all its addresses and its port."""


def properties(command: list[str]) -> set[str]:
    """Names of a Java command line's system properties."""
    return {word[2:].partition("=")[0] for word in command if word.startswith("-D")}


def test_a_container_is_told_all_that_scripts_broker_tells(tmp_path: Path) -> None:
    broker = LocalBroker(tmp_path / "broker", make_certificates(tmp_path / "certs"))
    broker.start()
    try:
        local = Path(f"/proc/{broker.pid}/cmdline").read_text().split("\0")
    finally:
        broker.stop()
    container = of_compose()["entrypoint"][2].split()
    logging = {name for name in properties(local) if name.startswith("org.slf4j.simpleLogger.")}  # Debian's only
    assert properties(container) == properties(local) - OF_THE_MACHINE - logging
    assert {word for word in container if word.startswith("-X")} == {
        word for word in local if word.startswith("-X") and not word.startswith(("-Xshare:", "-XX:SharedArchiveFile="))
    }


def test_every_file_it_mounts_is_here(tmp_path: Path) -> None:
    certs = make_certificates(tmp_path / "certs")
    folder = COMPOSE.parent
    for mount in of_compose({"BROKER_CERTS": str(certs), "BROKER_DATA": str(tmp_path)})["volumes"]:
        assert (folder / mount.split(":")[0]).exists(), mount


@pytest.fixture
def compose(tmp_path: Path) -> Iterator[list[str]]:
    """The command `docker compose` with a project of its own; what it started is taken down."""
    programs = (["docker", "compose"], ["docker-compose"], ["podman", "compose"])
    found = [words for words in programs if shutil.which(words[0]) and not _run(*words, "version").returncode]
    if not found or not engine_answers():
        pytest.skip("no container engine with compose answers")
    command = [*found[0], "-p", f"dmz-bridge-test-{os.getpid()}", "-f", str(COMPOSE)]
    yield command
    _run(*command, "down", "--timeout", "10")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_it_serves_and_serves_again_after_a_restart(
    compose: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certs, port = make_certificates(tmp_path / "certs"), free_port()
    (tmp_path / "data").mkdir()
    settings = tmp_path / "bridgectl.toml"
    link = {"ca": certs / "ca.pem", "certificate": certs / "monitor.pem", "key": certs / "monitor.key"}
    lines = [f'brokers = ["localhost:{port}"]', *(f'{name} = "{path}"' for name, path in link.items())]
    settings.write_text("[link]\n" + "\n".join(lines))
    variables = {
        "BROKER_UID": str(os.getuid()), "BROKER_GID": str(os.getgid()), "BROKER_PORT": str(port),
        "BROKER_CERTS": str(certs), "BROKER_DATA": str(tmp_path / "data"),
        "BROKER_STORE": str(64 << 20), "BROKER_TEMP": str(16 << 20), "BRIDGECTL_CONFIG": str(settings),
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    up = _run(*compose, "up", "-d")
    if "pull" in up.stderr.lower() and up.returncode:
        pytest.skip(f"the image cannot be had: {up.stderr.strip()[-200:]}")
    assert up.returncode == 0, up.stderr
    for turn in range(2):
        if turn:
            assert _run(*compose, "restart", "--timeout", "20").returncode == 0
        eventually(lambda: not _run(*BRIDGECTL, "queues", "--json").returncode, 90, "an answer of the broker")
        assert isinstance(json.loads(run(*BRIDGECTL, "queues", "--json")), list)
        assert (tmp_path / "data" / "kahadb" / "db-1.log").stat().st_uid == os.getuid()
