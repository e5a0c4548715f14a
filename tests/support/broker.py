"""A real broker for tests: made by `scripts/broker` with certificates of `bridgectl certs`, or in a container.

Which one: a container (testcontainers, image apache/activemq-classic) if DMZ_BRIDGE_TEST_BROKER=container or if there
is no java, and a container engine answers; else the broker of `scripts/broker`; else the reason to skip.
"""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "apache/activemq-classic"


class Unavailable(Exception):
    """No real broker can be had here; says why."""


def free_port() -> int:
    """A TCP port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(*command: str | Path, timeout: float = 180.0) -> str:
    """Run one of the project's programs; its output. Raises Unavailable with what it said."""
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode:
        raise Unavailable(f"{' '.join(map(str, command))}: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def make_certificates(directory: Path) -> Path:
    """A new CA and one certificate of each role, by `bridgectl certs init`."""
    run(sys.executable, "-m", "bridgectl.cli", "certs", "init", "--dir", directory)
    return directory


@dataclass
class LocalBroker:
    """A broker of `scripts/broker`, on a port of its own that stays the same over restarts."""

    instance: Path
    certs: Path
    host: str = "localhost"
    port: int = field(default_factory=free_port)

    def start(self) -> None:
        """Start, and return when it accepts TLS."""
        script = ROOT / "scripts" / "broker"
        run(
            sys.executable, script, "start", "--instance", self.instance, "--certs", self.certs,
            "--port", str(self.port),
        )  # fmt: skip

    def stop(self) -> None:
        """Stop; what is persistent stays in the instance's directory."""
        run(sys.executable, ROOT / "scripts" / "broker", "stop", "--instance", self.instance)

    @property
    def pid(self) -> int:
        """Process id of the Java machine."""
        return int((self.instance / "broker.pid").read_text())


@dataclass
class ContainerBroker:
    """The broker's official image with this project's configuration."""

    certs: Path
    host: str = "localhost"
    port: int = 0
    _container: Any = None

    def start(self) -> None:
        """Start a container (the same one again after `stop`)."""
        if self._container is not None:
            self._container.get_wrapped_container().start()
        else:
            from testcontainers.core.container import DockerContainer

            options = "-Ddmz.certs=/certs -Ddmz.data=/opt/apache-activemq/data -Ddmz.host=0.0.0.0 -Ddmz.port=61616"
            self.port = self.port or free_port()
            container = DockerContainer(IMAGE).with_bind_ports(61616, self.port)
            container = container.with_volume_mapping(str(self.certs), "/certs", "ro")
            for file in ("activemq.xml", "login.config", "users.properties", "groups.properties"):
                container = container.with_volume_mapping(
                    str(ROOT / "activemq" / file), f"/opt/apache-activemq/conf/{file}", "ro"
                )
            self._container = container.with_env("ACTIVEMQ_OPTS", options)
            self._container.start()
        self._wait()

    def stop(self) -> None:
        """Stop the container; its data stays."""
        self._container.get_wrapped_container().stop(timeout=10)

    def remove(self) -> None:
        """Throw the container away."""
        self._container.stop()

    def _wait(self) -> None:
        from testcontainers.core.waiting_utils import wait_for_logs

        wait_for_logs(self._container, "started", timeout=60)


def _engine_answers() -> bool:
    docker = shutil.which("docker") or shutil.which("podman")
    if docker is None:
        return False
    return subprocess.run([docker, "info"], capture_output=True, timeout=20, check=False).returncode == 0


@contextmanager
def broker_in(directory: Path) -> Iterator[LocalBroker | ContainerBroker]:
    """A running broker with its certificates in `directory`/certs; stopped at the end. Raises Unavailable."""
    wish = os.environ.get("DMZ_BRIDGE_TEST_BROKER", "")
    java = shutil.which("java")
    if wish == "container" or java is None:
        if not _engine_answers():
            raise Unavailable("no container engine answers" + ("" if java else ", and there is no java"))
        container = ContainerBroker(make_certificates(directory / "certs"))
        try:
            container.start()
            yield container
        finally:
            container.remove()
        return
    local = LocalBroker(directory / "broker", make_certificates(directory / "certs"))
    try:
        local.start()
        yield local
    finally:
        if (local.instance / "broker.pid").exists():
            local.stop()
