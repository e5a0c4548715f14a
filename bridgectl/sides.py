"""Which of the two daemons a command is about, as options of a command line."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bridgectl import daemons
from protocol.messages import Role


class Side(StrEnum):
    """Which of the two daemons."""

    FRONT = "front"
    BRIDGE = "bridge"


At = Annotated[Side | None, typer.Option("--side", help="which daemon is asked [default: the bridge, if it is here]")]
Config = Annotated[
    Path | None, typer.Option("--bridge-config", help="of intranet-bridge [default: beside bridgectl.toml]")
]


def daemon(side: Side | None, bridge_config: Path | None) -> tuple[Role, Path]:
    """The daemon that `--side` and `--bridge-config` mean, and its configuration. Raises ConfigurationError."""
    return daemons.one(None if side is None else Role(side.value), bridge_config)
