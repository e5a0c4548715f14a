"""Migrations make the schema the code says: from nothing and from the first release, in both databases."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import BigInteger, Column, DefaultClause, Engine, Index, MetaData, String, Table, inspect, text

import dmz_front.app  # noqa: F401 - with them the tables of all parts are in METADATA
import intranet_bridge.app  # noqa: F401
from dmz_front import store as front
from dmz_front.ledger.rows import METADATA as FRONT_METADATA
from intranet_bridge import store as bridge
from intranet_bridge.inbox.rows import METADATA as BRIDGE_METADATA
from intranet_bridge.notices.rows import STREAMS, SUBSCRIPTIONS
from intranet_bridge.settlement.file_cursors import FILE_CURSORS
from intranet_bridge.settlement.withholding.rows import ISSUED
from protocol.desk.staff import STAFF
from protocol.errors import ConfigurationError
from protocol.runtime.lease import only_one
from protocol.runtime.migrate import IDLE_S, Migrations, Step, _lock, way
from protocol.runtime.store_engine import engine
from protocol.runtime.timeouts import Timeouts
from tests.support import schemas
from tests.support.postgres import Postgres
from tests.support.schemas import remember_schemas

_PATIENT = Timeouts(idle_s=IDLE_S)
"""Of the tests' own sessions, which reflect a hundred tables between two statements of one transaction."""

assert STAFF.metadata is FRONT_METADATA  # the desk's table: a front without a desk imports nothing of it
TREES: dict[str, tuple[Migrations, MetaData]] = {
    "front": (front.MIGRATIONS, FRONT_METADATA),
    "bridge": (bridge.MIGRATIONS, BRIDGE_METADATA),
}
ROWS: dict[str, dict[str, Any]] = {
    "applications": {
        "name": "wechat", "key_hash": b"\x00" * 32, "scopes": "[]", "networks": "[]", "rate": 2.5, "created_at": 1,
    },
    "requests": {
        "id": "r1", "front": "front-1", "application": "wechat", "idempotency_key": "k", "fingerprint": b"\xff" * 32,
        "operation": "work-order", "destination": "/queue/x", "state": "sent", "code": "", "envelope": b"\xd7\x00",
        "accepted_at": 1_795_302_147_433, "updated_at": 2, "expires_at": 0, "sends": 3,
    },
    "inbox": {
        "id": "r1", "sequence": 2**40, "owner": "bridge-1", "operation": "work-order", "source": "front-1/wechat",
        "subject": "s", "state": "calling", "attempts": 1, "envelope": b"\xd7\x00", "reply_to": "/queue/y",
        "deadline": 0, "code": "", "note": "请核实", "received_at": 1, "updated_at": 2,
    },
}  # fmt: skip
"""What the first release wrote, a row a table."""
DATA = Path(__file__).parents[1] / "system" / "data"
NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    with op.batch_alter_table("{table}") as table:
        table.add_column(sa.Column("of_{revision}", sa.BigInteger, nullable=False, server_default="7"))
    {then}


def downgrade() -> None:
    with op.batch_alter_table("{table}") as table:
        table.drop_column("of_{revision}")
