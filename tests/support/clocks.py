"""A program's wall clock, off by as much as a test says, its monotonic one as it was."""

import functools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.tools.fault_campaign.site import CLOCK_SOURCE
from tests.support.reaper import scratch


class Clock:
    """The clock of the programs that are started with `environment`; it can be set while they run."""

    def __init__(self, folder: Path, seconds: float = 0) -> None:
        self._file = folder / "clock-offset"
        self._file.touch()
        self.set(seconds)
        self.environment = {"LD_PRELOAD": str(_library()), "CAMPAIGN_CLOCK": str(self._file)}

    def set(self, seconds: float) -> None:
        """Let it be so far ahead (negative: behind)."""
        with self._file.open("r+b") as file:  # in place: the programs have this very file mapped
            file.write(round(seconds * 1e9).to_bytes(8, sys.byteorder, signed=True))


@functools.cache
def _library() -> Path:
    """What moves it; skips the test where it cannot be had."""
    library = scratch("dmz-clock-") / "clock.so"
    compile_it = ["cc", "-shared", "-fPIC", "-o", str(library), str(CLOCK_SOURCE), "-ldl"]
    if shutil.which("cc") is None or subprocess.run(compile_it, check=False).returncode:
        pytest.skip("a clock that can be set wrong needs a C compiler")
    return library
