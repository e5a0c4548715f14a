"""A front with a scripted bridge (see harness.py), and a store of the front's tables."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dmz_front.ledger.rows import METADATA
from protocol.keyring import Keyring
from protocol.runtime.store import Store
from tests.unit.clock import Clock
from tests.unit.dmz_front.harness import Harness


@pytest.fixture
async def harness(
    tmp_path: Path, key_directory: Path, bridge_keyring: Keyring, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Harness]:
    """Not started: a test may change settings and catalogue first."""
    harness = Harness(tmp_path, key_directory, bridge_keyring, clock, monkeypatch)
    yield harness
    if hasattr(harness, "front"):
        await harness.stop()


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """On SQLite, and on PostgreSQL where there is one."""
    store = Store(database_url, METADATA.create_all)
    await store.start()
    yield store
    await store.close()
