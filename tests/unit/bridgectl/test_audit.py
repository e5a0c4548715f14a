"""`bridgectl audit`: verified, shown and exported from the databases of this host; and what is written directly."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine
from typer.testing import CliRunner, Result

from bridgectl import audit
from bridgectl.cli import app
from dmz_front.ledger.rows import AUDIT as FRONT
from dmz_front.ledger.rows import METADATA as FRONT_METADATA
from intranet_bridge.inbox.rows import AUDIT as BRIDGE
from intranet_bridge.inbox.rows import METADATA as BRIDGE_METADATA
from protocol.audit import ACCEPTED, ACT, WITNESSED
from protocol.errors import BridgeError, NotAsked
from protocol.runtime.audit import append, head_of
from protocol.runtime.store_engine import engine

NOW = 1_770_000_000_000


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Engine]]:
    """A host with both databases, and neither daemon running."""
    monkeypatch.setenv("BRIDGECTL_CONFIG", str(tmp_path / "bridgectl.toml"))
    databases = {}
    for name, metadata in (("dmz_front", FRONT_METADATA), ("intranet_bridge", BRIDGE_METADATA)):
        file = tmp_path / f"{name}.sqlite3"
        (tmp_path / f"{name}.toml").write_text(f'[store]\nfile = "{file}"\n[control]\nsocket = "{tmp_path}/no.sock"\n')
        databases[name] = engine(f"sqlite:///{file}")
        metadata.create_all(databases[name])
    with databases["intranet_bridge"].begin() as connection:
        for number in range(4):
            commands = [[f"r{number}", "work-order", "front-1/wechat"]]
            append(connection, BRIDGE, "bridge-1", NOW + number, ACCEPTED, {"commands": commands})
        head = head_of(connection, BRIDGE, "bridge-1")
    with databases["dmz_front"].begin() as connection:
        append(connection, FRONT, "front-1", NOW + 9, ACT, {"act": "pause", "by": "root"})
        details = {"chain": head.chain, "sequence": head.sequence, "hash": head.hash}
        append(connection, FRONT, "front-1", NOW + 10, WITNESSED, details)
    yield databases
    for database in databases.values():
        database.dispose()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["audit", *words])


def alter(database: Engine, statement: str) -> None:
    def execute(connection: Connection) -> None:
        connection.exec_driver_sql(statement)

    with database.begin() as connection:
        execute(connection)


def verified(*words: str) -> tuple[int, dict[str, Any]]:
    result = run("verify", "--json", *words)
    return result.exit_code, {one["chain"]: one for one in json.loads(result.output)["chains"]}


def test_whole_chains(host: dict[str, Engine]) -> None:
    code, chains = verified()
    assert (code, sorted(chains), chains["bridge-1"]["records"]) == (0, ["bridge-1", "front-1"], 4)
    assert chains["bridge-1"]["heads_checked"] == 1  # which the front had kept
    said = run("verify").output
    assert "bridge-1: whole: 4 records, since 2026-02-02T02:40:00+00:00" in said
    assert "front-1: whole" in said
    assert "cannot be told" in said  # of the front's: nobody kept a head


def test_what_was_changed_or_cut_off_is_named(host: dict[str, Engine]) -> None:
    head = next(line for line in run("head").output.splitlines() if line.startswith("front-1"))
    alter(host["dmz_front"], "DELETE FROM audit WHERE sequence = 2")
    code, chains = verified("--side", "front")
    assert (code, chains["front-1"]["broken"]) == (0, None)
    code, chains = verified("--side", "front", "--head", head)
    assert (code, chains["front-1"]["broken"]["sequence"]) == (2, 2)
    alter(host["intranet_bridge"], "UPDATE audit SET record = replace(record, 'r2', 'r7') WHERE sequence = 3")
    result = run("verify")
    assert result.exit_code == 2
    assert "bridge-1: BROKEN at record 3: it was changed" in result.output


def test_show(host: dict[str, Engine]) -> None:
    lines = run("show").output.splitlines()
    assert len(lines) == 7
    assert '{"act":"pause","by":"root"}' in run("show", "--event", "act").output
    [one] = json.loads(run("show", "--request", "r2", "--json").output)
    assert (one["chain"], one["sequence"], one["details"]["commands"][0][0]) == ("bridge-1", 3, "r2")
    assert len(run("show", "--limit", "2").output.splitlines()) == 3
    assert len(run("show", "--chain", "front-1").output.splitlines()) == 3


def test_an_export_is_verified_anywhere(host: dict[str, Engine], tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    assert run("export", "--output", str(file)).exit_code == 0
    assert run("export").output == file.read_text()
    code, chains = verified("--file", str(file))
    assert (code, {name: one["records"] for name, one in chains.items()}) == (0, {"bridge-1": 4, "front-1": 2})
    file.write_text(file.read_text().replace("r1", "r8"))
    code, chains = verified("--file", str(file))
    assert (code, chains["bridge-1"]["broken"]["sequence"]) == (2, 2)
    file.write_text("{}\n")
    assert isinstance(run("verify", "--file", str(file)).exception, BridgeError)
    assert isinstance(run("export", "--output", str(file)).exception, BridgeError)  # it is there already


def test_what_cannot_be_read_is_not_called_whole(host: dict[str, Engine], tmp_path: Path) -> None:
    alter(host["dmz_front"], "DROP TABLE audit")
    assert isinstance(run("verify").exception, NotAsked)
    (tmp_path / "intranet_bridge.sqlite3").unlink()
    assert isinstance(run("verify", "--side", "bridge").exception, NotAsked)
    assert isinstance(run("verify", "--file", str(tmp_path / "nothing")).exception, NotAsked)
    assert run("verify", "--side", "middle").exit_code == 2
    assert "is no head" in str(run("verify", "--head", "x").exception)


def test_an_act_while_no_daemon_runs_is_in_both_databases(host: dict[str, Engine]) -> None:
    audit.record("apps-revoke", application="wechat")
    code, chains = verified()
    assert code == 0
    assert [chains[f"bridgectl-{one}"]["records"] for one in ("front-1", "bridge-1")] == [1, 1]
    records = [one for one in json.loads(run("show", "--json").output) if one["chain"].startswith("bridgectl")]
    assert [one["details"]["act"] for one in records] == ["apps-revoke"] * 2


def test_chains_of_two_databases_are_verified_together(host: dict[str, Engine], tmp_path: Path) -> None:
    """What `audit head` and `export` gave of both is no sign of a record that is missing."""
    audit.record("apps-revoke", application="wechat")
    alter(host["intranet_bridge"], "DELETE FROM audit WHERE chain LIKE 'bridgectl%'")
    audit.record("apps-rotate", application="wechat")
    heads = [word for head in run("head").output.split() for word in ("--head", head)]
    code, chains = verified(*heads)
    assert (code, [one["broken"] for one in chains.values()]) == (0, [None] * 4)
    assert run("export", "--output", str(tmp_path / "audit.jsonl")).exit_code == 0
    code, chains = verified("--file", str(tmp_path / "audit.jsonl"))
    assert (code, [one["broken"] for one in chains.values()]) == (0, [None] * 4)


def test_acts_on_certificates_and_keys_are_recorded_without_a_secret(
    host: dict[str, Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr("syslog.syslog", lambda _level, line: written.append(line))
    certs, keys = ("--dir", str(tmp_path / "certs")), ("--dir", str(tmp_path / "keys"))
    for words in (
        ("certs", "init", *certs), ("certs", "issue", "front", "--name", "front-2", *certs),
        ("certs", "renew", "bridge", "--name", "bridge-1", *certs), ("certs", "rollover", "--next", *certs),
        ("certs", "rollover", "--next", *certs),  # refused: this step is not done everywhere
        ("keys", "init", *keys), ("keys", "rotate", "front", *keys), ("keys", "rotate", "front", *keys),
        ("keys", "rotate", "front", "--activate", "--force", *keys),
        ("keys", "prune", "--older-than", "0", "--force", *keys),
        ("keys", "show", *keys), ("certs", "check", *certs),
    ):  # fmt: skip
        CliRunner().invoke(app, words)
    acts = ["certs-init", "certs-issue", "certs-renew", "certs-rollover",
            "keys-init", "keys-rotate", "keys-activate", "keys-prune"]  # fmt: skip
    assert [json.loads(line)["act"] for line in written] == acts
    records = [one for one in json.loads(run("show", "--json").output) if one["chain"].startswith("bridgectl")]
    for chain in (records[::2], records[1::2]):  # of both databases, by their time
        assert sorted(one["details"]["act"] for one in chain) == sorted(acts)
    issued = json.loads(written[1])
    assert (issued["role"], issued["name"], issued["certificates"][0].split()[0]) == ("front", "front-2", "front-2.pem")
    assert len(json.loads(written[7])["gone"]) == 2
    secrets = [key["private"] for file in (tmp_path / "keys").glob("*.keyring")
               for key in json.loads(file.read_text())["keys"]]  # fmt: skip
    assert secrets
    for line in written:
        assert not [one for one in secrets if one in line]
        assert len(line) < 1500


def test_a_done_act_does_not_look_failed_for_its_record(
    host: dict[str, Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[str] = []
    monkeypatch.setattr("syslog.syslog", lambda _level, line: written.append(line))
    (tmp_path / "bridgectl.toml").write_text("[doctor\n")
    audit.record("apps-revoke", application="wechat")
    assert json.loads(written[0])["application"] == "wechat"
    assert "apps-revoke is in the system's log, not in the daemons': " in capsys.readouterr().err


def test_reading_waits_for_no_writer(host: dict[str, Engine]) -> None:
    with host["dmz_front"].begin() as daemon:
        append(daemon, FRONT, "front-1", NOW + 11, ACT, {"act": "resume", "by": "root"})
        assert verified()[1]["front-1"]["records"] == 2  # as committed
