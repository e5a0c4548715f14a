"""The systemd units: their hardening, what systemd-analyze says of them, and that they fit the configuration files."""

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from bridgectl.programs import CONFIGURATIONS, PROGRAMS
from dmz_front.http.server import OTHER_FILES
from dmz_front.settings import FrontSettings
from intranet_bridge.settings import BridgeSettings
from protocol.runtime.settings import load

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "config" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
DAEMONS = [FOLDER / f"{program}.service" for program in PROGRAMS.values()]
NOTIFY_RELOAD = 253
"""The systemd that knows Type=notify-reload."""

HARDENING = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "PrivateUsers": "yes",
    "PrivateMounts": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectControlGroups": "yes",
    "ProtectClock": "yes",
    "ProtectHostname": "yes",
    "ProtectProc": "invisible",
    "ProcSubset": "pid",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "RemoveIPC": "yes",
    "LockPersonality": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "SystemCallArchitectures": "native",
    "SystemCallErrorNumber": "EPERM",
    "UMask": "0077",
    "LimitCORE": "0",
    "Restart": "always",
}


def unit(path: Path) -> dict[str, dict[str, list[str]]]:
    """Section → directive → its values, in order (a directive may be repeated)."""
    found: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in path.read_text().replace("\\\n", " ").splitlines():
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section = found.setdefault(header[1], {})
            continue
        name, equals, value = line.partition("=")
        assert equals, line
        assert re.fullmatch(r"[A-Z]\w*", name), line
        section.setdefault(name, []).append(value)
    return found


def test_every_unit_is_known_here() -> None:
    assert {path.name for path in UNITS} == {*(path.name for path in DAEMONS), "dmz-bridge-broker.service"}


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_are_hardened_and_never_given_up(path: Path) -> None:
    sections = unit(path)
    service = sections["Service"]
    assert {name: service.get(name, ["(missing)"])[-1] for name in HARDENING} == HARDENING
    assert service["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]
    assert service["User"] != ["root"]
    assert service["User"] == service["Group"]
    assert sections["Unit"]["StartLimitIntervalSec"] == ["0"]
    assert sections["Unit"]["PartOf"] == ["dmz-bridge.target"]
    assert sections["Install"]["WantedBy"] == ["dmz-bridge.target multi-user.target"]


@pytest.mark.parametrize("path", DAEMONS, ids=lambda path: path.name)
def test_the_daemons_units_start_what_there_is(path: Path) -> None:
    service = unit(path)["Service"]
    assert service["Type"] == ["notify"]
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert service["MemoryDenyWriteExecute"] == ["yes"]
    assert 10 <= int(service["WatchdogSec"][0]) <= 60
    program, *arguments = shlex.split(service["ExecStart"][0])
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert Path(program).name in scripts
    (role,) = (role for role, name in PROGRAMS.items() if name == path.stem)
    assert arguments == ["--config", f"/etc/dmz-bridge/{CONFIGURATIONS[role]}"]
    assert Path(program).name == path.stem == service["User"][0]
    names = [line.split(":") for line in service["LoadCredential"]]
    assert all(stored == f"dmz-bridge.{name}" for name, stored in names)
    assert [f"{role.value}.key", f"{role.value}.keyring"] == [name for name, _ in names][:2]


def test_the_units_fit_the_configuration_files() -> None:
    front = load(ROOT / "config" / "dmz_front.toml", FrontSettings)
    bridge = load(ROOT / "config" / "intranet_bridge.toml", BridgeSettings)
    for settings, drain_s, path in (
        (front, front.delivery.drain_s, FOLDER / "dmz-front.service"),
        (bridge, bridge.drain_s, FOLDER / "intranet-bridge.service"),
    ):
        service = unit(path)["Service"]
        assert int(service["TimeoutStopSec"][0]) > drain_s + 2
        assert settings.store.file is not None
        assert settings.store.file.parent == Path("/var/lib") / service["StateDirectory"][0]
        assert service["StateDirectoryMode"] == ["0700"]
        assert settings.control.socket is not None
        assert settings.control.socket.parent == Path("/run") / service["RuntimeDirectory"][0]
    front_service = unit(FOLDER / "dmz-front.service")["Service"]
    assert int(front_service["LimitNOFILE"][0]) >= front.http.connections + OTHER_FILES
    bridge_service = unit(FOLDER / "intranet-bridge.service")["Service"]
    assert bridge_service["SocketBindDeny"] == ["any"]
    assert bridge_service["SocketBindAllow"] == [f"ipv4:tcp:{bridge.metrics.port}"]


def test_the_broker_is_given_what_its_configuration_asks_for() -> None:
    service = unit(FOLDER / "dmz-bridge-broker.service")["Service"]
    command = shlex.split(service["ExecStart"][0])
    properties = dict(word[2:].split("=", 1) for word in command if word.startswith("-D") and "=" in word)
    asked = set(re.findall(r"\$\{(dmz\.[a-z]+)(?::[^}]*)?\}", (ROOT / "activemq" / "activemq.xml").read_text()))
    assert {name for name in properties if name.startswith("dmz.")} <= asked
    required = set(re.findall(r"\$\{(dmz\.[a-z]+)\}", (ROOT / "activemq" / "activemq.xml").read_text()))
    assert required <= set(properties)
    assert properties["dmz.certs"] == "%d"
    assert properties["dmz.data"] == f"/var/lib/{service['StateDirectory'][0]}"
    assert {line.partition(":")[0] for line in service["LoadCredential"]} == {
        "broker.p12", "truststore.p12", "broker.p12.password",
    }  # fmt: skip
    assert "MemoryDenyWriteExecute" not in service  # Java could not start
    assert service["SuccessExitStatus"] == ["143"]
    for name in ("login.config", "log4j2.properties", "activemq.xml"):
        assert any(f"/etc/dmz-bridge/activemq/{name}" in word for word in command)
        assert (ROOT / "activemq" / name).exists()
    assert "-XX:+ExitOnOutOfMemoryError" in command  # a broker without memory ends, and is started again


# --- what systemd itself says ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def version() -> int:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here (Debian's package systemd)")
    said = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.split()[1])


