"""Pushes by the endpoint and by a table, with a whole bridge: each takes effect once."""

import asyncio
import contextlib
import json
import socket
import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from intranet_bridge.marketing.sql.binding import SqlSystem
from intranet_bridge.marketing.sql.kind import OpenSqlSystem
from intranet_bridge.notices.rows import NOTICES
from intranet_bridge.pushes.bodies import push_of
from intranet_bridge.pushes.rows import CURSORS, PUSHED
from intranet_bridge.pushes.tables import PushTable, PushTables
from intranet_bridge.pushes.taking import NOTICES_TOGETHER, TOGETHER, Verdict, parts_of
from intranet_bridge.settings import PushesSection, PushTableSection
from protocol.errors import ConfigurationError
from scripts.tools.testbed.processes import free_port
from tests.unit.intranet_bridge.harness import Stage, scene, until
from tests.unit.intranet_bridge.pushes.test_effects import ACCOUNT, said

TOKEN = "a-token-of-the-marketing-system"
CONSENT = {"version": "2026-01", "at": "2026-07-02T09:00:00+08:00"}


async def subscribe(stage: Stage) -> None:
    kinds = ["bill-issued", "outage-notice"]
    body = json.dumps({"account": ACCOUNT, "kinds": kinds, "consent": CONSENT}).encode()
    await stage.reply(await stage.command("notice-subscribe", body=body, source="front-1/wechat"))


async def count(stage: Stage, table: Any) -> int:
    statement = select(func.count()).select_from(table)
    return int(await stage.bridge.store.read(lambda connection: connection.execute(statement).scalar_one()))


class Kept:
    """In place of hot data."""

    def __init__(self) -> None:
        self.forgot: list[tuple[str, Collection[str] | None]] = []

    def invalidate(self, account: str, operations: Collection[str] | None = None, by: str = "push") -> None:
        self.forgot.append((account, operations))

    def clear(self, operations: Collection[str] | None = None, by: str = "push") -> None:
        self.forgot.append(("", operations))


@scene
async def test_a_push_acts_once_whatever_is_said_again(stage: Stage) -> None:
    await stage.start()
    await subscribe(stage)
    pushes, kept = stage.bridge.pushes, Kept()
    pushes._hot = kept
    first, other = push_of(said()), push_of(said(amount_fen=1))
    batch = [first, first, other, push_of(said("archive-changed", "P2")), push_of(said("outage-planned", "P3"))]
    taken = await pushes.take(batch)
    assert [(one.verdict, one.notices) for one in taken] == [
        (Verdict.ACCEPTED, 1), (Verdict.REPEATED, 0), (Verdict.CONFLICT, 0), (Verdict.ACCEPTED, 0),
        (Verdict.ACCEPTED, 1),
    ]  # fmt: skip
    assert [one.verdict for one in await pushes.take([other, first])] == [Verdict.CONFLICT, Verdict.REPEATED]
    assert await count(stage, NOTICES) == 2
    assert (ACCOUNT, None) in kept.forgot
    assert ("", frozenset({"outage-notices"})) in kept.forgot
    assert (pushes.accepted.total(), pushes.repeated, pushes.refused["conflict"]) == (3, 2, 2)
    await until(lambda: len(stage.replies) > 1)  # the notices go out at once
    rows = await stage.bridge.store.read(lambda connection: connection.execute(select(PUSHED)).all())
    assert ACCOUNT not in repr(rows)
    report = pushes.report()
    assert (report.accepted, report.lately, report.refused) == (3, 3, 2)


@scene
async def test_a_push_that_was_committed_before_a_kill_does_not_act_again(stage: Stage) -> None:
    await stage.start()
    await subscribe(stage)
    many = [push_of(said(id=f"P{number}", amount_fen=number)) for number in range(250)]
    await stage.bridge.pushes.take(many[:120])
    await stage.kill()
    await stage.start()
    taken = await stage.bridge.pushes.take(many)
    assert [one.verdict for one in taken] == [Verdict.REPEATED] * 120 + [Verdict.ACCEPTED] * 130
    assert await count(stage, NOTICES) == 250


@scene
async def test_the_ids_of_old_pushes_are_forgotten(stage: Stage) -> None:
    await stage.start()
    await stage.bridge.pushes.take([push_of(said())])
    taken_at = await stage.bridge.store.read(
        lambda connection: connection.execute(select(PUSHED.c.taken_at)).scalar_one()
    )
    await stage.bridge.pushes.forget(int(taken_at))
    assert await count(stage, PUSHED) == 1
    await stage.bridge.pushes.forget(int(taken_at) + 1)
    assert await count(stage, PUSHED) == 0


