"""What every script begins with."""

import shutil
import subprocess
from pathlib import Path

from scripts.tools.testbed.layout import ROOT


def test_what_a_link_leads_to_is_not_emptied(tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    (here / "scripts").mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    for name in ("scripts/bootstrap", "requirements-dev.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, here / name)
    (here / ".venv").symlink_to(elsewhere)
    done = subprocess.run(["bash", "-c", ". scripts/bootstrap"], cwd=here, capture_output=True, text=True)
    assert (done.returncode, "error: .venv is a link" in done.stderr) == (1, True)
    assert list(elsewhere.iterdir()) == [elsewhere / "kept"]
