"""The OpenAPI document as it is served, judged by others: redocly's recommended rules, spectral's for OpenAPI."""

import json
import os
import subprocess
from pathlib import Path

import httpx
import pytest

from scripts.tools.testbed.layout import ROOT
from scripts.tools.testbed.testbed import Testbed
from tests.interop.suite import Unavailable, npm_install
from tests.support.testbeds import LOOPBACK

LINTERS = ("@redocly/cli@2.77.0", "@stoplight/spectral-cli@6.16.3")
SILENT = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}


@pytest.fixture(scope="module")
def programs() -> Path:
    try:
        return npm_install(ROOT / "var" / "interop" / "lint", *LINTERS) / ".bin"
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def document(testbed: Testbed, tmp_path: Path) -> Path:
    answer = httpx.get(f"{testbed.front_url}/openapi.json", **LOOPBACK)
    file = tmp_path / "openapi.json"
    file.write_bytes(answer.raise_for_status().content)
    return file


def output(*command: Path | str) -> str:
    """What a linter prints; its exit status tells of findings, which the output names."""
    environment = os.environ | SILENT
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.stdout.strip(), done.stderr
    return done.stdout


def test_redocly_has_nothing_to_say(programs: Path, document: Path) -> None:
    said = output(programs / "redocly", "lint", document, "--extends=recommended", "--format=json")
    found = json.loads(said[said.index("{") :])
    assert found["problems"] == []
    assert (found["totals"]["errors"], found["totals"]["warnings"]) == (0, 0)


def test_spectral_has_nothing_to_say(programs: Path, document: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("extends: [spectral:oas]\n")
    said = output(programs / "spectral", "lint", document, "--ruleset", rules, "--format=json", "--quiet")
    found, _ = json.JSONDecoder().raw_decode(said)
    assert found == []
