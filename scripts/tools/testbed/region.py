"""A further region on a testbed's broker: a bridge, a front and a marketing system of its own, with keys of its own."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from scripts.tools.testbed.layout import BIN, Place, kind_of
from scripts.tools.testbed.processes import run
from scripts.tools.testbed.testbed import Testbed


@dataclass
class Region(Testbed):
    """Another region's parts, in a folder of their own. Set up after `of`, and started after its broker."""

    own_keys: ClassVar[bool] = True

    of: Testbed = field(kw_only=True, repr=False)
    """Has the broker, and the authority whose certificates it knows."""
    name: str = field(kw_only=True)
    """Of the region."""
    front_name: str = "front-2"
    """One that the broker's configuration files name."""
    bridge_name: str = "bridge-1"
    """By default the same as in the other region: names are a region's own."""

    @property
    def certs(self) -> Path:
        """Certificates and their keys."""
        return self.of.certs

    @property
    def parts(self) -> tuple[str, ...]:
        """All parts, in the order they start."""
        return tuple(part for part in super().parts if kind_of(part) != "broker")

    def set_up(self) -> None:
        """Create what is missing, besides what `of` has."""
        self.places = {"broker": Place((), "localhost"), **self.places}
        self.ports.broker = self.of.ports.broker
        self.settings = {
            "dmz_front": {"name": self.front_name, "region": self.name, **self.settings.get("dmz_front", {})},
            "intranet_bridge": {
                "name": self.bridge_name, "region": self.name, **self.settings.get("intranet_bridge", {}),
            },
            "bridgectl": {"region": self.name, **self.settings.get("bridgectl", {})},
        }  # fmt: skip
        super().set_up()

    def running(self, part: str) -> bool:
        """Whether a part's process is running."""
        return self.of.running(part) if part == "broker" else super().running(part)

    @property
    def _broker(self) -> Path:
        return self.of.folder / "broker"

    def _shown(self, name: str) -> dict[str, Any]:
        own = {"front": self.front_name, "bridge": f"bridge-{self.name}"}.get(name, name)
        if not (self.certs / f"{own}.pem").exists():
            issue = ["certs", "issue", name, "--name", own, "--dir", str(self.certs)]
            run([str(BIN / "bridgectl"), *issue])
        return super()._shown(own)
