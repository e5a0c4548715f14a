"""`bridgectl top` in a terminal of its own: it draws, keys end it, and the terminal is as it was."""

import contextlib
import json
import os
import pty
import signal
import socketserver
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridgectl.terminal import keys
from tests.unit.bridgectl.status.test_troubles import BRIDGE


class Daemon(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), Answering)
        self.reports = 0


class Answering(socketserver.StreamRequestHandler):
    server: Daemon

    def handle(self) -> None:
        assert json.loads(self.rfile.readline()) == {"ask": "report"}
        self.server.reports += 1
        [one], number = BRIDGE.interfaces, self.server.reports
        report = BRIDGE.model_copy(
            update={
                "now": BRIDGE.now + 500 * number,
                "interfaces": (one.model_copy(update={"calls": 10 * number, "failures": 5 * number}),),
            }
        )
        self.wfile.write(json.dumps({"answer": report.model_dump(mode="json")}).encode() + b"\n")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A bridge's host; the environment to run on it."""
    (tmp_path / "intranet_bridge.toml").write_text(f'[control]\nsocket = "{tmp_path / "s"}"\n')
    with Daemon(tmp_path / "s") as daemon:
        threading.Thread(target=daemon.serve_forever, daemon=True).start()
        yield {**os.environ, "BRIDGECTL_CONFIG": str(tmp_path / "bridgectl.toml"), "TERM": "xterm", "NO_COLOR": "1"}
        daemon.shutdown()


class Terminal:
    """One that `top` runs in."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.near, self.far = pty.openpty()
        termios.tcsetwinsize(self.far, (30, 110))
        self.before = termios.tcgetattr(self.far)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bridgectl.cli", "top", "--interval", "0.5"],
            env=environment, stdin=self.far, stdout=self.far, stderr=self.far,
        )  # fmt: skip
        self.shown = b""

    def until(self, *words: str) -> str:
        """What is shown since the last time, when all `words` are in it. The test's own time limit ends a wait."""
        while not all(word.encode() in self.shown for word in words):
            self.shown += os.read(self.near, 65_536)
        told, self.shown = self.shown.decode(), b""
        return told

    def end(self) -> int:
        """Its exit code, when it has ended; what it still says is read meanwhile."""
        drain = threading.Thread(target=self._drain, daemon=True)
        drain.start()
        return self.process.wait(timeout=30)

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.shown += os.read(self.near, 65_536)


@pytest.fixture
def terminal(host: dict[str, str]) -> Iterator[Terminal]:
    one = Terminal(host)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()
        os.close(one.far)


@pytest.mark.timeout(60)
def test_it_draws_and_q_ends_it(terminal: Terminal) -> None:
    told = terminal.until("\033[?1049h", "bill-query", "20.0", "50%", "sorted by trouble")
    assert "\033[31m" not in told  # NO_COLOR
    modes = termios.tcgetattr(terminal.far)
    assert not modes[3] & (termios.ICANON | termios.ECHO)
    os.write(terminal.near, b"s")
    terminal.until("sorted by rate")
    os.write(terminal.near, b"o")
    terminal.until("bill-query at the bridge", "last success")
    os.write(terminal.near, b"q")
    assert terminal.end() == 0
    assert termios.tcgetattr(terminal.far) == terminal.before


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 0)])
def test_a_signal_ends_it_and_the_terminal_is_as_before(terminal: Terminal, number: int, code: int) -> None:
    terminal.until("sorted by trouble")
    terminal.process.send_signal(number)
    assert terminal.end() == code
    assert termios.tcgetattr(terminal.far) == terminal.before


@pytest.mark.timeout(60)
def test_an_error_ends_it_and_the_terminal_is_as_before(terminal: Terminal, tmp_path: Path) -> None:
    terminal.until("sorted by trouble")
    (tmp_path / "intranet_bridge.toml").unlink()
    told = terminal.until("neither daemon is configured")
    assert "\033[?1049l" in told  # the screen before it is back, and has the error
    assert "Traceback" not in told
    assert terminal.end() == 1
    assert termios.tcgetattr(terminal.far) == terminal.before


def ran(environment: dict[str, str], *words: str) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "bridgectl.cli", "top", *words],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_without_a_terminal_it_says_what_is_for_that(host: dict[str, str]) -> None:
    done = ran(host)
    assert (done.returncode, done.stdout) == (2, "")
    assert "bridgectl status" in done.stderr


def test_one_sample_for_programs(host: dict[str, str]) -> None:
    done = ran(host, "--json", "--interval", "0.5")
    told = json.loads(done.stdout)
    [row] = told["rates"]["operations"]
    assert (row["operation"], row["rate"], row["failed"]) == ("bill-query", 20.0, 0.5)
    assert (done.returncode, told["status"]) in ((0, "ok"), (1, "warning"))


def test_a_host_without_a_daemon_is_an_error(tmp_path: Path) -> None:
    done = ran({**os.environ, "BRIDGECTL_CONFIG": str(tmp_path / "bridgectl.toml")}, "--once")
    assert done.returncode == 1
    assert "neither daemon is configured" in done.stderr


@pytest.mark.parametrize(
    ("read", "pressed"),
    [
        (b"qS\r", ["q", "s", "enter"]),
        (b"\x1b[A\x1bOBx", ["up", "down", "x"]),
        (b"\x1b", ["escape"]),
        (b"\x1b[1;5Cq", ["q"]),
        (b"\x1bxq", ["q"]),
        (b"", []),
    ],
)
def test_keys_are_told_apart(read: bytes, pressed: list[str]) -> None:
    assert keys(read) == pressed
