"""What the unit tests share: asyncio as the only event loop, envelope keys made once, a clock that stands, and schemas
that Alembic goes through once.
"""

import datetime
from pathlib import Path

import pytest

from bridgectl import keys
from protocol.keyring import Keyring
from protocol.messages import Role
from protocol.runtime.keyfiles import load_keyring
from tests.support.schemas import remember_schemas
from tests.unit.clock import Clock


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def _schemas_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new database is given what Alembic gave to the first: a fifth of a second less for each."""
    remember_schemas(monkeypatch)


@pytest.fixture(scope="session")
def key_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("envelope") / "keys"
    keys.init(directory, now=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    return directory


@pytest.fixture(scope="session")
def front_keyring(key_directory: Path) -> Keyring:
    return load_keyring(keys.keyring_path(key_directory, Role.FRONT), key_directory / keys.TRUSTED)


@pytest.fixture(scope="session")
def bridge_keyring(key_directory: Path) -> Keyring:
    return load_keyring(keys.keyring_path(key_directory, Role.BRIDGE), key_directory / keys.TRUSTED)
