"""`python -m scripts.tools.reference`: writes the pages of docs/reference that are made of the code.

With `--check` it writes nothing; it ends with 1 and names those that are not as the code says.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.tools.reference.command_lines import cli_page
from scripts.tools.reference.configuration import configuration_page
from scripts.tools.reference.events import events_page
from scripts.tools.reference.metrics import metrics_page
from scripts.tools.reference.problems import problems_page

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs" / "reference"
PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "configuration.md": configuration_page,
    "events.md": events_page,
    "metrics.md": metrics_page,
    "problems.md": problems_page,
}


def stale() -> list[str]:
    """The pages that are not as the code says."""
    return [name for name, page in PAGES.items() if _read(FOLDER / name) != page()]


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def main() -> int:
    """0: written, or all as it should be; 1: `--check` found a page that is not."""
    options = argparse.ArgumentParser(prog="python -m scripts.tools.reference", description=__doc__)
    options.add_argument("--check", action="store_true", help="write nothing, compare")
    given = options.parse_args()
    if given.check:
        for name in (found := stale()):
            print(f"docs/reference/{name} is not as the code says: python -m scripts.tools.reference", file=sys.stderr)
        return 1 if found else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
