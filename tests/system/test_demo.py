"""The README's first command, as a new user runs it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from scripts.tools.testbed.layout import ROOT
from scripts.tools.testbed.processes import alive, command_line, free_port
from tests.support.testbeds import eventually


def demo(*arguments: str, folder: Path) -> list[str]:
    """The command line of a demo of our own."""
    ports = [word for name in ("front", "broker", "marketing") for word in (f"--{name}-port", str(free_port()))]
    return [sys.executable, "-m", "scripts.tools.testbed.demo", "--var", str(folder), *ports, *arguments]


def test_check_verifies_and_leaves_nothing_behind(tmp_path: Path) -> None:
    for _ in range(2):  # from nothing, and again on what is there
        done = subprocess.run(demo("--check", folder=tmp_path / "demo"), cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "$ curl" in done.stdout
        assert "bridge.command.main" in done.stdout
        assert not (tmp_path / "demo" / "state.json").exists()
    key = (tmp_path / "demo" / "app.key").read_text()
    assert key not in done.stdout


def test_a_morning_of_money(tmp_path: Path) -> None:
    done = subprocess.run(demo("money", "--check", folder=tmp_path / "demo"), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every answer was as it should be" in done.stdout
    assert not (tmp_path / "demo" / "state.json").exists()


def test_it_stays_up_restarts_a_killed_part_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    log = tmp_path / "demo.log"
    with log.open("w") as out:
        # as a shell starts a background job: with SIGINT ignored
        ignoring = ["env", "--ignore-signal=INT", *demo(folder=folder)]
        running = subprocess.Popen(ignoring, cwd=ROOT, stdout=out, stderr=out)
    try:
        eventually(lambda: "until you press Ctrl-C" in log.read_text(), 180, "the demo")
        state = json.loads((folder / "state.json").read_text())
        assert set(state) == {
            "front_url", "app_key", "broker", "pids", "marketing_url", "certs_dir", "var_dir", "customers", "push_port",
            "today",
        }  # fmt: skip
        assert set(state["pids"]) == {"broker", "front", "bridge", "marketing"}
        again = [sys.executable, "-m", "scripts.tools.testbed.demo", "--var", str(folder), "--restart"]
        refused = subprocess.run([*again, "bridge"], cwd=ROOT, capture_output=True, text=True)
        assert refused.returncode == 1
        assert "runs" in refused.stderr
        for part in ("bridge", "front", "broker", "marketing"):
            killed(state["pids"][part])
            done = subprocess.run([*again, part], cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        now = json.loads((folder / "state.json").read_text())
        assert all(now["pids"][part] != state["pids"][part] for part in state["pids"])
        # one that dies at once is said, with its last words; what the front last heard of the old one does not count
        killed(now["pids"]["bridge"])
        configuration = folder / "config" / "intranet_bridge.toml"
        good = configuration.read_text()
        configuration.write_text(good.replace("connect_timeout_s", "conect_timeout_s"))
        dead = subprocess.run([*again, "bridge"], cwd=ROOT, capture_output=True, text=True)
        assert dead.returncode == 1
        assert "conect_timeout_s" in dead.stderr
        assert "is up" not in dead.stdout
        assert "Traceback" not in dead.stderr
        configuration.write_text(good)
        # interrupted, it leaves nothing that the state file does not name
        interrupted = subprocess.Popen([*again, "bridge"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert interrupted.stdout is not None
        interrupted.stdout.readline()
        interrupted.send_signal(signal.SIGINT)
        assert interrupted.wait(180) in (0, 130)
        now = json.loads((folder / "state.json").read_text())
        known = {now["pids"]["bridge"]} if "bridge" in now["pids"] else set()
        assert set(bridges(folder)) == known
        if not known:
            assert subprocess.run([*again, "bridge"], cwd=ROOT, capture_output=True, text=True).returncode == 0
            now = json.loads((folder / "state.json").read_text())
        assert all(alive(pid) for pid in now["pids"].values())
    finally:
        running.send_signal(signal.SIGINT)
        running.send_signal(signal.SIGINT)
        assert running.wait(180) == 0
    eventually(lambda: not any(alive(pid) for pid in now["pids"].values()), what="the end of every process")
    for part in ("front", "bridge"):  # a normal stop is quiet, and no start-up error is a traceback
        assert "Traceback" not in (folder / "log" / f"{part}.log").read_text()


def killed(pid: int) -> None:
    """At once; what it held is free when this returns."""
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(pid), what=f"the end of {pid}")


def bridges(folder: Path) -> list[int]:
    """The bridges that run on this demo's configuration."""
    found = []
    for one in Path("/proc").iterdir():
        if one.name.isdigit() and alive(int(one.name)):
            with contextlib.suppress(OSError):
                arguments = (one / "cmdline").read_bytes()
                if b"intranet-bridge" in arguments and str(folder).encode() in arguments:
                    found.append(int(one.name))
    return found


def test_a_second_demo_in_the_folder_of_one_that_is_up_leaves_that_alone(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    log = tmp_path / "demo.log"
    parts: dict[str, int] = {}
    with log.open("w") as out:
        running = subprocess.Popen(demo(folder=folder), cwd=ROOT, stdout=out, stderr=out)
    try:
        eventually(lambda: "until you press Ctrl-C" in log.read_text(), 180, "the demo")
        parts = json.loads((folder / "state.json").read_text())["pids"]
        written = (folder / "config" / "dmz_front.toml").read_text()
        second = subprocess.run(demo("--check", folder=folder), cwd=ROOT, capture_output=True, text=True)
        assert second.returncode == 1
        assert "a demo is up" in second.stderr
        assert "--var" in second.stderr
        assert all(alive(pid) for pid in parts.values())
        assert (folder / "config" / "dmz_front.toml").read_text() == written
        assert json.loads((folder / "state.json").read_text())["pids"] == parts
        # one that was killed leaves its parts: the next ends them, by what they are and not by their numbers
        running.kill()
        running.wait()
        state = json.loads((folder / "state.json").read_text())
        state["pids"]["marketing"], marketing = os.getpid(), state["pids"]["marketing"]
        (folder / "state.json").write_text(json.dumps(state))
        third = subprocess.run(demo("--check", folder=folder), cwd=ROOT, capture_output=True, text=True)
        assert third.returncode == 0, third.stdout + third.stderr
        assert "stopping what an earlier demo left running" in third.stdout
        assert not any(alive(parts[part]) for part in ("broker", "bridge", "front"))
        assert alive(marketing)
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()
        for pid in parts.values():
            if str(folder) in command_line(pid):
                os.kill(pid, signal.SIGKILL)


def test_a_busy_port_is_said_clearly(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = demo("--check", "--front-port", str(taken.getsockname()[1]), folder=tmp_path / "demo")
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "is taken by another program" in done.stderr
    assert "--front-port" in done.stderr
