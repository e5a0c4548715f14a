"""scripts/broker works before there is a .venv."""

import subprocess
import sys
from pathlib import Path

BROKER = Path(__file__).resolve().parents[3] / "scripts" / "broker"


def run(tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Without installed packages, outside the project's folder."""
    command = [sys.executable, "-I", "-S", str(BROKER), *arguments]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)


def test_the_standard_library_is_enough(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(command in done.stdout for command in ("fetch", "start", "status", "stop"))


def test_an_instance_that_does_not_run(tmp_path: Path) -> None:
    done = run(tmp_path, "status", "--instance", str(tmp_path))
    assert (done.returncode, done.stdout) == (3, "not running\n")
    done = run(tmp_path, "stop", "--instance", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "was not running\n")


def test_a_start_without_certificates(tmp_path: Path) -> None:
    jar = tmp_path / "home" / "lib" / "activemq-broker-6.3.1.jar"
    jar.parent.mkdir(parents=True)
    jar.touch()
    command = [sys.executable, "-I", "-S", str(BROKER), "start", "--instance", "i", "--certs", "c", "--kind", "home"]
    environment = {"ACTIVEMQ_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("broker: ")
    assert "`bridgectl certs init` makes it" in done.stderr
