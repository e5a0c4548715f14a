"""An installation's files in a folder: the shipped configuration, certificates, keys, a token."""

import datetime
import shutil
from pathlib import Path

from bridgectl import certificate_files, keys
from protocol.messages import Role
from tests.support.shipped import BRIDGE, CONFIG, copied

FRONT = CONFIG / "dmz_front.toml"
CONTROL = CONFIG / "bridgectl.toml"


def install(folder: Path) -> None:
    """Everything, with databases and sockets in the folder, and ports that the system chooses where it may."""
    now = datetime.datetime.now(datetime.UTC)
    roles = {Role.BROKER: ["broker-1"], Role.FRONT: ["front-1"], Role.BRIDGE: ["bridge-1"], Role.MONITOR: ["monitor-1"]}
    certificate_files.init(folder / "certs", {**roles, Role.OPERATOR: ["operator-1"]})
    keys.init(folder / "keys", now=now)
    (folder / "marketing.token").write_text("token")
    copied(folder)
    for file in (FRONT, CONTROL):
        shutil.copy(file, folder)
    for name in (BRIDGE.name, FRONT.name, CONTROL.name):
        text = (folder / name).read_text(encoding="utf-8")
        for old, new in (
            ("/var/lib/dmz-bridge/", ""), ("/run/intranet-bridge/", "bridge-"), ("/run/dmz-front/", "front-"),
            ("port = 9101", "port = 0"), ("port = 9102", "port = 0"),
        ):  # fmt: skip
            text = text.replace(old, new)
        (folder / name).write_text(text, encoding="utf-8")
