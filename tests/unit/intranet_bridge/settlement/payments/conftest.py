"""What tests of payment orders share."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from protocol.keyring import Keyring
from tests.unit.intranet_bridge.settlement.payments.world import world


@pytest.fixture
def make(database_url: str, bridge_keyring: Keyring, tmp_path: Path) -> Callable[..., Any]:
    """Makes a bridge with payment orders, on each database."""
    return partial(world, database_url, bridge_keyring, tmp_path)
