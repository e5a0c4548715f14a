"""The stand: one broker, one front, one bridge, one marketing system, in a folder of their own."""

import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit

from scripts.stand.processes import StandError, alive, check_free, free_port, run, start, stop, wait_until

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PARTS = ("broker", "marketing", "bridge", "front")
"""In the order they start."""


@dataclass
class Ports:
    """Where the parts listen, on loopback. 0 chooses a free port."""

    front: int = 0
    broker: int = 0
    marketing: int = 0
    metrics: int = 0
    """The front's metrics; the bridge's are off, so that it listens on nothing at all."""

    def chosen(self) -> "Ports":
        """With every 0 replaced; raises StandError for a port that is taken."""
        for name, port in vars(self).items():
            if port:
                check_free(port, f"the {name}", f"--{name}-port")
        return Ports(**{name: port or free_port() for name, port in vars(self).items()})


@dataclass
class Stand:
    """A folder with an installation in it. `set_up` once, then start and stop parts at will."""

    folder: Path
    ports: Ports = field(default_factory=Ports)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Changes to the shipped configuration files: file → dotted key → value."""
    customers: int = 2_000
    pids: dict[str, int] = field(default_factory=dict)
    app_key: str = field(default="", repr=False)
    broker_kind: str = "auto"
    """Which ActiveMQ (`scripts/broker --kind`)."""
    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    """Further environment variables of a part: part → name → value."""
    root: Path = ROOT
    """Whose code and configuration files are run; the README's worked example is tried in a copy."""

    # --- where things are -----------------------------------------------------------------------------------

    @property
    def certs(self) -> Path:
        """Certificates and their keys."""
        return self.folder / "certs"

    @property
    def config(self) -> Path:
        """The configuration files."""
        return self.folder / "config"

    @property
    def logs(self) -> Path:
        """What the processes said."""
        return self.folder / "log"

    @property
    def state_file(self) -> Path:
        """What other tools attach by."""
        return self.folder / "state.json"

    @property
    def front_url(self) -> str:
        """The HTTP endpoint."""
        return f"http://127.0.0.1:{self.ports.front}"

    @property
    def marketing_url(self) -> str:
        """The marketing system, with its journal and fault switches."""
        return f"http://127.0.0.1:{self.ports.marketing}"

    @property
    def metrics_url(self) -> str:
        """The front's numbers, for Prometheus."""
        return f"http://127.0.0.1:{self.ports.metrics}/metrics"

    # --- setting up -----------------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Make certificates, keys, configuration and an application key, as far as they are not there."""
        self.ports = self.ports.chosen()
        for folder in (self.folder, self.config, self.logs, self.folder / "data"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (self.certs / "broker.p12").exists():
            shutil.rmtree(self.certs, ignore_errors=True)
            run([str(BIN / "bridgectl"), "certs", "init", "--dir", str(self.certs)])
        if not (self.folder / "keys" / "trusted.json").exists():
            run([str(BIN / "bridgectl"), "keys", "init", "--dir", str(self.folder / "keys")])
        self._configure()
        key_file = self.folder / "app.key"
        if not key_file.exists():
            key = self.ctl("apps", "add", "demo", "--scope", "bills", "--scope", "work-orders").strip()
            key_file.touch(mode=0o600)
            key_file.write_text(key)
        self.app_key = key_file.read_text()

    def _configure(self) -> None:
        keys, data = self.folder / "keys", self.folder / "data"
        link = {
            "link.brokers": [f"localhost:{self.ports.broker}"],
            "link.ca": str(self.certs / "ca.pem"),
        }
        front: dict[str, Any] = {
            **link,
            "link.certificate": str(self.certs / "front.pem"),
            "link.key": str(self.certs / "front.key"),
            "keys.keyring": str(keys / "front.keyring"),
            "keys.trusted": str(keys / "trusted.json"),
            "store.file": str(data / "front.sqlite3"),
            "http.port": self.ports.front,
            "metrics.port": self.ports.metrics,
        }
        bridge: dict[str, Any] = {
            **link,
            "link.certificate": str(self.certs / "bridge.pem"),
            "link.key": str(self.certs / "bridge.key"),
            "keys.keyring": str(keys / "bridge.keyring"),
            "keys.trusted": str(keys / "trusted.json"),
            "store.file": str(data / "bridge.sqlite3"),
            "marketing.url": self.marketing_url,
            "marketing.authentication.token_file": str(data / "marketing.token"),
            "metrics.port": 0,
        }
        control: dict[str, Any] = {
            **link,
            "link.certificate": str(self.certs / "admin.pem"),
            "link.key": str(self.certs / "admin.key"),
            "front_store.file": str(data / "front.sqlite3"),
        }
        for name, values in (("dmz_front", front), ("intranet_bridge", bridge), ("bridgectl", control)):
            text = (self.root / "config" / f"{name}.toml").read_text(encoding="utf-8")
            changed = with_values(text, values | self.settings.get(name, {}))
            (self.config / f"{name}.toml").write_text(changed, encoding="utf-8")

    def ctl(self, *arguments: str) -> str:
        """Run bridgectl against this stand; its output."""
        environment = {"BRIDGECTL_CONFIG": str(self.config / "bridgectl.toml"), "PYTHONPATH": str(self.root)}
        return run([str(BIN / "bridgectl"), *arguments], environment)

    # --- running --------------------------------------------------------------------------------------------

    def start(self, *parts: str, wait: bool = True) -> None:
        """Start parts (all by default) that do not run, each ready before the next. Raises StandError.

        Without `wait` a part is only launched; a broker is waited for until it accepts connections all the same.
        """
        for part in parts or PARTS:
            if not self.running(part):
                getattr(self, f"_start_{part}")(wait)
                self.save()

    def stop(self, *parts: str) -> None:
        """Stop parts (all by default), the last started first."""
        for part in reversed(parts or PARTS):
            pid = self.pids.get(part)
            if pid is None:
                continue
            if part == "broker":
                run([sys.executable, str(ROOT / "scripts" / "broker"), "stop", "--instance", str(self._broker)])
                alive(pid)
            else:
                stop(pid)
            del self.pids[part]
        if self.folder.exists():
            self.save()

    def kill(self, part: str) -> None:
        """End a part at once, as a power failure would."""
        os.kill(self.pids[part], 9)
        wait_until(lambda: not alive(self.pids[part]), 10, f"the killed {part}'s end")

    def running(self, part: str) -> bool:
        """Whether a part's process is there."""
        return part in self.pids and alive(self.pids[part])

    @property
    def _broker(self) -> Path:
        return self.folder / "broker"

    def _start_broker(self, _wait: bool) -> None:
        command = [sys.executable, str(ROOT / "scripts" / "broker")]
        where = ["--instance", str(self._broker)]
        how = ["--certs", str(self.certs), "--port", str(self.ports.broker), "--kind", self.broker_kind]
        run([*command, "start", *where, *how])
        self.pids["broker"] = int(json.loads(run([*command, "status", *where, "--json"]))["pid"])

    def _start_marketing(self, wait: bool) -> None:
        data = self.folder / "data"
        command = [sys.executable, str(ROOT / "scripts" / "marketing_simulator"), "--port", str(self.ports.marketing)]
        command += ["--database", str(data / "marketing.sqlite3"), "--token-file", str(data / "marketing.token")]
        command += ["--customers", str(self.customers), "--seed", "1", "--today", "2026-07-15"]
        self._launch(
            "marketing",
            command,
            lambda: not wait or self._answers(f"{self.marketing_url}/health"),
        )

    def _start_bridge(self, wait: bool) -> None:
        # The front tells when the bridge is there; without a front, running is all that can be seen.
        self._launch(
            "bridge",
            [str(BIN / "intranet-bridge"), "--config", str(self.config / "intranet_bridge.toml")],
            lambda: True,
        )
        if wait and self.running("front"):
            self._wait_ready()

    def _start_front(self, wait: bool) -> None:
        command = [str(BIN / "dmz-front"), "--config", str(self.config / "dmz_front.toml")]
        self._launch("front", command, lambda: not wait or self._answers(f"{self.front_url}/healthz"))
        if wait and "bridge" in self.pids and self.running("broker"):
            self._wait_ready()

    def _wait_ready(self) -> None:
        wait_until(
            lambda: self._answers(f"{self.front_url}/readyz"),
            30,
            "the pair",
            self.pids["bridge"],
            self.logs / "bridge.log",
        )

    def _launch(self, part: str, command: list[str], ready: Any) -> None:
        log = self.logs / f"{part}.log"
        self.pids[part] = start(command, log, {"PYTHONPATH": str(self.root)} | self.environment.get(part, {}))
        wait_until(ready, 30, f"the {part}", self.pids[part], log)

    @staticmethod
    def _answers(url: str) -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # our own loopback address
                return bool(answer.status == 200)
        except (TimeoutError, urllib.error.URLError, OSError):
            return False

    # --- the state file -------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write state.json: what runs where."""
        state = {
            "front_url": self.front_url,
            "app_key": self.app_key,
            "broker": f"localhost:{self.ports.broker}",
            "pids": self.pids,
            "marketing_url": self.marketing_url,
            "certs_dir": str(self.certs),
            "var_dir": str(self.folder),
        }
        new = self.state_file.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(state, indent=2) + "\n")
        new.replace(self.state_file)

    @classmethod
    def attach(cls, folder: Path) -> "Stand":
        """The stand that state.json tells of. Raises StandError when there is none."""
        try:
            state = json.loads((folder / "state.json").read_text())
        except OSError as error:
            raise StandError(f"no demo is running in {folder}; start it with ./scripts/demo") from error
        port = {name: int(state[key].rpartition(":")[2]) for name, key in _PORT_KEYS.items()}
        return cls(folder, Ports(**port), pids=state["pids"], app_key=state["app_key"])


_PORT_KEYS = {"front": "front_url", "broker": "broker", "marketing": "marketing_url"}


def with_values(text: str, values: dict[str, Any]) -> str:
    """A TOML text with some values replaced; comments and the rest stay as they are."""
    document: Any = tomlkit.parse(text)
    for dotted, value in values.items():
        *tables, key = dotted.split(".")
        table = document
        for name in tables:
            if name not in table:
                table[name] = tomlkit.table()
            table = table[name]
        table[key] = value
    return tomlkit.dumps(document)
