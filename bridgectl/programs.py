"""The two daemons, as an installation names them."""

from protocol.messages import Role

PROGRAMS = {Role.FRONT: "dmz-front", Role.BRIDGE: "intranet-bridge"}
"""The daemon's command, and the user its systemd unit runs it as."""
CONFIGURATIONS = {Role.FRONT: "dmz_front.toml", Role.BRIDGE: "intranet_bridge.toml"}
