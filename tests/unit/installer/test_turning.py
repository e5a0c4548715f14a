"""What an upgrade saves and puts back: the copy of a database only while nobody can have written to it since."""

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.installer import turning
from scripts.tools.installer.errors import InstallError
from scripts.tools.installer.executor import command
from scripts.tools.installer.layout import KNOWN
from scripts.tools.installer.services import Supervisor
from scripts.tools.installer.steps import Kind, Step
from scripts.tools.installer.turning import Turner, broker_address
from scripts.tools.installer.units import Unit
from scripts.tools.installer.upgrade import Turn

Migrate = Callable[[str, str], str]


class Trial(Turner):
    """With migrations as a test wants them."""

    migrate: Migrate

    def _migrate(self, role: object, release: str, revision: str) -> str:
        return self.migrate(release, revision)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "front.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "PRAGMA journal_mode=WAL; CREATE TABLE requests (id); INSERT INTO requests VALUES ('before');"
            "CREATE TABLE alembic_version_front (version_num); INSERT INTO alembic_version_front VALUES ('0007');"
        )
    return path


@pytest.fixture
def turner(tmp_path: Path, database: Path) -> Trial:
    prefix = tmp_path / "prefix"
    (prefix / "current" / "bin").mkdir(parents=True)
    (prefix / "current" / "bin" / "python").symlink_to(sys.executable)
    (prefix / "installed.json").write_text("{}")
    front = {"running": True, "database": str(database), "socket": "", "linked": True}
    state = Turn("1.0", "1.1", str(tmp_path / "saved"), {"front": front})
    return Trial(str(prefix), Supervisor(), state, say=lambda _: None)


def rows(database: Path) -> set[str]:
    connection = sqlite3.connect(database)
    try:
        return {row[0] for row in connection.execute("SELECT id FROM requests")}
    finally:
        connection.close()


def write(database: Path, row: str) -> None:
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("INSERT INTO requests VALUES (?)", (row,))
    connection.close()


def refuses(release: str, revision: str) -> str:
    raise InstallError("no such revision")


def test_what_is_saved_is_whole_and_names_the_revision(turner: Trial, database: Path, tmp_path: Path) -> None:
    turner.one(Step(Kind.SAVE, "saved"))
    assert turner._state.revisions == {"front": "0007"}
    assert rows(tmp_path / "saved" / "front.sqlite3") == {"before"}
    assert Turn.load((tmp_path / "saved" / "turn.json").read_text()).revisions == {"front": "0007"}
    assert not list(tmp_path.glob("*.saved"))
    assert (tmp_path / "saved" / "front.sqlite3").stat().st_mode & 0o077 == 0


def test_a_database_without_a_revision_stops_the_upgrade(turner: Trial, database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("DROP TABLE alembic_version_front")
    with pytest.raises(InstallError, match="no way back"):
        turner.one(Step(Kind.SAVE, "saved"))


def test_the_schema_goes_back_by_its_migrations_and_keeps_what_was_accepted(turner: Trial, database: Path) -> None:
    turner.one(Step(Kind.SAVE, "saved"))
    asked = []
    turner.migrate = lambda release, revision: asked.append((release, revision)) or revision  # type: ignore[func-returns-value]
    turner._state.started = True
    write(database, "accepted by the new release")
    turner.one(Step(Kind.DOWNGRADE, "front", target="1.1"))
    assert asked == [("1.1", "0007")]
    assert rows(database) == {"before", "accepted by the new release"}


def test_the_copy_is_put_in_place_when_the_new_release_was_never_started(turner: Trial, database: Path) -> None:
    turner.one(Step(Kind.SAVE, "saved"))
    turner.migrate = refuses
    write(database, "half a migration")
    turner.one(Step(Kind.DOWNGRADE, "front", target="1.1"))
    assert rows(database) == {"before"}


def test_a_link_in_the_services_own_folder_is_not_followed_when_the_copy_is_put_back(
    turner: Trial, database: Path, tmp_path: Path
) -> None:
    """A service that was taken over owns that folder, and root writes into it."""
    turner.one(Step(Kind.SAVE, "saved"))
    turner.migrate = refuses
    others = tmp_path / "others"
    others.write_text("root's")
    database.with_name(".front.sqlite3.restoring").symlink_to(others)
    turner.one(Step(Kind.DOWNGRADE, "front", target="1.1"))
    assert others.read_text() == "root's"
    assert rows(database) == {"before"}
    assert not database.is_symlink()


def test_a_link_in_the_place_of_the_database_or_of_its_copy_is_not_followed(
    turner: Trial, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = tmp_path / "others"
    others.write_text("for root alone")

    def swapped(words: list[str], *more: Any) -> str:
        said = command(words, *more)
        Path(words[-1]).unlink()
        Path(words[-1]).symlink_to(others)
        return said

    with monkeypatch.context() as patch:
        patch.setattr(turning, "command", swapped)
        with pytest.raises(InstallError):
            turner.one(Step(Kind.SAVE, "saved"))
    assert not (tmp_path / "saved" / "front.sqlite3").exists()
    database.rename(tmp_path / "moved")
    database.symlink_to(tmp_path / "moved")
    with pytest.raises(InstallError, match="no regular file"):
        turner.one(Step(Kind.SAVE, "saved"))


def test_the_copy_is_never_put_over_what_may_have_been_accepted(turner: Trial, database: Path) -> None:
    turner.one(Step(Kind.SAVE, "saved"))
    turner.migrate = refuses
    turner._state.started = True
    write(database, "accepted by the new release")
    with pytest.raises(InstallError, match="requests may have been accepted since"):
        turner.one(Step(Kind.DOWNGRADE, "front", target="1.1"))
    assert rows(database) == {"before", "accepted by the new release"}


def test_a_start_is_written_down_before_it_is_done(turner: Trial, tmp_path: Path) -> None:
    turner.one(Step(Kind.SAVE, "saved"))

    class Dies(Supervisor):
        def start(self, unit: str) -> None:
            assert Turn.load((tmp_path / "saved" / "turn.json").read_text()).started
            raise InstallError("died")

    turner._manager = Dies()
    with pytest.raises(InstallError, match="died"):
        turner.one(Step(Kind.START, KNOWN["front"].unit))


def test_where_the_broker_listens_is_read_from_its_unit() -> None:
    text = "ExecStart=/usr/bin/java -Ddmz.host=192.0.2.1 -Ddmz.port=61617 x"
    assert broker_address(Unit.read("x", text)) == ("192.0.2.1", 61617)
    assert broker_address(Unit.read("x", "ExecStart=/usr/bin/java x")) == ("127.0.0.1", 61616)
