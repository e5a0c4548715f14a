"""`python -m scripts.tools.reference`: writes the pages of docs/reference and docs/zh/reference that are made of code.

What the Chinese pages say is in `zh.po`; texts that are new are put there to be translated, and named. With `--check`
nothing is written; it ends with 1 and names the files that are not as the code says.
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
from scripts.tools.reference.wording import CATALOGUE, Chinese, Say, chinese, english

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs" / "reference"
FOLDER_ZH = ROOT / "docs" / "zh" / "reference"
PAGES: Mapping[str, Callable[[Say], str]] = {
    "cli.md": cli_page,
    "configuration.md": configuration_page,
    "events.md": events_page,
    "metrics.md": metrics_page,
    "problems.md": problems_page,
}


def made() -> tuple[dict[Path, bytes], Chinese]:
    """What each file is to hold, pages and catalogue; and the Chinese that was said."""
    say = chinese()
    files = {}
    for name, page in PAGES.items():
        say.page = name
        files[FOLDER / name] = page(english).encode()
        files[FOLDER_ZH / name] = page(say).encode()
    return files | {CATALOGUE: say.catalogue()}, say


def stale() -> list[Path]:
    """The files that are not as the code says."""
    return [file for file, content in made()[0].items() if not file.exists() or file.read_bytes() != content]


def main() -> int:
    """0: written, or all as it should be; 1: `--check` found a file that is not."""
    options = argparse.ArgumentParser(prog="python -m scripts.tools.reference", description=__doc__)
    options.add_argument("--check", action="store_true", help="write nothing, compare")
    given = options.parse_args()
    if given.check:
        for file in (found := stale()):
            name = file.relative_to(ROOT)
            print(f"{name} is not as the code says: python -m scripts.tools.reference", file=sys.stderr)
        return 1 if found else 0
    files, said = made()
    for file, content in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    for text in said.untranslated():
        print(f"{CATALOGUE.relative_to(ROOT)}: to be translated: {text}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
