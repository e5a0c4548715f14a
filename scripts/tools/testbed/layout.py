"""The layout of a testbed: the parts, their ports and the hosts they run on."""

import sys
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from scripts.tools.testbed.processes import check_free, free_port

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
PARTS = ("broker", "marketing", "bridge", "front")
"""In the order they start."""


@dataclass
class Ports:
    """The ports of the parts. 0 chooses a free one."""

    front: int = 0
    broker: int = 0
    marketing: int = 0
    metrics: int = 0
    """The front's metrics; the bridge's are off, so that it listens on nothing at all."""

    def chosen(self, elsewhere: Container[str] = ()) -> "Ports":
        """With every 0 replaced; raises TestbedError for a port that is taken on this machine's loopback."""
        for name, port in vars(self).items():
            if port and name not in elsewhere:
                check_free(port, f"the {name}", f"--{name}-port")
        return Ports(**{name: port or free_port() for name, port in vars(self).items()})


@dataclass(frozen=True)
class Place:
    """Where a part runs, when that is not simply this machine."""

    prefix: tuple[str, ...]
    """Prepended to its commands, for example `ip netns exec NAME`."""
    host: str
    """The IPv4 address it listens on; 127.0.0.1 for a part that is only called from its own place."""


def kind_of(part: str) -> str:
    """`front-2` is a front."""
    return part.partition("-")[0]
