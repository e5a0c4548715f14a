"""Kinds of adapter by name: those of ours, and what is said of a plug-in that is not one."""

from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest

from intranet_bridge.marketing import kinds
from intranet_bridge.marketing.http.kind import KIND
from intranet_bridge.settings import BridgeSettings
from protocol.errors import ConfigurationError
from protocol.runtime.settings import load
from tests.support.shipped import copied


@pytest.fixture(autouse=True)
def forgotten() -> None:
    kinds.kind.cache_clear()


def plugged(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    entry = EntryPoint(name, value, kinds.GROUP)
    monkeypatch.setattr(kinds, "entry_points", lambda group: [entry] if group == kinds.GROUP else [])


def test_ours_are_there_and_cannot_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    plugged(monkeypatch, "http", "nowhere:KIND")
    assert kinds.kind("http") is KIND


def test_a_plug_in_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    plugged(monkeypatch, "mainframe", "intranet_bridge.marketing.http.kind:KIND")
    assert kinds.kind("mainframe") is KIND
    with pytest.raises(ValueError, match=r"there is no adapter 'telex'; there are .*http.*mainframe"):
        kinds.kind("telex")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("no_such_package:KIND", r"no_such_package:KIND cannot be loaded: ModuleNotFoundError"),
        ("intranet_bridge.marketing.http.kind:NOTHING", r"cannot be loaded: AttributeError"),
        ("intranet_bridge.marketing.http.kind:OpenHttpSystem", r"is no adapter kind: it has no system, binding"),
    ],
)
def test_a_plug_in_that_is_not_one_is_said_with_its_name(
    monkeypatch: pytest.MonkeyPatch, value: str, complaint: str
) -> None:
    plugged(monkeypatch, "mainframe", value)
    with pytest.raises(ValueError, match=complaint):
        kinds.kind("mainframe")


@pytest.mark.parametrize(
    ("old", "new", "complaint", "in_bindings"),
    [
        ('adapter = "http" ', 'adapter = "telex" ', "marketing.adapter: there is no adapter 'telex'", False),
        ("idle_s = 4  ", "idle_s = 0  ", "marketing.idle_s: Input should be greater than 0", False),
        ("[marketing]  ", "[systems.main]  ", "there is no system 'marketing'; there are: main", True),
        (
            "[operations.arrears-query]", '[operations.arrears-query]\nsystem = "old"',
            "operations.arrears-query.system: there is no system 'old'; there are: marketing", True,
        ),
        (
            "[marketing]  ", '[systems.marketing]\nurl = "http://h"\n[marketing]  ',
            r"systems.marketing: the table of this one is \[marketing\]", False,
        ),
    ],
)  # fmt: skip
def test_a_mistake_about_systems_is_named_with_its_place(
    tmp_path: Path, old: str, new: str, complaint: str, in_bindings: bool
) -> None:
    path = copied(tmp_path, old, new)
    if new.startswith("[systems.main]"):
        path.write_text(path.read_text().replace("[marketing.authentication]", "[systems.main.authentication]"))
    with pytest.raises(ConfigurationError, match=complaint) as told:
        load(path, BridgeSettings)
    assert told.value.file is not None
    assert Path(told.value.file).parent.name == ("bindings" if in_bindings else tmp_path.name)
    assert told.value.line


def test_operations_are_bound_to_the_system_they_name(tmp_path: Path) -> None:
    path = copied(tmp_path, "[operations.arrears-query]", '[operations.arrears-query]\nsystem = "old"')
    with path.open("a") as file:
        file.write('\n[systems.old]\nurl = "http://old:8080"\ntimeout_s = 9\n')
    settings = load(path, BridgeSettings)
    assert settings.operations["arrears-query"].system == "old"
    assert settings.all_systems["old"].timeout_s == 9
    assert set(settings.all_systems) == {"marketing", "old"}


def test_what_is_loaded_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str] = []

    def load_it() -> object:
        loads.append("x")
        return KIND

    entry = SimpleNamespace(name="slow", value="a:b", load=load_it)
    monkeypatch.setattr(kinds, "entry_points", lambda group: [entry])
    assert kinds.kind("slow") is kinds.kind("slow")
    assert loads == ["x"]