def test_a_transaction_is_bounded_by_the_notices_that_come_of_it_too() -> None:
    accounts = [f"32100000{number:05d}" for number in range(400)]
    outages = [push_of(said("outage-planned", f"P{number}", accounts=accounts)) for number in range(5)]
    bills = [push_of(said(id=f"B{number}")) for number in range(250)]
    assert [len(part) for part in parts_of(outages)] == [2, 2, 1]
    assert [len(part) for part in parts_of(bills)] == [TOGETHER, TOGETHER, 50]
    largest = push_of(said("outage-planned", accounts=[f"32100000{number:05d}" for number in range(NOTICES_TOGETHER)]))
    assert [list(part) for part in parts_of([bills[0], largest, bills[1]])] == [[bills[0]], [largest], [bills[1]]]
    assert parts_of([]) == [[]]


async def listening(stage: Stage, **changes: Any) -> httpx.AsyncClient:
    file = stage.folder / "pushes.token"
    file.write_text(TOKEN + "\n")
    port = free_port()
    stage.changes["pushes"] = {"port": port, "token_file": str(file)} | changes
    await stage.start()
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False, timeout=30
    )


@scene
async def test_the_endpoint_answers_each_push_after_the_commit(stage: Stage) -> None:
    async with await listening(stage) as http:
        await subscribe(stage)
        answer = await http.post("/v1/pushes", json=said())
        assert (answer.status_code, answer.json()) == (
            200, {"id": "P1", "status": 200, "outcome": "accepted", "notices": 1},
        )  # fmt: skip
        assert await count(stage, PUSHED) == 1
        assert (await http.post("/v1/pushes", json=said())).json()["outcome"] == "repeated"
        conflict = await http.post("/v1/pushes", json=said(amount_fen=1))
        assert (conflict.status_code, conflict.headers["content-type"]) == (409, "application/problem+json")
        wrong = await http.post("/v1/pushes", json=said(month="2026-13"))
        assert wrong.status_code == 422
        assert wrong.json()["errors"][0]["field"] == "data.month"
        values = [said(id="P2"), said(id="P3", account="?"), said(amount_fen=1), said()]
        batch = (await http.post("/v1/pushes", json={"pushes": values})).json()["pushes"]
        assert [(one["id"], one["status"]) for one in batch] == [("P2", 200), ("P3", 422), ("P1", 409), ("P1", 200)]
        assert batch[1]["field"] == "pushes.1.data.account"
        assert await count(stage, NOTICES) == 2
    await stage.stop()


