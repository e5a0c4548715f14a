"""`scripts/install-trial`."""

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from scripts.tools.install_trial.hosts import why_not
from scripts.tools.install_trial.trial import run
from scripts.tools.installer.errors import InstallError

DESCRIPTION = "Install from a bundle, upgrade under load, roll back: on two hosts made of namespaces (Linux, root)."


def main() -> int:
    """Run the trial; the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/install-trial", description=DESCRIPTION)
    parser.add_argument("--short", action="store_true", help="as the tests do")
    parser.add_argument("--keep", action="store_true", help="leave the hosts' file trees")
    given = parser.parse_args()
    if reason := why_not():
        print(f"error: {reason}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="install-trial-"))
    try:
        run(folder, short=given.short)
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        if given.keep:
            print(f"the trees are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
