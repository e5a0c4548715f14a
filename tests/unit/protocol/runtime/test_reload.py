"""What differs between two configurations, what of it is taken up, and how a reload is asked for and told."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field
from structlog.testing import capture_logs

from protocol.administration import ReloadReport
from protocol.errors import BridgeError, ConfigurationError
from protocol.runtime.control import Peer
from protocol.runtime.daemon import Daemon
from protocol.runtime.reload import Reloader, contents, differences, report, taken_up, within
from protocol.runtime.settings import FilePath, Section


class Tls(Section):
    certificate: FilePath = Path("a.pem")
    port: int = 1


class Settings(Section):
    name: str = "one"
    tls: Tls = Tls()
    further: dict[str, Tls] = Field(default_factory=dict)
    rates: tuple[int, ...] = ()


def test_differences_are_settings_and_of_named_tables_the_tables() -> None:
    old = Settings(further={"a": Tls(), "b.c": Tls()})
    new = Settings(name="two", tls=Tls(port=2), further={"b.c": Tls(port=3), "d": Tls()}, rates=(1,))
    assert differences(old, old) == []
    assert differences(old, new) == [
        ("name",), ("tls", "port"), ("further", "a"), ("further", "b.c"), ("further", "d"), ("rates",),
    ]  # fmt: skip


def test_only_what_may_be_is_taken_up() -> None:
    old, new = Settings(), Settings(name="two", tls=Tls(certificate=Path("b.pem"), port=2), rates=(5,))
    got = taken_up(old, new, [("tls", "certificate"), ("rates",)])
    assert got == Settings(name="one", tls=Tls(certificate=Path("b.pem"), port=1), rates=(5,))
    assert old == Settings()


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    file = tmp_path / "a.pem"
    settings = Settings(tls=Tls(certificate=file), further={"x": Tls(certificate=tmp_path / "none")})
    file.write_text("one")
    before = contents(settings, [("tls",), ("further",)])
    assert before[("further", "x", "certificate")] == ""
    assert contents(settings, [("tls",), ("further",)]) == before
    file.write_text("two")
    after = contents(settings, [("tls",), ("further",)])
    assert [place for place in after if after[place] != before[place]] == [("tls", "certificate")]


def test_a_report_says_what_changed_what_waits_and_what_is_the_same() -> None:
    places = [("name",), ("tls", "port"), ("further", "b.c")]
    files = [("tls", "certificate"), ("further", "b.c", "certificate")]
    got = report("front", "one", places, files, [("tls", "port"), ("further",)], Settings)
    assert got.changed == ('further."b.c"', "tls.certificate (the file)", "tls.port")
    assert got.restart == ("name",)
    assert got.same == ("rates",)
    assert within(("tls", "port"), [("tls",)])
    assert not within(("tls",), [("tls", "port")])


pytestmark = pytest.mark.anyio
DONE = ReloadReport(side="front", name="one", changed=("log.level",), restart=("name",))


async def test_a_reload_is_told_to_who_asked_and_audited() -> None:
    async def act() -> ReloadReport:
        return DONE

    daemon = Daemon()
    reloader = Reloader(daemon, act)
    with capture_logs() as logs:
        told = await asyncio.create_task(reloader.answer({}, Peer(0, 1)))
        await daemon.reload()  # as SIGHUP does
    assert ReloadReport.model_validate(told) == DONE
    assert [(line["event"], line["act"], line["by"]) for line in logs] == [
        ("administrative-act", "reload", "root"), ("administrative-act", "reload", "SIGHUP"),
    ]  # fmt: skip
    assert json.loads(logs[0]["details"])["changed"] == ["log.level"]


async def test_a_reload_is_brought_to_its_end_though_nobody_waits_any_more() -> None:
    going, ended = asyncio.Event(), asyncio.Event()

    async def act() -> ReloadReport:
        going.set()
        await asyncio.sleep(0.01)
        ended.set()
        return DONE

    asking = asyncio.create_task(Reloader(Daemon(), act).answer({}, Peer(0, 1)))
    await going.wait()
    asking.cancel()
    await asyncio.wait_for(ended.wait(), 30)
    assert asking.cancelled() or asking.cancelling()


async def test_a_refused_reload_is_an_error_and_in_the_log() -> None:
    async def act() -> ReloadReport:
        raise ConfigurationError("is wrong", file="x.toml", line=3)

    with capture_logs() as logs, pytest.raises(BridgeError, match=r"x\.toml:3: is wrong"):
        await Reloader(Daemon(), act).answer({}, Peer(0, 1))
    assert [(line["event"], line["by"]) for line in logs] == [("reload-refused", "root")]


def test_every_place_that_can_be_reloaded_is_a_setting() -> None:
    from dmz_front import reloading as front
    from dmz_front.settings import FrontSettings
    from intranet_bridge import reloading as bridge
    from intranet_bridge.settings import BridgeSettings

    named: Mapping[Any, type[BaseModel]] = {front: FrontSettings, bridge: BridgeSettings}
    for module, model in named.items():
        for place in (*module.RELOADABLE, *module.FILES):
            table: Any = model
            for name in place:
                assert name in table.model_fields, place
                table = table.model_fields[name].annotation
