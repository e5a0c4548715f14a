"""The bridge's database: how its schema comes up to date, and what is done with a copy that was put back."""

from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from intranet_bridge.inbox.inbox import put_back as commands_put_back
from intranet_bridge.notices.outbox import put_back as notices_put_back
from protocol.runtime.migrate import Migrations
from protocol.runtime.settings import StoreSection
from protocol.runtime.store import Store

MIGRATIONS = Migrations("bridge", Path(__file__).parent / "migrations", "intranet-bridge")


def store_of(section: StoreSection) -> Store:
    """As configured; opens nothing."""
    return Store(section.address(), partial(MIGRATIONS.prepare, check=section.migrate == "check"), section.timeouts())


def put_back(connection: Connection) -> None:
    """The database is a copy from an earlier time: what it cannot know any more."""
    commands_put_back(connection)
    notices_put_back(connection)
