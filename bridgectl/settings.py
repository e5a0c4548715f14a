"""Where bridgectl finds things (config/bridgectl.toml shows every key with its meaning)."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field

from bridgectl.language import tr
from bridgectl.programs import CONFIGURATIONS
from protocol.errors import ConfigurationError
from protocol.messages import Role
from protocol.runtime.settings import Address, FilePath, LinkSection, Name, Port, Section, StoreSection, load

DEFAULT = Path("/etc/dmz-bridge/bridgectl.toml")


class DoctorSection(Section):
    """What `bridgectl doctor` looks at, and what it makes of it."""

    front_config: FilePath | None = None
    """Default: dmz_front.toml beside bridgectl.toml."""
    bridge_config: FilePath | None = None
    """Default: intranet_bridge.toml beside bridgectl.toml."""
    inward: tuple[Address, ...] = ()
    """Intranet addresses that the DMZ must not reach; tried on the front's host."""
    expected_listeners: tuple[Port, ...] = ()
    """Ports of this host that may be reachable, e.g. of sshd. The bridge's own never may."""
    broker_data: FilePath | None = None
    """The broker's journal, if the broker runs on this host."""
    disk_warn_mb: Annotated[int, Field(ge=0)] = 1024
    disk_warn_percent: Annotated[float, Field(ge=0, le=100)] = 10.0
    disk_fail_mb: Annotated[int, Field(ge=0)] = 100
    """Free space below which a disk is a warning (either), a failure."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    """Of each answer waited for."""
    inward_timeout_s: Annotated[float, Field(gt=0, le=60)] = 3.0
    """A way inward without an answer is taken for dropped after it."""
    presence_s: Annotated[float, Field(gt=0, le=120)] = 15.0
    """How long the presence of bridges is listened for."""


class ControlSettings(Section):
    """config/bridgectl.toml."""

    region: Name = "main"
    """the queues' region"""
    link: LinkSection | None = None
    operator: LinkSection | None = None
    """With an operator's certificate, for dead letters. Default: `link`, if its certificate is an operator's."""
    front_store: StoreSection | None = None
    doctor: DoctorSection = DoctorSection()

    def configurations(self, control: Path) -> dict[Role, Path]:
        """Where each daemon's configuration is, if it has one on this host. `control`: where bridgectl.toml is."""
        named = {Role.BRIDGE: self.doctor.bridge_config, Role.FRONT: self.doctor.front_config}
        return {role: path or control.parent / CONFIGURATIONS[role] for role, path in named.items()}


def control_path() -> Path:
    """Where the settings are: `BRIDGECTL_CONFIG`, or the default place."""
    return Path(os.environ.get("BRIDGECTL_CONFIG", DEFAULT))


def control_settings() -> tuple[Path, ControlSettings]:
    """The settings and the file they are from. Raises ConfigurationError."""
    path = control_path()
    if not path.exists():
        raise ConfigurationError(
            tr("is not there: run this on the host of a daemon, or name its bridgectl.toml in BRIDGECTL_CONFIG"),
            file=str(path),
        )
    return path, load(path, ControlSettings)


def settings_or_defaults() -> tuple[Path, ControlSettings]:
    """The settings, or what holds without any, and where their file is or would be. Raises ConfigurationError."""
    path = control_path()
    return path, load(path, ControlSettings) if path.exists() else ControlSettings()


def link_section() -> LinkSection:
    """How to reach the broker. Raises ConfigurationError."""
    path, settings = control_settings()
    if settings.link is None:
        raise ConfigurationError(tr("has no [link] table, which this command needs"), file=str(path))
    return settings.link


def operator_section() -> LinkSection:
    """How to reach the broker as an operator. Raises ConfigurationError."""
    path, settings = control_settings()
    found = settings.operator or settings.link
    if found is None:
        raise ConfigurationError(
            tr("has neither `operator` nor a [link] table, which this command needs"), file=str(path)
        )
    return found


def front_store() -> StoreSection:
    """The front's database. Raises ConfigurationError."""
    path, settings = control_settings()
    if settings.front_store is None:
        raise ConfigurationError(tr("has no [front_store] table, which this command needs"), file=str(path))
    return settings.front_store
