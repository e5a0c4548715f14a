"""The database of a daemon on this host, as its configuration names it, whether the daemon runs or not."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict

from bridgectl.programs import PROGRAMS
from bridgectl.sides import Side, daemon
from protocol.messages import Role
from protocol.runtime.backup import Owner, Program
from protocol.runtime.settings import Name, StoreSection, load

At = Annotated[Side | None, typer.Option("--side", help="whose database [default: the bridge's, if it is here]")]
_DEFAULT_NAMES = {Role.FRONT: "front-1", Role.BRIDGE: "bridge-1"}


@dataclass(frozen=True, slots=True)
class Place:
    """A database, and whose it is."""

    store: StoreSection
    owner: Owner


class _Store(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    include: tuple[str, ...] = ()
    store: StoreSection


class _Named(_Store):
    name: Name | None = None


class _View(_Named):
    region: Name = "main"


def store_of(configuration: Path) -> StoreSection:
    """Where the database of a daemon is. Raises ConfigurationError."""
    return load(configuration, _Store).store


def instance_of(role: Role, configuration: Path) -> str:
    """What the daemon is called. Raises ConfigurationError."""
    return load(configuration, _Named).name or _DEFAULT_NAMES[role]


def of(side: Side | None, bridge_config: Path | None = None) -> Place:
    """Where it is. Raises ConfigurationError."""
    role, path = daemon(side, bridge_config)
    view = load(path, _View)
    program: Program = "dmz-front" if PROGRAMS[role] == "dmz-front" else "intranet-bridge"
    owner = Owner(
        program=program, instance=view.name or _DEFAULT_NAMES[role], region=view.region, software=version("dmz-bridge")
    )  # fmt: skip
    return Place(view.store, owner)


def side_of(program: Program) -> Side:
    """Whose program it is."""
    return Side.FRONT if program == "dmz-front" else Side.BRIDGE
