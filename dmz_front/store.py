"""The front's database: how its schema comes up to date."""

from functools import partial
from pathlib import Path

from protocol.runtime.migrate import Migrations
from protocol.runtime.settings import StoreSection
from protocol.runtime.store import Store

MIGRATIONS = Migrations("front", Path(__file__).parent / "migrations", "dmz-front")


def store_of(section: StoreSection) -> Store:
    """As configured; opens nothing."""
    return Store(section.address(), partial(MIGRATIONS.prepare, check=section.migrate == "check"), section.timeouts())
