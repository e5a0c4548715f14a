"""What is looked for each second costs the same however many notices wait."""

from typing import Any

from sqlalchemy import Connection, create_engine

from intranet_bridge.inbox.rows import METADATA
from intranet_bridge.notices.outbox import WINDOW, _due
from intranet_bridge.notices.rows import NOTICES

FRONTS = "front-1", "front-2", "front-3"


def row(number: int, *, sent: int, confirmed: int | None = None) -> dict[str, Any]:
    return {
        "id": f"{number:036d}", "owner": "bridge-1", "stream": f"{number:022d}", "application": "wechat",
        "sequence": 1, "front": FRONTS[number % len(FRONTS)], "kind": "bill-issued", "body": b"sealed",
        "published_at": 1000, "sent_at": 1000 if number < sent else None, "sends": int(number < sent),
        "confirmed_at": confirmed,
    }  # fmt: skip


def steps(connection: Connection, *, now: int) -> tuple[list[Any], int]:
    """What is due, and how many instructions of its machine SQLite took to find it, in hundreds."""
    taken = 0

    def step() -> int:
        nonlocal taken
        taken += 1
        return 0

    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(step, 100)
    found = _due(connection, "bridge-1", now, 30_000, 1000)
    driver.set_progress_handler(None, 0)
    return found, taken


def test_ten_times_as_many_that_wait_are_no_more_work() -> None:
    with create_engine("sqlite://").connect() as connection:
        METADATA.create_all(connection)
        few = 6 * WINDOW
        for sent, now in ((0, 2000), (3 * WINDOW, 2000), (3 * WINDOW, 1_000_000)):
            connection.execute(NOTICES.delete())
            connection.execute(NOTICES.insert(), [row(number, sent=sent) for number in range(few)])
            found, taken = steps(connection, now=now)
            more = [row(number, sent=sent, confirmed=2000 * (number % 2) or None) for number in range(few, 10 * few)]
            connection.execute(NOTICES.insert(), more)
            again, much = steps(connection, now=now)
            assert [one.id for one in again] == [one.id for one in found]
            assert much < 1.5 * taken + 5
        # and what that is: to each front as much as its window allows
        assert sorted({one.front for one in found}) == list(FRONTS)
