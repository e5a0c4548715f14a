"""A real broker for tests: made by `scripts/broker` with certificates of `bridgectl certs`, or in a container.

Which one: a container (testcontainers; image and command are those of activemq/compose.yaml) if there is no java or
DMZ_BRIDGE_TEST_BROKER=container, and a container engine answers; else the broker of `scripts/broker`; else the reason
to skip.
"""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from scripts.tools.testbed.processes import free_port

ROOT = Path(__file__).resolve().parents[2]


class Unavailable(Exception):
    """No real broker can be had here; says why."""


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
    data: Path | None = None
    """Its store, if it is not its own: of two brokers on one the second stands by."""

    def start(self) -> None:
        """Start, and return when it accepts TLS, or stands by."""
        script = ROOT / "scripts" / "broker"
        run(
            sys.executable, script, "start", "--instance", self.instance, "--certs", self.certs,
            "--port", str(self.port), *(("--data", self.data) if self.data else ()),
        )  # fmt: skip

    def kill(self) -> None:
        """End it at once, as a power failure would."""
        os.kill(self.pid, signal.SIGKILL)

    @property
    def accepting(self) -> bool:
        """Whether it answers TLS (one that stands by does not)."""
        script = ROOT / "scripts" / "broker"
        command: list[str | Path] = [sys.executable, script, "status", "--instance", self.instance, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return bool(json.loads(done.stdout)["accepting"])

    def stop(self) -> None:
        """Stop; what is persistent stays in the instance's directory."""
        run(sys.executable, ROOT / "scripts" / "broker", "stop", "--instance", self.instance)

    @property
    def pid(self) -> int:
        """Process id of the Java machine."""
        return int((self.instance / "broker.pid").read_text())


COMPOSE = ROOT / "activemq" / "compose.yaml"


def of_compose(variables: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """The broker as activemq/compose.yaml describes it, with its variables' defaults unless told otherwise."""
    text = re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: variables.get(found[1], found[2]), COMPOSE.read_text())
    service: dict[str, Any] = yaml.safe_load(text)["services"]["activemq"]
    return service


@dataclass
class ContainerBroker:
    """The broker's official image with this project's configuration."""

    data: Path
    certs: Path
    host: str = "localhost"
    port: int = field(default_factory=free_port)
    _container: Any = None

    def start(self) -> None:
        """Start a container (the same one again after `stop`), and return when it accepts TLS."""
        if self._container is None:
            from testcontainers.core.container import DockerContainer

            self.data.mkdir()
            service = of_compose()
            self._container = (
                DockerContainer(service["image"])
                .with_kwargs(user=f"{os.getuid()}:{os.getgid()}", entrypoint=service["entrypoint"])
                .with_bind_ports(61616, self.port)
                .with_volume_mapping(str(ROOT / "activemq"), "/conf", "ro")
                .with_volume_mapping(str(self.certs), "/certs", "ro")
                .with_volume_mapping(str(self.data), "/data", "rw")
            )
            self._container.start()
        else:
            self._container.get_wrapped_container().start()
        self._wait()

    def stop(self) -> None:
        """Stop the container; what is persistent stays in its data directory."""
        self._container.get_wrapped_container().stop(timeout=10)

    def remove(self) -> None:
        """Throw the container away."""
        if self._container is not None:
            self._container.stop()

    def _wait(self) -> None:
        """An engine's own proxy accepts TCP before the broker listens, so TLS must answer."""
        context = ssl.create_default_context(cafile=str(self.certs / "ca.pem"))
        context.load_cert_chain(self.certs / "monitor.pem", self.certs / "monitor.key")
        deadline = time.monotonic() + 60
        while True:
            try:
                with (
                    socket.create_connection((self.host, self.port), timeout=2) as plain,
                    context.wrap_socket(plain, server_hostname=self.host),
                ):
                    return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise Unavailable(f"the container does not answer: {error}") from error
                time.sleep(0.2)


def engine_answers() -> bool:
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
        if not engine_answers():
            raise Unavailable("no container engine answers" + ("" if java else ", and there is no java"))
        container = ContainerBroker(directory / "data", make_certificates(directory / "certs"))
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