"""


@pytest.fixture(autouse=True)
def _schemas_remembered() -> None:
    """Here they are not: Alembic goes through them."""


@pytest.fixture(params=sorted(TREES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def migrations(name: str) -> Migrations:
    return TREES[name][0]


@pytest.fixture
def metadata(name: str) -> MetaData:
    return TREES[name][1]


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    store = engine(database_url, _PATIENT)
    yield store
    store.dispose()


def execute(database: Engine, script: str) -> None:
    with database.begin() as connection:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)


def first_release(name: str, database: Engine) -> None:
    """Make the database as the first release did."""
    execute(database, (DATA / f"first_release_{name}.{database.dialect.name}.sql").read_text())


def newer(migrations: Migrations, folder: Path, then: str = "pass") -> Migrations:
    """The program of some day: one revision more."""
    folder.mkdir()
    for script in migrations.folder.glob("*.py"):
        (folder / script.name).write_text(script.read_text())
    table = {"front": "requests", "bridge": "inbox"}[migrations.name]
    text = NEXT.format(revision="9999", before=migrations.newest, table=table, then=then)
    (folder / "9999_some_day.py").write_text(text)
    return Migrations(migrations.name, folder, migrations.program)


def fill(database: Engine) -> None:
    """Put ROWS into the tables of theirs that are there."""
    tables = MetaData()
    tables.reflect(database)
    with database.begin() as connection:
        for table, row in ROWS.items():
            if table in tables.tables:
                connection.execute(tables.tables[table].insert(), row)


def rows(database: Engine) -> dict[str, dict[str, Any]]:
    """The row of each table, columns that ROWS names."""
    tables = MetaData()
    tables.reflect(database)
    found = {}
    with database.connect() as connection:
        for name, row in ROWS.items():
            if name in tables.tables:
                [one] = connection.execute(tables.tables[name].select())
                found[name] = {column: one._mapping[column] for column in row}
    return found


def revision(database: Engine, migrations: Migrations) -> str | None:
    with database.connect() as connection:
        table = f"alembic_version_{migrations.name}"
        if not inspect(connection).has_table(table):
            return None
        version: str = connection.execute(text(f"SELECT version_num FROM {table}")).scalar_one()
        return version


# --- the schema is what the code says ---------------------------------------------------------------------


def test_from_nothing(migrations: Migrations, metadata: MetaData, database: Engine) -> None:
    migrations.prepare(database)
    assert migrations.differences(database, metadata) == []
    assert revision(database, migrations) == migrations.newest
    migrations.prepare(database)
    migrations.prepare(database, check=True)


def test_what_other_tests_remember_makes_the_same(
    migrations: Migrations, metadata: MetaData, database_url: str, tmp_path: Path,
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A new database that is told what Alembic told the first."""
    remember_schemas(monkeypatch)
    monkeypatch.setattr(schemas, "_said", {})
    urls = []
    for number in range(3):  # not `database_url` itself, in which another test's tables may wait (reuse.py)
        if database_url.startswith("sqlite"):
            urls.append(f"sqlite:///{tmp_path / f'{number}.sqlite3'}")
        else:
            urls.append(request.getfixturevalue("postgres").database())
    walked, told, again = made = [engine(url, _PATIENT) for url in urls]
    try:
        migrations.prepare(walked)
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "alembic.config", None)  # or it would be walked once more
            migrations.prepare(told)
        assert migrations.differences(told, metadata) == []
        assert revision(told, migrations) == migrations.newest
        assert held(told) == held(walked)
        # what is there already is gone on from: the rest of the way is walked
        migrations.migrate(again, "0001")
        migrations.prepare(again)
        assert migrations.differences(again, metadata) == []
    finally:
        for one in made:
            one.dispose()


def held(database: Engine) -> dict[str, Any]:
    """All rows, and of SQLite the statements of the schema."""
    tables = MetaData()
    tables.reflect(database)
    with database.connect() as connection:
        found: dict[str, Any] = {
            name: [tuple(row) for row in connection.execute(table.select())] for name, table in tables.tables.items()
        }
        if database.dialect.name == "sqlite":
            said = connection.execute(text("SELECT type, name, sql FROM sqlite_master ORDER BY type, name"))
            found["sqlite_master"] = [tuple(row) for row in said]
    return found


def test_from_the_first_release(name: str, migrations: Migrations, metadata: MetaData, database: Engine) -> None:
    first_release(name, database)
    fill(database)
    before = rows(database)
    assert set(before) <= set(ROWS)
    migrations.prepare(database)
    assert migrations.differences(database, metadata) == []
    assert revision(database, migrations) == migrations.newest
    assert rows(database) == before == {table: ROWS[table] for table in before}


def test_revision_0001_is_the_first_release(name: str, migrations: Migrations, database: Engine) -> None:
    first_release(name, database)
    released = MetaData()
    released.reflect(database)
    released.drop_all(database)
    migrations.migrate(database, "0001")
    assert migrations.differences(database, released) == []


