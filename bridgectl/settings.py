"""Where bridgectl finds things (config/bridgectl.toml shows every key with its meaning)."""

import os
from pathlib import Path

from protocol.errors import ConfigurationError
from protocol.runtime.settings import LinkSection, Name, Section, StoreSection, load

DEFAULT = Path("/etc/dmz-bridge/bridgectl.toml")


class ControlSettings(Section):
    """config/bridgectl.toml."""

    region: Name = "main"
    link: LinkSection | None = None
    front_store: StoreSection | None = None


def control_settings() -> tuple[Path, ControlSettings]:
    """The settings and the file they are from: `BRIDGECTL_CONFIG`, or the default place."""
    path = Path(os.environ.get("BRIDGECTL_CONFIG", DEFAULT))
    return path, load(path, ControlSettings)


def link_section() -> LinkSection:
    """How to reach the broker. Raises ConfigurationError."""
    path, settings = control_settings()
    if settings.link is None:
        raise ConfigurationError("has no [link] table, which this command needs", file=str(path))
    return settings.link


def front_store() -> StoreSection:
    """The front's database. Raises ConfigurationError."""
    path, settings = control_settings()
    if settings.front_store is None:
        raise ConfigurationError("has no [front_store] table, which this command needs", file=str(path))
    return settings.front_store
