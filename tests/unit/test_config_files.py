"""What an operator installs: every shipped file loads, says every key, and units keep their hardening."""

import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from bridgectl.settings import ControlSettings
from dmz_front.settings import FrontSettings
from intranet_bridge.settings import BridgeSettings
from protocol.runtime.settings import load

CONFIG = Path(__file__).parents[2] / "config"
MODELS: dict[str, type[BaseModel]] = {
    "dmz_front.toml": FrontSettings,
    "intranet_bridge.toml": BridgeSettings,
    "bridgectl.toml": ControlSettings,
}


def test_every_file_is_known_here() -> None:
    assert {path.name for path in CONFIG.glob("*.toml")} == set(MODELS)


def paths_in(value: Any) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from paths_in(getattr(value, name))
    elif isinstance(value, dict):
        for one in value.values():
            yield from paths_in(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from paths_in(one)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_it_loads_as_it_is_and_its_paths_are_where_it_is_installed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    installed = tmp_path / name
    installed.write_text((CONFIG / name).read_text())
    shutil.copytree(CONFIG / "bindings", tmp_path / "bindings")
    found = list(paths_in(load(installed, MODELS[name])))
    assert found
    for path in found:
        assert path.is_absolute()
        assert path.is_relative_to(tmp_path) or str(path).startswith(("/var/lib/dmz-bridge/", "/run/"))


def uncommented(name: str) -> str:
    """The file with the keys and tables that are only shown, `# key = value  # why`, set too."""
    return re.sub(r"(?m)^# (?=[a-z_]+ = |\[\[?[a-z_.]+\]\]?$)", "", (CONFIG / name).read_text())


@pytest.mark.parametrize(("name", "model"), [("bridgectl.toml", ControlSettings), ("dmz_front.toml", FrontSettings)])
def test_every_key_that_is_shown_exists(name: str, model: type[BaseModel], tmp_path: Path) -> None:
    text = uncommented(name)
    text = re.sub(r"(?m)^url = \"postgresql.*$", "", text)  # instead of `file`, not beside it
    (tmp_path / name).write_text(text)
    load(tmp_path / name, model)


def missing(model: type[BaseModel], shown: dict[str, Any], place: str = "") -> Iterator[str]:
    """The keys of a model, and of its tables, that a file does not show."""
    for name, field in model.model_fields.items():
        if name not in shown:
            yield place + name
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from missing(field.annotation, shown[name], f"{place}{name}.")


def test_the_front_shows_every_key_there_is() -> None:
    assert list(missing(FrontSettings, tomllib.loads(uncommented("dmz_front.toml")))) == []


def test_what_the_front_shows_is_the_default() -> None:
    """A comment-free installation behaves as the shipped file says."""
    shown = tomllib.loads((CONFIG / "dmz_front.toml").read_text())
    for name, field in FrontSettings.model_fields.items():
        model = field.annotation
        if name == "accounts":
            assert field.default == ()  # a list of tables: none is set by default
            continue
        if name in ("callbacks", "channels"):
            continue  # by name: none is set by default
        assert get_args(model) == ()
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            continue
        for key, value in shown[name].items():
            default = model.model_fields[key].default
            if model.model_fields[key].is_required() or (name, key) in {
                ("metrics", "port"), ("store", "file"), ("control", "socket"),
            }:  # fmt: skip
                continue
            said: Any = tuple(value) if isinstance(value, list) else value
            if isinstance(default, BaseModel):  # a table within
                said = type(default).model_validate(value)
            assert said == default, f"{name}.{key}"
