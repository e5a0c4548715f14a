"""`bridgectl bundle` on a host with both daemons' files, the front running: what is in the file, and what never is."""

import asyncio
import gzip
import hashlib
import json
import stat
import tarfile
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Gauge, start_http_server
from typer.testing import CliRunner, Result

from bridgectl import certificate_files, keys
from bridgectl.bundle.collection import database_facts
from bridgectl.cli import app
from protocol.errors import BridgeError, ConfigurationError
from protocol.messages import Role
from protocol.runtime.control import ControlSocket, Peer
from protocol.runtime.settings import StoreSection
from protocol.runtime.store_engine import engine

APPLICATION_KEY = "dmz_wechat_q7Jr-0dUoA1bVx2cWy3dXz4eYa5fZb6gAc7hBd8iCe9"
DATABASE_PASSWORD = "correct:horse"
BACK_END_PASSWORD = "tulip"
TOKEN = "tok/en+7"
MISPLACED = "inline-Secret-77"
HEADER = "shared-with-vendor"
PHONE, ACCOUNT, LETTERS, IDENTITY = "13800138000", "3210000000001", "AB-1234", "32031119700101123X"
COMMENT = "the old one was rosebud"
LOG = [
    f'{{"event": "denied", "key": "{APPLICATION_KEY}"}}',
    f"Traceback: postgresql://front:{DATABASE_PASSWORD}@db.dmz/front refused, {BACK_END_PASSWORD} too",
    f"customer {PHONE} of account {ACCOUNT} or {LETTERS}, identity {IDENTITY}, token {TOKEN}, header {HEADER}",
    f"the password is said again: {DATABASE_PASSWORD}",
    "the last line says something harmless",
]