@scene
async def test_the_endpoint_takes_nothing_from_who_is_not_known_and_nothing_without_bound(stage: Stage) -> None:
    async with await listening(stage, body_limit=4096, rate=1, burst_s=5) as http:
        for header in ("", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"):
            answer = await http.post("/v1/pushes", json=said(), headers={"Authorization": header})
            assert (answer.status_code, "www-authenticate" in answer.headers) == (401, True), header
        assert (await http.get("/v1/pushes")).status_code == 405
        assert (await http.post("/", json=said())).status_code == 404
        assert (await http.post("/v1/pushes", content=b"x" * 5000)).status_code == 413

        async def pieces() -> Any:
            for _ in range(6):
                yield b" " * 1000

        assert (await http.post("/v1/pushes", content=pieces())).status_code == 413
        assert (await http.post("/v1/pushes", content=b"{")).status_code == 400
        assert (
            await http.post("/v1/pushes", content=b"x=1", headers={"Content-Type": "text/plain"})
        ).status_code == 415
        wrong: list[Any] = [[], [1] * 1001, {}, "x"]
        for values in wrong:
            answer = await http.post("/v1/pushes", json={"pushes": values})
            assert answer.json()["errors"][0]["field"] == "pushes"
        answers = [await http.post("/v1/pushes", json=said(id=f"P{number}")) for number in range(9)]
        refused = [one for one in answers if one.status_code == 429]
        assert refused
        assert int(refused[0].headers["retry-after"]) >= 1
        assert stage.bridge.pushes.refused["unauthorized"] == 5
        assert await count(stage, PUSHED) == 9 - len(refused)
    await stage.stop()


@scene
async def test_headers_are_bounded_whether_they_end_or_not(stage: Stage) -> None:
    async with await listening(stage) as http:
        many = {f"X-{number}": "y" * 1000 for number in range(60)}
        assert (await http.post("/v1/pushes", json=said(), headers=many)).status_code == 431
        reader, writer = await asyncio.open_connection("127.0.0.1", http.base_url.port)
        writer.write(b"POST /v1/pushes HTTP/1.1\r\nX: " + b"y" * 20_000)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
    assert stage.bridge.pushes.refused["headers-too-large"] == 2
    await stage.stop()


@scene
async def test_a_changed_port_token_and_rate_lose_no_request(stage: Stage) -> None:
    async with await listening(stage) as http:
        bridge, section = stage.bridge, stage.bridge.settings.pushes
        reader, writer = await asyncio.open_connection("127.0.0.1", section.port)
        body = json.dumps(said()).encode()
        writer.write(f"POST /v1/pushes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n".encode())
        writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body[:10])
        await writer.drain()
        assert (await http.post("/v1/pushes", json=said(id="P2"))).status_code == 200

        other = section.token_file.with_name("other.token")  # type: ignore[union-attr]
        other.write_text("another-token-of-theirs")
        changed = section.model_copy(update={"token_file": other, "rate": 1.0, "burst_s": 1.0})
        await bridge.push_port.use(bridge.push_port.prepare(changed))
        writer.write(body[10:])  # of before: its token was shown then
        assert (await asyncio.wait_for(reader.readline(), 30)).split()[1] == b"200"
        writer.close()
        base = f"http://127.0.0.1:{section.port}"
        async with httpx.AsyncClient(
            base_url=base, trust_env=False, headers={"Authorization": f"Bearer {TOKEN}"}
        ) as old:
            assert (await old.post("/v1/pushes", json=said(id="P3"))).status_code == 401
        new = {"Authorization": "Bearer another-token-of-theirs"}
        async with httpx.AsyncClient(base_url=base, trust_env=False, headers=new) as fresh:
            answers = [(await fresh.post("/v1/pushes", json=said(id=f"Q{n}"))).status_code for n in range(9)]
            assert answers[0] == 200
            assert 429 in answers

        with socket.create_server(("127.0.0.1", 0)) as taken:
            elsewhere = changed.model_copy(update={"port": taken.getsockname()[1]})
            with pytest.raises(ConfigurationError, match="cannot listen"):
                bridge.push_port.prepare(elsewhere)
        await bridge.push_port.use(bridge.push_port.prepare(changed.model_copy(update={"port": free_port()})))
        with pytest.raises(httpx.ConnectError):
            async with httpx.AsyncClient(base_url=base, trust_env=False) as gone:
                await gone.post("/v1/pushes", json=said())
        await bridge.push_port.use(None)
    await stage.stop()


# --- tables ---------------------------------------------------------------------------------------------------

QUERY = "SELECT seq AS cursor, id, kind, at, data FROM said WHERE seq > :cursor ORDER BY seq LIMIT :batch"


def table(stage: Stage, query: str = QUERY, **changes: Any) -> tuple[PushTable, sqlite3.Connection]:
    file = stage.folder / "interface.sqlite3"
    database = sqlite3.connect(file)
    database.execute("CREATE TABLE IF NOT EXISTS said (seq INTEGER PRIMARY KEY, id, kind, at, data)")
    bridge = stage.bridge
    system = OpenSqlSystem("interface", SqlSystem.model_validate({"adapter": "sql", "file": str(file)}))
    section = PushTableSection(system="interface", query=query, json_columns=("data",), **changes)
    reads = PushTable(
        "billing", section, pushes=bridge.pushes, store=bridge.store, clock=bridge.clock, system=lambda: system,
        allowed=lambda: True,
    )  # fmt: skip
    return reads, database


def write(database: sqlite3.Connection, *values: dict[str, Any]) -> None:
    rows = [(one["id"], one["kind"], one["at"], json.dumps(one["data"])) for one in values]
    database.executemany("INSERT INTO said (id, kind, at, data) VALUES (?, ?, ?, ?)", rows)
    database.commit()


@scene
async def test_a_table_is_read_to_its_end_and_from_there_after_a_kill(stage: Stage) -> None:
    await stage.start()
    await subscribe(stage)
    reads, database = table(stage, batch=10)
    write(database, *(said(id=f"P{number}") for number in range(25)), said(id="P3"), said(id="P4", amount_fen=1))
    write(database, said(id="bad", month="2026-13"), said(id="last"))
    await reads.look()
    pushes = stage.bridge.pushes
    assert (pushes.accepted.total(), pushes.repeated, dict(pushes.refused)) == (26, 1, {"conflict": 1, "invalid": 1})
    assert (reads.report().lag_s, reads.report().error, reads.report().read > 0) == (0, "", True)
    await stage.kill()
    await stage.start()
    reads, database = table(stage, batch=10)
    write(database, said(id="after"))
    await reads.look()
    assert (stage.bridge.pushes.accepted.total(), stage.bridge.pushes.repeated) == (1, 0)
    assert await count(stage, NOTICES) == 27
    assert await count(stage, CURSORS) == 1


