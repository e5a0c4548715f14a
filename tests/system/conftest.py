"""One testbed for all system tests that leave it as they found it, and the first release to upgrade from."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.layout import ROOT
from scripts.tools.testbed.processes import free_port
from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import client, running_testbed

CHANNEL_KEY = b"the key of a channel, of the tests"
FIRST_RELEASE = "1da74b7"
"""The commit of release 0.1.0."""


@pytest.fixture(scope="package")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    # doctor, which many tests here run, waits for the next announcement
    folder = tmp_path_factory.mktemp("system")
    key = folder.with_name("channel.key")
    key.touch(mode=0o600)
    key.write_bytes(CHANNEL_KEY)
    bridge = {
        "presence_interval_s": 0.5, "desk.enabled": True, "desk.port": free_port(),
        "content.operations": ["policy-texts"], "settlement.companies.power": {},
        "settlement.payments.channels.simulated": {"plugin": "simulated", "key": str(key)},
    }  # fmt: skip
    settings = {"intranet_bridge": bridge, "dmz_front": {"statistics": {"write_s": 1}}}
    with running_testbed(folder, settings=settings) as testbed:
        yield testbed


@pytest.fixture
def http(testbed: Testbed) -> Iterator[httpx.Client]:
    with client(testbed) as http:
        yield http


@pytest.fixture(scope="session")
def first_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first release's code and configuration files; skips where git does not have it (a shallow clone)."""
    archive = subprocess.run(["git", "-C", ROOT, "archive", FIRST_RELEASE], capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"git has no {FIRST_RELEASE} here (a shallow clone?): {archive.stderr.decode().strip()}")
    folder = tmp_path_factory.mktemp("first-release")
    # not `tarfile`: the Python 3.11.2 of Debian 12 knows no extraction filters, and later ones want one named
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser for the tests of one file: while it is open, no test of this process can run an event loop."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium here (Debian's package chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright here")
    with playwright.sync_playwright() as started:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = started.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()
