"""Personal data in the bridge's own tables."""

import asyncio
import datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from bridgectl import keys
from intranet_bridge.at_rest import AtRest, StoreKeyClosed
from intranet_bridge.inbox.rows import STORE_KEY
from intranet_bridge.store import MIGRATIONS
from protocol.errors import ConfigurationError
from protocol.keyring import Keyring
from protocol.messages import Role
from protocol.runtime.keyfiles import load_keyring
from protocol.runtime.store import Store
from protocol.suites import Suite

NOW = datetime.datetime.now(datetime.UTC)


def ring(folder: Path) -> Keyring:
    return load_keyring(keys.keyring_path(folder, Role.BRIDGE), folder / keys.TRUSTED)


def store(folder: Path) -> Store:
    return Store(f"sqlite:///{folder / 'bridge.sqlite3'}", MIGRATIONS.prepare)


def test_what_is_kept_is_found_and_opened_again_after_a_restart_and_a_rotation(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    keys.init(folder, now=NOW)

    async def play() -> None:
        database = store(tmp_path)
        await database.start()
        first = AtRest(database, STORE_KEY, ring(folder))
        await first.open()
        name, sealed = first.pseudonym("3210000000001"), first.seal("田".encode(), "row-1")
        assert "3210" not in name
        assert first.pseudonym("3210000000002") != name
        with pytest.raises(ValueError, match="not sealed"):
            first.unseal(sealed, "row-2")

        before = ring(folder).receivers[Role.BRIDGE, ""][0]
        keys.rotate(folder, keys.Whose(Role.BRIDGE), now=NOW)
        keys.activate(folder, keys.Whose(Role.BRIDGE), now=NOW)
        after = ring(folder)
        assert after.receivers[Role.BRIDGE, ""][0] != before
        again = AtRest(database, STORE_KEY, after)
        await again.open()
        assert again.pseudonym("3210000000001") == name
        assert again.unseal(sealed, "row-1").decode() == "田"
        row = await database.read(lambda connection: connection.execute(select(STORE_KEY)).one())
        assert row.sealed_to == after.receivers[Role.BRIDGE, ""][0]

        other = tmp_path / "other"
        keys.init(other, now=NOW)
        foreign = AtRest(database, STORE_KEY, ring(other))
        with pytest.raises(ConfigurationError, match="which the keyring does not hold"):
            await foreign.open()
        assert not foreign.is_open
        with pytest.raises(StoreKeyClosed):
            foreign.pseudonym("3210000000001")
        await foreign.open(after)
        assert foreign.pseudonym("3210000000001") == name
        await database.close()

    asyncio.run(play())


def test_the_suite_may_change_and_what_was_kept_is_still_found_and_opened(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    keys.init(folder, now=NOW)

    async def play(first: Suite, second: Suite) -> None:
        place = tmp_path / first
        place.mkdir()
        database = store(place)
        await database.start()
        before, after = (AtRest(database, STORE_KEY, ring(folder), suite) for suite in (first, second))
        await before.open()
        name, sealed = before.pseudonym("3210000000001"), before.seal(b"text", "row-1")
        await after.open()
        assert after.pseudonym("3210000000001") == name
        assert after.unseal(sealed, "row-1") == b"text"
        assert before.unseal(after.seal(b"text", "row-1"), "row-1") == b"text"
        with pytest.raises(ValueError, match="not sealed"):
            after.unseal(b"short", "row-1")
        row = await database.read(lambda connection: connection.execute(select(STORE_KEY)).one())
        assert len(row.key) == {Suite.AES: 80, Suite.SM: 83}[first]  # a release of before knows the first alone
        await database.close()

    asyncio.run(play(Suite.AES, Suite.SM))
    asyncio.run(play(Suite.SM, Suite.AES))
