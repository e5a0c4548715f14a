"""Putting a backup back: nobody else has the database meanwhile, and whose copy it is, is looked at."""

from pathlib import Path

import pytest

from bridgectl import restoring
from bridgectl.databases import Place
from bridgectl.restoring import Restored, restore, seen
from protocol.errors import BridgeError, ConfigurationError
from protocol.runtime.backup import BackupManifest, Owner
from protocol.runtime.lease import only_one
from protocol.runtime.settings import StoreSection

NOW = 1_770_000_000_000
MANIFEST = BackupManifest(
    program="dmz-front", instance="front-1", region="main", software="1", database="sqlite", taken_at=NOW - 1000,
    schema_revision="0001", commands=0, bytes=0, sha256="",
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Place:
    owner = Owner(program="dmz-front", instance="front-1", region="main", software="1")
    return Place(StoreSection(file=tmp_path / "front.sqlite3"), owner)


def test_a_daemon_that_runs_keeps_its_database(place: Place, tmp_path: Path) -> None:
    assert place.store.file is not None
    place.store.file.write_bytes(b"what it has")
    with (
        only_one(place.store.file, "dmz-front"),
        pytest.raises(BridgeError, match=r"dmz-front is running on .*front.sqlite3"),
    ):
        restore(place, tmp_path / "copy", MANIFEST, NOW)
    assert place.store.file.read_bytes() == b"what it has"


def test_no_daemon_starts_while_its_database_is_replaced(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def replaced(there: Path, *_: object) -> Restored:
        with pytest.raises(ConfigurationError, match="another dmz-front"):
            only_one(there, "dmz-front")
        return Restored(None)

    monkeypatch.setattr(restoring, "_replaced", replaced)
    assert place.store.file is not None
    assert restore(place, place.store.file, MANIFEST, NOW) == Restored(None)
    only_one(place.store.file, "dmz-front").close()


def test_whose_copy_it_is_is_looked_at(place: Place) -> None:
    assert seen(place, MANIFEST) == []
    other = MANIFEST.model_copy(update={"instance": "front-2", "region": "south"})
    assert seen(place, other) == [
        "it is of the instance front-2, and here is front-1", "it is of the region south, and here is main",
    ]  # fmt: skip
    with pytest.raises(BridgeError, match="names another kind of database"):
        seen(place, MANIFEST.model_copy(update={"database": "postgresql"}))