@pytest.fixture
def installed(tmp_path: Path, version: int) -> Path:
    """The units as they would be installed, except that their programs are where some program is."""
    for path in FOLDER.glob("*.*"):
        if path.suffix in (".service", ".target"):
            text = re.sub(r"(?m)^ExecStart=/\S+", "ExecStart=/bin/true", path.read_text())
            (tmp_path / path.name).write_text(re.sub(r"(?m)^Documentation=.*\n", "", text))
    if version >= NOTIFY_RELOAD:
        for path in DAEMONS:
            (tmp_path / f"{path.name}.d").mkdir()
            shutil.copy(FOLDER / "notify-reload.conf", tmp_path / f"{path.name}.d")
    return tmp_path


def test_systemd_has_nothing_to_say_against_them(installed: Path) -> None:
    units = sorted(path for path in installed.iterdir() if path.is_file())
    assert len(units) == len(UNITS) + 1
    said = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    about = [line for line in said.stderr.splitlines() if str(installed) in line or "dmz" in line or "bridge" in line]
    assert (said.returncode, about) == (0, [])


def test_systemd_would_say_so(installed: Path) -> None:
    path = installed / "dmz-front.service"
    path.write_text(path.read_text().replace("PrivateTmp=yes", "PrivateTemp=yes"))
    said = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert "PrivateTemp" in said.stderr


@pytest.mark.parametrize("name", [path.name for path in UNITS])
def test_their_exposure_is_small(installed: Path, name: str) -> None:
    command: list[str | Path] = ["systemd-analyze", "security", "--offline=yes", "--no-pager", installed / name]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said.stdout)
    assert found, said.stderr
    assert float(found[1]) <= 1.5
    assert said.returncode == 0
