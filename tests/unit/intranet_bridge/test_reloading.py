"""A running bridge goes by changed bindings: new calls by the new, calls under way by the old, nothing in between."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridgectl import keys
from intranet_bridge import app
from intranet_bridge.bound import Bound, Rebound, bind, longest_call_s, rebind
from intranet_bridge.marketing import Answered, NotApplied, Unknown
from intranet_bridge.marketing.breaker import Circuit
from intranet_bridge.marketing.http.kind import OpenHttpSystem
from intranet_bridge.reloading import Change, Reload
from intranet_bridge.settings import BridgeSettings
from protocol.errors import BridgeError, ConfigurationError
from protocol.lifecycle import State
from protocol.operations import CATALOGUE, OWN
from protocol.presence import Availability
from tests.unit.intranet_bridge.harness import BILL_BODY, DONE, Marketing, Stage, scene, until

BILLS = b'{"account":"3210000000001","bills":[]}'
OTHERS = b'{"account":"3210000000001","bills":[],"x":1}'


class Backend:
    """A system that says when it was started and closed."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def adapter(self, operation: Any, binding: Any) -> Any:
        raise NotImplementedError

    async def start(self) -> None:
        self.log.append("start")

    async def close(self) -> None:
        self.log.append("close")

    def samples(self) -> Any:
        return iter(())


async def changed(bridge: app.Bridge, adapters: dict[str, Any], *ended: Any) -> None:
    """The bridge goes by other adapters, as after a reload."""
    rebound = Rebound(Bound({}, adapters), (), ended)
    await bridge.take_up(Change(bridge.settings, None, rebound, frozenset({"operations"})))  # type: ignore[arg-type]


@scene
async def test_calls_under_way_end_with_the_old_adapter_and_new_ones_have_the_new(stage: Stage) -> None:
    old = stage.marketing["bill-query"] = Marketing(Answered(BILLS))
    old.gate = asyncio.Event()
    bridge = await stage.start()
    first, envelope = stage.envelope("bill-query", body=BILL_BODY)
    await stage.ask(envelope)
    await until(lambda: old.running)
    backend = Backend()
    await changed(bridge, {**stage.marketing, "bill-query": Marketing(Answered(OTHERS))}, backend)
    second, envelope = stage.envelope("bill-query", body=BILL_BODY)
    await stage.ask(envelope)
    assert (await stage.reply(second)).result == OTHERS
    old.gate.set()
    assert (await stage.reply(first)).result == BILLS
    assert old.calls == [first]
    assert backend.log == []  # another call might be under way still
    await stage.stop()
    assert backend.log == ["close"]


@scene
async def test_an_operation_that_is_unbound_waits_and_one_that_is_bound_again_goes_on(stage: Stage) -> None:
    stage.marketing["bill-query"].default = Answered(BILLS)
    orders = stage.marketing["work-order"]
    orders.default = NotApplied("away", reached=False)
    bridge = await stage.start()
    order = await stage.command()
    await until(lambda: orders.calls)
    await changed(bridge, {"bill-query": stage.marketing["bill-query"]})
    await until(lambda: stage.presences and set(stage.presences[-1].operations) - OWN == {"bill-query"})
    id, envelope = stage.envelope("arrears-query", body=b'{"account":"3210000000001"}')
    await stage.ask(envelope)
    assert (await stage.reply(id)).code == "marketing-unavailable"
    assert stage.of(order) == []
    assert len(bridge.ordering) == 1
    orders.default = Answered(DONE)
    await changed(bridge, dict(stage.marketing))
    reply = await stage.reply(order)
    assert (reply.state, reply.result) == (State.SUCCEEDED, DONE)
    await until(lambda: stage.presences[-1].operations.get("work-order") is Availability.UP)
    await stage.stop()


@scene
async def test_a_circuit_closes_with_a_new_binding_and_stays_with_the_same(stage: Stage) -> None:
    stage.changes["breaker.failures"] = 1
    stage.changes["breaker.open_min_s"] = 60
    for name in ("bill-query", "arrears-query"):
        stage.marketing[name].default = Unknown("HTTP 500")
    bridge = await stage.start()
    for name, body in (("bill-query", BILL_BODY), ("arrears-query", b'{"account":"3210000000001"}')):
        id, envelope = stage.envelope(name, body=body)
        await stage.ask(envelope)
        await stage.reply(id)
    await changed(bridge, {**stage.marketing, "bill-query": Marketing(Answered(BILLS))})
    states = {name: bridge.health[name].breaker.circuit(0.0) for name in ("bill-query", "arrears-query")}
    assert states == {"bill-query": Circuit.CLOSED, "arrears-query": Circuit.OPEN}
    await stage.stop()


CONFIGURATION = """
[link]
brokers = ["localhost:1"]
ca = "x"
certificate = "x"
key = "x"
[keys]
keyring = "keys/bridge.keyring"
trusted = "keys/trusted.json"
[store]
file = "bridge.sqlite3"
[marketing]
url = "http://localhost:1"
authentication = { header = "X-Token", token_file = "token" }
[systems.other]
url = "http://localhost:2"
[operations.bill-query]
path = "/bills"
response = "@"
[operations.arrears-query]
path = "/arrears"
response = "@"
[operations.faq]
system = "other"
path = "/faq"
response = "@"
"""


def settings(folder: Path, text: str) -> BridgeSettings:
    from protocol.runtime.settings import load

    (folder / "token").touch(mode=0o600)
    (folder / "token").write_text("secret")
    file = folder / "intranet_bridge.toml"
    file.write_text(text)
    return load(file, BridgeSettings)


