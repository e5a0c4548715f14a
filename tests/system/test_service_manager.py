"""What systemd would hear of a real bridge: started, reloaded, stuck, stopped."""

import contextlib
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.tools.testbed.layout import BIN
from scripts.tools.testbed.processes import alive, start, wait_until
from scripts.tools.testbed.testbed import Testbed
from scripts.tools.testbed.toml_values import with_values

WATCHDOG_S = 0.6
PATIENCE_S = 60.0


class Manager:
    """The listening end of NOTIFY_SOCKET."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel, self.heard = channel, [""]

    def until(self, found: Callable[[str], object]) -> str:
        """The first datagram from now on for which it is true. Fails the test when there is none in time."""
        end = time.monotonic() + PATIENCE_S
        while (left := end - time.monotonic()) > 0:
            self._channel.settimeout(left)
            with contextlib.suppress(TimeoutError):
                self.heard.append(self._channel.recv(4096).decode())
                if found(self.heard[-1]):
                    return self.heard[-1]
        raise AssertionError(f"not heard; the last: {self.heard[-5:]}")

    def silent_for(self, seconds: float) -> bool:
        """Nothing at all comes for so long; what came before is thrown away."""
        self._channel.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._channel.recv(4096)
        self._channel.settimeout(seconds)
        try:
            self._channel.recv(4096)
        except TimeoutError:
            return True
        return False


@pytest.fixture
def manager() -> Iterator[Manager]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(f"\0dmz-bridge-notify-{os.getpid()}")
        yield Manager(channel)


def test_a_bridge_under_a_service_manager(testbed: Testbed, manager: Manager, tmp_path: Path) -> None:
    """A second bridge, with a name, an inbox and keys of its own place: the keys as credentials."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    shipped = testbed.config / "intranet_bridge.toml"
    for name, file in (("bridge.keyring", "bridge.keyring"), ("bridge.key", "bridge.key")):
        (source,) = testbed.folder.rglob(file)
        (credentials / name).write_bytes(source.read_bytes())
        (credentials / name).chmod(0o400)
    text = with_values(
        shipped.read_text(),
        {
            "name": "bridge-of-systemd", "region": "elsewhere", "store.file": str(tmp_path / "bridge.sqlite3"),
            "control.socket": str(tmp_path / "control.sock"), "desk.enabled": False,
            "keys.keyring": "credential:bridge.keyring", "link.key": "credential:bridge.key",
        },
    )  # fmt: skip
    configuration = testbed.config / "bridge-of-systemd.toml"
    configuration.write_text(text)
    log = tmp_path / "log"
    environment = {
        "NOTIFY_SOCKET": f"@dmz-bridge-notify-{os.getpid()}",
        "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6)),
        "CREDENTIALS_DIRECTORY": str(credentials),
    }
    pid = start([str(BIN / "intranet-bridge"), "--config", str(configuration)], log, environment)
    try:
        manager.until(lambda said: said == "READY=1")
        assert any(re.match("EXTEND_TIMEOUT_USEC=[0-9]+\nSTATUS=starting: store", said) for said in manager.heard)
        # not of a bridge whose links are still on their way
        manager.until(lambda said: "WATCHDOG=1" in said and re.search("STATUS=connected; [0-9]+ operations", said))
        for _ in range(3):
            manager.until(lambda said: "WATCHDOG=1" in said)

        os.kill(pid, signal.SIGHUP)
        reloading = manager.until(lambda said: said.startswith("RELOADING=1"))
        assert re.search("MONOTONIC_USEC=[0-9]+", reloading)
        assert "STATUS=" in manager.until(lambda said: said.startswith("READY=1"))
        manager.until(lambda said: "WATCHDOG=1" in said)

        os.kill(pid, signal.SIGSTOP)  # a loop that is stuck
        wait_until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", 60, "its stop")
        assert manager.silent_for(4 * WATCHDOG_S)
        os.kill(pid, signal.SIGCONT)
        manager.until(lambda said: "WATCHDOG=1" in said)

        os.kill(pid, signal.SIGTERM)
        manager.until(lambda said: said == "STOPPING=1")
        manager.until(lambda said: "STATUS=stopping: store" in said)
    finally:
        if alive(pid):
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + PATIENCE_S
        while alive(pid) and time.monotonic() < end:
            time.sleep(0.02)
    assert not alive(pid)
    assert "Traceback" not in log.read_text()
