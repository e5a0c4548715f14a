"""Where things are on a host, and what belongs to each role."""

from __future__ import annotations

from dataclasses import dataclass

ETC = "/etc/dmz-bridge"
STATE = "/var/lib/dmz-bridge"
UNITS = "/etc/systemd/system"
PREFIX = "/opt/dmz-bridge"
TARGET = "dmz-bridge.target"
ROLES = ("front", "bridge", "broker")
JAVA = 17
"""The oldest that the broker takes."""


@dataclass(frozen=True)
class Role:
    """What one role is made of. Paths are below the source's folder, below /etc/dmz-bridge, or below --secrets."""

    name: str
    unit: str
    program: str
    """Checks the configuration and migrates; empty: the role has none."""
    configuration: str
    """The daemon's file in /etc/dmz-bridge."""
    folders: tuple[str, ...]
    """Folders of shipped files, whole."""
    certificates: tuple[str, ...]
    """Stems of `certs/`: `STEM.pem` and `STEM.key`."""
    secrets: tuple[str, ...]
    """Further files of its own, for nobody but its service."""
    public: tuple[str, ...]
    firewall: str
    other: str
    """The role at the other side of the boundary."""


FRONT = Role(
    "front", "dmz-front.service", "dmz-front", "dmz_front.toml", (), ("front",), ("keys/front.keyring",),
    ("certs/ca.pem", "keys/trusted.json"), "dmz-front.nft", "bridge",
)  # fmt: skip
BRIDGE = Role(
    "bridge", "intranet-bridge.service", "intranet-bridge", "intranet_bridge.toml", ("bindings",), ("bridge",),
    ("keys/bridge.keyring",), ("certs/ca.pem", "keys/trusted.json"), "intranet-bridge.nft", "front",
)  # fmt: skip
BROKER = Role(
    "broker", "dmz-bridge-broker.service", "", "", (), (), ("certs/broker.p12", "certs/broker.p12.password"),
    ("certs/ca.pem", "certs/truststore.p12"), "", "bridge",
)  # fmt: skip
KNOWN = {role.name: role for role in (FRONT, BRIDGE, BROKER)}
MONITOR = ("certs/monitor.pem", "certs/monitor.key")
"""For `bridgectl queues`, `status` and `doctor` on each host; root's alone."""
