"""A front with a scripted bridge (see stand.py), and a store of the front's tables."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dmz_front.ledger.rows import METADATA
from protocol.keyring import Keyring
from protocol.runtime.store import Store
from tests.unit.clock import Clock
from tests.unit.dmz_front.stand import StandIn


@pytest.fixture
async def stand(
    tmp_path: Path, key_directory: Path, bridge_keyring: Keyring, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[StandIn]:
    """Not started: a test may change settings and catalogue first."""
    stand = StandIn(tmp_path, key_directory, bridge_keyring, clock, monkeypatch)
    yield stand
    if hasattr(stand, "front"):
        await stand.stop()


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """On SQLite, and on PostgreSQL where there is one."""
    store = Store(database_url, METADATA.create_all)
    await store.start()
    yield store
    await store.close()