def test_subscriptions_and_numbers_of_before_there_were_groups_stay(database: Engine) -> None:
    migrations, metadata = TREES["bridge"]
    migrations.migrate(database, "0014")
    execute(
        database,
        "INSERT INTO notice_subscriptions VALUES ('s', 'wechat', 'bill-issued', 'front-1', 'x', '1', 'then', 5);\n"
        "INSERT INTO notice_streams VALUES ('s', 'wechat', 7)",
    )
    migrations.prepare(database)
    assert migrations.differences(database, metadata) == []
    subscribed, stream = of_notices(database)
    assert [(one.kind, one.fronts, one.front, one.subscribed_at) for one in subscribed] == [
        ("bill-issued", "", "front-1", 5)
    ]
    assert [tuple(one) for one in stream] == [("s", "wechat", "", 7)]
    with database.begin() as connection:  # another group's too, and then back to what knows none
        connection.execute(
            SUBSCRIPTIONS.insert(), {**subscribed[0]._mapping, "account": b"x", "fronts": "lake", "front": "front-3"}
        )
        connection.execute(STREAMS.insert(), {**stream[0]._mapping, "fronts": "lake", "last": 9})
    migrations.migrate(database, "0014")
    migrations.prepare(database)
    assert migrations.differences(database, metadata) == []
    subscribed, stream = of_notices(database)
    assert [(one.fronts, one.front) for one in subscribed] == [("", "front-1")]
    assert [tuple(one) for one in stream] == [("s", "wechat", "", 9)]


def test_statements_of_the_kinds_that_were_read_go_on_where_they_were(database: Engine) -> None:
    """Of each by what it expects, or has read; of another they begin with the first file that is kept."""
    migrations, metadata = TREES["bridge"]
    migrations.migrate(database, "0036")
    execute(
        database,
        "INSERT INTO statement_cursor VALUES (1, 7, 'f');\n"
        "INSERT INTO statement_sources VALUES ('dsdz:37101', '2026-11-24');\n"
        "INSERT INTO statement_sources VALUES ('dsdz:37102', '2026-11-24');\n"
        "INSERT INTO statement_arrivals VALUES ('f', 'alipay', 'n', 's', 1, 'taken', '', 0, 0, '', 7)",
    )
    migrations.prepare(database)
    assert migrations.differences(database, metadata) == []
    with database.connect() as connection:
        rows = connection.execute(FILE_CURSORS.select().order_by(FILE_CURSORS.c.profile)).all()
    assert [tuple(row) for row in rows] == [
        ("statements", "alipay", 7, "f", ""), ("statements", "dsdz", 7, "f", ""),
    ]  # fmt: skip


def test_bills_that_were_issued_keep_their_rows_and_an_older_program_has_the_last_of_a_month(database: Engine) -> None:
    migrations, metadata = TREES["bridge"]
    migrations.migrate(database, "0037")
    first = ("1", "2026-10", "R1", 100, "line", "", "D1", 7, 7)
    execute(database, f"INSERT INTO withholding_issued VALUES {first}")
    migrations.prepare(database)
    assert migrations.differences(database, metadata) == []
    again = ("1", "2026-10", "R2", 90, "waiting", "", "D1", 8, 8)
    with database.begin() as connection:
        connection.execute(ISSUED.insert().values(again))
        assert [tuple(row) for row in connection.execute(ISSUED.select().order_by(ISSUED.c.bill))] == [first, again]
    migrations.migrate(database, "0037")
    with database.connect() as connection:
        assert [tuple(row) for row in connection.exec_driver_sql("SELECT * FROM withholding_issued")] == [again]
    migrations.prepare(database)


def of_notices(database: Engine) -> tuple[Sequence[Any], Sequence[Any]]:
    with database.connect() as connection:
        return connection.execute(SUBSCRIPTIONS.select()).all(), connection.execute(STREAMS.select()).all()


def test_the_operator_of_the_first_release_was_here_before_the_front(database: Engine) -> None:
    """Its `bridgectl apps add` made the one table it needed."""
    migrations, metadata = TREES["front"]
    script = (DATA / f"first_release_front.{database.dialect.name}.sql").read_text()
    for statement in script.split(";\n"):
        if "applications" in statement:
            execute(database, statement)
    assert inspect(database).get_table_names() == ["applications"]
    fill(database)
    migrations.prepare(database)
    assert migrations.differences(database, metadata) == []
    with database.connect() as connection:
        assert connection.execute(text("SELECT name FROM applications")).scalars().all() == ["wechat"]


