"""Which of the two daemons a command asks, as options of a command line."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Side(StrEnum):
    """Which daemon is asked."""

    FRONT = "front"
    BRIDGE = "bridge"


At = Annotated[Side | None, typer.Option("--side", help="which daemon is asked [default: the bridge, if it is here]")]
Config = Annotated[
    Path | None, typer.Option("--bridge-config", help="of intranet-bridge [default: beside bridgectl.toml]")
]
