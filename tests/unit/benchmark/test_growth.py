"""Growth is measured at the sizes asked for, with rows that the product itself takes for what they are meant to be."""

import json
import tomllib
from collections.abc import Sequence
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from intranet_bridge.ceilings.ceilings import Ceilings
from intranet_bridge.ceilings.sections import CeilingsSection, FrontSection
from intranet_bridge.hot_data.hot import HotData
from intranet_bridge.hot_data.section import HotSection
from protocol.operations import OFFERED
from protocol.runtime.applications import active, key_hash
from protocol.runtime.hot_section import HotOperationSection
from protocol.runtime.metrics import Samples
from scripts.tools.benchmark import __main__ as bench
from scripts.tools.benchmark import accounts, applications, fleet, growth, retention
from scripts.tools.benchmark.chart import Curve, ceiling, page
from scripts.tools.testbed.processes import TestbedError
from tests.unit.benchmark.plans import plans_of
from tests.unit.clock import Clock

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "ROUNDS", 1)
    monkeypatch.setattr(retention, "COMMANDS", 32)


def test_every_curve_has_a_point_for_every_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "growth.html"
    curves = [word for curve in growth.CURVES for word in ("--curve", curve)]
    monkeypatch.setattr("sys.argv", ["bench", "growth", "--sizes", "100,2000", *curves, "--page", str(file), "--json"])
    assert bench.main() == 0
    rows = json.loads(capsys.readouterr().out)["growth"]
    assert {(row["curve"], row["table"], row["rows"]) for row in rows} == {
        (curve, table, size) for curve in growth.CURVES for table in ("requests", "inbox") for size in (100, 2000)
    }
    for line in growth.curves_of(rows):
        assert all([x for x, _ in points] == [100, 2000] for points in line.lines.values())
    assert file.read_text(encoding="utf-8").count("<svg ") == len(growth.curves_of(rows)) == 8


def test_what_was_measured_before_something_failed_is_told_and_stands_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(folder: Path, sizes: Sequence[int], seconds: float) -> list[growth.Row]:
        raise TestbedError("the broker is gone")

    file = tmp_path / "growth.html"
    monkeypatch.setattr(fleet, "run", fails)
    words = ["--curve", "kept", "--curve", fleet.CURVE, "--sizes", "100", "--page", str(file)]
    monkeypatch.setattr("sys.argv", ["bench", "growth", *words])
    with pytest.raises(TestbedError):
        bench.main()
    assert "a command, CPU ms" in capsys.readouterr().out
    assert "<svg " in file.read_text(encoding="utf-8")


def test_what_is_measured_of_the_daemons_stands_on_the_page_by_its_unit() -> None:
    rows: list[growth.Row] = [
        {"curve": curve, "table": "front", "rows": at, "what": f"front, {unit}", "value": 1.5}
        for curve, unit in (("memory", "MB resident"), ("recovery", "s until ready"), ("recovery", "MB when ready"))
        for at in (10, 20)
    ]
    curves = growth.curves_of(rows)
    assert [(one.title, one.x, one.y) for one in curves] == [
        ("Memory over queries: MB resident", "queries", "MB"),
        ("A start with commands left: s until ready", "commands", "s"),
        ("A start with commands left: MB when ready", "commands", "MB"),
    ]
    assert [one.lines for one in curves] == [{"front": [(10.0, 1.5), (20.0, 1.5)]}] * 3


def test_an_application_may_ask_for_as_many_operations_as_are_bound() -> None:
    bound = sorted(applications.bound_operations())
    few, many = (applications.chosen(bound, number) for number in applications.OPERATIONS)
    assert (len(few), len({*many})) == applications.OPERATIONS
    assert {*few} < {*many} <= OFFERED.keys() & {*bound}
    assert set(applications.scopes_of(few)) == {"bills", "work-orders"}


def test_the_bridge_takes_the_tables_of_the_applications_and_no_others(clock: Clock) -> None:
    names = applications.names(3)
    told = tomllib.loads(applications.tables(names, ["bill-query", "bill-query.v2"]))["fronts"]
    fronts = {name: FrontSection.model_validate(table) for name, table in told.items()}
    ceilings = Ceilings(CeilingsSection(), fronts, clock)
    assert [ceilings.refused(f"front-1/{name}", "bill-query") for name in names] == [None] * 3
    assert ceilings.refused("front-1/app-00003", "bill-query") is not None
    assert ceilings.refused("front-1/app-00000", "arrears-query") is not None


