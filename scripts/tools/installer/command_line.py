"""The commands `scripts/install`, `scripts/upgrade` and `scripts/uninstall`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from scripts.tools.installer import plan
from scripts.tools.installer.errors import InstallError
from scripts.tools.installer.executor import Executor, announce
from scripts.tools.installer.facts import Facts, look
from scripts.tools.installer.layout import KNOWN, PREFIX, ROLES
from scripts.tools.installer.plan import Wanted
from scripts.tools.installer.services import MANAGERS, Manager
from scripts.tools.installer.source import SOURCE, read_source, verify

INSTALL = """Install one role of dmz-bridge on this host, from an unpacked bundle (no network) or a source tree.

Run it again as often as you like: what is there is left alone, and a configuration file that was changed here is never
written over (a new one of ours goes beside it, as FILE.new). A host may have several roles: run it for each."""


def _common(prog: str, text: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"scripts/{prog}", description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prefix", default=PREFIX, metavar="DIR", help=f"where releases are kept (default: {PREFIX})")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--services", choices=sorted(MANAGERS), default="", help=argparse.SUPPRESS)
    return parser


def install(arguments: list[str]) -> None:
    """`scripts/install`. Raises InstallError."""
    parser = _common("install", INSTALL)
    parser.add_argument("--role", choices=ROLES, required=True)
    parser.add_argument("--root", default="", metavar="DIR", help="install below DIR, for an image; nothing is started")
    parser.add_argument("--name", default="", help="of this instance, as in its certificate (default: front-1, bridge-1)")
    parser.add_argument("--region", default="", help="whose queues are used (default: main)")
    parser.add_argument("--broker", action="append", default=[], metavar="HOST:PORT",
                        help="where the broker is reached; repeatable (front: default localhost:61616)")  # fmt: skip
    parser.add_argument("--secrets", default="", metavar="DIR",
                        help="certs/ and keys/ as bridgectl made them: this role's are put in their places")  # fmt: skip
    parser.add_argument("--no-start", action="store_true", help="leave the service as it is")
    given = parser.parse_args(arguments)
    root = str(Path(given.root).resolve()) if given.root else ""
    facts = look(root, given.prefix, given.services)
    source = read_source()
    available: frozenset[str] = frozenset()
    if given.secrets:
        folder = Path(given.secrets).resolve()
        given.secrets = str(folder)
        available = frozenset(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        if not available:
            raise InstallError(f"--secrets {folder}: there is nothing in it")
    wanted = Wanted(
        KNOWN[given.role], given.prefix, given.name, given.region, tuple(given.broker), given.secrets, available,
        not given.no_start,
    )  # fmt: skip
    steps = plan.install_plan(facts, source, wanted)
    if not given.dry_run:
        may(root)
        if count := verify(SOURCE):
            print(f"{count} files of the bundle are what they were made as")
    carry_out(given.dry_run, steps, executor(facts, given.prefix))


def executor(facts: Facts, prefix: str) -> Executor:
    """One for this host."""
    return Executor(facts.root, prefix, manager_of(facts))


def manager_of(facts: Facts) -> Manager | None:
    """The service manager there is."""
    return MANAGERS[facts.manager]() if facts.manager else None


def carry_out(dry_run: bool, steps: list[plan.Step], doer: Executor) -> None:
    """Do the steps, or say them."""
    if dry_run:
        for step in steps:
            announce(step)
        return
    doer.all(steps)


def may(root: str) -> None:
    """Raises InstallError for one who cannot."""
    if not root and os.geteuid() != 0:
        raise InstallError("only root can install on this host (--dry-run says what would be done)")


COMMANDS: dict[str, Callable[[list[str]], None]] = {"install": install}


def main() -> int:
    """`python3 -m scripts.tools.installer.command_line COMMAND …`; the exit code."""
    command, *arguments = sys.argv[1:]
    os.umask(0o022)
    try:
        COMMANDS[command](arguments)
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
