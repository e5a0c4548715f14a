"""The plug-in of docs/adapters/python.md is installed, found by its entry point, and keeps the contract."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from intranet_bridge.marketing import kinds
from intranet_bridge.settings import BridgeSettings
from protocol.errors import ConfigurationError
from protocol.runtime.settings import load
from tests.support.shipped import BRIDGE

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "adapters" / "python.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL))
EXAMPLE = re.findall(r"<!-- example: \S+ -->\n```toml\n(.*?)```", PAGE, re.DOTALL)[0]


@pytest.fixture(scope="module")
def plug_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's folder, with what pip made of it in `installed`."""
    folder = tmp_path_factory.mktemp("plug-in")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    # built by the hatchling that is there: nothing is fetched
    install = ["install", "--quiet", "--no-index", "--no-build-isolation", "--no-deps", "--target", "installed", "."]
    subprocess.run([sys.executable, "-m", "pip", *install], cwd=folder, check=True)
    return folder


def test_it_keeps_the_contract(plug_in: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{plug_in / 'installed'}:{ROOT}", "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_lines_adapter.py"]
    done = subprocess.run(command, cwd=plug_in, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b[2-9][0-9] passed", done.stdout), done.stdout
    assert "skipped" not in done.stdout


def test_a_configuration_finds_it_by_its_entry_point(
    plug_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "intranet_bridge.toml"
    main = BRIDGE.read_text(encoding="utf-8").replace('"bindings/*.toml"', '"lines.toml"')
    config.write_text(main, encoding="utf-8")
    (tmp_path / "lines.toml").write_text(EXAMPLE)
    kinds.kind.cache_clear()
    with pytest.raises(ConfigurationError, match="there is no adapter 'lines'"):
        load(config, BridgeSettings)
    monkeypatch.syspath_prepend(str(plug_in / "installed"))
    try:
        settings = load(config, BridgeSettings)
        assert type(settings.all_systems["gateway"]).__name__ == "LinesSystem"
        assert [doubt for doubt in settings.doubts() if "leaves out as_of" not in doubt] == []  # that gateway has none
        (tmp_path / "lines.toml").write_text(EXAMPLE.replace("account: account}", "account: acount}", 1))
        with pytest.raises(ConfigurationError, match=r"arrears-query.request: .*acount"):
            load(config, BridgeSettings)
    finally:
        kinds.kind.cache_clear()
        sys.modules.pop("lines_adapter", None)