async def test_the_front_knows_each_application_by_the_key_it_was_given(tmp_path: Path) -> None:
    side = await retention.ledger_side(tmp_path / "front.sqlite3")
    keys = applications.add(tmp_path / "front.sqlite3", applications.names(3), ["bills"])
    known = (await side.store.read(partial(active, now_ms=0))).by_key
    assert {known[key_hash(key.encode())].name: key for key in keys.values()} == keys
    await side.store.close()


def test_what_was_measured_with_so_many_applications_is_a_line_for_each_number_of_operations() -> None:
    rows = [
        row
        for size in (1, 100)
        for number in applications.OPERATIONS
        for row in applications.rows_of(size, f"{number} operations", {("front", "ms of CPU a query"): 0.25})
    ]
    [curve] = growth.curves_of(rows)
    assert (curve.title, curve.x, curve.y) == ("Applications: ms of CPU a query", "applications", "ms")
    line = [(1.0, 0.25), (100.0, 0.25)]
    assert curve.lines == {"front, 4 operations": line, "front, 40 operations": line}


def test_the_bridge_s_metrics_tell_how_queries_were_answered() -> None:
    section = HotSection(operations={"bill-query": HotOperationSection(lifetime_s=60)})
    hot = HotData(section)
    hot.counts.update({("bill-query", "hit"): 30, ("bill-query", "miss"): 10})
    before = dict.fromkeys(("hit", "joined", "miss", "stale"), 0.0)
    registry = CollectorRegistry()
    registry.register(Samples(hot.samples))
    now = accounts.numbers(generate_latest(registry).decode())
    assert now == before | {"hit": 30.0, "miss": 10.0, "kept": 0.0, "bytes": 0.0}
    assert accounts.share(before, now, "hit") == 0.75
    assert accounts.share(now, now, "hit") == 0.0


def test_a_fleet_has_as_many_fronts_as_bridges_and_two_brokers_at_most() -> None:
    for size, brokers in ((1, 1), (2, 2), (4, 2)):
        parts = ["front", "bridge", "broker", *fleet.twins_of(size)]
        assert len({*parts}) == len(parts)
        counts = fleet.by_kind(dict.fromkeys(parts, 1.0))
        assert counts == {"front": size, "bridge": size, "broker": brokers}


def test_the_cost_of_a_request_is_that_of_all_processes_of_a_kind() -> None:
    costs = [{"front": one, "bridge": 2.0, "broker": 3 - one, "database": 0.5} for one in (1.0, 1.5, 0.5)]
    rows = [row for size in (1, 2) for row in fleet.rows_of(size, "a query", costs, fleet.KINDS, fleet.FLEET)]
    rows += fleet.rows_of(2, "a query", costs, (), fleet.APART)
    [curve] = growth.curves_of(rows)
    assert (curve.title.rpartition(": ")[2], curve.y) == ("ms of CPU a query", "ms")
    assert {line: points[0][1] for line, points in curve.lines.items()} == {
        "front": 1.0, "bridge": 2.0, "broker": 2.0, "database": 0.5, fleet.FLEET: 5.5, fleet.APART: 5.5,
    }  # fmt: skip


def test_what_is_spent_at_rest_can_be_left_out_of_a_request_s_cost() -> None:
    spent = fleet.Spent(dict.fromkeys(fleet.KINDS, 3.0), 10.0, 1000)
    assert spent.each() == dict.fromkeys(fleet.KINDS, 3.0)
    assert spent.each(dict.fromkeys(fleet.KINDS, 100.0)) == dict.fromkeys(fleet.KINDS, 2.0)


def test_loads_at_the_same_time_are_one_load_of_all_their_requests() -> None:
    some, more = (
        fleet.Spent(dict.fromkeys(fleet.KINDS, 3.0), 10.0, 1000),
        fleet.Spent(dict.fromkeys(fleet.KINDS, 1.0), 12.0, 3000),
    )
    assert fleet.Spent.of_all([some, more]) == fleet.Spent(dict.fromkeys(fleet.KINDS, 4.0), 11.0, 4000)
    assert fleet.total([some.cpu_s, more.cpu_s]) == dict.fromkeys(fleet.KINDS, 4.0)