def test_what_is_compared(migrations: Migrations, metadata: MetaData, database: Engine) -> None:
    """The comparisons above would see a column, a type, a default, an index or a table that the revisions lack."""
    migrations.prepare(database)
    table = {"front": "requests", "bridge": "inbox"}[migrations.name]

    def changed(change: str) -> MetaData:
        other = MetaData()
        for one in metadata.sorted_tables:
            one.to_metadata(other)
        found = other.tables[table]
        match change:
            case "column":
                found.append_column(Column("more", BigInteger))
            case "type":
                found.c.updated_at.type = String(5)
            case "null":
                found.c.updated_at.nullable = True
            case "default":
                found.c.updated_at.server_default = DefaultClause("7")
            case "index":
                Index("more", found.c.updated_at)
            case "table":
                Table("more", other, Column("id", BigInteger, primary_key=True))
        return other

    for change in ("column", "type", "null", "default", "index", "table"):
        assert len(migrations.differences(database, changed(change))) == 1, change


def test_revisions_are_one_numbered_line(migrations: Migrations) -> None:
    files = sorted(path.stem for path in migrations.folder.glob("*.py"))
    assert [file[:4] for file in files] == list(migrations.revisions)
    scripts = ScriptDirectory(str(migrations.folder), version_locations=[str(migrations.folder)])
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(migrations.revisions)
    assert list(migrations.revisions) == [f"{number:04}" for number in range(1, len(files) + 1)]


# --- up, down, and what is refused ------------------------------------------------------------------------


def test_up_and_down_keep_the_rows(name: str, migrations: Migrations, database: Engine, tmp_path: Path) -> None:
    some_day = newer(migrations, tmp_path / "newer")
    first_release(name, database)
    fill(database)
    expected = {table: ROWS[table] for table in rows(database)}
    assert some_day.migrate(database) == (None, "9999")
    assert rows(database) == expected
    for to in (*reversed(some_day.revisions), *some_day.revisions):
        some_day.migrate(database, to)
        assert revision(database, migrations) == to
        assert rows(database) == expected


def test_a_newer_database_is_refused_and_left_alone(migrations: Migrations, database: Engine, tmp_path: Path) -> None:
    newer(migrations, tmp_path / "newer").prepare(database)
    for refused in (
        lambda: migrations.prepare(database),
        lambda: migrations.prepare(database, check=True),
        lambda: migrations.migrate(database),
        lambda: migrations.migrate(database, "0001"),
    ):
        with pytest.raises(ConfigurationError, match=f"is at revision 9999.*newest.* {migrations.newest}.*newer"):
            refused()
    assert revision(database, migrations) == "9999"


def test_check_refuses_and_names_the_command(
    name: str, migrations: Migrations, database: Engine, tmp_path: Path
) -> None:
    some_day = newer(migrations, tmp_path / "newer")
    with pytest.raises(ConfigurationError, match="is at no revision and this program needs revision 9999"):
        some_day.prepare(database, check=True)
    first_release(name, database)
    with pytest.raises(ConfigurationError, match=f"run `{migrations.program} --config FILE --migrate`"):
        some_day.prepare(database, check=True)
    assert revision(database, migrations) is None
    migrations.prepare(database)
    with pytest.raises(ConfigurationError, match=f"is at revision {migrations.newest} and .* needs revision 9999"):
        some_day.prepare(database, check=True)
    assert revision(database, migrations) == migrations.newest


