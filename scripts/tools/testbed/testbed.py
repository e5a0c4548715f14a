"""The testbed: a broker, a front, a bridge and a marketing system in a folder of their own; more of them on request."""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from protocol.runtime.control import short_path
from scripts.tools.testbed.broker_files import name_fronts
from scripts.tools.testbed.faces import JSON, Face
from scripts.tools.testbed.layout import BIN, PARTS, ROOT, Place, Ports, kind_of
from scripts.tools.testbed.processes import (
    TestbedError,
    alive,
    free_port,
    notified,
    run,
    start,
    stop,
    uninterrupted,
    wait_until,
)
from scripts.tools.testbed.toml_values import depth, with_values

PATIENCE_S = 180.0
"""How long a part may take to start or to stop, on a slow and busy machine."""
_CONFIGURATION = {"front": "dmz_front", "bridge": "intranet_bridge"}


@dataclass
class Testbed:
    """An installation in a folder. `set_up` once, then start and stop parts at will."""

    __test__ = False  # to pytest its name would be that of a class of tests
    template: ClassVar[Path | None] = None
    """Where certificates, keys, new databases and an application key are kept, made once by the first testbed that
    needs them, for the others to begin with a copy. None: each makes its own."""
    own_keys: ClassVar[bool] = False
    """Its envelope keys are nobody else's, whatever the template has."""

    folder: Path
    ports: Ports = field(default_factory=Ports)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Changes to the shipped configuration files: file → dotted key → value."""
    customers: int = 2_000
    today: str = "2026-07-15"
    """The marketing system's business day."""
    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    """Additional environment variables of a part, from its next start on."""
    pids: dict[str, int] = field(default_factory=dict)
    app_key: str = field(default="", repr=False)
    broker_kind: str = "auto"
    """Which ActiveMQ (`scripts/broker --kind`)."""
    twins: tuple[str, ...] = ()
    """Further instances, named `front-2` or `bridge-2`: with the same configuration except for name and ports. A
    further broker, `broker-2`, has a store of its own; each daemon knows all, and every other one begins with another.
    """
    stores: dict[str, str] = field(default_factory=dict)
    """`front`, `bridge` → URL of the database they use instead of an SQLite file."""
    twin_ports: dict[str, int] = field(default_factory=dict)
    broker_conf: Path | None = None
    """The broker's configuration files, if not the shipped ones."""
    root: Path = ROOT
    """The source tree whose code and configuration files are used; the README's example is tried in a copy."""
    face: Face = JSON
    """How the bridge reaches the marketing system."""
    push_port: int = 0
    """Where the bridge takes the marketing system's pushes; 0: nowhere."""
    places: dict[str, Place] = field(default_factory=dict)
    """Parts that run elsewhere; all others use this machine's loopback."""

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
        """The logs of the processes."""
        return self.folder / "log"

    @property
    def state_file(self) -> Path:
        """What other processes attach with."""
        return self.folder / "state.json"

    @property
    def front_url(self) -> str:
        """The HTTP endpoint."""
        return f"http://{self._host('front')}:{self.ports.front}"

    def url_of(self, front: str) -> str:
        """The HTTP endpoint of one front."""
        return f"http://{self._host(front)}:{self.twin_ports.get(front, self.ports.front)}"

    @property
    def parts(self) -> tuple[str, ...]:
        """All parts, in the order they start."""
        return tuple(part for kind in PARTS for part in (kind, *self.twins) if part == kind or kind_of(part) == kind)

    @property
    def _further(self) -> tuple[str, ...]:
        """The twins that have a configuration and a certificate of their own: no brokers."""
        return tuple(part for part in self.twins if kind_of(part) in _CONFIGURATION)

    @property
    def marketing_url(self) -> str:
        """The marketing system, with its journal and fault switches."""
        return f"http://{self._host('marketing')}:{self.ports.marketing}"

    @property
    def metrics_url(self) -> str:
        """The front's metrics, for Prometheus."""
        return f"http://127.0.0.1:{self.ports.metrics}/metrics"

    def _host(self, part: str) -> str:
        return self.places[part].host if part in self.places else "127.0.0.1"

    def _prefix(self, part: str) -> list[str]:
        return list(self.places[part].prefix) if part in self.places else []

    # --- setting up -----------------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Create certificates, keys, configuration and an application key where they are missing."""
        self.ports = self.ports.chosen(self.places)
        self.twin_ports = {part: free_port() for part in self.twins if kind_of(part) in ("front", "broker")}
        for folder in (self.folder, self.config, self.logs, self.folder / "data"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.template is not None and self.root == ROOT:
            self._copy_from(self.template)
        self._make_what_is_missing()

    def _copy_from(self, template: Path) -> None:
        """Begin with the template's files, as far as they are those that this testbed would make."""
        template.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (template / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
            if not (template / "app.key").exists():
                model = Testbed(template, Ports().chosen())
                for folder in (model.config, model.folder / "data"):
                    folder.mkdir(exist_ok=True, mode=0o700)
                model._make_what_is_missing()
                model._migrate("intranet-bridge")
            for part in self._further:
                if not (template / "twins" / f"{part}.pem").exists():
                    shutil.copytree(template / "certs", template / "twins", dirs_exist_ok=True)
                    _issue(part, template / "twins")
        if not self.own_keys and not (self.folder / "keys").exists():
            shutil.copytree(template / "keys", self.folder / "keys")
        if not self.certs.exists() and "broker" not in self.places:  # a broker elsewhere has another name
            shutil.copytree(template / "certs", self.certs)
            for part in self._further:
                for ending in ("pem", "key"):
                    shutil.copy2(template / "twins" / f"{part}.{ending}", self.certs)
        for kind, besides in (("front", ["app.key"]), ("bridge", [])):
            files = [*(template / name for name in besides), *(template / "data").glob(f"{kind}.sqlite3*")]
            own_store = any(name.startswith("store.") for name in self.settings.get(_CONFIGURATION[kind], {}))
            copies = [self.folder / file.relative_to(template) for file in files]
            if kind not in self.stores and not own_store and not any(copy.exists() for copy in copies):
                for file, copy in zip(files, copies, strict=True):
                    shutil.copy2(file, copy)

    def _make_what_is_missing(self) -> None:
        if not all((self.certs / name).exists() for name in ("broker.p12", "monitor.pem")):
            shutil.rmtree(self.certs, ignore_errors=True)
            sans = ["--broker-san", self.places["broker"].host] if "broker" in self.places else []
            run([str(BIN / "bridgectl"), "certs", "init", "--dir", str(self.certs), *sans])
        for part in self._further:
            if not (self.certs / f"{part}.pem").exists():
                _issue(part, self.certs)
        if not (self.folder / "keys" / "trusted.json").exists():
            run([str(BIN / "bridgectl"), "keys", "init", "--dir", str(self.folder / "keys")])
        self._configure()
        key_file = self.folder / "app.key"
        if not key_file.exists():
            self._migrate("dmz-front")
            key = self.ctl("apps", "add", "demo", "--scope", "*").strip()
            key_file.touch(mode=0o600)
            key_file.write_text(key)
        self.app_key = key_file.read_text()

    def _migrate(self, program: str) -> None:
        file = self.config / f"{program.replace('-', '_')}.toml"
        run([*self._program(program), "--config", str(file), "--migrate"], {"PYTHONPATH": str(self.root)})

    def _configure(self) -> None:
        keys, data = self.folder / "keys", self.folder / "data"
        link = {
            "link.brokers": self._brokers_of("front"),
            "link.ca": str(self.certs / "ca.pem"),
        }
        front: dict[str, Any] = {
            **link,
            **self._shown("front"),
            "keys.keyring": str(keys / "front.keyring"),
            "keys.trusted": str(keys / "trusted.json"),
            "store.file": str(data / "front.sqlite3"),
            "control.socket": str(self.folder / "front.sock"),
            "http.host": self._host("front"),
            "http.port": self.ports.front,
            "metrics.port": self.ports.metrics,
        }
        bridge: dict[str, Any] = {
            **link,
            **self._shown("bridge"),
            "keys.keyring": str(keys / "bridge.keyring"),
            "keys.trusted": str(keys / "trusted.json"),
            "store.file": str(data / "bridge.sqlite3"),
            "control.socket": str(self.folder / "bridge.sock"),
            "metrics.port": 0,
            **self.face.settings(self.marketing_url, data),
        }
        if self.push_port:
            bridge |= {"pushes.port": self.push_port, "pushes.token_file": str(self._push_token())}
        control: dict[str, Any] = {
            **link,
            **self._shown("monitor"),
            "front_store.file": str(data / "front.sqlite3"),
            "doctor.broker_data": str(self._broker / "data"),
        }
        for kind, values, table in (
            ("front", front, "store"),
            ("bridge", bridge, "store"),
            ("front", control, "front_store"),
        ):
            if kind in self.stores:
                values |= {f"{table}.file": None, f"{table}.url": self.stores[kind]}
        self._write_configuration("dmz_front", "dmz_front", front)
        bridge = self._write_bindings(bridge | self.settings.get("intranet_bridge", {}))
        self._write_configuration("intranet_bridge", "intranet_bridge", bridge)
        self._write_configuration("bridgectl", "bridgectl", control)
        for part in self._further:
            name = _CONFIGURATION[kind_of(part)]
            own: dict[str, Any] = {
                "name": part,
                "metrics.port": 0,
                "control.socket": str(self.folder / f"{part}.sock"),
                **({"link.brokers": self._brokers_of(part)} if len(self._brokers_of(part)) > 1 else {}),
                **self._shown(part),
            }
            if part in self.twin_ports:
                own["http.port"] = self.twin_ports[part]
            self._write_configuration(name, part, (front if kind_of(part) == "front" else bridge) | own)

    def _shown(self, name: str) -> dict[str, Any]:
        """What shows the broker who connects."""
        return {"link.certificate": str(self.certs / f"{name}.pem"), "link.key": str(self.certs / f"{name}.key")}

    def _push_token(self) -> Path:
        """The file of the token that the marketing system shows when it pushes."""
        file = self.folder / "pushes.token"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(24))
        return file

    def _write_configuration(self, shipped: str, name: str, values: dict[str, Any]) -> None:
        text = (self.root / "config" / f"{shipped}.toml").read_text(encoding="utf-8")
        if shipped != "intranet_bridge":
            values = values | self.settings.get(shipped, {})
        # an earlier release has no control socket
        left = () if "\n[control]\n" in text else ("control.",)
        changed = with_values(text, {key: value for key, value in values.items() if not key.startswith(left)})
        (self.config / f"{name}.toml").write_text(changed, encoding="utf-8")

    def _write_bindings(self, values: dict[str, Any]) -> dict[str, Any]:
        """Write the bridge's files of bindings, each with the values whose tables it has; the values that are left."""
        main = (self.root / "config" / "intranet_bridge.toml").read_text(encoding="utf-8")
        gone = {key: None for key, value in values.items() if value is None and "." not in key}  # whole tables of it
        main = with_values(main, gone)
        files = sorted((self.root / self.face.bindings).glob("*.toml"))
        texts = {file.name: file.read_text(encoding="utf-8") for file in files}
        own: dict[str, dict[str, Any]] = {"": {}, **{name: {} for name in texts}}
        for key, value in values.items():
            place = "" if key in gone else max(("", *texts), key=lambda name: depth(texts.get(name, main), key))
            # operations are bound in files of their own; who sets something of one that is not bound sets nothing
            if not key.startswith("operations.") or (place and depth(texts[place], key) > 1):
                own[place][key] = value
        for name, text in texts.items():
            (self.config / "bindings").mkdir(exist_ok=True)
            (self.config / "bindings" / name).write_text(with_values(text, own[name]), encoding="utf-8")
        return own[""]

    def _configuration_of(self, part: str) -> str:
        return str(self.config / f"{_CONFIGURATION.get(part, part)}.toml")

    def ctl(self, *arguments: str) -> str:
        """Run bridgectl against this testbed; its output."""
        environment = {"BRIDGECTL_CONFIG": str(self.config / "bridgectl.toml"), "PYTHONPATH": str(self.root)}
        return run([str(BIN / "bridgectl"), *arguments], environment)

    # --- running --------------------------------------------------------------------------------------------

    def start(self, *parts: str, wait: bool = True) -> None:
        """Start the parts (default: all) that are not running, each ready before the next. Raises TestbedError.

        Without `wait` a part is only launched; a broker is waited for until it accepts connections all the same.
        """
        for part in parts or self.parts:
            if not self.running(part):
                match kind_of(part):
                    case "broker":
                        self._start_broker(part)
                    case "marketing":
                        self._start_marketing(wait)
                    case "bridge":
                        self._start_bridge(part, wait)
                    case _:
                        self._start_front(part, wait)
                self.save()

    def start_and_confirm(self, part: str) -> None:
        """Start a part, and return when it reports itself ready; otherwise stop it and raise TestbedError.

        `start` trusts the bridge's last announcement, which may be from before it died.
        """
        try:
            with notified() as (address, ready):
                own = self.environment.get(part, {})
                self.environment[part] = own | {"NOTIFY_SOCKET": address}
                try:
                    self.start(part, wait=kind_of(part) != "bridge")
                finally:
                    self.environment[part] = own
                pid, log = self.pids[part], self.logs / f"{part}.log"
                says_so = kind_of(part) in _CONFIGURATION
                wait_until(lambda: ready() or not says_so, PATIENCE_S, f"the {part}", pid, log)
                wait_until(lambda: alive(pid), 0, f"the {part}", pid, log)
        except BaseException:
            self.stop(part)
            raise

    def stop(self, *parts: str) -> None:
        """Stop parts (all by default), the last started first."""
        for part in reversed(parts or self.parts):
            pid = self.pids.get(part)
            if pid is None:
                continue
            if kind_of(part) == "broker":
                instance = str(self._instance(part))
                run([sys.executable, str(ROOT / "scripts" / "broker"), "stop", "--instance", instance])
                alive(pid)
            else:
                stop(pid)
            del self.pids[part]
        if self.folder.exists():
            self.save()

    def kill(self, part: str) -> None:
        """Kill a part at once, as a power failure would."""
        os.kill(self.pids[part], 9)
        wait_until(lambda: not alive(self.pids[part]), PATIENCE_S, f"the killed {part}'s end")

    def running(self, part: str) -> bool:
        """Whether a part's process is running."""
        return part in self.pids and alive(self.pids[part])

    @property
    def _broker_address(self) -> str:
        host = self.places["broker"].host if "broker" in self.places else "localhost"
        return f"{host}:{self.ports.broker}"

    @property
    def _broker(self) -> Path:
        return self.folder / "broker"

    def _brokers_of(self, part: str) -> list[str]:
        """The brokers' addresses in the order in which a part tries them."""
        others = [f"localhost:{self.twin_ports[twin]}" for twin in self.twins if kind_of(twin) == "broker"]
        addresses = [self._broker_address, *others]
        first = (int(part.partition("-")[2] or 1) - 1) % len(addresses)
        return addresses[first:] + addresses[:first]

    def _instance(self, broker: str) -> Path:
        return self._broker if broker == "broker" else self.folder / broker

    def _start_broker(self, part: str) -> None:
        command = [*self._prefix("broker"), sys.executable, str(ROOT / "scripts" / "broker")]
        where = ["--instance", str(self._instance(part))]
        port = self.twin_ports.get(part, self.ports.broker)
        how = ["--certs", str(self.certs), "--port", str(port), "--kind", self.broker_kind]
        if conf := self._shared_ledger() or self.broker_conf:
            how += ["--conf", str(conf)]
        how += ["--host", self._host("broker")]
        with uninterrupted():  # else a Java process could be left behind unrecorded
            run([*command, "start", *where, *how], own_session=True)
            self.pids[part] = int(json.loads(run([*command, "status", *where, "--json"], own_session=True))["pid"])
            self.save()

    def _shared_ledger(self) -> Path | None:
        """The broker's files for fronts on one database (activemq/groups.properties); None where there is one front."""
        fronts = [part for part in self.twins if kind_of(part) == "front"]
        if not fronts:
            return None
        conf = self.folder / "activemq"
        shutil.copytree(self.broker_conf or ROOT / "activemq", conf, dirs_exist_ok=True)
        name_fronts(conf, ["front-1", *fronts])
        return conf

    def _start_marketing(self, wait: bool) -> None:
        data = self.folder / "data"
        command = [
            sys.executable,
            str(ROOT / "scripts" / "tools" / "marketing_simulator"),
            "--port",
            str(self.ports.marketing),
        ]
        command += ["--database", str(data / "marketing.sqlite3"), "--token-file", str(data / "marketing.token")]
        command += ["--host", self._host("marketing"), *self.face.options(data)]
        command += ["--customers", str(self.customers), "--seed", "1", "--today", self.today]
        if self.push_port:
            command += ["--push-url", f"http://127.0.0.1:{self.push_port}/v1/pushes"]
            command += ["--push-token-file", str(self._push_token())]
        self._launch(
            "marketing",
            command,
            lambda: not wait or self._answers(f"{self.marketing_url}/health", "marketing"),
        )

    def _program(self, daemon: str) -> list[str]:
        """A daemon's command. Of another source tree, what its command does: the installed one begins in this tree."""
        if self.root == ROOT:
            return [str(BIN / daemon)]
        project = tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        module, _, main = project["scripts"][daemon].partition(":")
        return [sys.executable, "-P", "-c", f"from {module} import {main}; {main}()"]

    def _start_bridge(self, part: str, wait: bool) -> None:
        # A bridge and a front report together when they are ready; without a front, only the process can be checked.
        command = [*self._program("intranet-bridge"), "--config", self._configuration_of(part)]
        self._launch(part, command, lambda: True)
        if wait and self.running("front"):
            self._wait_ready("front", part)

    def _start_front(self, part: str, wait: bool) -> None:
        command = [*self._program("dmz-front"), "--config", self._configuration_of(part)]
        self._launch(part, command, lambda: not wait or self._answers(f"{self.url_of(part)}/healthz", part))
        bridges = [bridge for bridge in self.parts if kind_of(bridge) == "bridge" and self.running(bridge)]
        if wait and bridges and self.running("broker"):
            self._wait_ready(part, *bridges)

    def _wait_ready(self, front: str, *bridges: str) -> None:
        """Until each of these bridges takes requests, and the front has heard of one."""
        for bridge in bridges:
            pid, log = self.pids[bridge], self.logs / f"{bridge}.log"
            # what the front heard last may be from before this process
            wait_until(partial(self._connected, bridge), PATIENCE_S, f"the {bridge}", pid, log)
        url = f"{self.url_of(front)}/readyz"
        wait_until(lambda: self._answers(url, front), PATIENCE_S, "the pair", pid, log)

    def _connected(self, bridge: str) -> bool:
        """Whether this process of a bridge has all its connections to the broker, by its own account."""
        if "\n[control]\n" not in Path(self._configuration_of(bridge)).read_text(encoding="utf-8"):
            return True  # an earlier release has nobody to ask
        with (
            contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as channel,
            short_path(self.folder / f"{bridge}.sock") as address,
        ):  # fmt: skip
            channel.settimeout(10)
            channel.connect(address)
            channel.sendall(b'{"ask": "report"}\n')
            told = json.loads(channel.makefile("rb").readline()).get("answer", {})
            return told.get("pid") == self.pids[bridge] and all(link["connected"] for link in told["links"])
        return False

    def _launch(self, part: str, command: list[str], ready: Any) -> None:
        log = self.logs / f"{part}.log"
        environment = {"PYTHONPATH": str(self.root), **self.environment.get(part, {})}
        with uninterrupted():
            self.pids[part] = start([*self._prefix(part), *command], log, environment)
            self.save()
        wait_until(ready, PATIENCE_S, f"the {part}", self.pids[part], log)

    def _answers(self, url: str, part: str = "") -> bool:
        """Whether it answers 200, asked from where `part` runs."""
        if prefix := self._prefix(part):
            curl = [*prefix, "curl", "-fs", "-o", "/dev/null", "--max-time", "2", url]
            return subprocess.run(curl, check=False).returncode == 0
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # our own loopback address
                return bool(answer.status == 200)
        except (TimeoutError, urllib.error.URLError, OSError):
            return False

    # --- the state file -------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write state.json: the running processes and their addresses."""
        state = {
            "front_url": self.front_url,
            "app_key": self.app_key,
            "broker": self._broker_address,
            "pids": self.pids,
            "marketing_url": self.marketing_url,
            "customers": self.customers,
            "push_port": self.push_port,
            "today": self.today,
            "certs_dir": str(self.certs),
            "var_dir": str(self.folder),
        }
        new = self.state_file.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(state, indent=2) + "\n")
        new.replace(self.state_file)

    @classmethod
    def attach(cls, folder: Path) -> "Testbed":
        """The testbed that state.json describes. Raises TestbedError when there is none."""
        try:
            state = json.loads((folder / "state.json").read_text())
        except OSError as error:
            raise TestbedError(f"no demo is running in {folder}; start it with ./scripts/demo") from error
        port = {name: int(state[key].rpartition(":")[2]) for name, key in _PORT_KEYS.items()}
        return cls(
            folder, Ports(**port), pids=state["pids"], app_key=state["app_key"], customers=state["customers"],
            push_port=state["push_port"],
            today=state["today"],
        )  # fmt: skip


def _issue(part: str, certs: Path) -> None:
    """A further instance's certificate, by the authority whose key is in the folder."""
    run([str(BIN / "bridgectl"), "certs", "issue", kind_of(part), "--name", part, "--dir", str(certs)])


_PORT_KEYS = {"front": "front_url", "broker": "broker", "marketing": "marketing_url"}
