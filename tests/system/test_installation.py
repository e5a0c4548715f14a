"""A bundle is installed on two hosts that see only each other; a release that is broken is gone back on, under load.

The long form, with upgrades that succeed and the removal, is `./scripts/install-trial`.
"""

from pathlib import Path

import pytest

from scripts.tools.install_trial.hosts import why_not
from scripts.tools.install_trial.trial import run


def test_installed_from_a_bundle_and_back_from_a_broken_upgrade_without_losing_a_request(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(f"the installation was NOT tried: {reason}")
    run(tmp_path, short=True)
