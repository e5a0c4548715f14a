"""`bridgectl qr keys`: keys are made, listed without a secret, and retired only when another one is left."""

import json
import stat
from pathlib import Path

from typer.testing import CliRunner, Result

from bridgectl.cli import app
from protocol.errors import ConfigurationError
from protocol.qr import parsed_keys


def run(file: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["qr", "keys", "--file", str(file), *words])


def test_a_key_is_made_for_its_owner_alone_and_listed_without_the_secret(tmp_path: Path) -> None:
    file = tmp_path / "qr.keys"
    assert run(file, "--add", "1").exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run(file, "--add", "2", "--suite", "sm").exit_code == 0
    keys = parsed_keys(file.read_text())
    told = run(file, "--json")
    assert json.loads(told.stdout) == [
        {"kid": "1", "state": "active", "signs": False, "suite": "aes"},
        {"kid": "2", "state": "active", "signs": True, "suite": "sm"},
    ]
    for one in keys.keys:
        assert one.key.hex() not in told.stdout
    assert "new codes" in run(file).stdout


def test_a_key_is_retired_with_yes_and_never_the_last(tmp_path: Path) -> None:
    file = tmp_path / "qr.keys"
    run(file, "--add", "1")
    last = run(file, "--retire", "1", "--yes")
    assert isinstance(last.exception, ConfigurationError)
    assert "no active key would be left" in str(last.exception)
    run(file, "--add", "2")
    asked = run(file, "--retire", "1")
    assert (asked.exit_code, "--yes does it" in asked.stdout) == (1, True)
    assert parsed_keys(file.read_text()).verifying("1") is not None
    assert run(file, "--retire", "1", "--yes").exit_code == 0
    assert parsed_keys(file.read_text()).verifying("1") is None
    assert run(file, "--add", "3", "--retire", "2").exit_code == 2
    file.chmod(0o644)
    assert "chmod 0600" in str(run(file).exception)
