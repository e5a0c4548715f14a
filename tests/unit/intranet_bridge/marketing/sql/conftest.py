"""The database of a test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.databases import TABLES, World, mariadb, postgresql, sqlite


@pytest.fixture
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Of the kind that the parameter names; SQLite if there is none."""
    kind = getattr(request, "param", "sqlite")
    if kind == "postgresql":
        settings, engine = postgresql(request.getfixturevalue("postgres"))
    elif kind == "mariadb":
        settings, engine = mariadb(tmp_path, request.getfixturevalue("mariadb"))
    else:
        settings, engine = sqlite(tmp_path)
    world = World(kind, settings, engine, [])
    world.do(*TABLES)
    yield world
    for system in world.opened:
        await system.close()
    engine.dispose()