def test_two_instances_that_start_at_once(migrations: Migrations, database: Engine, tmp_path: Path) -> None:
    """Both find an old schema; one goes the way, the other waits and finds it gone."""
    some_day = newer(migrations, tmp_path / "newer", then="__import__('time').sleep(0.3)")
    migrations.prepare(database)
    found: list[object] = []
    together = threading.Barrier(4)

    def instance() -> None:
        own = engine(database.url.render_as_string(hide_password=False))
        together.wait()
        try:
            found.append(some_day.migrate(own)[0])
        except Exception as error:
            found.append(error)
        own.dispose()

    threads = [threading.Thread(target=instance) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(map(str, found)) == sorted([migrations.newest, "9999", "9999", "9999"])


def test_a_migration_that_fails_leaves_everything_as_it_was(
    migrations: Migrations, metadata: MetaData, database: Engine, tmp_path: Path
) -> None:
    """The new column of this one was there already when it broke."""
    migrations.prepare(database)
    fill(database)
    before = rows(database)
    with pytest.raises(ZeroDivisionError):
        newer(migrations, tmp_path / "newer", then="1 / 0").prepare(database)
    assert revision(database, migrations) == migrations.newest
    assert migrations.differences(database, metadata) == []
    assert rows(database) == before


def test_foreign_keys_do_not_empty_what_refers_to_a_table_made_anew(tmp_path: Path) -> None:
    """SQLite alone: a table is changed by copying it and dropping the old one."""
    migrations, _ = TREES["bridge"]
    database = engine(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    migrations.prepare(database)
    fill(database)
    execute(database, "CREATE TABLE child (of VARCHAR(64) REFERENCES inbox(id) ON DELETE CASCADE)")
    execute(database, "INSERT INTO child VALUES ('r1')")
    then = "op.execute('PRAGMA legacy_alter_table'); batch = op.batch_alter_table('inbox', recreate='always')\n"
    then += "    with batch as table: table.drop_column('note')"
    newer(migrations, tmp_path / "newer", then).prepare(database)
    with database.connect() as connection:
        assert connection.execute(text("SELECT of FROM child")).scalars().all() == ["r1"]
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    database.dispose()


@pytest.mark.parametrize(
    ("before", "target", "step"),
    [
        (None, "0001", Step.UPGRADE),
        (None, "0003", Step.UPGRADE),
        ("0001", "0003", Step.UPGRADE),
        ("0003", "0003", Step.NOTHING),
        ("0003", "0001", Step.DOWNGRADE),
    ],
)
def test_the_way(before: str | None, target: str, step: Step) -> None:
    assert way(("0001", "0002", "0003"), before, target) is step


@pytest.mark.parametrize(
    ("before", "target", "said"),
    [
        ("0004", "0003", "is at revision 0004, and the newest this program knows is 0003"),
        ("0001", "0004", "cannot go to revision 0004: this program knows 0001 to 0003"),
        (None, "", "cannot go to revision"),
    ],
)
def test_no_way(before: str | None, target: str, said: str) -> None:
    with pytest.raises(LookupError, match=said):
        way(("0001", "0002", "0003"), before, target)


@pytest.mark.parametrize("name", sorted(TREES))
def test_the_command_is_refused_while_the_program_runs_on_the_file(name: str, tmp_path: Path) -> None:
    migrations, _ = TREES[name]
    file = tmp_path / "store.sqlite3"
    with (
        only_one(file, migrations.program),
        pytest.raises(ConfigurationError, match=f"another {migrations.program} is running"),
    ):
        migrations.command(f"sqlite:///{file}", file, "head")
    assert not file.exists()
    assert migrations.newest in migrations.command(f"sqlite:///{file}", file, "head")


def test_a_daemon_does_not_import_what_it_may_not_need(name: str) -> None:
    """Alembic is for what is to be migrated, aiohttp for callbacks."""
    package = TREES[name][0].folder.parent.name
    program = f"import sys, {package}.app; print(sorted({{'aiohttp', 'alembic'}} & set(sys.modules)))"
    seen = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "[]"


def test_a_busy_host_may_rest_longer_within_a_migration_than_in_service(postgres: Postgres) -> None:
    database, shown = engine(postgres.database()), text("SHOW idle_in_transaction_session_timeout")
    with database.begin() as connection:
        assert connection.execute(shown).scalar() == "5s"
        _lock(connection, "bridge")
        assert connection.execute(shown).scalar() == f"{IDLE_S // 60}min"
    database.dispose()