@scene
async def test_a_table_that_cannot_be_read_says_why_and_loses_nothing(stage: Stage) -> None:
    await stage.start()
    reads, database = table(stage, query=QUERY.replace("ORDER BY seq", "ORDER BY seq DESC"))
    write(database, said(id="P1"), said(id="P2"))
    await reads.look()
    assert "order" in reads.report().error
    assert await count(stage, PUSHED) == 0
    same, _ = table(stage, query=QUERY.replace("seq AS cursor", "1 AS cursor"))
    await same.look()
    assert "does not grow" in same.report().error
    gone, database = table(stage)
    database.execute("DROP TABLE said")
    await gone.look()
    assert gone.report().error.startswith("OperationalError")
    since = gone.report().failing_since
    assert since
    await gone.look()
    assert gone.report().failing_since == since
    table(stage)[1].close()
    await gone.look()
    assert (gone.report().error, gone.report().failing_since) == ("", 0)


@scene
async def test_rows_of_one_cursor_are_told_also_where_a_batch_ends_between_them(stage: Stage) -> None:
    await stage.start()
    query = QUERY.replace("seq AS cursor", "min(seq, 3) AS cursor").replace("WHERE seq", "WHERE min(seq, 3)")
    reads, database = table(stage, query=query, batch=3)
    write(database, *(said(id=f"P{number}") for number in range(4)))
    await reads.look()
    assert "does not grow" in reads.report().error
    assert stage.bridge.pushes.accepted.total() == 2


@scene
async def test_tables_that_change_go_on_from_where_they_were_read_and_others_as_they_were(stage: Stage) -> None:
    await stage.start()
    reads, database = table(stage)
    write(database, said(id="P1"))
    tables = PushTables([reads])
    await tables.start()
    await reads.look()
    assert stage.bridge.pushes.accepted.total() == 1
    same, _ = table(stage)
    await tables.use([same])
    assert tables.tables == [reads]  # and what is known of it
    quick, _ = table(stage, every_s=0.1)
    await tables.use([quick])
    assert tables.tables == [quick]
    write(database, said(id="P2"))
    await until(lambda: stage.bridge.pushes.accepted.total() == 2)
    assert stage.bridge.pushes.repeated == 0
    await tables.use([])
    write(database, said(id="P3"))
    assert tables.standing() == ""
    await tables.close()
    assert stage.bridge.pushes.accepted.total() == 2


@scene
async def test_two_bridges_that_read_the_same_rows_move_the_cursor_once(stage: Stage) -> None:
    await stage.start()
    reads, database = table(stage)
    write(database, said(id="P1"), said(id="P2"))
    other, _ = table(stage)
    rows = await other._rows(0)
    await reads.look()
    assert [row.cursor for row in rows] == [1, 2]
    write(database, said(id="P3"))
    await reads.look()
    await other.look()
    assert stage.bridge.pushes.accepted.total() == 3
    values = await stage.bridge.store.read(lambda connection: connection.execute(select(CURSORS.c.value)).all())
    assert [row.value for row in values] == ["3"]


# --- settings -------------------------------------------------------------------------------------------------

TLS = {"certificate": "c", "key": "k", "client_ca": "ca", "clients": ["marketing"]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"port": 1}, "callers must be known"),
        ({"port": 1, "token_file": "t", "host": "10.0.0.1"}, "must show a certificate"),
        ({"port": 1, "token_file": "t", "host": "intranet"}, "must show a certificate"),
        ({"port": 1, "host": "0.0.0.0", **TLS}, "not every interface"),
        ({"port": 1, "host": "::", **TLS}, "not every interface"),
        ({"port": 1, **TLS, "clients": []}, "belong together"),
        ({"port": 1, "certificate": "c"}, "belong together"),
        ({"port": 1, "client_ca": "ca", "clients": ["x"]}, "needs certificate"),
    ],
)
def test_what_the_dmz_could_reach_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PushesSection.model_validate(changes)


def test_loopback_with_a_token_and_the_intranet_with_certificates_are_good(tmp_path: Path) -> None:
    assert PushesSection().port == 0
    assert PushesSection.model_validate({"port": 1, "token_file": "t", "host": "::1"}).port == 1
    assert PushesSection.model_validate({"port": 1, "host": "10.0.0.1", **TLS}).clients == ("marketing",)


@pytest.mark.parametrize("query", ["SELECT 1", "SELECT :cursor, :other", "DELETE FROM said WHERE seq > :cursor"])
def test_a_query_reads_after_a_cursor(query: str) -> None:
    with pytest.raises(ValueError, match=r"cursor|SELECT"):
        PushTableSection(system="interface", query=query)