def test_what_is_the_same_is_kept_with_its_connections(tmp_path: Path) -> None:
    old = settings(tmp_path, CONFIGURATION)
    first = bind(old)
    same = rebind(first, old, settings(tmp_path, CONFIGURATION), [])
    assert same.bound == first
    assert same.begun == same.ended == ()
    new = settings(tmp_path, CONFIGURATION.replace('"/arrears"', '"/owed"').replace("localhost:2", "localhost:3"))
    done = rebind(first, old, new, [])
    kept = {name for name, adapter in done.bound.adapters.items() if adapter is first.adapters[name]}
    assert kept == {"bill-query"}
    assert done.bound.systems["marketing"] is first.systems["marketing"]
    assert done.begun == (done.bound.systems["other"],)
    assert done.ended == (first.systems["other"],)


def test_an_old_back_end_is_closed_after_the_longest_call() -> None:
    slow, deadline = Marketing(Answered(BILLS)), max(one.deadline_ms for one in CATALOGUE.values()) / 1000
    assert longest_call_s({}) <= longest_call_s({"bill-query": slow}) <= deadline
    slow.timeout_s = 700.0
    assert longest_call_s({"bill-query": slow}) == 700.0


def test_a_token_that_changed_is_read_again(tmp_path: Path) -> None:
    old = settings(tmp_path, CONFIGURATION)
    first = bind(old)
    done = rebind(first, old, old, [("marketing", "authentication", "token_file")])
    assert done.ended == (first.systems["marketing"],)
    assert isinstance(done.bound.systems["marketing"], OpenHttpSystem)
    assert done.bound.adapters["faq"] is first.adapters["faq"]
    assert done.bound.adapters["bill-query"] is not first.adapters["bill-query"]


async def reload_of(folder: Path) -> tuple[Reload, list[Change]]:
    """A reload of a bridge with that configuration, and the changes it asks for."""
    changes: list[Change] = []
    keys.init(folder / "keys", now=datetime.now(UTC).replace(microsecond=0))

    async def take_up(change: Change) -> list[str]:
        changes.append(change)
        return []

    current = settings(folder, CONFIGURATION)
    first = bind(current)
    return Reload(folder / "intranet_bridge.toml", current, lambda: first, take_up), changes


@pytest.mark.anyio
async def test_a_reload_names_what_changed_and_judges_first(tmp_path: Path) -> None:
    folder = tmp_path
    reload, changes = await reload_of(folder)
    settings(folder, CONFIGURATION.replace('"/arrears"', '"/owed"') + "[queries]\nslots = 3\n[commands]\nworkers = 2\n")
    (folder / "token").write_text("another")
    done = await reload.reload()
    assert done.changed == (
        "commands.workers", "marketing.authentication.token_file (the file)", "operations.arrears-query",
    )  # fmt: skip
    assert done.restart == ("queries.slots",)
    assert changes[0].touched >= {"commands", "marketing", "operations"}
    assert (reload.files.changed(), reload.files.waiting) == ((), ("queries.slots",))
    assert changes[0].settings.queries.slots == 64
    (folder / "intranet_bridge.toml").write_text(CONFIGURATION.replace('"@"', '"@@["', 1))
    with pytest.raises(ConfigurationError, match=r"intranet_bridge\.toml:\d+: operations\.bill-query\.response"):
        await reload.reload()
    assert len(changes) == 1


@pytest.mark.anyio
async def test_kinds_of_statements_and_what_banks_charge_wait_for_a_restart_and_the_reload_says_so(
    tmp_path: Path,
) -> None:
    withholding = """
[settlement.companies.power]
[settlement.withholding.bank-a]
org = "SDDL"
unit = "37101"
bank = "013"
company = "power"
target = "bank"
request_profile = "dkkk"
answer_profile = "redkkk"
[files]
targets = { bank = "front-1" }
[files.profiles.redkkk]
names = "SDDL_.*"
[files.profiles.dsdz]
names = "SDDL_.*"
"""
    reload, changes = await reload_of(tmp_path)
    settings(tmp_path, CONFIGURATION + withholding)
    statements = '[settlement.statements.files.dsdz]\nprofile = "utility-dsdz"\ncompany = "power"\n'
    await reload.reload()
    settings(tmp_path, CONFIGURATION + withholding + statements + "[settlement]\nclose_after_days = 5\n")
    done = await reload.reload()
    assert {place.split(".")[1] for place in done.restart if place.startswith("settlement.")} == {
        "statements", "withholding",
    }  # fmt: skip
    taken = changes[-1].settings.settlement
    assert (taken.close_after_days, taken.statements.files, taken.withholding) == (5, {}, {})


@pytest.mark.anyio
async def test_a_system_that_does_not_start_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reload, changes = await reload_of(tmp_path)
    closed: list[object] = []

    async def fails(self: OpenHttpSystem) -> None:
        raise RuntimeError("no")

    async def close(self: OpenHttpSystem) -> None:
        closed.append(self)

    monkeypatch.setattr(OpenHttpSystem, "start", fails)
    monkeypatch.setattr(OpenHttpSystem, "close", close)
    settings(tmp_path, CONFIGURATION.replace("localhost:2", "localhost:3"))
    with pytest.raises(BridgeError, match="cannot be started: RuntimeError"):
        await reload.reload()
    assert (len(closed), changes) == (1, [])