@pytest.mark.parametrize(("table", "state"), [("requests", "sent"), ("inbox", "received")])
async def test_the_product_finds_the_backlog_it_is_filled_with(table: str, state: str, tmp_path: Path) -> None:
    open_ = retention.ledger_side if table == "requests" else retention.inbox_side
    side = await open_(tmp_path / "full.sqlite3")
    await growth.filled(side, table, 500, "backlog")
    report = await side.clockwork["status's report"]()
    assert dict(report.by_state) == {state: 500}
    assert report.oldest_unfinished > 0
    if table == "inbox":
        assert len(await side.clockwork["the start's look"]()) == 500
    else:
        assert await side.clockwork["the start's look"]() == ["front-1"]
    await side.store.close()


_FEW = ("count(", "decided_at > ?")
"""Counting reads an index; what operators have decided and nobody has acted on yet is few, and sorted."""
_LOOKS = {
    "requests": ("status's report", "what is due", "the start's look"),
    "inbox": ("replies without a receipt", "decisions to act on", "the start's look", "whose rows", "status's report"),
}


@pytest.mark.parametrize("table", sorted(_LOOKS))
async def test_nothing_is_sorted_or_walked_over_for_a_backlog(table: str, tmp_path: Path) -> None:
    open_ = retention.ledger_side if table == "requests" else retention.inbox_side
    side = await open_(tmp_path / "full.sqlite3")
    await growth.filled(side, table, 3_000, "backlog")
    control = f"SELECT id FROM {table} ORDER BY code"  # one that is
    with plans_of(side.store) as plans:
        for what in _LOOKS[table]:
            await side.clockwork[what]()
        await side.store.read(lambda connection: connection.exec_driver_sql(control).all())
    await side.store.close()
    looks = {text: " ".join(sorted(plan)) for text, plan in plans.items() if not any(few in text for few in _FEW)}
    assert [text for text, plan in looks.items() if f"SCAN {table}" in plan or "TEMP B-TREE" in plan] == [control]
    assert len(looks) > 2
    for text, plan in looks.items():
        if "inquiring_at > ?" in text:
            assert "INDEX inbox_inquiring" in plan


async def test_what_is_final_is_not_counted_at_the_start(tmp_path: Path) -> None:
    side = await retention.inbox_side(tmp_path / "full.sqlite3")
    await growth.filled(side, "inbox", 500, "kept")
    with plans_of(side.store) as plans:
        await side.clockwork["the start's look"]()
    await side.store.close()
    counts = [" ".join(plan) for text, plan in plans.items() if "count(" in text]
    assert len(counts) == 2
    assert all("INDEX inbox_unfinished" in plan or "INDEX inbox_keys" in plan for plan in counts)


@pytest.mark.parametrize("sizes", ["", "0", "ten", "10,-1"])
def test_sizes_that_are_none_are_refused(sizes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "growth", "--sizes", sizes])
    with pytest.raises(SystemExit):
        bench.main()


class Loaded(HTMLParser):
    """What a page would load or execute."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [tag] if tag in ("script", "link", "img", "iframe") else []
        self.found += [name for name, _ in attrs if name in ("src", "href")]


def test_the_page_loads_nothing_and_escapes_what_it_is_told() -> None:
    html = page("Growth", "<script>", [Curve("a & b", "rows", "ms", {"<b>": [(10.0, 1.0), (1000.0, 2.0)]})])
    loaded = Loaded()
    loaded.feed(html)
    assert loaded.found == []
    assert "a &amp; b" in html
    assert "&lt;b&gt;" in html
    assert "@import" not in html
    assert "url(" not in html


@pytest.mark.parametrize(("value", "end"), [(0, 1), (0.07, 0.1), (1, 1), (1.1, 2), (3, 5), (700, 1000)])
def test_an_axis_ends_at_a_round_number(value: float, end: float) -> None:
    assert ceiling(value) == pytest.approx(end)