class Daemon:
    """Answers in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.acts: list[str] = []
        self._socket = ControlSocket(path, {"report": self._report, "audit": self._audit})
        asyncio.run_coroutine_threadsafe(self._socket.start(), self._loop).result(5)

    async def _report(self, _request: Mapping[str, Any], _who: Peer) -> Any:
        return {"role": "front", "name": "front-1", "trouble": f"asked for {PHONE}", "started": 1_770_000_000_000}

    async def _audit(self, request: Mapping[str, Any], _who: Peer) -> Any:
        self.acts.append(request["act"])
        return {}

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._socket.close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Daemon]]:
    folder = tmp_path / "etc"
    folder.mkdir()
    monkeypatch.setenv("BRIDGECTL_CONFIG", str(folder / "bridgectl.toml"))
    monkeypatch.setenv("PATH", str(tmp_path))  # no journal: it is this machine's
    keys.init(folder / "keys", now=datetime.now(UTC))
    certificate_files.init(folder / "certs", {Role.FRONT: ["front-1"], Role.BRIDGE: ["bridge-1"]}, ["localhost"])
    (folder / "db.pgpass").write_text(f"db.dmz:*:*:front:{DATABASE_PASSWORD.replace(':', chr(92) + ':')}\n")
    (folder / "marketing.password").write_text(BACK_END_PASSWORD + "\n")
    (folder / "marketing.token").write_text(TOKEN + "\n")
    registry = CollectorRegistry()
    Gauge("dmz_front_things", "Things", ["of"], registry=registry).labels(PHONE).set(12345678)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    tables = '[link]\nbrokers = ["broker.dmz:61616"]\nca = "certs/ca.pem"\n'
    tables += 'certificate = "certs/{0}.pem"\nkey = "certs/{0}.key"\n'
    tables += '[keys]\nkeyring = "keys/{0}.keyring"\ntrusted = "keys/trusted.json"\n[store]\n{1}\n'
    (folder / "dmz_front.toml").write_text(
        f"# {COMMENT}\n" + tables.format("front", f'file = "{tmp_path}/front.sqlite3"')
        + f'[metrics]\nport = {server.server_port}\n[control]\nsocket = "{tmp_path}/front.sock"\n'
        + f'[[accounts]]\ncompany = "Lakeside"\npattern = "[A-Z]{{2}}-[0-9]{{4}}"\nexample = "{LETTERS}"\n'
    )  # fmt: skip
    (folder / "intranet_bridge.toml").write_text(
        'include = ["bindings/*.toml"]\n'
        + tables.format("bridge", 'url = "postgresql+psycopg://bridge@127.0.0.1:1/b?passfile=db.pgpass"')
        + f'[marketing]\nurl = "http://user:{DATABASE_PASSWORD}@m.example"\nclient_secret = "{MISPLACED}"\n'
        + f'headers = {{ X-Shared = "{HEADER}" }}\n'
        + '[marketing.login]\npassword_file = "marketing.password"\n[marketing.auth]\ntoken_file = "marketing.token"\n'
        + f'[systems.other.auth]\ntoken_file = "{folder}/gone.token"\n'
    )
    (folder / "bridgectl.toml").write_text(
        '[link]\nbrokers = ["127.0.0.1:1"]\nca = "certs/gone.pem"\n'
        'certificate = "certs/gone.pem"\nkey = "certs/gone.key"\n'
    )
    (folder / "bindings").mkdir()
    (folder / "bindings/bills.toml").write_text(f'[operations.bill-query]\npath = "/b"\napi_key = "{MISPLACED}"\n')
    (tmp_path / "front.log").write_text("the first line is too old\n" + "\n".join(LOG) + "\n")
    database = engine(f"sqlite:///{tmp_path}/front.sqlite3")
    with database.begin() as connection:
        for statement in (
            "CREATE TABLE alembic_version_front (version_num TEXT)",
            "INSERT INTO alembic_version_front VALUES ('0007')",
            "CREATE TABLE requests (id TEXT, state TEXT)", f"INSERT INTO requests VALUES ('{PHONE}', 'held')",
            f"INSERT INTO requests VALUES ('{ACCOUNT}', 'done')", "INSERT INTO requests VALUES ('x', 'done')",
        ):  # fmt: skip
            connection.exec_driver_sql(statement)
    database.dispose()
    daemon = Daemon(tmp_path / "front.sock")
    yield tmp_path, daemon
    daemon.close()
    server.shutdown()
    server.server_close()
    thread.join(5)


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["bundle", *map(str, words)])


def unpacked(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        found = {}
        for entry in tar.getmembers():
            member = tar.extractfile(entry)
            assert member is not None
            assert entry.mode == 0o600
            found[entry.name.removeprefix("dmz-bridge-bundle/")] = member.read()
        return found


def planted(folder: Path) -> Iterator[str]:
    """Every secret of the installation, in pieces a line long."""
    yield from (APPLICATION_KEY, DATABASE_PASSWORD, BACK_END_PASSWORD, TOKEN, MISPLACED, HEADER)
    yield from (PHONE, ACCOUNT, LETTERS, IDENTITY, APPLICATION_KEY[-20:])
    for file in (folder / "certs/front.key", folder / "certs/bridge.key"):
        yield from (line for line in file.read_text().splitlines() if line and not line.startswith("-----"))
    for file in folder.glob("keys/*.keyring"):
        own = json.loads(file.read_text())
        yield from (key["private"] for key in own["keys"])
        if own.get("secret"):
            yield own["secret"]


def test_nothing_secret_is_in_it(host: tuple[Path, Daemon]) -> None:
    place, daemon = host
    file = place / "b.tar.gz"
    secret_lines = list(planted(place / "etc"))
    named = place / f"{ACCOUNT}{'-' * 90}.log"
    named.write_text("a line\n")
    more = [*LOG, *(f"leaked: {line}" for line in secret_lines)]
    (place / "more.log").write_text("\n".join(more) + "\n")
    done = run(file, "--log", place / "front.log", "--log", place / "more.log", "--log", named, "--log-lines", 1000)
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    everything = gzip.decompress(file.read_bytes())
    assert len(secret_lines) > 20
    for secret in (*secret_lines, COMMENT, "rosebud"):
        assert secret.encode() not in everything, secret
        assert secret not in done.output
    assert b"too old" in everything
    assert daemon.acts == ["bundle"]


def test_what_is_in_it(host: tuple[Path, Daemon]) -> None:
    place, _ = host
    file = place / "b.tar.gz"
    done = run(file, "--log", place / "front.log", "--log-lines", 5, "--json")
    members = unpacked(file)
    listed = json.loads(members.pop("manifest.json"))
    assert json.loads(done.output) == listed
    assert [one["name"] for one in listed["members"]] == sorted(members) == list(members)
    for one in listed["members"]:
        assert one["sha256"] == hashlib.sha256(members[one["name"]]).hexdigest()
    left_out = {one["what"]: one["why"] for one in listed["left_out"]}
    assert "intranet-bridge does not run" in left_out["report of intranet-bridge"] or "socket" in left_out[
        "report of intranet-bridge"
    ]  # fmt: skip
    assert "cannot be read" in left_out["database of intranet-bridge"]
    assert left_out["metrics of intranet-bridge"] == "[metrics] port is off"
    assert left_out["journal"] == "journalctl is not there"

    values = {name: json.loads(data) for name, data in members.items() if name.endswith(".json")}
    assert values["reports/dmz-front.json"]["started"] == "2026-02-02T02:40:00.000+00:00"
    database = values["databases/dmz-front.json"]
    assert database["schema_revision"] == {"front": ["0007"]}
    assert database["rows"] == {"requests": {"done": 2, "held": 1}}
    marketing = values["config/intranet-bridge.json"]["tables"]["marketing"]
    assert marketing["login"] == {"password_file": "marketing.password"}
    assert marketing["client_secret"] == "[masked]"
    assert marketing["headers"] == {"X-Shared": "[masked]"}
    assert "passfile=db.pgpass" in values["config/intranet-bridge.json"]["tables"]["store"]["url"]
    assert left_out[f"the search of logs for what is in {place}/etc/gone.token"].endswith("No such file or directory")
    broker = values["config/bridgectl.json"]["tables"]["link"]
    assert (broker["key"], broker["ca"]) == ("certs/gone.key", "certs/gone.pem")
    assert "config/intranet-bridge-includes/01-bills.json" in values
    assert values["config/dmz-front.json"]["tables"]["keys"]["keyring"] == "keys/front.keyring"
    assert {one["subject"] for one in values["certificates.json"]} > {"CN=front-1,OU=front,O=dmz-bridge"}
    own = json.loads((place / "etc/keys/front.keyring").read_text())
    assert [one["id"] for one in values["keys/dmz-front.json"]["own"]] == [one["id"] for one in own["keys"]]
    assert values["status.json"]["troubles"]
    assert any(one.startswith("cryptography ") for one in values["versions.json"]["packages"])
    assert b"1.23457e+07" in members["metrics/dmz-front.txt"]
    lines = members["logs/01-front.log"].decode().splitlines()
    assert (len(lines), lines[-1]) == (5, LOG[-1])


def test_a_file_is_not_overwritten(host: tuple[Path, Daemon]) -> None:
    place, daemon = host
    file = place / "b.tar.gz"
    file.write_text("mine")
    assert isinstance(run(file).exception, ConfigurationError)
    assert (file.read_text(), daemon.acts) == ("mine", [])
    assert run(file, "--force", "--log-lines", 0).exit_code == 0
    assert "status.json" in unpacked(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert isinstance(run(place / "nowhere" / "b.tar.gz").exception, ConfigurationError)
    assert not list(place.glob(".b.tar.gz.*"))


def test_a_broken_host_has_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGECTL_CONFIG", str(tmp_path / "bridgectl.toml"))
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "bridgectl.toml").write_text("[[[")
    (tmp_path / "dmz_front.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "intranet_bridge.toml").write_text(f'[store]\nfile = "{tmp_path}/b.sqlite3"\n[keys]\nkeyring = "k"\n')
    (tmp_path / "b.sqlite3").write_text("no database")
    assert run(tmp_path / "b.tar.gz", "--log", tmp_path / "none.log").exit_code == 0
    listed = json.loads(unpacked(tmp_path / "b.tar.gz")["manifest.json"])
    named = {one["what"] for one in listed["left_out"]}
    assert {"settings of bridgectl", "report of dmz-front", "database of intranet-bridge", "keys of intranet-bridge",
            f"log {tmp_path}/none.log", str(tmp_path / "dmz_front.toml")} <= named  # fmt: skip


def test_counting_has_an_end(tmp_path: Path) -> None:
    database = engine(f"sqlite:///{tmp_path}/front.sqlite3")
    with database.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE requests (state TEXT)")
        connection.exec_driver_sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
            "INSERT INTO requests SELECT 'done' FROM n"
        )
    database.dispose()
    store = StoreSection(file=tmp_path / "front.sqlite3")
    assert database_facts(store)["rows"] == {"requests": {"done": 100_000}}
    times = iter(range(0, 10**9, 100))
    with pytest.raises(BridgeError, match="interrupted"):
        database_facts(store, lambda: next(times))


def test_facts_of_either_database(database_url: str) -> None:
    database = engine(database_url)
    with database.begin() as connection:
        for statement in (
            "CREATE TABLE alembic_version_x (version_num VARCHAR(32))",
            "INSERT INTO alembic_version_x VALUES ('0003')",
            "CREATE TABLE inbox (state VARCHAR(16))",
            "INSERT INTO inbox VALUES ('held'), ('held')",
            "CREATE TABLE other (id INTEGER)",
        ):
            connection.exec_driver_sql(statement)
    sqlite = database.dialect.name == "sqlite"
    store = StoreSection(file=Path(str(database.url.database))) if sqlite else StoreSection(url=database_url)
    facts = database_facts(store)
    database.dispose()
    assert facts["schema_revision"] == {"x": ["0003"]}
    assert facts["rows"] == {"inbox": {"held": 2}, "other": {"all": 0}}
    assert facts["sizes"]["bytes"] > 0
