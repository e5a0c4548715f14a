"""A host and a bundle as values: nothing of this machine is looked at."""

from pathlib import Path

import pytest

from scripts.tools.installer.facts import Facts
from scripts.tools.installer.source import SOURCE as ROOT
from scripts.tools.installer.source import Source

SHIPPED = {
    path.relative_to(ROOT).as_posix(): path.read_bytes()
    for folder in ("config", "activemq")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.is_file()
}
BROKER_UNIT = b"[Service]\nUser=dmz-broker\nStateDirectory=dmz-bridge-broker\n"


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """An unpacked bundle, with two wheels that are named and empty."""
    (tmp_path / "wheels").mkdir()
    for name in ("pip-26.3-py3-none-any.whl", "dmz_bridge-0.1.0-py3-none-any.whl"):
        (tmp_path / "wheels" / name).touch()
    files = {"config/systemd/dmz-bridge-broker.service": BROKER_UNIT, **SHIPPED}
    return Source(tmp_path, "1.0", True, ("3.11",), files, str(tmp_path / "broker/lib"), "6.3.1", ("config",))


@pytest.fixture
def fresh() -> Facts:
    """A host with nothing on it."""
    return Facts(manager="systemd", python=(3, 11), java=17, hostname="dmz.example", tree={})
