"""promtool, as `./scripts/test` leaves it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.tools.testbed.layout import ROOT


def promtool(*arguments: str | Path, given: str = "") -> str:
    """What it says; the test fails if it is not content, and is skipped where there is none."""
    program = shutil.which("promtool", path=ROOT / "var/promtool/usr/bin") or shutil.which("promtool")
    if program is None:
        pytest.skip("no promtool here (Debian's package prometheus)")
    done = subprocess.run([program, *arguments], input=given, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
